// What goes over one connection, kept as a capture file: no privileges, no packets needed.
#pragma once

#include "core/clock.h"
#include "transport/serial.h"

#include <filesystem>
#include <string>

namespace provost {

/// Passes everything on to `line` and remembers it. For one thread, as the stream is.
class TcpRecorder final : public ByteStream {
public:
    /// @param peer  whom the line leads to, "127.0.0.1:5683"; where that is no IPv4 address, one
    ///              that documentation uses stands in the file (RFC 5737)
    /// Both outlive it.
    TcpRecorder(ByteStream& line, const Clock& clock, const std::string& peer);

    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override;
    Result<> writeAll(ByteView data, const OpContext& op) override;
    Result<> discardInput() override { return m_line.discardInput(); }

    /// pcap of raw IPv4, from the SYN on: this side is the client. Addresses of this side and
    /// sequence numbers are made up; bytes, order and times are not.
    /// @returns Denied  the file exists; Io
    Result<> writeFile(const std::filesystem::path& file) const;

private:
    enum class From : std::uint8_t { Client, Server };
    void segment(From from, std::uint8_t flags, ByteView payload);

    ByteStream& m_line;
    const Clock& m_clock;
    const Clock::Utc m_begunUtc;
    const Clock::Steady m_begun;
    std::uint32_t m_serverAddress = 0;
    std::uint16_t m_serverPort = 0;
    std::uint32_t m_clientSequence = 1000;
    std::uint32_t m_serverSequence = 2000;
    Bytes m_packets{};
};

} // namespace provost
