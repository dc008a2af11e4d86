// Checksums of the formats that the station speaks.
#pragma once

#include "core/bytes.h"

namespace provost {

/// CRC-32/ISO-HDLC as zlib computes it: "123456789" gives 0xCBF43926. Continue with the last value.
std::uint32_t crc32(ByteView bytes, std::uint32_t previous = 0);
/// CRC-16/XMODEM: poly 0x1021, init 0, not reflected: "123456789" gives 0x31C3.
std::uint16_t crc16Xmodem(ByteView bytes);
/// CRC-32/JAMCRC of a DFU suffix: no final inversion: "123456789" gives 0x340BC6D9.
std::uint32_t crc32DfuSuffix(ByteView bytes);

} // namespace provost
