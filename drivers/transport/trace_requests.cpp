#include "transport/trace_requests_p.h"

#include "core/byte_io.h"
#include "core/text.h"

#include <array>
#include <charconv>
#include <memory>
#include <sstream>

namespace provost::trace {

namespace {

constexpr std::string_view kOpenUsb = "open-usb";

std::string hex8(std::uint8_t value)
{
    const std::array<std::byte, 1> one{static_cast<std::byte>(value)};
    return toHex(one);
}

std::string setupText(const ControlSetup& setup)
{
    return concat(hex8(setup.requestType), " ", hex8(setup.request), " ", hex16(setup.value), " ",
                  hex16(setup.index));
}

Unexpected notOpened(std::string_view request)
{
    return fail(Errc::InvalidData, Blame::Operator,
                concat("read a trace: \"", request.substr(0, 80), "\" opens no USB device"));
}

/// "/sys/…/usb1" has the ports behind it as "-2.3".
std::string portsText(const UsbPortPath& port)
{
    std::string text;
    for (const std::uint8_t each : port.ports)
        text += concat(text.empty() ? "" : ".", each + 0);
    return text.empty() ? "-" : text;
}

bool readPorts(std::string_view text, std::vector<std::uint8_t>& ports)
{
    if (text == "-")
        return true;
    while (true) {
        const auto end = std::min(text.find('.'), text.size());
        std::uint8_t port = 0;
        const auto number = text.substr(0, end);
        const auto [stopped, error] =
            std::from_chars(std::to_address(number.begin()), std::to_address(number.end()), port);
        if (error != std::errc{} || stopped != std::to_address(number.end()))
            return false;
        ports.push_back(port);
        if (end == text.size())
            return true;
        text.remove_prefix(end + 1);
    }
}

} // namespace

std::string word(std::string_view text)
{
    std::string escaped;
    for (const char c : text) {
        const auto code = static_cast<std::uint8_t>(c);
        const bool plain = code > 0x20 && code < 0x7F && c != '%' && c != '=' && c != '>';
        escaped += plain ? std::string(1, c) : concat("%", hex8(code));
    }
    return escaped.empty() ? "%" : escaped;
}

Result<std::string> unword(std::string_view word)
{
    std::string text;
    while (!word.empty() && word != "%") {
        const bool isEscape = word.front() == '%';
        if (isEscape)
            text += toText(TRY(fromHex(word.substr(1, 2))));
        else
            text += word.front();
        word.remove_prefix(std::min<std::size_t>(isEscape ? 3 : 1, word.size()));
    }
    return text;
}

std::string openUsb(const UsbDeviceInfo& info)
{
    return concat(kOpenUsb, " ", word(info.port.controller), " ", portsText(info.port), " ",
                  hex16(info.id.vendor), hex16(info.id.product), " ", word(info.serial), " ",
                  info.incarnation, " ", info.simulated ? "simulated" : "real");
}

bool isOpenUsb(std::string_view request)
{
    return request.starts_with(concat(kOpenUsb, " "));
}

Result<UsbDeviceInfo> readOpenUsb(std::string_view request)
{
    std::istringstream words{std::string(request)};
    std::string kind;
    std::string controller;
    std::string ports;
    std::string id;
    std::string serial;
    std::string reality;
    UsbDeviceInfo info;
    words >> kind >> controller >> ports >> id >> serial >> info.incarnation >> reality;
    const auto raw = fromHex(id);
    if (!words || kind != kOpenUsb || !raw || raw->size() != 4 ||
        !readPorts(ports, info.port.ports))
        return notOpened(request);
    info.port.controller = TRY(unword(controller));
    info.id = {.vendor = readBe16(*raw), .product = readBe16(*raw, 2)};
    info.serial = TRY(unword(serial));
    info.simulated = reality == "simulated";
    return info;
}

std::string descriptor(std::uint8_t type, std::uint8_t index)
{
    return concat("descriptor ", hex8(type), " ", hex8(index));
}

std::string claim(std::uint8_t number)
{
    return concat("claim ", number + 0);
}

std::string alternate(std::uint8_t number, std::uint8_t alternate)
{
    return concat("alternate ", number + 0, " ", alternate + 0);
}

std::string controlIn(const ControlSetup& setup, std::size_t most)
{
    return concat("control-in ", setupText(setup), " ", most);
}

std::string controlOut(const ControlSetup& setup)
{
    return concat("control-out ", setupText(setup));
}

std::string bulkIn(std::uint8_t endpoint, std::size_t most)
{
    return concat("bulk-in ", hex8(endpoint), " ", most);
}

std::string bulkOut(std::uint8_t endpoint)
{
    return concat("bulk-out ", hex8(endpoint));
}

} // namespace provost::trace
