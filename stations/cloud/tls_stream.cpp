#include "cloud/tls_stream_p.h"

#include "core/text.h"
#include "crypto/secret_file.h"

#include <QHostAddress>
#include <QSslCertificate>
#include <QSslKey>
#include <unistd.h>

namespace provost {

namespace {

/// A stop is seen at most one slice later.
constexpr int kTlsSliceMs = 50;
constexpr std::size_t kLargestTlsKey = 64UL * 1024;

QSslKey tlsKeyIn(const SecretBytes& pem)
{
    const ByteView bytes = pem.reveal();
    const auto text =
        QByteArray::fromRawData(static_cast<const char*>(static_cast<const void*>(bytes.data())),
                                static_cast<qsizetype>(bytes.size()));
    for (const auto algorithm : {QSsl::Ec, QSsl::Rsa}) {
        const QSslKey key(text, algorithm);
        if (!key.isNull())
            return key;
    }
    return {};
}

} // namespace

Result<QSslConfiguration> serverTls(const std::filesystem::path& certificate,
                                    const std::filesystem::path& key)
{
    const auto chain =
        QSslCertificate::fromPath(QString::fromStdString(certificate.string()), QSsl::Pem);
    if (chain.isEmpty())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("serve TLS: ", certificate.string(),
                           " holds no PEM certificate; give one with --tls-cert"));
    const QSslKey own = tlsKeyIn(TRY(readSecretFile(key, kLargestTlsKey)));
    if (own.isNull())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("serve TLS: ", key.string(),
                           " holds no PEM private key of RSA or EC; give one with --tls-key"));
    QSslConfiguration tls = QSslConfiguration::defaultConfiguration();
    tls.setProtocol(QSsl::TlsV1_2OrLater);
    tls.setPeerVerifyMode(QSslSocket::VerifyNone); // clients show a token, no certificate
    tls.setLocalCertificateChain(chain);
    tls.setPrivateKey(own);
    return tls;
}

Result<std::unique_ptr<TlsStream>> TlsStream::accept(int fd, const QSslConfiguration& tls,
                                                     const OpContext& op)
{
    std::unique_ptr<TlsStream> stream(new TlsStream);
    QSslSocket& socket = stream->m_socket;
    if (!socket.setSocketDescriptor(fd)) {
        ::close(fd);
        return fail(Errc::Io, Blame::Station, "take over an accepted connection for TLS");
    }
    socket.setSslConfiguration(tls);
    socket.startServerEncryption();
    while (!socket.isEncrypted()) {
        TRY(op.checkpoint());
        if (!socket.waitForEncrypted(kTlsSliceMs) &&
            socket.state() != QAbstractSocket::ConnectedState)
            return fail(Errc::Protocol, Blame::Cloud,
                        concat("speak TLS with ", stream->peer(), ": ",
                               socket.errorString().toStdString()));
    }
    return stream;
}

Result<std::size_t> TlsStream::readSome(ByteSpan to, const OpContext& op)
{
    ENSURE(!to.empty());
    while (m_socket.bytesAvailable() == 0) {
        TRY(op.checkpoint());
        if (!m_socket.waitForReadyRead(kTlsSliceMs) && m_socket.bytesAvailable() == 0 &&
            m_socket.state() != QAbstractSocket::ConnectedState)
            return fail(Errc::Disconnected, Blame::Cloud,
                        concat("read from ", peer(), ": the other side closed the connection"));
    }
    const auto count = m_socket.read(static_cast<char*>(static_cast<void*>(to.data())),
                                     static_cast<qint64>(to.size()));
    if (count <= 0)
        return fail(Errc::Io, Blame::Cloud,
                    concat("read from ", peer(), ": ", m_socket.errorString().toStdString()));
    return static_cast<std::size_t>(count);
}

Result<> TlsStream::writeAll(ByteView data, const OpContext& op)
{
    TRY(op.checkpoint());
    const auto size = static_cast<qint64>(data.size());
    if (m_socket.write(static_cast<const char*>(static_cast<const void*>(data.data())), size) !=
        size)
        return fail(Errc::Disconnected, Blame::Cloud,
                    concat("write to ", peer(), ": ", m_socket.errorString().toStdString()));
    while (m_socket.bytesToWrite() > 0 || m_socket.encryptedBytesToWrite() > 0) {
        TRY(op.checkpoint());
        if (!m_socket.waitForBytesWritten(kTlsSliceMs) &&
            m_socket.state() != QAbstractSocket::ConnectedState)
            return fail(Errc::Disconnected, Blame::Cloud,
                        concat("write to ", peer(), ": the other side closed the connection"));
    }
    return {};
}

Result<> TlsStream::discardInput()
{
    m_socket.readAll();
    return {};
}

std::string TlsStream::peer() const
{
    return concat(m_socket.peerAddress().toString().toStdString(), ":", m_socket.peerPort());
}

void TlsStream::shutdownWrite()
{
    m_socket.disconnectFromHost(); // tells the peer, and sends what is left
}

} // namespace provost
