#include "crypto/secret_bytes.h"

#include <cstring>
#include <new>
#include <utility>

#include <openssl/crypto.h>

#include <sys/prctl.h>
#include <sys/resource.h>

namespace provost {

namespace {

/// A full secure heap must not stop a run: ordinary memory, cleansed alike, takes over.
std::byte* allocateZeroed(std::size_t size)
{
    if (size == 0)
        return nullptr;
    void* memory = nullptr;
    if (CRYPTO_secure_malloc_initialized() == 1)
        memory = OPENSSL_secure_zalloc(size);
    if (memory == nullptr)
        memory = OPENSSL_zalloc(size);
    if (memory == nullptr)
        throw std::bad_alloc();
    return static_cast<std::byte*>(memory);
}

} // namespace

SecretBytes::SecretBytes(std::size_t size) : m_data(allocateZeroed(size)), m_size(size) {}

SecretBytes::SecretBytes(ByteView bytes) : SecretBytes(bytes.size())
{
    if (!bytes.empty())
        std::memcpy(m_data, bytes.data(), bytes.size());
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : m_data(std::exchange(other.m_data, nullptr)), m_size(std::exchange(other.m_size, 0))
{
}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept
{
    if (this != &other) {
        release();
        m_data = std::exchange(other.m_data, nullptr);
        m_size = std::exchange(other.m_size, 0);
    }
    return *this;
}

SecretBytes::~SecretBytes()
{
    release();
}

void SecretBytes::release() noexcept
{
    // Knows by the address which heap the memory is of.
    OPENSSL_secure_clear_free(m_data, m_size);
    m_data = nullptr;
    m_size = 0;
}

void wipe(ByteSpan bytes)
{
    if (!bytes.empty())
        OPENSSL_cleanse(bytes.data(), bytes.size());
}

void keepMemoryPrivate()
{
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) // the leak checker attaches itself at exit
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

} // namespace provost
