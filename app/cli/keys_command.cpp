// `provost keys …`
#include "cli/commands.h"
#include "cli/output.h"
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/key_file.h"
#include "crypto/secret_file.h"
#include "image/module_info.h"

namespace provost::cli {

namespace {

constexpr std::size_t kLargestKeyInput = std::size_t{1} << 20;

Result<KeyRules> rulesOf(const Arguments& arguments)
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
    return keyRulesOf(platform, transport, firmware);
}

enum class Storage : std::uint8_t { Clear, Encrypted, Escrow };

/// A private key is never written in the clear because somebody forgot an option.
Result<Storage> storageOf(const Arguments& arguments)
{
    const bool clear = arguments.has("clear-key");
    const bool encrypted = arguments.has("encrypt") || arguments.has("passphrase-file");
    const bool escrow = arguments.has("escrow");
    if (clear + encrypted + escrow > 1)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    "--clear-key, --encrypt and --escrow exclude each other: name one");
    if (clear + encrypted + escrow == 0)
        return fail(Errc::Denied, Blame::Operator,
                    concat("write a private key to ", arguments.text("out"),
                           " in the clear: use --encrypt or --escrow, or --clear-key if that is "
                           "meant"));
    return clear ? Storage::Clear : encrypted ? Storage::Encrypted : Storage::Escrow;
}

Result<SecretBytes> passphraseOf(const Arguments& arguments)
{
    if (arguments.has("passphrase-file"))
        return readSecretLine(arguments.text("passphrase-file"));
    const StopSignal stop;
    return askPassphrase(stop.token());
}

Result<> refuseExisting(const std::string& file)
{
    if (std::filesystem::exists(std::filesystem::symlink_status(file)))
        return fail(Errc::Denied, Blame::Operator,
                    concat("write ", file,
                           ": it exists already and is never overwritten; name another file"));
    return {};
}

/// The public half first: where one of the two exists already, nothing is left behind.
Result<> writePair(const std::string& file, ByteView privateKey, const std::string& publicPem)
{
    const std::string publicFile = file + ".pub.pem";
    TRY(refuseExisting(file));
    TRY(refuseExisting(publicFile));
    TRY(writeNewFile(publicFile, viewOf(publicPem), 0644));
    auto written = writeNewFile(file, privateKey, 0600);
    if (!written) {
        std::error_code ignored;
        std::filesystem::remove(publicFile, ignored);
    }
    return written;
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

void tellWritten(const Arguments& arguments, const KeyRules& rules, const BurnKey& key,
                 std::string_view encoding, std::size_t length)
{
    const std::string file = arguments.text("out");
    const bool ec = rules.kind == KeyKind::P256;
    if (arguments.has("json"))
        printJson({{"event", "key"},
                   {"file", file},
                   {"public", file + ".pub.pem"},
                   {"encoding", encoding},
                   {"bits", ec ? 256 : 1024},
                   {"length", length},
                   {"fingerprint", key.fingerprint}});
    else
        printText(concat(file, ": private key, ", ec ? "P-256" : "RSA-1024", ", ", encoding, ", ",
                         length, " bytes, mode 0600\n", file, ".pub.pem: public key, SHA-256 ",
                         key.fingerprint));
}

/// As the user said that it may lie on disk: for a passphrase, for an escrow key, or in the clear.
Result<> writeKey(const Arguments& arguments, const KeyRules& rules, Storage storage,
                  const BurnKey& key)
{
    const std::string file = arguments.text("out");
    const std::string pem = publicPem(key, rules);
    if (storage == Storage::Clear) {
        TRY(writePair(file, key.privateDer.reveal(), pem));
        tellWritten(arguments, rules, key, rules.kind == KeyKind::P256 ? "sec1" : "pkcs1",
                    key.privateDer.size());
        return {};
    }
    Bytes sealed;
    if (storage == Storage::Encrypted) {
        const auto passphrase = TRY(passphraseOf(arguments));
        sealed = TRY(underPassphrase(key, rules, passphrase));
    } else {
        const Bytes certificate = TRY(readFile(arguments.text("escrow"), 1UL << 20));
        sealed = TRY(sealToCertificate(certificate, key.privateDer.reveal()));
    }
    TRY(writePair(file, sealed, pem));
    tellWritten(arguments, rules, key, storage == Storage::Encrypted ? "encrypted-pkcs8" : "cms",
                sealed.size());
    return {};
}

Result<> makeKey(const Arguments& arguments)
{
    const auto rules = TRY(rulesOf(arguments));
    const auto storage = TRY(storageOf(arguments));
    TRY(refuseExisting(arguments.text("out")));
    const auto key = TRY(generateKeyFor(rules));
    return writeKey(arguments, rules, storage, key);
}

/// Of the file that is read; empty where none is named.
Result<SecretBytes> openingPassphrase(const Arguments& arguments)
{
    if (arguments.has("open-with"))
        return readSecretLine(arguments.text("open-with"));
    return SecretBytes();
}

Result<> convertKey(const Arguments& arguments)
{
    const auto rules = TRY(rulesOf(arguments));
    const auto storage = TRY(storageOf(arguments));
    TRY(refuseExisting(arguments.text("out")));
    const auto passphrase = TRY(openingPassphrase(arguments));
    const auto bytes = TRY(readSecretFile(arguments.positionals()[0], kLargestKeyInput));
    auto key = reencodeForUnit(bytes.reveal(), rules, passphrase);
    if (!key && key.error().code == Errc::InvalidData)
        return Unexpected(inFrame(std::move(key).error(), arguments.positionals()[0]));
    const BurnKey made = TRY(std::move(key));
    return writeKey(arguments, rules, storage, made);
}

/// 0 stands for a number that is not known.
JsonValue knownOrNull(std::size_t value)
{
    return value == 0 ? JsonValue() : JsonValue(value);
}
std::string knownOrQuestion(std::size_t value)
{
    return value == 0 ? "?" : std::to_string(value);
}

constexpr std::string_view kCure =
    "re-encode it: provost keys convert FILE --platform P --out NEW --encrypt";

Exit checkServer(const Arguments& arguments, ByteView bytes, const KeyRules& rules)
{
    const auto pem = RsaPublicKey::fromText(bytes);
    const Bytes der = pem ? pem->toDer() : Bytes();
    const bool isDer = !bytes.empty() && bytes.front() == std::byte{0x30};
    const auto reading = readServerAsUnit(pem && !isDer ? ByteView(der) : bytes, rules);
    if (arguments.has("json")) {
        printJson({{"readable", reading.usable},
                   {"reason", textOrNull(reading.reason)},
                   {"encoding", reading.encoding},
                   {"bits", knownOrNull(static_cast<std::size_t>(reading.bits))},
                   {"length", bytes.size()},
                   {"fingerprint", textOrNull(reading.fingerprint)},
                   {"address", JsonObject{{"type", reading.addressType},
                                          {"host", textOrNull(reading.host)},
                                          {"port", knownOrNull(reading.port)}}}});
    } else {
        printText(concat(
            arguments.positionals()[0], ": server key, ", reading.encoding, ", ",
            knownOrQuestion(static_cast<std::size_t>(reading.bits)), " bits, ", bytes.size(),
            " bytes; address: ", reading.host.empty() ? "none, the default cloud" : reading.host,
            reading.port != 0 ? concat(":", reading.port) : std::string{}));
        printText(reading.usable ? "usable by the unit, SHA-256 " + reading.fingerprint
                                 : "NOT usable by the unit: " + reading.reason);
    }
    return reading.usable ? Exit::Pass : Exit::Fail;
}

Exit tellReading(const Arguments& arguments, const KeyReading& reading)
{
    const std::string fingerprint = reading.fingerprint();
    const auto bits = static_cast<std::size_t>(reading.bits);
    if (arguments.has("json")) {
        printJson({{"readable", reading.readable},
                   {"reason", textOrNull(reading.reason)},
                   {"encoding", reading.encoding},
                   {"bits", knownOrNull(bits)},
                   {"length", knownOrNull(reading.length)},
                   {"fingerprint", textOrNull(fingerprint)},
                   {"cure", reading.curable ? JsonValue(kCure) : JsonValue()}});
        return reading.readable ? Exit::Pass : Exit::Fail;
    }
    printText(concat(arguments.positionals()[0], ": ", reading.encoding, ", ",
                     knownOrQuestion(bits), " bits, ", knownOrQuestion(reading.length), " bytes"));
    if (reading.readable)
        printText("readable by the unit, public key SHA-256 " + fingerprint);
    else
        printText("NOT readable by the unit: " + reading.reason);
    if (reading.curable)
        printText(std::string(kCure));
    return reading.readable ? Exit::Pass : Exit::Fail;
}

Result<Exit> judged(const Arguments& arguments)
{
    const auto rules = TRY(rulesOf(arguments));
    const auto passphrase = TRY(openingPassphrase(arguments));
    const auto bytes = TRY(readSecretFile(arguments.positionals()[0], kLargestKeyInput));
    if (arguments.has("server"))
        return checkServer(arguments, bytes.reveal(), rules);
    return tellReading(arguments, judgeKeyFile(bytes.reveal(), rules, passphrase));
}

Exit check(const Arguments& arguments)
{
    const auto exit = judged(arguments);
    return exit ? *exit : report(exit.error(), arguments);
}

} // namespace

std::vector<Command> keysCommands()
{
    const Option platform{
        .name = "platform", .value = "P", .help = "name or number: photon, 6", .required = true};
    const Option protocol{.name = "protocol",
                          .value = "tcp|udp",
                          .help = "which of an Electron's two slots; else the platform's default"};
    const Option firmware{
        .name = "firmware", .value = "VERSION", .help = "system firmware, 0.6.3; else the newest"};
    const Option openWith{.name = "open-with",
                          .value = "FILE",
                          .help = "its first line is the passphrase of the key that is read"};
    const Option out{.name = "out",
                     .value = "FILE",
                     .help = "private key; FILE.pub.pem beside it",
                     .required = true};
    const std::vector<Option> storage{
        {.name = "encrypt", .help = "ask for a passphrase and write encrypted PEM, mode 0600"},
        {.name = "passphrase-file",
         .value = "FILE",
         .help = "its first line instead of asking; means --encrypt"},
        {.name = "escrow",
         .value = "CERT.pem",
         .help = "write a CMS envelope that only the holder of this certificate's key opens"},
        {.name = "clear-key", .help = "write the private key in the clear, mode 0600"}};
    const auto with = [&](std::vector<Option> options) {
        options.insert(options.end(), storage.begin(), storage.end());
        return options;
    };
    return {{.path = "keys new",
             .summary = "Makes a key as the platform reads it; never overwrites",
             .options = with({platform, protocol, out}),
             .example = "provost keys new --platform photon --out unit.der --clear-key",
             .run = [](const Arguments& a) { return reportIfFailed(makeKey(a), a); },
             .notes = "Clear keys are in the unit's own form: PKCS#1 DER of 611 bytes, for an "
                      "Electron SEC1 DER of 121;\nencrypted ones are PKCS#8 PEM (PBES2, AES-256), "
                      "to be opened with: openssl rsa -in FILE -traditional"},
            {.path = "keys check",
             .summary = "Checks a key file with the unit's own reading rules",
             .positionals = "FILE",
             .minPositionals = 1,
             .maxPositionals = 1,
             .options = {platform,
                         protocol,
                         firmware,
                         openWith,
                         {.name = "server",
                          .help = "FILE is for the server key slot: key and address record"}},
             .example = "provost keys check unit.der --platform photon --json",
             .run = check,
             .looksOnly = true},
            {.path = "keys convert",
             .summary = "Writes the same key in the form that the unit reads; never overwrites",
             .positionals = "FILE",
             .minPositionals = 1,
             .maxPositionals = 1,
             .options = with({platform, protocol, openWith, out}),
             .example = "provost keys convert unit.der --platform photon --out copy.der "
                        "--clear-key",
             .run = [](const Arguments& a) { return reportIfFailed(convertKey(a), a); },
             .notes = "FILE  PKCS#1, PKCS#8 or SEC1, PEM or DER, encrypted or not; what comes out "
                      "was tried with the\n      unit's own reader"}};
}

} // namespace provost::cli
