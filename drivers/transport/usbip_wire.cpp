#include "transport/usbip_wire_p.h"

#include "core/byte_io.h"
#include "core/text.h"

#include <algorithm>
#include <cctype>

namespace provost::usbip {

namespace {

constexpr std::uint16_t kVersion = 0x0111;
constexpr std::uint16_t kRequestList = 0x8005;
constexpr std::uint16_t kReplyList = 0x0005;
constexpr std::uint16_t kRequestImport = 0x8003;
constexpr std::uint16_t kReplyImport = 0x0003;

constexpr std::size_t kOperationBytes = 8;
constexpr std::size_t kPathBytes = 256;
constexpr std::size_t kBusIdBytes = 32;
constexpr std::size_t kRecordBytes = 312;
constexpr std::size_t kInterfaceBytes = 4;
// A bus has 127 addresses; a list beyond this is no list of devices.
constexpr std::uint32_t kMostDevices = 4096;

constexpr std::uint32_t kSubmit = 1;
constexpr std::uint32_t kUnlink = 2;
constexpr std::uint32_t kSubmitted = 3;
constexpr std::uint32_t kUnlinked = 4;
constexpr std::uint32_t kNotIsochronous = 0xFFFFFFFF;

// Status of an import reply. 1 is all that older servers say, and they say it of a device in use.
enum class ImportStatus : std::uint32_t { Ok, NotAvailable, Busy, Broken, NoDevice };

Result<> readExactly(ByteStream& from, ByteSpan to, const OpContext& op)
{
    while (!to.empty())
        to = to.subspan(TRY(from.readSome(to, op)));
    return {};
}

/// The status of a reply with the right version and code.
Result<std::uint32_t> readReply(ByteStream& server, std::uint16_t wanted, const OpContext& op)
{
    std::array<std::byte, kOperationBytes> header{};
    TRY(readExactly(server, header, op));
    const std::uint16_t version = readBe16(header);
    const std::uint16_t code = readBe16(header, 2);
    if (version != kVersion || code != wanted)
        return fail(Errc::Protocol, Blame::Fixture,
                    concat("the USB/IP server answers with version ", hex16(version), ", code ",
                           hex16(code), " instead of ", hex16(kVersion), ", ", hex16(wanted)));
    return readBe32(header, 4);
}

std::string textOf(ByteView field)
{
    std::string text = toText(field);
    text.resize(std::min(text.size(), text.find('\0')));
    return text;
}

bool isName(const std::string& text)
{
    return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '.' || c == ':' || c == '_';
    });
}

Result<DeviceRecord> readRecord(ByteStream& server, std::uint8_t& interfaces, const OpContext& op)
{
    std::array<std::byte, kRecordBytes> raw{};
    TRY(readExactly(server, raw, op));
    const ByteView record(raw);
    const std::string busId = textOf(record.subspan(kPathBytes, kBusIdBytes));
    interfaces = u8(record[311]);
    return DeviceRecord{.path = textOf(record.first(kPathBytes)),
                        .busId = isName(busId) && busId.size() < kBusIdBytes ? busId : "",
                        .bus = readBe32(record, 288),
                        .number = readBe32(record, 292),
                        .id = {.vendor = readBe16(record, 300), .product = readBe16(record, 302)},
                        .release = readBe16(record, 304)};
}

Bytes operation(std::uint16_t code)
{
    Bytes bytes;
    ByteWriter(bytes).be16(kVersion).be16(code).be32(0);
    return bytes;
}

void writeSetup(ByteSpan frame, const Submit& submit)
{
    frame[40] = static_cast<std::byte>(submit.setup.requestType);
    frame[41] = static_cast<std::byte>(submit.setup.request);
    writeLe16(frame, 42, submit.setup.value);
    writeLe16(frame, 44, submit.setup.index);
    writeLe16(frame, 46, static_cast<std::uint16_t>(submit.length));
}

} // namespace

Result<std::vector<DeviceRecord>> requestList(ByteStream& server, const OpContext& op)
{
    TRY(server.writeAll(operation(kRequestList), op));
    if (const auto status = TRY(readReply(server, kReplyList, op)); status != 0)
        return fail(Errc::Io, Blame::Fixture,
                    concat("the USB/IP server does not list its devices: status ", status),
                    static_cast<int>(status));
    std::array<std::byte, 4> raw{};
    TRY(readExactly(server, raw, op));
    const std::uint32_t count = readBe32(raw);
    if (count > kMostDevices)
        return fail(Errc::Protocol, Blame::Fixture,
                    concat("the USB/IP server announces ", count, " devices"));
    std::vector<DeviceRecord> devices;
    for (std::uint32_t device = 0; device < count; ++device) {
        std::uint8_t interfaces = 0;
        DeviceRecord record = TRY(readRecord(server, interfaces, op));
        for (unsigned each = 0; each < interfaces; ++each) {
            std::array<std::byte, kInterfaceBytes> entry{};
            TRY(readExactly(server, entry, op));
            record.interfaces.push_back(
                {.code = u8(entry[0]), .subclass = u8(entry[1]), .protocol = u8(entry[2])});
        }
        devices.push_back(std::move(record));
    }
    return devices;
}

Result<DeviceRecord> requestImport(ByteStream& server, const std::string& busId,
                                   const OpContext& op)
{
    ENSURE(busId.size() < kBusIdBytes);
    Bytes request = operation(kRequestImport);
    ByteWriter(request).text(busId).fill(kBusIdBytes - busId.size(), std::byte{0});
    TRY(server.writeAll(request, op));
    const std::uint32_t status = TRY(readReply(server, kReplyImport, op));
    const auto native = static_cast<int>(status);
    switch (static_cast<ImportStatus>(status)) {
    case ImportStatus::Ok:
        break;
    case ImportStatus::NotAvailable:
    case ImportStatus::Busy:
        return fail(Errc::Busy, Blame::Station, "in use by another USB/IP client", native);
    case ImportStatus::NoDevice:
        return fail(Errc::Disconnected, Blame::Fixture, "the server has no such device now",
                    native);
    default:
        return fail(Errc::Io, Blame::Fixture, concat("the server refuses with status ", status),
                    native);
    }
    std::uint8_t interfaces = 0;
    DeviceRecord record = TRY(readRecord(server, interfaces, op));
    if (record.busId != busId)
        return fail(
            Errc::Protocol, Blame::Fixture,
            concat("the USB/IP server exports \"", record.busId, "\" instead of \"", busId, "\""));
    return record;
}

WipedBytes submitFrame(const Submit& submit, ByteView data)
{
    WipedBytes frame(kHeaderBytes + data.size());
    writeBe32(frame, 0, kSubmit);
    writeBe32(frame, 4, submit.sequence);
    writeBe32(frame, 8, submit.device);
    writeBe32(frame, 12, submit.in ? 1 : 0);
    writeBe32(frame, 16, submit.endpoint);
    writeBe32(frame, 24, static_cast<std::uint32_t>(submit.length));
    writeBe32(frame, 32, kNotIsochronous);
    if (submit.endpoint == 0)
        writeSetup(frame, submit);
    std::copy(data.begin(), data.end(), frame.begin() + kHeaderBytes);
    return frame;
}

WipedBytes unlinkFrame(std::uint32_t sequence, std::uint32_t device, std::uint32_t victim)
{
    WipedBytes frame(kHeaderBytes);
    writeBe32(frame, 0, kUnlink);
    writeBe32(frame, 4, sequence);
    writeBe32(frame, 8, device);
    writeBe32(frame, 20, victim);
    return frame;
}

Answer readAnswer(ByteView header)
{
    Answer answer{.code = readBe32(header, 0),
                  .sequence = readBe32(header, 4),
                  .status = static_cast<std::int32_t>(readBe32(header, 20)),
                  .actual = readBe32(header, 24)};
    if (answer.code == kSubmitted)
        answer.kind = Answer::Kind::Submitted;
    else if (answer.code == kUnlinked)
        answer.kind = Answer::Kind::Unlinked;
    return answer;
}

} // namespace provost::usbip
