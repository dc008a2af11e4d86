// A USB bus between station and bench that counts, pretends and falsifies.
#pragma once

#include "core/mutex.h"
#include "transport/usb.h"

#include <atomic>
#include <functional>
#include <mutex>

namespace provost::test {

/// What happens to the transfers that pass through. Thread-safe.
class Meddling {
public:
    /// May change what goes to the unit, or what came from it. Called from the slot's thread.
    using Out = std::function<void(const ControlSetup&, Bytes&)>;
    using In = std::function<void(const ControlSetup&, ByteSpan)>;
    /// An error instead of the transfer, which the unit then never sees.
    using Break = std::function<std::optional<Error>(const ControlSetup&)>;
    using Info = std::function<void(UsbDeviceInfo&)>;

    std::atomic<bool> real = false;    ///< hides that a bench stands behind
    std::atomic<int> outTransfers = 0; ///< control and bulk
    std::atomic<int> downloads = 0;    ///< DFU_DNLOAD with data in a block behind 1: writes

    void onOut(Out out) { set(m_out, std::move(out)); }
    void onIn(In in) { set(m_in, std::move(in)); }
    void onBreak(Break cut) { set(m_break, std::move(cut)); }
    void onInfo(Info info) { set(m_info, std::move(info)); }
    Out out() const { return get(m_out); }
    In in() const { return get(m_in); }
    Break cut() const { return get(m_break); }
    Info info() const { return get(m_info); }

private:
    template <class T>
    void set(T& place, T value)
    {
        const std::lock_guard lock(m_mutex);
        place = std::move(value);
    }
    template <class T>
    T get(const T& place) const
    {
        const std::lock_guard lock(m_mutex);
        return place;
    }
    mutable std::mutex m_mutex;
    Out m_out{};
    In m_in{};
    Break m_break{};
    Info m_info{};
};

class MeddlingDevice final : public UsbDevice {
public:
    MeddlingDevice(std::unique_ptr<UsbDevice> inner, UsbDeviceInfo info, Meddling& meddling)
        : m_inner(std::move(inner)), m_info(std::move(info)), m_meddling(meddling)
    {
    }
    const UsbDeviceInfo& info() const override { return m_info; }
    Result<Bytes> descriptor(std::uint8_t type, std::uint8_t index) override
    {
        return m_inner->descriptor(type, index);
    }
    Result<> claim(std::uint8_t number) override { return m_inner->claim(number); }
    Result<> selectAlternate(std::uint8_t number, std::uint8_t alternate) override
    {
        return m_inner->selectAlternate(number, alternate);
    }
    Result<std::size_t> controlIn(ControlSetup setup, ByteSpan to, const OpContext& op) override
    {
        if (const auto cut = m_meddling.cut()) {
            if (auto error = cut(setup))
                return Unexpected(std::move(*error));
        }
        auto count = m_inner->controlIn(setup, to, op);
        if (const auto meddle = m_meddling.in(); count && meddle)
            meddle(setup, to.first(*count));
        return count;
    }
    Result<> controlOut(ControlSetup setup, ByteView data, const OpContext& op) override
    {
        ++m_meddling.outTransfers;
        constexpr std::uint8_t kDownload = 1; // DFU 1.1, table 3.2
        if (setup.requestType == 0x21 && setup.request == kDownload && setup.value > 1 &&
            !data.empty())
            ++m_meddling.downloads;
        const auto meddle = m_meddling.out();
        if (!meddle)
            return m_inner->controlOut(setup, data, op);
        Bytes changed(data.begin(), data.end());
        meddle(setup, changed);
        return m_inner->controlOut(setup, changed, op);
    }
    Result<std::size_t> bulkIn(std::uint8_t endpoint, ByteSpan to, const OpContext& op) override
    {
        return m_inner->bulkIn(endpoint, to, op);
    }
    Result<> bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op) override
    {
        ++m_meddling.outTransfers;
        return m_inner->bulkOut(endpoint, data, op);
    }
    Result<> reset() override { return m_inner->reset(); }

private:
    std::unique_ptr<UsbDevice> m_inner;
    UsbDeviceInfo m_info;
    Meddling& m_meddling;
};

/// Thread-safe, as the bus behind it is.
class MeddlingBus final : public UsbBus {
public:
    MeddlingBus(UsbBus& inner, Meddling& meddling) : m_inner(inner), m_meddling(meddling) {}
    Result<std::vector<UsbDeviceInfo>> enumerate() override
    {
        auto found = TRY(m_inner.enumerate());
        for (auto& info : found)
            pretend(info);
        return found;
    }
    Result<std::unique_ptr<UsbDevice>> open(const UsbDeviceInfo& which) override
    {
        auto inner = TRY(m_inner.open(which));
        UsbDeviceInfo info = inner->info();
        pretend(info);
        return std::unique_ptr<UsbDevice>(
            std::make_unique<MeddlingDevice>(std::move(inner), std::move(info), m_meddling));
    }
    Result<UsbDeviceInfo> waitFor(const UsbPortPath& port, std::span<const UsbId> anyOf,
                                  const OpContext& op) override
    {
        auto info = TRY(m_inner.waitFor(port, anyOf, op));
        pretend(info);
        return info;
    }

private:
    void pretend(UsbDeviceInfo& info) const
    {
        if (m_meddling.real)
            info.simulated = false;
        if (const auto meddle = m_meddling.info())
            meddle(info);
    }
    UsbBus& m_inner;
    Meddling& m_meddling;
};

} // namespace provost::test
