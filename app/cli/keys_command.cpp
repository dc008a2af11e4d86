// `provost keys …`
#include "cli/commands.h"
#include "cli/key_storage.h"
#include "cli/output.h"
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/key_file.h"
#include "crypto/secret_file.h"

namespace provost::cli {

namespace {

constexpr std::size_t kLargestKeyInput = std::size_t{1} << 20;

/// What was written, and under which name.
void tellWritten(const Arguments& arguments, const KeyRules& rules, const BurnKey& key,
                 const WrittenKey& written)
{
    const std::string file = arguments.text("out");
    const bool ec = rules.kind == KeyKind::P256;
    if (arguments.has("json"))
        printJson({{"event", "key"},
                   {"file", file},
                   {"public", file + ".pub.pem"},
                   {"encoding", written.encoding},
                   {"bits", ec ? 256 : 1024},
                   {"length", written.length},
                   {"fingerprint", key.fingerprint}});
    else
        printText(concat(file, ": private key, ", ec ? "P-256" : "RSA-1024", ", ", written.encoding,
                         ", ", written.length, " bytes, mode 0600\n", file,
                         ".pub.pem: public key, SHA-256 ", key.fingerprint));
}

Result<> writeKey(const Arguments& arguments, const KeyRules& rules, const KeyStorage& storage,
                  const BurnKey& key)
{
    const auto written = TRY(writeKeyPair(arguments.text("out"), rules, storage, key));
    tellWritten(arguments, rules, key, written);
    return {};
}

Result<> makeKey(const Arguments& arguments)
{
    const auto rules = TRY(keyRulesOf(arguments));
    TRY(refuseExisting(arguments.text("out")));
    const auto storage = TRY(keyStorageOf(arguments));
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
    const auto rules = TRY(keyRulesOf(arguments));
    TRY(refuseExisting(arguments.text("out")));
    const auto storage = TRY(keyStorageOf(arguments));
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
    const auto rules = TRY(keyRulesOf(arguments));
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
    const auto with = [&](std::vector<Option> options) {
        const auto storage = keyStorageOptions();
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
