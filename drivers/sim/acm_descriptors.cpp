#include "sim/acm_descriptors.h"

#include "sim/octets.h"

namespace provost::sim::acm {

Bytes deviceDescriptor(UsbId id, std::uint16_t release)
{
    Bytes bytes;
    Fields out(bytes);
    out.u8(18).u8(1).le16(0x0200).u8(2).u8(0).u8(0).u8(64);
    out.le16(id.vendor).le16(id.product).le16(release).u8(1).u8(2).u8(3).u8(1);
    return bytes;
}

Bytes configurationDescriptor()
{
    Bytes body;
    Fields out(body);
    out.u8(9).u8(4).u8(0).u8(0).u8(1).u8(2).u8(2).u8(1).u8(0);
    out.u8(5).u8(0x24).u8(0).le16(0x0110); // header
    out.u8(5).u8(0x24).u8(1).u8(0).u8(1);  // call management
    out.u8(4).u8(0x24).u8(2).u8(2);        // line coding, control line state
    out.u8(5).u8(0x24).u8(6).u8(0).u8(1);  // union
    out.u8(7).u8(5).u8(kInterrupt).u8(3).le16(8).u8(16);
    out.u8(9).u8(4).u8(1).u8(0).u8(2).u8(10).u8(0).u8(0).u8(0);
    out.u8(7).u8(5).u8(kDataIn).u8(2).le16(kPacket).u8(0);
    out.u8(7).u8(5).u8(kDataOut).u8(2).le16(kPacket).u8(0);
    Bytes bytes;
    Fields(bytes)
        .u8(9)
        .u8(2)
        .le16(static_cast<unsigned>(9 + body.size()))
        .u8(2)
        .u8(1)
        .u8(0)
        .u8(0xC0)
        .u8(50)
        .raw(body);
    return bytes;
}

Bytes languages()
{
    return *fromHexText("04030904");
}

LineCoding::LineCoding()
{
    Fields(m_bytes).le32(9600).u8(0).u8(0).u8(8);
}

std::uint32_t LineCoding::baud() const
{
    return le32At(m_bytes);
}

UsbReply LineCoding::classRequest(const UsbSetup& setup, ByteView data)
{
    switch (setup.request) {
    case kSetLineCoding:
        if (data.size() != m_bytes.size())
            return UsbReply::stall();
        m_bytes = copyOf(data);
        return {};
    case kGetLineCoding:
        return UsbReply::with(m_bytes);
    case kSetControlLineState:
    case kSendBreak:
        return {};
    default:
        return UsbReply::stall();
    }
}

} // namespace provost::sim::acm
