// A USB device between a protocol and a virtual one that lets the n-th transfer go wrong.
#pragma once

#include "transport/usb.h"

#include <stop_token>

namespace provost::test {

enum class TransferFault { None, Stall, Timeout, Unplug, Short, FlipBit, Cancel };

/// What one session meets; outlives the device.
struct FaultScript {
    int at = -1; ///< number of the transfer, from 0; -1: none
    TransferFault fault = TransferFault::None;
    int transfers = 0;
    bool gone = false;
    std::stop_source stop{};
};

class FaultyUsbDevice final : public UsbDevice {
public:
    FaultyUsbDevice(std::unique_ptr<UsbDevice> inner, FaultScript& script)
        : m_inner(std::move(inner)), m_script(script)
    {
    }
    const UsbDeviceInfo& info() const override { return m_inner->info(); }
    Result<Bytes> descriptor(std::uint8_t type, std::uint8_t index) override
    {
        return m_inner->descriptor(type, index);
    }
    Result<> claim(std::uint8_t number) override { return m_inner->claim(number); }
    Result<> selectAlternate(std::uint8_t number, std::uint8_t alternate) override
    {
        return m_inner->selectAlternate(number, alternate);
    }
    Result<> reset() override { return m_script.gone ? Result<>(lost()) : m_inner->reset(); }
    Result<std::size_t> controlIn(ControlSetup setup, ByteSpan to, const OpContext& op) override
    {
        return in(to, [&] { return m_inner->controlIn(setup, to, op); });
    }
    Result<> controlOut(ControlSetup setup, ByteView data, const OpContext& op) override
    {
        return out(data, [&](ByteView bytes) { return m_inner->controlOut(setup, bytes, op); });
    }
    Result<std::size_t> bulkIn(std::uint8_t endpoint, ByteSpan to, const OpContext& op) override
    {
        // A device in this process has its answer ready or never will: no short wait is waited out.
        const bool brief = op.remaining() <= std::chrono::milliseconds(300);
        const OpContext shorter = op.within(std::chrono::milliseconds(2));
        return in(to, [&] { return m_inner->bulkIn(endpoint, to, brief ? shorter : op); });
    }
    Result<> bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op) override
    {
        return out(data, [&](ByteView bytes) { return m_inner->bulkOut(endpoint, bytes, op); });
    }

private:
    static Unexpected lost()
    {
        return fail(Errc::Disconnected, Blame::Unit, "transfer: the device has left the bus");
    }
    TransferFault due()
    {
        const bool now = m_script.transfers++ == m_script.at;
        if (now && m_script.fault == TransferFault::Unplug)
            m_script.gone = true;
        return now ? m_script.fault : TransferFault::None;
    }
    std::optional<Unexpected> refusal(TransferFault fault)
    {
        if (m_script.gone)
            return lost();
        if (fault == TransferFault::Stall)
            return fail(Errc::Protocol, Blame::Unit, "transfer: stalled");
        if (fault == TransferFault::Timeout)
            return fail(Errc::Timeout, Blame::Unit, "transfer: no answer");
        if (fault == TransferFault::Cancel) {
            m_script.stop.request_stop();
            return fail(Errc::Cancelled, Blame::Operator, "transfer: cancelled");
        }
        return std::nullopt;
    }
    template <class Transfer>
    Result<std::size_t> in(ByteSpan to, Transfer transfer)
    {
        const TransferFault fault = due();
        if (auto refused = refusal(fault))
            return *refused;
        const std::size_t count = TRY(transfer());
        if (fault == TransferFault::Short)
            return count / 2;
        if (fault == TransferFault::FlipBit && count > 0)
            to[count / 2] ^= std::byte{0x10};
        return count;
    }
    template <class Transfer>
    Result<> out(ByteView data, Transfer transfer)
    {
        const TransferFault fault = due();
        if (auto refused = refusal(fault))
            return *refused;
        if (fault == TransferFault::Short)
            return fail(Errc::Io, Blame::Fixture, "transfer: bus error in the data stage");
        Bytes bytes(data.begin(), data.end());
        if (fault == TransferFault::FlipBit && !bytes.empty())
            bytes[bytes.size() / 2] ^= std::byte{0x10};
        return transfer(bytes);
    }

    std::unique_ptr<UsbDevice> m_inner;
    FaultScript& m_script;
};

} // namespace provost::test
