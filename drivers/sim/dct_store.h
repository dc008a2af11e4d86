// The two physical copies of the device configuration table (particle-devices 3.1 to 3.3).
#pragma once

#include "sim/flash_memory.h"

#include <functional>

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
constexpr std::uint32_t kAntenna = 2976;
constexpr std::uint32_t kTransport = 2977; ///< 0: TCP; FF: the platform's default
constexpr std::uint32_t kAlternatePublicKey = 2978;
constexpr std::uint32_t kAlternatePrivateKey = 3106;
constexpr std::uint32_t kAlternateServerKey = 3298;
constexpr std::uint32_t kAlternateServerAddress = 3490;
constexpr std::uint32_t kDeviceId = 3618;
constexpr std::uint32_t kUsableOld = 7548;            ///< up to 0.6.x
constexpr std::uint32_t kUsable = 8391;               ///< from 0.7.0
constexpr std::uint32_t kUsableDcd = 0x4000 - 8 - 32; ///< 3.2
} // namespace dct

/// Wiced: Photon and P1 (3.1). Dcd: Electron (3.2). None: the board has no such table.
enum class DctFormat : std::uint8_t { None, Wiced, Dcd };

/// Not thread-safe; works on `flash`, which must outlive it.
class DctStore {
public:
    /// Every function but this needs a format other than None.
    DctStore(FlashMemory& flash, DctFormat format) : m_flash(flash), m_format(format) {}
    /// Called with the address of the copy that a change is about to erase.
    void beforeErase(std::function<void(std::uint32_t)> hook) { m_beforeErase = std::move(hook); }
    /// Fills both sectors as the factory image does: copy 0 current (3.1, 3.2).
    void format(bool withVersionTrailer);

    int currentCopy() const; ///< 0 or 1, by the rules of the format
    /// Bytes as they follow each other in the current copy.
    ByteView read(std::uint32_t applicationOffset, std::size_t size) const;
    /// Read-modify-write into the other copy, which then counts; the stale one keeps its bytes.
    /// False: behind `limit`, or the supply was lost meanwhile.
    bool write(std::uint32_t applicationOffset, ByteView bytes, std::uint32_t limit);
    /// Erases the slot to FF and puts `bytes` at its start.
    bool writeSlot(std::uint32_t applicationOffset, std::uint32_t slotSize, ByteView bytes);

    /// Changes the current copy in place, as no firmware does; a good checksum stays good.
    void poke(std::uint32_t applicationOffset, ByteView bytes);

    /// The Wi-Fi configuration part, 0x34C bytes; Wiced only.
    ByteView wifi() const;
    void writeWifi(ByteView bytes);

    ByteView sector(int copy) const;

private:
    void rewrite(std::uint32_t sectorOffset, ByteView bytes);
    void rewriteWiced(int to, Bytes image);
    void rewriteDcd(int to, Bytes image);
    void formatWiced(bool withVersionTrailer);
    void formatDcd();
    int currentDcd() const;
    bool crcGood(int copy) const;
    std::uint32_t application() const;

    FlashMemory& m_flash;
    const DctFormat m_format;
    std::function<void(std::uint32_t)> m_beforeErase{};
};

} // namespace provost::sim
