// `provost serial …`: listening mode by itself.
#include "cli/commands.h"
#include "cli/device_address.h"
#include "cli/output.h"
#include "core/text.h"
#include "protocol/listening_console.h"

namespace provost::cli {

using namespace std::chrono_literals;

namespace {

constexpr auto kSerialBudget = 60s;
constexpr int kConsoleBaud = 9600;
constexpr int kDfuBaud = 14400; // particle-devices 7.2

Result<> listPorts(const Arguments& arguments)
{
    const SystemClock clock;
    const StopSignal stop;
    const auto op = commandContext(clock, kSerialBudget, nullptr, stop);
    const std::string where =
        arguments.positionals().empty() ? std::string{} : arguments.positionals()[0];
    const auto bus = TRY(openBus(where, op));
    const auto ports = TRY(bus.serial->enumerate());
    for (const auto& port : ports) {
        const std::string device = port.usb ? toText(*port.usb) : std::string{};
        if (arguments.has("json"))
            printJson({{"event", "port"},
                       {"port", port.path},
                       {"device", textOrNull(device)},
                       {"simulated", port.simulated}});
        else
            printText(concat(leftIn(28, port.path), "  ", orDash(device),
                             port.simulated ? "  SIMULATED" : ""));
    }
    if (arguments.has("json"))
        printJson({{"event", "ports"}, {"count", ports.size()}});
    else if (ports.empty())
        printText("no serial port");
    return {};
}

struct Answers {
    std::string deviceId{};
    std::string systemVersion{};
    std::string mac{}; ///< empty: the unit does not say
    ModuleReport modules{};
};

Result<Answers> ask(const std::string& port, const OpContext& op)
{
    const auto line = TRY(openStream(port, op));
    ListeningConsole console(*line.stream);
    Answers answers;
    auto id = console.deviceId(op.within(4s));
    if (!id && id.error().code == Errc::Timeout)
        return fail(Errc::Timeout, Blame::Unit,
                    concat("identify ", port,
                           ": nobody answers; hold SETUP for 3 s until the LED "
                           "blinks blue, then try again"));
    if (!id)
        return Unexpected(id.error());
    answers.deviceId = *id;
    answers.systemVersion = TRY(console.systemVersion(op.within(4s)));
    answers.modules = TRY(console.modules(op.within(8s)));
    answers.mac = console.macAddress(op.within(4s)).value_or(std::string{});
    return answers;
}

std::string functionName(const std::optional<char>& function)
{
    switch (function.value_or('\0')) {
    case 'b':
        return "bootloader";
    case 's':
        return "system-part";
    case 'u':
        return "user-part";
    case 'm':
        return "monolithic";
    default:
        return function ? std::string(1, *function) : std::string{};
    }
}

JsonArray toJson(const ModuleReport& report)
{
    JsonArray modules;
    for (const auto& module : report.modules)
        modules.add(JsonObject{{"function", textOrNull(functionName(module.function))},
                               {"index", module.index},
                               {"version", module.version},
                               {"location", std::string(1, module.location)},
                               {"checked", module.checked},
                               {"passed", module.passed},
                               {"sha256", textOrNull(module.sha256)}});
    return modules;
}

Result<> identify(const Arguments& arguments)
{
    const SystemClock clock;
    const StopSignal stop;
    const auto op = commandContext(clock, kSerialBudget, nullptr, stop);
    const std::string& port = arguments.positionals()[0];
    const auto answers = TRY(ask(port, op));
    if (arguments.has("json")) {
        printJson({{"event", "identify"},
                   {"port", port},
                   {"device_id", answers.deviceId},
                   {"system_version", answers.systemVersion},
                   {"mac", textOrNull(answers.mac)},
                   {"platform", answers.modules.platform < 0 ? JsonValue()
                                                             : JsonValue(answers.modules.platform)},
                   {"modules", toJson(answers.modules)}});
        return {};
    }
    printText(concat("device id  ", answers.deviceId, "\nsystem     ", answers.systemVersion,
                     "\nmac        ", orDash(answers.mac)));
    for (const auto& module : answers.modules.modules) {
        if (!module.function)
            continue;
        printText(concat("module     ",
                         leftIn(14, concat(functionName(module.function), " ", module.index)),
                         rightIn(6, std::to_string(module.version)),
                         module.checked == module.passed ? "" : "  does not pass its checks"));
    }
    return {};
}

Result<> toDfu(const Arguments& arguments)
{
    const SystemClock clock;
    const StopSignal stop;
    const auto op = commandContext(clock, kSerialBudget, nullptr, stop);
    const std::string& address = arguments.positionals()[0];
    const auto line = TRY(openStream(address, op));
    if (line.port == nullptr)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("set 14400 baud at ", address, ": not a serial port"));
    // Where the port stands at that rate already, no request would be sent (protocol sheet 6.4).
    TRY(line.port->setBaud(kConsoleBaud));
    const auto sent = line.port->setBaud(kDfuBaud);
    if (!sent && sent.error().code != Errc::Disconnected && sent.error().code != Errc::Io)
        return Unexpected(sent.error());
    if (arguments.has("json"))
        printJson({{"event", "dfu"}, {"port", address}, {"sent", true}});
    else
        printText("14400 baud sent: the unit restarts in DFU mode; see provost dfu list");
    return {};
}

} // namespace

std::vector<Command> serialCommands()
{
    const std::string ports = "PORT  /dev/ttyACM0, a pseudo-terminal, tcp:HOST:PORT, or a DEVICE "
                              "with a CDC interface:\n" +
                              deviceNotes();
    return {{.path = "serial list",
             .summary = "Lists serial ports and the devices behind them",
             .positionals = "[BUS]",
             .maxPositionals = 1,
             .example = "provost serial list sim:photon-quick",
             .run = [](const Arguments& a) { return reportIfFailed(listPorts(a), a); },
             .notes = busNotes()},
            {.path = "serial identify",
             .summary = "Asks a unit in listening mode for its id, versions and modules",
             .positionals = "PORT",
             .minPositionals = 1,
             .maxPositionals = 1,
             .example = "provost serial identify sim:photon-quick#1 --json",
             .run = [](const Arguments& a) { return reportIfFailed(identify(a), a); },
             .notes = ports},
            {.path = "serial dfu",
             .summary = "Sends a unit to DFU mode by the 14400 baud command",
             .positionals = "PORT",
             .minPositionals = 1,
             .maxPositionals = 1,
             .example = "provost serial dfu sim:photon-quick#1",
             .run = [](const Arguments& a) { return reportIfFailed(toDfu(a), a); },
             .notes = ports}};
}

} // namespace provost::cli
