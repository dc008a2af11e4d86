// One libFuzzer target a file: fuzz_<name>.cpp feeds foreign bytes to one parser.
#pragma once

#include "core/bytes.h"

#include <cstdint>
#include <string_view>

namespace provost::test {

inline ByteView view(const std::uint8_t* data, std::size_t size)
{
    return std::as_bytes(std::span(data, size));
}

inline std::string_view text(const std::uint8_t* data, std::size_t size)
{
    return {reinterpret_cast<const char*>(data), size};
}

/// A promise that the parser broke: the fuzzer keeps the input.
inline void demand(bool kept)
{
    if (!kept)
        __builtin_trap();
}

} // namespace provost::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
