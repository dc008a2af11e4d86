#include "core/byte_io.h"
#include "core/text.h"
#include "sim/dfu_function.h"

namespace provost::sim {

namespace {

constexpr unsigned kTransferSize = 4096;
constexpr std::uint8_t kMicrosoftCode = 0xEE;
constexpr std::uint8_t kFunctional = 0x21;

constexpr std::uint8_t kManufacturerString = 1;
constexpr std::uint8_t kProductString = 2;
constexpr std::uint8_t kSerialString = 3;
constexpr std::uint8_t kFirstAlternateString = 4;

constexpr std::string_view kFlashLayout =
    "@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg";
constexpr std::string_view kDctLayout = "@DCT Flash   /0x00000000/01*016Kg";

Bytes functionalDescriptor()
{
    Bytes bytes;
    ByteWriter(bytes).u8(9).u8(kFunctional).u8(0x0B).le16(255).le16(kTransferSize).le16(0x011A);
    return bytes;
}

} // namespace

Bytes DfuFunction::deviceDescriptor() const
{
    Bytes bytes;
    ByteWriter(bytes)
        .u8(18)
        .u8(1)
        .le16(0x0200)
        .u8(0)
        .u8(0)
        .u8(0)
        .u8(64)
        .le16(0x2B04)
        .le16(0xD006)
        .le16(m_version >= 11 ? 0x0250 : 0x0200)
        .u8(kManufacturerString)
        .u8(kProductString)
        .u8(kSerialString)
        .u8(1);
    return bytes;
}

Bytes DfuFunction::configurationDescriptor() const
{
    Bytes bytes;
    ByteWriter out(bytes);
    out.u8(9).u8(2).le16(36).u8(1).u8(1).u8(0).u8(0xC0).u8(50);
    for (unsigned alternate = 0; alternate < 2; ++alternate)
        out.u8(9).u8(4).u8(0).u8(alternate).u8(0).u8(0xFE).u8(1).u8(2).u8(kFirstAlternateString +
                                                                          alternate);
    out.raw(functionalDescriptor());
    return bytes;
}

Bytes DfuFunction::stringDescriptor(std::uint8_t index) const
{
    switch (index) {
    case 0:
        return *fromHex("04030904");
    case kManufacturerString:
        return stringDescriptorOf("Particle");
    case kProductString:
        return stringDescriptorOf("Photon DFU Mode");
    case kSerialString:
        return stringDescriptorOf(m_serial);
    case kFirstAlternateString:
        return stringDescriptorOf(kFlashLayout);
    case kFirstAlternateString + 1:
        return stringDescriptorOf(kDctLayout);
    case 0xEE: {
        if (m_version < 11)
            return {};
        Bytes bytes = stringDescriptorOf("MSFT100");
        bytes[0] = std::byte{0x12};
        ByteWriter(bytes).u8(kMicrosoftCode).u8(0);
        return bytes;
    }
    default:
        return {};
    }
}

Bytes DfuFunction::otherDescriptor(std::uint8_t type, std::uint8_t) const
{
    return type == kFunctional ? functionalDescriptor() : Bytes{};
}

UsbReply DfuFunction::vendorRequest(const UsbSetup& setup, ByteView)
{
    // Microsoft OS descriptors (1.3): WinUSB without a driver package.
    if (m_version < 11 || setup.request != kMicrosoftCode || !setup.isIn())
        return UsbReply::stall();
    Bytes bytes;
    ByteWriter out(bytes);
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
