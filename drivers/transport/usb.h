// USB as the station needs it: control and bulk transfers, devices followed by port path.
#pragma once

#include "core/bytes.h"
#include "core/op_context.h"
#include "core/result.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace provost {

struct UsbPortPath {
    std::string controller{}; ///< sysfs path of the host controller, usbip:HOST:PORT or sim:BENCH
    std::vector<std::uint8_t> ports{};
    auto operator<=>(const UsbPortPath&) const = default;
};
/// `usb:1-2.3`, `sim:demo#1`, `usbip:HOST:PORT/1-2.3`: for people and records.
std::string toText(const UsbPortPath& path);

struct UsbId {
    std::uint16_t vendor = 0;
    std::uint16_t product = 0;
    auto operator<=>(const UsbId&) const = default;
};

struct UsbDeviceInfo {
    UsbPortPath port{};
    UsbId id{};
    std::string serial{};          ///< as the device says it, trailing NULs cut; empty: none
    std::uint32_t incarnation = 0; ///< differs for each enumeration of one port
    bool simulated = false;        ///< a virtual bench stands behind it: demo images may be written
};

struct ControlSetup {
    std::uint8_t requestType = 0;
    std::uint8_t request = 0;
    std::uint16_t value = 0;
    std::uint16_t index = 0;
};

/// An open device. Owned and used by one thread; closes when destroyed.
///
/// Errors of every transfer: Disconnected (left the bus), Timeout (op.deadline), Cancelled,
/// Protocol (the device stalled the request), Io (bus error, cable). A transport never retries.
class UsbDevice {
public:
    virtual ~UsbDevice() = default;
    virtual const UsbDeviceInfo& info() const = 0;
    /// Standard GET_DESCRIPTOR; strings in language 0x0409, raw.
    virtual Result<Bytes> descriptor(std::uint8_t type, std::uint8_t index) = 0;
    virtual Result<> claim(std::uint8_t number) = 0;
    virtual Result<> selectAlternate(std::uint8_t number, std::uint8_t alternate) = 0;
    virtual Result<std::size_t> controlIn(ControlSetup setup, ByteSpan to, const OpContext& op) = 0;
    virtual Result<> controlOut(ControlSetup setup, ByteView data, const OpContext& op) = 0;
    virtual Result<std::size_t> bulkIn(std::uint8_t endpoint, ByteSpan to, const OpContext& op) = 0;
    virtual Result<> bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op) = 0;
    virtual Result<> reset() = 0;
};

/// Every USB device the station can see. Thread-safe.
class UsbBus {
public:
    virtual ~UsbBus() = default;
    virtual Result<std::vector<UsbDeviceInfo>> enumerate() = 0;
    /// @returns Disconnected  that incarnation has left; Denied  no permission; Busy  in use
    virtual Result<std::unique_ptr<UsbDevice>> open(const UsbDeviceInfo& which) = 0;
    /// Waits for any of `anyOf` (empty: any device) at the port path, the only identity that
    /// survives re-enumeration.
    virtual Result<UsbDeviceInfo> waitFor(const UsbPortPath& port, std::span<const UsbId> anyOf,
                                          const OpContext& op) = 0;
};

/// Whether a transfer ended because the device stalled it.
inline bool isStalled(const Error& error)
{
    return error.code == Errc::Protocol;
}

} // namespace provost
