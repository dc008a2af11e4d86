// Bytes in whole, aligned pages, as an emulator maps them.
#pragma once

#include "core/bytes.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

namespace provost::sim {

class PageMemory {
public:
    static constexpr std::size_t kPage = 4096;
    PageMemory(std::size_t size, std::byte fill)
        : m_size((size + kPage - 1) / kPage * kPage),
          m_bytes(static_cast<std::byte*>(std::aligned_alloc(kPage, m_size)))
    {
        if (!m_bytes)
            throw std::bad_alloc();
        std::fill_n(m_bytes.get(), m_size, fill);
    }
    ByteSpan span() { return {m_bytes.get(), m_size}; }
    ByteView view() const { return {m_bytes.get(), m_size}; }

private:
    struct Free {
        void operator()(std::byte* bytes) const { std::free(bytes); }
    };
    std::size_t m_size;
    std::unique_ptr<std::byte, Free> m_bytes;
};

} // namespace provost::sim
