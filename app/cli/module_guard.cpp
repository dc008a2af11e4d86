#include "cli/module_guard.h"

#include "core/text.h"

namespace provost::cli {

Result<> checkModule(ByteView file, std::uint32_t address, bool simulated,
                     const std::function<Result<>(const ModuleInfo&)>& fitsTarget)
{
    const auto module = parseModule(file);
    if (!module)
        return {}; // plain data
    if (!module->crcOk())
        return fail(Errc::Denied, Blame::Operator,
                    "write the file: it is a module whose CRC is wrong");
    TRY(fitsTarget(*module));
    if (module->start != address)
        return fail(Errc::Denied, Blame::Operator,
                    concat("write the file at ", hex32(address), ": its header says ",
                           hex32(module->start), ", name that address"));
    if (module->demo && !simulated)
        return Unexpected(Error{.code = Errc::Denied,
                                .blame = Blame::Operator,
                                .message = "write the file: a demo image never goes to a real unit",
                                .frames = {},
                                .native = {},
                                .cause = "C041"});
    return {};
}

} // namespace provost::cli
