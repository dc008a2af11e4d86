// Bytes on their way to or from a unit: they may be key material, so nothing of them stays behind.
#pragma once

#include <cstddef>
#include <memory>
#include <string.h>
#include <vector>

namespace provost {

template <class T>
struct WipingAllocator {
    using value_type = T;
    WipingAllocator() = default;
    template <class Other>
    WipingAllocator(const WipingAllocator<Other>& /*other*/)
    {
    }
    T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
    void deallocate(T* at, std::size_t count)
    {
        ::explicit_bzero(at, count * sizeof(T));
        std::allocator<T>().deallocate(at, count);
    }
    bool operator==(const WipingAllocator&) const = default;
};

/// Wiped before its memory is given back.
using WipedBytes = std::vector<std::byte, WipingAllocator<std::byte>>;

} // namespace provost
