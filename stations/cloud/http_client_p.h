// What the parts of the HTTP client share.
#pragma once

#include "cloud/http_provisioning_client.h"
#include "core/byte_io.h"

#include <QByteArray>
#include <QNetworkRequest>

namespace provost {

enum class HttpVerb : std::uint8_t { Get, Post, Put, Delete };

inline QByteArray httpBytes(std::string_view text)
{
    return {text.data(), static_cast<qsizetype>(text.size())};
}

struct HttpProvisioningClient::Request {
    std::string attempt{}; ///< for messages
    std::string path{};
    HttpVerb verb = HttpVerb::Get;
    std::string form{}; ///< of a POST or PUT
    std::string idempotencyKey{};
};

struct HttpProvisioningClient::Answer {
    int status = 0;
    QByteArray body{};
    std::chrono::milliseconds took{};
};

/// `Bearer TOKEN` as Qt takes it, overwritten when the request is over. Requests and replies share
/// this very memory; what Qt puts together for the line it frees by itself.
class WipedHeader {
public:
    explicit WipedHeader(const SecretBytes& token)
    {
        const ByteView bytes = token.reveal();
        m_value.reserve(kBearer.size() + static_cast<qsizetype>(bytes.size()));
        m_value.append(kBearer);
        for (const std::byte each : bytes)
            m_value.append(static_cast<char>(each));
    }
    ~WipedHeader()
    {
        // Not data(): that would detach, and leave the shared bytes as they are.
        auto* shared = const_cast<char*>(m_value.constData()); // NOLINT: the one owner left wipes
        wipe(std::as_writable_bytes(std::span(shared, static_cast<std::size_t>(m_value.size()))));
    }
    WipedHeader(const WipedHeader&) = delete;
    WipedHeader& operator=(const WipedHeader&) = delete;
    const QByteArray& value() const { return m_value; }

private:
    static constexpr QByteArrayView kBearer{"Bearer "};
    QByteArray m_value{};
};

/// A refusal in the terms of ProvisioningClient.
Unexpected httpRefusal(const std::string& attempt, int status, const QByteArray& body);

/// Also where one is named that cannot be read: to go on without it would ask strangers.
Result<> trustOwnAuthority(QNetworkRequest& message, const std::filesystem::path& file,
                           const std::string& attempt);

} // namespace provost
