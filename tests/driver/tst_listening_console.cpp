// The listening console and the unit's own YModem receiver, answered word by word
// (particle-devices 7.1 to 7.5).
#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/listening_console.h"
#include "protocol/ymodem_sender.h"
#include "support/test_program.h"
#include "support/verify.h"

#include <QTest>

#include <deque>
#include <functional>

using namespace provost;
using namespace std::chrono_literals;

namespace {

/// A line in virtual time: what is written goes to a handler, which queues what comes back.
class TalkingLine final : public ByteStream {
public:
    using Handler = std::function<void(ByteView)>;
    explicit TalkingLine(const VirtualClock& clock) : m_clock(clock) {}

    /// Queues `text` for reading, `after` behind everything queued before.
    void say(std::string_view text, std::chrono::milliseconds after = 0ms)
    {
        m_lastAt = std::max(m_lastAt, m_clock.now()) + after;
        for (const char c : text)
            m_queue.emplace_back(m_lastAt, static_cast<std::byte>(c));
    }
    void hangUp() { m_isGone = true; }
    void onWrite(Handler handler) { m_handler = std::move(handler); }
    std::string written() const { return toText(m_written); }
    void forget() { m_written.clear(); }
    std::size_t chunk = 7; ///< bytes a read returns at most
    bool sawPlainText = false;
    bool wantsSecrets = false;

    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        TRY(op.checkpoint());
        if (m_queue.empty() && m_isGone)
            return fail(Errc::Disconnected, Blame::Fixture, "gone");
        const auto at = m_queue.empty() ? op.deadline.at : m_queue.front().first;
        TRY(m_clock.sleepUntil(std::min(at, op.deadline.at), op.stop));
        TRY(op.checkpoint());
        std::size_t count = 0;
        while (count < std::min(to.size(), chunk) && !m_queue.empty() &&
               m_queue.front().first <= m_clock.now()) {
            to[count++] = m_queue.front().second;
            m_queue.pop_front();
        }
        return count;
    }
    Result<> writeAll(ByteView data, const OpContext& op) override
    {
        TRY(op.checkpoint());
        sawPlainText = sawPlainText || (wantsSecrets && !op.sensitive);
        if (m_isGone)
            return fail(Errc::Disconnected, Blame::Fixture, "gone");
        m_written.insert(m_written.end(), data.begin(), data.end());
        if (m_handler)
            m_handler(data);
        return {};
    }
    Result<> discardInput() override
    {
        while (!m_queue.empty() && m_queue.front().first <= m_clock.now())
            m_queue.pop_front();
        return {};
    }

private:
    const VirtualClock& m_clock;
    std::deque<std::pair<Clock::Steady, std::byte>> m_queue;
    Clock::Steady m_lastAt{};
    Bytes m_written;
    Handler m_handler;
    bool m_isGone = false;
};

struct ConsoleBench {
    VirtualClock clock;
    TalkingLine line{clock};
    ListeningConsole console{line};

    OpContext op(std::chrono::milliseconds limit = 600s) const
    {
        return {.clock = clock, .deadline = {clock.now() + limit}};
    }
    /// Answers one key with one text.
    void answers(char key, std::string text)
    {
        line.onWrite([this, key, text = std::move(text)](ByteView data) {
            if (data.size() == 1 && static_cast<char>(data[0]) == key)
                line.say(text, 3ms);
        });
    }
};

/// The conversation of `w`: each input line is answered with the next prompt.
struct Dialogue {
    std::vector<std::string> prompts{};
    bool echoes = false;
    std::vector<std::string> inputs{};
    std::size_t next = 0;
    std::string input{};

    void attach(TalkingLine& line)
    {
        line.onWrite([this, &line](ByteView data) {
            for (const std::byte b : data)
                take(line, static_cast<char>(b));
        });
    }
    void take(TalkingLine& line, char c)
    {
        if (next == 0) {
            if (c == 'w')
                line.say(prompts.at(next++), 5ms);
            return;
        }
        if (c != '\n') {
            input.push_back(c);
            if (echoes)
                line.say(std::string(1, c), 1ms);
            return;
        }
        inputs.push_back(std::exchange(input, {}));
        if (echoes)
            line.say("\r\n");
        if (next < prompts.size())
            line.say(prompts.at(next++), 20ms);
    }
};

const std::string kSsidPrompt = "SSID: ";
const std::string kSecurityPrompt = "Security 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: ";
const std::string kLongSecurityPrompt =
    "Security 0=unsecured, 1=WEP, 2=WPA, 3=WPA2, 4=WPA Enterprise, 5=WPA2 Enterprise: ";
const std::string kCipherPrompt = "Security Cipher 1=AES, 2=TKIP, 3=AES+TKIP: ";
const std::string kPasswordPrompt = "Password: ";
const std::string kSaved =
    "Thanks! Wait while I save those credentials...\r\n\r\nAwesome. Now we'll connect!\r\n\r\n";
const std::string kCoreSaved = "Thanks! Wait about 7 seconds while I save those credentials...\r\n"
                               "\r\nAwesome. Now we'll connect!\r\n\r\n";
const std::string kDerp = "Thanks! Wait while I save those credentials...\r\n\r\n"
                          "Derp. Sorry, we couldn't save the credentials.\r\n\r\n";
constexpr std::string_view kSecret = "correct horse battery";

/// The unit's own YModem receiver, seen from outside.
struct UnitReceiver {
    TalkingLine& line;
    std::string verdict{}; ///< what it says to the empty header
    std::chrono::milliseconds eraseTime{0};
    int loseAckOf = -1;
    bool refusesHeader = false;
    std::string name{};
    Bytes data{};
    int repeats = 0;
    int expected = 0;
    bool ended = false;
    std::size_t size = 0;
    std::vector<std::string> atWrite{};

    void take(ByteView frame)
    {
        if (frame.size() == 1 && u8(frame[0]) == 'f') {
            line.say("Waiting for the binary file to be sent ... (press 'a' to abort)\r\n", 2ms);
            return;
        }
        if (u8(frame[0]) == 0x04) {
            expected = 0;
            ended = true;
            line.say("\x06", 1ms); // and no 'C' behind it for 5 s
            return;
        }
        if (u8(frame[0]) != 0x01 && u8(frame[0]) != 0x02)
            return;
        const std::size_t bytes = u8(frame[0]) == 0x02 ? 1024 : 128;
        if (frame.size() != bytes + 5 || u8(frame[1]) != (255 - u8(frame[2]))) {
            line.say("C");
            return;
        }
        if (u8(frame[1]) != (expected & 0xFF)) {
            ++repeats;
            line.say("\x15");
            return;
        }
        block(frame.subspan(3, bytes));
    }
    void block(ByteView payload)
    {
        const int number = expected++;
        if (number == 0 && u8(payload[0]) == 0) {
            line.say(verdict, 2000ms);
            return;
        }
        if (number == 0) {
            name = toText(payload).c_str();
            size = std::stoul(toText(payload).substr(name.size() + 1));
            line.say(refusesHeader ? "\x18\x18The file size is higher than the allowed space "
                                     "memory!\r\n"
                                   : "\x06"
                                     "C",
                     eraseTime);
            return;
        }
        data.insert(data.end(), payload.begin(), payload.end());
        if (number != loseAckOf)
            line.say("\x06", 2ms);
    }
};

Bytes pattern(std::size_t size)
{
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>((i * 7 + i / 256) & 0xFF);
    return bytes;
}

class TstListeningConsole : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void deviceId_isReadFromEveryBoardsWords_data();
    void deviceId_isReadFromEveryBoardsWords();
    void deviceId_timesOutWhereNobodyListens();
    void deviceId_asksAgainWhenTheFirstKeyIsLost();
    void deviceId_reportsALostPort();
    void systemVersion_dropsMinimal();
    void macAddress_isFound();
    void modules_areReadPastEcho();
    void modules_endlessTalkIsAnError();
    void wifi_walksEveryVariant_data();
    void wifi_walksEveryVariant();
    void wifi_reportsDerpAsDenied();
    void wifi_refusesEnterpriseNetworks();
    void wifi_refusesTextThatWouldSplitTheLine();
    void wifi_timesOutWithoutThePassword();
    void wifi_takesAnSsidThatLooksLikeAPrompt();
    void sendModule_deliversToTheUnit();
    void sendModule_reportsTheUnitsWords();
    void sendModule_reportsARefusedHeader();
    void sendModule_takesARestartBehindTheAckForSuccess();
    void sendModule_neverRepeatsABlock();
    void ymodem_startsAgainBehindALateC();
    void ymodem_answersTheEotHandshake();
    void ymodem_givesUpAfterTenRefusals();
    void ymodem_cancelsTheReceiverWhenStopped();
    void ymodem_streamsWhereTheReceiverAsksForIt();
    void ymodem_refusesNamesThatDoNotFit();
};

void TstListeningConsole::deviceId_isReadFromEveryBoardsWords_data()
{
    QTest::addColumn<QByteArray>("text");
    QTest::newRow("Photon") << QByteArray("Your device id is 1e0047001347343339383037\r\n");
    QTest::newRow("Core") << QByteArray("Your core id is 1E0047001347343339383037\r\n");
    QTest::newRow("Electron") << QByteArray("Device ID: 1e0047001347343339383037\r\nIMEI: "
                                            "353162070912345\r\nICCID: 8934076500002589\r\n");
    QTest::newRow("echo") << QByteArray("i\r\nYour device id is 1e0047001347343339383037\r\n");
    QTest::newRow("boot text") << QByteArray(
        "\r\n0000001234 [system] INFO: cafe\r\nYour device id is 1e0047001347343339383037\r\n");
}

void TstListeningConsole::deviceId_isReadFromEveryBoardsWords()
{
    QFETCH(QByteArray, text);
    for (const std::size_t chunk : {1U, 3U, 64U}) {
        ConsoleBench bench;
        bench.line.chunk = chunk;
        bench.answers('i', text.toStdString());
        const auto id = bench.console.deviceId(bench.op());
        VERIFY_OK(id);
        QCOMPARE(*id, std::string("1e0047001347343339383037"));
    }
}

void TstListeningConsole::deviceId_timesOutWhereNobodyListens()
{
    ConsoleBench bench;
    const auto id = bench.console.deviceId(bench.op());
    VERIFY_FAILS(id, Errc::Timeout);
    QVERIFY(id.error().message.find("not in listening mode") != std::string::npos);
    // Something that is no id does not do either.
    bench.answers('i', "Your device id is 1e00470013473433393830\r\n");
    VERIFY_FAILS(bench.console.deviceId(bench.op()), Errc::Timeout);
    VERIFY_FAILS(bench.console.deviceId(bench.op(0ms)), Errc::Timeout);
}

void TstListeningConsole::deviceId_asksAgainWhenTheFirstKeyIsLost()
{
    ConsoleBench bench;
    int keys = 0;
    bench.line.onWrite([&](ByteView) {
        if (++keys == 2)
            bench.line.say("Your device id is 1e0047001347343339383037\r\n");
    });
    VERIFY_OK(bench.console.deviceId(bench.op()));
}

void TstListeningConsole::deviceId_reportsALostPort()
{
    ConsoleBench bench;
    bench.line.hangUp();
    VERIFY_FAILS(bench.console.deviceId(bench.op()), Errc::Disconnected);
    VERIFY_OK(bench.console.exit(bench.op()));
}

void TstListeningConsole::systemVersion_dropsMinimal()
{
    ConsoleBench bench;
    bench.answers('v', "system firmware version: 2.3.1\n\r\n");
    QCOMPARE(bench.console.systemVersion(bench.op()).value_or(""), std::string("2.3.1"));
    bench.answers('v', "vsystem firmware version: 0.7.0-rc.3 minimal\n\r\n");
    QCOMPARE(bench.console.systemVersion(bench.op()).value_or(""), std::string("0.7.0-rc.3"));
}

void TstListeningConsole::macAddress_isFound()
{
    ConsoleBench bench;
    bench.answers('m', "Your device MAC address is\r\n6C:0B:84:3a:01:fe\r\n");
    QCOMPARE(bench.console.macAddress(bench.op()).value_or(""), std::string("6c:0b:84:3a:01:fe"));
}

void TstListeningConsole::modules_areReadPastEcho()
{
    ConsoleBench bench;
    bench.answers('s',
                  "s\r\n{\"p\":6,\"m\":[{\"s\":16384,\"l\":\"m\",\"vc\":30,\"vv\":30,\"f\":\"b\","
                  "\"n\":\"0\",\"v\":501,\"d\":[]}],\"x\":\"}{\\\"\"}\r\n");
    const auto report = bench.console.modules(bench.op());
    VERIFY_OK(report);
    QCOMPARE(report->find('b')->version, 501);
    bench.answers('s', "{\"p\":6,}\r\n");
    VERIFY_FAILS(bench.console.modules(bench.op()), Errc::InvalidData);
}

void TstListeningConsole::modules_endlessTalkIsAnError()
{
    ConsoleBench bench;
    bench.line.chunk = 4096;
    bench.answers('s', "{" + std::string(100000, 'x'));
    VERIFY_FAILS(bench.console.modules(bench.op()), Errc::Protocol);
}

void TstListeningConsole::wifi_walksEveryVariant_data()
{
    QTest::addColumn<QStringList>("prompts");
    QTest::addColumn<int>("security");
    QTest::addColumn<QStringList>("inputs");
    const auto text = [](const std::string& s) { return QString::fromStdString(s); };
    const QString secret = QString::fromUtf8(kSecret.data(), qsizetype(kSecret.size()));
    QTest::newRow("before 0.7") << QStringList{text(kSsidPrompt), text(kSecurityPrompt),
                                               text(kCipherPrompt), text(kPasswordPrompt),
                                               text(kSaved)}
                                << 3 << QStringList{"line", "3", "3", secret};
    QTest::newRow("scan found it")
        << QStringList{text(kSsidPrompt), text(kPasswordPrompt), text(kSaved)} << 3
        << QStringList{"line", secret};
    QTest::newRow("enterprise suffix")
        << QStringList{text(kSsidPrompt), text(kLongSecurityPrompt), text(kCipherPrompt),
                       text(kPasswordPrompt), text(kSaved)}
        << 2 << QStringList{"line", "2", "3", secret};
    QTest::newRow("WEP has no cipher") << QStringList{text(kSsidPrompt), text(kSecurityPrompt),
                                                      text(kPasswordPrompt), text(kCoreSaved)}
                                       << 1 << QStringList{"line", "1", secret};
    QTest::newRow("open") << QStringList{text(kSsidPrompt), text(kSecurityPrompt), text(kSaved)}
                          << 0 << QStringList{"line", "0"};
}

void TstListeningConsole::wifi_walksEveryVariant()
{
    QFETCH(QStringList, prompts);
    QFETCH(int, security);
    QFETCH(QStringList, inputs);
    for (const bool echoes : {false, true}) {
        for (const std::size_t chunk : {1U, 5U, 200U}) {
            ConsoleBench bench;
            bench.line.chunk = chunk;
            bench.line.wantsSecrets = true;
            Dialogue dialogue{.echoes = echoes};
            for (const auto& prompt : prompts)
                dialogue.prompts.push_back(prompt.toStdString());
            dialogue.attach(bench.line);
            VERIFY_OK(bench.console.setWifi("line", SecretBytes(viewOf(kSecret)),
                                            static_cast<WifiSecurity>(security), bench.op()));
            QCOMPARE(dialogue.inputs.size(), static_cast<std::size_t>(inputs.size()));
            for (qsizetype i = 0; i < inputs.size(); ++i)
                QCOMPARE(QString::fromStdString(dialogue.inputs[static_cast<std::size_t>(i)]),
                         inputs[i]);
            QVERIFY(!bench.line.sawPlainText);
        }
    }
}

void TstListeningConsole::wifi_reportsDerpAsDenied()
{
    ConsoleBench bench;
    Dialogue dialogue{.prompts = {kSsidPrompt, kPasswordPrompt, kDerp}, .echoes = true};
    dialogue.attach(bench.line);
    const auto saved =
        bench.console.setWifi("line", SecretBytes(viewOf(kSecret)), WifiSecurity::Wpa2, bench.op());
    VERIFY_FAILS(saved, Errc::Denied);
    QVERIFY(describe(saved.error()).find(kSecret) == std::string::npos);
}

void TstListeningConsole::wifi_refusesEnterpriseNetworks()
{
    ConsoleBench bench;
    Dialogue dialogue{.prompts = {kSsidPrompt, "EAP Type 0=PEAP/MSCHAPv2, 1=EAP-TLS: "}};
    dialogue.attach(bench.line);
    VERIFY_FAILS(
        bench.console.setWifi("line", SecretBytes(viewOf(kSecret)), WifiSecurity::Wpa2, bench.op()),
        Errc::Unsupported);
}

void TstListeningConsole::wifi_refusesTextThatWouldSplitTheLine()
{
    ConsoleBench bench;
    const auto set = [&](std::string_view ssid, std::string_view password) {
        return bench.console.setWifi(ssid, SecretBytes(viewOf(password)), WifiSecurity::Wpa2,
                                     bench.op());
    };
    VERIFY_FAILS(set("", kSecret), Errc::InvalidArgument);
    VERIFY_FAILS(set("a\nb", kSecret), Errc::InvalidArgument);
    VERIFY_FAILS(set(std::string(33, 'a'), kSecret), Errc::InvalidArgument);
    VERIFY_FAILS(set("a", "secret\r"), Errc::InvalidArgument);
    VERIFY_FAILS(set("a", std::string(65, 's')), Errc::InvalidArgument);
    QVERIFY(bench.line.written().empty());
}

void TstListeningConsole::wifi_timesOutWithoutThePassword()
{
    ConsoleBench bench;
    Dialogue dialogue{.prompts = {kSsidPrompt, kPasswordPrompt}, .echoes = true};
    dialogue.attach(bench.line);
    const auto saved =
        bench.console.setWifi("line", SecretBytes(viewOf(kSecret)), WifiSecurity::Wpa2, bench.op());
    VERIFY_FAILS(saved, Errc::Timeout);
    QVERIFY(describe(saved.error()).find(kSecret) == std::string::npos);
    QVERIFY(describe(saved.error()).find("behind the password") != std::string::npos);
}

void TstListeningConsole::wifi_takesAnSsidThatLooksLikeAPrompt()
{
    ConsoleBench bench;
    Dialogue dialogue{.prompts = {kSsidPrompt, kPasswordPrompt, kSaved}, .echoes = true};
    dialogue.attach(bench.line);
    VERIFY_OK(bench.console.setWifi("Awesome. Password: ", SecretBytes(viewOf(kSecret)),
                                    WifiSecurity::Wpa2, bench.op()));
    QCOMPARE(dialogue.inputs.size(), std::size_t{2});
}

void TstListeningConsole::sendModule_deliversToTheUnit()
{
    ConsoleBench bench;
    UnitReceiver unit{.line = bench.line,
                      .verdict = "\x06\r\nDownloaded file successfully!\r\nName: binary\r\n",
                      .eraseTime = 20s};
    bench.line.onWrite([&](ByteView data) { unit.take(data); });
    const Bytes module = pattern(300 * 1024 + 77); // the block number wraps
    VERIFY_OK(bench.console.sendModule("binary", module, bench.op()));
    QCOMPARE(unit.name, std::string("binary"));
    QCOMPARE(unit.size, module.size());
    QVERIFY(unit.ended);
    QCOMPARE(unit.repeats, 0);
    unit.data.resize(module.size());
    QVERIFY(unit.data == module);
    // 20 s of erasing, 2 s of validation, 2 ms a block; never 5 s of waiting for a 'C'.
    QVERIFY(bench.clock.now().time_since_epoch() < 26s);
}

void TstListeningConsole::sendModule_reportsTheUnitsWords()
{
    ConsoleBench bench;
    UnitReceiver unit{.line = bench.line, .verdict = "\x18\x18Validation failed: 0x1d\r\n"};
    bench.line.onWrite([&](ByteView data) { unit.take(data); });
    const auto sent = bench.console.sendModule("binary", pattern(2000), bench.op());
    VERIFY_FAILS(sent, Errc::Denied);
    QVERIFY2(sent.error().message.find("Validation failed: 0x1d") != std::string::npos,
             sent.error().message.c_str());

    bench.answers('f', "Firmware update using this terminal is not supported!");
    VERIFY_FAILS(bench.console.sendModule("binary", pattern(2000), bench.op()), Errc::Denied);
}

void TstListeningConsole::sendModule_reportsARefusedHeader()
{
    ConsoleBench bench;
    UnitReceiver unit{.line = bench.line, .refusesHeader = true};
    bench.line.onWrite([&](ByteView data) { unit.take(data); });
    const auto sent = bench.console.sendModule("binary", pattern(2000), bench.op());
    VERIFY_FAILS(sent, Errc::Denied);
    QVERIFY2(sent.error().message.find("higher than the allowed") != std::string::npos,
             sent.error().message.c_str());
}

void TstListeningConsole::sendModule_takesARestartBehindTheAckForSuccess()
{
    ConsoleBench bench;
    UnitReceiver unit{.line = bench.line, .verdict = "\x06"};
    bench.line.onWrite([&](ByteView data) {
        unit.take(data);
        if (unit.ended && unit.expected == 1)
            bench.line.hangUp();
    });
    VERIFY_OK(bench.console.sendModule("binary", pattern(2000), bench.op()));
}

void TstListeningConsole::sendModule_neverRepeatsABlock()
{
    ConsoleBench bench;
    UnitReceiver unit{.line = bench.line, .loseAckOf = 3};
    bench.line.onWrite([&](ByteView data) { unit.take(data); });
    const auto sent = bench.console.sendModule("binary", pattern(9000), bench.op());
    VERIFY_FAILS(sent, Errc::Protocol);
    QCOMPARE(unit.repeats, 0);
    // The unit is told, or it would wait for more.
    QVERIFY(bench.line.written().find(std::string(8, '\x18')) != std::string::npos);
}

/// A receiver for the other flavours: answers each frame by number of writes.
void TstListeningConsole::ymodem_startsAgainBehindALateC()
{
    ConsoleBench bench;
    int headers = 0;
    bench.line.say("C", 3s);
    bench.line.onWrite([&](ByteView frame) {
        if (u8(frame[0]) == 0x04)
            bench.line.say("\x06"
                           "C");
        else if (u8(frame[1]) == 0)
            // The receiver's next 'C' crosses the header; its ACK follows.
            bench.line.say(++headers == 1 ? "C\x06"
                                            "C"
                                          : "\x06");
        else
            bench.line.say("\x06");
    });
    YModemSender sender(bench.line);
    VERIFY_OK(sender.send("a.bin", pattern(3000), bench.op()));
    VERIFY_OK(sender.finish(bench.op()));
    QCOMPARE(sender.retries(), 0);
    QCOMPARE(headers, 2);
}

void TstListeningConsole::ymodem_answersTheEotHandshake()
{
    ConsoleBench bench;
    int ends = 0;
    bench.line.say("C");
    bench.line.onWrite([&](ByteView frame) {
        if (u8(frame[0]) == 0x04)
            bench.line.say(++ends == 1 ? "\x15"
                                       : "\x06"
                                         "C");
        else
            bench.line.say(u8(frame[1]) == 0 ? "\x06"
                                               "C"
                                             : "\x06");
    });
    YModemSender sender(bench.line);
    VERIFY_OK(sender.send("a.bin", pattern(10), bench.op()));
    VERIFY_OK(sender.finish(bench.op()));
    QCOMPARE(ends, 2);
}

void TstListeningConsole::ymodem_givesUpAfterTenRefusals()
{
    ConsoleBench bench;
    bench.line.say("C");
    bench.line.onWrite([&](ByteView frame) {
        if (frame.size() > 100)
            bench.line.say(u8(frame[1]) == 0 ? "\x06"
                                               "C"
                                             : "\x15");
    });
    YModemSender sender(bench.line);
    VERIFY_FAILS(sender.send("a.bin", pattern(10), bench.op()), Errc::Protocol);
    QCOMPARE(sender.retries(), 10);
}

void TstListeningConsole::ymodem_cancelsTheReceiverWhenStopped()
{
    ConsoleBench bench;
    std::stop_source stop;
    bench.line.say("C");
    int frames = 0;
    bench.line.onWrite([&](ByteView frame) {
        if (++frames == 4)
            stop.request_stop();
        bench.line.say(u8(frame[1]) == 0 ? "\x06"
                                           "C"
                                         : "\x06");
    });
    OpContext op = bench.op();
    op.stop = stop.get_token();
    YModemSender sender(bench.line);
    VERIFY_FAILS(sender.send("a.bin", pattern(50000), op), Errc::Cancelled);
    QCOMPARE(frames, 5);
    QVERIFY(bench.line.written().ends_with("\x18\x18\x18\x18\x18\x18\x18\x18\b\b\b\b\b\b\b\b"));
}

void TstListeningConsole::ymodem_streamsWhereTheReceiverAsksForIt()
{
    ConsoleBench bench;
    bench.line.say("G");
    std::vector<int> numbers;
    bench.line.onWrite([&](ByteView frame) {
        if (u8(frame[0]) == 0x04) {
            bench.line.say("\x06"
                           "G");
            return;
        }
        numbers.push_back(u8(frame[1]));
        if (numbers.size() == 1)
            bench.line.say("G");
        if (numbers.size() > 4)
            bench.line.say("\x06"); // the closing header
    });
    YModemSender sender(bench.line);
    VERIFY_OK(sender.send("a.bin", pattern(3 * 1024), bench.op()));
    VERIFY_OK(sender.finish(bench.op()));
    QCOMPARE(numbers, (std::vector<int>{0, 1, 2, 3, 0}));
}

void TstListeningConsole::ymodem_refusesNamesThatDoNotFit()
{
    ConsoleBench bench;
    bench.line.say("CCCCC");
    YModemSender sender(bench.line);
    VERIFY_FAILS(sender.send("", pattern(1), bench.op()), Errc::InvalidArgument);
    VERIFY_FAILS(sender.send(std::string(101, 'n'), pattern(1), bench.op()), Errc::InvalidArgument);
    VERIFY_FAILS(sender.send("folder/", pattern(1), bench.op()), Errc::InvalidArgument);
}

} // namespace

PROVOST_TEST("listening_console", TstListeningConsole)
#include "tst_listening_console.moc"
