// How a trace spells what was asked: written while tracing, compared while replaying.
#pragma once

#include "transport/usb.h"

namespace provost::trace {

/// One word whatever it holds: what would end it, or is not printable, becomes %XX.
std::string word(std::string_view text);
/// The reverse. @returns InvalidData
Result<std::string> unword(std::string_view word);

std::string openUsb(const UsbDeviceInfo& info);
/// @returns InvalidData  not what openUsb() writes
Result<UsbDeviceInfo> readOpenUsb(std::string_view request);
bool isOpenUsb(std::string_view request);

std::string descriptor(std::uint8_t type, std::uint8_t index);
std::string claim(std::uint8_t number);
std::string alternate(std::uint8_t number, std::uint8_t alternate);
std::string controlIn(const ControlSetup& setup, std::size_t most);
std::string controlOut(const ControlSetup& setup);
std::string bulkIn(std::uint8_t endpoint, std::size_t most);
std::string bulkOut(std::uint8_t endpoint);
constexpr std::string_view kReset = "reset";
constexpr std::string_view kClose = "close";

} // namespace provost::trace
