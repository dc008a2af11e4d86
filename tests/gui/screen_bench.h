// A window over a fake station, and what its tests show on it.
#pragma once

#include "fake_station.h"
#include "support/patience.h"

#include "gui/line_screen.h"
#include "gui/main_window.h"
#include "gui/slot_tile.h"
#include "gui/tile_grid.h"

#include <QApplication>
#include <QDateTime>
#include <QDir>
#include <QTest>

namespace provost::test {

using namespace provost::gui;

inline std::string utcNow()
{
    return QDateTime::currentDateTimeUtc().toString(Qt::ISODateWithMs).toStdString();
}

/// A window over a fake station, shown and active.
struct ScreenBench {
    explicit ScreenBench(int slotCount = 8, bool simulated = false)
    {
        station.who.slots = slotsUpTo(slotCount);
        station.who.simulated = simulated;
    }
    /// @param gap  between two keys of one scan: a busy machine types slowly
    void open(QSize size = {1920, 1080}, std::chrono::milliseconds gap = std::chrono::seconds(30))
    {
        window = std::make_unique<MainWindow>(
            station, bridge,
            WindowOptions{.scanner = {.gap = gap}, .clock = clock, .staleAfter = staleAfter});
        window->resize(size);
        window->show();
        window->activateWindow();
        QVERIFY(QTest::qWaitForWindowActive(window.get()));
    }
    void post(StationEvent event)
    {
        bridge.post(std::move(event));
        settle();
    }
    void settle()
    {
        QTest::qWait(1);
        QCoreApplication::sendPostedEvents();
    }
    void progressTo(int run, int slot, double fraction)
    {
        bridge.post(progress(run, slot, fraction));
        awaitProgress(slot);
    }
    /// Progress is folded: it arrives with the next interval.
    void awaitProgress(int slot)
    {
        bool arrived = false;
        const auto heard = QObject::connect(
            &bridge, &EngineBridge::arrived, &bridge, [&](const StationEvent& event) {
                const auto* moved = std::get_if<ProgressMoved>(&event);
                arrived = arrived || (moved != nullptr && moved->slot.value == slot);
            });
        QTRY_VERIFY(arrived);
        QObject::disconnect(heard);
        settle();
    }
    SlotTile* tile(int slot)
    {
        auto& line = *window->findChild<LineScreen*>();
        return line.tiles().tile(slot - 1);
    }
    void keep(const QString& name)
    {
        QDir().mkpath(QStringLiteral("screens"));
        window->models().slotModel().tick();
        settle();
        QVERIFY(window->grab().save(QStringLiteral("screens/%1.png").arg(name)));
    }
    /// As a scanner types it: into whatever has the focus.
    void scan(const QString& code)
    {
        QWidget* receiver = QApplication::focusWidget();
        if (!receiver)
            receiver = window.get();
        QTest::keyClicks(receiver, code);
        QTest::keyClick(receiver, Qt::Key_Return);
        settle();
    }

    std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
    std::chrono::milliseconds staleAfter{}; ///< none: it never says NO DATA
    FakeStation station;
    EngineBridge bridge;
    std::unique_ptr<MainWindow> window;
};

inline Measurement measured(std::string name, double value, Limit limit)
{
    Measurement measurement{.name = std::move(name), .limit = std::move(limit)};
    measurement.value = value;
    const bool within = (!measurement.limit.min || value >= *measurement.limit.min) &&
                        (!measurement.limit.max || value <= *measurement.limit.max);
    measurement.verdict = within ? Verdict::Pass : Verdict::Fail;
    return measurement;
}

inline std::vector<AttemptRecord> goodAttempts()
{
    auto write = attempt("Write system part 1", 4.0, "2.3.1 \u00b7 240 KiB");
    write.measurements.push_back(measured("throughput", 61.2, {.min = 40.0, .unit = "KiB/s"}));
    return {
        attempt("Identify", 0.4, "Photon \u00b7 12-byte ID matches label"),
        attempt("Back up", 0.9, "DCT 16 KiB saved before any write"),
        write,
        attempt("Write system part 2", 4.2, "2.3.1 \u00b7 251 KiB"),
        attempt("Bring up bootloader", 6.1, "502 \u2192 1006 by YModem, proved by module report"),
        attempt("Write application", 1.6, "fw 1.8.0 \u00b7 88 KiB"),
        attempt("Keep the key of the unit", 0.2, "readable \u00b7 ours by record of 2 Nov"),
        attempt("Register", 0.1, "cloud answered 200")};
}

inline std::vector<HandshakeArrow> failedHandshake()
{
    return {{0, false, "nonce", "", 40, 0, false},
            {1, true, "nonce, device ID and public key, sealed to the server key",
             "ID matches the label \u00b7 offered key is not the registered one", 256, 243, false},
            {2, false, "session credentials and signature", "", 384, 246, false},
            {3, true, "no hello: the device closed the connection",
             "unit flashes orange: decryption error (6)", 0, 510, true}};
}

inline std::vector<HandshakeArrow> goodHandshake()
{
    return {{0, false, "nonce", "", 40, 0, false},
            {1, true, "nonce, device ID and public key, sealed to the server key",
             "ID matches the label", 256, 243, false},
            {2, false, "session credentials and signature", "", 384, 246, false},
            {3, true, "hello", "message id and salt agree", 34, 498, false},
            {4, false, "hello", "", 18, 499, false},
            {5, true, "ping", "next expected id", 18, 742, false}};
}

inline RunRecord passRecord()
{
    RunRecord record{
        .id = RunId{101},
        .start = {.slot = 1,
                  .unit = {.serial = "PH-000471", .deviceId = "3d0021000447343138333038"},
                  .planId = "photon-full",
                  .planRevision = 14},
        .verdict = Verdict::Pass,
        .startedUtc = utcNow(),
        .finishedUtc = utcNow(),
        .seconds = 41.8,
        .attempts = goodAttempts(),
        .handshake = goodHandshake()};
    record.attempts.push_back(attempt("Live handshake", 0.8, "complete after 742 ms"));
    record.attempts.push_back(attempt("Shipping state", 0.6, "9 of 9 fields as reviewed"));
    return record;
}

inline RunRecord failRecord()
{
    RunRecord record{
        .id = RunId{104},
        .start = {.slot = 4,
                  .unit = {.serial = "PH-000474", .deviceId = "40002d001247343138333038"},
                  .planId = "photon-full",
                  .planRevision = 14},
        .verdict = Verdict::Fail,
        .cause = "F405",
        .error = "handshake: device closed the connection after message 3",
        .startedUtc = utcNow(),
        .finishedUtc = utcNow(),
        .seconds = 18.0,
        .attempts = goodAttempts(),
        .handshake = failedHandshake()};
    auto failed = attempt("Live handshake", 0.5, "device closed the connection after message 3",
                          Verdict::Fail, "F405");
    failed.error = record.error;
    record.attempts.push_back(failed);
    return record;
}

/// Slots 1 to 9 in nine states, as in the design.
inline void fillLine(ScreenBench& bench)
{
    bench.station.figures = {
        .pass = 412, .fail = 7, .firstPass = 412, .judgedUnits = 419, .unitsPerHour = 188};
    bench.station.records[101] = passRecord();
    bench.station.records[104] = failRecord();
    bench.post(StationNotice{.subject = "cloud", .good = true, .text = "38 ms"});
    bench.post(StationNotice{.subject = "outbox", .good = false, .text = "12 waiting"});
    bench.post(started(101, 1, "3d0021000447343138333038"));
    bench.post(finished(101, 1, "3d0021000447343138333038", Verdict::Pass, "", 41.8));
    bench.post(started(103, 3, "1e003b001647343138333038"));
    bench.post(finished(103, 3, "1e003b001647343138333038", Verdict::Hold, "H310", 40));
    bench.post(started(104, 4, "40002d001247343138333038"));
    bench.post(finished(104, 4, "40002d001247343138333038", Verdict::Fail, "F405", 18));
    bench.post(started(106, 6, ""));
    bench.post(finished(106, 6, "", Verdict::Error, "C014", 31));
    bench.post(SlotChanged{.slot = SlotId{8},
                           .availability = SlotAvailability::Off,
                           .why = "fixture cable",
                           .actor = "the line lead",
                           .atUtc = utcNow()});

    bench.post(started(102, 2, "2b0034000a47343138333038"));
    bench.post(started(105, 5, "33001f000a47343138333038"));
    const auto steps = photonSteps();
    for (int i = 0; i < 3; ++i) {
        bench.post(stepStarted(102, 2, i, steps[static_cast<std::size_t>(i)].name));
        bench.post(stepFinished(102, 2, i, goodAttempts()[static_cast<std::size_t>(i)]));
    }
    for (int i = 0; i < 8; ++i) {
        bench.post(stepStarted(105, 5, i, steps[static_cast<std::size_t>(i)].name));
        bench.post(stepFinished(105, 5, i, goodAttempts()[static_cast<std::size_t>(i)]));
    }
    bench.post(stepStarted(102, 2, 3, "Write system part 2"));
    bench.post(stepStarted(105, 5, 8, "Live handshake"));
    bench.clock->advance(std::chrono::seconds(4));
    bench.bridge.post(progress(102, 2, 0.62, "Writing"));
    bench.bridge.post(progress(105, 5, 0.91));
    bench.awaitProgress(5);
}

} // namespace provost::test
