#include "sim/virtual_usb.h"

#include "sim/octets.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::uint8_t kDeviceType = 1;
constexpr std::uint8_t kConfigurationType = 2;
constexpr std::uint8_t kStringType = 3;

Bytes cut(Bytes bytes, std::size_t most)
{
    if (bytes.size() > most)
        bytes.resize(most);
    return bytes;
}

} // namespace

UsbReply Chapter9Function::control(const UsbSetup& setup, ByteView data)
{
    const auto busy = busyUntil();
    if (busy && *busy > std::chrono::steady_clock::now())
        return UsbReply::nak(*busy);
    UsbReply reply;
    switch (setup.requestType & 0x60) {
    case 0x00:
        reply = standardRequest(setup);
        break;
    case 0x20:
        reply = classRequest(setup, data);
        break;
    case 0x40:
        reply = vendorRequest(setup, data);
        break;
    default:
        return UsbReply::stall();
    }
    if (reply.kind == UsbReply::Kind::Data)
        reply.data = cut(std::move(reply.data), setup.isIn() ? setup.length : 0);
    return reply;
}

UsbReply Chapter9Function::bulkOut(std::uint8_t, ByteView)
{
    return UsbReply::stall();
}

UsbReply Chapter9Function::bulkIn(std::uint8_t, std::size_t)
{
    return UsbReply::stall();
}

void Chapter9Function::busReset()
{
    const MutexLock lock(m_standardMutex);
    m_configuration = 0;
    m_alternates.clear();
}

Bytes Chapter9Function::otherDescriptor(std::uint8_t, std::uint8_t) const
{
    return {};
}

std::uint8_t Chapter9Function::alternateOf(std::uint8_t interface) const
{
    const MutexLock lock(m_standardMutex);
    const auto found = m_alternates.find(interface);
    return found == m_alternates.end() ? std::uint8_t{0} : found->second;
}

UsbReply Chapter9Function::standardRequest(const UsbSetup& setup)
{
    const auto low = static_cast<std::uint8_t>(setup.value & 0xFF);
    const auto interface = static_cast<std::uint8_t>(setup.index & 0xFF);
    switch (setup.request) {
    case 0: // GET_STATUS
        return UsbReply::with(Bytes(2));
    case 1: // CLEAR_FEATURE
    case 3: // SET_FEATURE
    case 5: // SET_ADDRESS
        return {};
    case 6:
        return setup.isIn() ? getDescriptor(setup) : UsbReply::stall();
    case 8: { // GET_CONFIGURATION
        const MutexLock lock(m_standardMutex);
        return UsbReply::with(Bytes{std::byte{m_configuration}});
    }
    case 9: { // SET_CONFIGURATION
        const MutexLock lock(m_standardMutex);
        m_configuration = low;
        m_alternates.clear();
        return {};
    }
    case 10: // GET_INTERFACE
        return UsbReply::with(Bytes{std::byte{alternateOf(interface)}});
    case 11: { // SET_INTERFACE
        if (!alternateSelected(interface, low))
            return UsbReply::stall();
        const MutexLock lock(m_standardMutex);
        m_alternates[interface] = low;
        return {};
    }
    default:
        return UsbReply::stall();
    }
}

UsbReply Chapter9Function::getDescriptor(const UsbSetup& setup) const
{
    const auto type = static_cast<std::uint8_t>(setup.value >> 8);
    const auto index = static_cast<std::uint8_t>(setup.value & 0xFF);
    Bytes bytes;
    if (type == kDeviceType)
        bytes = deviceDescriptor();
    else if (type == kConfigurationType && index == 0)
        bytes = configurationDescriptor();
    else if (type == kStringType)
        bytes = stringDescriptor(index);
    else
        bytes = otherDescriptor(type, index);
    return bytes.empty() ? UsbReply::stall() : UsbReply::with(std::move(bytes));
}

Bytes stringDescriptorOf(std::string_view text)
{
    Bytes bytes;
    Fields out(bytes);
    out.u8(static_cast<unsigned>(2 + 2 * text.size())).u8(kStringType);
    for (const char c : text)
        out.le16(static_cast<unsigned char>(c));
    return bytes;
}

UsbId idOf(const VirtualUsbFunction& function)
{
    const Bytes device = function.deviceDescriptor();
    return {.vendor = le16At(device, 8), .product = le16At(device, 10)};
}

std::string textOfString(ByteView descriptor)
{
    std::string text;
    for (std::size_t at = 2; at + 1 < descriptor.size(); at += 2)
        text += static_cast<char>(le16At(descriptor, at) & 0x7F);
    while (!text.empty() && text.back() == '\0')
        text.pop_back();
    return text;
}

void flipOneBit(Bytes& bytes)
{
    if (!bytes.empty())
        bytes[bytes.size() / 2] ^= std::byte{0x10};
}

void VirtualPort::attach(std::shared_ptr<VirtualUsbFunction> function)
{
    std::shared_ptr<VirtualUsbFunction> former;
    {
        const MutexLock lock(m_mutex);
        former = std::exchange(m_current.function, std::move(function));
        ++m_current.incarnation;
        ++m_changes;
    }
    m_changed.notify_all();
}

void VirtualPort::detach(std::optional<std::uint32_t> incarnation)
{
    std::shared_ptr<VirtualUsbFunction> former;
    {
        const MutexLock lock(m_mutex);
        if (incarnation && *incarnation != m_current.incarnation)
            return;
        former = std::exchange(m_current.function, nullptr);
        if (!former)
            return;
        ++m_changes;
    }
    m_changed.notify_all();
}

VirtualPort::Occupant VirtualPort::current() const
{
    const MutexLock lock(m_mutex);
    return m_current;
}

std::uint64_t VirtualPort::changes() const
{
    const MutexLock lock(m_mutex);
    return m_changes;
}

void VirtualPort::reportChange()
{
    {
        const MutexLock lock(m_mutex);
        ++m_changes;
    }
    m_changed.notify_all();
}

bool VirtualPort::waitForChange(std::uint64_t since, SteadyTime deadline,
                                std::stop_token stop) const
{
    MutexLock lock(m_mutex);
    return m_changed.wait_until(lock, stop, deadline,
                                [&]() PROVOST_REQUIRES(m_mutex) { return m_changes != since; });
}

void VirtualPort::failTransfer(std::uint32_t nth, FaultKind kind, FaultPipe pipe)
{
    const MutexLock lock(m_mutex);
    m_faults.push_back({.left = std::max(nth, 1U), .kind = kind, .pipe = pipe});
}

void VirtualPort::clearFaults()
{
    const MutexLock lock(m_mutex);
    m_faults.clear();
}

std::optional<FaultKind> VirtualPort::countTransfer(FaultPipe pipe)
{
    std::optional<FaultKind> due;
    std::function<void()> unplug;
    std::uint32_t incarnation = 0;
    {
        const MutexLock lock(m_mutex);
        for (Fault& fault : m_faults)
            if (fault.pipe == pipe && --fault.left == 0 && !due)
                due = fault.kind;
        std::erase_if(m_faults, [](const Fault& fault) { return fault.left == 0; });
        if (due == FaultKind::Unplug)
            unplug = m_onUnplug;
        incarnation = m_current.incarnation;
    }
    if (due == FaultKind::Unplug) {
        // The power first: who sees the device gone may give the power back at once.
        if (unplug)
            unplug();
        detach(incarnation);
    }
    return due;
}

void VirtualPort::onUnplug(std::function<void()> handler)
{
    const MutexLock lock(m_mutex);
    m_onUnplug = std::move(handler);
}

bool VirtualPort::claim(std::uint32_t incarnation, int interface, const void* owner)
{
    const MutexLock lock(m_mutex);
    Claim& claim = m_claims[interface];
    const bool taken = claim.owner != nullptr && claim.owner != owner &&
                       claim.incarnation == m_current.incarnation;
    if (taken)
        return false;
    claim = {.incarnation = incarnation, .owner = owner};
    return true;
}

void VirtualPort::release(const void* owner)
{
    const MutexLock lock(m_mutex);
    std::erase_if(m_claims, [owner](const auto& entry) { return entry.second.owner == owner; });
}

} // namespace provost::sim
