#include "sim/public_cloud.h"

#include "core/text.h"
#include "sim/checksums.h"
#include "sim/octets.h"

namespace provost::sim {

Bytes publicCloudKey()
{
    Bytes key = *fromHexText("30820122300d06092a864886f70d01010105000382010f003082010a0282010100");
    for (unsigned block = 0; block < 8; ++block) {
        const auto part = unitSha256(octetsOf(concat("virtual public cloud ", block)));
        key.insert(key.end(), part.begin(), part.end());
    }
    key[33] |= std::byte{0x80};
    key.back() |= std::byte{1};
    Fields(key).u8(2).u8(3).u8(1).u8(0).u8(1);
    return key;
}

} // namespace provost::sim
