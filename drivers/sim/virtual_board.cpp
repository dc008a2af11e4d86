#include "sim/photon.h"

#include "core/byte_io.h"
#include "sim/firmware.h"

namespace provost::sim {

namespace {

using namespace std::chrono_literals;

} // namespace

VirtualPhoton::VirtualPhoton(Setup setup)
    : m_state(std::make_shared<BoardState>(std::move(setup.flash), std::move(setup.deviceId),
                                           std::move(setup.network), setup.pace,
                                           std::move(setup.port)))
{
    m_state->port->onUnplug([state = std::weak_ptr(m_state)] {
        if (const auto board = state.lock()) {
            const MutexLock lock(board->mutex);
            board->powered = false;
            board->notify();
        }
    });
    m_thread = std::jthread([state = m_state](std::stop_token stop) {
        Firmware firmware(state);
        firmware.run(stop);
    });
}

VirtualPhoton::~VirtualPhoton()
{
    m_thread.request_stop();
    m_thread.join();
    m_state->port->onUnplug({});
    m_state->port->detach();
}

std::string VirtualPhoton::deviceId() const
{
    return m_state->idText();
}

PhotonMode VirtualPhoton::mode() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->mode;
}

Led VirtualPhoton::led() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->led;
}

std::vector<Led> VirtualPhoton::ledHistory() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->ledHistory;
}

std::vector<std::string> VirtualPhoton::log() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->log;
}

std::vector<std::string> VirtualPhoton::violations() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->violations;
}

std::vector<std::string> VirtualPhoton::escapes() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->escapes;
}

int VirtualPhoton::cloudSessions() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->cloudSessions;
}

int VirtualPhoton::cloudAttempts() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->cloudAttempts;
}

int VirtualPhoton::lastCloudError() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->lastCloudError;
}

std::string VirtualPhoton::joinedNetwork() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->joinedNetwork;
}

bool VirtualPhoton::hasCredentials() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->credentials().has_value();
}

std::string VirtualPhoton::systemVersion() const
{
    const MutexLock lock(m_state->mutex);
    const auto part2 = runnable(m_state->flash, region::kPart2);
    return part2 ? releaseName(part2->version) : std::string();
}

Bytes VirtualPhoton::readFlash(std::uint32_t address, std::size_t size) const
{
    const MutexLock lock(m_state->mutex);
    if (!FlashMemory::contains(address, size))
        return {};
    return toBytes(m_state->flash.view(address, size));
}

Bytes VirtualPhoton::physicalDct(int copy) const
{
    const MutexLock lock(m_state->mutex);
    return toBytes(m_state->store.sector(copy));
}

int VirtualPhoton::currentDct() const
{
    const MutexLock lock(m_state->mutex);
    return m_state->store.currentCopy();
}

void VirtualPhoton::pokeDct(std::uint32_t applicationOffset, ByteView bytes)
{
    const MutexLock lock(m_state->mutex);
    m_state->store.poke(applicationOffset, bytes);
}

void VirtualPhoton::pokeFlash(std::uint32_t address, ByteView bytes)
{
    const MutexLock lock(m_state->mutex);
    m_state->flash.poke(address, bytes);
}

void VirtualPhoton::holdMode(std::chrono::milliseconds span)
{
    const MutexLock lock(m_state->mutex);
    const bool firmwareRuns = m_state->mode == PhotonMode::Listening ||
                              m_state->mode == PhotonMode::Application ||
                              m_state->mode == PhotonMode::SafeMode;
    if (!firmwareRuns || span < 3s)
        return;
    if (span >= 10s)
        m_state->clearCredentials();
    m_state->listening = true;
    m_state->notify();
}

void VirtualPhoton::setPower(bool on)
{
    const MutexLock lock(m_state->mutex);
    m_state->powered = on;
    m_state->notify();
}

void VirtualPhoton::reset()
{
    const MutexLock lock(m_state->mutex);
    m_state->askRestart(BootTarget::Normal);
}

} // namespace provost::sim
