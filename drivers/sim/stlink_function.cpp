#include "sim/stlink_function.h"

#include "sim/octets.h"

namespace provost::sim {

namespace {

constexpr std::uint16_t kVendor = 0x0483;
constexpr std::uint8_t kInEndpoint = 0x81;
constexpr std::size_t kCommandBytes = 16;
constexpr std::uint8_t kMassStorageMode = 1;
/// Enough for a test to look back, little enough for a bench that runs for days.
constexpr std::size_t kMostAccesses = 100'000;

enum : std::uint8_t { kManufacturer = 1, kProduct = 2, kSerial = 3 };

Bytes rawSerialDescriptor(std::string_view serial)
{
    const auto raw = fromHexText(serial);
    Bytes bytes;
    Fields out(bytes);
    const std::size_t size = raw ? raw->size() : 0;
    out.u8(static_cast<unsigned>(2 + 2 * size)).u8(3);
    for (std::size_t i = 0; i < size; ++i)
        out.le16(octet((*raw)[i]));
    return bytes;
}

} // namespace

StLinkIdentity stlinkIdentity(StLinkModel model, std::string serial)
{
    StLinkIdentity identity{.model = model, .serial = std::move(serial)};
    if (model == StLinkModel::V2) {
        identity.otherVersion = 7; // SWIM
        identity.firstMode = 0;
    }
    if (model == StLinkModel::V3) {
        identity.jtagVersion = 7;
        identity.otherVersion = 3;
    }
    return identity;
}

StLinkFunction::StLinkFunction(StLinkIdentity identity, std::unique_ptr<Stm32Chip> chip, Pace pace)
    : m_identity(std::move(identity)), m_pace(pace), m_chip(std::move(chip)),
      m_mode(m_identity.firstMode)
{
}

std::uint16_t StLinkFunction::product() const
{
    switch (m_identity.model) {
    case StLinkModel::V2:
        return 0x3748;
    case StLinkModel::V2_1:
        return 0x374B;
    case StLinkModel::V3:
        break;
    }
    return 0x374F;
}

Bytes StLinkFunction::deviceDescriptor() const
{
    Bytes bytes;
    Fields out(bytes);
    out.u8(18).u8(1).le16(0x0200).u8(0).u8(0).u8(0).u8(64).le16(kVendor).le16(product());
    out.le16(0x0100).u8(kManufacturer).u8(kProduct).u8(kSerial).u8(1);
    return bytes;
}

Bytes StLinkFunction::configurationDescriptor() const
{
    // The debug interface alone: neither the mass storage nor the serial port of a V2-1 or V3.
    const std::uint8_t trace = m_identity.model == StLinkModel::V2 ? 0x83 : 0x82;
    Bytes bytes;
    Fields out(bytes);
    out.u8(9).u8(2).le16(9 + 9 + 3 * 7).u8(1).u8(1).u8(0).u8(0x80).u8(50);
    out.u8(9).u8(4).u8(0).u8(0).u8(3).u8(0xFF).u8(0xFF).u8(0xFF).u8(0);
    for (const std::uint8_t address : {kInEndpoint, outEndpoint(), trace})
        out.u8(7).u8(5).u8(address).u8(2).le16(isV3() ? 512 : 64).u8(0);
    return bytes;
}

Bytes StLinkFunction::stringDescriptor(std::uint8_t index) const
{
    switch (index) {
    case 0:
        return *fromHexText("04030904");
    case kManufacturer:
        return stringDescriptorOf("STMicroelectronics");
    case kProduct:
        return stringDescriptorOf(isV3() ? "STLINK-V3" : "STM32 STLink");
    case kSerial:
        return m_identity.rawSerial ? rawSerialDescriptor(m_identity.serial)
                                    : stringDescriptorOf(m_identity.serial);
    default:
        return {};
    }
}

void StLinkFunction::busReset()
{
    Chapter9Function::busReset();
    const MutexLock lock(m_mutex);
    m_replies.clear();
    m_pending.reset();
}

UsbReply StLinkFunction::bulkOut(std::uint8_t endpoint, ByteView data)
{
    if (endpoint != outEndpoint())
        return UsbReply::stall();
    const MutexLock lock(m_mutex);
    if (m_readyAt > std::chrono::steady_clock::now())
        return UsbReply::nak(m_readyAt);
    const ChipAccess access(*m_chip);
    m_chip->catchUp();
    if (m_pending) {
        m_pending->data.insert(m_pending->data.end(), data.begin(), data.end());
        if (m_pending->data.size() >= m_pending->size)
            finishWrite();
        return {};
    }
    if (data.empty() || data.size() > kCommandBytes)
        return UsbReply::stall();
    Command command{};
    std::copy(data.begin(), data.end(), command.begin());
    execute(command);
    return {};
}

UsbReply StLinkFunction::bulkIn(std::uint8_t endpoint, std::size_t most)
{
    if (endpoint != kInEndpoint)
        return UsbReply::nak(); // trace has nothing to say
    const MutexLock lock(m_mutex);
    if (m_readyAt > std::chrono::steady_clock::now())
        return UsbReply::nak(m_readyAt);
    if (m_replies.empty())
        return UsbReply::nak();
    // What nobody fetched is still there, in front of the answer to the next command.
    Bytes& first = m_replies.front();
    const std::size_t count = std::min(most, first.size());
    Bytes part(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(count));
    first.erase(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(count));
    if (first.empty())
        m_replies.pop_front();
    return UsbReply::with(std::move(part));
}

std::unique_ptr<Stm32Chip> StLinkFunction::connect(std::unique_ptr<Stm32Chip> chip)
{
    const MutexLock lock(m_mutex);
    m_mode = std::min(m_mode, kMassStorageMode); // a session does not survive its target
    return std::exchange(m_chip, std::move(chip));
}

void StLinkFunction::setWiring(const TargetWiring& wiring)
{
    const MutexLock lock(m_mutex);
    m_wiring = wiring;
}

void StLinkFunction::failCommand(std::uint8_t code, std::uint8_t failure, unsigned times)
{
    const MutexLock lock(m_mutex);
    m_failures[code] = {.status = failure, .times = times};
}

std::uint8_t StLinkFunction::injected(std::uint8_t code)
{
    const auto found = m_failures.find(code);
    if (found == m_failures.end() || found->second.times == 0)
        return 0;
    --found->second.times;
    return found->second.status;
}

std::vector<ProbeAccess> StLinkFunction::accesses() const
{
    const MutexLock lock(m_mutex);
    return m_accesses;
}

unsigned StLinkFunction::kilohertz() const
{
    const MutexLock lock(m_mutex);
    return m_kilohertz;
}

void StLinkFunction::status(std::uint8_t code)
{
    reply({std::byte{code}, std::byte{0}});
}

void StLinkFunction::statusAndWord(std::uint8_t code, std::uint32_t word)
{
    Bytes bytes;
    Fields(bytes).le32(code).le32(word);
    reply(std::move(bytes));
}

/// The first fault counts until it is asked for.
void StLinkFunction::note(std::uint8_t fault, std::uint32_t address)
{
    if (fault == 0 || m_accessStatus != 0x80)
        return;
    m_accessStatus = fault;
    m_faultAddress = address;
}

/// 46 clocks a word on the wire (protocol sheet 3.5).
void StLinkFunction::spend(std::size_t bytes)
{
    const auto microseconds = (bytes + 3) / 4 * 46 * 1000 / std::max(m_kilohertz, 1U);
    m_readyAt =
        std::chrono::steady_clock::now() + m_pace.work(std::chrono::microseconds(microseconds));
    while (m_accesses.size() > kMostAccesses)
        m_accesses.erase(m_accesses.begin(), m_accesses.begin() + kMostAccesses / 2);
}

} // namespace provost::sim
