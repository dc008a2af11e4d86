// Addresses as they stand in the configuration table (particle-devices 4.3).
#pragma once

#include "core/bytes.h"

#include <cstdint>
#include <optional>
#include <string>

namespace provost::sim {

/// Dotted decimal, host byte order.
std::optional<std::uint32_t> parseIpv4(std::string_view text);
std::string ipv4Text(std::uint32_t address);

struct ServerRecord {
    enum class Kind : std::uint8_t { None, Ip, Domain };
    Kind kind = Kind::None;
    std::uint8_t type = 0xFF;
    std::uint32_t ip = 0;
    std::string domain{};
    std::uint16_t port = 5683;
};
/// @param record  at least 68 bytes
ServerRecord readServerRecord(ByteView record, std::uint16_t defaultPort);
/// A whole record of `size` bytes; text that is an IPv4 address becomes one.
Bytes makeServerRecord(std::string_view host, std::uint16_t port, std::size_t size);

} // namespace provost::sim
