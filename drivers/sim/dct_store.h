// The two physical copies of a Photon's device configuration table (particle-devices 3.1, 3.3).
#pragma once

#include "sim/flash_memory.h"

namespace provost::sim {

/// Offsets in the application DCT (3.3).
namespace dct {
constexpr std::uint32_t kPrivateKey = 34;
constexpr std::uint32_t kPrivateKeySlot = 1216;
constexpr std::uint32_t kPublicKey = 1250;
constexpr std::uint32_t kPublicKeySlot = 384;
constexpr std::uint32_t kOtaFlag = 1753;
constexpr std::uint32_t kClaimCode = 1762;
constexpr std::uint32_t kClaimCodeSize = 63;
constexpr std::uint32_t kClaimed = 1825;
constexpr std::uint32_t kDeviceCode = 1852;
constexpr std::uint32_t kFactoryVersion = 1858;
constexpr std::uint32_t kServerKey = 2082;
constexpr std::uint32_t kServerKeySlot = 768;
constexpr std::uint32_t kServerAddress = 2466;
constexpr std::uint32_t kServerAddressSize = 128;
constexpr std::uint32_t kPendingModules = 2852;
constexpr std::uint32_t kAlternatePublicKey = 2978;
constexpr std::uint32_t kAlternatePrivateKey = 3106;
constexpr std::uint32_t kAlternateServerKey = 3298;
constexpr std::uint32_t kDeviceId = 3618;
constexpr std::uint32_t kUsableOld = 7548; ///< up to 0.6.x
constexpr std::uint32_t kUsable = 8391;    ///< from 0.7.0
} // namespace dct

/// Not thread-safe; works on `flash`, which must outlive it.
class DctStore {
public:
    explicit DctStore(FlashMemory& flash) : m_flash(flash) {}
    /// Fills both sectors as the factory image does (3.1): copy 0 current, copy 1 erased.
    void format(bool withVersionTrailer);

    int currentCopy() const; ///< 0 or 1: complete and current by bytes 8 and 9
    /// Bytes as they follow each other in the current copy.
    ByteView read(std::uint32_t applicationOffset, std::size_t size) const;
    /// Read-modify-write into the other copy, which then counts; the stale one keeps its bytes.
    /// False: behind `limit`.
    bool write(std::uint32_t applicationOffset, ByteView bytes, std::uint32_t limit);
    /// Erases the slot to FF and puts `bytes` at its start.
    bool writeSlot(std::uint32_t applicationOffset, std::uint32_t slotSize, ByteView bytes);

    /// Changes the current copy in place, as no firmware does.
    void poke(std::uint32_t applicationOffset, ByteView bytes);

    /// The Wi-Fi configuration part, 0x34C bytes.
    ByteView wifi() const;
    void writeWifi(ByteView bytes);

    ByteView sector(int copy) const;

private:
    void rewrite(std::uint32_t sectorOffset, ByteView bytes);
    FlashMemory& m_flash;
};

} // namespace provost::sim
