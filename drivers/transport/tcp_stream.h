// A TCP connection as a byte stream.
#pragma once

#include "transport/serial.h"

#include <memory>
#include <string>

namespace provost {

class TcpStream final : public ByteStream {
public:
    /// Tries every address of `host`. Resolving a name (not a literal address) cannot be stopped.
    /// @returns NotFound  no such host; Unavailable  nobody accepts
    static Result<std::unique_ptr<TcpStream>> connect(const std::string& host, std::uint16_t port,
                                                      const OpContext& op);
    /// Listens there until somebody connects, and to nobody else.
    /// @returns NotFound  no such host; Busy  the port is taken; Io
    static Result<std::unique_ptr<TcpStream>> accept(const std::string& host, std::uint16_t port,
                                                     const OpContext& op);
    /// Takes over a connected socket.
    explicit TcpStream(int connectedFd);
    ~TcpStream() override;

    /// `192.0.2.1:5683`, `[2001:db8::1]:5683`; empty for other families.
    const std::string& peer() const;
    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override;
    Result<> writeAll(ByteView data, const OpContext& op) override;
    Result<> discardInput() override;
    /// Says that nothing more will be written; the other side reads the end of the stream.
    void shutdownWrite();
    /// Gives the connected socket away; the stream is of no use afterwards.
    int release();

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

} // namespace provost
