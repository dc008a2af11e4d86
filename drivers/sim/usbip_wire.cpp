#include "core/text.h"
#include "sim/octets.h"
#include "sim/usbip_wire_p.h"

#include <algorithm>

namespace provost::sim::usbip {

namespace {

constexpr std::size_t kPathBytes = 256;
constexpr std::uint32_t kBusNumber = 1;
constexpr std::uint32_t kFullSpeed = 2;
constexpr std::uint32_t kHighSpeed = 3;
constexpr std::uint8_t kEndpointDescriptor = 5;
constexpr std::uint8_t kInterfaceDescriptor = 4;

std::uint32_t asUnsigned(std::int32_t value)
{
    return static_cast<std::uint32_t>(value);
}

void appendText(Bytes& to, const std::string& text, std::size_t width)
{
    const std::string cut = text.substr(0, width - 1);
    Fields(to).text(cut).fill(width - cut.size(), std::byte{0});
}

UsbSetup readSetup(ByteView bytes)
{
    return {.requestType = octet(bytes[0]),
            .request = octet(bytes[1]),
            .value = le16At(bytes, 2),
            .index = le16At(bytes, 4),
            .length = le16At(bytes, 6)};
}

/// Packets of more than 64 bytes exist at high speed only (USB 2.0, 5.8.3).
std::uint32_t speedOf(ByteView configuration)
{
    for (std::size_t at = 0; at + 6 < configuration.size() && octet(configuration[at]) != 0;
         at += octet(configuration[at]))
        if (octet(configuration[at + 1]) == kEndpointDescriptor &&
            le16At(configuration, at + 4) > 64)
            return kHighSpeed;
    return kFullSpeed;
}

} // namespace

Command readCommand(ByteView header)
{
    return {.code = be32At(header, 0),
            .sequence = be32At(header, 4),
            .in = be32At(header, 12) != 0,
            .endpoint = static_cast<std::uint8_t>(be32At(header, 16) & 0x0F),
            .flags = be32At(header, 20),
            .length = be32At(header, 24),
            .packets = be32At(header, 32),
            .setup = readSetup(header.subspan(40, 8))};
}

void appendSubmitted(Bytes& to, std::uint32_t sequence, std::int32_t status,
                     std::uint32_t actualLength, ByteView data)
{
    Fields(to)
        .be32(kSubmitted)
        .be32(sequence)
        .fill(12, std::byte{0})
        .be32(asUnsigned(status))
        .be32(actualLength)
        .be32(0)
        .be32(0xFFFFFFFF) // not isochronous
        .fill(12, std::byte{0})
        .raw(data);
}

void appendUnlinked(Bytes& to, std::uint32_t sequence, std::int32_t status)
{
    Fields(to)
        .be32(kUnlinked)
        .be32(sequence)
        .fill(12, std::byte{0})
        .be32(asUnsigned(status))
        .fill(24, std::byte{0});
}

void appendOperation(Bytes& to, std::uint16_t code, std::uint32_t status)
{
    Fields(to).be16(kVersion).be16(code).be32(status);
}

void appendRecord(Bytes& to, const Record& record)
{
    appendText(to, concat("/sys/devices/bench/usb1/", record.busId), kPathBytes);
    appendText(to, record.busId, kBusIdBytes);
    const ByteView device = record.device;
    Fields(to)
        .be32(kBusNumber)
        .be32(record.deviceNumber)
        .be32(speedOf(record.configuration))
        .be16(le16At(device, 8))
        .be16(le16At(device, 10))
        .be16(le16At(device, 12))
        .raw(device.subspan(4, 3))           // class, subclass, protocol
        .u8(octet(record.configuration[5]))  // the configuration it will have
        .u8(octet(device[17]))               // number of configurations
        .u8(octet(record.configuration[4])); // number of interfaces
}

void appendInterfaces(Bytes& to, const Record& record)
{
    const ByteView bytes = record.configuration;
    for (std::size_t at = 0; at + 1 < bytes.size() && octet(bytes[at]) != 0;
         at += octet(bytes[at])) {
        const bool first = octet(bytes[at + 1]) == kInterfaceDescriptor && at + 9 <= bytes.size() &&
                           octet(bytes[at + 3]) == 0;
        if (first)
            Fields(to).raw(bytes.subspan(at + 5, 3)).u8(0);
    }
}

} // namespace provost::sim::usbip
