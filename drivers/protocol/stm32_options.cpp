// Option bytes: write protection, and what must never be written (protocol sheet 3.3, 3.4).
#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/stm32_flash.h"
#include "protocol/stm32_flash_p.h"

#include <algorithm>

namespace provost {

namespace {

using namespace std::chrono_literals;

// F103
constexpr std::uint32_t kF1Options = 0x1FFFF800;
constexpr std::uint32_t kF2Options = 0x1FFFC000;
constexpr std::uint32_t kOptionSize = 16;
constexpr std::uint32_t kOptionRegister = 0x1C; // OBR
constexpr std::uint32_t kWriteRegister = 0x20;  // WRPR
constexpr std::uint32_t kReadProtected = 2;
constexpr std::uint32_t kOptionProgram = 0x10, kOptionErase = 0x20, kOptionWritable = 0x200;
constexpr std::uint16_t kF1Open = 0xA5;
constexpr std::uint32_t kPagesPerUnit = 4;
constexpr std::uint32_t kLastUnit = 31;

// F205
constexpr std::uint32_t kOptionControl = 0x14; // OPTCR
constexpr std::uint32_t kFirstOptionKey = 0x08192A3B, kSecondOptionKey = 0x4C5D6E7F;
constexpr std::uint32_t kOptionLock = 1, kOptionStart = 2;
constexpr std::uint32_t kLevelMask = 0xFF00, kLevelZero = 0xAA00, kLevelTwo = 0xCC00;
constexpr std::uint32_t kF2Units = 0xFFF;
constexpr unsigned kUnitsShift = 16;

// Lowering a level erases the device within; nothing here does, but the budget covers it.
constexpr auto kOptionLimit = 40s;

} // namespace

std::uint32_t Stm32Flash::unitsOf(std::uint32_t address, std::uint32_t size) const
{
    std::uint32_t units = 0;
    for (std::uint32_t at = address; at < address + size;) {
        const auto sector = sectorAt(at);
        if (!sector)
            break;
        units |=
            1U << (isF1() ? std::min(sector->number / kPagesPerUnit, kLastUnit) : sector->number);
        at = sector->address + sector->size;
    }
    return units;
}

Result<Stm32Protection> Stm32Flash::protection(const OpContext& op)
{
    if (isF1()) {
        const std::uint32_t options = TRY(m_probe->readWord(m_controller + kOptionRegister, op));
        const std::uint32_t writable = TRY(m_probe->readWord(m_controller + kWriteRegister, op));
        return Stm32Protection{.readProtected = (options & kReadProtected) != 0,
                               .writeProtected = ~writable};
    }
    const std::uint32_t control = TRY(m_probe->readWord(m_controller + kOptionControl, op));
    return Stm32Protection{.readProtected = (control & kLevelMask) != kLevelZero,
                           .writeProtected = ~(control >> kUnitsShift) & kF2Units};
}

Result<Bytes> Stm32Flash::optionBytes(const OpContext& op)
{
    return m_probe->read(isF1() ? kF1Options : kF2Options, kOptionSize, op);
}

Result<> Stm32Flash::setWriteProtection(std::uint32_t units, const OpContext& op)
{
    const Stm32Protection now = TRY(protection(op));
    if (now.writeProtected == units)
        return {};
    if (now.readProtected)
        return fail(Errc::Protected, Blame::Unit,
                    "change the write protection: the unit's read protection is on");
    TRY(op.checkpoint());
    // From here on a unit could be left half-done: without option bytes an F103 is read protected.
    const OpContext commit = op.shielded(kOptionLimit);
    TRY(unlock(commit));
    if (isF1()) {
        TRY(writeF1Options(units, commit));
    } else {
        const std::uint32_t control = TRY(m_probe->readWord(m_controller + kOptionControl, commit));
        TRY(writeF2Options(
            (control & ~(kF2Units << kUnitsShift)) | (~units & kF2Units) << kUnitsShift, commit));
    }
    TRY(m_probe->resetAndHalt(commit));
    TRY(freezeWatchdogs(commit));
    const Stm32Protection then = TRY(protection(commit));
    if (then.writeProtected == units && !then.readProtected)
        return {};
    return fail(Errc::Mismatch, Blame::Unit,
                concat("change the write protection to ", hex32(units), ": the unit says ",
                       hex32(then.writeProtected)));
}

Result<> Stm32Flash::writeF1Options(std::uint32_t units, const OpContext& op)
{
    const Bytes before = TRY(m_probe->read(kF1Options, 16, op));
    const std::uint32_t control = m_controller + stm32::kControl;
    TRY(m_probe->writeWord(m_controller + stm32::kOptionKeys, stm32::kFirstKey, op));
    TRY(m_probe->writeWord(m_controller + stm32::kOptionKeys, stm32::kSecondKey, op));
    TRY(m_probe->writeWord(control, kOptionErase | kOptionWritable, op));
    TRY(m_probe->writeWord(control, kOptionErase | kOptionWritable | stm32::kF1Bits.start, op));
    TRY(waitWhileBusy("erase the option bytes", op));
    TRY(m_probe->writeWord(control, kOptionProgram | kOptionWritable, op));
    // Read protection off first: erased option bytes mean that it is on.
    std::array<std::uint16_t, 8> options{kF1Open};
    for (std::size_t i = 1; i < 4; ++i)
        options.at(i) = u8(before[2 * i]);
    for (std::size_t i = 0; i < 4; ++i)
        options.at(4 + i) = static_cast<std::uint16_t>(~units >> (8 * i) & 0xFF);
    for (std::size_t i = 0; i < options.size(); ++i) {
        if (options.at(i) == 0xFF && i != 0)
            continue; // as erased; read the same way
        Bytes value(2);
        writeLe16(value, 0, options.at(i));
        const auto at = static_cast<std::uint32_t>(kF1Options + 2 * i);
        TRY(m_probe->writeUnits(at, value, 2, op));
        TRY(waitWhileBusy(concat("write the option byte at ", hex32(at)), op));
    }
    return lock(op);
}

Result<> Stm32Flash::writeF2Options(std::uint32_t value, const OpContext& op)
{
    // PM0059: level 2 closes the debug port for ever. No caller has a reason.
    if ((value & kLevelMask) == kLevelTwo)
        return fail(Errc::Denied, Blame::Software,
                    "write the option bytes: read protection level 2 is never written");
    const std::uint32_t at = m_controller + kOptionControl;
    TRY(m_probe->writeWord(m_controller + stm32::kOptionKeys, kFirstOptionKey, op));
    TRY(m_probe->writeWord(m_controller + stm32::kOptionKeys, kSecondOptionKey, op));
    const std::uint32_t plain = value & ~(kOptionLock | kOptionStart);
    TRY(m_probe->writeWord(at, plain, op));
    TRY(m_probe->writeWord(at, plain | kOptionStart, op));
    TRY(waitWhileBusy("write the option bytes", op));
    return m_probe->writeWord(at, plain | kOptionLock, op);
}

} // namespace provost
