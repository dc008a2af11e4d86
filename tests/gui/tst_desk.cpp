// The program as it is put together: window, host and virtual bench, a cloud on loopback; nothing
// of it stands in for something else.
#include "support/must.h"
#include "support/recording_sink.h"
#include "support/test_program.h"

#include "core/text.h"
#include "gui/action_button.h"
#include "gui/desk.h"
#include "gui/icons.h"
#include "gui/line_screen.h"
#include "gui/scan_field.h"
#include "gui/tile_grid.h"
#include "gui/unit_screen.h"
#include "sim/virtual_cloud.h"

#include <QApplication>
#include <QContextMenuEvent>
#include <QElapsedTimer>
#include <QFile>
#include <QTemporaryDir>
#include <QTest>

#include <set>

using namespace provost;
using namespace provost::gui;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr auto kStoppingShown = 250ms; ///< from the key to the tile
/// Longer than any test: the hands at the bench leave verdicts and questions alone.
constexpr auto kNever = 1h;

// Units of a bench file, one for each way that a run can go.
const std::string kGoodUnit = "stock = \"1.5.2\"\n";
const std::string kMislabelledUnit = "stock = \"1.5.2\"\nlabel = \"mislabelled\"\n";
/// It waits for its operator: only he or a stop ends its run.
const std::string kAskingUnit = "stock = \"0.6.3\"\ncredentials = \"foreign\"\n";

std::string withFault(const std::string& fault)
{
    return kGoodUnit + "[[slot.unit.fault]]\n" + fault;
}
const std::string kUnpluggedUnit =
    withFault("kind = \"unplug\"\npercent = 40\nof = \"system-1\"\n");
/// A folder with a bench and a station file, and the desktop on them.
class DeskRig {
public:
    /// @param units  what each slot is supplied with, without end; empty: nothing
    explicit DeskRig(std::vector<std::string> units)
        : m_slots(static_cast<int>(units.size())), m_cloud(must(VirtualCloud::start({}, m_clock)))
    {
        std::string text =
            "[bench]\nname = \"test\"\nspeed = \"instant\"\nmode_button = false\n"
            "[network]\nssid = \"Plant\"\npassword = \"virtual-plant\"\nsecurity = 3\n";
        for (int i = 0; i < m_slots; ++i) {
            const auto& unit = units[static_cast<std::size_t>(i)];
            const auto fault = unit.find("[[slot.unit.fault]]");
            text += concat("[[slot]]\nnumber = ", i + 1, "\n");
            if (!unit.empty())
                text += concat("[[slot.unit]]\n", unit.substr(0, fault), "count = \"endless\"\n",
                               fault == std::string::npos ? "" : unit.substr(fault));
        }
        write("bench.toml", text);
        writeStation({});
    }
    /// @param off  the slot that the station's file switches off; 0: none
    void writeStation(int off)
    {
        std::string text = "[station]\nname = \"Station T\"\n";
        for (int slot = 1; slot <= m_slots; ++slot)
            text += concat("[[slot]]\nnumber = ", slot, "\nusb = \"1-", slot, "\"\n",
                           slot == off ? "enabled = false\nwhy = \"fixture cable\"\n" : "");
        write("station.toml",
              text + concat("[network]\nssid = \"Plant\"\n[handshake]\nhost = \"127.0.0.1\"\n"
                            "port = 0\n[cloud]\nurl = \"",
                            m_cloud->service().baseUrl(), "\"\n"));
    }
    ~DeskRig() { close(); }
    DeskRig(const DeskRig&) = delete;
    DeskRig& operator=(const DeskRig&) = delete;

    void open()
    {
        m_desk = must(Desk::open({.station = path("station.toml"),
                                  .bench = path("bench.toml"),
                                  .database = path("test.db"),
                                  .operatorAnswers = true},
                                 {.pace = {kNever, 0ms, kNever},
                                  // A busy machine types slowly.
                                  .window = {.scanner = {.gap = std::chrono::seconds(30)}},
                                  .staleAfter = kNever}));
        m_desk->host().events().add(m_sink);
        m_desk->watch();
        window().show();
        window().activateWindow();
        QVERIFY(QTest::qWaitForWindowActive(&window()));
    }
    void close()
    {
        if (m_desk)
            m_desk->host().events().remove(m_sink);
        m_desk.reset();
    }

    Desk& desk() { return *m_desk; }
    MainWindow& window() { return m_desk->window(); }
    Host& host() { return m_desk->host(); }
    VirtualCloud& cloud() { return *m_cloud; }
    RecordingSink& events() { return m_sink; }
    std::string path(const char* name) const { return m_folder.filePath(name).toStdString(); }

    SlotTile* tile(int slot) { return window().findChild<LineScreen*>()->tiles().tile(slot - 1); }
    SlotState state(int slot) { return tile(slot)->face().state; }
    bool anyIn(SlotState wanted)
    {
        for (int slot = 1; slot <= m_slots; ++slot) {
            if (state(slot) == wanted)
                return true;
        }
        return false;
    }
    bool anyInWork() { return anyIn(SlotState::Running) || anyIn(SlotState::Stopping); }
    void press(Qt::Key key) { QTest::keyClick(&window(), key); }
    /// As a scanner types it: into whatever has the focus.
    void scan(const std::string& code)
    {
        QWidget* receiver = QApplication::focusWidget();
        QTest::keyClicks(receiver != nullptr ? receiver : &window(), QString::fromStdString(code));
        QTest::keyClick(receiver != nullptr ? receiver : &window(), Qt::Key_Return);
    }
    QAbstractButton* button(const char* name)
    {
        return window().findChild<QAbstractButton*>(QLatin1String(name));
    }

private:
    void write(const char* name, const std::string& text) const
    {
        QFile file(m_folder.filePath(name));
        if (!file.open(QIODevice::WriteOnly) || file.write(QByteArray::fromStdString(text)) < 0)
            qFatal("write %s", name);
    }

    int m_slots;
    SystemClock m_clock{};
    QTemporaryDir m_folder{};
    std::unique_ptr<VirtualCloud> m_cloud;
    RecordingSink m_sink{};
    std::unique_ptr<Desk> m_desk{};
};

/// How many pixels of the tile are of that colour.
int pixelsOf(QWidget& tile, const QColor& colour)
{
    const QImage image = tile.grab().toImage();
    int count = 0;
    for (int y = 0; y < image.height(); ++y) {
        for (int x = 0; x < image.width(); ++x)
            count += image.pixelColor(x, y) == colour ? 1 : 0;
    }
    return count;
}

/// Steps that began in a slot although its stop had been asked for.
std::vector<std::string> begunBehindAStop(const std::vector<StationEvent>& events)
{
    std::set<std::int64_t> stopped;
    std::vector<std::string> late;
    for (const auto& event : events) {
        if (const auto* stop = std::get_if<StopRequested>(&event))
            stopped.insert(stop->run.value);
        const auto* step = std::get_if<StepStarted>(&event);
        if (step != nullptr && stopped.contains(step->run.value))
            late.push_back(concat("slot ", step->slot.value, ": ", step->name));
    }
    return late;
}

class TstDesk : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void tiles_areReadyBeforeAnythingRuns();
    void f1_runsEverySlotToItsVerdict();
    void tile_opensTheUnitWithItsHandshake();
    void cloudAway_holdsTheUnit();
    void scan_startsTheSlotWhereverTheFocusIs();
    void question_isAnsweredOnTheScreen();
    void f2_stopsWithinAQuarterSecond();
    void slot_isSwitchedOffAndOnAtItsTile();
    void slotInWork_isNotSwitchedOff();
};

void TstDesk::tiles_areReadyBeforeAnythingRuns()
{
    DeskRig rig({kGoodUnit, kGoodUnit, kGoodUnit, kGoodUnit});
    rig.writeStation(4);
    rig.open();
    QTRY_COMPARE(rig.state(4), SlotState::Off);
    QCOMPARE(rig.tile(4)->face().headline, QStringLiteral("Switched off in the station file"));
    QCOMPARE(rig.tile(4)->face().detail, QStringLiteral("fixture cable"));
    for (const int slot : {1, 2, 3})
        QCOMPARE(rig.state(slot), SlotState::Ready);
    QVERIFY(rig.tile(1)->face().simulated);
    QVERIFY(rig.events().all<RunStarted>().empty());
    QTRY_VERIFY(!rig.events().all<Heartbeat>().empty());
    rig.press(Qt::Key_F4);
    QVERIFY(rig.window().helpShown());
}

void TstDesk::f1_runsEverySlotToItsVerdict()
{
    DeskRig rig({kGoodUnit, kMislabelledUnit, kUnpluggedUnit, kGoodUnit, {}});
    rig.writeStation(4);
    rig.open();
    QTRY_COMPARE(rig.state(4), SlotState::Off);
    rig.press(Qt::Key_F1);
    QTRY_COMPARE(rig.state(1), SlotState::Pass);
    QTRY_COMPARE(rig.state(2), SlotState::Fail);
    QTRY_COMPARE(rig.state(3), SlotState::Check);
    QCOMPARE(rig.state(4), SlotState::Off);
    QCOMPARE(rig.state(5), SlotState::Ready); // nothing was in its nest

    const Theme theme;
    std::set<QString> words;
    std::set<int> shapes;
    for (const int slot : {1, 2, 3, 4, 5}) {
        SlotTile& tile = *rig.tile(slot);
        words.insert(tile.face().word);
        const auto shape = iconOf(tile.face().state);
        QVERIFY(shape);
        shapes.insert(static_cast<int>(*shape));
    }
    QCOMPARE(words, (std::set<QString>{"PASS", "FAIL", "CHECK", "OFF", "READY"}));
    QCOMPARE(shapes.size(), 5U);
    // A verdict fills its tile; CHECK is ink on its own ground.
    for (const int slot : {1, 2}) {
        SlotTile& tile = *rig.tile(slot);
        QVERIFY(pixelsOf(tile, theme.colourOf(tile.face().state)) >
                tile.width() * tile.height() / 2);
    }
    QVERIFY(pixelsOf(*rig.tile(3), theme.attnBg) >
            rig.tile(3)->width() * rig.tile(3)->height() / 2);
    QVERIFY(pixelsOf(*rig.tile(3), theme.attn) > 500);
    QCOMPARE(rig.tile(2)->face().detail.left(4), QStringLiteral("F101"));
    QVERIFY(rig.tile(3)->face().detail.startsWith(u'C'));

    // On record as shown, and soundly so.
    for (const auto& finished : rig.events().all<RunFinished>()) {
        const auto record = must(rig.host().journal().run(finished.run));
        QCOMPARE(stateOf(record.verdict), rig.state(record.start.slot));
        QVERIFY(record.start.simulated);
        QVERIFY(!record.attempts.empty());
    }
    QCOMPARE(rig.window().models().counters().passed(), QStringLiteral("1"));
    QCOMPARE(rig.window().models().counters().failed(), QStringLiteral("1"));
    QVERIFY(!must(verifyDatabase(rig.path("test.db"))));
}

void TstDesk::tile_opensTheUnitWithItsHandshake()
{
    DeskRig rig({kGoodUnit});
    rig.open();
    rig.press(Qt::Key_F1);
    QTRY_COMPARE(rig.state(1), SlotState::Pass);
    QTest::mouseClick(rig.tile(1), Qt::LeftButton);
    QVERIFY(qobject_cast<UnitScreen*>(rig.window().currentScreen()));
    auto& run = rig.window().models().run();
    QVERIFY(run.run());
    const std::string id = run.run()->unit.deviceId;
    QCOMPARE(QString::fromStdString(id), rig.tile(1)->face().unit);
    QVERIFY(run.handshake().rowCount() >= 5);
    for (int row = 0; row < run.handshake().rowCount(); ++row)
        QVERIFY(!run.handshake().index(row).data(HandshakeModel::FailedRole).toBool());
    const auto plan = rig.host().plan();
    QCOMPARE(run.steps().rowCount(), static_cast<int>(plan->steps.size() + plan->teardown.size()));
    for (int row = 0; row < run.steps().rowCount(); ++row)
        QCOMPARE(run.steps().index(row).data(StepModel::MarkRole).toInt(),
                 static_cast<int>(StepModel::Mark::Passed));
    // What is shown is what the database holds.
    const auto record = must(rig.host().journal().run(run.run()->id));
    QCOMPARE(record.start.unit.deviceId, id);
    QCOMPARE(static_cast<int>(record.handshake.size()), run.handshake().rowCount());
    QCOMPARE(static_cast<int>(record.attempts.size()), run.steps().rowCount());
    const auto unit = must(rig.host().journal().unit(id));
    QCOMPARE(unit.state, std::string("pass"));
    const auto key = must(rig.host().journal().keyOf(id));
    QVERIFY(key && key->state == "registered");
    QTest::keyClick(&rig.window(), Qt::Key_Escape);
    QVERIFY(qobject_cast<LineScreen*>(rig.window().currentScreen()));
}

void TstDesk::cloudAway_holdsTheUnit()
{
    DeskRig rig({kGoodUnit});
    rig.cloud().failRequests(RequestFault::Answer503);
    rig.open();
    rig.press(Qt::Key_F1);
    QTRY_COMPARE(rig.state(1), SlotState::Hold);
    QCOMPARE(rig.tile(1)->face().word, QStringLiteral("HOLD"));
    const Theme theme;
    QVERIFY(pixelsOf(*rig.tile(1), theme.hold) > rig.tile(1)->width() * rig.tile(1)->height() / 2);
    QCOMPARE(must(rig.host().journal().outbox("waiting")).size(), 1U);
    QTest::mouseClick(rig.tile(1), Qt::LeftButton);
    auto& run = rig.window().models().run();
    QCOMPARE(run.diagnosis().verdict, Verdict::Hold);
    QVERIFY(run.handshake().rowCount() >= 5); // every local proof is done
}

void TstDesk::scan_startsTheSlotWhereverTheFocusIs()
{
    DeskRig rig({kGoodUnit, kGoodUnit, kGoodUnit});
    rig.open();
    auto& line = *rig.window().findChild<LineScreen*>();
    const std::vector<QWidget*> places{&line.scanField(),
                                       line.findChildren<ActionButton*>().first(), rig.tile(3)};
    for (int slot = 1; slot <= 3; ++slot) {
        const auto unit = must(rig.host().bench()->insertNext(slot));
        places[static_cast<std::size_t>(slot - 1)]->setFocus();
        rig.scan(unit->label);
        QTRY_COMPARE(rig.state(slot), SlotState::Pass);
        QCOMPARE(rig.tile(slot)->face().unit, QString::fromStdString(unit->deviceId));
        for (int other = slot + 1; other <= 3; ++other)
            QCOMPARE(rig.state(other), SlotState::Ready);
    }
    QCOMPARE(rig.events().all<RunStarted>().size(), 3U); // Enter pressed no button
    // Nothing is free: refused, and said so.
    rig.scan("PH-000001");
    QCOMPARE(rig.window().models().scans().notice(), QStringLiteral("No free slot for PH-000001"));
}

void TstDesk::question_isAnsweredOnTheScreen()
{
    DeskRig rig({kAskingUnit});
    rig.open();
    rig.press(Qt::Key_F1);
    QTRY_VERIFY(!rig.tile(1)->face().prompt.isEmpty());
    QTest::mouseClick(rig.tile(1), Qt::LeftButton);
    QTRY_VERIFY(rig.button("choice-done") != nullptr);
    auto* board = rig.host().bench()->board(1);
    QVERIFY(board != nullptr);
    board->holdMode(10500ms); // as asked
    QTest::mouseClick(rig.button("choice-done"), Qt::LeftButton);
    QTRY_COMPARE(rig.state(1), SlotState::Pass);
    QCOMPARE(rig.events().all<PromptAnswered>().size(), 1U);
}

void TstDesk::f2_stopsWithinAQuarterSecond()
{
    DeskRig rig({kAskingUnit, kGoodUnit, kGoodUnit, kAskingUnit});
    rig.open();
    std::vector<qint64> measured;
    QElapsedTimer sinceKey;
    qint64 shown = -1;
    // The tiles were repainted by the same signal before this hears it.
    connect(&rig.window().models().slotModel(), &SlotModel::dataChanged, this, [&] {
        if (sinceKey.isValid() && shown < 0 && !rig.anyIn(SlotState::Running))
            shown = sinceKey.elapsed();
    });
    const auto stopOnce = [&] {
        shown = -1;
        sinceKey.invalidate();
        rig.events().clear();
        rig.press(Qt::Key_F1);
        [&] { QTRY_VERIFY(!rig.tile(1)->face().prompt.isEmpty()); }();
        // One waits for its operator; the others begin anew and are wherever they are.
        rig.press(Qt::Key_F1);
        [&] {
            QTRY_VERIFY(rig.state(2) == SlotState::Running || rig.state(3) == SlotState::Running);
        }();
        sinceKey.start();
        rig.press(Qt::Key_F2);
        [&] { QTRY_VERIFY(shown >= 0); }();
        measured.push_back(shown);
        [&] { QTRY_VERIFY(!rig.anyInWork()); }();
        return std::chrono::milliseconds(shown);
    };
    const bool prompt = onceWithin(kStoppingShown, stopOnce);
    qInfo("from F2 to STOPPING on the tiles: %lld ms (attempt %zu)",
          static_cast<long long>(measured.back()), measured.size());
    QVERIFY(prompt);
    for (const int slot : {1, 4}) {
        QCOMPARE(rig.state(slot), SlotState::Stopped);
        QCOMPARE(rig.tile(slot)->face().word, QStringLiteral("STOPPED"));
    }
    const auto events = rig.events().events();
    QVERIFY(rig.events().all<StopRequested>().size() >= 2U);
    const auto late = begunBehindAStop(events);
    QVERIFY2(late.empty(), late.empty() ? "" : late.front().c_str());
    for (const auto& stop : rig.events().all<StopRequested>())
        QCOMPARE(must(rig.host().journal().run(stop.run)).verdict, Verdict::Aborted);
}

void TstDesk::slot_isSwitchedOffAndOnAtItsTile()
{
    DeskRig rig({kGoodUnit, kGoodUnit});
    rig.open();
    rig.tile(2)->setFocus();
    QTest::keyClick(rig.tile(2), Qt::Key_F3);
    QTest::mouseClick(rig.button("switch-no"), Qt::LeftButton);
    QCOMPARE(rig.state(2), SlotState::Ready);
    QTest::keyClick(rig.tile(2), Qt::Key_F3);
    QTest::mouseClick(rig.button("switch-yes"), Qt::LeftButton);
    QTRY_COMPARE(rig.state(2), SlotState::Off);
    rig.press(Qt::Key_F1);
    QTRY_COMPARE(rig.state(1), SlotState::Pass);
    QCOMPARE(rig.state(2), SlotState::Off);
    // The next start of the program knows.
    rig.close();
    rig.events().clear();
    rig.open();
    QTRY_COMPARE(rig.state(2), SlotState::Off);
    QContextMenuEvent menu(QContextMenuEvent::Mouse, {5, 5},
                           rig.tile(2)->mapToGlobal(QPoint(5, 5)));
    QCoreApplication::sendEvent(rig.tile(2), &menu);
    QTest::mouseClick(rig.button("switch-yes"), Qt::LeftButton);
    QTRY_COMPARE(rig.state(2), SlotState::Ready);
    rig.press(Qt::Key_F1);
    QTRY_COMPARE(rig.state(2), SlotState::Pass);
    const auto acts = must(rig.host().journal().slotActs(true));
    QCOMPARE(acts.size(), 2U);
    QVERIFY(!acts[0].on && acts[1].on);
}

void TstDesk::slotInWork_isNotSwitchedOff()
{
    DeskRig rig({kAskingUnit});
    rig.open();
    rig.press(Qt::Key_F1);
    QTRY_VERIFY(!rig.tile(1)->face().prompt.isEmpty());
    rig.tile(1)->setFocus();
    QTest::keyClick(rig.tile(1), Qt::Key_F3);
    QVERIFY(rig.button("switch-yes") == nullptr);
    QVERIFY(rig.window().models().scans().notice().startsWith("Slot 1 works"));
    // Not by another way either.
    rig.desk().commands().switchSlot(SlotId{1}, false);
    QTRY_VERIFY(rig.window().models().scans().notice().contains("in work"));
    QVERIFY(must(rig.host().journal().slotActs(true)).empty());
    rig.press(Qt::Key_F2);
    QTRY_COMPARE(rig.state(1), SlotState::Stopped);
}

} // namespace

PROVOST_TEST("desk", TstDesk)
#include "tst_desk.moc"
