// Files for DFU: the suffix of DFU 1.1 behind any content, and ST's DfuSe container (UM0391).
#pragma once

#include "core/bytes.h"
#include "core/result.h"

#include <optional>
#include <string>
#include <vector>

namespace provost {

/// For which device a file is meant; 0xFFFF: any.
struct DfuSuffix {
    std::uint16_t device = 0xFFFF; ///< bcdDevice
    std::uint16_t product = 0xFFFF;
    std::uint16_t vendor = 0xFFFF;
    std::uint16_t version = 0x0100; ///< bcdDFU; 0x011A: DfuSe
};

/// One run of bytes; a view into the file it was read from, which must outlive it.
struct DfuElement {
    std::uint32_t address = 0;
    ByteView bytes{};
};

struct DfuImage {
    std::uint8_t alternate = 0;
    std::string name{};
    std::vector<DfuElement> elements{};
};

/// What a file for `dfu write` holds.
struct DfuFile {
    std::optional<DfuSuffix> suffix{};
    std::vector<DfuImage> images{}; ///< of a DfuSe file; empty: the file names no addresses
    ByteView content{};             ///< without prefix and suffix, where `images` is empty
};

/// Reads a DfuSe file, a binary with a DFU suffix, or any other file, which is its own content.
///
/// A file that begins as a DfuSe file or ends in a suffix has to be whole: sizes, CRC, nothing left
/// over, no two elements in one place.
///
/// @returns InvalidData  the message names the field at fault with both values
/// @see     UM0391; DFU 1.1, appendix B; protocol sheet 1.6
Result<DfuFile> parseDfuFile(ByteView file);

/// `content` and its suffix.
Bytes withDfuSuffix(ByteView content, const DfuSuffix& suffix);

/// A DfuSe file. The suffix gets version 0x011A.
/// @returns InvalidArgument  no image, an image without elements, an element without bytes or
///                           beyond 32 bits, a name of more than 254 bytes, more than 255 images
Result<Bytes> buildDfuSeFile(const std::vector<DfuImage>& images, DfuSuffix suffix);

/// @returns Denied  the file is meant for another maker or product
Result<> checkDfuRecipient(const DfuSuffix& suffix, std::uint16_t vendor, std::uint16_t product);

} // namespace provost
