#include "sim/virtual_board.h"

#include "sim/firmware.h"
#include "sim/module_installer.h"
#include "sim/octets.h"
#include "sim/uart_adapter.h"

namespace provost::sim {

using namespace std::chrono_literals;

VirtualBoard::VirtualBoard(Setup setup)
    : m_state(std::make_shared<BoardState>(std::move(setup.memory), std::move(setup.deviceId),
                                           std::move(setup.network), setup.pace,
                                           std::move(setup.port)))
{
    m_state->port->onUnplug([state = std::weak_ptr(m_state)] {
        if (const auto board = state.lock()) {
            const MutexLock lock(board->mutex);
            board->setPower(false);
            board->notify();
        }
    });
    if (!m_state->usb)
        m_state->port->attach(std::make_shared<UartAdapter>(m_state));
    m_thread = std::jthread([state = m_state](std::stop_token stop) {
        Firmware firmware(state);
        firmware.run(stop);
    });
}

VirtualBoard::~VirtualBoard()
{
    m_thread.request_stop();
    m_thread.join();
    m_state->port->onUnplug({});
    m_state->port->detach();
}

std::string VirtualBoard::deviceId() const
{
    return m_state->idText();
}

BoardMode VirtualBoard::mode() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->mode;
}

Led VirtualBoard::led() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->led;
}

std::vector<Led> VirtualBoard::ledHistory() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->ledHistory;
}

std::vector<std::string> VirtualBoard::log() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->log;
}

std::vector<std::string> VirtualBoard::violations() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->violations;
}

std::vector<std::string> VirtualBoard::escapes() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->escapes;
}

int VirtualBoard::cloudSessions() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->cloudSessions;
}

int VirtualBoard::cloudAttempts() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->cloudAttempts;
}

int VirtualBoard::lastCloudError() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->lastCloudError;
}

std::string VirtualBoard::joinedNetwork() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->joinedNetwork;
}

bool VirtualBoard::hasCredentials() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->credentials().has_value();
}

std::string VirtualBoard::systemVersion() const
{
    const MutexLock lock(m_state->mutex);
    const auto system = m_state->system();
    return system ? releaseName(system->version) : std::string();
}

Bytes VirtualBoard::readFlash(std::uint32_t address, std::size_t size) const
{
    const MutexLock lock(m_state->mutex);
    if (!m_state->flash.contains(address, size))
        return {};
    return copyOf(m_state->flash.view(address, size));
}

const BoardProfile& VirtualBoard::profile() const
{
    return m_state->profile;
}

Bytes VirtualBoard::readExternal(std::uint32_t address, std::size_t size) const
{
    const MutexLock lock(m_state->mutex);
    const auto& external = m_state->external;
    return external && external->contains(address, size) ? copyOf(external->view(address, size))
                                                         : Bytes();
}

Bytes VirtualBoard::physicalDct(int copy) const
{
    const MutexLock lock(m_state->mutex);
    if (m_state->profile.dct == DctFormat::None)
        return {};
    return copyOf(m_state->store.sector(copy));
}

int VirtualBoard::currentDct() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->store.currentCopy();
}

void VirtualBoard::pokeDct(std::uint32_t applicationOffset, ByteView bytes)
{
    const MutexLock lock(m_state->mutex);
    m_state->store.poke(applicationOffset, bytes);
}

void VirtualBoard::pokeFlash(std::uint32_t address, ByteView bytes)
{
    const MutexLock lock(m_state->mutex);
    m_state->flash.poke(address, bytes);
}

void VirtualBoard::watchFlash(FlashMemory::Watch watch)
{
    const MutexLock lock(m_state->mutex);
    m_state->flash.onChange(std::move(watch));
}

void VirtualBoard::miscountMessages(bool on)
{
    const MutexLock lock(m_state->mutex);
    m_state->miscounts = on;
}

std::chrono::microseconds VirtualBoard::flashTime() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->flashTime;
}

bool VirtualBoard::pinHigh(const std::string& name) const
{
    const MutexLock lock(m_state->mutex);
    const auto pin = m_state->pins.find(name);
    return pin != m_state->pins.end() && pin->second;
}

void VirtualBoard::holdMode(std::chrono::milliseconds span)
{
    const MutexLock lock(m_state->mutex);
    if (!m_state->firmwareRuns() || span < 3s)
        return;
    if (span >= 10s)
        m_state->cleared = m_state->clearCredentials();
    m_state->listening = true;
    m_state->notify();
}

void VirtualBoard::resetHoldingMode(std::chrono::milliseconds span)
{
    const MutexLock lock(m_state->mutex);
    m_state->modeHeld = span;
    m_state->askRestart(BootTarget::Normal);
}

void VirtualBoard::crash(std::uint8_t code)
{
    const MutexLock lock(m_state->mutex);
    if (!m_state->firmwareRuns())
        return;
    m_state->crashCode = code;
    m_state->notify();
}

void VirtualBoard::setPower(bool on)
{
    const MutexLock lock(m_state->mutex);
    m_state->setPower(on);
    m_state->notify();
}

bool VirtualBoard::updateOverTheAir(ByteView module)
{
    const MutexLock lock(m_state->mutex);
    if (!m_state->firmwareRuns())
        return false;
    FlashReceiveArea area(*m_state);
    if (!area.prepare(static_cast<std::uint32_t>(module.size())) || !area.store(0, module))
        return false;
    m_state->show({LedColour::Magenta, LedPattern::Blink, 100});
    m_state->say("system: update received from the cloud");
    installReceived(*m_state);
    m_state->askRestart(BootTarget::Normal);
    return true;
}

void VirtualBoard::reset()
{
    const MutexLock lock(m_state->mutex);
    m_state->askRestart(BootTarget::Normal);
}

std::unique_ptr<Stm32Chip> VirtualBoard::makeChip(const CoreExecutorMaker& makeCore) const
{
    const MutexLock lock(m_state->mutex);
    return std::make_unique<Stm32Chip>(m_state, makeCore);
}

} // namespace provost::sim
