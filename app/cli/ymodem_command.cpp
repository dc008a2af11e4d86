// `provost ymodem …`
#include "cli/commands.h"
#include "cli/device_address.h"
#include "cli/output.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "host/host.h"
#include "image/module_info.h"
#include "protocol/listening_console.h"
#include "protocol/ymodem_receiver.h"
#include "protocol/ymodem_sender.h"

namespace provost::cli {

using namespace std::chrono_literals;

namespace {

constexpr auto kFirstRequest = 3s; ///< then a silent receiver may be a unit in listening mode
constexpr auto kStartLimit = 60s;

/// A demo image never goes to what may be a real unit.
Result<> refuseDemoImage(const std::string& file, ByteView content, bool simulated)
{
    const auto module = parseModule(content);
    if (!module || !module->demo || simulated)
        return {};
    return Unexpected(Error{.code = Errc::Denied,
                            .blame = Blame::Operator,
                            .message = concat("send ", file,
                                              ": a demo image goes to a virtual unit "
                                              "only: by its usbip: or sim: address, or by the "
                                              "terminal of a bench that this user serves"),
                            .frames = {},
                            .native = {},
                            .cause = "C041"});
}

/// Plain data passes; a receiver that is no unit takes anything.
Result<> madeForUnit(const std::string& file, ByteView content, std::uint16_t platform)
{
    const auto module = parseModule(content);
    if (!module || module->platformId == platform)
        return {};
    return fail(Errc::Denied, Blame::Operator,
                concat("send ", file, ": it is a module for platform ", module->platformId, " ",
                       platformName(module->platformId), ", the unit is ", platform, " ",
                       platformName(platform), "; take the file for this platform"));
}

struct SendPlan {
    std::vector<std::string> names{};
    std::vector<Bytes> contents{};
    int block = 1024;
    bool unit = false;      ///< --unit
    bool streaming = false; ///< --g
};

struct SendOutcome {
    int retries = 0;
    bool unit = false;
    bool streamed = false;
};

Result<SendPlan> sendPlanOf(const Arguments& arguments)
{
    const auto block = TRY(arguments.number("block", 1024));
    if (block != 128 && block != 1024)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--block ", block, ": must be 128 or 1024"));
    SendPlan plan{.block = static_cast<int>(block),
                  .unit = arguments.has("unit"),
                  .streaming = arguments.has("g")};
    if (plan.unit && (plan.streaming || arguments.positionals().size() > 1))
        return fail(Errc::InvalidArgument, Blame::Operator,
                    "--unit: a unit takes one file a session, and no YModem-G");
    for (const auto& file : arguments.positionals()) {
        plan.contents.push_back(TRY(readFile(file)));
        plan.names.push_back(std::filesystem::path(file).filename().string());
    }
    return plan;
}

/// What the unit says of itself counts, before it waits for a file.
/// @returns Timeout  no unit in listening mode
Result<> checkPlatform(ByteStream& line, const SendPlan& plan, const OpContext& op)
{
    const auto report = TRY(ListeningConsole(line).modules(op));
    if (report.platform < 0 || report.platform > 0xFFFF)
        return fail(Errc::Protocol, Blame::Unit,
                    concat("send ", plan.names[0], ": the unit does not say what platform it is"));
    return madeForUnit(plan.names[0], plan.contents[0],
                       static_cast<std::uint16_t>(report.platform));
}

Result<SendOutcome> sendToUnit(ByteStream& line, const SendPlan& plan, const OpContext& op)
{
    TRY(ListeningConsole(line).transfer(plan.names[0], plan.contents[0], plan.block, op));
    return SendOutcome{.unit = true};
}

Result<SendOutcome> sendBatch(YModemSender& sender, const SendPlan& plan, const OpContext& op)
{
    for (std::size_t i = 0; i < plan.contents.size(); ++i)
        TRY(sender.send(plan.names[i], plan.contents[i], op.part(i, plan.contents.size())));
    TRY(sender.finish(op));
    return SendOutcome{.retries = sender.retries(), .streamed = sender.streams()};
}

/// A receiver asks for data. A unit in listening mode is silent until it hears `f`, and takes the
/// file another way: no repeated blocks, its own words at the end.
Result<SendOutcome> sendTo(ByteStream& line, const SendPlan& plan, const OpContext& op)
{
    YModemOptions options{.blockSize = plan.block};
    const bool mayBeUnit = !plan.streaming && plan.contents.size() == 1;
    if (mayBeUnit) {
        options.startLimit = kFirstRequest;
        YModemSender sender(line, options);
        const auto started =
            plan.unit ? Result<>(fail(Errc::Timeout, Blame::Unit, "not asked")) : sender.start(op);
        if (started)
            return sendBatch(sender, plan, op);
        if (started.error().code != Errc::Timeout || !op.checkpoint())
            return Unexpected(started.error());
        auto prompted = checkPlatform(line, plan, op);
        if (prompted)
            prompted = ListeningConsole(line).startTransfer(op);
        if (prompted)
            return sendToUnit(line, plan, op);
        if (plan.unit || prompted.error().code != Errc::Timeout || !op.checkpoint())
            return Unexpected(prompted.error());
    }
    options.startLimit = kStartLimit;
    YModemSender sender(line, options);
    return sendBatch(sender, plan, op);
}

Result<> sendFiles(const Arguments& arguments)
{
    const SendPlan plan = TRY(sendPlanOf(arguments));
    const SystemClock clock;
    const StopSignal stop;
    ProgressBar bar;
    const auto op = commandContext(clock, 1h, &bar, stop).phase("sending", 0, 1);
    auto line = TRY(openStream(arguments.text("port"), op));
    for (std::size_t i = 0; i < plan.contents.size(); ++i) {
        TRY(refuseDemoImage(arguments.positionals()[i], plan.contents[i], line.simulated));
        if (line.platform)
            TRY(madeForUnit(plan.names[i], plan.contents[i], *line.platform));
    }
    const auto outcome = TRY(sendTo(*line.stream, plan, op));
    bar.clear();
    if (plan.streaming && !outcome.streamed)
        printNote("the receiver did not ask for YModem-G: sent with acknowledgements");
    std::size_t bytes = 0;
    for (const auto& content : plan.contents)
        bytes += content.size();
    if (arguments.has("json"))
        printJson({{"event", "sent"},
                   {"files", plan.contents.size()},
                   {"bytes", bytes},
                   {"retries", outcome.retries},
                   {"unit", outcome.unit},
                   {"streamed", outcome.streamed}});
    else
        printText(concat("sent ", counted(plan.contents.size(), "file"), ", ",
                         counted(bytes, "byte"), ", ", outcome.retries, " retries",
                         outcome.unit ? "; the unit took it and restarts" : ""));
    return {};
}

/// What is there is never overwritten; said before any data comes.
Result<> refuseExisting(const std::filesystem::path& file)
{
    if (std::filesystem::exists(std::filesystem::symlink_status(file)))
        return fail(Errc::Denied, Blame::Operator,
                    concat("receive ", file.string(),
                           ": it exists already and is never overwritten; name another folder"));
    return {};
}

Result<> receiveFiles(const Arguments& arguments)
{
    const std::filesystem::path folder = arguments.positionals()[0];
    std::error_code ignored;
    if (!std::filesystem::is_directory(folder, ignored))
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("receive into ", folder.string(), ": no such folder; make it first"));
    const SystemClock clock;
    const StopSignal stop;
    ProgressBar bar;
    const auto op = commandContext(clock, 1h, &bar, stop).phase("receiving", 0, 1);
    const auto line = TRY(openStream(arguments.text("port"), op));
    YModemReceiver receiver(
        *line.stream, {.streaming = arguments.has("g"), .accepts = [&](const YModemFile& file) {
                           return refuseExisting(folder / file.name);
                       }});
    std::size_t files = 0;
    std::size_t bytes = 0;
    while (auto file = TRY(receiver.receive(op))) {
        if (auto written = writeNewFile(folder / file->name, file->content, 0644); !written) {
            static_cast<void>(receiver.cancel(op));
            return written;
        }
        bar.clear();
        if (arguments.has("json"))
            printJson({{"event", "file"},
                       {"name", file->name},
                       {"bytes", file->content.size()},
                       {"sha256", sha256Hex(file->content)}});
        else
            printText(concat((folder / file->name).string(), ": ",
                             counted(file->content.size(), "byte")));
        ++files;
        bytes += file->content.size();
    }
    if (arguments.has("json"))
        printJson({{"event", "received"},
                   {"files", files},
                   {"bytes", bytes},
                   {"retries", receiver.retries()}});
    else
        printText(concat("received ", counted(files, "file"), ", ", counted(bytes, "byte"), ", ",
                         receiver.retries(), " retries"));
    return {};
}

} // namespace

std::vector<Command> ymodemCommands()
{
    const std::string ports =
        "PORT  /dev/ttyACM0, a pseudo-terminal, tcp:HOST:PORT, listen:HOST:PORT "
        "(waits for\n      one), or a DEVICE with a CDC interface:\n" +
        deviceNotes();
    return {
        {.path = "ymodem send",
         .summary = "Sends files by YModem, to a receiver or to a unit in listening mode",
         .positionals = "FILE…",
         .minPositionals = 1,
         .maxPositionals = 1000,
         .options = {{.name = "port",
                      .value = "PORT",
                      .help = "where the receiver waits",
                      .required = true},
                     {.name = "g", .help = "YModem-G: no acknowledgements between blocks"},
                     {.name = "block", .value = "128|1024", .help = "block size, 1024 by default"},
                     {.name = "unit",
                      .help = "the receiver is a unit in listening mode: ask it "
                              "at once"}},
         .example = concat("provost ymodem send ",
                           (dataFolders().images / "photon-2.3.1-user-demo.bin").string(),
                           " --port bench/slot1"),
         .run = [](const Arguments& a) { return reportIfFailed(sendFiles(a), a); },
         .notes =
             "A line that is silent for 3 s is asked by s whether a unit in listening mode is "
             "there,\n"
             "and of which platform; a module for another one is refused. One file a session goes\n"
             "to such a unit, which restarts then.\n" +
             ports},
        {.path = "ymodem receive",
         .summary = "Receives files by YModem into a folder; what is there is never overwritten",
         .positionals = "DIR",
         .minPositionals = 1,
         .maxPositionals = 1,
         .options =
             {{.name = "port", .value = "PORT", .help = "where the sender waits", .required = true},
              {.name = "g", .help = "YModem-G: no acknowledgements between blocks"}},
         .example = "mkdir received\n"
                    "provost ymodem send unit.der --port listen:127.0.0.1:4000 &\n"
                    "provost ymodem receive received --port tcp:127.0.0.1:4000",
         .run = [](const Arguments& a) { return reportIfFailed(receiveFiles(a), a); },
         .notes = ports}};
}

} // namespace provost::cli
