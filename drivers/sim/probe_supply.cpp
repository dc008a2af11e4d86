#include "sim/probe_supply.h"

#include "sim/bench_table_p.h"
#include "sim/octets.h"

namespace provost::sim {

namespace {

constexpr std::pair<std::string_view, StLinkModel> kModels[] = {
    {"v2", StLinkModel::V2}, {"v2-1", StLinkModel::V2_1}, {"v3", StLinkModel::V3}};
constexpr std::pair<std::string_view, const Stm32Profile*> kChips[] = {{kF103.name, &kF103},
                                                                       {kF205.name, &kF205}};

Result<int> readNumber(BenchTable& reader, std::string_view key)
{
    std::int64_t number = 0;
    TRY(reader.take(key, number));
    if (number < 1 || number > 127)
        return reader.wrong(reader.find(key), concat(key, ": 1 to 127 is meant"));
    return static_cast<int>(number);
}

Result<ProbeSupply> readProbe(const toml::table& table, std::string_view origin)
{
    ProbeSupply probe;
    BenchTable reader(table, "probe", origin);
    probe.number = TRY(readNumber(reader, "number"));
    TRY(reader.word("model", kModels, probe.model));
    if (reader.find("slot") != nullptr) {
        probe.slot = TRY(readNumber(reader, "slot"));
        for (const std::string_view key : {"chip", "voltage"})
            if (const toml::node* own = reader.find(key))
                return reader.wrong(own, concat(key, ": is that of the unit in the slot"));
    }
    TRY(reader.word("chip", kChips, probe.chip));
    TRY(reader.take("serial", probe.serial));
    const auto serial = fromHexText(inLowerCase(probe.serial));
    if (!probe.serial.empty() && (!serial || serial->size() != 12))
        return reader.wrong(reader.find("serial"), "serial: 24 hexadecimal digits are meant");
    if (const toml::node* voltage = reader.find("voltage")) {
        const auto volts = voltage->value<double>();
        if (!volts || *volts < 0 || *volts > 3.6)
            return reader.wrong(voltage, "voltage: 0 to 3.6 is meant");
        probe.voltage = *volts;
    }
    if (const toml::node* faults = reader.find("fault")) {
        if (!faults->is_array_of_tables())
            return reader.wrong(faults, "fault: [[probe.fault]] tables are meant");
        for (const toml::node& fault : *faults->as_array())
            probe.faults.push_back(TRY(readProbeFault(*fault.as_table(), origin)));
    }
    TRY(reader.noOthers());
    if (probe.serial.empty()) {
        Bytes made(12, std::byte{0x50});
        made.back() = static_cast<std::byte>(probe.number);
        probe.serial = hexText(made);
    }
    return probe;
}

} // namespace

Result<std::vector<ProbeSupply>> readProbes(const toml::table& root, std::string_view origin)
{
    std::vector<ProbeSupply> probes;
    const toml::node* tables = root.get("probe");
    if (tables == nullptr)
        return probes;
    const BenchTable top(root, "probe", origin);
    if (!tables->is_array_of_tables())
        return top.wrong(tables, "[[probe]] tables are meant");
    for (const toml::node& node : *tables->as_array()) {
        ProbeSupply probe = TRY(readProbe(*node.as_table(), origin));
        for (const ProbeSupply& other : probes)
            if (other.number == probe.number || (probe.slot != 0 && other.slot == probe.slot))
                return top.wrong(&node, other.number == probe.number
                                            ? concat("number ", probe.number, " appears twice")
                                            : concat("slot ", probe.slot, " has two probes"));
        probes.push_back(std::move(probe));
    }
    return probes;
}

PluggedProbes::PluggedProbes(const std::string& bench, Pace pace,
                             const std::vector<ProbeSupply>& supplies,
                             const CoreExecutorMaker& makeCore)
{
    for (const ProbeSupply& supply : supplies) {
        auto chip = std::make_unique<Stm32Chip>(*supply.chip, pace, makeCore);
        chip->setVoltage(supply.slot == 0 ? supply.voltage : 0);
        functions.push_back(std::make_shared<StLinkFunction>(
            stlinkIdentity(supply.model, supply.serial), std::move(chip), pace));
        ports.push_back(std::make_shared<VirtualPort>(
            UsbPortPath{.controller = concat("sim:", bench, ":probe"),
                        .ports = {static_cast<std::uint8_t>(supply.number)}}));
        ports.back()->attach(functions.back());
        for (const ProbeFault& fault : supply.faults)
            ports.back()->failTransfer(fault.transfer, fault.kind, fault.pipe);
    }
}

} // namespace provost::sim
