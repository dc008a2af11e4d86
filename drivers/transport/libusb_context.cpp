#include "transport/libusb_context_p.h"

#include "core/text.h"
#include "transport/usb_sysfs_p.h"

#include <array>
#include <set>

namespace provost {

namespace {

// Permissions follow the node by the time udev needs for its rules (protocol sheet 6.1).
constexpr std::chrono::seconds kAccessPatience{1};
constexpr std::chrono::milliseconds kAccessPause{50};

/// String descriptor as text; code units beyond ASCII become '?'.
std::string stringDescriptor(libusb_device_handle* handle, std::uint8_t index)
{
    std::array<unsigned char, 255> raw{};
    const int size = libusb_get_string_descriptor(handle, index, kEnglish, raw.data(),
                                                  static_cast<int>(raw.size()));
    std::string text;
    for (int i = 2; i + 1 < size; i += 2) {
        const unsigned char low = raw.at(static_cast<std::size_t>(i));
        const unsigned char high = raw.at(static_cast<std::size_t>(i) + 1);
        text.push_back(high == 0 && low < 0x80 ? static_cast<char>(low) : '?');
    }
    return text.substr(0, text.find('\0'));
}

} // namespace

Unexpected libusbError(int code, std::string_view attempt)
{
    Errc errc = Errc::Io;
    Blame blame = Blame::Fixture;
    switch (code) {
    case LIBUSB_ERROR_PIPE:
        errc = Errc::Protocol;
        break;
    case LIBUSB_ERROR_NO_DEVICE:
    case LIBUSB_ERROR_NOT_FOUND:
        errc = Errc::Disconnected;
        break;
    case LIBUSB_ERROR_TIMEOUT:
        errc = Errc::Timeout;
        break;
    case LIBUSB_ERROR_ACCESS:
        errc = Errc::Denied;
        blame = Blame::Station;
        break;
    case LIBUSB_ERROR_BUSY:
        errc = Errc::Busy;
        blame = Blame::Station;
        break;
    case LIBUSB_ERROR_NOT_SUPPORTED:
        errc = Errc::Unsupported;
        blame = Blame::Station;
        break;
    case LIBUSB_ERROR_INVALID_PARAM:
        errc = Errc::InvalidArgument;
        blame = Blame::Software;
        break;
    case LIBUSB_ERROR_NO_MEM:
        errc = Errc::Internal;
        blame = Blame::Station;
        break;
    default:
        break; // IO, OVERFLOW, INTERRUPTED, OTHER: the bus or the cable
    }
    return fail(errc, blame, concat(attempt, ": ", libusb_strerror(code)), code);
}

struct LibusbBus::Context::DeviceList {
    explicit DeviceList(libusb_context* usb) : count(libusb_get_device_list(usb, &items)) {}
    ~DeviceList()
    {
        if (items != nullptr)
            libusb_free_device_list(items, 1);
    }
    DeviceList(const DeviceList&) = delete;
    DeviceList& operator=(const DeviceList&) = delete;
    std::span<libusb_device*> all() const
    {
        return {items, count > 0 ? static_cast<std::size_t>(count) : 0};
    }
    libusb_device** items = nullptr;
    ssize_t count = 0;
};

Result<> LibusbBus::Context::start()
{
    if (const int code = libusb_init(&m_usb); code != LIBUSB_SUCCESS) {
        m_usb = nullptr;
        return libusbError(code, "start libusb");
    }
    m_events = std::jthread([this](const std::stop_token& stop) { handleEvents(stop); });
    if (libusb_has_capability(LIBUSB_CAP_HAS_HOTPLUG) != 0)
        m_hasHotplug =
            libusb_hotplug_register_callback(
                m_usb, LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED | LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT, 0,
                LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY,
                &Context::onHotplug, this, &m_hotplug) == LIBUSB_SUCCESS;
    return {};
}

LibusbBus::Context::~Context()
{
    if (m_usb == nullptr)
        return;
    if (m_hasHotplug)
        libusb_hotplug_deregister_callback(m_usb, m_hotplug);
    if (m_events.joinable()) {
        m_events.request_stop();
        libusb_interrupt_event_handler(m_usb);
        m_events.join();
    }
    libusb_exit(m_usb);
}

void LibusbBus::Context::handleEvents(const std::stop_token& stop)
{
    while (!stop.stop_requested()) {
        timeval limit{.tv_sec = 1, .tv_usec = 0};
        libusb_handle_events_timeout_completed(m_usb, &limit, nullptr);
    }
}

int LibusbBus::Context::onHotplug(libusb_context* /*context*/, libusb_device* device,
                                  libusb_hotplug_event event, void* self)
{
    auto& context = *static_cast<Context*>(self);
    const UsbPortPath port = context.portOf(device);
    const MutexLock lock(context.m_mutex);
    ++context.m_generation;
    const auto seat = context.m_seats.find(port);
    if (event == LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT && seat != context.m_seats.end() &&
        seat->second.address == libusb_get_device_address(device))
        seat->second.address = -1;
    context.m_changed.notify_all();
    return 0;
}

std::uint64_t LibusbBus::Context::generation()
{
    const MutexLock lock(m_mutex);
    return m_generation;
}

void LibusbBus::Context::waitForChange(std::uint64_t generation, std::chrono::milliseconds limit,
                                       std::stop_token stop)
{
    MutexLock lock(m_mutex);
    m_changed.wait_for(lock, std::move(stop), limit,
                       [&]() PROVOST_REQUIRES(m_mutex) { return m_generation != generation; });
}

UsbPortPath LibusbBus::Context::portOf(libusb_device* device)
{
    std::array<std::uint8_t, 8> ports{};
    const int count = libusb_get_port_numbers(device, ports.data(), static_cast<int>(ports.size()));
    const unsigned bus = libusb_get_bus_number(device);
    const MutexLock lock(m_mutex);
    auto& controller = m_controllers[bus];
    if (controller.empty())
        controller = sysfs::controllerOfBus(bus);
    return {.controller = controller, .ports = {ports.begin(), ports.begin() + std::max(count, 0)}};
}

Result<std::vector<UsbDeviceInfo>> LibusbBus::Context::enumerate()
{
    const DeviceList list(m_usb);
    if (list.count < 0)
        return libusbError(static_cast<int>(list.count), "list USB devices");
    std::vector<UsbDeviceInfo> found;
    std::set<UsbPortPath> taken;
    for (libusb_device* device : list.all()) {
        if (auto info = describe(device)) {
            taken.insert(info->port);
            found.push_back(std::move(*info));
        }
    }
    const MutexLock lock(m_mutex);
    for (auto& [port, seat] : m_seats) {
        if (!taken.contains(port))
            seat.address = -1;
    }
    return found;
}

std::optional<UsbDeviceInfo> LibusbBus::Context::describe(libusb_device* device)
{
    libusb_device_descriptor descriptor{};
    if (libusb_get_device_descriptor(device, &descriptor) != LIBUSB_SUCCESS ||
        descriptor.bDeviceClass == LIBUSB_CLASS_HUB)
        return std::nullopt;
    UsbDeviceInfo info{.port = portOf(device),
                       .id = {.vendor = descriptor.idVendor, .product = descriptor.idProduct}};
    if (info.port.ports.empty())
        return std::nullopt;
    info.incarnation = takeSeat(info.port, libusb_get_device_address(device));
    info.serial = serialOf(device, descriptor, info.port);
    return info;
}

std::uint32_t LibusbBus::Context::takeSeat(const UsbPortPath& port, int address)
{
    const MutexLock lock(m_mutex);
    Seat& seat = m_seats[port];
    if (seat.address != address)
        seat = {.address = address,
                .incarnation = seat.incarnation + 1,
                .since = std::chrono::steady_clock::now()};
    return seat.incarnation;
}

std::string LibusbBus::Context::serialOf(libusb_device* device,
                                         const libusb_device_descriptor& descriptor,
                                         const UsbPortPath& port)
{
    bool settled = true;
    {
        const MutexLock lock(m_mutex);
        const Seat& seat = m_seats[port];
        if (seat.serial)
            return *seat.serial;
        settled = std::chrono::steady_clock::now() - seat.since > kAccessPatience;
    }
    // The kernel read the string when the device came; asking again would disturb a transfer of
    // the slot that works with it.
    std::optional<std::string> serial = sysfs::serialNumber(libusb_get_bus_number(device), port);
    if (!serial && descriptor.iSerialNumber == 0)
        serial.emplace();
    if (!serial) {
        libusb_device_handle* raw = nullptr;
        const int code = libusb_open(device, &raw);
        if (code == LIBUSB_SUCCESS)
            serial = stringDescriptor(LibusbHandle(raw).get(), descriptor.iSerialNumber);
        else if (code != LIBUSB_ERROR_ACCESS || settled)
            serial.emplace();
    }
    if (!serial)
        return {};
    const MutexLock lock(m_mutex);
    m_seats[port].serial = serial;
    return *serial;
}

Result<LibusbHandle> LibusbBus::Context::open(const UsbDeviceInfo& which)
{
    const auto until = std::chrono::steady_clock::now() + kAccessPatience;
    const std::string attempt = concat("open ", toText(which.port));
    while (true) {
        const std::uint64_t seen = generation();
        const DeviceList list(m_usb);
        int code = LIBUSB_ERROR_NO_DEVICE;
        for (libusb_device* device : list.all()) {
            const auto info = describe(device);
            if (!info || info->port != which.port || info->incarnation != which.incarnation)
                continue;
            libusb_device_handle* raw = nullptr;
            code = libusb_open(device, &raw);
            if (code == LIBUSB_SUCCESS)
                return LibusbHandle(raw);
        }
        if (code != LIBUSB_ERROR_ACCESS || std::chrono::steady_clock::now() >= until)
            return libusbError(code, attempt);
        waitForChange(seen, kAccessPause, {});
    }
}

} // namespace provost
