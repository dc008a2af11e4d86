// The USB of this computer, through libusb.
#pragma once

#include "transport/usb.h"

namespace provost {

/// Owns a libusb context and its event thread. Devices may outlive it. Thread-safe.
class LibusbBus final : public UsbBus {
public:
    static Result<std::unique_ptr<LibusbBus>> create();
    /// The place that `1-2.3` names, whether or not a device is plugged in there.
    /// @returns InvalidArgument  not of that form
    static Result<UsbPortPath> portPath(std::string_view busAndPorts);
    ~LibusbBus() override;

    /// Hubs are left out.
    Result<std::vector<UsbDeviceInfo>> enumerate() override;
    /// Does not detach a kernel driver: only claiming an interface does.
    Result<std::unique_ptr<UsbDevice>> open(const UsbDeviceInfo& which) override;
    Result<UsbDeviceInfo> waitFor(const UsbPortPath& port, std::span<const UsbId> anyOf,
                                  const OpContext& op) override;

private:
    class Context;
    class Device;
    explicit LibusbBus(std::shared_ptr<Context> context);
    std::shared_ptr<Context> m_context;
};

} // namespace provost
