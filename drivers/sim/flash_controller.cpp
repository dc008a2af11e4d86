#include "sim/flash_controller.h"

namespace provost::sim {

namespace {

// Offsets, the same in both families.
constexpr std::uint32_t kKeyRegister = 0x04;
constexpr std::uint32_t kOptionKeyRegister = 0x08;
constexpr std::uint32_t kStatusRegister = 0x0C;
constexpr std::uint32_t kControlRegister = 0x10;

} // namespace

std::uint32_t FlashController::load(std::uint32_t offset) const
{
    switch (offset & ~3U) {
    case kKeyRegister:
    case kOptionKeyRegister:
        return 0;
    case kStatusRegister:
        return m_status | (busy() ? m_bits.busy : 0U);
    case kControlRegister:
        return m_control | (m_lock.isOpen() ? 0U : m_bits.lock);
    default:
        return loadOther(offset & ~3U);
    }
}

bool FlashController::store(std::uint32_t offset, std::uint32_t value)
{
    switch (offset & ~3U) {
    case kKeyRegister:
        return turnKey(value);
    case kOptionKeyRegister:
        return turnOptionKey(value);
    case kStatusRegister:
        m_status &= ~(value & m_bits.clearable);
        return true;
    case kControlRegister:
        if (m_lock.isOpen())
            control(value);
        return true;
    default:
        storeOther(offset & ~3U, value);
        return true;
    }
}

void FlashController::systemReset()
{
    m_lock.reset();
    m_optionLock.reset();
    m_status = m_control = 0;
    applyOptions();
}

void FlashController::agreeOnProtection()
{
    const bool board = m_flash.bootloaderProtected();
    if (board != m_agreed)
        setBootloaderProtection(board);
    m_agreed = protectsBootloader();
    m_flash.protectBootloader(m_agreed);
}

bool FlashController::anyProtected() const
{
    const FlashGeometry& geometry = m_flash.geometry();
    for (std::uint32_t at = geometry.base; at < geometry.base + geometry.size();) {
        const auto sector = *m_flash.sectorAt(at);
        if (writeProtected(sector))
            return true;
        at += sector.size;
    }
    return false;
}

void FlashController::eraseAll(std::chrono::milliseconds typical)
{
    const FlashGeometry& geometry = m_flash.geometry();
    m_flash.store(geometry.base, Bytes(geometry.size(), std::byte{0xFF}));
    ++m_counters.massErases;
    begin(typical);
}

void FlashController::erase(const FlashMemory::Sector& sector, std::chrono::milliseconds typical)
{
    m_flash.store(sector.address, Bytes(sector.size, std::byte{0xFF}));
    ++m_counters.erases;
    begin(typical);
}

void FlashController::put(std::uint32_t address, ByteView bytes)
{
    m_flash.store(address, bytes);
    ++m_counters.programs;
    begin(m_flash.programTime(1));
}

std::unique_ptr<FlashController> makeFlashController(const Stm32Profile& chip, FlashMemory& flash,
                                                     const ChipTime& time)
{
    return chip.family == Stm32Profile::Family::F1 ? makeF1Flash(flash, time)
                                                   : makeF2Flash(flash, time);
}

} // namespace provost::sim
