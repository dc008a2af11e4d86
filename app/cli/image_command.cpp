// `provost image …`
#include "cli/commands.h"
#include "cli/output.h"
#include "image/inspection.h"

#include <iostream>

namespace provost::cli {

namespace {

Exit inspect(const Arguments& arguments)
{
    const auto inspection = inspectFile(arguments.positionals()[0]);
    if (!inspection) {
        const Exit code = report(inspection.error(), arguments);
        return inspection.error().code == Errc::InvalidData ? Exit::Fail : code;
    }
    if (arguments.has("json"))
        std::cout << toJson(*inspection) << std::endl;
    else
        std::cout << toText(*inspection) << std::flush;
    const auto& module = inspection->module;
    return module.crcOk() && !module.placeholders ? Exit::Pass : Exit::Fail;
}

} // namespace

std::vector<Command> imageCommands()
{
    return {{.path = "image inspect",
             .summary = "Prints what is in a firmware file; exit 1 where it is damaged",
             .positionals = "FILE",
             .minPositionals = 1,
             .maxPositionals = 1,
             .example = "provost image inspect system-part1-2.3.1-photon.bin --json",
             .run = inspect}};
}

} // namespace provost::cli
