#include "sim/probe_bench.h"

#include "core/byte_io.h"
#include "core/text.h"

#include <fstream>
#include <set>
#include <sstream>
#include <toml++/toml.h>

namespace provost::sim {

namespace {

struct ProbeFile {
    std::string name{};
    Pace pace{.speed = Speed::Demo, .factor = 10};
    std::vector<ProbeSupply> probes{};
};

Unexpected wrongProbe(const toml::node& node, std::string_view origin, std::string_view what)
{
    const auto& at = node.source().begin;
    return fail(Errc::InvalidData, Blame::Operator,
                concat(origin, ':', at.line, ':', at.column, ": [[probe]] ", what));
}

std::optional<Speed> speedNamed(std::string_view word)
{
    if (word == "instant")
        return Speed::Instant;
    if (word == "demo")
        return Speed::Demo;
    return word == "timed" ? std::optional(Speed::Timed) : std::nullopt;
}

std::optional<StLinkModel> modelNamed(std::string_view word)
{
    if (word == "v2")
        return StLinkModel::V2;
    if (word == "v2-1")
        return StLinkModel::V2_1;
    return word == "v3" ? std::optional(StLinkModel::V3) : std::nullopt;
}

Result<> readProbeKey(std::string_view key, const toml::node& node, std::string_view origin,
                      ProbeSupply& probe)
{
    const std::string text = node.value_exact<std::string>().value_or("");
    if (key == "number") {
        const auto number = node.value_exact<std::int64_t>();
        if (!number || *number < 1 || *number > 127)
            return wrongProbe(node, origin, "number: 1 to 127 is meant");
        probe.number = static_cast<int>(*number);
    } else if (key == "model") {
        const auto model = modelNamed(text);
        if (!model)
            return wrongProbe(node, origin, "model: one of v2, v2-1, v3 is meant");
        probe.model = *model;
    } else if (key == "chip") {
        if (text != kF103.name && text != kF205.name)
            return wrongProbe(node, origin, "chip: one of f103, f205 is meant");
        probe.chip = text == kF103.name ? &kF103 : &kF205;
    } else if (key == "serial") {
        const auto serial = fromHex(lowerCase(text));
        if (!serial || serial->size() != 12)
            return wrongProbe(node, origin, "serial: 24 hexadecimal digits are meant");
        probe.serial = text;
    } else if (key == "voltage") {
        const auto volts = node.value<double>();
        if (!volts || *volts < 0 || *volts > 3.6)
            return wrongProbe(node, origin, "voltage: 0 to 3.6 is meant");
        probe.voltage = *volts;
    } else {
        return wrongProbe(node, origin, concat("unknown key \"", key, '"'));
    }
    return {};
}

Result<ProbeSupply> readProbe(const toml::table& table, std::string_view origin)
{
    ProbeSupply probe;
    for (const auto& [key, node] : table)
        TRY(readProbeKey(key.str(), node, origin, probe));
    if (probe.number == 0)
        return wrongProbe(table, origin, "number is missing");
    if (probe.serial.empty()) {
        Bytes serial(12, std::byte{0x50});
        serial.back() = static_cast<std::byte>(probe.number);
        probe.serial = toHex(serial);
    }
    return probe;
}

Result<ProbeFile> readProbes(const toml::table& root, std::string_view origin)
{
    ProbeFile file;
    file.name = root["bench"]["name"].value_exact<std::string>().value_or("");
    if (file.name.empty()) {
        const toml::node* name = root["bench"]["name"].node();
        const auto& at = (name != nullptr ? name->source() : root.source()).begin;
        return fail(
            Errc::InvalidData, Blame::Operator,
            concat(origin, ':', at.line, ':', at.column, ": [bench] name: a text is needed"));
    }
    const auto speed = speedNamed(root["bench"]["speed"].value_or(std::string("demo")));
    if (!speed)
        return wrongProbe(*root["bench"]["speed"].node(), origin,
                          "speed: one of instant, demo, timed is meant");
    file.pace = {.speed = *speed, .factor = std::max(root["bench"]["factor"].value_or(10.0), 1.0)};
    const toml::node* probes = root.get("probe");
    if (probes == nullptr)
        return file;
    if (!probes->is_array_of_tables())
        return wrongProbe(*probes, origin, "[[probe]] tables are meant");
    std::set<int> numbers;
    for (const toml::node& node : *probes->as_array()) {
        ProbeSupply probe = TRY(readProbe(*node.as_table(), origin));
        if (!numbers.insert(probe.number).second)
            return wrongProbe(node, origin, concat("number ", probe.number, " appears twice"));
        file.probes.push_back(std::move(probe));
    }
    return file;
}

Result<ProbeFile> parseProbes(std::string_view toml, std::string_view origin)
{
    try {
        return readProbes(toml::parse(toml, origin), origin);
    } catch (const toml::parse_error& error) {
        const auto& at = error.source().begin;
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(origin, ':', at.line, ':', at.column, ": ", error.description()));
    }
}

VirtualPorts probePorts(const std::string& name, const std::vector<ProbeSupply>& probes)
{
    VirtualPorts ports;
    for (const ProbeSupply& probe : probes)
        ports.push_back(std::make_shared<VirtualPort>(
            UsbPortPath{.controller = concat("sim:", name, ":probe"),
                        .ports = {static_cast<std::uint8_t>(probe.number)}}));
    return ports;
}

} // namespace

ProbeBench::ProbeBench(std::string name, Pace pace, std::vector<ProbeSupply> probes,
                       const CoreExecutorMaker& makeCore)
    : m_pace(pace), m_probes(std::move(probes)), m_ports(probePorts(name, m_probes)),
      m_usb(m_ports, pace)
{
    for (std::size_t index = 0; index < m_probes.size(); ++index) {
        const ProbeSupply& probe = m_probes[index];
        auto chip = std::make_unique<Stm32Chip>(*probe.chip, pace, makeCore);
        chip->setVoltage(probe.voltage);
        m_functions.push_back(std::make_shared<StLinkFunction>(
            stlinkIdentity(probe.model, probe.serial), std::move(chip), pace));
        plug(index);
    }
}

Result<std::unique_ptr<ProbeBench>> ProbeBench::load(const std::filesystem::path& file,
                                                     const CoreExecutorMaker& makeCore,
                                                     std::optional<Speed> speed)
{
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    if (!in || !(text << in.rdbuf()))
        return fail(Errc::NotFound, Blame::Operator,
                    concat("read the bench ", file.string(), ": not there or not readable"));
    return parse(text.str(), file.string(), makeCore, speed);
}

Result<std::unique_ptr<ProbeBench>> ProbeBench::parse(std::string_view toml,
                                                      std::string_view origin,
                                                      const CoreExecutorMaker& makeCore,
                                                      std::optional<Speed> speed)
{
    ProbeFile file = TRY(parseProbes(toml, origin));
    file.pace.speed = speed.value_or(file.pace.speed);
    return std::unique_ptr<ProbeBench>(
        new ProbeBench(std::move(file.name), file.pace, std::move(file.probes), makeCore));
}

} // namespace provost::sim
