#include "protocol/serial1_tester.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/console_window_p.h"

#include <array>
#include <charconv>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr std::array<std::uint8_t, 16> kTesterWakeUp{
    0xE1, 0x63, 0x57, 0x3F, 0xE7, 0x87, 0xC2, 0xA6, 0x85, 0x20, 0xA5, 0x6C, 0xE3, 0x04, 0x9E, 0xA0};
constexpr std::string_view kGreeting = "WIFI TESTER AT YOUR SERVICE!!!";
constexpr std::string_view kAddressObtained = "DHCP DHCP DHCP !";
constexpr auto kTesterAnswer = 3s;
constexpr auto kTesterJoin = 30s;
constexpr auto kTesterScan = 20s; // both antennas, one behind the other
constexpr std::size_t kTesterIdDigits = 24;

/// What stands between `lead` and the end of its line.
std::string lineBehind(std::string_view text, std::string_view lead)
{
    const auto at = text.find(lead);
    if (at == std::string_view::npos)
        return {};
    const auto rest = text.substr(at + lead.size());
    return std::string(trimmed(rest.substr(0, rest.find_first_of("\r\n"))));
}

bool isTesterPin(std::string_view pin)
{
    const bool one =
        pin.size() == 2 && (pin[0] == 'D' || pin[0] == 'A') && pin[1] >= '0' && pin[1] <= '7';
    return one || pin == "ALL";
}

/// `ssid,rssi`; a name may hold commas itself.
std::optional<TesterNetwork> networkIn(std::string_view line)
{
    const auto comma = line.rfind(',');
    if (comma == std::string_view::npos || comma == 0)
        return std::nullopt;
    const std::string_view number = trimmed(line.substr(comma + 1));
    int rssi = 0;
    const char* const end = number.data() + number.size();
    if (number.empty() || std::from_chars(number.data(), end, rssi).ptr != end)
        return std::nullopt;
    return TesterNetwork{.ssid = std::string(line.substr(0, comma)), .rssi = rssi};
}

} // namespace

Result<> Serial1Tester::send(const SecretBytes& command, const OpContext& op)
{
    return m_line.writeAll(command.reveal(), op.withSecrets());
}

Result<> Serial1Tester::send(std::string_view command, const OpContext& op)
{
    return m_line.writeAll(viewOf(command), op);
}

Result<> Serial1Tester::readLine(std::string_view mark, std::string_view what,
                                 ConsoleWindow& window, const OpContext& op)
{
    const auto said = [&] {
        const auto at = window.text().find(mark);
        return at != std::string_view::npos &&
               window.text().find('\n', at) != std::string_view::npos;
    };
    while (!said()) {
        auto more = window.readMore(m_line, op);
        if (!more)
            return Unexpected(inFrame(std::move(more).error(), concat(what, " on Serial1")));
    }
    return {};
}

Result<> Serial1Tester::awaitLine(std::string_view mark, std::string_view what, const OpContext& op)
{
    ConsoleWindow window;
    return readLine(mark, what, window, op);
}

Result<> Serial1Tester::wake(const OpContext& op)
{
    TRY(m_line.discardInput());
    TRY(m_line.writeAll(std::as_bytes(std::span(kTesterWakeUp)), op));
    TRY(awaitLine(kGreeting, "wait for the tester's greeting", op.within(kTesterAnswer)));
    return {};
}

Result<TesterInfo> Serial1Tester::info(const OpContext& op)
{
    const auto limited = op.within(kTesterAnswer);
    TRY(send("INFO:;", limited));
    ConsoleWindow window;
    TRY(readLine("RSSI:", "ask for INFO", window, limited));
    const std::string_view text = window.text();
    TesterInfo info{.deviceId = lowerCase(lineBehind(text, "DeviceID:")),
                    .mac = lineBehind(text, "MAC:"),
                    .ssid = lineBehind(text, "SSID:")};
    if (info.deviceId.size() != kTesterIdDigits || !fromHex(info.deviceId))
        return fail(Errc::Protocol, Blame::Unit,
                    concat("ask for INFO on Serial1: \"", info.deviceId, "\" is no device id"));
    const std::string number = lineBehind(text, "RSSI:");
    int value = 0;
    const char* const end = number.data() + number.size();
    const bool read = std::from_chars(number.data(), end, value).ptr == end && !number.empty();
    // Without a network the radio names an error code, which is never negative.
    if (read && value < 0)
        info.rssi = value;
    return info;
}

Result<> Serial1Tester::connect(std::string_view ssid, const SecretBytes& password,
                                const OpContext& op)
{
    // Colon and semicolon end a field; the tester knows no escape.
    const std::string_view secret{
        static_cast<const char*>(static_cast<const void*>(password.reveal().data())),
        password.size()};
    if (ssid.empty() || ssid.find_first_of(":;") != std::string_view::npos ||
        secret.find_first_of(":;") != std::string_view::npos)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("join \"", ssid,
                           "\" by the tester: neither the network's name nor its password may hold "
                           "a colon or a semicolon"));
    const std::string head = concat("CONNECT:", ssid, ":");
    SecretBytes command(head.size() + password.size() + 1);
    std::ranges::copy(viewOf(head), command.writable().begin());
    std::ranges::copy(password.reveal(),
                      command.writable().begin() + static_cast<std::ptrdiff_t>(head.size()));
    command.writable().back() = std::byte{';'};
    TRY(send(command, op));
    // The answer echoes the password; it is wiped with the window that it lies in.
    const auto joined =
        awaitLine(kAddressObtained, "join a network", op.within(kTesterJoin).withSecrets());
    if (joined)
        return {};
    if (joined.error().code != Errc::Timeout)
        return Unexpected(joined.error());
    return fail(Errc::Denied, Blame::Unit,
                concat("join \"", ssid, "\" by the tester: no address in time"));
}

Result<> Serial1Tester::lockBootloader(bool on, const OpContext& op)
{
    const auto limited = op.within(kTesterAnswer);
    TRY(send(on ? "LOCK:;" : "UNLOCK:;", limited));
    TRY(awaitLine(on ? "Done locking!" : "Done unlocking!", "change the bootloader's protection",
                  limited));
    return {};
}

Result<> Serial1Tester::command(std::string_view text, std::string_view mark, std::string_view what,
                                const OpContext& op)
{
    const auto limited = op.within(kTesterAnswer);
    TRY(send(text, limited));
    return awaitLine(mark, what, limited);
}

Result<std::vector<TesterNetwork>> Serial1Tester::heard(std::string_view text,
                                                        std::string_view mark,
                                                        std::string_view what, const OpContext& op)
{
    const auto limited = op.within(kTesterScan);
    TRY(send(text, limited));
    ConsoleWindow window;
    TRY(readLine(mark, what, window, limited));
    std::vector<TesterNetwork> networks;
    bool scanning = false;
    for (std::string_view rest = window.text(); !rest.empty();) {
        const auto end = rest.find('\n');
        const std::string_view line = trimmed(rest.substr(0, end));
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        if (line == "SCAN_START" || line == "SCAN_STOP")
            scanning = line == "SCAN_START";
        else if (const auto network = networkIn(line); scanning && network)
            networks.push_back(*network);
    }
    return networks;
}

Result<std::vector<TesterNetwork>> Serial1Tester::scan(const OpContext& op)
{
    return heard("WIFI_SCAN:;", "SCAN_STOP", "scan for networks", op);
}

Result<std::vector<TesterNetwork>> Serial1Tester::testAntennas(const OpContext& op)
{
    return heard("ANT:;", "ANTENNA TEST COMPLETE", "test both antennas", op);
}

Result<> Serial1Tester::selectAntenna(std::string_view name, const OpContext& op)
{
    if (name.empty() || name.find_first_of(":;") != std::string_view::npos)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("select antenna \"", name,
                           "\" by the tester: a name without colon and semicolon is meant"));
    return command(concat("ANT:", name, ";"), concat("Selected antenna ", name),
                   "select an antenna", op);
}

Result<> Serial1Tester::setPin(std::string_view pin, bool high, const OpContext& op)
{
    if (!isTesterPin(pin))
        return fail(
            Errc::InvalidArgument, Blame::Operator,
            concat("set pin \"", pin, "\" by the tester: D0 to D7, A0 to A7 or ALL is meant"));
    const std::string_view level = high ? "HIGH" : "LOW";
    return command(concat("SET_PIN:", pin, ":", level, ";"), concat("PIN:", pin, ": IS ", level),
                   "set a pin", op);
}

Result<> Serial1Tester::setProduct(std::uint16_t id, const OpContext& op)
{
    return command(concat("SET_PRODUCT:", id, ";"), concat("PRODUCT_ID IS NOW ", id),
                   "set the product", op);
}

Result<> Serial1Tester::clearCredentials(const OpContext& op)
{
    return command("CLEAR:;", "checking command: CLEAR:", "clear the credentials", op);
}

Result<> Serial1Tester::toDfu(const OpContext& op)
{
    return command("DFU:;", "resetting into DFU mode!", "restart in DFU mode", op);
}

Result<> Serial1Tester::reboot(const OpContext& op)
{
    return send("REBOOT:;", op);
}

} // namespace provost
