// Firmware files: what is accepted names only bytes that are in the file.
#include "fuzz/fuzz.h"
#include "image/module_info.h"

using namespace provost;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto module = parseModule(test::view(data, size));
    if (module)
        test::demand(module->end > module->start && module->end - module->start <= size);
    return 0;
}
