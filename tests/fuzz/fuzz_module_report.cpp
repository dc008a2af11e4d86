// The JSON that a unit answers to `s`.
#include "fuzz/fuzz.h"
#include "protocol/module_report.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static_cast<void>(provost::parseModuleReport(provost::test::text(data, size)));
    return 0;
}
