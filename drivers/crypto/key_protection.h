// What a computer must offer before private keys are made on it, and whose keys may not lie there.
#pragma once

#include "core/bytes.h"
#include "core/result.h"

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace provost {

struct SwapArea {
    std::string name{};
    bool sealed = false; ///< encrypted, or compressed memory
};
struct MemoryProtection {
    bool memoryLocked = false;
    bool coreDumpsOff = false;
    std::vector<SwapArea> swap{};
};

/// Sets up what can be set up (secure heap, no core dumps), then looks.
MemoryProtection protectMemory();
/// Of the text of /proc/swaps; `isSealed` knows a device by its name ("dm-1").
std::vector<SwapArea> swapAreasIn(std::string_view procSwaps,
                                  const std::function<bool(const std::string&)>& isSealed);
/// What is missing, in words that say what to do; empty: nothing.
std::vector<std::string> missingProtection(const MemoryProtection& protection);

/// A private key beside the station that opens what is sealed to `certificate`; empty: none. Looks
/// at the files of each folder and up to 6 folders below it, 20 000 files in each at most: PEM, DER
/// and PKCS#12 without a password. A key under a passphrase is not recognised: nobody but its
/// owner can tell whose it is.
/// @param certificate  PEM
/// @returns InvalidData  the certificate is damaged
Result<std::filesystem::path> keyThatOpens(ByteView certificate,
                                           std::span<const std::filesystem::path> folders);

} // namespace provost
