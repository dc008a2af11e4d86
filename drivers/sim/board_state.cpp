#include "sim/board_state.h"

#include "core/text.h"
#include "sim/octets.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::size_t kLogLines = 2000;
constexpr std::size_t kTransmitBuffer = 65536;

} // namespace

void BoardState::attach(std::shared_ptr<VirtualUsbFunction> function) const
{
    if (usb)
        port->attach(std::move(function));
}

void BoardState::detach() const
{
    if (usb)
        port->detach();
}

void BoardState::pullCable()
{
    powered = false;
    detach();
    notify();
}

bool BoardState::dipsIn(Eraser eraser, FlashMemory& memory, std::uint32_t address)
{
    if (faults.brownOutOf != eraser || faults.brownOutErase == 0 || --faults.brownOutErase != 0)
        return false;
    say("supply: brown-out");
    memory.eraseHalf(address);
    flash.loseSupply();
    if (external)
        external->loseSupply();
    detach();
    askRestart(BootTarget::Normal);
    return true;
}

void BoardState::say(std::string line)
{
    if (log.size() >= kLogLines)
        log.erase(log.begin(), log.begin() + kLogLines / 2);
    log.push_back(std::move(line));
}

void BoardState::show(Led next)
{
    if (next == led)
        return;
    led = next;
    if (ledHistory.size() >= kLogLines)
        ledHistory.erase(ledHistory.begin(), ledHistory.begin() + kLogLines / 2);
    ledHistory.push_back(next);
}

void BoardState::askRestart(BootTarget target)
{
    restart = target;
    notify();
}

void BoardState::answered()
{
    owesAnswer = false;
    notify();
}

void BoardState::print(std::string_view text)
{
    const Bytes bytes = copyOf(text);
    toHost.insert(toHost.end(), bytes.begin(), bytes.end());
    if (toHost.size() > kTransmitBuffer)
        toHost.erase(toHost.begin(), toHost.end() - kTransmitBuffer);
    port->reportChange();
}

std::string BoardState::idText() const
{
    return hexText(deviceId);
}

std::string BoardState::macText() const
{
    std::string text = "6c:0b:84";
    for (const std::size_t i : {std::size_t{0}, std::size_t{2}, std::size_t{11}})
        text += concat(':', hexText(ByteView(deviceId).subspan(i, 1)));
    return text;
}

std::optional<WifiCredentials> BoardState::credentials() const
{
    switch (profile.credentials) {
    case CredentialPlace::Table:
        return readCredentials(store.wifi());
    case CredentialPlace::RadioModule:
        return readCredentials(radioMemory.reveal());
    case CredentialPlace::None:
        break;
    }
    return std::nullopt;
}

bool BoardState::hears(const std::string& ssid) const
{
    return network && network->on && !faults.deafRadio && network->ssid == ssid;
}

bool BoardState::saveCredentials(const WifiCredentials& wanted)
{
    auto record = makeCredentials(wanted);
    if (!record || profile.credentials == CredentialPlace::None || faults.lockedCredentials)
        return false;
    if (profile.credentials == CredentialPlace::Table)
        store.writeWifi(record->reveal());
    else
        radioMemory = std::move(*record);
    return true;
}

bool BoardState::clearCredentials()
{
    if (faults.lockedCredentials && credentials())
        return false;
    if (profile.credentials == CredentialPlace::Table)
        store.writeWifi({});
    radioMemory = {};
    if (!joinedNetwork.empty())
        say(concat("net: left ", joinedNetwork));
    joinedNetwork.clear();
    lostNetwork = true;
    notify();
    return true;
}

bool BoardState::firmwareRuns() const
{
    return mode == BoardMode::Listening || mode == BoardMode::Application ||
           mode == BoardMode::SafeMode;
}

ApplicationHabits BoardState::application() const
{
    if (safeMode || userPart() != deliveredUser)
        return {};
    return delivered;
}

std::array<std::byte, 32> BoardState::userPart() const
{
    const auto* const home = profile.find(ModuleFunction::UserPart, 1);
    const ModuleRegion& region = home != nullptr ? *home : profile.systemRegion();
    const auto module = moduleIn(profile, flash, region);
    return module ? module->sha : std::array<std::byte, 32>{};
}

bool BoardState::lacksNetwork() const
{
    return profile.radio == Radio::Wifi && !credentials();
}

std::optional<ModuleInfo> BoardState::system() const
{
    return runnable(profile, flash, profile.systemRegion());
}

std::uint32_t BoardState::usableDct() const
{
    if (profile.dct == DctFormat::Dcd)
        return dct::kUsableDcd;
    const auto running = system();
    return running && running->version >= 200 ? dct::kUsable : dct::kUsableOld;
}

ByteView BoardState::keyField(StoredField field) const
{
    if (profile.keys.space == MemorySpace::External)
        return external->view(field.at, field.size);
    return store.read(field.at, field.size);
}

bool BoardState::claimed() const
{
    // The Core keeps no claim code in a memory that the sheets describe.
    return profile.dct == DctFormat::None || octet(store.read(dct::kClaimed, 1)[0]) == '1';
}

std::string BoardState::claimCode() const
{
    if (claimed())
        return {};
    const ByteView code = store.read(dct::kClaimCode, dct::kClaimCodeSize);
    return octet(code[0]) == 0xFF || octet(code[0]) == 0 ? std::string() : textOf(code);
}

void BoardState::claimShown()
{
    if (claimCode().empty())
        return;
    const Bytes gone(1);
    writeDct(dct::kClaimCode, gone);
    writeDct(dct::kClaimed, octetsOf("1"));
}

std::string BoardState::diagnostics() const
{
    return concat("{\"net:stat\":", joinedNetwork.empty() ? 0 : 6,
                  ",\"net:rssi\":0,\"cloud:att\":", cloudAttempts,
                  ",\"sys:uptime\":1,\"sys:tram\":83880}");
}

std::string BoardState::report() const
{
    return moduleReport(profile, flash);
}

BoardMemory BoardMemory::clone() const
{
    BoardMemory copy(*profile);
    copy.flash = flash;
    copy.external = external;
    copy.radioMemory = radioMemory.clone();
    copy.usb = usb;
    copy.serialTester = serialTester;
    copy.application = application;
    return copy;
}

void BoardMemory::putKey(StoredField field, ByteView bytes)
{
    if (field.size == 0)
        return;
    if (profile->keys.space == MemorySpace::External)
        external->program(field.at, bytes);
    else
        table().write(field.at, bytes, dct::kUsableOld);
}

bool BoardMemory::storeCredentials(const WifiCredentials& wanted)
{
    auto record = makeCredentials(wanted);
    if (!record || profile->credentials == CredentialPlace::None)
        return false;
    if (profile->credentials == CredentialPlace::Table)
        table().writeWifi(record->reveal());
    else
        radioMemory = std::move(*record);
    return true;
}

bool BoardState::writeDct(std::uint32_t applicationOffset, ByteView bytes)
{
    return store.write(applicationOffset, bytes, usableDct());
}

} // namespace provost::sim
