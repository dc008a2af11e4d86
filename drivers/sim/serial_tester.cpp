#include "sim/serial_tester.h"

#include "core/text.h"
#include "sim/octets.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace provost::sim {

namespace {

constexpr std::string_view kWakeUp = "e163573fe787c2a68520a56ce3049ea0";
constexpr std::size_t kWakeUpBytes = 16;
constexpr std::size_t kLongestCommand = 256;
constexpr std::string_view kStatusPin = "D2";
constexpr std::string_view kSecondNetwork = "warehouse";

/// What stands between the `index`-th and the next colon of `NAME:first:second`.
std::string part(const std::string& text, int index)
{
    std::size_t from = 0;
    for (int i = 0; i < index; ++i) {
        const auto colon = text.find(':', from);
        if (colon == std::string::npos)
            return {};
        from = colon + 1;
    }
    return text.substr(from, text.find(':', from) - from);
}

bool isPin(const std::string& name)
{
    return name == "ALL" || (name.size() == 2 && (name[0] == 'D' || name[0] == 'A') &&
                             name[1] >= '0' && name[1] <= '7');
}

} // namespace

void SerialTester::line(std::string_view text)
{
    Fields(m_output).text(text).text("\r\n");
}

void SerialTester::feed(ByteView bytes)
{
    for (const std::byte byte : bytes) {
        m_heard.push_back(byte);
        if (m_heard.size() > kWakeUpBytes)
            m_heard.erase(m_heard.begin());
        if (hexText(m_heard) == kWakeUp) {
            wake();
            continue;
        }
        if (!m_awake)
            continue;
        if (static_cast<char>(byte) == ';')
            command(std::exchange(m_text, {}));
        else if (m_text.size() < kLongestCommand)
            m_text += static_cast<char>(byte);
    }
}

void SerialTester::wake()
{
    m_awake = true;
    m_text.clear();
    m_board.show({LedColour::Red, LedPattern::Solid, 0});
    m_board.pins[std::string(kStatusPin)] = false;
    line("GOOD DAY, WIFI TESTER AT YOUR SERVICE!!!");
}

void SerialTester::command(const std::string& text)
{
    line("checking command: " + text);
    const auto holds = [&text](std::string_view name) {
        return text.find(name) != std::string::npos;
    };
    // A name counts wherever it stands; the longer ones are looked for first.
    if (holds("CONNECT:"))
        return connect(text.substr(text.find("CONNECT:")));
    if (holds("WIFI_SCAN:"))
        return scan();
    if (holds("SET_PIN:"))
        return setPin(text.substr(text.find("SET_PIN:")));
    if (holds("SET_PRODUCT:"))
        return setProduct(text.substr(text.find("SET_PRODUCT:")));
    if (holds("INFO:"))
        return info();
    if (holds("ANT:"))
        return antenna(text.substr(text.find("ANT:")));
    if (holds("UNLOCK:"))
        return lock(false);
    if (holds("LOCK:"))
        return lock(true);
    if (holds("CLEAR:")) {
        m_board.clearCredentials();
        return;
    }
    if (holds("REBOOT:"))
        return m_board.askRestart(BootTarget::Normal);
    if (holds("RESET:"))
        return m_board.askRestart(BootTarget::FactoryReset);
    if (holds("DFU:")) {
        line("resetting into DFU mode!");
        m_board.askRestart(BootTarget::Dfu);
    }
}

void SerialTester::connect(const std::string& text)
{
    const std::string ssid = part(text, 1);
    const std::string password = part(text, 2);
    line("tokenizing...");
    line("parts...");
    line(ssid);
    line(password);
    line("connecting...");
    line("  WIFI Connected?    ");
    const BenchNetwork& around = *m_board.network;
    const bool open = around.security == 0 && password.empty();
    const bool joins =
        m_board.hears(ssid) && (open || sameOctets(octetsOf(password), around.password.reveal()));
    if (!joins)
        return;
    m_joined = ssid;
    line("DHCP DHCP DHCP !");
    m_board.show({LedColour::Magenta, LedPattern::Solid, 0});
    m_board.pins[std::string(kStatusPin)] = true;
}

void SerialTester::info()
{
    line("DeviceID: " + m_board.idText());
    line("Serial: ");
    line("MAC: " + m_board.macText());
    line("SSID: " + m_joined);
    line(m_joined.empty() ? "RSSI: 2" : "RSSI: -48");
}

void SerialTester::scan()
{
    line("SCAN_START");
    if (m_board.hears(m_board.network->ssid))
        line(concat(m_board.network->ssid, ",-48"));
    line(concat(kSecondNetwork, ",-71"));
    line("SCAN_STOP");
}

void SerialTester::antenna(const std::string& text)
{
    const std::string name = part(text, 1);
    if (!name.empty())
        return line("Selected antenna " + name);
    scan();
    scan();
    line("ANTENNA TEST COMPLETE");
}

void SerialTester::setPin(const std::string& text)
{
    const std::string pin = part(text, 1);
    const std::string level = part(text, 2);
    if (!isPin(pin) || (level != "HIGH" && level != "LOW"))
        return; // silent if malformed
    for (const char bank : {'D', 'A'})
        for (char number = '0'; number <= '7'; ++number) {
            const std::string each{bank, number};
            if (pin == "ALL" || pin == each)
                m_board.pins[each] = level == "HIGH";
        }
    line(concat("PIN:", pin, ": IS ", level));
}

void SerialTester::setProduct(const std::string& text)
{
    const std::string number = part(text, 1);
    unsigned value = 0;
    const char* const end = number.data() + number.size();
    if (std::from_chars(number.data(), end, value).ptr == end && !number.empty())
        line(concat("PRODUCT_ID IS NOW ", value));
}

void SerialTester::lock(bool on)
{
    m_board.flash.protectBootloader(on);
    m_board.show({on ? LedColour::Red : LedColour::Green, LedPattern::Solid, 0});
    line(on ? "... Done locking! ..." : "... Done unlocking! ...");
}

} // namespace provost::sim
