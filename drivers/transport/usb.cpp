#include "transport/usb.h"

#include "core/text.h"

namespace provost {

std::string toText(const UsbPortPath& path)
{
    const bool simulated = path.controller.starts_with("sim:");
    const bool remote = path.controller.starts_with("usbip:");
    const bool onController = !simulated && !remote;
    std::string text = onController ? "usb:" : path.controller;
    char separator = simulated ? '#' : '/';
    if (onController) {
        // The bus number is the last component of the controller's path ("…/usb1").
        const auto at = path.controller.rfind("usb");
        text += at == std::string::npos ? path.controller : path.controller.substr(at + 3);
        separator = '-';
    }
    for (const std::uint8_t port : path.ports) {
        text += concat(separator, static_cast<unsigned>(port));
        // A bus id as its server writes it: bus, then ports (usbip:HOST:PORT/1-2.3).
        separator = separator == '/' ? '-' : '.';
    }
    return text;
}

} // namespace provost
