#include "transport/usbip_hub_p.h"

#include "core/text.h"
#include "transport/tcp_stream.h"
#include "transport/usbip_bus.h"
#include "transport/usbip_cdc_p.h"

#include <algorithm>
#include <set>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr auto kListLimit = 2s;
constexpr auto kImportLimit = 3s;
// A server learns of the end of an import by the end of its connection, and Linux resets the device
// before it exports it again.
constexpr auto kReturnPatience = 1s;
constexpr std::chrono::milliseconds kTryAgain = 20ms;
constexpr auto kSerialLimit = 1s;
constexpr auto kSerialPatience = 300ms; ///< of somebody who waits for this very device
// The next attempt, while another client has the device and where it does not answer.
constexpr std::chrono::milliseconds kAskBusyAgain = 200ms;
constexpr std::chrono::milliseconds kAskSilentAgain = 10s;

bool hasSerialPort(const usbip::DeviceRecord& record)
{
    return std::ranges::any_of(record.interfaces, [](const usbip::InterfaceClass& each) {
        return each.code == 2 && each.subclass == 2; // communication, abstract control
    });
}

} // namespace

UsbPortPath UsbIpHub::portOf(const std::string& busId) const
{
    return portPathOf({.host = m_server.host, .port = m_server.port, .busId = busId});
}

std::string UsbIpHub::busIdOf(const UsbPortPath& port) const
{
    const std::string prefix = concat(m_server.text(), "/");
    const std::string text = toText(port);
    return text.starts_with(prefix) ? text.substr(prefix.size()) : std::string();
}

Unexpected UsbIpHub::gone(const UsbPortPath& port) const
{
    return fail(Errc::Disconnected, Blame::Fixture,
                concat("open ", toText(port), ": it has left the bus"));
}

Result<> UsbIpHub::refresh(const OpContext& op)
{
    std::uint64_t ticket = 0;
    {
        const MutexLock lock(m_mutex);
        ticket = ++m_ticket;
    }
    const auto limited = op.within(kListLimit);
    auto stream = TRY(TcpStream::connect(m_server.host, m_server.port, limited));
    const auto records = TRY(usbip::requestList(*stream, limited));
    std::set<UsbPortPath> listed;
    const MutexLock lock(m_mutex);
    for (const usbip::DeviceRecord& record : records) {
        const UsbPortPath port = portOf(record.busId);
        if (record.busId.empty() || !listed.insert(port).second)
            continue;
        Seat& seat = m_seats[port];
        // What an import or a later list has told since is newer.
        if (seat.asOf > ticket)
            continue;
        seat.busId = record.busId;
        seat.asOf = ticket;
        sight(seat, record, servedByOurBench(record, stream->peer()));
        seat.serialPort = hasSerialPort(record);
    }
    for (auto& [port, seat] : m_seats) {
        if (!listed.contains(port) && seat.asOf <= ticket) {
            seat.asOf = ticket;
            miss(seat);
        }
    }
    return {};
}

/// A record shows a device there.
void UsbIpHub::sight(Seat& seat, const usbip::DeviceRecord& record, bool simulated)
{
    if (seat.left() || !seat.record.sameAs(record)) {
        ++seat.incarnation;
        seat.present = true;
        seat.serial.reset();
        seat.askAgain = {};
        seat.lost.reset();
        seat.link.reset();
    }
    seat.record = record;
    seat.simulated = simulated;
}

/// A list does not show the device.
void UsbIpHub::miss(Seat& seat)
{
    if (seat.imported()) {
        m_hidesImported = true;
        return;
    }
    const bool returning =
        m_hidesImported && std::chrono::steady_clock::now() - seat.released < kReturnPatience;
    if (!seat.importing && !returning)
        seat.present = false;
}

UsbDeviceInfo UsbIpHub::infoOf(const UsbPortPath& port, const Seat& seat) const
{
    return {.port = port,
            .id = seat.record.id,
            .serial = seat.serial.value_or(""),
            .incarnation = seat.incarnation,
            .simulated = seat.simulated};
}

Result<std::vector<UsbIpDevice>> UsbIpHub::list(const OpContext& op)
{
    if (auto fresh = refresh(op); !fresh)
        return Unexpected(
            inFrame(std::move(fresh).error(), concat("list the devices of ", m_server.text())));
    std::vector<UsbPortPath> ports;
    {
        const MutexLock lock(m_mutex);
        for (const auto& [port, seat] : m_seats)
            if (!seat.left())
                ports.push_back(port);
    }
    for (const UsbPortPath& port : ports)
        TRY(learnSerial(port, 0ms, op));
    std::vector<UsbIpDevice> devices;
    const MutexLock lock(m_mutex);
    for (const auto& [port, seat] : m_seats)
        if (!seat.left())
            devices.push_back({.info = infoOf(port, seat), .serialPort = seat.serialPort});
    return devices;
}

Result<std::optional<UsbDeviceInfo>>
UsbIpHub::look(const UsbPortPath& port, std::span<const UsbId> anyOf, const OpContext& op)
{
    TRY(refresh(op));
    const auto find = [&]() -> std::optional<UsbDeviceInfo> {
        const MutexLock lock(m_mutex);
        const auto at = m_seats.find(port);
        if (at == m_seats.end() || at->second.left())
            return std::nullopt;
        const UsbId id = at->second.record.id;
        if (!anyOf.empty() && std::ranges::find(anyOf, id) == anyOf.end())
            return std::nullopt;
        return infoOf(port, at->second);
    };
    if (!find())
        return std::optional<UsbDeviceInfo>{};
    TRY(learnSerial(port, kSerialPatience, op));
    return find();
}

/// Lists do not tell serial numbers: a device is imported for a moment, once per incarnation.
Result<> UsbIpHub::learnSerial(const UsbPortPath& port, std::chrono::milliseconds patience,
                               const OpContext& op)
{
    {
        const MutexLock lock(m_mutex);
        Seat& seat = m_seats[port];
        if (m_mayImport && !m_mayImport(seat.record.id))
            return {};
        if (seat.left() || seat.serial || std::chrono::steady_clock::now() < seat.askAgain)
            return {};
    }
    const auto link = acquire(port, std::nullopt, patience, op.within(kSerialLimit));
    if (link)
        return {};
    const MutexLock lock(m_mutex);
    const bool busy = link.error().code == Errc::Busy;
    m_seats[port].askAgain =
        std::chrono::steady_clock::now() + (busy ? kAskBusyAgain : kAskSilentAgain);
    return op.checkpoint(); // listed without a serial
}

Result<std::shared_ptr<UsbIpLink>> UsbIpHub::reserve(const UsbPortPath& port,
                                                     std::optional<std::uint32_t> incarnation,
                                                     const OpContext& op)
{
    while (true) {
        TRY(op.checkpoint());
        std::shared_ptr<UsbIpLink> link; // destroyed behind the lock
        MutexLock lock(m_mutex);
        const auto at = m_seats.find(port);
        if (at == m_seats.end())
            return gone(port);
        Seat& seat = at->second;
        if (incarnation && (seat.left() || seat.incarnation != *incarnation))
            return gone(port);
        link = seat.link.lock();
        if (link && !seat.left())
            return link;
        if (!seat.importing) {
            seat.importing = true;
            seat.asOf = ++m_ticket;
            return std::shared_ptr<UsbIpLink>();
        }
        m_imported.wait_for(lock, op.stop,
                            std::min<std::chrono::milliseconds>(op.remaining(), 50ms),
                            [&seat] { return !seat.importing; });
    }
}

Result<std::shared_ptr<UsbIpLink>> UsbIpHub::acquire(const UsbPortPath& port,
                                                     std::uint32_t incarnation, const OpContext& op)
{
    return acquire(port, incarnation, kReturnPatience, op);
}

Result<std::shared_ptr<UsbIpLink>> UsbIpHub::acquire(const UsbPortPath& port,
                                                     std::optional<std::uint32_t> incarnation,
                                                     std::chrono::milliseconds patience,
                                                     const OpContext& op)
{
    if (auto link = TRY(reserve(port, incarnation, op)))
        return link;
    const auto lost = std::make_shared<std::atomic<bool>>(false);
    auto link = importAs(port, lost, patience, op);
    const MutexLock lock(m_mutex);
    Seat& seat = m_seats[port];
    seat.importing = false;
    seat.asOf = ++m_ticket;
    m_imported.notify_all();
    if (!link) {
        if (link.error().code == Errc::Disconnected)
            seat.present = false;
        return link;
    }
    sight(seat, (*link)->record(), (*link)->simulated());
    seat.link = *link;
    seat.lost = lost;
    seat.serial = (*link)->serial();
    seat.serialPort = usbip::findCdc((*link)->configuration()).has_value();
    if (incarnation && seat.incarnation != *incarnation)
        return gone(port);
    return link;
}

/// Tells the hub when the last user lets go.
Result<std::shared_ptr<UsbIpLink>> UsbIpHub::importAs(const UsbPortPath& port,
                                                      std::shared_ptr<std::atomic<bool>> lost,
                                                      std::chrono::milliseconds patience,
                                                      const OpContext& op)
{
    const std::string busId = busIdOf(port);
    const auto until = op.within(patience);
    auto link = UsbIpLink::import(m_server, busId, lost, op.within(kImportLimit));
    while (!link && link.error().code == Errc::Busy && until.sleepFor(kTryAgain))
        link = UsbIpLink::import(m_server, busId, lost, op.within(kImportLimit));
    if (!link)
        return link;
    UsbIpLink* const raw = link->get();
    return std::shared_ptr<UsbIpLink>(
        raw, [hub = weak_from_this(), port, owned = std::move(*link)](UsbIpLink*) mutable {
            if (const auto alive = hub.lock())
                alive->releasing(port);
            owned.reset();
        });
}

void UsbIpHub::releasing(const UsbPortPath& port)
{
    const MutexLock lock(m_mutex);
    Seat& seat = m_seats[port];
    seat.released = std::chrono::steady_clock::now();
    seat.asOf = ++m_ticket;
}

} // namespace provost
