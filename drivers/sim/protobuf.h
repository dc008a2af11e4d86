// As much of the protocol buffers' wire format as control requests need.
#pragma once

#include "core/bytes.h"

#include <map>
#include <optional>
#include <string_view>

namespace provost::sim {

struct ProtobufField {
    std::uint64_t number = 0; ///< varint fields
    ByteView bytes{};         ///< length-delimited fields
};
/// Field number to its last occurrence; nullopt: malformed. The views point into `message`.
std::optional<std::map<std::uint32_t, ProtobufField>> readProtobuf(ByteView message);

void putVarintField(Bytes& to, std::uint32_t field, std::uint64_t value);
void putBytesField(Bytes& to, std::uint32_t field, ByteView value);
void putTextField(Bytes& to, std::uint32_t field, std::string_view value);

} // namespace provost::sim
