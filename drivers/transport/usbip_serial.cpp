#include "transport/usbip_serial.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "transport/usbip_cdc_p.h"
#include "transport/usbip_hub_p.h"

#include <algorithm>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr auto kEnumerateLimit = 10s;
constexpr auto kOpenLimit = 5s;
constexpr auto kRequestLimit = 5s;
// Several requests under way hide the round trip; a multiple of every packet size.
constexpr std::size_t kReads = 4;
constexpr std::size_t kReadBytes = 1024;
// What nobody reads stays in the unit beyond this.
constexpr std::size_t kMostWaiting = 65536;
constexpr std::size_t kWritePiece = 4096;

// PSTN 1.2, table 13
constexpr std::uint8_t kClassOut = 0x21;
constexpr std::uint8_t kSetLineCoding = 0x20;
constexpr std::uint8_t kSetControlLineState = 0x22;

/// Keeps reads under way, and what they brought. The callbacks of those reads share it: they may
/// outlive the port, but not the link. Thread-safe.
class Inbox : public std::enable_shared_from_this<Inbox> {
public:
    Inbox(UsbIpLink& link, std::uint8_t endpoint) : m_link(link), m_endpoint(endpoint) {}

    void start() { read(reserve()); }
    void stop();
    /// At least one byte.
    Result<std::size_t> take(ByteSpan to, const OpContext& op);
    void discard();

private:
    std::size_t reserve();
    std::size_t reserveLocked() PROVOST_REQUIRES(m_mutex);
    void read(std::size_t times);
    void arrived(UsbIpLink::Outcome&& outcome);

    UsbIpLink& m_link;
    const std::uint8_t m_endpoint;
    Mutex m_mutex;
    std::condition_variable_any m_arrived;
    WipedBytes m_waiting PROVOST_GUARDED_BY(m_mutex){};
    std::size_t m_underWay PROVOST_GUARDED_BY(m_mutex) = 0;
    bool m_stopped PROVOST_GUARDED_BY(m_mutex) = false;
    std::optional<Error> m_end PROVOST_GUARDED_BY(m_mutex){};
};

/// How many reads the caller is to begin.
std::size_t Inbox::reserveLocked()
{
    if (m_stopped || m_end || m_waiting.size() >= kMostWaiting)
        return 0;
    const std::size_t missing = kReads - m_underWay;
    m_underWay = kReads;
    return missing;
}

std::size_t Inbox::reserve()
{
    const MutexLock lock(m_mutex);
    return reserveLocked();
}

void Inbox::read(std::size_t times)
{
    for (std::size_t each = 0; each < times; ++each)
        m_link.submit({.in = true, .endpoint = m_endpoint, .most = kReadBytes, .owner = this},
                      [self = shared_from_this()](UsbIpLink::Outcome&& outcome) {
                          self->arrived(std::move(outcome));
                      });
    const MutexLock lock(m_mutex);
    // A read that began while stop() cancelled the others must not eat what a later port waits for.
    if (m_stopped && times > 0)
        m_link.cancelOwned(this);
}

void Inbox::arrived(UsbIpLink::Outcome&& outcome)
{
    using End = UsbIpLink::Outcome::End;
    std::size_t next = 0;
    {
        const MutexLock lock(m_mutex);
        --m_underWay;
        if (outcome.end == End::Answered && outcome.status == 0)
            m_waiting.insert(m_waiting.end(), outcome.data.begin(), outcome.data.end());
        else if (outcome.end == End::Answered && outcome.status != usbip::kNoDevice &&
                 outcome.status != usbip::kShutdown)
            m_end =
                fail(Errc::Io, Blame::Fixture, concat("bus error ", outcome.status), outcome.status)
                    .value();
        else if (!m_stopped)
            m_end = fail(Errc::Disconnected, Blame::Fixture, "it left the bus").value();
        next = reserveLocked();
        m_arrived.notify_all();
    }
    read(next);
}

void Inbox::stop()
{
    const MutexLock lock(m_mutex);
    m_stopped = true;
    m_link.cancelOwned(this);
}

Result<std::size_t> Inbox::take(ByteSpan to, const OpContext& op)
{
    ENSURE(!to.empty());
    while (true) {
        std::size_t count = 0;
        std::size_t next = 0;
        {
            MutexLock lock(m_mutex);
            m_arrived.wait_for(lock, op.stop, op.remaining(), [this]() PROVOST_REQUIRES(m_mutex) {
                return !m_waiting.empty() || m_end;
            });
            count = std::min(to.size(), m_waiting.size());
            const auto end = m_waiting.begin() + static_cast<std::ptrdiff_t>(count);
            std::copy(m_waiting.begin(), end, to.begin());
            m_waiting.erase(m_waiting.begin(), end);
            if (count == 0 && m_end)
                return Unexpected(*m_end);
            next = reserveLocked();
        }
        read(next);
        if (count > 0)
            return count;
        TRY(op.checkpoint());
    }
}

void Inbox::discard()
{
    std::size_t next = 0;
    {
        const MutexLock lock(m_mutex);
        m_waiting = {};
        next = reserveLocked();
    }
    read(next);
}

class UsbIpSerialPort final : public SerialPort {
public:
    UsbIpSerialPort(std::shared_ptr<UsbIpLink> link, usbip::CdcLayout layout, std::string path)
        : m_link(std::move(link)), m_layout(layout), m_path(std::move(path)),
          m_inbox(std::make_shared<Inbox>(*m_link, layout.in))
    {
    }
    ~UsbIpSerialPort() override
    {
        m_inbox->stop();
        m_link->release(this);
    }
    UsbIpSerialPort(const UsbIpSerialPort&) = delete;
    UsbIpSerialPort& operator=(const UsbIpSerialPort&) = delete;

    Result<> start()
    {
        TRY(m_link->claim(m_layout.control, this));
        TRY(m_link->claim(m_layout.data, this));
        TRY(setDtr(true));
        m_inbox->start();
        return {};
    }
    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        auto count = m_inbox->take(to, op);
        if (!count)
            return Unexpected(inFrame(std::move(count).error(), concat("read from ", m_path)));
        return count;
    }
    Result<> writeAll(ByteView data, const OpContext& op) override;
    Result<> discardInput() override
    {
        TRY(m_link->present());
        m_inbox->discard();
        return {};
    }
    Result<> setBaud(int bitsPerSecond) override;
    Result<> setDtr(bool asserted) override
    {
        // RTS stays up beside it, as terminals have it.
        return request(kSetControlLineState, asserted ? 3 : 2, {});
    }

private:
    Result<> request(std::uint8_t code, std::uint16_t value, ByteView data);

    const SystemClock m_clock{};
    const std::shared_ptr<UsbIpLink> m_link;
    const usbip::CdcLayout m_layout;
    const std::string m_path;
    const std::shared_ptr<Inbox> m_inbox;
};

Result<> UsbIpSerialPort::writeAll(ByteView data, const OpContext& op)
{
    while (!data.empty()) {
        const ByteView piece = data.first(std::min(kWritePiece, data.size()));
        const std::size_t moved =
            TRY(m_link->run({.endpoint = m_layout.out, .out = piece}, {}, op));
        if (moved == 0)
            return fail(Errc::Io, Blame::Fixture,
                        concat("write to ", m_path, ": 0 of ", piece.size(), " bytes went out"));
        data = data.subspan(std::min(moved, piece.size()));
    }
    return {};
}

Result<> UsbIpSerialPort::setBaud(int bitsPerSecond)
{
    ENSURE(bitsPerSecond > 0);
    Bytes coding;
    ByteWriter(coding).le32(static_cast<std::uint32_t>(bitsPerSecond)).u8(0).u8(0).u8(8); // 8N1
    return request(kSetLineCoding, 0, coding);
}

Result<> UsbIpSerialPort::request(std::uint8_t code, std::uint16_t value, ByteView data)
{
    const OpContext op{.clock = m_clock, .deadline = {m_clock.now() + kRequestLimit}};
    const ControlSetup setup{
        .requestType = kClassOut, .request = code, .value = value, .index = m_layout.control};
    TRY(m_link->run({.setup = setup, .out = data}, {}, op));
    return {};
}

} // namespace

UsbIpPorts::UsbIpPorts(const UsbIpBus& bus) : m_hub(bus.hub()) {}

UsbIpPorts::~UsbIpPorts() = default;

Result<std::vector<SerialPortInfo>> UsbIpPorts::enumerate()
{
    const SystemClock clock;
    const auto devices =
        TRY(m_hub->list({.clock = clock, .deadline = {clock.now() + kEnumerateLimit}}));
    std::vector<SerialPortInfo> ports;
    for (const UsbIpDevice& device : devices)
        if (device.serialPort)
            ports.push_back({.path = toText(device.info.port),
                             .usb = device.info.port,
                             .simulated = device.info.simulated});
    return ports;
}

Result<std::unique_ptr<SerialPort>> UsbIpPorts::open(const std::string& path)
{
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + kOpenLimit}};
    const auto devices = TRY(m_hub->list(op));
    const auto found = std::ranges::find_if(devices, [&path](const UsbIpDevice& device) {
        return device.serialPort && toText(device.info.port) == path;
    });
    if (found == devices.end())
        return fail(Errc::NotFound, Blame::Unit,
                    concat("open ", path, ": no serial port there at present"));
    auto link = TRY(m_hub->acquire(found->info.port, found->info.incarnation, op));
    const auto layout = usbip::findCdc(link->configuration());
    if (!layout)
        return fail(Errc::NotFound, Blame::Unit,
                    concat("open ", path, ": the device there is no serial port"));
    auto port = std::make_unique<UsbIpSerialPort>(std::move(link), *layout, path);
    TRY(port->start());
    return port;
}

} // namespace provost
