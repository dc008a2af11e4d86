// The processor behind a probe: who executes the code that tools load into a target's SRAM. The
// emulator that does so is linked in the process of the bench only; see sim_unicorn.
#pragma once

#include "core/bytes.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace provost::sim {

/// A memory whose bytes the core loads and executes without asking the bus.
struct CoreMemory {
    std::uint32_t base = 0;       ///< a multiple of 4 KiB
    std::span<std::byte> bytes{}; ///< page aligned, whole pages; the chip's own
    bool writable = false;        ///< false: a store goes to CoreBus::store
};

/// The chip as its core sees it, beyond CoreMemory. Called while CoreExecutor::run() is.
class CoreBus {
public:
    virtual ~CoreBus() = default;
    /// @returns nothing  a bus fault
    virtual std::optional<std::uint32_t> coreLoad(std::uint32_t address, unsigned bytes) = 0;
    /// False: a bus fault.
    virtual bool coreStore(std::uint32_t address, unsigned bytes, std::uint32_t value) = 0;
};

enum class CoreStop : std::uint8_t {
    Budget,     ///< ran as far as it was let
    Breakpoint, ///< at a BKPT; PC is its address (ARMv7-M C1.3)
    Fault,      ///< bus fault, undefined instruction, no memory there
};

struct CoreRun {
    CoreStop why = CoreStop::Budget;
    std::uint64_t instructions = 0; ///< about as many
};

/// Registers are numbered as DCRSR numbers them: 0 to 12, 13 SP, 14 LR, 15 PC, 16 xPSR, 17 MSP,
/// 18 PSP, 20 CONTROL:FAULTMASK:BASEPRI:PRIMASK. Used by one thread at a time.
class CoreExecutor {
public:
    virtual ~CoreExecutor() = default;
    virtual std::uint32_t readRegister(unsigned number) const = 0;
    virtual void writeRegister(unsigned number, std::uint32_t value) = 0;
    /// Executes until a stop, or about `most` instructions; exactly one where `most` is 1.
    virtual CoreRun run(std::uint64_t most) = 0;
    /// From within a CoreBus call: leave run() soon.
    virtual void yield() = 0;
    /// Somebody else than the core has changed a CoreMemory: nothing stale may be executed.
    virtual void memoryChanged(std::uint32_t address, std::size_t size) = 0;
};

/// `bus` and the bytes outlive the executor.
using CoreExecutorMaker =
    std::function<std::unique_ptr<CoreExecutor>(std::span<const CoreMemory>, CoreBus& bus)>;

/// Cores that execute nothing: each instruction is a fault, so that the core locks up. What a debug
/// port does by itself works all the same.
CoreExecutorMaker standingCores();

} // namespace provost::sim
