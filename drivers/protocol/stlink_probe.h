// ST-Link V2, V2-1 and V3: the probe, and over it the memory and the core of a Cortex-M target by
// SWD (protocol sheet 2 and 3.1).
#pragma once

#include "transport/usb.h"

#include <memory>
#include <optional>
#include <span>
#include <string>

namespace provost {

/// Whether a USB device is a probe this driver knows (2.1). V1 is not.
bool isStLink(UsbId id);
/// The serial number as people write it: 24 upper-case hexadecimal digits also where old firmware
/// sends twelve raw bytes. @param descriptor  the raw string descriptor
std::string stlinkSerial(ByteView descriptor);

struct StLinkVersion {
    unsigned generation = 0;           ///< 2 or 3
    unsigned jtag = 0;                 ///< the J of V2J37M27: SWD and JTAG
    std::optional<unsigned> swim{};    ///< S
    std::optional<unsigned> storage{}; ///< M, mass storage of a V2-1 or V3
    bool operator==(const StLinkVersion&) const = default;
};
/// `V2J37M27`.
std::string toText(const StLinkVersion& version);

struct SwdSettings {
    unsigned kilohertz = 1800; ///< at most; the probe's next lower step is taken
    bool underReset = false;   ///< with NRST low until the core is caught at its first instruction
};

/// What answers at the other end of the cable.
struct SwdTarget {
    std::uint32_t dpidr = 0; ///< 0x1BA01477: Cortex-M3 of an F103; 0x2BA01477: of an F205
    std::uint32_t cpuid = 0;
    unsigned kilohertz = 0; ///< in effect
};

/// Numbers of ARMv7-M's DCRSR.
enum class CoreRegister : std::uint8_t {
    R0 = 0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
    R11,
    R12,
    Sp = 13,
    Lr = 14,
    Pc = 15,
    Xpsr = 16,
    Msp = 17,
    Psp = 18,
    Special = 20, ///< CONTROL, FAULTMASK, BASEPRI, PRIMASK from the top
};

struct CoreStatus {
    bool halted = false;
    bool lockedUp = false;
    bool wasReset = false; ///< since the last look: by a watchdog, a brown-out, or on purpose
};

/// Owned and used by one thread. Every access is followed by a question for its status.
///
/// Nothing here writes read protection level 2 of an STM32F2, by whatever width, alias or raw
/// register: every write returns Denied then, before anything is sent.
///
/// Errors of accesses, with the probe's status as `native`: NotFound (no target), Unavailable (no
/// supply), Busy (WAIT to the end), Protected (FAULT), Io (connect again), Unsupported (old
/// firmware), and those of the transport.
class StLinkProbe {
public:
    /// Asks who it is and leaves whatever mode it is in. A probe that does not answer is reset
    /// once.
    /// @returns Unsupported  firmware below V2J26 or V3J3, or a build without debugging
    static Result<StLinkProbe> open(std::unique_ptr<UsbDevice> usb, const OpContext& op);
    StLinkProbe(StLinkProbe&&) noexcept;
    StLinkProbe& operator=(StLinkProbe&&) noexcept;
    ~StLinkProbe();

    const UsbDeviceInfo& usb() const;
    const StLinkVersion& version() const;

    /// Of the target, volts; nothing where the probe cannot measure it.
    Result<std::optional<double>> targetVoltage(const OpContext& op);
    /// Enters SWD. Under reset the core ends halted at its first instruction; otherwise it goes on.
    /// @returns Unavailable  the target has less than 1.5 V: nothing was sent to it
    Result<SwdTarget> connect(const SwdSettings& settings, const OpContext& op);
    const SwdTarget& target() const;
    /// Lets the core run without a debugger and leaves SWD.
    Result<> disconnect(const OpContext& op);

    /// Any range; cut to the sizes and boundaries that probe and target can do.
    Result<Bytes> read(std::uint32_t address, std::uint32_t size, const OpContext& op);
    Result<> write(std::uint32_t address, ByteView bytes, const OpContext& op);
    /// By stores of `width` bytes (1, 2, 4) only, as flash wants them. Both are multiples of it.
    Result<> writeUnits(std::uint32_t address, ByteView bytes, unsigned width, const OpContext& op);
    /// One aligned word: registers of core and peripherals.
    Result<std::uint32_t> readWord(std::uint32_t address, const OpContext& op);
    Result<> writeWord(std::uint32_t address, std::uint32_t value, const OpContext& op);

    /// Raw registers of the debug port (kDebugPort) or of an access port by its number.
    /// @param reg  byte offset, a multiple of 4
    static constexpr std::uint16_t kDebugPort = 0xFFFF;
    Result<std::uint32_t> readDap(std::uint16_t port, std::uint16_t reg, const OpContext& op);
    Result<> writeDap(std::uint16_t port, std::uint16_t reg, std::uint32_t value,
                      const OpContext& op);

    /// While halted.
    Result<std::uint32_t> readRegister(CoreRegister which, const OpContext& op);
    Result<> writeRegister(CoreRegister which, std::uint32_t value, const OpContext& op);

    Result<CoreStatus> coreStatus(const OpContext& op);
    /// @returns Timeout  the core does not stop
    Result<> halt(const OpContext& op);
    /// @param maskInterrupts  none of the firmware's handlers runs meanwhile
    Result<> run(bool maskInterrupts, const OpContext& op);
    /// One instruction.
    Result<> step(const OpContext& op);
    Result<> waitForHalt(std::chrono::milliseconds poll, const OpContext& op);
    /// System reset; the firmware starts.
    Result<> reset(const OpContext& op);
    /// System reset; halted before the first instruction.
    Result<> resetAndHalt(const OpContext& op);

private:
    struct Impl;
    explicit StLinkProbe(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace provost
