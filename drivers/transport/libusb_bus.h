// The USB of this computer, through libusb.
#pragma once

#include "transport/usb.h"

namespace provost {

/// Owns a libusb context and its event thread. Devices may outlive it. Thread-safe.
class LibusbBus final : public UsbBus {
public:
    static Result<std::unique_ptr<LibusbBus>> create();
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
