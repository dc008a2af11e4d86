// What a console has said and nobody has used yet.
#pragma once

#include "crypto/secret_bytes.h"
#include "transport/serial.h"

#include <algorithm>
#include <string_view>

namespace provost {

/// Received text. The unit echoes what is typed, a password included: the buffer never moves and
/// is wiped when it goes.
class ConsoleWindow {
public:
    ConsoleWindow() : m_bytes(kWindowBytes) {}

    std::string_view text() const
    {
        return {static_cast<const char*>(static_cast<const void*>(m_bytes.reveal().data())),
                m_size};
    }
    void drop(std::size_t count)
    {
        const ByteSpan all = m_bytes.writable();
        std::move(all.begin() + static_cast<std::ptrdiff_t>(count),
                  all.begin() + static_cast<std::ptrdiff_t>(m_size), all.begin());
        wipe(all.subspan(m_size - count, count));
        m_size -= count;
    }
    void clear() { drop(m_size); }

    Result<> readMore(ByteStream& line, const OpContext& op)
    {
        const ByteSpan room = m_bytes.writable().subspan(m_size);
        if (room.empty())
            return fail(Errc::Protocol, Blame::Unit, "read from the unit: it never stops talking");
        m_size += TRY(line.readSome(room, op));
        return {};
    }

private:
    // The longest answer is the module report, below 4 KiB.
    static constexpr std::size_t kWindowBytes = 32 * 1024;
    SecretBytes m_bytes;
    std::size_t m_size = 0;
};

} // namespace provost
