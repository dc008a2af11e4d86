// Addresses of hardware on the command line: usb:BUS-PORT, usb:VID:PID, usbip:HOST:PORT/BUSID,
// sim:BENCH#SLOT.
#pragma once

#include "core/op_context.h"
#include "device/platform_spec.h"
#include "protocol/dfu_device.h"
#include "sim/bench.h"
#include "transport/serial.h"

#include <memory>
#include <string>

namespace provost::cli {

/// For the help of commands that take such an address.
std::string busNotes();
std::string deviceNotes();

/// USB and serial ports of one place, which this object keeps alive.
struct AddressedBus {
    std::unique_ptr<sim::Bench> bench{}; ///< where the address is sim:…
    std::unique_ptr<UsbBus> ownBus{};
    std::unique_ptr<SerialPorts> ownPorts{};
    UsbBus* usb = nullptr;
    SerialPorts* serial = nullptr;
};

/// This computer (empty address), `usbip:HOST:PORT`, or `sim:BENCH` with a unit in every slot.
Result<AddressedBus> openBus(const std::string& address, const OpContext& op);

struct AddressedDevice : AddressedBus {
    UsbDeviceInfo info{};
};

/// @returns NotFound; InvalidArgument  the address is malformed or more than one device matches
Result<AddressedDevice> findDevice(const std::string& address, const OpContext& op);

/// The family member that the device is. @returns Denied  a device of another maker
Result<PlatformSpec> platformOf(const UsbDeviceInfo& info);

/// The device's DFU memory. A unit that runs firmware is brought to DFU first; a device of another
/// maker is never opened.
Result<DfuDevice> openDfu(AddressedDevice& device, const OpContext& op);

/// /dev/ttyACM0, a pseudo-terminal, tcp:HOST:PORT, listen:HOST:PORT, or a device address with a CDC
/// interface.
struct AddressedStream {
    std::unique_ptr<AddressedDevice> device{};
    std::unique_ptr<ByteStream> stream{};
    SerialPort* port = nullptr;              ///< the same, where it has a baud rate
    bool simulated = false;                  ///< a virtual bench stands behind it
    std::optional<std::uint16_t> platform{}; ///< id, where the USB device says it
};
Result<AddressedStream> openStream(const std::string& address, const OpContext& op);

/// HOST:PORT.
struct HostPort {
    std::string host{};
    std::uint16_t port = 0;
};
Result<HostPort> parseHostPort(const std::string& text);

} // namespace provost::cli
