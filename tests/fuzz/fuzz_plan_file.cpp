// TOML as a user edits it: plans, benches, stations are read through this.
#include "config/toml_document.h"
#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static_cast<void>(provost::TomlTable::parse(provost::test::text(data, size), "fuzz.toml"));
    return 0;
}
