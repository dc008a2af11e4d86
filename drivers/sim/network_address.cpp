#include "sim/network_address.h"

#include "core/text.h"
#include "sim/octets.h"

#include <algorithm>
#include <charconv>

namespace provost::sim {

namespace {

constexpr std::size_t kPort = 66;
constexpr std::size_t kLongestDomain = 126;

} // namespace

std::optional<std::uint32_t> parseIpv4(std::string_view text)
{
    std::uint32_t address = 0;
    const char* at = text.data();
    const char* const end = at + text.size();
    for (int octet = 0; octet < 4; ++octet) {
        unsigned value = 256;
        const auto [next, error] = std::from_chars(at, end, value);
        if (error != std::errc{} || value > 255)
            return std::nullopt;
        address = (address << 8) | value;
        at = next;
        if (octet < 3 && (at == end || *at++ != '.'))
            return std::nullopt;
    }
    return at == end ? std::optional(address) : std::nullopt;
}

std::string ipv4Text(std::uint32_t address)
{
    return concat(address >> 24, '.', (address >> 16) & 0xFF, '.', (address >> 8) & 0xFF, '.',
                  address & 0xFF);
}

ServerRecord readServerRecord(ByteView record, std::uint16_t defaultPort)
{
    ServerRecord found{.type = octet(record[0]), .port = defaultPort};
    const std::size_t length = octet(record[1]);
    if (found.type == 0 && length == 4) {
        found.kind = ServerRecord::Kind::Ip;
        found.ip = be32At(record, 2);
    } else if (found.type == 1 && length > 0 && length <= kLongestDomain &&
               length + 2 <= record.size()) {
        found.kind = ServerRecord::Kind::Domain;
        found.domain = textOf(record.subspan(2, length));
        found.domain.erase(std::find(found.domain.begin(), found.domain.end(), '\0'),
                           found.domain.end());
    }
    const std::uint16_t port = be16At(record, kPort);
    if (port != 0 && port != 0xFFFF)
        found.port = port;
    return found;
}

Bytes makeServerRecord(std::string_view host, std::uint16_t port, std::size_t size)
{
    Bytes record;
    Fields out(record);
    if (const auto ip = parseIpv4(host))
        out.u8(0).u8(4).be32(*ip);
    else
        out.u8(1).u8(static_cast<unsigned>(host.size())).text(host).u8(0);
    record.resize(size, std::byte{0xFF});
    putBe16(record, kPort, port);
    return record;
}

} // namespace provost::sim
