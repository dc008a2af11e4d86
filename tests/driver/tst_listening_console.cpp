// The listening console, answered word by word (particle-devices 7.1 to 7.4).
#include "core/text.h"
#include "support/test_program.h"
#include "support/verify.h"
#include "talking_line.h"

#include <QTest>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

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

} // namespace

PROVOST_TEST("listening_console", TstListeningConsole)
#include "tst_listening_console.moc"
