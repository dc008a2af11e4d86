#include "sim/setup_console.h"

#include "core/text.h"
#include "sim/octets.h"

#include <algorithm>

namespace provost::sim {

namespace {

using namespace std::chrono_literals;

// System module versions from which a thing exists (6.5).
constexpr unsigned k050 = 13;
constexpr unsigned k060 = 102;
constexpr unsigned k061 = 105;
constexpr unsigned k070 = 200;
constexpr unsigned k080 = 300;

constexpr auto kReceiverPatience = 5000ms;
constexpr auto kLeastReceiverPatience = 500ms;
constexpr std::size_t kLongestLine = 4096;

constexpr std::string_view kDerp = "Derp. Sorry, we couldn't save the credentials.\r\n\r\n";

} // namespace

SetupConsole::SetupConsole(BoardState& board) : m_board(board), m_area(board) {}

void SetupConsole::put(std::string_view text)
{
    Fields(m_output).text(text);
}

std::optional<SteadyTime> SetupConsole::deadline() const
{
    if (!m_receiver)
        return std::nullopt;
    return m_receiver->deadline();
}

void SetupConsole::feed(ByteView bytes, SteadyTime now)
{
    for (const std::byte byte : bytes) {
        if (m_receiver) {
            m_receiver->feed(byte, now);
            pumpReceiver();
            continue;
        }
        const char key = static_cast<char>(byte);
        if (std::exchange(m_swallowLineFeed, false) && key == '\n')
            continue;
        if (m_question) {
            typed(key);
            continue;
        }
        const bool startsPacket =
            (key == 0x01 || key == 0x02) && since(k050) && m_board.profile.received.size != 0;
        if (startsPacket) {
            startReceiver(now);
            m_receiver->feed(byte, now);
            continue;
        }
        command(key, now);
    }
}

void SetupConsole::tick(SteadyTime now)
{
    if (!m_receiver)
        return;
    m_receiver->tick(now);
    pumpReceiver();
}

void SetupConsole::startReceiver(SteadyTime now)
{
    const auto patience = m_board.pace.patience(kReceiverPatience, kLeastReceiverPatience);
    m_receiver.emplace(m_area, since(k061), patience, now);
    m_board.show({LedColour::Magenta, LedPattern::Blink, 100});
}

void SetupConsole::pumpReceiver()
{
    const Bytes answer = m_receiver->takeAnswer();
    m_output.insert(m_output.end(), answer.begin(), answer.end());
    if (m_receiver->outcome() != YModemReceiver::Outcome::Running)
        finishReceiver();
}

void SetupConsole::finishReceiver()
{
    using Outcome = YModemReceiver::Outcome;
    const YModemReceiver done = *m_receiver;
    m_receiver.reset();
    m_board.show({LedColour::Blue, LedPattern::Blink, 500});
    switch (done.outcome()) {
    case Outcome::Done:
        put(concat("\r\nDownloaded file successfully!\r\nName: ", done.fileName(),
                   "\r\nSize: ", done.fileSize(), " bytes\r\n",
                   "Restarting system to apply firmware update...\r\n"));
        installReceived(m_board);
        m_board.askRestart(BootTarget::Normal);
        return;
    case Outcome::Invalid:
        put("Validation failed: 0x");
        put(hexText(done.invalidBits(), done.invalidBits() < 16 ? 1 : 2));
        put("\r\n");
        return;
    case Outcome::TooLarge:
        put("The file size is higher than the allowed space memory!\r\n");
        return;
    case Outcome::NotStored:
        put(since(k061) ? "Failed to save chunk!\r\n" : "Verification failed!\r\n");
        return;
    case Outcome::Aborted:
        put("Aborted by user.\r\n");
        return;
    case Outcome::Failed:
    case Outcome::Running:
        put("Failed to receive the file!\r\n");
        return;
    }
}

void SetupConsole::command(char key, SteadyTime now)
{
    switch (key) {
    case 'i':
        identify();
        return;
    case 'm':
        if (m_board.profile.radio == Radio::Wifi)
            put(concat("Your device MAC address is\r\n", m_board.macText(), "\r\n"));
        return;
    case 'v':
        put(concat("system firmware version: ", releaseName(m_board.systemVersion), "\n\r\n"));
        return;
    case 's':
        put(concat("{", m_board.report(), "}\r\n"));
        return;
    case 'w':
        m_wifi = {};
        if (m_board.profile.radio == Radio::Wifi)
            ask(Question::Ssid);
        return;
    case 'f':
        if (m_board.profile.received.size == 0)
            return put("Firmware update using this terminal is not supported!\r\n");
        put("Waiting for the binary file to be sent ... (press 'a' to abort)\r\n");
        startReceiver(now);
        return;
    case 'x':
        m_board.listening = false;
        m_board.notify();
        return;
    case 'L':
        if (since(k050))
            m_board.askRestart(BootTarget::SafeListening);
        return;
    case 'c':
        if (since(k060))
            put(concat("Device claimed: ", m_board.claimed() ? "yes" : "no", "\r\n"));
        return;
    case 'C':
        if (since(k060) && m_board.profile.dct != DctFormat::None)
            ask(Question::ClaimCode);
        return;
    case 'd':
        if (since(k080))
            put(m_board.diagnostics() + "\r\n");
        return;
    default:
        return;
    }
}

/// 7.1
void SetupConsole::identify()
{
    if (m_board.profile.radio == Radio::Cellular)
        put(concat("Device ID: ", m_board.idText(), "\r\nIMEI: ", kImei, "\r\nICCID: ", kIccid,
                   "\r\n"));
    else if (m_board.profile.dct == DctFormat::None)
        put(concat("Your core id is ", m_board.idText(), "\r\n"));
    else
        put(concat("Your device id is ", m_board.idText(), "\r\n"));
}

void SetupConsole::typed(char key)
{
    if (key == '\r' || key == '\n') {
        m_swallowLineFeed = key == '\r';
        put("\r\n");
        answered(std::exchange(m_line, {}));
        return;
    }
    if (key == 0x08 || key == 0x7F) {
        if (!m_line.empty())
            m_line.pop_back();
    } else if (m_line.size() < kLongestLine) {
        m_line += key;
    }
    put(std::string_view(&key, 1));
}

std::string SetupConsole::securityPrompt() const
{
    return concat("Security 0=unsecured, 1=WEP, 2=WPA, 3=WPA2",
                  enterprise() ? ", 4=WPA Enterprise, 5=WPA2 Enterprise: " : ": ");
}

void SetupConsole::ask(Question question)
{
    m_question = question;
    m_line.clear();
    switch (question) {
    case Question::Ssid:
        return put("SSID: ");
    case Question::Security:
        return put(securityPrompt());
    case Question::Cipher:
        return put("Security Cipher 1=AES, 2=TKIP, 3=AES+TKIP: ");
    case Question::Password:
    case Question::EapPassword:
        return put("Password: ");
    case Question::EapType:
        return put("EAP Type 0=PEAP/MSCHAPv2, 1=EAP-TLS: ");
    case Question::UserName:
        return put("Username: ");
    case Question::OuterIdentity:
        return put("Outer identity (optional): ");
    case Question::RootCa:
        return put("Root CA in PEM format (optional):");
    case Question::ClaimCode:
        return put("Enter 63-digit claim code: ");
    }
}

void SetupConsole::answered(std::string text)
{
    const Question question = *std::exchange(m_question, std::nullopt);
    switch (question) {
    case Question::Ssid:
        m_wifi.ssid = std::move(text);
        return afterSsid();
    case Question::Security:
    case Question::Cipher:
    case Question::EapType: {
        const bool digit = text.size() == 1 && text[0] >= '0' && text[0] <= '9';
        m_question = question;
        return answeredNumber(digit ? text[0] - '0' : -1);
    }
    case Question::Password:
    case Question::EapPassword:
        m_wifi.password = UnitSecret(octetsOf(text));
        wipeBytes(std::as_writable_bytes(std::span(text)));
        return question == Question::Password ? saveWifi() : ask(Question::OuterIdentity);
    case Question::UserName:
        return ask(Question::EapPassword);
    case Question::OuterIdentity:
        return ask(Question::RootCa);
    case Question::RootCa:
        return saveWifi();
    case Question::ClaimCode:
        return setClaimCode(text);
    }
}

void SetupConsole::answeredNumber(int value)
{
    const Question question = *std::exchange(m_question, std::nullopt);
    switch (question) {
    case Question::Security:
        if (value < 0 || value > (enterprise() ? 5 : 3))
            return ask(question); // asks until it can use the answer
        m_wifi.security = value;
        return afterSecurity();
    case Question::Cipher:
        return value < 1 || value > 3 ? ask(question) : ask(Question::Password);
    default:
        if (value != 0 && value != 1)
            return ask(question);
        // Certificates of EAP-TLS are no part of a bench.
        return value == 0 ? ask(Question::UserName) : put(kDerp);
    }
}

void SetupConsole::afterSsid()
{
    // From 0.7 on it scans, and knows the security of a network that it hears (7.3).
    const bool heard = since(k070) && m_board.hears(m_wifi.ssid);
    if (!heard)
        return ask(Question::Security);
    m_wifi.security = m_board.network->security;
    if (m_wifi.security == 0)
        return saveWifi();
    ask(Question::Password);
}

void SetupConsole::afterSecurity()
{
    switch (m_wifi.security) {
    case 0:
        return saveWifi();
    case 1:
        return ask(Question::Password);
    case 2:
    case 3:
        return ask(Question::Cipher);
    default:
        return ask(Question::EapType);
    }
}

void SetupConsole::saveWifi()
{
    const bool slow = m_board.profile.credentials == CredentialPlace::RadioModule;
    put(slow ? "Thanks! Wait about 7 seconds while I save those credentials...\r\n\r\n"
             : "Thanks! Wait while I save those credentials...\r\n\r\n");
    const bool saved = m_board.saveCredentials(m_wifi);
    m_wifi = {};
    put(saved ? concat("Awesome. Now we'll connect!\r\n\r\n"
                       "If you see a pulsing cyan light, your ",
                       m_board.profile.spoken,
                       "\r\nhas connected to the Cloud and is ready to go!\r\n\r\n")
              : std::string(kDerp));
    if (!saved)
        return;
    m_board.listening = false;
    m_board.notify();
}

void SetupConsole::setClaimCode(const std::string& code)
{
    if (code.size() == dct::kClaimCodeSize) {
        m_board.writeDct(dct::kClaimCode, octetsOf(code));
        put(concat("Claim code set to: ", code));
    } else {
        put("Sorry, claim code is not 63 characters long. Claim code unchanged.");
    }
    put("\r\n");
}

} // namespace provost::sim
