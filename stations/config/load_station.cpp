#include "config/load_station.h"

#include "config/toml_document.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/secret_file.h"

#include <charconv>
#include <cstdlib>

namespace provost {

namespace {

constexpr std::size_t kLargestWifiPart = 0x34C; // particle-devices 3.1

Result<> readAccessPoint(const TomlTable& table, StationConfig& config)
{
    const auto text = TRY(table.textOr("access_point", ""));
    if (text.empty())
        return {};
    const auto colon = text.rfind(':');
    std::uint16_t port = 0;
    if (colon != std::string::npos && colon > 0) {
        const char* const end = text.data() + text.size();
        if (std::from_chars(text.data() + colon + 1, end, port).ptr != end)
            port = 0;
    }
    if (port == 0)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(table.where("access_point"), ": \"access_point\" must be HOST:PORT"));
    config.accessPointHost = text.substr(0, colon);
    config.accessPointPort = port;
    return {};
}

Result<> readNetwork(const TomlTable& table, const std::filesystem::path& folder,
                     StationConfig& config)
{
    TestNetwork& network = config.settings.network;
    network.ssid = TRY(table.text("ssid"));
    if (table.has("password_file"))
        network.password = TRY(readSecretLine(folder / TRY(table.text("password_file"))));
    if (table.has("wifi_part_file"))
        network.storedPart =
            TRY(readSecretFile(folder / TRY(table.text("wifi_part_file")), kLargestWifiPart));
    network.joinLimit = TRY(table.spanOr("join_limit", network.joinLimit));
    const auto security = TRY(table.integerOr("security", 3));
    if (security < 0 || security > 3)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(table.where("security"),
                           ": \"security\" must be 0 open, 1 WEP, 2 WPA or 3 WPA2"));
    network.security = static_cast<WifiSecurity>(security);
    TRY(readAccessPoint(table, config));
    return table.finish();
}

Result<> readSlots(const TomlTable& document, StationConfig& config)
{
    const auto tables = TRY(document.tables("slot"));
    for (const auto& table : tables) {
        StationSlot slot;
        slot.slot.value = static_cast<int>(TRY(table.integer("number")));
        slot.usb = TRY(table.text("usb"));
        slot.probe = TRY(table.textOr("probe", ""));
        slot.enabled = TRY(table.booleanOr("enabled", true));
        slot.why = TRY(table.textOr("why", ""));
        TRY(table.finish());
        for (const auto& other : config.slots) {
            if (other.slot == slot.slot || other.usb == slot.usb ||
                (!slot.probe.empty() && other.probe == slot.probe))
                return fail(Errc::InvalidData, Blame::Operator,
                            concat(table.where(), ": slot ", slot.slot.value, " at ", slot.usb,
                                   " is there twice"));
        }
        config.slots.push_back(std::move(slot));
    }
    if (config.slots.empty())
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(document.where(), ": a station needs at least one [[slot]]"));
    return {};
}

Result<bool> productionIn(const TomlTable& table)
{
    const auto mode = TRY(table.textOr("mode", "training"));
    if (mode != "production" && mode != "training")
        return fail(
            Errc::InvalidData, Blame::Operator,
            concat(table.where("mode"), ": \"mode\" must be \"production\" or \"training\""));
    return mode == "production";
}

Result<> readStation(const TomlTable& table, const std::filesystem::path& folder,
                     StationConfig& config)
{
    config.settings.name = TRY(table.text("name"));
    config.production = TRY(productionIn(table));
    config.settings.training = !config.production;
    const auto kind = TRY(table.textOr("kind", "line"));
    if (kind != "line" && kind != "key-injection")
        return fail(
            Errc::InvalidData, Blame::Operator,
            concat(table.where("kind"), ": \"kind\" must be \"line\" or \"key-injection\""));
    config.kind = kind == "line" ? StationKind::Line : StationKind::KeyInjection;
    if (table.has("escrow_certificate")) {
        const auto certificate = folder / TRY(table.text("escrow_certificate"));
        config.settings.escrowCertificate = TRY(readFile(certificate));
        config.escrowFolder = certificate.parent_path();
    }
    if (table.has("signing_key"))
        config.signingKey = folder / TRY(table.text("signing_key"));
    if (table.has("checkpoints"))
        config.checkpoints = folder / TRY(table.text("checkpoints"));
    config.settings.backupFolder = TRY(table.textOr("backup_folder", ""));
    return table.finish();
}

Result<KeyTokenConfig> readToken(const TomlTable& table, const std::filesystem::path& folder)
{
    KeyTokenConfig token;
    token.module = TRY(table.text("module"));
    token.label = TRY(table.text("label"));
    token.pin = TRY(readSecretLine(folder / TRY(table.text("pin_file"))));
    TRY(table.finish());
    return token;
}

Result<> readHandshake(const TomlTable& table, const std::filesystem::path& folder,
                       StationConfig& config)
{
    if (table.has("key_passphrase_file"))
        config.keyPassphraseFile = folder / TRY(table.text("key_passphrase_file"));
    config.handshakeHost = TRY(table.text("host"));
    config.handshakePort = static_cast<std::uint16_t>(TRY(table.integerOr("port", 5683)));
    config.cloudFolder = TRY(table.textOr("folder", ""));
    return table.finish();
}

/// What the service manager handed to this program alone (systemd.exec(5), LoadCredential=).
Result<SecretBytes> credential(const std::string& name)
{
    const char* const folder = std::getenv("CREDENTIALS_DIRECTORY");
    if (folder == nullptr || *folder == '\0')
        return fail(Errc::NotFound, Blame::Operator,
                    concat("read the credential ", name,
                           ": CREDENTIALS_DIRECTORY is not set; start the station as the service "
                           "that has LoadCredential=",
                           name, ":…, or name a token_file"));
    return readSecretLine(std::filesystem::path(folder) / std::filesystem::path(name).filename());
}

} // namespace

Result<bool> saysProduction(const std::filesystem::path& file)
{
    const auto document = TRY(TomlTable::load(file));
    const auto station = TRY(document.table("station"));
    return productionIn(station);
}

namespace {

Result<StationConfig> readStationFile(const std::filesystem::path& file)
{
    const auto document = TRY(TomlTable::load(file));
    const auto folder = file.parent_path();
    StationConfig config;
    const auto station = TRY(document.table("station"));
    TRY(readStation(station, folder, config));
    TRY(readSlots(document, config));
    if (document.has("token")) {
        const auto token = TRY(document.table("token"));
        config.token = TRY(readToken(token, folder));
    }
    // A station that only puts keys into units shows them no network.
    const bool line = config.kind == StationKind::Line;
    if (line || document.has("network")) {
        const auto network = TRY(document.table("network"));
        TRY(readNetwork(network, folder, config));
    }
    if (line || document.has("handshake")) {
        const auto handshake = TRY(document.table("handshake"));
        TRY(readHandshake(handshake, folder, config));
    }
    config.cloudIsLocal = !document.has("cloud");
    if (!config.cloudIsLocal) {
        const auto cloud = TRY(document.table("cloud"));
        config.cloudUrl = TRY(cloud.text("url"));
        if (cloud.has("token_file") && cloud.has("token_credential"))
            return fail(Errc::InvalidData, Blame::Operator,
                        concat(cloud.where("token_credential"),
                               ": token_file names the token already: leave one of the two out"));
        if (cloud.has("token_file"))
            config.cloudToken = TRY(readSecretLine(folder / TRY(cloud.text("token_file"))));
        if (cloud.has("token_credential"))
            config.cloudToken = TRY(credential(TRY(cloud.text("token_credential"))));
        if (cloud.has("ca_file"))
            config.cloudCaFile = folder / TRY(cloud.text("ca_file"));
        TRY(cloud.finish());
    }
    TRY(document.finish());
    return config;
}

} // namespace

Result<StationConfig> loadStation(const std::filesystem::path& file)
{
    auto read = readStationFile(file);
    if (!read)
        return Unexpected(withCause(std::move(read).error(), "C044"));
    return read;
}

} // namespace provost
