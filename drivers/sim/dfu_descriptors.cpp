#include "sim/dfu_function.h"
#include "sim/octets.h"

namespace provost::sim {

namespace {

constexpr std::uint8_t kMicrosoftCode = 0xEE;
constexpr std::uint8_t kFunctional = 0x21;

constexpr std::uint8_t kManufacturerString = 1;
constexpr std::uint8_t kProductString = 2;
constexpr std::uint8_t kSerialString = 3;
constexpr std::uint8_t kFirstAlternateString = 4;

} // namespace

Bytes DfuFunction::functionalDescriptor() const
{
    Bytes bytes;
    Fields(bytes).u8(9).u8(kFunctional).u8(0x0B).le16(255).le16(m_dfu.transferSize).le16(0x011A);
    return bytes;
}

Bytes DfuFunction::deviceDescriptor() const
{
    Bytes bytes;
    Fields(bytes)
        .u8(18)
        .u8(1)
        .le16(m_dfu.usbVersion)
        .u8(0)
        .u8(0)
        .u8(0)
        .u8(64)
        .le16(m_dfu.id.vendor)
        .le16(m_dfu.id.product)
        .le16(m_version >= 11 && !onF1() ? 0x0250 : 0x0200)
        .u8(kManufacturerString)
        .u8(kProductString)
        .u8(kSerialString)
        .u8(1);
    return bytes;
}

Bytes DfuFunction::configurationDescriptor() const
{
    Bytes bytes;
    Fields out(bytes);
    const auto memories = static_cast<unsigned>(m_dfu.memories.size());
    out.u8(9).u8(2).le16(18 + 9 * memories).u8(1).u8(1).u8(0).u8(0xC0).u8(50);
    for (unsigned alternate = 0; alternate < memories; ++alternate)
        out.u8(9).u8(4).u8(0).u8(alternate).u8(0).u8(0xFE).u8(1).u8(2).u8(kFirstAlternateString +
                                                                          alternate);
    out.raw(functionalDescriptor());
    return bytes;
}

Bytes DfuFunction::stringDescriptor(std::uint8_t index) const
{
    switch (index) {
    case 0:
        return *fromHexText("04030904");
    case kManufacturerString:
        return stringDescriptorOf(m_board->profile.manufacturer);
    case kProductString:
        return stringDescriptorOf(m_dfu.product);
    case kSerialString:
        return stringDescriptorOf(m_serial);
    case 0xEE: {
        if (m_version < 11 || onF1())
            return {};
        Bytes bytes = stringDescriptorOf("MSFT100");
        bytes[0] = std::byte{0x12};
        Fields(bytes).u8(kMicrosoftCode).u8(0);
        return bytes;
    }
    default:
        return memoryName(index - kFirstAlternateString);
    }
}

Bytes DfuFunction::memoryName(int alternate) const
{
    if (alternate < 0 || static_cast<std::size_t>(alternate) >= m_dfu.memories.size())
        return {};
    const DfuMemory& memory = m_dfu.memories[static_cast<std::size_t>(alternate)];
    return stringDescriptorOf(
        std::string(memory.layout).append(static_cast<std::size_t>(memory.trailingNuls), '\0'));
}

Bytes DfuFunction::otherDescriptor(std::uint8_t type, std::uint8_t) const
{
    return type == kFunctional ? functionalDescriptor() : Bytes{};
}

UsbReply DfuFunction::vendorRequest(const UsbSetup& setup, ByteView)
{
    // Microsoft OS descriptors (1.3): WinUSB without a driver package.
    if (m_version < 11 || onF1() || setup.request != kMicrosoftCode || !setup.isIn())
        return UsbReply::stall();
    Bytes bytes;
    Fields out(bytes);
    if (setup.index == 4) {
        out.le32(40).le16(0x0100).le16(4).u8(1).fill(7, std::byte{0});
        out.u8(0).u8(1).text("WINUSB").fill(16, std::byte{0});
        return UsbReply::with(std::move(bytes));
    }
    if (setup.index == 5) {
        const auto wide = [&out](std::string_view text) {
            for (const char c : text)
                out.le16(static_cast<unsigned char>(c));
            out.le16(0);
        };
        out.le32(142).le16(0x0100).le16(5).le16(1).le32(132).le32(1).le16(40);
        wide("DeviceInterfaceGUID");
        out.le32(78);
        wide("{37fb5f90-1a34-4929-933b-8a27e1850033}");
        return UsbReply::with(std::move(bytes));
    }
    return UsbReply::stall();
}

} // namespace provost::sim
