// The engine's handshake endpoint, on the device port of a cloud service in this process.
#pragma once

#include "cloud/cloud_service.h"
#include "engine/ports.h"

namespace provost {

/// Thread-safe. Expectations may outlive it; they then wait for connections that do not come.
class LocalHandshakeServer final : public HandshakeServer {
public:
    /// @param service  must outlive this
    explicit LocalHandshakeServer(CloudService& service);
    ~LocalHandshakeServer() override;

    std::string host() const override;
    std::uint16_t port() const override;
    RsaPublicKey serverKey() const override;
    /// Where the registry holds another key than the unit, no connection of the unit passes: the
    /// report has cause `registered-key-differs`.
    /// @returns InvalidArgument  no device id; InvalidData  no RSA public key
    Result<std::unique_ptr<Expectation>> expect(const UnitIdentity& unit, Bytes publicKeyDer,
                                                HandshakeListener onMessage) override;

private:
    class Book;
    CloudService& m_service;
    std::shared_ptr<Book> m_book;
};

} // namespace provost
