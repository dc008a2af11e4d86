#include "transport/usb_sysfs_p.h"

#include "core/text.h"

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <unistd.h>

namespace provost::sysfs {

namespace {

std::string resolved(const std::string& path)
{
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           &std::free);
    return real ? std::string(real.get()) : std::string();
}

std::optional<std::string> attribute(const std::string& path)
{
    std::ifstream file(path);
    std::string text;
    if (!file || !std::getline(file, text))
        return std::nullopt;
    return text.substr(0, text.find('\0'));
}

/// `1-2.3` gives 2, 3.
std::optional<std::vector<std::uint8_t>> portsOfName(std::string_view name)
{
    const auto dash = name.find('-');
    if (dash == std::string_view::npos)
        return std::nullopt;
    std::vector<std::uint8_t> ports;
    const char* at = name.data() + dash + 1;
    const char* const end = name.data() + name.size();
    while (at != end) {
        std::uint8_t port = 0;
        const auto [next, error] = std::from_chars(at, end, port);
        if (error != std::errc{} || (next != end && *next != '.'))
            return std::nullopt;
        ports.push_back(port);
        at = next == end ? end : next + 1;
    }
    return ports;
}

} // namespace

std::string controllerOfBus(unsigned bus)
{
    const std::string name = concat("usb", bus);
    const std::string path = resolved(concat("/sys/bus/usb/devices/", name));
    return path.empty() ? name : path;
}

std::optional<UsbPortPath> portOfName(std::string_view name)
{
    unsigned bus = 0;
    const auto [next, error] = std::from_chars(name.data(), name.data() + name.size(), bus);
    const auto ports = portsOfName(name);
    if (error != std::errc{} || next != name.data() + name.find('-') || !ports || ports->empty())
        return std::nullopt;
    return UsbPortPath{.controller = controllerOfBus(bus), .ports = *ports};
}

std::optional<UsbPortPath> portOfTty(const std::string& ttyName)
{
    std::string path = resolved(concat("/sys/class/tty/", ttyName, "/device"));
    // CDC ports hang below their interface, usb-serial ports one level deeper (sheet 6.5).
    for (int level = 0; level < 5 && path.size() > 1; ++level) {
        const auto bus = attribute(concat(path, "/busnum"));
        if (bus && attribute(concat(path, "/idVendor"))) {
            const auto ports = portsOfName(path.substr(path.rfind('/') + 1));
            unsigned number = 0;
            const auto parsed = std::from_chars(bus->data(), bus->data() + bus->size(), number);
            if (!ports || parsed.ec != std::errc{})
                return std::nullopt;
            return UsbPortPath{.controller = controllerOfBus(number), .ports = *ports};
        }
        path.resize(path.rfind('/'));
    }
    return std::nullopt;
}

std::optional<std::string> serialNumber(unsigned bus, const UsbPortPath& port)
{
    std::string name = concat("/sys/bus/usb/devices/", bus);
    char separator = '-';
    for (const std::uint8_t number : port.ports) {
        name += concat(separator, static_cast<unsigned>(number));
        separator = '.';
    }
    return attribute(concat(name, "/serial"));
}

bool hasTty(const std::string& ttyName)
{
    return ::access(concat("/sys/class/tty/", ttyName).c_str(), F_OK) == 0;
}

} // namespace provost::sysfs
