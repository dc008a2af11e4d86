// What every CDC-ACM device says alike: one communication and one data interface.
#pragma once

#include "core/bytes.h"
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

} // namespace provost::sim::acm
