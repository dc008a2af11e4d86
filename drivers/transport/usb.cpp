#include "transport/usb.h"

#include "core/text.h"

namespace provost {

std::string toText(const UsbPortPath& path)
{
    const bool onController =
        path.controller.rfind("sim:", 0) != 0 && path.controller.rfind("usbip:", 0) != 0;
    std::string text = onController ? "usb:" : path.controller;
    char separator = onController ? '\0' : '#';
    if (onController) {
        // The bus number is the last component of the controller's path ("…/usb1").
        const auto at = path.controller.rfind("usb");
        text += at == std::string::npos ? path.controller : path.controller.substr(at + 3);
        separator = '-';
    }
    for (const std::uint8_t port : path.ports) {
        text += concat(separator, static_cast<unsigned>(port));
        separator = '.';
    }
    return text;
}

} // namespace provost
