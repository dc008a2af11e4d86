// The probes of a bench file: [[probe]] tables beside the slots.
#pragma once

#include "sim/stlink_function.h"
#include "sim/usb_adapter.h"

#include <filesystem>
#include <memory>

namespace provost::sim {

/// One [[probe]] table:
///
///   number  = 1             # its port is sim:BENCH:probe#1
///   model   = "v2-1"        # v2, v2-1, v3
///   chip    = "f103"        # f103, f205: what hangs on its cable
///   serial  = "066AFF…"     # 24 hexadecimal digits; made from the number where it is missing
///   voltage = 3.3           # of the target; below 1.5 V it is off
struct ProbeSupply {
    int number = 0;
    StLinkModel model = StLinkModel::V2_1;
    const Stm32Profile* chip = &kF103;
    std::string serial{};
    double voltage = 3.3;
};

/// Plugged in from the start. Thread-safe.
class ProbeBench {
public:
    /// Reads [bench] and every [[probe]]; other tables belong to others. No probe is no error.
    /// @param speed  instead of the file's
    /// @returns NotFound, InvalidData (message has file:line:column)
    static Result<std::unique_ptr<ProbeBench>> load(const std::filesystem::path& file,
                                                    const CoreExecutorMaker& makeCore,
                                                    std::optional<Speed> speed = {});
    static Result<std::unique_ptr<ProbeBench>> parse(std::string_view toml, std::string_view origin,
                                                     const CoreExecutorMaker& makeCore,
                                                     std::optional<Speed> speed = {});

    UsbBus& usb() { return m_usb; }
    const VirtualPorts& ports() const { return m_ports; }
    const std::vector<ProbeSupply>& probes() const { return m_probes; }
    Speed speed() const { return m_pace.speed; }
    /// By its place in probes(); stays the same while it is unplugged.
    StLinkFunction& probe(std::size_t index) { return *m_functions[index]; }
    void plug(std::size_t index) { m_ports[index]->attach(m_functions[index]); }
    void unplug(std::size_t index) { m_ports[index]->detach(); }

private:
    ProbeBench(std::string name, Pace pace, std::vector<ProbeSupply> probes,
               const CoreExecutorMaker& makeCore);

    const Pace m_pace;
    const std::vector<ProbeSupply> m_probes;
    std::vector<std::shared_ptr<StLinkFunction>> m_functions{};
    const VirtualPorts m_ports;
    VirtualUsbBus m_usb;
};

} // namespace provost::sim
