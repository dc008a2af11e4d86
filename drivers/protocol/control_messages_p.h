// Messages of queued control requests: as much of the protocol buffers' wire format as they need
// (particle-devices 1.3).
#pragma once

#include "core/result.h"
#include "crypto/secret_bytes.h"

#include <optional>
#include <string_view>

namespace provost::control {

/// Appends fields; the numbers are those of the request's table.
class MessageWriter {
public:
    MessageWriter& number(unsigned field, std::uint64_t value);
    MessageWriter& bytes(unsigned field, ByteView value);
    MessageWriter& text(unsigned field, std::string_view value);
    const Bytes& message() const { return m_message; }
    /// What was written, and a secret behind it as the last field. Nothing else keeps a copy.
    SecretBytes withSecret(unsigned field, ByteView secret) const;

private:
    void varint(std::uint64_t value);
    Bytes m_message{};
};

/// Of a received message; views point into it. A field that is not there is 0 or empty, as its
/// sender may leave out what is 0.
class MessageReader {
public:
    /// @returns InvalidData  no such message
    static Result<MessageReader> read(ByteView message);
    std::uint64_t number(unsigned field) const;
    ByteView bytes(unsigned field) const;

private:
    struct Field {
        unsigned number = 0;
        std::uint64_t value = 0;
        ByteView bytes{};
    };
    const Field* find(unsigned number) const;
    std::vector<Field> m_fields{};
};

} // namespace provost::control
