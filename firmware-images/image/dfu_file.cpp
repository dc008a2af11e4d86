#include "image/dfu_file.h"

#include "core/byte_io.h"
#include "core/crc.h"
#include "core/text.h"

#include <algorithm>
#include <array>
#include <map>

namespace provost {

namespace {

constexpr std::size_t kDfuSuffixBytes = 16;
constexpr std::size_t kDfuPrefixBytes = 11;
constexpr std::size_t kDfuTargetBytes = 274;
constexpr std::size_t kDfuNameBytes = 255;
constexpr std::size_t kDfuElementBytes = 8;
constexpr std::uint16_t kDfuSeFileVersion = 0x011A;
constexpr std::uint16_t kAnyDevice = 0xFFFF;
constexpr std::string_view kDfuSeMark = "DfuSe";
constexpr std::string_view kTargetMark = "Target";
constexpr std::string_view kSuffixMark = "UFD"; // "DFU" backwards, as it is stored

Unexpected badFile(std::string why)
{
    return fail(Errc::InvalidData, Blame::Operator,
                concat("read the DFU file: ", why, "; get the file anew"));
}

bool hasText(ByteView bytes, std::size_t at, std::string_view text)
{
    return bytes.size() >= at + text.size() &&
           equalBytes(bytes.subspan(at, text.size()), viewOf(text));
}

bool endsInSuffix(ByteView file)
{
    return file.size() >= kDfuSuffixBytes && hasText(file, file.size() - 8, kSuffixMark);
}

Result<DfuSuffix> readSuffix(ByteView file)
{
    const ByteView suffix = file.last(kDfuSuffixBytes);
    if (u8(suffix[11]) != kDfuSuffixBytes)
        return badFile(concat("its suffix is ", static_cast<int>(u8(suffix[11])),
                              " bytes long, 16 are known"));
    const std::uint32_t stored = readLe32(suffix, 12);
    const std::uint32_t computed = crc32DfuSuffix(file.first(file.size() - 4));
    if (stored != computed)
        return badFile(concat("it is damaged, the CRC says ", hex32(stored), ", the content gives ",
                              hex32(computed)));
    return DfuSuffix{.device = readLe16(suffix, 0),
                     .product = readLe16(suffix, 2),
                     .vendor = readLe16(suffix, 4),
                     .version = readLe16(suffix, 6)};
}

/// Takes bytes off the front of what is left.
class Cutter {
public:
    explicit Cutter(ByteView bytes) : m_rest(bytes) {}
    std::size_t left() const { return m_rest.size(); }
    Result<ByteView> take(std::size_t count, const std::string& what)
    {
        if (count > m_rest.size())
            return badFile(concat(what, " needs ", count, " bytes, ", m_rest.size(), " are left"));
        const ByteView taken = m_rest.first(count);
        m_rest = m_rest.subspan(count);
        return taken;
    }

private:
    ByteView m_rest;
};

Result<DfuElement> readElement(Cutter& from, const std::string& what)
{
    const ByteView head = TRY(from.take(kDfuElementBytes, what));
    const std::uint32_t address = readLe32(head, 0);
    const std::uint32_t size = readLe32(head, 4);
    if (size == 0)
        return badFile(concat(what, " holds no bytes"));
    if (std::uint64_t{address} + size > std::uint64_t{1} << 32)
        return badFile(concat(what, ": ", size, " bytes at ", hex32(address), " exceed 32 bits"));
    return DfuElement{.address = address, .bytes = TRY(from.take(size, what))};
}

/// Several images may be for one memory: what counts is where its elements lie together.
Result<> checkOverlaps(const std::vector<DfuImage>& images)
{
    std::map<std::uint8_t, std::vector<DfuElement>> memories;
    for (const auto& image : images) {
        auto& elements = memories[image.alternate];
        elements.insert(elements.end(), image.elements.begin(), image.elements.end());
    }
    for (auto& [alternate, sorted] : memories) {
        std::ranges::sort(sorted, {}, &DfuElement::address);
        for (std::size_t i = 1; i < sorted.size(); ++i) {
            const auto& before = sorted[i - 1];
            if (before.address + std::uint64_t{before.bytes.size()} > sorted[i].address)
                return badFile(concat("two elements of memory ", static_cast<int>(alternate),
                                      " share ", hex32(sorted[i].address)));
        }
    }
    return {};
}

Result<DfuImage> readImage(Cutter& from, std::size_t number)
{
    const std::string what = concat("image ", number);
    const ByteView head = TRY(from.take(kDfuTargetBytes, what));
    if (!hasText(head, 0, kTargetMark))
        return badFile(concat(what, " does not begin with \"Target\""));
    DfuImage image{.alternate = u8(head[6])};
    if (readLe32(head, 7) != 0) {
        const std::string name = toText(head.subspan(11, kDfuNameBytes));
        image.name = name.substr(0, name.find('\0'));
    }
    Cutter content(TRY(from.take(readLe32(head, 266), what)));
    const std::uint32_t count = readLe32(head, 270);
    if (count == 0)
        return badFile(concat(what, " has no elements"));
    for (std::uint32_t i = 0; i < count; ++i)
        image.elements.push_back(TRY(readElement(content, concat(what, ", element ", i))));
    if (content.left() > 0)
        return badFile(concat(what, ": ", content.left(), " bytes are left behind its elements"));
    return image;
}

Result<std::vector<DfuImage>> readImages(ByteView file)
{
    Cutter rest(file.first(file.size() - kDfuSuffixBytes));
    const ByteView prefix = TRY(rest.take(kDfuPrefixBytes, "the prefix"));
    if (u8(prefix[5]) != 1)
        return badFile(concat("DfuSe version ", static_cast<int>(u8(prefix[5])), ", 1 is known"));
    const std::uint32_t size = readLe32(prefix, 6);
    // UM0391 counts without the suffix; dfuse-pack 0.11 counts it in.
    if (size != file.size() - kDfuSuffixBytes && size != file.size())
        return badFile(concat("its prefix says ", size, " bytes in front of the suffix, ",
                              file.size() - kDfuSuffixBytes, " are there"));
    const std::size_t count = u8(prefix[10]);
    if (count == 0)
        return badFile("it has no images");
    std::vector<DfuImage> images;
    for (std::size_t i = 0; i < count; ++i)
        images.push_back(TRY(readImage(rest, i)));
    if (rest.left() > 0)
        return badFile(concat(rest.left(), " bytes are left behind its images"));
    TRY(checkOverlaps(images));
    return images;
}

Result<> checkImage(const DfuImage& image)
{
    const auto refused = [](const std::string& why) {
        return fail(Errc::InvalidArgument, Blame::Software, concat("build a DfuSe file: ", why));
    };
    if (image.elements.empty())
        return refused("an image without elements");
    if (image.name.size() >= kDfuNameBytes)
        return refused(concat("a name of ", image.name.size(), " bytes"));
    for (const auto& element : image.elements) {
        if (element.bytes.empty() ||
            std::uint64_t{element.address} + element.bytes.size() > std::uint64_t{1} << 32)
            return refused(concat("an element of ", element.bytes.size(), " bytes at ",
                                  hex32(element.address)));
    }
    return {};
}

void writeImage(ByteWriter& to, const DfuImage& image)
{
    std::size_t size = 0;
    for (const auto& element : image.elements)
        size += kDfuElementBytes + element.bytes.size();
    to.text(kTargetMark).u8(image.alternate).le32(image.name.empty() ? 0 : 1).text(image.name);
    to.fill(kDfuNameBytes - image.name.size(), std::byte{0});
    to.le32(static_cast<std::uint32_t>(size));
    to.le32(static_cast<std::uint32_t>(image.elements.size()));
    for (const auto& element : image.elements)
        to.le32(element.address)
            .le32(static_cast<std::uint32_t>(element.bytes.size()))
            .raw(element.bytes);
}

} // namespace

Result<DfuFile> parseDfuFile(ByteView file)
{
    DfuFile result{.content = file};
    const bool isDfuSe = hasText(file, 0, kDfuSeMark);
    if (endsInSuffix(file)) {
        result.suffix = TRY(readSuffix(file));
        result.content = file.first(file.size() - kDfuSuffixBytes);
    } else if (isDfuSe) {
        return badFile("it begins as a DfuSe file and does not end in a suffix: it was cut off");
    }
    if (!isDfuSe && !(result.suffix && result.suffix->version == kDfuSeFileVersion))
        return result;
    if (!isDfuSe)
        return badFile("its suffix says DfuSe, and it does not begin as such a file");
    result.images = TRY(readImages(file));
    result.content = {};
    return result;
}

Bytes withDfuSuffix(ByteView content, const DfuSuffix& suffix)
{
    Bytes file = toBytes(content);
    ByteWriter to(file);
    to.le16(suffix.device).le16(suffix.product).le16(suffix.vendor).le16(suffix.version);
    to.text(kSuffixMark).u8(kDfuSuffixBytes);
    to.le32(crc32DfuSuffix(file));
    return file;
}

Result<Bytes> buildDfuSeFile(const std::vector<DfuImage>& images, DfuSuffix suffix)
{
    if (images.empty() || images.size() > 0xFF)
        return fail(
            Errc::InvalidArgument, Blame::Software,
            concat("build a DfuSe file: ", images.size(), " images, 1 to 255 are possible"));
    Bytes body;
    ByteWriter to(body);
    for (const auto& image : images) {
        TRY(checkImage(image));
        writeImage(to, image);
    }
    Bytes file;
    ByteWriter(file)
        .text(kDfuSeMark)
        .u8(1)
        .le32(static_cast<std::uint32_t>(kDfuPrefixBytes + body.size()))
        .u8(static_cast<unsigned>(images.size()))
        .raw(body);
    suffix.version = kDfuSeFileVersion;
    return withDfuSuffix(file, suffix);
}

Result<> checkDfuRecipient(const DfuSuffix& suffix, std::uint16_t vendor, std::uint16_t product)
{
    const auto fits = [](std::uint16_t wanted, std::uint16_t actual) {
        return wanted == kAnyDevice || wanted == actual;
    };
    if (fits(suffix.vendor, vendor) && fits(suffix.product, product))
        return {};
    return fail(Errc::Denied, Blame::Operator,
                concat("write the DFU file: it is meant for ", hex16(suffix.vendor), ":",
                       hex16(suffix.product), ", the device is ", hex16(vendor), ":",
                       hex16(product), "; take the file for this platform"));
}

} // namespace provost
