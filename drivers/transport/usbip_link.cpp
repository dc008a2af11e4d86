#include "transport/usbip_link_p.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "transport/tcp_stream.h"

#include <algorithm>

namespace provost {

namespace {

using namespace std::chrono_literals;

// An abort is seen within 250 ms (architecture 5); the server may need some of it to unlink.
constexpr auto kUnlinkPatience = 100ms;
// The path that our bench gives its devices. It counts on this computer only: a server elsewhere
// may say what it likes.
constexpr std::string_view kBenchMark = "/sys/devices/bench/";
constexpr std::string_view kKernelMark = "/sys/devices/";

constexpr std::uint8_t kIn = 0x80;
constexpr std::size_t kDeviceBytes = 18;
constexpr std::size_t kConfigurationHead = 9;
constexpr std::size_t kMostConfigurationBytes = 4096;

/// Code units beyond ASCII become '?'; trailing NULs are cut.
std::string stringText(ByteView descriptor)
{
    std::string text;
    for (std::size_t at = 2; at + 1 < descriptor.size(); at += 2) {
        const std::uint16_t unit = readLe16(descriptor, at);
        text.push_back(unit < 0x80 ? static_cast<char>(unit) : '?');
    }
    return text.substr(0, text.find('\0'));
}

std::string nameOf(const UsbIpLink::Transfer& transfer)
{
    const std::size_t size = transfer.in ? transfer.most : transfer.out.size();
    if (transfer.endpoint != 0)
        return concat(transfer.in ? "bulk read of " : "bulk write of ", size, " bytes on endpoint ",
                      transfer.endpoint + 0);
    const ControlSetup& setup = transfer.setup;
    return concat(transfer.in ? "control read " : "control write ",
                  hex16(static_cast<std::uint16_t>((setup.requestType << 8) | setup.request)),
                  " value ", hex16(setup.value), " index ", hex16(setup.index), " length ", size);
}

Unexpected statusError(std::int32_t status, const std::string& attempt)
{
    switch (status) {
    case usbip::kStall:
        return fail(Errc::Protocol, Blame::Fixture, concat(attempt, ": stalled"), status);
    case usbip::kNoDevice:
    case usbip::kShutdown:
        return fail(Errc::Disconnected, Blame::Fixture, concat(attempt, ": it left the bus"),
                    status);
    case usbip::kTimedOut:
        return fail(Errc::Timeout, Blame::Fixture, concat(attempt, ": no answer"), status);
    case usbip::kOverflow:
        return fail(Errc::Io, Blame::Fixture, concat(attempt, ": the device sent too much"),
                    status);
    default:
        return fail(Errc::Io, Blame::Fixture, concat(attempt, ": bus error ", status), status);
    }
}

/// One answer that somebody waits for.
class Waiter {
public:
    void put(UsbIpLink::Outcome&& outcome)
    {
        const MutexLock lock(m_mutex);
        m_outcome = std::move(outcome);
        m_arrived.notify_all();
    }
    bool wait(std::chrono::milliseconds span, std::stop_token stop)
    {
        MutexLock lock(m_mutex);
        return m_arrived.wait_for(lock, std::move(stop), span, [this]() PROVOST_REQUIRES(m_mutex) {
            return m_outcome.has_value();
        });
    }
    std::optional<UsbIpLink::Outcome> take()
    {
        const MutexLock lock(m_mutex);
        return std::exchange(m_outcome, std::nullopt);
    }

private:
    Mutex m_mutex;
    std::condition_variable_any m_arrived;
    std::optional<UsbIpLink::Outcome> m_outcome PROVOST_GUARDED_BY(m_mutex){};
};

} // namespace

std::string UsbIpServerName::text() const
{
    const bool literal = host.find(':') != std::string::npos;
    return concat("usbip:", literal ? "[" : "", host, literal ? "]:" : ":", port);
}

bool servedByOurBench(const usbip::DeviceRecord& record, const std::string& peer)
{
    const bool here =
        peer.starts_with("127.") || peer.starts_with("[::1]") || peer.starts_with("[::ffff:127.");
    return here && record.path.starts_with(kBenchMark);
}

Result<std::shared_ptr<UsbIpLink>> UsbIpLink::import(const UsbIpServerName& server,
                                                     const std::string& busId,
                                                     std::shared_ptr<std::atomic<bool>> lost,
                                                     const OpContext& op)
{
    const std::string name = concat(server.text(), "/", busId);
    const auto importNow = [&]() -> Result<std::shared_ptr<UsbIpLink>> {
        auto stream = TRY(TcpStream::connect(server.host, server.port, op));
        auto record = TRY(usbip::requestImport(*stream, busId, op));
        const bool simulated = servedByOurBench(record, stream->peer());
        std::shared_ptr<UsbIpLink> link(
            new UsbIpLink(stream->release(), name, std::move(record), simulated, std::move(lost)));
        TRY(link->enumerate(op));
        return link;
    };
    auto link = importNow();
    if (!link)
        return Unexpected(inFrame(std::move(link).error(), concat("import ", name)));
    return link;
}

UsbIpLink::UsbIpLink(int socket, std::string name, usbip::DeviceRecord record, bool simulated,
                     std::shared_ptr<std::atomic<bool>> lost)
    : m_name(std::move(name)), m_record(std::move(record)), m_simulated(simulated),
      m_lost(std::move(lost)), m_socket(socket, FdKind::Socket, m_name),
      m_thread([this](const std::stop_token& stop) { serve(stop); })
{
}

UsbIpLink::~UsbIpLink()
{
    m_thread.request_stop();
    m_wake.raise();
    m_thread.join();
}

/// What a host does with a device that arrives (protocol sheet 5.3).
Result<> UsbIpLink::enumerate(const OpContext& op)
{
    const Bytes device = TRY(standardDescriptor(kDeviceType, 0, kDeviceBytes, op));
    if (device.size() != kDeviceBytes || readLe16(device, 8) != m_record.id.vendor ||
        readLe16(device, 10) != m_record.id.product)
        return fail(Errc::Protocol, Blame::Fixture,
                    concat(m_name, ": the device descriptor (", toHex(device),
                           ") is not of the device that the server names"));
    const Bytes head = TRY(standardDescriptor(kConfigurationType, 0, kConfigurationHead, op));
    if (head.size() < kConfigurationHead)
        return fail(Errc::Protocol, Blame::Unit,
                    concat(m_name, ": configuration descriptor of ", head.size(), " bytes"));
    m_configuration = TRY(standardDescriptor(
        kConfigurationType, 0,
        std::clamp<std::size_t>(readLe16(head, 2), kConfigurationHead, kMostConfigurationBytes),
        op));
    TRY(standardRequest({.request = kSetConfiguration, .value = u8(head[5])}, op));
    if (u8(device[16]) == 0)
        return {};
    auto serial = standardDescriptor(kStringType, u8(device[16]), 255, op);
    if (!serial && serial.error().code != Errc::Protocol)
        return Unexpected(std::move(serial).error());
    m_serial = serial ? stringText(*serial) : std::string();
    return {};
}

Result<Bytes> UsbIpLink::standardDescriptor(std::uint8_t type, std::uint8_t index, std::size_t size,
                                            const OpContext& op)
{
    Bytes bytes(size);
    const ControlSetup setup{.requestType = kIn,
                             .request = kGetDescriptor,
                             .value = static_cast<std::uint16_t>((type << 8) | index),
                             .index = type == kStringType ? kEnglish : std::uint16_t{0}};
    bytes.resize(
        TRY(run({.in = true, .setup = setup, .most = size}, bytes, op.within(kUsbIpRequestLimit))));
    return bytes;
}

Result<> UsbIpLink::standardRequest(const ControlSetup& setup, const OpContext& op)
{
    TRY(run({.setup = setup}, {}, op.within(kUsbIpRequestLimit)));
    return {};
}

Result<> UsbIpLink::present() const
{
    const MutexLock lock(m_mutex);
    if (m_loss)
        return fail(Errc::Disconnected, Blame::Fixture, concat(m_name, " has left the bus"));
    return {};
}

Result<std::size_t> UsbIpLink::run(const Transfer& transfer, ByteSpan to, const OpContext& op)
{
    if (auto ready = op.checkpoint(); !ready)
        return Unexpected(
            inFrame(std::move(ready).error(), concat(nameOf(transfer), " of ", m_name)));
    const auto waiter = std::make_shared<Waiter>();
    const std::uint32_t sequence =
        submit(transfer, [waiter](Outcome&& outcome) { waiter->put(std::move(outcome)); });
    if (!waiter->wait(op.remaining(), op.stop)) {
        cancel(sequence);
        // An answer that was under way already counts.
        waiter->wait(kUnlinkPatience, {});
    }
    return conclude(transfer, waiter->take(), to, op);
}

Result<std::size_t> UsbIpLink::conclude(const Transfer& transfer,
                                        const std::optional<Outcome>& outcome, ByteSpan to,
                                        const OpContext& op) const
{
    if (outcome && outcome->end == Outcome::End::Answered && outcome->status == 0) {
        std::copy_n(outcome->data.begin(), std::min(outcome->data.size(), to.size()), to.begin());
        return outcome->moved;
    }
    const std::string attempt = concat(nameOf(transfer), " of ", m_name);
    if (outcome && outcome->end == Outcome::End::Lost)
        return lossOf(attempt);
    if (outcome && outcome->end == Outcome::End::Answered)
        return statusError(outcome->status, attempt);
    if (op.stop.stop_requested())
        return fail(Errc::Cancelled, Blame::Operator, concat(attempt, ": stopped"));
    return fail(Errc::Timeout, Blame::Fixture, concat(attempt, ": no answer in time"));
}

Unexpected UsbIpLink::lossOf(const std::string& attempt) const
{
    const MutexLock lock(m_mutex);
    if (m_loss)
        return Unexpected(inFrame(*m_loss, attempt));
    return fail(Errc::Disconnected, Blame::Fixture, concat(attempt, ": the connection has ended"));
}

Result<> UsbIpLink::claim(std::uint8_t interface, const void* owner)
{
    TRY(present());
    const MutexLock lock(m_mutex);
    const auto [claimed, isNew] = m_claims.try_emplace(interface, owner);
    if (!isNew && claimed->second != owner)
        return fail(Errc::Busy, Blame::Station,
                    concat("claim interface ", interface + 0, " of ", m_name, ": in use"));
    return {};
}

void UsbIpLink::release(const void* owner)
{
    const MutexLock lock(m_mutex);
    std::erase_if(m_claims, [owner](const auto& claim) { return claim.second == owner; });
}

Result<> UsbIpLink::selectAlternate(std::uint8_t interface, std::uint8_t alternate,
                                    const OpContext& op)
{
    TRY(standardRequest(
        {.requestType = 0x01, .request = kSetInterface, .value = alternate, .index = interface},
        op));
    const MutexLock lock(m_mutex);
    m_alternates[interface] = alternate;
    return {};
}

/// A bus reset is not transmitted; what stands for it is the beginning of an enumeration (protocol
/// sheet 5.2). Linux's server does not take that hint, but obeys the request that resets the port
/// of a hub (drivers/usb/usbip/stub_rx.c).
Result<> UsbIpLink::reset(const OpContext& op)
{
    if (m_record.path.starts_with(kKernelMark) && !m_record.path.starts_with(kBenchMark)) {
        constexpr ControlSetup kResetPort{.requestType = 0x23, .request = 3, .value = 4};
        const auto asked = standardRequest(kResetPort, op);
        // The request travels on to the device itself, which does not know it.
        if (!asked && asked.error().code != Errc::Protocol)
            return Unexpected(asked.error());
    }
    TRY(standardDescriptor(kDeviceType, 0, kDeviceBytes, op));
    TRY(standardRequest({.request = kSetConfiguration, .value = u8(m_configuration[5])}, op));
    std::map<std::uint8_t, std::uint8_t> alternates;
    {
        const MutexLock lock(m_mutex);
        alternates = m_alternates;
    }
    for (const auto& [interface, alternate] : alternates)
        if (alternate != 0)
            TRY(selectAlternate(interface, alternate, op));
    return {};
}

} // namespace provost
