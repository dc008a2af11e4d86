#include "cli/key_storage.h"

#include "cli/output.h"
#include "config/load_station.h"
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/secret_file.h"
#include "host/host.h"
#include "image/module_info.h"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace provost::cli {

namespace {

constexpr const char* kSystemStation = "/etc/provost/station.toml";

/// Whichever of them says production decides: none of them talks the others out of it.
std::vector<std::filesystem::path> stationFilesHere(const Arguments& arguments)
{
    std::vector<std::filesystem::path> files;
    if (arguments.has("station"))
        files.emplace_back(arguments.text("station"));
    if (const char* configured = std::getenv("PROVOST_CONFIG");
        configured != nullptr && *configured != '\0')
        files.emplace_back(configured);
    std::error_code ignored;
    if (std::filesystem::exists(kSystemStation, ignored))
        files.emplace_back(kSystemStation);
    return files;
}

Result<> record(const Arguments& arguments, std::string_view kind, std::string_view what,
                const std::string& file)
{
    const SystemClock clock;
    const auto database = arguments.has("db") ? std::filesystem::path(arguments.text("db"))
                                              : stateFolder() / "provost.db";
    std::error_code ignored;
    if (database.has_parent_path())
        std::filesystem::create_directories(database.parent_path(), ignored);
    return recordStationEvent(
        database, clock,
        {.kind = std::string(kind), .subject = file, .payload = std::string(what)});
}

Result<Bytes> underPassphrase(const BurnKey& key, const KeyRules& rules,
                              const SecretBytes& passphrase)
{
    if (rules.kind == KeyKind::P256) {
        const auto ec = TRY(EcPrivateKey::fromBytes(key.privateDer.reveal()));
        return ec.toEncryptedPem(passphrase);
    }
    const auto rsa = TRY(RsaPrivateKey::fromBytes(key.privateDer.reveal()));
    return rsa.toEncryptedPem(passphrase);
}

std::string publicPem(const BurnKey& key, const KeyRules& rules)
{
    // What was made a moment ago is read back without fail.
    return rules.kind == KeyKind::P256 ? EcPublicKey::fromDer(key.publicDer)->toPem()
                                       : RsaPublicKey::fromDer(key.publicDer)->toPem();
}

/// Under its name there is the whole key or nothing, wherever the program was killed.
Result<> writeWhole(const std::string& file, ByteView privateKey)
{
    const std::string partial = file + ".partial";
    std::error_code error;
    std::filesystem::remove(partial, error); // of a program that was killed here
    TRY(writeNewFile(partial, privateKey, 0600));
    std::filesystem::create_hard_link(partial, file, error);
    std::error_code ignored;
    std::filesystem::remove(partial, ignored);
    if (error)
        return fail(Errc::Io, Blame::Station, concat("write ", file, ": ", error.message()),
                    error.value());
    return {};
}

/// The public half first: where one of the two exists already, nothing is left behind.
Result<> writePair(const std::string& file, ByteView privateKey, const std::string& pem)
{
    const std::string publicFile = file + ".pub.pem";
    TRY(refuseExisting(file));
    TRY(refuseExisting(publicFile));
    TRY(writeNewFile(publicFile, viewOf(pem), 0644));
    auto written = writeWhole(file, privateKey);
    if (!written) {
        std::error_code ignored;
        std::filesystem::remove(publicFile, ignored);
    }
    return written;
}

} // namespace

Result<KeyRules> keyRulesOf(const Arguments& arguments)
{
    const auto platform = TRY(parsePlatform(arguments.text("platform")));
    std::optional<KeyTransport> transport;
    if (arguments.has("protocol")) {
        const std::string name = lowerCase(arguments.text("protocol"));
        if (name != "tcp" && name != "udp")
            return fail(Errc::InvalidArgument, Blame::Operator,
                        concat("--protocol ", name, ": tcp or udp is meant"));
        transport = name == "tcp" ? KeyTransport::Tcp : KeyTransport::Udp;
    }
    std::optional<FirmwareVersion> firmware;
    if (arguments.has("firmware"))
        firmware = TRY(parseFirmwareVersion(arguments.text("firmware")));
    return provost::keyRulesOf(platform, transport, firmware);
}

std::string_view KeyStorage::suffix() const
{
    return kind == StorageKind::Clear ? ".der" : kind == StorageKind::Encrypted ? ".pem" : ".cms";
}

std::vector<Option> keyStorageOptions()
{
    return {
        {.name = "encrypt", .help = "ask for a passphrase and write encrypted PEM, mode 0600"},
        {.name = "passphrase-file",
         .value = "FILE",
         .help = "its first line instead of asking; means --encrypt"},
        {.name = "escrow",
         .value = "CERT.pem",
         .help = "write a CMS envelope that only the holder of this certificate's key opens"},
        {.name = "clear-key",
         .help = "write the private key in the clear, mode 0600; refused in production"},
        {.name = "station",
         .value = "STATION.toml",
         .help = "the station whose mode counts, beside that of this computer"},
        {.name = "db", .value = "FILE", .help = "where a clear key, or its refusal, is recorded"}};
}

Result<> refuseClearInProduction(const Arguments& arguments, std::string_view what,
                                 const std::string& file)
{
    for (const auto& station : stationFilesHere(arguments)) {
        if (!TRY(saysProduction(station)))
            continue;
        TRY(record(arguments, "clear-key-refused", what, file));
        return fail(Errc::Denied, Blame::Operator,
                    concat(what, " ", file, ": ", station.string(),
                           " says mode = \"production\", where no private key is written in the "
                           "clear; use --escrow or --encrypt. The refusal is on record"));
    }
    return {};
}

namespace {

bool holdsPrivateKeys(const MemoryRange& range)
{
    // First and last byte: both DCT sectors; the RSA and EC key slots; the Core's SPI key.
    constexpr std::array<MemoryRange, 4> kKeyPlaces{{
        {.alternate = 0, .address = 0x08004000, .length = 0x8000},
        {.alternate = 1, .address = 34, .length = 1216},
        {.alternate = 1, .address = 3106, .length = 192},
        {.alternate = 1, .address = 0x2000, .length = 0x400},
    }};
    return std::ranges::any_of(kKeyPlaces, [&](const MemoryRange& place) {
        return place.alternate == range.alternate &&
               std::uint64_t{range.address} < std::uint64_t{place.address} + place.length &&
               std::uint64_t{place.address} < std::uint64_t{range.address} + range.length;
    });
}

} // namespace

std::vector<Option> withMemoryOptions(std::vector<Option> options)
{
    for (auto& option : keyStorageOptions())
        if (option.name == "escrow" || option.name == "clear-key" || option.name == "station" ||
            option.name == "db")
            options.push_back(std::move(option));
    return options;
}

bool namesRealDevice(const Arguments& arguments)
{
    return arguments.positionals()[0].starts_with("usb:");
}

Result<MemoryStorage> memoryStorageOf(const Arguments& arguments, const MemoryRange& range,
                                      bool simulated, const std::string& file)
{
    constexpr std::string_view kWhat = "read memory that holds a private key into";
    constexpr std::size_t kLargestCertificate = 1UL << 20;
    MemoryStorage storage;
    if (arguments.has("escrow") && arguments.has("clear-key"))
        return fail(Errc::InvalidArgument, Blame::Operator,
                    "--clear-key and --escrow exclude each other: name one");
    if (arguments.has("escrow")) {
        storage.certificate = TRY(readFile(arguments.text("escrow"), kLargestCertificate));
        return storage;
    }
    if (simulated || !holdsPrivateKeys(range))
        return storage;
    TRY(refuseClearInProduction(arguments, kWhat, file));
    if (!arguments.has("clear-key"))
        return fail(Errc::Denied, Blame::Operator,
                    concat(kWhat, " ", file,
                           " in the clear: use --escrow CERT.pem, or --clear-key if that is "
                           "meant"));
    TRY(record(arguments, "clear-key-written", "memory of a unit, in the clear on demand", file));
    return storage;
}

Result<> writeMemoryFile(const std::string& file, const SecretBytes& memory,
                         const MemoryStorage& storage)
{
    if (storage.certificate.empty())
        return writeNewFile(file, memory.reveal(), 0600);
    return writeNewFile(file, TRY(sealToCertificate(storage.certificate, memory.reveal())), 0600);
}

Result<KeyStorage> keyStorageOf(const Arguments& arguments)
{
    const bool clear = arguments.has("clear-key");
    const bool encrypted = arguments.has("encrypt") || arguments.has("passphrase-file");
    const bool escrow = arguments.has("escrow");
    const std::string file = arguments.text("out");
    if (clear + encrypted + escrow > 1)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    "--clear-key, --encrypt and --escrow exclude each other: name one");
    if (clear + encrypted + escrow == 0)
        return fail(Errc::Denied, Blame::Operator,
                    concat("write a private key to ", file,
                           " in the clear: use --encrypt or --escrow, or --clear-key if that is "
                           "meant"));
    KeyStorage storage;
    if (clear) {
        TRY(refuseClearInProduction(arguments, "write a clear key to", file));
        TRY(record(arguments, "clear-key-written", "written in the clear on demand", file));
        storage.kind = StorageKind::Clear;
    } else if (escrow) {
        storage.kind = StorageKind::Escrow;
        storage.certificate = TRY(readFile(arguments.text("escrow"), 1UL << 20));
    } else if (arguments.has("passphrase-file")) {
        storage.passphrase = TRY(readSecretLine(arguments.text("passphrase-file")));
    } else {
        const StopSignal stop;
        storage.passphrase = TRY(askPassphrase(stop.token()));
    }
    return storage;
}

Result<> refuseExisting(const std::string& file)
{
    if (std::filesystem::exists(std::filesystem::symlink_status(file)))
        return fail(Errc::Denied, Blame::Operator,
                    concat("write ", file,
                           ": it exists already and is never overwritten; name another file"));
    return {};
}

Result<WrittenKey> writeKeyPair(const std::string& file, const KeyRules& rules,
                                const KeyStorage& storage, const BurnKey& key)
{
    const std::string pem = publicPem(key, rules);
    if (storage.kind == StorageKind::Clear) {
        TRY(writePair(file, key.privateDer.reveal(), pem));
        return WrittenKey{.encoding = rules.kind == KeyKind::P256 ? "sec1" : "pkcs1",
                          .length = key.privateDer.size()};
    }
    const bool escrow = storage.kind == StorageKind::Escrow;
    const Bytes sealed =
        TRY(escrow ? sealToCertificate(storage.certificate, key.privateDer.reveal())
                   : underPassphrase(key, rules, storage.passphrase));
    TRY(writePair(file, sealed, pem));
    return WrittenKey{.encoding = escrow ? "cms" : "encrypted-pkcs8", .length = sealed.size()};
}

} // namespace provost::cli
