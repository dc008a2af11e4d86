#include "host/nests.h"

#include "device/particle_unit.h"
#include "device/swd_unit.h"
#include "transport/tracing.h"

#include <algorithm>

namespace provost {

/// What a slot's unit is reached through; keeps its last transfers.
struct Nests::SlotTrace {
    SlotTrace(UsbBus& bus, SerialPorts& lines, const Clock& clock)
        : ring(std::make_shared<TraceRing>(clock, kTraceLimits)), usb(bus, ring),
          serial(lines, ring)
    {
    }
    // A record of half a megabyte at most: enough for what led to the end, cheap to keep.
    static constexpr TraceLimits kTraceLimits{.entries = 2048, .bytes = std::size_t{256} << 10};
    std::shared_ptr<TraceRing> ring;
    TracingUsbBus usb;
    TracingSerialPorts serial;
};

Result<std::unique_ptr<sim::Bench>> loadBench(const std::string& idOrPath,
                                              const std::filesystem::path& folder,
                                              std::optional<sim::Speed> speed)
{
    const bool isPath = idOrPath.find('/') != std::string::npos || idOrPath.ends_with(".toml");
    return sim::Bench::load(
        isPath ? std::filesystem::path(idOrPath) : folder / (idOrPath + ".toml"), speed);
}

Nests::Nests(std::unique_ptr<sim::Bench> bench, const Clock& clock) : m_bench(std::move(bench))
{
    for (const auto& slot : m_bench->slots()) {
        m_ports.emplace(
            SlotId{slot.number},
            SlotAccess{.usb = &m_bench->usb(), .serial = &m_bench->serial(), .port = slot.port});
        if (slot.probe)
            m_probes.emplace(SlotId{slot.number}, *slot.probe);
    }
    openTraces(clock);
}

Nests::Nests(std::unique_ptr<SlotHardware> hardware, const Clock& clock)
    : m_hardware(std::move(hardware)), m_ports(m_hardware->slots()), m_probes(m_hardware->probes())
{
    openTraces(clock);
}

Nests::~Nests() = default;

void Nests::openTraces(const Clock& clock)
{
    for (const auto& [slot, access] : m_ports)
        m_traces.emplace(slot, std::make_unique<SlotTrace>(*access.usb, *access.serial, clock));
}

std::vector<SlotId> Nests::slots() const
{
    std::vector<SlotId> all;
    for (const auto& [slot, port] : m_ports)
        all.push_back(slot);
    return all;
}

std::unique_ptr<UnitUnderTest> Nests::unitIn(SlotId slot, const TestPlan& plan)
{
    auto holdMode = [this, slot](std::chrono::milliseconds span, const OpContext&) -> Result<bool> {
        return m_bench ? m_bench->holdMode(slot.value, span) : Result<bool>(false);
    };
    auto& trace = *m_traces.at(slot);
    trace.ring->clear();
    if (plan.carrier == Carrier::Swd)
        return std::make_unique<SwdUnit>(SwdConnection{.usb = trace.usb,
                                                       .serial = trace.serial,
                                                       .probe = m_probes.at(slot),
                                                       .serial1 = m_ports.at(slot).port,
                                                       .holdMode = std::move(holdMode),
                                                       .timing = {},
                                                       .simulated = m_bench != nullptr},
                                         plan.platform);
    return std::make_unique<ParticleUnit>(UnitConnection{.usb = trace.usb,
                                                         .serial = trace.serial,
                                                         .port = m_ports.at(slot).port,
                                                         .holdMode = std::move(holdMode),
                                                         .timing = {},
                                                         .simulated = m_bench != nullptr},
                                          plan.platform);
}

std::optional<TraceRecord> Nests::traceOf(SlotId slot) const
{
    const auto found = m_traces.find(slot);
    if (found == m_traces.end())
        return std::nullopt;
    const Trace trace = found->second->ring->snapshot();
    return TraceRecord{.transfers = static_cast<std::int64_t>(trace.entries.size()),
                       .dropped = static_cast<std::int64_t>(trace.dropped),
                       .text = toText(trace)};
}

bool Nests::occupied(SlotId slot, const PlatformSpec& platform) const
{
    const auto& access = m_ports.at(slot);
    const auto devices = access.usb->enumerate();
    return devices && std::ranges::any_of(*devices, [&](const UsbDeviceInfo& device) {
               return device.port == access.port &&
                      (device.id == platform.dfu || device.id == platform.firmware);
           });
}

} // namespace provost
