#include "sim/protobuf.h"

#include "sim/octets.h"

namespace provost::sim {

namespace {

std::optional<std::uint64_t> takeVarint(ByteView& from)
{
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !from.empty(); shift += 7) {
        const std::uint8_t byte = octet(from.front());
        from = from.subspan(1);
        value |= std::uint64_t{byte & 0x7FU} << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    return std::nullopt;
}

void putVarint(Bytes& to, std::uint64_t value)
{
    while (value > 0x7F) {
        to.push_back(static_cast<std::byte>(0x80 | (value & 0x7F)));
        value >>= 7;
    }
    to.push_back(static_cast<std::byte>(value));
}

} // namespace

std::optional<std::map<std::uint32_t, ProtobufField>> readProtobuf(ByteView message)
{
    std::map<std::uint32_t, ProtobufField> fields;
    while (!message.empty()) {
        const auto key = takeVarint(message);
        if (!key)
            return std::nullopt;
        const auto value = takeVarint(message);
        const auto wireType = *key & 7;
        if (!value || (wireType != 0 && wireType != 2))
            return std::nullopt;
        ProtobufField& field = fields[static_cast<std::uint32_t>(*key >> 3)];
        field = {.number = *value};
        if (wireType == 2) {
            if (*value > message.size())
                return std::nullopt;
            field.bytes = message.first(static_cast<std::size_t>(*value));
            message = message.subspan(field.bytes.size());
        }
    }
    return fields;
}

void putVarintField(Bytes& to, std::uint32_t field, std::uint64_t value)
{
    putVarint(to, std::uint64_t{field} << 3);
    putVarint(to, value);
}

void putBytesField(Bytes& to, std::uint32_t field, ByteView value)
{
    putVarint(to, (std::uint64_t{field} << 3) | 2);
    putVarint(to, value.size());
    to.insert(to.end(), value.begin(), value.end());
}

void putTextField(Bytes& to, std::uint32_t field, std::string_view value)
{
    putBytesField(to, field, octetsOf(value));
}

} // namespace provost::sim
