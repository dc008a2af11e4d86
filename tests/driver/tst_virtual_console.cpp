// The virtual Photon's running firmware on USB: listening console, YModem receiver, baud-rate
// commands, vendor control requests.
#include "support/test_program.h"
#include "virtual_rig.h"

#include "sim/stock.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr int kAck = 0x06;
constexpr int kNak = 0x15;
constexpr int kCan = 0x18;

const std::string kFixedId = "1f002a000547343233323032";
const std::string kStock152 = "stock = \"1.5.2\"\ndevice_id = \"" + kFixedId + "\"";

/// mark, number, complement, data, two bytes that nobody checks.
Bytes packet(unsigned number, ByteView data)
{
    Bytes bytes;
    ByteWriter out(bytes);
    const std::size_t size = data.size() > 128 ? 1024 : 128;
    out.u8(size == 128 ? 1 : 2).u8(number).u8(255 - (number & 0xFF)).raw(data);
    out.fill(size - data.size(), std::byte{0x1A}).u8(0).u8(0);
    return bytes;
}

Bytes headerPacket(std::string_view name, std::size_t size)
{
    Bytes data;
    ByteWriter(data).text(name).u8(0).text(concat(size, " "));
    data.resize(128);
    return packet(0, data);
}

/// The whole of one file; the answer to the empty header is left unread.
void sendFile(RawConsole& console, ByteView file)
{
    console.send(headerPacket("binary", file.size()));
    QCOMPARE(console.answer(5s), kAck);
    QCOMPARE(console.answer(5s), int{'C'});
    for (unsigned number = 1; !file.empty(); ++number) {
        const ByteView part = file.first(std::min<std::size_t>(1024, file.size()));
        console.send(packet(number, part));
        QCOMPARE(console.answer(5s), kAck);
        file = file.subspan(part.size());
    }
    console.send("\x04");
    QCOMPARE(console.answer(5s), kAck);
    console.send(packet(0, Bytes(128)));
}

Bytes bootloader(std::uint16_t version)
{
    return sim::buildModule({.start = 0x08000000,
                             .length = 0x3C80,
                             .version = version,
                             .function = sim::ModuleFunction::Bootloader});
}

unsigned installedBootloader(Rig& rig)
{
    return readLe16(rig.board().readFlash(0x08000000 + 0x184 + 10, 2));
}

class TstVirtualConsole : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void commands_answerAsTheSheetSays()
    {
        Rig rig(benchText(kStock152));
        RawConsole console(rig);
        QCOMPARE(console.command('i', "\r\n"),
                 std::string("Your device id is 1f002a000547343233323032\r\n"));
        QCOMPARE(console.command('v', "\n\r\n"),
                 std::string("system firmware version: 1.5.2\n\r\n"));
        std::string mac = console.command('m', "\r\n");
        mac += console.readUntil("\r\n");
        QVERIFY(QString::fromStdString(mac).contains(QRegularExpression(
            "^Your device MAC address is\r\n([0-9a-f]{2}:){5}[0-9a-f]{2}\r\n$")));
        QCOMPARE(console.command('c', "\r\n"), std::string("Device claimed: no\r\n"));
    }

    void moduleReport_describesWhatIsInFlash()
    {
        Rig rig(benchText(kStock152));
        RawConsole console(rig);
        const std::string text = console.command('s', "}\r\n");
        const QJsonObject report =
            QJsonDocument::fromJson(QByteArray::fromStdString(text)).object();
        QCOMPARE(report["p"].toInt(), 6);
        const QJsonArray modules = report["m"].toArray();
        QCOMPARE(modules.size(), 5);
        QCOMPARE(modules[0]["f"].toString(), QString("b"));
        QCOMPARE(modules[0]["v"].toInt(), 502);
        QCOMPARE(modules[2]["v"].toInt(), 1512);
        QCOMPARE(modules[2]["d"][1]["v"].toInt(), 400);
        QCOMPARE(modules[2]["d"][0]["_"].toString(), QString(""));
        for (int i = 0; i < 4; ++i)
            QCOMPARE(modules[i]["vv"].toInt(), 30);
        QCOMPARE(modules[3]["u"].toString().size(), 64);
        QCOMPARE(modules[4]["vv"].toInt() & 2, 0); // no factory image
        QVERIFY(modules[4]["f"].isUndefined());
    }

    void wifiDialogue_skipsWhatAScanTellsFrom07()
    {
        Rig rig(benchText(kStock152));
        RawConsole console(rig);
        QCOMPARE(console.command('w', "SSID: "), std::string("SSID: "));
        console.send("plant\r\n");
        QCOMPARE(console.readUntil("Password: "), std::string("plant\r\nPassword: "));
        console.send("line-four\r");
        console.readUntil("Awesome. Now we'll connect!\r\n");
        QVERIFY(rig.until([&] { return rig.board().joinedNetwork() == "plant"; }));
        QVERIFY(rig.board().mode() == sim::BoardMode::Application);
    }

    void wifiDialogue_asksForAnUnknownNetworksSecurity()
    {
        Rig rig(benchText(kStock152));
        RawConsole console(rig);
        console.command('w', "SSID: ");
        console.send("elsewherf\x08"
                     "e\n");
        QCOMPARE(console.readUntil("Enterprise: "),
                 std::string("elsewherf\x08"
                             "e\r\nSecurity 0=unsecured, 1=WEP, 2=WPA, 3=WPA2, "
                             "4=WPA Enterprise, 5=WPA2 Enterprise: "));
        console.send("9\n");
        console.readUntil("Enterprise: ");
        console.send("3\n");
        console.readUntil("Security Cipher 1=AES, 2=TKIP, 3=AES+TKIP: ");
        console.send("1\n");
        console.readUntil("Password: ");
        console.send("x\n");
        console.readUntil("Awesome. Now we'll connect!\r\n");
        QVERIFY(rig.until([&] { return rig.board().hasCredentials(); }));
        QVERIFY(rig.board().joinedNetwork().empty());
    }

    void wifiDialogue_ofVersion049()
    {
        Rig rig(benchText("stock = \"0.4.9\""));
        RawConsole console(rig);
        QCOMPARE(console.command('w', "SSID: "), std::string("SSID: "));
        console.send("plant\r");
        QCOMPARE(console.readUntil("WPA2: "),
                 std::string("plant\r\nSecurity 0=unsecured, 1=WEP, 2=WPA, 3=WPA2: "));
        console.send("0\r");
        console.readUntil("Thanks! Wait while I save those credentials...\r\n\r\n");
    }

    void modeButton_clearsCredentialsAfterTenSeconds()
    {
        Rig rig(benchText(kStock152 + "\ncredentials = \"bench\""));
        QVERIFY(rig.until([&] { return !rig.board().joinedNetwork().empty(); }));
        QVERIFY(must(rig.bench().holdMode(1, 3s)));
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Listening; }));
        QVERIFY(rig.board().hasCredentials());
        QVERIFY(must(rig.bench().holdMode(1, 10s)));
        QVERIFY(!rig.board().hasCredentials());
    }

    void baud28800_opensListeningModeFrom05()
    {
        Rig rig(benchText(kStock152 + "\ncredentials = \"foreign\""));
        RawConsole console(rig);
        must(console.port().setBaud(28800));
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Listening; }));
        console.command('x', "");
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Application; }));
    }

    void baud28800_startsYModemAtOnceUpTo049()
    {
        Rig rig(benchText("stock = \"0.4.9\"\ncredentials = \"foreign\""));
        RawConsole console(rig);
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Application; }));
        must(console.port().setBaud(28800));
        QCOMPARE(console.answer(8s), int{'C'});
        console.send("a");
        QCOMPARE(console.answer(1s), kCan);
        QCOMPARE(console.answer(1s), kCan);
        console.readUntil("Aborted by user.\r\n");
    }

    void yModem_installsABootloaderAtOnce()
    {
        Rig rig(benchText(kStock152));
        RawConsole console(rig);
        QCOMPARE(
            console.command('f', "\r\n"),
            std::string("Waiting for the binary file to be sent ... (press 'a' to abort)\r\n"));
        sendFile(console, bootloader(1006));
        QCOMPARE(console.answer(5s), kAck);
        QCOMPARE(
            console.readUntil("update...\r\n"),
            std::string("\r\nDownloaded file successfully!\r\nName: binary\r\nSize: 15492 bytes"
                        "\r\nRestarting system to apply firmware update...\r\n"));
        QCOMPARE(installedBootloader(rig), 1006U);
        const Bytes none;
        QVERIFY(rig.until([&] {
            return must(rig.bench().serial().enumerate()).empty() ||
                   rig.board().mode() == sim::BoardMode::Booting || !console.port().discardInput();
        }));
    }

    void yModem_copiesASystemPartAtTheRestart()
    {
        Rig rig(benchText(kStock152));
        const Bytes part = sim::buildModule({.start = 0x08020000,
                                             .length = 0x30000,
                                             .version = 2302,
                                             .function = sim::ModuleFunction::SystemPart,
                                             .index = 1});
        {
            RawConsole console(rig);
            console.command('f', "\r\n");
            sendFile(console, part);
            QCOMPARE(console.answer(5s), kAck);
            console.readUntil("update...\r\n");
        }
        QVERIFY(rig.until([&] { return rig.board().readFlash(0x08020000, part.size()) == part; }));
        // It is longer than 128 KB: the factory image's place is overwritten (2.2).
        QVERIFY(rig.board().readFlash(0x080E0000, 16) != Bytes(16, std::byte{0xFF}));
    }

    void yModem_startsOnABareSohFrom05()
    {
        Rig rig(benchText(kStock152));
        RawConsole console(rig);
        console.send(headerPacket("x.bin", 100));
        QCOMPARE(console.answer(5s), kAck);
        QCOMPARE(console.answer(5s), int{'C'});
    }

    void yModem_refusesARepeatedPacketAndKeepsTheCrcUnread()
    {
        Rig rig(benchText(kStock152));
        RawConsole console(rig);
        console.command('f', "\r\n");
        console.send(" ");
        QCOMPARE(console.answer(1s), kAck); // a space, for some reason
        console.send(headerPacket("x.bin", 300));
        QCOMPARE(console.answer(5s), kAck);
        QCOMPARE(console.answer(5s), int{'C'});
        const Bytes first = packet(1, Bytes(128, std::byte{0x55}));
        console.send(first);
        QCOMPARE(console.answer(5s), kAck);
        console.send(first);
        QCOMPARE(console.answer(5s), kNak);
        Bytes broken = packet(2, Bytes(128));
        broken[2] = std::byte{0};
        for (int error = 0; error < 5; ++error) {
            console.send(broken);
            QCOMPARE(console.answer(5s), int{'C'});
        }
        console.send(broken);
        QCOMPARE(console.answer(5s), kCan);
        QCOMPARE(console.answer(5s), kCan);
        console.readUntil("Failed to receive the file!\r\n");
    }

    void yModem_staysSilentBehindEotAndTimesOutWithC()
    {
        Rig rig(benchText(kStock152));
        RawConsole console(rig);
        console.command('f', "\r\n");
        QCOMPARE(console.answer(100ms), -1);
        QCOMPARE(console.answer(3s), int{'C'});
        console.send(headerPacket("x.bin", 100));
        QCOMPARE(console.answer(5s), kAck);
        QCOMPARE(console.answer(5s), int{'C'});
        console.send(packet(1, Bytes(100)));
        QCOMPARE(console.answer(5s), kAck);
        console.send("\x04");
        QCOMPARE(console.answer(5s), kAck);
        QCOMPARE(console.answer(100ms), -1);
    }

    void yModem_saysWhatIsWrongWithAModuleFrom061_data()
    {
        QTest::addColumn<QString>("stock");
        QTest::addColumn<bool>("noticed");
        QTest::newRow("0.4.9") << "0.4.9" << false;
        QTest::newRow("0.6.3") << "0.6.3" << true;
        QTest::newRow("1.5.2") << "1.5.2" << true;
    }
    void yModem_saysWhatIsWrongWithAModuleFrom061()
    {
        QFETCH(QString, stock);
        QFETCH(bool, noticed);
        Rig rig(benchText(concat("stock = \"", stock.toStdString(), "\"")));
        const unsigned before = (rig.waitFor(kCdc), installedBootloader(rig));
        RawConsole console(rig);
        Bytes damaged = bootloader(9);
        damaged[700] ^= std::byte{1};
        console.command('f', "\r\n");
        sendFile(console, damaged);
        if (noticed) {
            QCOMPARE(console.answer(5s), kCan);
            QCOMPARE(console.answer(5s), kCan);
            QCOMPARE(console.readUntil("\r\n"), std::string("Validation failed: 0x2\r\n"));
        } else {
            QCOMPARE(console.answer(5s), kAck);
            console.readUntil("Downloaded file successfully!\r\n");
        }
        QCOMPARE(installedBootloader(rig), before);
    }

    void yModem_refusesWhatDoesNotFit()
    {
        Rig rig(benchText(kStock152));
        RawConsole console(rig);
        console.command('f', "\r\n");
        console.send(headerPacket("big.bin", 262145));
        QCOMPARE(console.answer(5s), kCan);
        QCOMPARE(console.answer(5s), kCan);
        console.readUntil("The file size is higher than the allowed space memory!\r\n");
    }

    void rawRequests_existFrom06()
    {
        Rig rig(benchText(kStock152));
        RawControl vendor(rig);
        QCOMPARE(toText(must(vendor.in(0x50, 0, 20, 64))), kFixedId);
        QCOMPARE(toText(must(vendor.in(0x50, 0, 30, 64))), std::string("1.5.2"));
        must(vendor.out(0x50, 50, {}));
        rig.waitFor(kDfu);
        Rig old(benchText("stock = \"0.4.9\""));
        RawControl none(old);
        QVERIFY(!none.in(0x50, 0, 20, 64));
        Rig middle(benchText("stock = \"0.6.3\""));
        RawControl rawOnly(middle);
        QCOMPARE(toText(must(rawOnly.in(0x50, 0, 30, 64))), std::string("0.6.3"));
        QVERIFY(!rawOnly.in(1, 0, 20, 64));
    }

    void queuedRequests_answerInTheirForm()
    {
        Rig rig(benchText(kStock152 + "\ncredentials = \"foreign\"", "", "demo"));
        RawControl vendor(rig);
        const auto [result, reply] = vendor.queued(20, {});
        QCOMPARE(result, 0);
        QCOMPARE(toText(reply), "\x0a\x18" + kFixedId);
        QCOMPARE(must(vendor.in(2, 0, 999, 64)), *fromHex("010000000500"));
        QVERIFY(vendor.queued(9999, {}).first < 0);
        QVERIFY(rig.board().hasCredentials());
        QCOMPARE(vendor.queued(115, {}).first, 0);
        QVERIFY(!rig.board().hasCredentials());
    }

    void settingTheServerKey_erasesTheAddressRecord()
    {
        Rig rig(benchText(kStock152));
        RawControl vendor(rig);
        const Bytes before = vendor.queued(221, *fromHex("0801")).second;
        QCOMPARE(toText(ByteView(before).subspan(2, 15)), std::string("device.spark.io"));
        Bytes set = *fromHex("0803"
                             "12"
                             "a602"); // type 3, 294 bytes
        set.resize(set.size() + 294, std::byte{0x42});
        QCOMPARE(vendor.queued(210, set).first, 0);
        QVERIFY(vendor.queued(221, *fromHex("0801")).first < 0);
        QCOMPARE(vendor.queued(211, *fromHex("0803")).second.size(), std::size_t{768 + 3});
        Bytes address = *fromHex("0801"
                                 "1209");
        ByteWriter(address).text("127.0.0.1").raw(*fromHex("18b32c"));
        QCOMPARE(vendor.queued(220, address).first, 0);
        QCOMPARE(toHex(vendor.queued(221, *fromHex("0801")).second),
                 "0a09" + toHex(viewOf("127.0.0.1")) + "10b32c");
    }

    void claimCode_isStoredAndReported()
    {
        Rig rig(benchText(kStock152));
        RawConsole console(rig);
        console.command('C', "code: ");
        console.send("short\r");
        console.readUntil("is not 63 characters long. Claim code unchanged.\r\n");
        RawControl vendor(rig);
        QCOMPARE(toHex(vendor.queued(201, {}).second), std::string("0800"));
        Bytes code = *fromHex("0a3f");
        code.resize(65, std::byte{'k'});
        QCOMPARE(vendor.queued(200, code).first, 0);
        const Bytes dct = rig.board().physicalDct(rig.board().currentDct());
        QCOMPARE(toText(ByteView(dct).subspan(0x1D7C + 1762, 63)), std::string(63, 'k'));
    }
};

} // namespace

PROVOST_TEST("virtual_console", TstVirtualConsole)
#include "tst_virtual_console.moc"
