// `provost image …`
#include "cli/commands.h"
#include "cli/output.h"
#include "core/text.h"
#include "host/host.h"
#include "image/inspection.h"

namespace provost::cli {

namespace {

Exit inspect(const Arguments& arguments)
{
    const auto inspection = inspectFile(arguments.positionals()[0]);
    if (!inspection) {
        const Exit code = report(inspection.error(), arguments);
        std::error_code ignored;
        const bool isFile = std::filesystem::is_regular_file(arguments.positionals()[0], ignored);
        return inspection.error().code == Errc::InvalidData && isFile ? Exit::Fail : code;
    }
    std::string text = arguments.has("json") ? toJson(*inspection) : toText(*inspection);
    if (text.ends_with('\n'))
        text.pop_back();
    printText(text);
    return defects(inspection->module).empty() ? Exit::Pass : Exit::Fail;
}

} // namespace

std::vector<Command> imageCommands()
{
    return {{.path = "image inspect",
             .summary = "Prints what is in a firmware file; exit 1 where it is damaged",
             .positionals = "FILE",
             .minPositionals = 1,
             .maxPositionals = 1,
             .example =
                 concat("provost image inspect ",
                        (dataFolders().images / "photon-2.3.1-user-demo.bin").string(), " --json"),
             .run = inspect,
             .looksOnly = true}};
}

} // namespace provost::cli
