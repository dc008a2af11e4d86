// The serial ports among the devices of a USB/IP server: CDC-ACM without a tty.
#pragma once

#include "transport/serial.h"
#include "transport/usbip_bus.h"

namespace provost {

/// Paths are the addresses of the devices, `usbip:HOST:PORT/BUSID`. What the unit sends is read as
/// it comes, like a terminal does, and kept until somebody asks. Opening asserts DTR and RTS;
/// setBaud() always reaches the unit, whatever the rate was. Ports may outlive this object and the
/// bus. Thread-safe.
class UsbIpPorts final : public SerialPorts {
public:
    /// Shares the imports of `bus`.
    explicit UsbIpPorts(const UsbIpBus& bus);
    ~UsbIpPorts() override;
    Result<std::vector<SerialPortInfo>> enumerate() override;
    /// @returns NotFound  no serial port there at present; Busy  in use, here or by another client
    Result<std::unique_ptr<SerialPort>> open(const std::string& path) override;

private:
    std::shared_ptr<UsbIpHub> m_hub;
};

} // namespace provost
