// What the files of Stm32Flash share: registers and bits (PM0075, PM0059).
#pragma once

#include <cstdint>

namespace provost::stm32 {

constexpr std::uint32_t kFlashBase = 0x08000000;
constexpr std::uint32_t kSramBase = 0x20000000;

// Offsets; KEYR, SR and CR lie at the same place in both families.
constexpr std::uint32_t kKeys = 0x04;
constexpr std::uint32_t kOptionKeys = 0x08;
constexpr std::uint32_t kStatus = 0x0C;
constexpr std::uint32_t kControl = 0x10;
constexpr std::uint32_t kFirstKey = 0x45670123;
constexpr std::uint32_t kSecondKey = 0xCDEF89AB;
constexpr std::uint32_t kProgram = 1; // PG
constexpr std::uint32_t kErase = 2;   // PER, SER
constexpr std::uint32_t kMassErase = 4;

struct Bits {
    std::uint32_t busy;
    std::uint32_t errors;
    std::uint32_t writeProtected; ///< the error bit that says so
    std::uint32_t start;
    std::uint32_t lock;
};
constexpr Bits kF1Bits{
    .busy = 1, .errors = 0x14, .writeProtected = 0x10, .start = 0x40, .lock = 0x80};
constexpr Bits kF2Bits{
    .busy = 0x10000, .errors = 0xF0, .writeProtected = 0x10, .start = 0x10000, .lock = 0x80000000};

} // namespace provost::stm32
