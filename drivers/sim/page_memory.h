// Bytes in whole, aligned pages, as an emulator maps them.
#pragma once

#include "core/bytes.h"

#include <cstdlib>
#include <new>
#include <vector>

namespace provost::sim {

/// For vectors that begin at a page.
template <class T>
struct PageAllocator {
    using value_type = T;
    PageAllocator() = default;
    template <class U>
    PageAllocator(const PageAllocator<U>&)
    {
    }
    T* allocate(std::size_t count)
    {
        constexpr std::size_t kPage = 4096;
        void* const found =
            std::aligned_alloc(kPage, (count * sizeof(T) + kPage - 1) / kPage * kPage);
        if (found == nullptr)
            throw std::bad_alloc();
        return static_cast<T*>(found);
    }
    void deallocate(T* bytes, std::size_t) { std::free(bytes); }
    bool operator==(const PageAllocator&) const { return true; }
};
using PageBytes = std::vector<std::byte, PageAllocator<std::byte>>;

/// Its size is rounded up to whole pages.
class PageMemory {
public:
    static constexpr std::size_t kPage = 4096;
    PageMemory(std::size_t size, std::byte fill) : m_bytes((size + kPage - 1) / kPage * kPage, fill)
    {
    }
    ByteSpan span() { return m_bytes; }
    ByteView view() const { return m_bytes; }

private:
    PageBytes m_bytes;
};

} // namespace provost::sim
