#include "transport/usbip_bus.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "transport/usbip_hub_p.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr auto kEnumerateLimit = 10s;
constexpr auto kOpenLimit = 5s;
constexpr auto kResetLimit = 5s;
constexpr std::chrono::milliseconds kLookAgain = 50ms;
// wLength has 16 bits.
constexpr std::size_t kMaxControlBytes = 0xFFFF;
// As much as libusb puts into one transfer of Linux; a multiple of every packet size.
constexpr std::size_t kBulkPiece = 16384;

Unexpected badAddress(const std::string& text)
{
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat("address \"", text, "\": must be usbip:HOST:PORT/BUSID"));
}

/// "1-2.3" as {1, 2, 3}; nothing where writing it again would give another text.
std::optional<std::vector<std::uint8_t>> portsOf(const std::string& busId)
{
    std::vector<std::uint8_t> ports;
    const char* at = busId.data();
    const char* const end = at + busId.size();
    while (true) {
        std::uint8_t port = 0;
        const auto [next, error] = std::from_chars(at, end, port);
        if (error != std::errc{} || (*at == '0' && next != at + 1))
            return std::nullopt;
        ports.push_back(port);
        if (next == end)
            break;
        if (*next != (ports.size() == 1 ? '-' : '.'))
            return std::nullopt;
        at = next + 1;
    }
    if (ports.size() < 2)
        return std::nullopt;
    return ports;
}

class UsbIpDeviceHandle final : public UsbDevice {
public:
    UsbIpDeviceHandle(std::shared_ptr<UsbIpLink> link, UsbDeviceInfo info)
        : m_link(std::move(link)), m_info(std::move(info))
    {
    }
    ~UsbIpDeviceHandle() override { m_link->release(this); }
    UsbIpDeviceHandle(const UsbIpDeviceHandle&) = delete;
    UsbIpDeviceHandle& operator=(const UsbIpDeviceHandle&) = delete;

    const UsbDeviceInfo& info() const override { return m_info; }
    Result<Bytes> descriptor(std::uint8_t type, std::uint8_t index) override;
    Result<> claim(std::uint8_t number) override { return m_link->claim(number, this); }
    Result<> selectAlternate(std::uint8_t number, std::uint8_t alternate) override
    {
        return m_link->selectAlternate(number, alternate, ownOp(kUsbIpRequestLimit));
    }
    Result<std::size_t> controlIn(ControlSetup setup, ByteSpan to, const OpContext& op) override
    {
        ENSURE(to.size() <= kMaxControlBytes && (setup.requestType & 0x80) != 0);
        return m_link->run({.in = true, .setup = setup, .most = to.size()}, to, op);
    }
    Result<> controlOut(ControlSetup setup, ByteView data, const OpContext& op) override
    {
        ENSURE(data.size() <= kMaxControlBytes && (setup.requestType & 0x80) == 0);
        TRY(m_link->run({.setup = setup, .out = data}, {}, op));
        return {};
    }
    Result<std::size_t> bulkIn(std::uint8_t endpoint, ByteSpan to, const OpContext& op) override;
    Result<> bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op) override;
    Result<> reset() override { return m_link->reset(ownOp(kResetLimit)); }

private:
    /// For requests that a host's stack makes by itself, with its own patience.
    OpContext ownOp(std::chrono::milliseconds span) const
    {
        return {.clock = m_clock, .deadline = {m_clock.now() + span}};
    }
    Result<Bytes> rawDescriptor(std::uint8_t type, std::uint8_t index, std::size_t size);
    Result<std::size_t> bulk(const UsbIpLink::Transfer& transfer, ByteSpan to, const OpContext& op);

    const SystemClock m_clock{};
    const std::shared_ptr<UsbIpLink> m_link;
    const UsbDeviceInfo m_info;
};

Result<Bytes> UsbIpDeviceHandle::descriptor(std::uint8_t type, std::uint8_t index)
{
    if (type != kConfigurationType)
        return rawDescriptor(type, index, 255);
    // wTotalLength first: some devices answer a longer request with garbage behind the end.
    const Bytes head = TRY(rawDescriptor(type, index, 9));
    if (head.size() < 4)
        return fail(Errc::Protocol, Blame::Unit,
                    concat("read configuration descriptor of ", toText(m_info.port), ": ",
                           head.size(), " bytes"));
    return rawDescriptor(type, index, std::max<std::size_t>(readLe16(head, 2), 9));
}

Result<Bytes> UsbIpDeviceHandle::rawDescriptor(std::uint8_t type, std::uint8_t index,
                                               std::size_t size)
{
    const ControlSetup setup{.requestType = 0x80,
                             .request = kGetDescriptor,
                             .value = static_cast<std::uint16_t>((type << 8) | index),
                             .index =
                                 type == kStringType && index != 0 ? kEnglish : std::uint16_t{0}};
    Bytes bytes(size);
    bytes.resize(TRY(controlIn(setup, bytes, ownOp(kUsbIpRequestLimit))));
    return bytes;
}

Result<std::size_t> UsbIpDeviceHandle::bulk(const UsbIpLink::Transfer& transfer, ByteSpan to,
                                            const OpContext& op)
{
    auto moved = m_link->run(transfer, to, op);
    // Unlike endpoint 0, a bulk endpoint stays halted until it is told otherwise.
    if (!moved && moved.error().code == Errc::Protocol) {
        const ControlSetup clearHalt{
            .requestType = 0x02,
            .request = kClearFeature,
            .index = static_cast<std::uint16_t>(transfer.endpoint | (transfer.in ? 0x80 : 0))};
        static_cast<void>(m_link->run({.setup = clearHalt}, {}, ownOp(kUsbIpRequestLimit)));
    }
    return moved;
}

Result<std::size_t> UsbIpDeviceHandle::bulkIn(std::uint8_t endpoint, ByteSpan to,
                                              const OpContext& op)
{
    const auto number = static_cast<std::uint8_t>(endpoint & 0x0F);
    std::size_t total = 0;
    while (true) {
        const ByteSpan piece = to.subspan(total, std::min(kBulkPiece, to.size() - total));
        const std::size_t moved =
            TRY(bulk({.in = true, .endpoint = number, .most = piece.size()}, piece, op));
        total += moved;
        if (moved < piece.size() || total == to.size())
            return total;
    }
}

Result<> UsbIpDeviceHandle::bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op)
{
    const auto number = static_cast<std::uint8_t>(endpoint & 0x0F);
    do {
        const ByteView piece = data.first(std::min(kBulkPiece, data.size()));
        const std::size_t moved = TRY(bulk({.endpoint = number, .out = piece}, {}, op));
        if (moved != piece.size())
            return fail(Errc::Io, Blame::Fixture,
                        concat("bulk write on endpoint ", endpoint + 0, " of ", toText(m_info.port),
                               ": ", moved, " of ", piece.size(), " bytes went out"));
        data = data.subspan(piece.size());
    } while (!data.empty());
    return {};
}

} // namespace

Result<UsbIpAddress> parseUsbIpAddress(const std::string& text)
{
    constexpr std::string_view kScheme = "usbip:";
    if (!text.starts_with(kScheme))
        return badAddress(text);
    const auto slash = text.find('/');
    const std::string_view server = std::string_view(text).substr(0, slash).substr(kScheme.size());
    UsbIpAddress address;
    if (slash != std::string::npos)
        address.busId = text.substr(slash + 1);
    const bool literal = server.starts_with('[');
    const auto close = literal ? server.find(']') : std::string_view::npos;
    if ((literal && close == std::string_view::npos) ||
        (slash != std::string::npos && address.busId.empty()))
        return badAddress(text);
    auto colon = std::string_view::npos;
    if (!literal)
        colon = server.find(':');
    else if (close + 1 < server.size())
        colon = close + 1;
    address.host = literal ? server.substr(1, close - 1) : server.substr(0, colon);
    if (colon != std::string_view::npos) {
        const std::string_view digits = server.substr(colon + 1);
        const auto [stopped, error] = std::from_chars(std::to_address(digits.begin()),
                                                      std::to_address(digits.end()), address.port);
        if (server[colon] != ':' || error != std::errc{} ||
            stopped != std::to_address(digits.end()))
            return badAddress(text);
    }
    if (address.host.empty() || address.port == 0)
        return badAddress(text);
    return address;
}

UsbPortPath portPathOf(const UsbIpAddress& address)
{
    const std::string server = UsbIpServerName{.host = address.host, .port = address.port}.text();
    if (auto ports = portsOf(address.busId))
        return {.controller = server, .ports = std::move(*ports)};
    return {.controller = concat(server, "/", address.busId)};
}

Result<std::unique_ptr<UsbIpBus>> UsbIpBus::create(const std::string& host, std::uint16_t port,
                                                   MayImport mayImport)
{
    if (host.empty() || port == 0 || host.find('/') != std::string::npos)
        return fail(
            Errc::InvalidArgument, Blame::Operator,
            concat("use the USB/IP server at \"", host, "\", port ", port, ": this is no address"));
    auto hub = std::make_shared<UsbIpHub>(UsbIpServerName{.host = host, .port = port},
                                          std::move(mayImport));
    return std::unique_ptr<UsbIpBus>(new UsbIpBus(std::move(hub)));
}

UsbIpBus::UsbIpBus(std::shared_ptr<UsbIpHub> hub) : m_hub(std::move(hub)) {}

UsbIpBus::~UsbIpBus() = default;

Result<std::vector<UsbDeviceInfo>> UsbIpBus::enumerate()
{
    const SystemClock clock;
    const auto devices =
        TRY(m_hub->list({.clock = clock, .deadline = {clock.now() + kEnumerateLimit}}));
    std::vector<UsbDeviceInfo> infos;
    infos.reserve(devices.size());
    for (const UsbIpDevice& device : devices)
        infos.push_back(device.info);
    return infos;
}

Result<std::unique_ptr<UsbDevice>> UsbIpBus::open(const UsbDeviceInfo& which)
{
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + kOpenLimit}};
    auto link = TRY(m_hub->acquire(which.port, which.incarnation, op));
    UsbDeviceInfo info = which;
    info.serial = link->serial();
    info.simulated = link->simulated();
    return std::make_unique<UsbIpDeviceHandle>(std::move(link), std::move(info));
}

Result<UsbDeviceInfo> UsbIpBus::waitFor(const UsbPortPath& port, std::span<const UsbId> anyOf,
                                        const OpContext& op)
{
    std::optional<Error> unreachable;
    while (true) {
        if (auto ready = op.checkpoint(); !ready) {
            // Out of time: where the server could not be asked, that is what to report.
            if (ready.error().code == Errc::Timeout && unreachable)
                ready = Unexpected(*std::move(unreachable));
            return Unexpected(
                inFrame(std::move(ready).error(), concat("wait for a device at ", toText(port))));
        }
        auto found = m_hub->look(port, anyOf, op);
        if (found && *found)
            return std::move(**found);
        if (found)
            unreachable.reset();
        else if (found.error().code != Errc::Timeout)
            unreachable = std::move(found).error();
        static_cast<void>(op.sleepFor(kLookAgain)); // its end is the checkpoint's
    }
}

} // namespace provost
