// `provost keys …`
#include "cli/commands.h"
#include "cli/output.h"
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/secret_file.h"
#include "crypto/unit_key.h"
#include "image/module_info.h"

namespace provost::cli {

namespace {

constexpr std::uint16_t kElectron = 10; // particle-devices 1.1

Result<> checkPlatform(const Arguments& arguments)
{
    const auto platform = TRY(parsePlatform(arguments.text("platform")));
    if (platform == kElectron)
        return fail(Errc::Unsupported, Blame::Operator,
                    "--platform electron: its keys are P-256, this version handles RSA only");
    if (platform > kElectron)
        return fail(Errc::Unsupported, Blame::Operator,
                    concat("--platform ", arguments.text("platform"),
                           ": third-generation boards are not served"));
    return {};
}

enum class Storage : std::uint8_t { Clear, Encrypted };

/// A private key is never written in the clear because somebody forgot an option.
Result<Storage> storageOf(const Arguments& arguments)
{
    const bool clear = arguments.has("clear-key");
    const bool encrypted = arguments.has("encrypt") || arguments.has("passphrase-file");
    if (clear && encrypted)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    "--clear-key and --encrypt exclude each other: name one");
    if (!clear && !encrypted)
        return fail(Errc::Denied, Blame::Operator,
                    concat("write a private key to ", arguments.text("out"),
                           " in the clear: use --encrypt, or --clear-key if that is meant"));
    return clear ? Storage::Clear : Storage::Encrypted;
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

Result<> makeKey(const Arguments& arguments)
{
    TRY(checkPlatform(arguments));
    const auto storage = TRY(storageOf(arguments));
    const std::string file = arguments.text("out");
    TRY(refuseExisting(file));
    const auto key = TRY(generateUnitKey());
    const std::string pem = key.publicKey.toPem();
    std::size_t length = key.privateDer.size();
    if (storage == Storage::Clear) {
        TRY(writePair(file, key.privateDer.reveal(), pem));
    } else {
        const auto passphrase = TRY(passphraseOf(arguments));
        const auto whole = TRY(RsaPrivateKey::fromBytes(key.privateDer.reveal()));
        const auto sealed = TRY(whole.toEncryptedPem(passphrase));
        TRY(writePair(file, sealed, pem));
        length = sealed.size();
    }
    const std::string_view encoding = storage == Storage::Clear ? "pkcs1" : "encrypted-pkcs8";
    const std::string fingerprint = key.publicKey.fingerprint();
    if (arguments.has("json"))
        printJson({{"event", "key"},
                   {"file", file},
                   {"public", file + ".pub.pem"},
                   {"encoding", encoding},
                   {"bits", key.publicKey.bits()},
                   {"length", length},
                   {"fingerprint", fingerprint}});
    else
        printText(concat(file, ": private key, RSA-", key.publicKey.bits(), ", ", encoding, ", ",
                         length, " bytes, mode 0600\n", file, ".pub.pem: public key, SHA-256 ",
                         fingerprint));
    return {};
}

Result<KeyReading> judge(const Arguments& arguments)
{
    TRY(checkPlatform(arguments));
    const auto bytes = TRY(readSecretFile(arguments.positionals()[0], 1UL << 20));
    return judgeKeyFile(bytes.reveal());
}

Exit check(const Arguments& arguments)
{
    const auto judged = judge(arguments);
    if (!judged)
        return report(judged.error(), arguments);
    const auto& reading = *judged;
    const std::string fingerprint =
        reading.publicKey ? reading.publicKey->fingerprint() : std::string{};
    const auto known = [](auto value) { return value == 0 ? JsonValue() : JsonValue(value); };
    const auto shown = [](auto value) { return value == 0 ? "?" : std::to_string(value); };
    if (arguments.has("json")) {
        printJson({{"readable", reading.readable},
                   {"reason", textOrNull(reading.reason)},
                   {"encoding", reading.encoding},
                   {"bits", known(reading.bits)},
                   {"length", known(reading.length)},
                   {"fingerprint", textOrNull(fingerprint)}});
        return reading.readable ? Exit::Pass : Exit::Fail;
    }
    printText(concat(arguments.positionals()[0], ": ", reading.encoding, ", ", shown(reading.bits),
                     " bits, ", shown(reading.length), " bytes"));
    if (reading.readable)
        printText("readable by the unit, public key SHA-256 " + fingerprint);
    else
        printText("NOT readable by the unit: " + reading.reason);
    return reading.readable ? Exit::Pass : Exit::Fail;
}

} // namespace

std::vector<Command> keysCommands()
{
    const Option platform{
        .name = "platform", .value = "P", .help = "name or number: photon, 6", .required = true};
    return {{.path = "keys new",
             .summary = "Makes a key as the platform reads it; never overwrites",
             .options = {platform,
                         {.name = "out",
                          .value = "FILE",
                          .help = "private key; FILE.pub.pem beside it",
                          .required = true},
                         {.name = "encrypt",
                          .help = "ask for a passphrase and write encrypted PEM, mode 0600"},
                         {.name = "passphrase-file",
                          .value = "FILE",
                          .help = "its first line instead of asking; means --encrypt"},
                         {.name = "clear-key",
                          .help = "write the private key in the clear, mode 0600"}},
             .example = "provost keys new --platform photon --out unit.der --clear-key",
             .run = [](const Arguments& a) { return reportIfFailed(makeKey(a), a); },
             .notes = "Clear keys are PKCS#1 DER in the unit's own form, 611 bytes; encrypted ones "
                      "are PKCS#8 PEM\n(PBES2, AES-256), to be opened with: openssl rsa -in FILE "
                      "-traditional"},
            {.path = "keys check",
             .summary = "Checks a key file with the unit's own reading rules",
             .positionals = "FILE",
             .minPositionals = 1,
             .maxPositionals = 1,
             .options = {platform},
             .example = "provost keys check unit.der --platform photon --json",
             .run = check,
             .looksOnly = true}};
}

} // namespace provost::cli
