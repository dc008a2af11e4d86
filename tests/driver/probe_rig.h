// One virtual probe with a chip on its cable, and our driver at the other end.
#pragma once

#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/stlink_probe.h"
#include "sim/probe_bench.h"
#include "sim_unicorn/unicorn_core.h"
#include "support/faulty_usb.h"

#include <QTest>
#include <stdexcept>

namespace provost::test {

/// The value, or an exception that fails the test with the error's text.
template <class T>
T taken(Result<T> result)
{
    if (!result)
        throw std::runtime_error(describe(result.error()));
    if constexpr (!std::is_void_v<T>)
        return std::move(*result);
}

class ProbeRig {
public:
    explicit ProbeRig(std::string_view model = "v2-1", std::string_view chip = "f103",
                      std::string_view more = "", std::string_view speed = "instant")
        : m_bench(
              taken(sim::ProbeBench::parse(concat("[bench]\nname = \"rig\"\nspeed = \"", speed,
                                                  "\"\n[[probe]]\nnumber = 1\nmodel = \"", model,
                                                  "\"\nchip = \"", chip, "\"\n", more, "\n"),
                                           "rig.toml", sim::unicornCores())))
    {
    }
    sim::ProbeBench& bench() { return *m_bench; }
    sim::StLinkFunction& virtualProbe() { return m_bench->probe(0); }
    template <class Use>
    auto withChip(Use use)
    {
        return virtualProbe().withChip(use);
    }
    FaultScript& script() { return m_script; }

    OpContext op(std::chrono::milliseconds span = std::chrono::seconds(30)) const
    {
        return {.clock = m_clock,
                .stop = m_script.stop.get_token(),
                .deadline = {m_clock.now() + span}};
    }
    std::unique_ptr<UsbDevice> usb()
    {
        auto device = taken(m_bench->usb().open(taken(m_bench->usb().enumerate()).at(0)));
        return std::make_unique<FaultyUsbDevice>(std::move(device), m_script);
    }
    Result<StLinkProbe> tryOpen() { return StLinkProbe::open(usb(), op()); }
    StLinkProbe open() { return taken(tryOpen()); }
    StLinkProbe connect(const SwdSettings& settings = {})
    {
        StLinkProbe probe = open();
        taken(probe.connect(settings, op()));
        return probe;
    }
    /// Connected, halted before the first instruction.
    StLinkProbe connectHalted()
    {
        StLinkProbe probe = connect();
        taken(probe.resetAndHalt(op()));
        return probe;
    }
    /// A session that begins as if nothing had been.
    void forgetFaults() { m_script = {}; }

private:
    SystemClock m_clock;
    FaultScript m_script{};
    std::unique_ptr<sim::ProbeBench> m_bench;
};

inline Bytes pseudoNoise(std::size_t size, std::uint32_t seed = 1)
{
    Bytes bytes(size);
    for (std::byte& each : bytes) {
        seed = seed * 1664525 + 1013904223;
        each = static_cast<std::byte>(seed >> 24);
    }
    return bytes;
}

} // namespace provost::test
