#include "transport/replay.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "transport/trace_requests_p.h"

#include <algorithm>

namespace provost {

Result<std::unique_ptr<ReplayUsbDevice>> ReplayUsbDevice::create(const Trace& trace,
                                                                 std::size_t which)
{
    std::size_t seen = 0;
    const auto opening =
        std::ranges::find_if(trace.entries, [&seen, which](const TraceEntry& entry) {
            return trace::isOpenUsb(entry.request) && seen++ == which;
        });
    if (opening == trace.entries.end())
        return fail(Errc::NotFound, Blame::Operator,
                    concat("replay USB device ", which, " of a trace: it opens ", seen, ", ",
                           trace.dropped, " earlier entries were dropped"));
    auto info = TRY(trace::readOpenUsb(opening->request));
    std::vector<TraceEntry> entries;
    std::copy_if(opening + 1, trace.entries.end(), std::back_inserter(entries),
                 [&](const TraceEntry& entry) {
                     return entry.session == opening->session && entry.request != trace::kClose;
                 });
    return std::unique_ptr<ReplayUsbDevice>(
        new ReplayUsbDevice(std::move(info), std::move(entries)));
}

ReplayUsbDevice::ReplayUsbDevice(UsbDeviceInfo info, std::vector<TraceEntry> entries)
    : m_info(std::move(info)), m_entries(std::move(entries))
{
}

/// The recorded answer to `request`, or the error that was recorded.
Result<const TraceEntry*> ReplayUsbDevice::next(const std::string& request, ByteView out)
{
    if (m_next == m_entries.size())
        return fail(Errc::Mismatch, Blame::Software,
                    concat("replay transfer ", m_next + 1, ": \"", request,
                           "\" is asked, but the recording ends here"));
    const TraceEntry& entry = m_entries[m_next];
    if (entry.request != request)
        return fail(Errc::Mismatch, Blame::Software,
                    concat("replay transfer ", m_next + 1, ": \"", request,
                           "\" is asked, recorded is \"", entry.request, "\""));
    const bool same = entry.secret ? entry.sent == out.size() : equalBytes(entry.out, out);
    if (!same)
        return fail(Errc::Mismatch, Blame::Software,
                    concat("replay transfer ", m_next + 1, ", \"", request, "\": ", out.size(),
                           " bytes are sent that are not the ", entry.sent, " recorded ones"));
    ++m_next;
    if (entry.failure)
        return fail(entry.failure->code, entry.failure->blame,
                    concat("replay transfer ", m_next, ", \"", request, "\": failed as recorded"),
                    entry.failure->native);
    return &entry;
}

Result<std::size_t> ReplayUsbDevice::read(const std::string& request, ByteSpan to)
{
    const TraceEntry* const entry = TRY(next(request, {}));
    const std::size_t count = std::min(entry->received, to.size());
    std::fill_n(to.begin(), count, std::byte{0});
    std::copy_n(entry->in.begin(), std::min(count, entry->in.size()), to.begin());
    return count;
}

Result<> ReplayUsbDevice::act(const std::string& request, ByteView out)
{
    TRY(next(request, out));
    return {};
}

Result<Bytes> ReplayUsbDevice::descriptor(std::uint8_t type, std::uint8_t index)
{
    return TRY(next(trace::descriptor(type, index), {}))->in;
}

Result<> ReplayUsbDevice::claim(std::uint8_t number)
{
    return act(trace::claim(number));
}

Result<> ReplayUsbDevice::selectAlternate(std::uint8_t number, std::uint8_t alternate)
{
    return act(trace::alternate(number, alternate));
}

Result<std::size_t> ReplayUsbDevice::controlIn(ControlSetup setup, ByteSpan to,
                                               const OpContext& /*op*/)
{
    return read(trace::controlIn(setup, to.size()), to);
}

Result<> ReplayUsbDevice::controlOut(ControlSetup setup, ByteView data, const OpContext& /*op*/)
{
    return act(trace::controlOut(setup), data);
}

Result<std::size_t> ReplayUsbDevice::bulkIn(std::uint8_t endpoint, ByteSpan to,
                                            const OpContext& /*op*/)
{
    return read(trace::bulkIn(endpoint, to.size()), to);
}

Result<> ReplayUsbDevice::bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& /*op*/)
{
    return act(trace::bulkOut(endpoint), data);
}

Result<> ReplayUsbDevice::reset()
{
    return act(std::string(trace::kReset));
}

} // namespace provost
