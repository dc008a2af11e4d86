// A debug probe by its address on the command line.
#pragma once

#include "cli/command_line.h"
#include "cli/device_address.h"
#include "cli/served_bench.h"
#include "protocol/stlink_probe.h"

namespace provost::cli {

/// A command on DEVICE, or on DEVICE and FILE, with the options of every probe: `--khz`,
/// `--under-reset`.
Command probeCommand(std::string path, std::string summary, std::size_t positionals,
                     std::vector<Option> options, std::string example,
                     Result<> (*run)(const Arguments&));

/// USB of one place, and the bench that serves it where the address is sim:…
struct ProbeBus {
    std::unique_ptr<ServedBench> bench{};
    AddressedBus bus{};
};
/// As openBus(); `sim:BENCH` with every probe of the bench.
Result<ProbeBus> openProbeBus(const std::string& address, const OpContext& op);

/// As a user would name the device again: for a bench of its own `sim:BENCH#N`.
std::string addressOf(const UsbDeviceInfo& info, const ProbeBus& bus, const std::string& address);

/// An open probe, its bus kept alive.
struct OpenedProbe {
    std::unique_ptr<ServedBench> bench{};
    AddressedDevice device{};
    std::unique_ptr<StLinkProbe> probe{};
};
/// @returns Denied  the device is no ST-Link
Result<OpenedProbe> openProbe(const Arguments& arguments, const OpContext& op);
/// In SWD, by the options of probeCommand().
Result<OpenedProbe> connectProbe(const Arguments& arguments, const OpContext& op);

} // namespace provost::cli
