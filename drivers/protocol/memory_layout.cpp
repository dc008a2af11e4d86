// The memory-layout string of a DfuSe alternate (UM0424; protocol sheet 1.5).
#include "protocol/dfu_device.h"

#include "core/text.h"
#include "protocol/unit_text_p.h"

#include <charconv>
#include <optional>

namespace provost {

namespace {

constexpr std::uint64_t kAddressSpace = 1ULL << 32;
// A string descriptor holds 126 characters; nothing longer comes from a unit.
constexpr std::size_t kMaxLength = 1024;

/// Walks over the text; every reader leaves the position behind what it took.
class Scanner {
public:
    explicit Scanner(std::string_view text) : m_text(text) {}
    bool atEnd() const { return m_at == m_text.size(); }
    char peek() const { return atEnd() ? '\0' : m_text[m_at]; }
    std::size_t position() const { return m_at; }
    bool take(char wanted)
    {
        if (peek() != wanted || atEnd())
            return false;
        ++m_at;
        return true;
    }
    void skipBlanks()
    {
        while (take(' ')) {
        }
    }
    std::optional<std::uint32_t> number(int base)
    {
        std::uint32_t value = 0;
        const char* const begin = m_text.data() + m_at;
        const auto [end, error] =
            std::from_chars(begin, m_text.data() + m_text.size(), value, base);
        if (error != std::errc{})
            return std::nullopt;
        m_at += static_cast<std::size_t>(end - begin);
        return value;
    }
    void skipPast(std::size_t position) { m_at = position; }

private:
    std::string_view m_text;
    std::size_t m_at = 0;
};

Unexpected malformed(std::string_view text, const Scanner& at, std::string_view what)
{
    return fail(Errc::InvalidData, Blame::Unit,
                concat("read memory layout \"", printable(text), "\": ", what, " at character ",
                       at.position()));
}

/// K, M, B, a blank or nothing: bytes in one unit.
std::uint32_t takeUnit(Scanner& at)
{
    if (at.take('K'))
        return 1024;
    if (at.take('M'))
        return 1024 * 1024;
    if (!at.take('B'))
        at.take(' ');
    return 1;
}

/// The low three bits of the type letter are readable, erasable, writable.
bool takeType(Scanner& at, std::string_view name, MemoryRegion& region)
{
    at.skipBlanks();
    const char letter = at.peek();
    unsigned bits = 0;
    if (letter >= 'a' && letter <= 'g') {
        bits = static_cast<unsigned>(letter) & 7U;
        at.take(letter);
    } else if (trimmed(name) == "Device Feature") {
        // ST's boot loaders leave the letter out there, or write another one (dfu-util).
        bits = static_cast<unsigned>('e') & 7U;
        if (!at.atEnd() && letter != ',' && letter != '/')
            at.take(letter);
    } else if (at.atEnd() || letter == ',' || letter == '/') {
        bits = 1; // no letter: nothing allows more than reading
    } else {
        return false;
    }
    region.readable = (bits & 1U) != 0;
    region.erasable = (bits & 2U) != 0;
    region.writable = (bits & 4U) != 0;
    return true;
}

/// `04*016Kg` at `address`, which then moves behind it.
Result<MemoryRegion> takeGroup(Scanner& at, std::string_view text, std::string_view name,
                               std::uint64_t& address)
{
    at.skipBlanks();
    const auto count = at.number(10);
    if (!count || *count == 0 || !at.take('*'))
        return malformed(text, at, "no sector count");
    const auto size = at.number(10);
    if (!size || *size == 0)
        return malformed(text, at, "no sector size");
    const std::uint64_t sector = std::uint64_t{*size} * takeUnit(at);
    // Each factor is below 2^32 here, so that the product cannot wrap.
    if (sector >= kAddressSpace || address + sector * *count > kAddressSpace ||
        sector * *count >= kAddressSpace)
        return malformed(text, at, "a region beyond 32 bits");
    MemoryRegion region{.base = static_cast<std::uint32_t>(address),
                        .size = static_cast<std::uint32_t>(sector * *count),
                        .sectorSize = static_cast<std::uint32_t>(sector)};
    if (!takeType(at, name, region))
        return malformed(text, at, "an unknown sector type");
    address += region.size;
    return region;
}

} // namespace

Result<std::vector<MemoryRegion>> parseMemoryLayout(std::string_view nameString)
{
    // Compile-time lengths leave NULs behind the text (protocol sheet 1.1).
    std::string_view text = nameString;
    while (!text.empty() && (text.back() == '\0' || text.back() == ' '))
        text.remove_suffix(1);
    Scanner at(text);
    if (text.size() > kMaxLength || !at.take('@'))
        return malformed(text, at, "no '@' in front, or too long");
    const auto nameEnd = text.find('/');
    if (nameEnd == std::string_view::npos)
        return malformed(text, at, "no address");
    const std::string_view name = text.substr(1, nameEnd - 1);
    at.skipPast(nameEnd);

    std::vector<MemoryRegion> regions;
    while (at.take('/')) {
        if (!at.take('0') || !(at.take('x') || at.take('X')))
            return malformed(text, at, "no hexadecimal address");
        const auto base = at.number(16);
        if (!base)
            return malformed(text, at, "no address of 32 bits");
        at.skipBlanks();
        if (!at.take('/'))
            return malformed(text, at, "no '/' behind the address");
        std::uint64_t address = *base;
        do {
            regions.push_back(TRY(takeGroup(at, text, name, address)));
            at.skipBlanks();
        } while (at.take(','));
    }
    if (!at.atEnd())
        return malformed(text, at, "unexpected text");
    return regions;
}

} // namespace provost
