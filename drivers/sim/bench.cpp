#include "sim/bench.h"

#include "core/text.h"
#include "sim/bench_file.h"
#include "sim/unit_factory.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace provost::sim {

namespace {

struct Slot {
    int number = 0;
    std::vector<UnitSupply> supply{}; ///< counts go down; what is used up is removed
    std::shared_ptr<VirtualPort> port{};
    std::optional<InsertedUnit> unit{};
    std::unique_ptr<VirtualBoard> board{};
};

std::vector<Slot> makeSlots(const BenchFile& file)
{
    std::vector<Slot> slots;
    for (const SlotFile& each : file.slots) {
        UsbPortPath path{.controller = "sim:" + file.name,
                         .ports = {static_cast<std::uint8_t>(each.number)}};
        slots.push_back({.number = each.number,
                         .supply = each.units,
                         .port = std::make_shared<VirtualPort>(std::move(path))});
    }
    return slots;
}

std::string firstPlatform(const BenchFile& file)
{
    for (const SlotFile& slot : file.slots)
        if (!slot.units.empty())
            return slot.units.front().platform;
    return UnitSupply{}.platform;
}

VirtualPorts portsOf(const std::vector<Slot>& slots, const PluggedProbes& probes)
{
    VirtualPorts ports;
    for (const Slot& slot : slots)
        ports.push_back(slot.port);
    ports.insert(ports.end(), probes.ports.begin(), probes.ports.end());
    return ports;
}

std::unique_ptr<Stm32Chip> emptyCable(Pace pace)
{
    auto chip = std::make_unique<Stm32Chip>(kF103, pace, standingCores());
    chip->setVoltage(0);
    return chip;
}

} // namespace

struct Bench::Impl {
    Impl(BenchFile file, CoreExecutorMaker maker)
        : name(file.name), platform(firstPlatform(file)), pace(file.pace),
          modeButton(file.modeButton), slots(makeSlots(file)),
          network(std::make_shared<const BenchNetwork>(std::move(file.network))),
          makeCore(std::move(maker)), supplies(std::move(file.probes)),
          probes(name, pace, supplies, standingCores()), ports(portsOf(slots, probes)),
          usb(ports, pace, file.shuffledBus ? BusOrder::Shuffled : BusOrder::ByPort),
          serial(ports, pace), factory(network, pace, file.equalSerials)
    {
    }

    Result<Slot*> find(int number) PROVOST_REQUIRES(mutex)
    {
        const auto found = std::find_if(slots.begin(), slots.end(), [number](const Slot& slot) {
            return slot.number == number;
        });
        if (found == slots.end())
            return fail(Errc::NotFound, Blame::Operator,
                        concat("bench ", name, " has no slot ", number));
        return &*found;
    }

    StLinkFunction* probeOf(int slot) const
    {
        for (std::size_t i = 0; i < supplies.size(); ++i)
            if (supplies[i].slot == slot)
                return probes.functions[i].get();
        return nullptr;
    }

    const std::string name;
    const std::string platform;
    const Pace pace;
    const bool modeButton;
    mutable Mutex mutex;
    std::vector<Slot> slots PROVOST_GUARDED_BY(mutex);
    const std::shared_ptr<const BenchNetwork> network;
    const CoreExecutorMaker makeCore;
    const std::vector<ProbeSupply> supplies;
    const PluggedProbes probes;
    const VirtualPorts ports;
    VirtualUsbBus usb;
    VirtualSerialPorts serial;
    UnitFactory factory PROVOST_GUARDED_BY(mutex);
};

Bench::Bench(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
Bench::~Bench() = default;

Result<std::unique_ptr<Bench>> Bench::load(const std::filesystem::path& file,
                                           std::optional<Speed> speed, CoreExecutorMaker makeCore)
{
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    if (!in || !(text << in.rdbuf()))
        return fail(Errc::NotFound, Blame::Operator,
                    concat("read the bench ", file.string(), ": not there or not readable"));
    return parse(text.str(), file.string(), speed, std::move(makeCore));
}

Result<std::unique_ptr<Bench>> Bench::parse(std::string_view toml, std::string_view name,
                                            std::optional<Speed> speed, CoreExecutorMaker makeCore)
{
    BenchFile file = TRY(parseBenchFile(toml, name));
    file.pace.speed = speed.value_or(file.pace.speed);
    return std::unique_ptr<Bench>(
        new Bench(std::make_unique<Impl>(std::move(file), std::move(makeCore))));
}

UsbBus& Bench::usb()
{
    return m_impl->usb;
}

SerialPorts& Bench::serial()
{
    return m_impl->serial;
}

const BenchNetwork& Bench::network() const
{
    return *m_impl->network;
}

std::string Bench::name() const
{
    return m_impl->name;
}

Pace Bench::pace() const
{
    return m_impl->pace;
}

std::string Bench::platform() const
{
    return m_impl->platform;
}

Speed Bench::speed() const
{
    return m_impl->pace.speed;
}

std::vector<BenchSlot> Bench::slots() const
{
    const MutexLock lock(m_impl->mutex);
    std::vector<BenchSlot> slots;
    for (const Slot& slot : m_impl->slots)
        slots.push_back({.number = slot.number, .port = slot.port->path()});
    for (std::size_t i = 0; i < m_impl->supplies.size(); ++i)
        for (BenchSlot& slot : slots)
            if (slot.number == m_impl->supplies[i].slot)
                slot.probe = m_impl->probes.ports[i]->path();
    return slots;
}

const std::vector<ProbeSupply>& Bench::probes() const
{
    return m_impl->supplies;
}

StLinkFunction* Bench::probe(int slot)
{
    return m_impl->probeOf(slot);
}

UnitSecret Bench::wifiPart() const
{
    const BenchNetwork& around = *m_impl->network;
    auto part = makeCredentials(
        {.ssid = around.ssid, .password = around.password.clone(), .security = around.security});
    return part ? std::move(*part) : UnitSecret();
}

const VirtualPorts& Bench::ports() const
{
    return m_impl->ports;
}

Result<std::optional<InsertedUnit>> Bench::insertNext(int slot)
{
    TRY(removeUnit(slot));
    const MutexLock lock(m_impl->mutex);
    Slot& place = *TRY(m_impl->find(slot));
    if (place.supply.empty())
        return std::optional<InsertedUnit>();
    UnitSupply& supply = place.supply.front();
    auto made = TRY(m_impl->factory.make(supply, place.port));
    place.unit = made.unit;
    place.board = std::move(made.board);
    if (StLinkFunction* probe = m_impl->probeOf(slot))
        probe->connect(place.board->makeChip(m_impl->makeCore));
    if (supply.count && --*supply.count == 0)
        place.supply.erase(place.supply.begin());
    return place.unit;
}

Result<> Bench::removeUnit(int slot)
{
    std::unique_ptr<Stm32Chip> unwired;
    std::unique_ptr<VirtualBoard> leaving; // its thread ends outside the lock
    const MutexLock lock(m_impl->mutex);
    Slot& place = *TRY(m_impl->find(slot));
    place.unit.reset();
    place.port->clearFaults();
    leaving = std::move(place.board);
    if (StLinkFunction* probe = m_impl->probeOf(slot))
        unwired = probe->connect(emptyCable(m_impl->pace));
    return {};
}

std::optional<InsertedUnit> Bench::present(int slot) const
{
    const MutexLock lock(m_impl->mutex);
    const auto place = m_impl->find(slot);
    return place ? (*place)->unit : std::nullopt;
}

Result<bool> Bench::holdMode(int slot, std::chrono::milliseconds span)
{
    const MutexLock lock(m_impl->mutex);
    const Slot& place = *TRY(m_impl->find(slot));
    if (!m_impl->modeButton)
        return false;
    if (place.board)
        place.board->holdMode(span);
    return true;
}

bool Bench::hasModeButton() const
{
    return m_impl->modeButton;
}

Result<> Bench::setPower(int slot, bool on)
{
    const MutexLock lock(m_impl->mutex);
    const Slot& place = *TRY(m_impl->find(slot));
    if (place.board)
        place.board->setPower(on);
    return {};
}

Result<> Bench::failTransfer(int slot, std::uint32_t nth, FaultKind kind, FaultPipe pipe)
{
    const MutexLock lock(m_impl->mutex);
    const Slot& place = *TRY(m_impl->find(slot));
    place.port->failTransfer(nth, kind, pipe);
    return {};
}

VirtualBoard* Bench::board(int slot)
{
    const MutexLock lock(m_impl->mutex);
    const auto place = m_impl->find(slot);
    return place ? (*place)->board.get() : nullptr;
}

} // namespace provost::sim
