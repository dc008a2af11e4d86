// The probes of a bench file that have a chip of their own: [[probe]] tables without a slot.
#pragma once

#include "sim/probe_supply.h"
#include "sim/usb_adapter.h"

#include <filesystem>
#include <memory>

namespace provost::sim {

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
    const VirtualPorts& ports() const { return m_plugged.ports; }
    const std::vector<ProbeSupply>& probes() const { return m_probes; }
    Speed speed() const { return m_pace.speed; }
    /// By its place in probes(); stays the same while it is unplugged.
    StLinkFunction& probe(std::size_t index) { return *m_plugged.functions[index]; }
    void plug(std::size_t index) { m_plugged.ports[index]->attach(m_plugged.functions[index]); }
    void unplug(std::size_t index) { m_plugged.ports[index]->detach(); }

private:
    ProbeBench(const std::string& name, Pace pace, std::vector<ProbeSupply> probes,
               const CoreExecutorMaker& makeCore);

    const Pace m_pace;
    const std::vector<ProbeSupply> m_probes;
    const PluggedProbes m_plugged;
    VirtualUsbBus m_usb;
};

} // namespace provost::sim
