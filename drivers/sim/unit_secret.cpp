#include "sim/unit_secret.h"

#include <openssl/crypto.h>
#include <utility>

namespace provost::sim {

UnitSecret& UnitSecret::operator=(UnitSecret&& other) noexcept
{
    if (this != &other) {
        wipeBytes(m_bytes);
        m_bytes = std::exchange(other.m_bytes, {});
    }
    return *this;
}

UnitSecret::~UnitSecret()
{
    wipeBytes(m_bytes);
}

void wipeBytes(ByteSpan bytes)
{
    if (!bytes.empty())
        OPENSSL_cleanse(bytes.data(), bytes.size());
}

} // namespace provost::sim
