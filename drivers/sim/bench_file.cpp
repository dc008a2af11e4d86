#include "sim/bench_file.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "sim/network_address.h"
#include "sim/stock.h"

#include <algorithm>
#include <set>
#include <toml++/toml.h>

namespace provost::sim {

namespace {

/// Reads values of one table and remembers which keys it knows.
class Table {
public:
    Table(const toml::table& table, std::string name, std::string_view origin)
        : m_table(table), m_name(std::move(name)), m_origin(origin)
    {
    }

    Unexpected wrong(const toml::node* node, std::string what) const
    {
        return wrongAt(node != nullptr ? node->source() : m_table.source(), std::move(what));
    }

    Unexpected wrongAt(const toml::source_region& where, std::string what) const
    {
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(m_origin, ':', where.begin.line, ':', where.begin.column, ": [", m_name,
                           "] ", what));
    }

    const toml::node* find(std::string_view key)
    {
        m_known.emplace(key);
        return m_table.get(key);
    }

    template <class T>
    Result<> take(std::string_view key, T& into)
    {
        const toml::node* node = find(key);
        if (node == nullptr)
            return {};
        const auto value = node->value_exact<T>();
        if (!value)
            return wrong(node, concat(key, ": not of the expected type"));
        into = *value;
        return {};
    }

    /// One of a few words.
    template <class T, std::size_t N>
    Result<> word(std::string_view key, const std::pair<std::string_view, T> (&words)[N], T& into)
    {
        const toml::node* node = find(key);
        if (node == nullptr)
            return {};
        const auto text = node->value_exact<std::string>();
        std::string list;
        for (const auto& [spelling, meaning] : words) {
            if (text && *text == spelling) {
                into = meaning;
                return {};
            }
            list += concat(list.empty() ? "" : ", ", spelling);
        }
        return wrong(node, concat(key, ": one of ", list, " is meant"));
    }

    Result<> noOthers() const
    {
        for (const auto& [key, node] : m_table)
            if (!m_known.contains(std::string(key.str())))
                return wrongAt(key.source(), concat("unknown key \"", key.str(), '"'));
        return {};
    }

private:
    const toml::table& m_table;
    const std::string m_name;
    const std::string m_origin;
    std::set<std::string> m_known{};
};

constexpr std::pair<std::string_view, Speed> kSpeeds[] = {
    {"instant", Speed::Instant}, {"demo", Speed::Demo}, {"timed", Speed::Timed}};
constexpr std::pair<std::string_view, KeySupply> kKeys[] = {
    {"none", KeySupply::None}, {"self-made", KeySupply::SelfMade}, {"burnt", KeySupply::Burnt}};
constexpr std::pair<std::string_view, CredentialSupply> kCredentials[] = {
    {"none", CredentialSupply::None},
    {"bench", CredentialSupply::Bench},
    {"foreign", CredentialSupply::Foreign}};

Result<> readBench(const toml::table& root, std::string_view origin, BenchFile& file)
{
    const toml::table* table = root["bench"].as_table();
    if (table == nullptr)
        return fail(Errc::InvalidData, Blame::Operator, concat(origin, ":1:1: no [bench] table"));
    Table bench(*table, "bench", origin);
    TRY(bench.take("name", file.name));
    TRY(bench.word("speed", kSpeeds, file.pace.speed));
    if (const toml::node* factor = bench.find("factor")) {
        const auto value = factor->value<double>();
        if (!value || *value < 1)
            return bench.wrong(factor, "factor: a number of at least 1 is meant");
        file.pace.factor = *value;
    }
    TRY(bench.take("mode_button", file.modeButton));
    if (file.name.empty() || file.name.find('#') != std::string::npos)
        return bench.wrong(bench.find("name"), "name: a text without # is needed");
    return bench.noOthers();
}

Result<> readHosts(const toml::table& table, std::string_view origin, BenchNetwork& network)
{
    const Table hosts(table, "network.hosts", origin);
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
    Table reader(*table, "network", origin);
    std::string password;
    std::int64_t security = 3;
    TRY(reader.take("ssid", network.ssid));
    TRY(reader.take("password", password));
    TRY(reader.take("security", security));
    network.password = SecretBytes(viewOf(password));
    wipe(std::as_writable_bytes(std::span(password)));
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

Result<> readCount(Table& reader, UnitSupply& unit)
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

Result<UnitSupply> readUnit(const toml::table& table, std::string_view origin)
{
    UnitSupply unit;
    Table reader(table, "slot.unit", origin);
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
    TRY(reader.word("key", kKeys, unit.key));
    TRY(reader.word("credentials", kCredentials, unit.credentials));
    TRY(reader.take("label", unit.label));
    TRY(reader.take("device_id", unit.deviceId));
    TRY(readCount(reader, unit));
    if (unit.deviceId != "random") {
        const auto id = fromHex(unit.deviceId);
        if (!id || id->size() != 12)
            return reader.wrong(reader.find("device_id"),
                                "device_id: \"random\" or 24 hexadecimal digits are meant");
        if (unit.count != 1)
            return reader.wrong(reader.find("device_id"),
                                "device_id: a fixed one fits one unit only (count = 1)");
        unit.deviceId = lowerCase(unit.deviceId);
    }
    TRY(reader.noOthers());
    return unit;
}

Result<SlotFile> readSlot(const toml::table& table, std::string_view origin)
{
    SlotFile slot;
    Table reader(table, "slot", origin);
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
    Table top(root, "file", origin);
    top.find("bench");
    top.find("network");
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
