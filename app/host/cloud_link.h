// The cloud as this station has it: its own on this computer or one elsewhere, and the endpoint
// that units prove their keys against.
#pragma once

#include "cloud/cloud_service.h"
#include "cloud/http_provisioning_client.h"
#include "cloud/local_handshake_server.h"
#include "config/load_station.h"

#include <filesystem>
#include <memory>

namespace provost {

/// Thread-safe.
class CloudLink {
public:
    /// Starts the endpoint, and the registry where the station serves its own. Takes the token out
    /// of `station`; `clock` outlives it.
    ///
    /// @param database  beside it lies the folder of a cloud that the station's file does not name
    /// @returns C071  what CloudService::start() says; a passphrase that cannot be read
    static Result<std::unique_ptr<CloudLink>>
    open(StationConfig& station, const std::filesystem::path& database, const Clock& clock);

    HttpProvisioningClient& client() { return *m_client; }
    LocalHandshakeServer& handshakes() { return *m_handshakes; }

private:
    CloudLink() = default;

    std::unique_ptr<CloudService> m_service{};
    std::unique_ptr<HttpProvisioningClient> m_client{};
    std::unique_ptr<LocalHandshakeServer> m_handshakes{};
};

/// The passphrase of a key of the station's own, of its server or of its signature: the first line
/// of `file`; where none is named, of the program's own credential in the state folder, which is
/// made once (mode 0600).
Result<SecretBytes> serverKeyPassphrase(const std::filesystem::path& file);

/// Whether that URL names this computer.
bool isLoopbackUrl(const std::string& url);

} // namespace provost
