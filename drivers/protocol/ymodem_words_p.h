// The bytes of YModem and the sizes of its frames (protocol sheet 4.1).
#pragma once

#include "core/byte_io.h"
#include "core/crc.h"

#include <chrono>

namespace provost::ymodem {

inline constexpr std::byte kSoh{0x01};
inline constexpr std::byte kStx{0x02};
inline constexpr std::byte kEot{0x04};
inline constexpr std::byte kAck{0x06};
inline constexpr std::byte kBackspace{0x08};
inline constexpr std::byte kNak{0x15};
inline constexpr std::byte kCan{0x18};
inline constexpr std::byte kSub{0x1A};
inline constexpr std::byte kWantCrc{'C'};
inline constexpr std::byte kWantStream{'G'};

inline constexpr std::size_t kSmallBlock = 128;
inline constexpr std::size_t kLargeBlock = 1024;

/// Behind the last frame, and between bytes that belong together.
inline constexpr std::chrono::milliseconds kGap{1000};

/// Eight CAN, and as many backspaces to clean a terminal's line (sheet 4.3).
inline Bytes farewell()
{
    Bytes bytes(8, kCan);
    bytes.insert(bytes.end(), 8, kBackspace);
    return bytes;
}

/// Where a frame was cut off: fills it up first, or the receiver would take CAN for its data.
inline Bytes longFarewell()
{
    Bytes bytes(kLargeBlock + 5, kCan);
    const Bytes end = farewell();
    bytes.insert(bytes.end(), end.begin(), end.end());
    return bytes;
}

/// SOH or STX, number, complement, data filled with `padding`, CRC.
/// @param size  kSmallBlock or kLargeBlock, at least data.size()
inline Bytes frameOf(std::uint8_t number, ByteView data, std::size_t size, std::byte padding)
{
    constexpr std::size_t kLead = 3;
    Bytes frame;
    frame.reserve(kLead + size + 2);
    ByteWriter out(frame);
    out.u8(u8(size == kLargeBlock ? kStx : kSoh)).u8(number).u8(0xFFU - number).raw(data);
    frame.resize(kLead + size, padding);
    out.be16(crc16Xmodem(ByteView(frame).subspan(kLead)));
    return frame;
}

} // namespace provost::ymodem
