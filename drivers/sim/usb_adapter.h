// The virtual ports as the station's UsbBus and SerialPorts.
#pragma once

#include "sim/pace.h"
#include "sim/virtual_usb.h"
#include "transport/serial.h"

namespace provost::sim {

using VirtualPorts = std::vector<std::shared_ptr<VirtualPort>>;

/// Shuffled: another order after each device that came.
enum class BusOrder : std::uint8_t { ByPort, Shuffled };

/// Thread-safe.
class VirtualUsbBus final : public UsbBus {
public:
    VirtualUsbBus(VirtualPorts ports, Pace pace, BusOrder order = BusOrder::ByPort)
        : m_ports(std::move(ports)), m_pace(pace), m_order(order)
    {
    }
    Result<std::vector<UsbDeviceInfo>> enumerate() override;
    Result<std::unique_ptr<UsbDevice>> open(const UsbDeviceInfo& which) override;
    Result<UsbDeviceInfo> waitFor(const UsbPortPath& port, std::span<const UsbId> anyOf,
                                  const OpContext& op) override;

private:
    std::shared_ptr<VirtualPort> find(const UsbPortPath& path) const;
    const VirtualPorts m_ports;
    const Pace m_pace;
    const BusOrder m_order;
};

/// The CDC functions on the ports, as a host's ACM driver presents them; `sim:BENCH#SLOT`.
/// Thread-safe.
class VirtualSerialPorts final : public SerialPorts {
public:
    VirtualSerialPorts(VirtualPorts ports, Pace pace) : m_ports(std::move(ports)), m_pace(pace) {}
    Result<std::vector<SerialPortInfo>> enumerate() override;
    Result<std::unique_ptr<SerialPort>> open(const std::string& path) override;

private:
    const VirtualPorts m_ports;
    const Pace m_pace;
};

/// One transfer after the other with one occupant of a port: NAKs, faults, cost and departure.
class HostPipe {
public:
    HostPipe(std::shared_ptr<VirtualPort> port, VirtualPort::Occupant occupant, Pace pace);
    Result<Bytes> control(const UsbSetup& setup, ByteView data, const OpContext& op);
    Result<Bytes> bulkIn(std::uint8_t endpoint, std::size_t most, const OpContext& op);
    Result<> bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op);
    VirtualPort& port() { return *m_port; }
    const VirtualPort& port() const { return *m_port; }
    VirtualUsbFunction& function() { return *m_occupant.function; }
    std::uint32_t incarnation() const { return m_occupant.incarnation; }
    Result<> present() const;

private:
    Result<Bytes> carry(const std::function<UsbReply()>& transfer, const std::string& what,
                        const OpContext& op);
    Result<> refused(std::optional<FaultKind> fault, const std::string& what) const;
    Result<> pay(std::chrono::microseconds cost, const OpContext& op);

    std::shared_ptr<VirtualPort> m_port;
    VirtualPort::Occupant m_occupant;
    Pace m_pace;
    std::chrono::microseconds m_owed{0};
};

} // namespace provost::sim
