#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/control_messages_p.h"

#include <algorithm>
#include <ranges>

namespace provost::control {

namespace {

enum WireType : std::uint8_t { Varint = 0, Delimited = 2 };

/// nullopt: it does not end, or is longer than 64 bits.
std::optional<std::uint64_t> readVarint(ByteView message, std::size_t& at)
{
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (at >= message.size())
            return std::nullopt;
        const std::uint8_t next = u8(message[at++]);
        value |= static_cast<std::uint64_t>(next & 0x7F) << shift;
        if (next < 0x80)
            return value;
    }
    return std::nullopt;
}

Unexpected noMessage(ByteView message)
{
    return fail(Errc::InvalidData, Blame::Unit,
                concat("read the unit's answer to a control request: ", message.size(),
                       " bytes are no message"));
}

} // namespace

void MessageWriter::varint(std::uint64_t value)
{
    while (value >= 0x80) {
        m_message.push_back(static_cast<std::byte>(value | 0x80));
        value >>= 7;
    }
    m_message.push_back(static_cast<std::byte>(value));
}

MessageWriter& MessageWriter::number(unsigned field, std::uint64_t value)
{
    varint(field << 3 | Varint);
    varint(value);
    return *this;
}

MessageWriter& MessageWriter::bytes(unsigned field, ByteView value)
{
    varint(field << 3 | Delimited);
    varint(value.size());
    m_message.insert(m_message.end(), value.begin(), value.end());
    return *this;
}

MessageWriter& MessageWriter::text(unsigned field, std::string_view value)
{
    return bytes(field, viewOf(value));
}

SecretBytes MessageWriter::withSecret(unsigned field, ByteView secret) const
{
    MessageWriter head = *this;
    head.varint(field << 3 | Delimited);
    head.varint(secret.size());
    const Bytes& before = head.m_message;
    SecretBytes whole(before.size() + secret.size());
    std::ranges::copy(before, whole.writable().begin());
    std::ranges::copy(secret, whole.writable().subspan(before.size()).begin());
    return whole;
}

Result<MessageReader> MessageReader::read(ByteView message)
{
    MessageReader reader;
    for (std::size_t at = 0; at < message.size();) {
        const auto tag = readVarint(message, at);
        const auto value = tag ? readVarint(message, at) : std::nullopt;
        if (!value)
            return noMessage(message);
        Field field{.number = static_cast<unsigned>(*tag >> 3), .value = *value};
        if ((*tag & 7) == Delimited) {
            if (*value > message.size() - at)
                return noMessage(message);
            field.bytes = message.subspan(at, static_cast<std::size_t>(*value));
            at += field.bytes.size();
        } else if ((*tag & 7) != Varint) {
            return noMessage(message);
        }
        reader.m_fields.push_back(field);
    }
    return reader;
}

/// The last one counts.
const MessageReader::Field* MessageReader::find(unsigned number) const
{
    const auto backwards = std::views::reverse(m_fields);
    const auto found = std::ranges::find(backwards, number, &Field::number);
    return found == backwards.end() ? nullptr : &*found;
}

std::uint64_t MessageReader::number(unsigned field) const
{
    const Field* const found = find(field);
    return found == nullptr ? 0 : found->value;
}

ByteView MessageReader::bytes(unsigned field) const
{
    const Field* const found = find(field);
    return found == nullptr ? ByteView{} : found->bytes;
}

} // namespace provost::control
