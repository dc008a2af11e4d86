#include "sim/bench_file.h"

#include "sim/bench_table_p.h"
#include "sim/network_address.h"
#include "sim/octets.h"
#include "sim/stock.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::int64_t kLongestJoin = 600'000; // ms

constexpr std::pair<std::string_view, KeySupply> kKeys[] = {
    {"none", KeySupply::None}, {"self-made", KeySupply::SelfMade}, {"burnt", KeySupply::Burnt}};
constexpr std::pair<std::string_view, CredentialSupply> kCredentials[] = {
    {"none", CredentialSupply::None},
    {"bench", CredentialSupply::Bench},
    {"foreign", CredentialSupply::Foreign}};

constexpr std::pair<std::string_view, Connects> kConnects[] = {{"off", Connects::Never},
                                                               {"on", Connects::RadioOnly},
                                                               {"joined", Connects::Network},
                                                               {"cloud", Connects::Cloud}};

Result<> readUsbCost(BenchTable& bench, Pace& pace)
{
    std::int64_t transfer = pace.usbTransfer.count();
    std::int64_t rate = pace.usbKilobytes;
    TRY(bench.take("usb_transfer_us", transfer));
    TRY(bench.take("usb_kb_per_s", rate));
    if (transfer < 0 || transfer > 1000000)
        return bench.wrong(bench.find("usb_transfer_us"), "usb_transfer_us: 0 to 1000000 is meant");
    if (rate < 1 || rate > 1000000)
        return bench.wrong(bench.find("usb_kb_per_s"), "usb_kb_per_s: 1 to 1000000 is meant");
    pace.usbTransfer = std::chrono::microseconds(transfer);
    pace.usbKilobytes = rate;
    return {};
}

Result<> readBench(const toml::table& root, std::string_view origin, BenchFile& file)
{
    const toml::table* table = root["bench"].as_table();
    if (table == nullptr)
        return fail(Errc::InvalidData, Blame::Operator, concat(origin, ":1:1: no [bench] table"));
    BenchTable bench(*table, "bench", origin);
    TRY(bench.take("name", file.name));
    TRY(bench.word("speed", kBenchSpeeds, file.pace.speed));
    if (const toml::node* factor = bench.find("factor")) {
        const auto value = factor->value<double>();
        if (!value || *value < 1)
            return bench.wrong(factor, "factor: a number of at least 1 is meant");
        file.pace.factor = *value;
    }
    TRY(bench.take("mode_button", file.modeButton));
    TRY(readUsbCost(bench, file.pace));
    TRY(bench.take("equal_serials", file.equalSerials));
    TRY(bench.take("shuffled_bus", file.shuffledBus));
    if (file.name.empty() || file.name.find('#') != std::string::npos)
        return bench.wrong(bench.find("name"), "name: a text without # is needed");
    return bench.noOthers();
}

Result<> readHosts(const toml::table& table, std::string_view origin, BenchNetwork& network)
{
    const BenchTable hosts(table, "network.hosts", origin);
    for (const auto& [name, node] : table) {
        const auto text = node.value_exact<std::string>();
        const auto address = text ? parseIpv4(*text) : std::nullopt;
        if (!address || *address >> 24 != 127)
            return hosts.wrong(&node, concat(name.str(), ": an address in 127.0.0.0/8 is meant"));
        network.hosts[std::string(name.str())] = *text;
    }
    return {};
}

Result<> readNetwork(const toml::table& root, std::string_view origin, BenchNetwork& network)
{
    const toml::table* table = root["network"].as_table();
    if (table == nullptr)
        return fail(Errc::InvalidData, Blame::Operator, concat(origin, ":1:1: no [network] table"));
    BenchTable reader(*table, "network", origin);
    std::string password;
    std::int64_t security = 3;
    TRY(reader.take("ssid", network.ssid));
    TRY(reader.take("password", password));
    TRY(reader.take("security", security));
    TRY(reader.take("internet", network.internet));
    TRY(reader.take("on", network.on));
    std::int64_t joinLimit = 0;
    TRY(reader.take("join_limit_ms", joinLimit));
    if (reader.find("join_limit_ms") != nullptr && (joinLimit < 1 || joinLimit > kLongestJoin))
        return reader.wrong(reader.find("join_limit_ms"),
                            concat("join_limit_ms: 1 to ", kLongestJoin, " is meant"));
    if (joinLimit > 0)
        network.joinLimit = std::chrono::milliseconds(joinLimit);
    network.password = UnitSecret(octetsOf(password));
    wipeBytes(std::as_writable_bytes(std::span(password)));
    if (network.ssid.empty() || network.ssid.size() > 32)
        return reader.wrong(reader.find("ssid"), "ssid: 1 to 32 characters are needed");
    if (security < 0 || security > 3)
        return reader.wrong(reader.find("security"), "security: 0 to 3 is meant");
    network.security = static_cast<int>(security);
    const toml::node* hosts = reader.find("hosts");
    if (hosts != nullptr && !hosts->is_table())
        return reader.wrong(hosts, "hosts: a table of names is meant");
    if (hosts != nullptr)
        TRY(readHosts(*hosts->as_table(), origin, network));
    return reader.noOthers();
}

Result<> readCount(BenchTable& reader, UnitSupply& unit)
{
    const toml::node* count = reader.find("count");
    if (count == nullptr)
        return {};
    if (count->value_exact<std::string>() == "endless") {
        unit.count.reset();
        return {};
    }
    const auto number = count->value_exact<std::int64_t>();
    if (!number || *number < 1 || *number > 1000000)
        return reader.wrong(count, "count: a number from 1 on or \"endless\" is meant");
    unit.count = static_cast<int>(*number);
    return {};
}

Result<> readApplication(BenchTable& reader, ApplicationHabits& application)
{
    std::int64_t code = 0;
    TRY(reader.take("baud_commands", application.baudCommands));
    TRY(reader.word("network", kConnects, application.connects));
    TRY(reader.take("crash_code", code));
    if (code < 0 || code > 255)
        return reader.wrong(reader.find("crash_code"), "crash_code: 0 (none) to 255 is meant");
    application.crashCode = static_cast<std::uint8_t>(code);
    return {};
}

Result<UnitSupply> readUnit(const toml::table& table, std::string_view origin)
{
    UnitSupply unit;
    BenchTable reader(table, "slot.unit", origin);
    TRY(reader.take("platform", unit.platform));
    TRY(reader.take("stock", unit.stock));
    if (const auto stock = stockRelease(unit.platform, unit.stock); !stock)
        return reader.wrong(
            reader.find(boardProfile(unit.platform) == nullptr ? "platform" : "stock"),
            stock.error().message);
    TRY(reader.take("usb", unit.usb));
    TRY(reader.take("serial_tester", unit.serialTester));
    if (!unit.usb && unit.platform != "p1")
        return reader.wrong(reader.find("usb"), "usb: only a P1 comes on carriers without USB");
    if (unit.serialTester && unit.usb)
        return reader.wrong(reader.find("serial_tester"),
                            "serial_tester: for units with usb = false");
    TRY(readApplication(reader, unit.application));
    TRY(reader.word("key", kKeys, unit.key));
    TRY(reader.word("credentials", kCredentials, unit.credentials));
    TRY(reader.take("label", unit.label));
    TRY(reader.take("device_id", unit.deviceId));
    TRY(reader.take("memory", unit.memory));
    TRY(readCount(reader, unit));
    if (const toml::node* faults = reader.find("fault")) {
        if (!faults->is_array_of_tables())
            return reader.wrong(faults, "fault: [[slot.unit.fault]] tables are meant");
        for (const toml::node& fault : *faults->as_array())
            unit.faults.push_back(
                TRY(readFault(*fault.as_table(), *boardProfile(unit.platform), origin)));
    }
    if (unit.deviceId != "random") {
        const auto id = fromHexText(unit.deviceId);
        if (!id || id->size() != 12)
            return reader.wrong(reader.find("device_id"),
                                "device_id: \"random\" or 24 hexadecimal digits are meant");
        if (unit.count != 1)
            return reader.wrong(reader.find("device_id"),
                                "device_id: a fixed one fits one unit only (count = 1)");
        unit.deviceId = inLowerCase(unit.deviceId);
    }
    if (!unit.memory.empty() && unit.deviceId == "random")
        return reader.wrong(reader.find("memory"),
                            "memory: a unit that is kept needs its own device_id");
    TRY(reader.noOthers());
    return unit;
}

Result<SlotFile> readSlot(const toml::table& table, std::string_view origin)
{
    SlotFile slot;
    BenchTable reader(table, "slot", origin);
    std::int64_t number = 0;
    TRY(reader.take("number", number));
    if (number < 1 || number > 127)
        return reader.wrong(reader.find("number"), "number: 1 to 127 is meant");
    slot.number = static_cast<int>(number);
    const toml::node* units = reader.find("unit");
    if (units != nullptr) {
        if (!units->is_array_of_tables())
            return reader.wrong(units, "unit: [[slot.unit]] tables are meant");
        for (const toml::node& unit : *units->as_array())
            slot.units.push_back(TRY(readUnit(*unit.as_table(), origin)));
    }
    TRY(reader.noOthers());
    return slot;
}

Result<BenchFile> readFile(const toml::table& root, std::string_view origin)
{
    BenchFile file;
    BenchTable top(root, "file", origin);
    top.find("bench");
    top.find("network");
    top.find("probe");
    const toml::node* slots = top.find("slot");
    TRY(top.noOthers());
    TRY(readBench(root, origin, file));
    TRY(readNetwork(root, origin, file.network));
    if (slots == nullptr || !slots->is_array_of_tables())
        return top.wrong(slots, "at least one [[slot]] is needed");
    std::set<int> numbers;
    for (const toml::node& node : *slots->as_array()) {
        SlotFile slot = TRY(readSlot(*node.as_table(), origin));
        if (!numbers.insert(slot.number).second)
            return top.wrong(&node, concat("slot number ", slot.number, " appears twice"));
        file.slots.push_back(std::move(slot));
    }
    file.probes = TRY(readProbes(root, origin));
    for (const ProbeSupply& probe : file.probes)
        if (probe.slot != 0 && !numbers.contains(probe.slot))
            return top.wrong(root.get("probe"),
                             concat("probe ", probe.number, ": there is no slot ", probe.slot));
    // Those with a chip of their own are the affair of ProbeBench.
    std::erase_if(file.probes, [](const ProbeSupply& probe) { return probe.slot == 0; });
    return file;
}

} // namespace

Result<BenchFile> parseBenchFile(std::string_view toml, std::string_view origin)
{
    try {
        return readFile(toml::parse(toml, origin), origin);
    } catch (const toml::parse_error& error) {
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(origin, ':', error.source().begin.line, ':', error.source().begin.column,
                           ": ", error.description()));
    }
}

} // namespace provost::sim
