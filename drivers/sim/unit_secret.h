// What a virtual unit or bench keeps secret: private keys, passwords. The drivers' own type stays
// theirs.
#pragma once

#include "core/bytes.h"

namespace provost::sim {

/// Bytes that are zeroed when they go. Move-only; no ==, no formatter.
class UnitSecret {
public:
    UnitSecret() = default;
    explicit UnitSecret(std::size_t size) : m_bytes(size) {}
    /// Takes a copy; the caller wipes its own.
    explicit UnitSecret(ByteView bytes) : m_bytes(bytes.begin(), bytes.end()) {}
    UnitSecret(UnitSecret&& other) noexcept = default;
    UnitSecret& operator=(UnitSecret&& other) noexcept;
    UnitSecret(const UnitSecret&) = delete;
    UnitSecret& operator=(const UnitSecret&) = delete;
    bool operator==(const UnitSecret&) const = delete;
    ~UnitSecret();

    std::size_t size() const { return m_bytes.size(); }
    bool empty() const { return m_bytes.empty(); }
    /// Never store the view.
    ByteView reveal() const { return m_bytes; }
    ByteSpan writable() { return m_bytes; }
    UnitSecret clone() const { return UnitSecret(reveal()); }

private:
    Bytes m_bytes{}; ///< never grows: a grown vector leaves copies behind
};

/// Overwrites memory in a way the compiler keeps.
void wipeBytes(ByteSpan bytes);

} // namespace provost::sim
