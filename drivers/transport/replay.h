// A recorded device: answers as it did then, to whoever asks as was asked then.
#pragma once

#include "transport/trace_ring.h"
#include "transport/usb.h"

namespace provost {

/// Plays one device of a trace, from its opening to its closing. Nothing waits. What was secret
/// comes back as zeros of the recorded length, and is accepted with any content of that length: a
/// driver that has to understand a secret answer gets no further than there.
/// Used by one thread.
class ReplayUsbDevice final : public UsbDevice {
public:
    /// @param which  0 is the first device that the trace opens
    /// @returns NotFound  it opens fewer: the ring may have dropped the beginning; InvalidData
    static Result<std::unique_ptr<ReplayUsbDevice>> create(const Trace& trace,
                                                           std::size_t which = 0);

    // Mismatch, from all of them: something else was asked, or nothing more.
    const UsbDeviceInfo& info() const override { return m_info; }
    Result<Bytes> descriptor(std::uint8_t type, std::uint8_t index) override;
    Result<> claim(std::uint8_t number) override;
    Result<> selectAlternate(std::uint8_t number, std::uint8_t alternate) override;
    Result<std::size_t> controlIn(ControlSetup setup, ByteSpan to, const OpContext& op) override;
    Result<> controlOut(ControlSetup setup, ByteView data, const OpContext& op) override;
    Result<std::size_t> bulkIn(std::uint8_t endpoint, ByteSpan to, const OpContext& op) override;
    Result<> bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op) override;
    Result<> reset() override;

    /// Transfers that nobody has asked for yet.
    std::size_t left() const { return m_entries.size() - m_next; }

private:
    ReplayUsbDevice(UsbDeviceInfo info, std::vector<TraceEntry> entries);
    Result<const TraceEntry*> next(const std::string& request, ByteView out);
    Result<std::size_t> read(const std::string& request, ByteSpan to);
    Result<> act(const std::string& request, ByteView out = {});

    const UsbDeviceInfo m_info;
    const std::vector<TraceEntry> m_entries;
    std::size_t m_next = 0;
};

} // namespace provost
