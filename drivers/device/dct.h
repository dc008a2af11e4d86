// Reading and building the device configuration table (particle-devices 3, 4.3).
#pragma once

#include "core/bytes.h"
#include "crypto/secret_bytes.h"
#include "device/platform_spec.h"

#include <optional>
#include <string>

namespace provost {

/// Where a unit dials (4.3). Host: dotted IPv4 address or a domain of at most 64 bytes.
struct ServerAddress {
    std::string host{};
    std::uint16_t port = 0; ///< 0: the default of the transport
    bool operator==(const ServerAddress&) const = default;
};
std::string toText(const ServerAddress& address);

/// The record as it stands behind the key: type, length, value, port at +66; `size` bytes,
/// FF-filled.
/// @returns InvalidArgument  empty host, or longer than 64 bytes
Result<Bytes> encodeAddress(const ServerAddress& address, std::size_t size);
/// nullopt: none (type neither 0 nor 1).
std::optional<ServerAddress> decodeAddress(ByteView record);

/// Key, FF, address record, FF: one slot, so that neither can be lost without the other.
Result<Bytes> buildServerSlot(const DctLayout& layout, ByteView serverKeyDer,
                              const ServerAddress& address);

/// Private key slot and public key slot behind it (where the platform has one), each FF-filled to
/// its full size.
/// @returns InvalidArgument  the slots do not adjoin or a key is too long
Result<SecretBytes> buildKeySlots(const DctLayout& layout, const SecretBytes& privateDer,
                                  ByteView publicDer);

/// The physical sectors as read, and views into them. Never copied, wiped when gone.
class DctSnapshot {
public:
    /// @param sectors  copy 1, then copy 2 where there are two, layout.sectorSize bytes each
    static Result<DctSnapshot> create(const DctLayout& layout, SecretBytes sectors);

    int copies() const { return m_layout.copyCount(); }
    /// Written to its end and marked as the one that counts (3.1); by its seal (3.2).
    bool isCurrent(int copy) const;
    /// Erased, or a write to it was cut off.
    bool isHalfWritten(int copy) const;
    /// It ends with the version trailer of 0.7.0 and later: a checksum whose range is not
    /// published (3.1).
    bool hasTrailer(int copy) const;
    /// 0 or 1: the copy that counts (3.1, 3.2); nullopt: not to be told.
    std::optional<int> current() const;
    ByteView sector(int copy) const;
    /// The application DCT of a copy, to the end of its sector.
    ByteView application(int copy) const;
    ByteView field(int copy, DctField field) const; ///< application offsets
    ByteView wifi(int copy) const;

private:
    DctSnapshot(const DctLayout& layout, SecretBytes sectors);
    std::optional<int> currentBySeals() const;
    DctLayout m_layout;
    SecretBytes m_sectors;
};

bool allFf(ByteView bytes);
/// Erased or cleared: every byte FF, or every byte 00.
bool blank(ByteView bytes);
/// True where `needle` (not empty) occurs in `bytes`.
bool contains(ByteView bytes, ByteView needle);

} // namespace provost
