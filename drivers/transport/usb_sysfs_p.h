// Port paths from the kernel's own directory tree, so that USB and serial name a place alike.
#pragma once

#include "transport/usb.h"

#include <optional>
#include <string>

namespace provost::sysfs {

/// `/sys/devices/pci…/usb1` of bus 1; `usb1` where the tree does not show it.
std::string controllerOfBus(unsigned bus);
/// The place that `1-2.3` names; empty where it is not of that form.
std::optional<UsbPortPath> portOfName(std::string_view name);
/// The port of the USB device above a tty: `ttyACM0`. Empty: not on USB.
std::optional<UsbPortPath> portOfTty(const std::string& ttyName);
/// Serial number as the kernel read it when the device came: no transfer, no permission needed.
std::optional<std::string> serialNumber(unsigned bus, const UsbPortPath& port);
/// True where /sys/class/tty knows the name.
bool hasTty(const std::string& ttyName);

} // namespace provost::sysfs
