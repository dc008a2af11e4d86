// `provost ymodem …`
#include "cli/commands.h"
#include "cli/device_address.h"
#include "cli/output.h"
#include "core/file_io.h"
#include "core/text.h"
#include "image/module_info.h"
#include "protocol/ymodem_sender.h"

namespace provost::cli {

using namespace std::chrono_literals;

namespace {

/// A demo image never goes to what may be a real unit; only an address of a bench says it is none.
Result<> refuseDemoImage(const std::string& file, ByteView content, bool simulated)
{
    const auto module = parseModule(content);
    if (!module || !module->demo || simulated)
        return {};
    return Unexpected(Error{.code = Errc::Denied,
                            .blame = Blame::Operator,
                            .message = concat("send ", file,
                                              ": a demo image goes to a virtual unit "
                                              "only, by its usbip: or sim: address"),
                            .frames = {},
                            .native = {},
                            .cause = "C041"});
}

Result<> sendFiles(const Arguments& arguments)
{
    const auto block = TRY(arguments.number("block", 1024));
    if (block != 128 && block != 1024)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--block ", block, ": must be 128 or 1024"));
    std::vector<Bytes> contents;
    for (const auto& file : arguments.positionals())
        contents.push_back(TRY(readFile(file)));
    const SystemClock clock;
    const StopSignal stop;
    ProgressBar bar;
    const auto op = commandContext(clock, 1h, &bar, stop).phase("sending", 0, 1);
    auto line = TRY(openStream(arguments.text("port"), op));
    const bool simulated = line.device && line.device->info.simulated;
    for (std::size_t i = 0; i < contents.size(); ++i)
        TRY(refuseDemoImage(arguments.positionals()[i], contents[i], simulated));
    const YModemOptions options{.flavour = arguments.has("g") ? YModemFlavour::Streaming
                                                              : YModemFlavour::Standard,
                                .blockSize = static_cast<int>(block)};
    YModemSender sender(*line.stream, options);
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < contents.size(); ++i) {
        const auto name = std::filesystem::path(arguments.positionals()[i]).filename().string();
        TRY(sender.send(name, contents[i], op.part(i, contents.size())));
        bytes += contents[i].size();
    }
    TRY(sender.finish(op));
    bar.clear();
    if (arguments.has("json"))
        printJson({{"event", "sent"},
                   {"files", contents.size()},
                   {"bytes", bytes},
                   {"retries", sender.retries()}});
    else
        printText(concat("sent ", counted(contents.size(), "file"), ", ", counted(bytes, "byte"),
                         ", ", sender.retries(), " retries"));
    return {};
}

} // namespace

std::vector<Command> ymodemCommands()
{
    return {
        {.path = "ymodem send",
         .summary = "Sends files by YModem",
         .positionals = "FILE…",
         .minPositionals = 1,
         .maxPositionals = 1000,
         .options = {{.name = "port",
                      .value = "PORT",
                      .help = "where the receiver waits",
                      .required = true},
                     {.name = "g", .help = "YModem-G: no acknowledgements between blocks"},
                     {.name = "block", .value = "128|1024", .help = "block size, 1024 by default"}},
         .example = "provost ymodem send bootloader.bin --port /dev/ttyACM0",
         .run = [](const Arguments& a) { return reportIfFailed(sendFiles(a), a); },
         .notes = "PORT  /dev/ttyACM0, a pseudo-terminal, tcp:HOST:PORT, or a DEVICE with a CDC "
                  "interface:\n" +
                  deviceNotes()}};
}

} // namespace provost::cli
