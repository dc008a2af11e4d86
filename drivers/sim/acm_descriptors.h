// What every CDC-ACM device says and answers alike: one communication and one data interface.
#pragma once

#include "core/bytes.h"
#include "sim/virtual_usb.h"
#include "transport/usb.h"

namespace provost::sim::acm {

constexpr std::uint8_t kInterrupt = 0x82;
constexpr std::uint8_t kDataIn = 0x81;
constexpr std::uint8_t kDataOut = 0x01;
constexpr unsigned kPacket = 64;
constexpr std::uint8_t kSetLineCoding = 0x20;
constexpr std::uint8_t kGetLineCoding = 0x21;
constexpr std::uint8_t kSetControlLineState = 0x22;
constexpr std::uint8_t kSendBreak = 0x23;

/// Strings 1 to 3: manufacturer, product, serial number.
Bytes deviceDescriptor(UsbId id, std::uint16_t release);
Bytes configurationDescriptor();
Bytes languages(); ///< string descriptor 0

/// The line as the host set it (PSTN 1.2, 6.3.11): 9600 8N1 at first.
class LineCoding {
public:
    LineCoding();
    UsbReply classRequest(const UsbSetup& setup, ByteView data);
    std::uint32_t baud() const;
    bool operator==(const LineCoding&) const = default;

private:
    Bytes m_bytes;
};

} // namespace provost::sim::acm
