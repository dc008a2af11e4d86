#include "host/cloud_link.h"

#include "core/byte_io.h"
#include "core/durable_file.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/secret_file.h"
#include "host/folders.h"

#include <QString>
#include <QUrl>

namespace provost {

Result<std::unique_ptr<CloudLink>>
CloudLink::open(StationConfig& station, const std::filesystem::path& database, const Clock& clock)
{
    CloudServiceConfig config;
    config.folder = station.cloudFolder.empty()
                        ? database.parent_path() / (database.stem().string() + "-cloud")
                        : station.cloudFolder;
    config.rest = station.cloudIsLocal;
    config.keyPassphrase = TRY(serverKeyPassphrase(station.keyPassphraseFile));
    config.handshakeHost = station.handshakeHost;
    config.handshakePort = station.handshakePort;
    TRY(makeFolder(config.folder));
    auto started = CloudService::start(std::move(config), clock);
    if (!started)
        return Unexpected(withCause(std::move(started).error(), "C071"));
    auto link = std::unique_ptr<CloudLink>(new CloudLink);
    link->m_service = TRY(std::move(started));
    auto& service = *link->m_service;
    link->m_handshakes = std::make_unique<LocalHandshakeServer>(service);
    link->m_client = std::make_unique<HttpProvisioningClient>(
        HttpClientConfig{.baseUrl = station.cloudIsLocal ? service.baseUrl() : station.cloudUrl,
                         .token = std::move(station.cloudToken),
                         .caFile = station.cloudCaFile});
    return link;
}

Result<SecretBytes> serverKeyPassphrase(const std::filesystem::path& file)
{
    if (!file.empty())
        return readSecretLine(file);
    const auto own = stateFolder() / "credentials" / "server-key-passphrase";
    auto kept = readSecretLine(own);
    if (kept || kept.error().code != Errc::NotFound)
        return kept;
    constexpr std::size_t kRandomBytes = 32;
    TRY(makeFolder(own.parent_path()));
    Bytes random = TRY(randomBytes(kRandomBytes));
    std::string line = toHex(random) + "\n";
    auto made = writeDurably(own, viewOf(line), 0600);
    wipe(random);
    wipe(std::as_writable_bytes(std::span(line)));
    TRY(std::move(made));
    return readSecretLine(own);
}

bool isLoopbackUrl(const std::string& url)
{
    const QString host = QUrl(QString::fromStdString(url)).host();
    return host == QLatin1String("localhost") || host.startsWith(QLatin1String("127."));
}

} // namespace provost
