// The only form in which a private key or a password exists in this program.
#pragma once

#include "core/bytes.h"
#include "core/result.h"

#include <cstddef>

namespace provost {

/// Bytes that are zeroed when they go. Move-only; no ==, no formatter, no conversion to Bytes:
/// logging one is a compile error. Lives in OpenSSL's secure heap where that is set up.
class SecretBytes {
public:
    SecretBytes() = default;
    explicit SecretBytes(std::size_t size);
    /// Takes a copy; the caller wipes its own.
    explicit SecretBytes(ByteView bytes);
    SecretBytes(SecretBytes&& other) noexcept;
    SecretBytes& operator=(SecretBytes&& other) noexcept;
    SecretBytes(const SecretBytes&) = delete;
    SecretBytes& operator=(const SecretBytes&) = delete;
    bool operator==(const SecretBytes&) const = delete;
    ~SecretBytes();

    std::size_t size() const { return m_size; }
    bool empty() const { return m_size == 0; }
    /// For the one call that needs the bytes: transfer, parse, hash. Never store the view.
    ByteView reveal() const { return {m_data, m_size}; }
    ByteSpan writable() { return {m_data, m_size}; }
    SecretBytes clone() const { return SecretBytes(reveal()); }

private:
    void release() noexcept;
    std::byte* m_data = nullptr;
    std::size_t m_size = 0;
};

/// No core dumps and no foreign debugger: what a process holds of keys stays in it. For the first
/// line of a program.
void keepMemoryPrivate();

/// Overwrites memory in a way the compiler keeps.
void wipe(ByteSpan bytes);

} // namespace provost
