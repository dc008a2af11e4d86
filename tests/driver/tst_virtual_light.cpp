// What the light of a virtual Photon shows: the rows of particle-devices 8. Those of the bootloader
// are in tst_virtual_bootloader.cpp, those of the handshake in tst_virtual_cloud.cpp.
#include "support/test_program.h"
#include "virtual_rig.h"

#include <algorithm>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

using sim::LedColour;
using sim::LedPattern;

struct LightRow {
    const char* name;
    std::string unit;
    std::string network{};
    sim::Led shown{};
    void (*act)(Rig&) = nullptr;
};

const std::string kJoins = "stock = \"1.5.2\"\nkey = \"burnt\"\ncredentials = \"bench\"";
const std::string kListens = "stock = \"1.5.2\"";

void holdTenSeconds(Rig& rig)
{
    rig.waitFor(kCdc);
    QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Application; }));
    rig.board().holdMode(10s);
}

const std::vector<LightRow>& lightRows()
{
    static const std::vector<LightRow> kRows{
        {"network off",
         kListens + "\nnetwork = \"off\"",
         "",
         {LedColour::White, LedPattern::Breathe, 4000}},
        {"network on, not connecting",
         kListens + "\nnetwork = \"on\"",
         "",
         {LedColour::Blue, LedPattern::Breathe, 4000}},
        {"connecting to the network", kJoins, "", {LedColour::Green, LedPattern::Blink, 200}},
        {"DHCP", kJoins, "", {LedColour::Green, LedPattern::Blink, 100}},
        {"network connected",
         kJoins + "\nnetwork = \"joined\"",
         "",
         {LedColour::Green, LedPattern::Breathe, 4000}},
        {"connecting to the cloud", kJoins, "", {LedColour::Cyan, LedPattern::Blink, 200}},
        {"safe mode",
         kJoins,
         "",
         {LedColour::Magenta, LedPattern::Breathe, 4000},
         [](Rig& rig) {
             rig.waitFor(kCdc);
             rig.board().resetHoldingMode(1s);
         }},
        {"listening", kListens, "", {LedColour::Blue, LedPattern::Blink, 500}},
        {"DFU",
         kListens,
         "",
         {LedColour::Yellow, LedPattern::Blink, 200},
         [](Rig& rig) { rig.openDfu(); }},
        {"firmware update",
         kListens,
         "",
         {LedColour::Magenta, LedPattern::Blink, 100},
         [](Rig& rig) { RawConsole(rig).command('f', "\r\n"); }},
        {"key generation",
         "stock = \"1.5.2\"\ncredentials = \"bench\"",
         "",
         {LedColour::White, LedPattern::Blink, 200}},
        {"no internet", kJoins, "", {LedColour::Orange, LedPattern::Blink, 500, 2}},
        {"server unreachable",
         kJoins,
         "internet = true\n",
         {LedColour::Orange, LedPattern::Blink, 500, 3}},
        {"crash",
         kListens,
         "",
         {LedColour::Red, LedPattern::Sos, 0, 13},
         [](Rig& rig) {
             rig.waitFor(kCdc);
             rig.board().crash(13);
         }},
        {"clear credentials",
         kJoins,
         "",
         {LedColour::Blue, LedPattern::Blink, 100},
         holdTenSeconds},
        {"credentials not cleared",
         kJoins + "\n[[slot.unit.fault]]\nkind = \"locked-credentials\"",
         "",
         {LedColour::Red, LedPattern::Blink, 100},
         holdTenSeconds},
    };
    return kRows;
}

bool wasShown(Rig& rig, const sim::Led& wanted)
{
    const auto history = rig.board().ledHistory();
    return std::find(history.begin(), history.end(), wanted) != history.end();
}

class TstVirtualLight : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void everyRow_isReached_data()
    {
        QTest::addColumn<int>("row");
        for (std::size_t row = 0; row < lightRows().size(); ++row)
            QTest::newRow(lightRows()[row].name) << int(row);
    }
    void everyRow_isReached()
    {
        QFETCH(int, row);
        const LightRow& wanted = lightRows()[std::size_t(row)];
        Rig rig(benchText(wanted.unit, wanted.network));
        if (wanted.act != nullptr)
            wanted.act(rig);
        QVERIFY(rig.until([&] { return wasShown(rig, wanted.shown); }));
    }

    void blinksOfAnUnreachableServer_tellWhoIsAway()
    {
        Rig plant(benchText(kJoins));
        QVERIFY(plant.until([&] { return plant.board().lastCloudError() != 0; }));
        QVERIFY(!wasShown(plant, {LedColour::Orange, LedPattern::Blink, 500, 3}));
        Rig online(benchText(kJoins, "internet = true\n"));
        QVERIFY(online.until(
            [&] { return wasShown(online, {LedColour::Orange, LedPattern::Blink, 500, 3}); }));
        QVERIFY(!wasShown(online, {LedColour::Orange, LedPattern::Blink, 500, 2}));
    }

    void crash_startsTheBoardAnew()
    {
        Rig rig(benchText(kListens));
        const auto before = rig.waitFor(kCdc).incarnation;
        rig.board().crash(1);
        QVERIFY(rig.until([&] {
            const auto now = rig.bench().usb().enumerate();
            return now && !now->empty() && now->front().incarnation != before;
        }));
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Listening; }));
    }

    void lockedCredentials_areNotSavedEither()
    {
        Rig rig(benchText(kListens + "\n[[slot.unit.fault]]\nkind = \"locked-credentials\""));
        RawConsole console(rig);
        console.command('w', "SSID: ");
        console.send("plant\r\n");
        console.readUntil("Password: ");
        console.send("line-four\r");
        console.readUntil("Derp. Sorry, we couldn't save the credentials.\r\n\r\n");
        QVERIFY(!rig.board().hasCredentials());
    }

    void benchFile_refusesWhatAnApplicationCannotDo_data()
    {
        QTest::addColumn<QString>("line");
        QTest::newRow("network") << "network = \"wired\"";
        QTest::newRow("crash code") << "crash_code = 256";
        QTest::newRow("baud commands") << "baud_commands = 14400";
    }
    void benchFile_refusesWhatAnApplicationCannotDo()
    {
        QFETCH(QString, line);
        const auto parsed =
            sim::Bench::parse(benchText(kListens + "\n" + line.toStdString()), "rig.toml");
        QVERIFY(!parsed);
        QCOMPARE(parsed.error().code, Errc::InvalidData);
    }
};

} // namespace

PROVOST_TEST("virtual_light", TstVirtualLight)
#include "tst_virtual_light.moc"
