// The server's half of TLS on an accepted socket.
#pragma once

#include "core/op_context.h"
#include "transport/serial.h"

#include <QSslConfiguration>
#include <QSslSocket>
#include <filesystem>
#include <memory>

namespace provost {

/// Certificate chain and key, TLS 1.2 or later.
/// @returns InvalidArgument  one of the files is missing or holds none of it
Result<QSslConfiguration> serverTls(const std::filesystem::path& certificate,
                                    const std::filesystem::path& key);

/// Used by one thread, which needs no event loop.
class TlsStream final : public ByteStream {
public:
    /// Owns the socket. @returns Protocol  the peer does not speak TLS, or will not with us
    static Result<std::unique_ptr<TlsStream>> accept(int fd, const QSslConfiguration& tls,
                                                     const OpContext& op);
    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override;
    Result<> writeAll(ByteView data, const OpContext& op) override;
    Result<> discardInput() override;
    std::string peer() const;
    void shutdownWrite();

private:
    TlsStream() = default;
    QSslSocket m_socket{};
};

} // namespace provost
