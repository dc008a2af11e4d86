// The devices of a USB/IP server, used with no kernel module and no privilege (protocol sheet 5).
#pragma once

#include "transport/usb.h"

#include <functional>

namespace provost {

class UsbIpHub;

/// `usbip:HOST[:PORT]/BUSID`; a literal IPv6 address in brackets.
struct UsbIpAddress {
    std::string host{};
    std::uint16_t port = 3240;
    std::string busId{}; ///< "1-2.3"; empty: all that the server exports
};
/// @returns InvalidArgument  not of that form
Result<UsbIpAddress> parseUsbIpAddress(const std::string& text);
/// Where that device is, or will be: toText() of it is the address again, with host and port.
UsbPortPath portPathOf(const UsbIpAddress& address);

/// The port path of a device is `usbip:HOST:PORT` and the numbers of its bus id, so that toText()
/// gives its address. An open device is imported: no other client can use it meanwhile. Opened
/// twice in this process, or as a serial port besides, it is imported once and belongs to all of
/// them; what is exclusive is an interface that one has claimed. Devices may outlive the bus.
///
/// A list tells no serial numbers: each device is imported for a moment when it is first seen,
/// which may reset it; `mayImport` says which ones, and all others are listed without. So is one
/// that another client has imported, or, where the server hides it, not at all. Thread-safe.
class UsbIpBus final : public UsbBus {
public:
    using MayImport = std::function<bool(const UsbId&)>;
    /// Connects to nothing yet.
    /// @param mayImport  what is imported unasked, for its serial number; empty: anything. What is
    ///                   opened by name is imported in any case.
    /// @returns InvalidArgument
    static Result<std::unique_ptr<UsbIpBus>>
    create(const std::string& host, std::uint16_t port = 3240, MayImport mayImport = {});
    ~UsbIpBus() override;

    /// @returns Unavailable  nobody serves there; Protocol  whoever does speaks otherwise; Timeout
    Result<std::vector<UsbDeviceInfo>> enumerate() override;
    Result<std::unique_ptr<UsbDevice>> open(const UsbDeviceInfo& which) override;
    /// Looks every 50 ms; a server that cannot be reached may still come back.
    Result<UsbDeviceInfo> waitFor(const UsbPortPath& port, std::span<const UsbId> anyOf,
                                  const OpContext& op) override;

    /// What UsbIpPorts shares with it.
    std::shared_ptr<UsbIpHub> hub() const { return m_hub; }

private:
    explicit UsbIpBus(std::shared_ptr<UsbIpHub> hub);
    std::shared_ptr<UsbIpHub> m_hub;
};

} // namespace provost
