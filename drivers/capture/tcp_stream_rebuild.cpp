#include "capture/tcp_stream_rebuild_p.h"

#include "core/byte_io.h"

namespace provost::capture {

Bytes StreamRebuild::take(std::uint32_t sequence, ByteView payload)
{
    if (!m_next)
        m_next = sequence;
    std::int64_t offset = ahead(sequence);
    if (offset < 0) {
        const auto known = static_cast<std::size_t>(-offset);
        if (known >= payload.size())
            return {}; // sent again
        payload = payload.subspan(known);
        offset = 0;
    }
    if (!payload.empty()) {
        Bytes& kept = m_waiting[m_position + static_cast<std::uint64_t>(offset)];
        if (kept.size() < payload.size())
            kept = toBytes(payload);
    }
    Bytes inOrder;
    while (!m_waiting.empty() && m_waiting.begin()->first <= m_position) {
        const auto first = m_waiting.begin();
        const auto known = static_cast<std::size_t>(m_position - first->first);
        if (known < first->second.size()) {
            const ByteView fresh = ByteView(first->second).subspan(known);
            ByteWriter(inOrder).raw(fresh);
            m_position += fresh.size();
            *m_next += static_cast<std::uint32_t>(fresh.size());
        }
        m_waiting.erase(first);
    }
    return inOrder;
}

} // namespace provost::capture
