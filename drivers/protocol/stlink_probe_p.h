// What the files of StLinkProbe share.
#pragma once

#include "protocol/stlink_link_p.h"
#include "protocol/stlink_probe.h"

namespace provost {

struct StLinkProbe::Impl {
    explicit Impl(StLinkLink opened) : link(std::move(opened)) {}

    // stlink_probe.cpp
    Result<> readVersion(const OpContext& op);
    Result<> leaveMode(const OpContext& op);
    Result<unsigned> setFrequency(unsigned kilohertz, const OpContext& op);
    Result<> driveReset(std::uint8_t how, const OpContext& op);
    Result<> enter(const OpContext& op);
    Result<> catchAtReset(const OpContext& op);
    Result<> identify(const OpContext& op);

    // stlink_memory.cpp
    Result<std::uint8_t> accessStatus(const OpContext& op);
    Result<> readPiece(std::uint32_t address, ByteSpan to, unsigned width, const OpContext& op);
    Result<> writePiece(std::uint32_t address, ByteView bytes, unsigned width, const OpContext& op);
    std::uint32_t longestByteAccess() const;
    std::uint32_t pieceAt(std::uint32_t address, std::uint32_t left, unsigned& width) const;
    Result<std::uint32_t> readWord(std::uint32_t address, const OpContext& op);
    Result<> writeWord(std::uint32_t address, std::uint32_t value, const OpContext& op);
    Result<> checkDapWrite(std::uint16_t port, std::uint16_t reg, std::uint32_t value,
                           const OpContext& op);
    /// Asks for the core's state until `done` says yes.
    Result<> pollCore(std::uint32_t mask, std::uint32_t wanted, const std::string& what,
                      const OpContext& op);

    StLinkLink link;
    StLinkVersion version{};
    SwdTarget target{};
};

// ARMv7-M, C1.6
constexpr std::uint32_t kDhcsr = 0xE000EDF0;
constexpr std::uint32_t kDemcr = 0xE000EDFC;
constexpr std::uint32_t kDfsr = 0xE000ED30;
constexpr std::uint32_t kAircr = 0xE000ED0C;
constexpr std::uint32_t kCpuid = 0xE000ED00;
constexpr std::uint32_t kDebugKey = 0xA05F0000;
constexpr std::uint32_t kDebugEnable = 1;
constexpr std::uint32_t kHalt = 2;
constexpr std::uint32_t kStep = 4;
constexpr std::uint32_t kMaskInterrupts = 8;
constexpr std::uint32_t kHalted = 0x20000;
constexpr std::uint32_t kLockedUp = 0x80000;
constexpr std::uint32_t kWasReset = 0x2000000;
constexpr std::uint32_t kCatchReset = 1;
constexpr std::uint32_t kRequestReset = 0x05FA0004;

} // namespace provost
