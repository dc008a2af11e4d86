// The [[probe]] tables of a bench file.
#pragma once

#include "sim/stlink_function.h"
#include "sim/usb_adapter.h"

#include <vector>

namespace provost::sim {

/// One [[probe.fault]] table: what goes wrong with the probe itself, once.
///
///   kind     = "stall"      # stall, timeout, short, bit-flip, unplug
///   transfer = 7            # counted from the bench's start on
///   pipe     = "bulk"       # or control, where ST-Link has next to nothing to say
struct ProbeFault {
    FaultKind kind = FaultKind::Stall;
    FaultPipe pipe = FaultPipe::Bulk;
    std::uint32_t transfer = 0;
};

/// One [[probe]] table:
///
///   number  = 1             # its port is sim:BENCH:probe#1
///   slot    = 1             # wired to the chip of whatever unit is in this slot
///   model   = "v2-1"        # v2, v2-1, v3
///   chip    = "f103"        # f103, f205: what hangs on its cable, where it is wired to no slot
///   serial  = "066AFF…"     # 24 hexadecimal digits; made from the number where it is missing
///   voltage = 3.3           # of that chip; below 1.5 V it is off
struct ProbeSupply {
    int number = 0;
    int slot = 0; ///< 0: none
    StLinkModel model = StLinkModel::V2_1;
    const Stm32Profile* chip = &kF103;
    std::string serial{};
    double voltage = 3.3;
    std::vector<ProbeFault> faults{};
};

/// The probes of one bench, plugged in from the start.
struct PluggedProbes {
    PluggedProbes(const std::string& bench, Pace pace, const std::vector<ProbeSupply>& supplies,
                  const CoreExecutorMaker& makeCore);
    std::vector<std::shared_ptr<StLinkFunction>> functions{};
    VirtualPorts ports{};
};

} // namespace provost::sim
