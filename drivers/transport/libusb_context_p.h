// What LibusbBus and its devices share: context, event thread, who sits at which port.
#pragma once

#include "core/mutex.h"
#include "transport/libusb_bus.h"
#include "transport/usb_chapter9_p.h"

#include <condition_variable>
#include <libusb.h>
#include <map>
#include <thread>

namespace provost {

/// A failed libusb call, in the terms of a transport (protocol sheet 6.1).
Unexpected libusbError(int code, std::string_view attempt);

struct LibusbHandleDeleter {
    void operator()(libusb_device_handle* handle) const { libusb_close(handle); }
};
using LibusbHandle = std::unique_ptr<libusb_device_handle, LibusbHandleDeleter>;

/// Thread-safe.
class LibusbBus::Context {
public:
    Context() = default;
    ~Context();
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    Result<> start();

    Result<std::vector<UsbDeviceInfo>> enumerate();
    Result<LibusbHandle> open(const UsbDeviceInfo& which);
    /// Number of plug events seen; grows.
    std::uint64_t generation();
    /// Returns at the next plug event behind `generation`, after `limit` or on stop.
    void waitForChange(std::uint64_t generation, std::chrono::milliseconds limit,
                       std::stop_token stop);

private:
    /// One enumeration of one port.
    struct Seat {
        int address = -1; ///< -1: nobody there
        std::uint32_t incarnation = 0;
        Clock::Steady since{};
        std::optional<std::string> serial{};
    };
    struct DeviceList;

    static int LIBUSB_CALL onHotplug(libusb_context* context, libusb_device* device,
                                     libusb_hotplug_event event, void* self);
    void handleEvents(const std::stop_token& stop);
    UsbPortPath portOf(libusb_device* device);
    std::optional<UsbDeviceInfo> describe(libusb_device* device);
    std::uint32_t takeSeat(const UsbPortPath& port, int address);
    std::string serialOf(libusb_device* device, const libusb_device_descriptor& descriptor,
                         const UsbPortPath& port);

    libusb_context* m_usb = nullptr;
    libusb_hotplug_callback_handle m_hotplug = 0;
    bool m_hasHotplug = false;
    std::jthread m_events;
    Mutex m_mutex;
    std::condition_variable_any m_changed;
    std::uint64_t m_generation PROVOST_GUARDED_BY(m_mutex) = 0;
    std::map<UsbPortPath, Seat> m_seats PROVOST_GUARDED_BY(m_mutex);
    std::map<unsigned, std::string> m_controllers PROVOST_GUARDED_BY(m_mutex);
};

} // namespace provost
