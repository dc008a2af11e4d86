// Any transport, with every transfer kept in a ring.
#pragma once

#include "transport/serial.h"
#include "transport/trace_ring.h"

namespace provost {

/// Used by one thread, as the device behind it.
class TracingUsbDevice final : public UsbDevice {
public:
    TracingUsbDevice(std::unique_ptr<UsbDevice> inner, std::shared_ptr<TraceRing> ring);
    ~TracingUsbDevice() override;
    TracingUsbDevice(const TracingUsbDevice&) = delete;
    TracingUsbDevice& operator=(const TracingUsbDevice&) = delete;

    const UsbDeviceInfo& info() const override { return m_inner->info(); }
    Result<Bytes> descriptor(std::uint8_t type, std::uint8_t index) override;
    Result<> claim(std::uint8_t number) override;
    Result<> selectAlternate(std::uint8_t number, std::uint8_t alternate) override;
    Result<std::size_t> controlIn(ControlSetup setup, ByteSpan to, const OpContext& op) override;
    Result<> controlOut(ControlSetup setup, ByteView data, const OpContext& op) override;
    Result<std::size_t> bulkIn(std::uint8_t endpoint, ByteSpan to, const OpContext& op) override;
    Result<> bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op) override;
    Result<> reset() override;

private:
    const std::unique_ptr<UsbDevice> m_inner;
    const std::shared_ptr<TraceRing> m_ring;
    const std::uint32_t m_session;
};

/// A slot's view of a bus: what it opens is traced into the slot's ring, and so are waits for
/// devices and failures to open one; looking around is not. Thread-safe, as the bus behind it.
class TracingUsbBus final : public UsbBus {
public:
    /// @param inner  outlives the bus
    TracingUsbBus(UsbBus& inner, std::shared_ptr<TraceRing> ring);
    Result<std::vector<UsbDeviceInfo>> enumerate() override { return m_inner.enumerate(); }
    Result<std::unique_ptr<UsbDevice>> open(const UsbDeviceInfo& which) override;
    Result<UsbDeviceInfo> waitFor(const UsbPortPath& port, std::span<const UsbId> anyOf,
                                  const OpContext& op) override;

private:
    UsbBus& m_inner;
    const std::shared_ptr<TraceRing> m_ring;
};

/// Used by one thread, as the stream behind it.
class TracingStream final : public ByteStream {
public:
    /// @param name  path or address, for the trace
    TracingStream(std::unique_ptr<ByteStream> inner, std::shared_ptr<TraceRing> ring,
                  std::string_view name);
    ~TracingStream() override;
    TracingStream(const TracingStream&) = delete;
    TracingStream& operator=(const TracingStream&) = delete;

    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override;
    Result<> writeAll(ByteView data, const OpContext& op) override;
    Result<> discardInput() override;
    /// Of the trace.
    std::uint32_t session() const { return m_session; }

private:
    const std::unique_ptr<ByteStream> m_inner;
    const std::shared_ptr<TraceRing> m_ring;
    const std::uint32_t m_session;
};

/// As TracingUsbBus: what a slot opens here is traced. Thread-safe, as the ports behind it.
class TracingSerialPorts final : public SerialPorts {
public:
    /// @param inner  outlives the ports
    TracingSerialPorts(SerialPorts& inner, std::shared_ptr<TraceRing> ring);
    Result<std::vector<SerialPortInfo>> enumerate() override { return m_inner.enumerate(); }
    Result<std::unique_ptr<SerialPort>> open(const std::string& path) override;

private:
    SerialPorts& m_inner;
    const std::shared_ptr<TraceRing> m_ring;
};

} // namespace provost
