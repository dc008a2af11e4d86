#include "sim/usb_adapter.h"

#include "core/text.h"
#include "sim/octets.h"

#include <algorithm>
#include <cstring>

namespace provost::sim {

namespace {

using namespace std::chrono_literals;

constexpr auto kSlice = 20ms; ///< how long to wait before looking at the clock of the operation
constexpr std::uint8_t kSetInterface = 11;

Unexpected gone(const VirtualPort& port)
{
    return fail(Errc::Disconnected, Blame::Unit,
                concat("transfer with ", toText(port.path()), ": it has left the bus"));
}

/// Waits in wall time for a change of the port; a clock that only advances when told is told.
Result<> waitSlice(const VirtualPort& port, std::uint64_t since, SteadyTime notBefore,
                   const OpContext& op)
{
    TRY(op.checkpoint());
    const auto wall = std::chrono::steady_clock::now();
    auto until = wall + std::min<std::chrono::milliseconds>(kSlice, op.remaining() + 1ms);
    if (notBefore > wall)
        until = std::min(until, notBefore);
    const auto before = op.clock.now();
    port.waitForChange(since, until, op.stop);
    if (op.clock.now() == before)
        TRY(op.sleepFor(1ms));
    return op.checkpoint();
}

class VirtualUsbDevice final : public UsbDevice {
public:
    VirtualUsbDevice(HostPipe pipe, UsbDeviceInfo info)
        : m_pipe(std::move(pipe)), m_info(std::move(info))
    {
    }
    ~VirtualUsbDevice() override { m_pipe.port().release(this); }
    VirtualUsbDevice(const VirtualUsbDevice&) = delete;
    VirtualUsbDevice& operator=(const VirtualUsbDevice&) = delete;

    const UsbDeviceInfo& info() const override { return m_info; }

    Result<Bytes> descriptor(std::uint8_t type, std::uint8_t index) override
    {
        const UsbSetup setup{.requestType = 0x80,
                             .request = 6,
                             .value = static_cast<std::uint16_t>((type << 8) | index),
                             .index = static_cast<std::uint16_t>(type == 3 ? 0x0409 : 0),
                             .length = 0xFFFF};
        return m_pipe.control(setup, {}, ownOp());
    }

    Result<> claim(std::uint8_t number) override
    {
        TRY(m_pipe.present());
        if (!m_pipe.port().claim(m_pipe.incarnation(), number, this))
            return fail(Errc::Busy, Blame::Station,
                        concat("claim interface ", unsigned{number}, " of ", toText(m_info.port),
                               ": in use"));
        return {};
    }

    Result<> selectAlternate(std::uint8_t number, std::uint8_t alternate) override
    {
        const UsbSetup setup{
            .requestType = 1, .request = kSetInterface, .value = alternate, .index = number};
        TRY(m_pipe.control(setup, {}, ownOp()));
        return {};
    }

    Result<std::size_t> controlIn(ControlSetup setup, ByteSpan to, const OpContext& op) override
    {
        const Bytes data = TRY(m_pipe.control(wire(setup, to.size()), {}, op));
        std::copy(data.begin(), data.end(), to.begin());
        return data.size();
    }

    Result<> controlOut(ControlSetup setup, ByteView data, const OpContext& op) override
    {
        TRY(m_pipe.control(wire(setup, data.size()), data, op));
        return {};
    }

    Result<std::size_t> bulkIn(std::uint8_t endpoint, ByteSpan to, const OpContext& op) override
    {
        const Bytes data = TRY(m_pipe.bulkIn(endpoint, to.size(), op));
        std::copy(data.begin(), data.end(), to.begin());
        return data.size();
    }

    Result<> bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op) override
    {
        return m_pipe.bulkOut(endpoint, data, op);
    }

    Result<> reset() override
    {
        TRY(m_pipe.present());
        m_pipe.function().busReset();
        return {};
    }

private:
    /// For requests that a host's stack makes by itself, with its own patience.
    OpContext ownOp() const { return {.clock = m_clock, .deadline = {m_clock.now() + 5s}}; }

    static UsbSetup wire(const ControlSetup& setup, std::size_t length)
    {
        return {.requestType = setup.requestType,
                .request = setup.request,
                .value = setup.value,
                .index = setup.index,
                .length = static_cast<std::uint16_t>(length)};
    }

    SystemClock m_clock;
    HostPipe m_pipe;
    const UsbDeviceInfo m_info;
};

UsbDeviceInfo infoOf(const VirtualPort& port, const VirtualPort::Occupant& occupant)
{
    const Bytes device = occupant.function->deviceDescriptor();
    return {.port = port.path(),
            .id = idOf(*occupant.function),
            .serial = textOfString(occupant.function->stringDescriptor(octet(device[16]))),
            .incarnation = occupant.incarnation,
            .simulated = true};
}

} // namespace

HostPipe::HostPipe(std::shared_ptr<VirtualPort> port, VirtualPort::Occupant occupant, Pace pace)
    : m_port(std::move(port)), m_occupant(std::move(occupant)), m_pace(pace)
{
}

Result<> HostPipe::present() const
{
    const VirtualPort::Occupant now = m_port->current();
    if (!now.function || now.incarnation != m_occupant.incarnation)
        return gone(*m_port);
    return {};
}

Result<Bytes> HostPipe::control(const UsbSetup& setup, ByteView data, const OpContext& op)
{
    TRY(op.checkpoint());
    TRY(present());
    const std::string what =
        concat("control request ", unsigned{setup.request}, " (value ", setup.value, ", index ",
               setup.index, ", length ", setup.length, ")");
    const auto fault = m_port->countTransfer(FaultPipe::Control);
    TRY(refused(fault, what));
    if (fault == FaultKind::Short && !setup.isIn())
        return fail(Errc::Io, Blame::Fixture, concat(what, ": bus error in the data stage"));
    Bytes sent = copyOf(data);
    if (fault == FaultKind::BitFlip && !setup.isIn())
        flipOneBit(sent);
    Bytes reply = TRY(carry([&] { return function().control(setup, sent); }, what, op));
    if (fault == FaultKind::Short)
        reply.resize(reply.size() / 2);
    if (fault == FaultKind::BitFlip && setup.isIn())
        flipOneBit(reply);
    TRY(pay(m_pace.usbTime(true, std::max(reply.size(), data.size())), op));
    return reply;
}

Result<Bytes> HostPipe::bulkIn(std::uint8_t endpoint, std::size_t most, const OpContext& op)
{
    const std::string what = "bulk transfer in";
    Bytes reply = TRY(carry([&] { return function().bulkIn(endpoint, most); }, what, op));
    const auto fault = reply.empty() ? std::nullopt : m_port->countTransfer(FaultPipe::Bulk);
    TRY(refused(fault, what));
    if (fault == FaultKind::Short)
        reply.resize(reply.size() / 2);
    if (fault == FaultKind::BitFlip)
        flipOneBit(reply);
    TRY(pay(m_pace.usbTime(false, reply.size()), op));
    return reply;
}

Result<> HostPipe::bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op)
{
    const std::string what = "bulk transfer out";
    TRY(op.checkpoint());
    TRY(present());
    const auto fault = data.empty() ? std::nullopt : m_port->countTransfer(FaultPipe::Bulk);
    TRY(refused(fault, what));
    if (fault == FaultKind::Short)
        return fail(Errc::Io, Blame::Fixture, concat(what, ": bus error in the data stage"));
    Bytes sent = Bytes(data.begin(), data.end());
    if (fault == FaultKind::BitFlip)
        flipOneBit(sent);
    TRY(carry([&] { return function().bulkOut(endpoint, sent); }, what, op));
    return pay(m_pace.usbTime(false, data.size()), op);
}

/// Faults that replace a transfer in either direction.
Result<> HostPipe::refused(std::optional<FaultKind> fault, const std::string& what) const
{
    if (fault == FaultKind::Unplug)
        return gone(*m_port);
    if (fault == FaultKind::Stall)
        return fail(Errc::Protocol, Blame::Unit, concat(what, ": stalled"));
    if (fault == FaultKind::Timeout)
        return fail(Errc::Timeout, Blame::Unit, concat(what, ": no answer"));
    return {};
}

Result<Bytes> HostPipe::carry(const std::function<UsbReply()>& transfer, const std::string& what,
                              const OpContext& op)
{
    while (true) {
        TRY(op.checkpoint());
        TRY(present());
        const std::uint64_t since = m_port->changes();
        UsbReply reply = transfer();
        if (reply.kind == UsbReply::Kind::Stall)
            return fail(Errc::Protocol, Blame::Unit, concat(what, ": stalled"));
        if (reply.kind == UsbReply::Kind::Data)
            return std::move(reply.data);
        TRY(waitSlice(*m_port, since, reply.notBefore, op));
    }
}

Result<> HostPipe::pay(std::chrono::microseconds cost, const OpContext& op)
{
    // Short waits cost more than they say, so they are saved up.
    m_owed += cost;
    const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(m_owed);
    if (whole < 2ms)
        return {};
    m_owed -= whole;
    return op.sleepFor(std::min(whole, op.remaining()));
}

Result<std::vector<UsbDeviceInfo>> VirtualUsbBus::enumerate()
{
    std::vector<UsbDeviceInfo> devices;
    std::size_t changes = 0;
    for (const auto& port : m_ports) {
        const VirtualPort::Occupant occupant = port->current();
        if (occupant.function)
            devices.push_back(infoOf(*port, occupant));
        changes += occupant.incarnation;
    }
    if (m_order == BusOrder::Shuffled && !devices.empty())
        std::rotate(devices.begin(),
                    devices.begin() + static_cast<std::ptrdiff_t>(changes % devices.size()),
                    devices.end());
    return devices;
}

std::shared_ptr<VirtualPort> VirtualUsbBus::find(const UsbPortPath& path) const
{
    const auto found = std::find_if(m_ports.begin(), m_ports.end(),
                                    [&](const auto& port) { return port->path() == path; });
    return found == m_ports.end() ? nullptr : *found;
}

Result<std::unique_ptr<UsbDevice>> VirtualUsbBus::open(const UsbDeviceInfo& which)
{
    const auto port = find(which.port);
    if (!port)
        return fail(Errc::NotFound, Blame::Station,
                    concat("open ", toText(which.port), ": no such port on this bench"));
    VirtualPort::Occupant occupant = port->current();
    if (!occupant.function || occupant.incarnation != which.incarnation)
        return gone(*port);
    UsbDeviceInfo info = infoOf(*port, occupant);
    return std::make_unique<VirtualUsbDevice>(HostPipe(port, std::move(occupant), m_pace),
                                              std::move(info));
}

Result<UsbDeviceInfo> VirtualUsbBus::waitFor(const UsbPortPath& path, std::span<const UsbId> anyOf,
                                             const OpContext& op)
{
    const auto port = find(path);
    if (!port)
        return fail(Errc::NotFound, Blame::Station,
                    concat("wait for ", toText(path), ": no such port on this bench"));
    while (true) {
        TRY(op.checkpoint());
        const std::uint64_t since = port->changes();
        const VirtualPort::Occupant occupant = port->current();
        if (occupant.function) {
            const UsbId id = idOf(*occupant.function);
            if (anyOf.empty() || std::find(anyOf.begin(), anyOf.end(), id) != anyOf.end())
                return infoOf(*port, occupant);
        }
        TRY(waitSlice(*port, since, {}, op));
    }
}

} // namespace provost::sim
