// The arithmetic of a unit's own handshake code (particle-devices 4.1, 4.2, 5.1): a second reading
// of the specification, independent of the station's.
#pragma once

#include "core/bytes.h"
#include "core/result.h"
#include "sim/unit_secret.h"

#include <optional>

namespace provost::sim {

/// What the fixed-stride reader finds in a key slot, right or wrong: it never notices.
struct UnitKeyNumbers {
    UnitSecret n{}, d{}, p{}, q{}, dp{}, dq{}, qInverse{};
};
/// @param slot  at least 612 bytes
UnitKeyNumbers readKeySlot(ByteView slot);

/// c^d mod n by the Chinese remainders, then the type-2 padding.
/// @param cipher  128 bytes
/// @returns nullopt  no such padding, or the numbers do not compute: DECRYPTION_ERROR
std::optional<UnitSecret> unitDecrypt(const UnitKeyNumbers& key, ByteView cipher);

/// Type-2 padded and raised to 65537 under bytes 33..288 of the server key slot.
/// @returns nullopt  the slot cannot be computed with
std::optional<Bytes> encryptToServer(ByteView serverSlot, ByteView plain);
/// Opens a signature: what stands behind type-1 padding; nullopt without it.
std::optional<Bytes> recoverFromServer(ByteView serverSlot, ByteView signature);

/// The on-device generator: RSA-1024, each integer at full width behind a 00 byte, 611 bytes.
Result<UnitSecret> generateOnDevice();
/// A key as a desktop tool writes it: shortest DER, of a shape the unit can read.
Result<UnitSecret> generateOnDesktop();
/// Fixed head, bytes 11..138 of the private slot, fixed tail: 162 bytes, unchecked (4.1).
Bytes pastedPublicKey(ByteView privateSlot);

Bytes unitHmacSha1(ByteView key, ByteView data);
Bytes unitAesEncrypt(ByteView key, ByteView iv, ByteView padded);
Bytes unitAesDecrypt(ByteView key, ByteView iv, ByteView cipher);

} // namespace provost::sim
