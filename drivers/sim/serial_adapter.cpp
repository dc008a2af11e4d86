#include "core/text.h"
#include "sim/octets.h"
#include "sim/usb_adapter.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::uint8_t kDataIn = 0x81;
constexpr std::uint8_t kDataOut = 0x01;
constexpr std::uint8_t kSetLineCoding = 0x20;
constexpr std::uint8_t kGetLineCoding = 0x21;
constexpr std::uint8_t kSetControlLineState = 0x22;
constexpr std::size_t kPacket = 64;

/// Class of the first interface: 2 is communication (CDC).
bool isSerial(const VirtualUsbFunction& function)
{
    const Bytes configuration = function.configurationDescriptor();
    return configuration.size() > 14 && octet(configuration[14]) == 2;
}

class VirtualSerialPort final : public SerialPort {
public:
    VirtualSerialPort(HostPipe pipe) : m_pipe(std::move(pipe)) {}
    ~VirtualSerialPort() override { m_pipe.port().release(this); }
    VirtualSerialPort(const VirtualSerialPort&) = delete;
    VirtualSerialPort& operator=(const VirtualSerialPort&) = delete;

    bool own()
    {
        return m_pipe.port().claim(m_pipe.incarnation(), VirtualPort::kSerialInterface, this);
    }

    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        const Bytes data = TRY(m_pipe.bulkIn(kDataIn, to.size(), op));
        std::copy(data.begin(), data.end(), to.begin());
        return data.size();
    }

    Result<> writeAll(ByteView data, const OpContext& op) override
    {
        while (!data.empty()) {
            const ByteView packet = data.first(std::min(kPacket, data.size()));
            TRY(m_pipe.bulkOut(kDataOut, packet, op));
            data = data.subspan(packet.size());
        }
        return {};
    }

    Result<> discardInput() override
    {
        TRY(m_pipe.present());
        while (true) {
            const UsbReply reply = m_pipe.function().bulkIn(kDataIn, 4096);
            if (reply.kind != UsbReply::Kind::Data || reply.data.empty())
                return {};
        }
    }

    Result<> setBaud(int bitsPerSecond) override
    {
        const Bytes now = TRY(request(0xA1, kGetLineCoding, 0, {}, 7));
        const auto wanted = static_cast<std::uint32_t>(bitsPerSecond);
        // cdc_acm sends the request on a change only.
        if (now.size() == 7 && le32At(now) == wanted)
            return {};
        Bytes coding;
        Fields(coding).le32(wanted).u8(0).u8(0).u8(8);
        TRY(request(0x21, kSetLineCoding, 0, coding, coding.size()));
        return {};
    }

    Result<> setDtr(bool asserted) override
    {
        TRY(request(0x21, kSetControlLineState, asserted ? 3 : 2, {}, 0));
        return {};
    }

private:
    Result<Bytes> request(std::uint8_t type, std::uint8_t code, std::uint16_t value, ByteView data,
                          std::size_t length)
    {
        const SystemClock clock;
        const OpContext op{.clock = clock, .deadline = {clock.now() + std::chrono::seconds(5)}};
        return m_pipe.control({.requestType = type,
                               .request = code,
                               .value = value,
                               .length = static_cast<std::uint16_t>(length)},
                              data, op);
    }

    HostPipe m_pipe;
};

} // namespace

Result<std::vector<SerialPortInfo>> VirtualSerialPorts::enumerate()
{
    std::vector<SerialPortInfo> ports;
    for (const auto& port : m_ports) {
        const VirtualPort::Occupant occupant = port->current();
        if (occupant.function && isSerial(*occupant.function))
            ports.push_back({.path = toText(port->path()), .usb = port->path(), .simulated = true});
    }
    return ports;
}

Result<std::unique_ptr<SerialPort>> VirtualSerialPorts::open(const std::string& path)
{
    for (const auto& port : m_ports) {
        VirtualPort::Occupant occupant = port->current();
        if (toText(port->path()) != path || !occupant.function || !isSerial(*occupant.function))
            continue;
        auto serial =
            std::make_unique<VirtualSerialPort>(HostPipe(port, std::move(occupant), m_pace));
        if (!serial->own())
            return fail(Errc::Busy, Blame::Station, concat("open ", path, ": already open"));
        TRY(serial->setDtr(true));
        return serial;
    }
    return fail(Errc::NotFound, Blame::Unit,
                concat("open ", path, ": no serial port there at present"));
}

} // namespace provost::sim
