// `provost keys …`
#include "cli/commands.h"
#include "cli/output.h"
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
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

Result<> makeKey(const Arguments& arguments)
{
    TRY(checkPlatform(arguments));
    const std::string file = arguments.text("out");
    if (!arguments.has("clear-key"))
        return fail(Errc::Denied, Blame::Operator,
                    concat("write a private key to ", file,
                           " in the clear: name it with --clear-key if that is meant"));
    const auto key = TRY(generateUnitKey());
    const std::string pem = key.publicKey.toPem();
    // The public half first: where it exists already, nothing was written at all.
    TRY(writeNewFile(file + ".pub.pem", viewOf(pem), 0644));
    const auto written = writeNewFile(file, key.privateDer.reveal(), 0600);
    if (!written) {
        std::error_code ignored;
        std::filesystem::remove(file + ".pub.pem", ignored);
        return Unexpected(written.error());
    }
    if (arguments.has("json"))
        printJson({{"event", "key"},
                   {"file", toQt(file)},
                   {"public", toQt(file + ".pub.pem")},
                   {"encoding", "pkcs1"},
                   {"bits", key.publicKey.bits()},
                   {"length", static_cast<qint64>(key.privateDer.size())},
                   {"fingerprint", toQt(key.publicKey.fingerprint())}});
    else
        printText(concat(file, ": RSA-", key.publicKey.bits(), ", ", key.privateDer.size(),
                         " bytes, read through the unit's own reader\n", file,
                         ".pub.pem: public key ", key.publicKey.fingerprint()));
    return {};
}

Exit newKey(const Arguments& arguments)
{
    const auto made = makeKey(arguments);
    return made ? Exit::Pass : report(made.error(), arguments);
}

Exit check(const Arguments& arguments)
{
    const auto platform = checkPlatform(arguments);
    if (!platform)
        return report(platform.error(), arguments);
    auto bytes = readFile(arguments.positionals()[0], 1UL << 20);
    if (!bytes)
        return report(bytes.error(), arguments);
    const auto reading = judgeKeyFile(*bytes);
    wipe(*bytes);
    const auto number = [](auto value) {
        return value == 0 ? QJsonValue(QJsonValue::Null) : QJsonValue(static_cast<qint64>(value));
    };
    if (arguments.has("json"))
        printJson(
            {{"readable", reading.readable},
             {"reason", textOrNull(reading.reason)},
             {"encoding", toQt(reading.encoding)},
             {"bits", number(reading.bits)},
             {"length", number(reading.length)},
             {"fingerprint", reading.publicKey ? QJsonValue(toQt(reading.publicKey->fingerprint()))
                                               : QJsonValue(QJsonValue::Null)}});
    else
        printText(concat(reading.readable ? "readable by the unit" : "NOT readable by the unit: ",
                         reading.reason, "\n", reading.encoding, ", ", reading.bits, " bits, ",
                         reading.length, " bytes"));
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
                         {.name = "clear-key",
                          .help = "write the private key in the clear, mode 0600"}},
             .example = "provost keys new --platform photon --out unit.der --clear-key",
             .run = newKey},
            {.path = "keys check",
             .summary = "Checks a key file with the unit's own reading rules",
             .positionals = "FILE",
             .minPositionals = 1,
             .maxPositionals = 1,
             .options = {platform},
             .example = "provost keys check unit.der --platform photon --json",
             .run = check}};
}

} // namespace provost::cli
