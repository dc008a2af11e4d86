// A write that failed is begun anew before it says anything of the unit: one bad transfer does not
// fill the red bin, a unit that refuses every time does, and a bad cable is no unit's fault.
#include "core/text.h"
#include "support/station_fixture.h"
#include "support/test_program.h"

#include <QTest>

#include <atomic>
#include <limits>

namespace provost::test {

namespace {

constexpr int kAlways = std::numeric_limits<int>::max();

/// Breaks the first `count` GETSTATUS that follow a written block while `step` is at work.
class BrokenWrites {
public:
    BrokenWrites(Station& station, std::string step, Errc code, int count)
        : m_station(station), m_step(std::move(step)), m_code(code), m_left(count)
    {
        station.sink().setHook([this](const StationEvent& event) {
            if (const auto* started = std::get_if<StepStarted>(&event))
                m_present =
                    m_station.plan().steps.at(static_cast<std::size_t>(started->index)).name;
        });
        station.meddling().onOut([this](const ControlSetup& setup, Bytes& data) {
            m_afterWrite =
                setup.requestType == 0x21 && setup.request == 1 && setup.value > 1 && !data.empty();
        });
        station.meddling().onBreak(
            [this](const ControlSetup& setup) { return breakStatus(setup); });
    }
    int broken() const { return m_broken; }

private:
    std::optional<Error> breakStatus(const ControlSetup& setup)
    {
        const bool isStatus = setup.requestType == 0xA1 && setup.request == 3;
        if (!isStatus || !std::exchange(m_afterWrite, false) || m_present != m_step ||
            m_broken == m_left)
            return std::nullopt;
        ++m_broken;
        return Error{.code = m_code,
                     .blame = Blame::Fixture,
                     .message = "broken by the test",
                     .frames = {},
                     .native = {}};
    }

    Station& m_station;
    const std::string m_step;
    const Errc m_code;
    const int m_left;
    int m_broken = 0;
    std::string m_present{};
    bool m_afterWrite = false;
};

} // namespace

class TstWriteRepeats : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void write_isBegunAnew_data();
    void write_isBegunAnew();
    void write_judgesWhereNothingHelps_data();
    void write_judgesWhereNothingHelps();
    void unitThatFallsSilentInTheBurn_isACheck();
};

void TstWriteRepeats::write_isBegunAnew_data()
{
    QTest::addColumn<QString>("step");
    QTest::addColumn<int>("code");
    QTest::addColumn<int>("broken");
    // A stalled GETSTATUS is how these bootloaders report a block that failed (sheet 1.8).
    for (const char* step :
         {"Write system part 1", "Device key", "Server key and address", "Shipping state"}) {
        QTest::addRow("stall, %s", step) << QString(step) << static_cast<int>(Errc::Protocol) << 1;
        QTest::addRow("cable, %s", step) << QString(step) << static_cast<int>(Errc::Io) << 2;
    }
}

void TstWriteRepeats::write_isBegunAnew()
{
    QFETCH(const QString, step);
    QFETCH(const int, code);
    QFETCH(const int, broken);
    auto station = quick({}, 6s);
    station->insert();
    const BrokenWrites writes(*station, step.toStdString(), static_cast<Errc>(code), broken);
    VERIFY_RUN(station->run(), Verdict::Pass, "");
    QCOMPARE(writes.broken(), broken);
    // In one attempt, and on record with their number; 0 everywhere else.
    QCOMPARE(station->query(concat("SELECT count(*) || ' ' || max(verdict) FROM attempt WHERE "
                                   "name = '",
                                   step.toStdString(), "'")),
             std::vector<std::string>{"1 pass"});
    QCOMPARE(station->query("SELECT a.name || ' ' || CAST(m.number AS INTEGER) FROM measurement AS "
                            "m JOIN attempt AS a ON a.attempt_id = m.attempt_id WHERE m.name = "
                            "'write_repeats' AND m.number > 0"),
             std::vector<std::string>{concat(step.toStdString(), " ", broken)});
    QVERIFY(station->query("SELECT effect FROM unsettled_intent").empty());
}

void TstWriteRepeats::write_judgesWhereNothingHelps_data()
{
    QTest::addColumn<QString>("step");
    QTest::addColumn<int>("code");
    QTest::addColumn<int>("verdict");
    QTest::addColumn<QString>("cause");
    const auto row = [](const char* name, const char* step, Errc code, Verdict verdict,
                        const char* cause) {
        QTest::newRow(name) << QString(step) << static_cast<int>(code) << static_cast<int>(verdict)
                            << QString(cause);
    };
    row("image refused", "Write system part 1", Errc::Protocol, Verdict::Fail, "F111");
    row("key refused", "Device key", Errc::Protocol, Verdict::Fail, "F111");
    row("slot refused", "Server key and address", Errc::Protocol, Verdict::Fail, "F111");
    row("image over a bad cable", "Write system part 1", Errc::Io, Verdict::Error, "C030");
    row("key over a bad cable", "Device key", Errc::Io, Verdict::Error, "C030");
    row("slot over a bad cable", "Server key and address", Errc::Io, Verdict::Error, "C030");
}

void TstWriteRepeats::write_judgesWhereNothingHelps()
{
    QFETCH(const QString, step);
    QFETCH(const int, code);
    QFETCH(const int, verdict);
    QFETCH(const QString, cause);
    auto station = quick({}, 6s);
    station->insert();
    const BrokenWrites writes(*station, step.toStdString(), static_cast<Errc>(code), kAlways);
    VERIFY_RUN(station->run(), static_cast<Verdict>(verdict), cause.toStdString());
    // Each attempt of the plan tried it three times.
    const auto attempts = station->query(
        concat("SELECT count(*) FROM attempt WHERE name = '", step.toStdString(), "'"));
    QCOMPARE(writes.broken(), 3 * std::stoi(attempts.front()));
    const auto repeats =
        station->query("SELECT DISTINCT CAST(number AS INTEGER) FROM measurement WHERE "
                       "name = 'write_repeats' AND number > 0");
    QCOMPARE(repeats, std::vector<std::string>{"2"});
}

void TstWriteRepeats::unitThatFallsSilentInTheBurn_isACheck()
{
    // No status any more, whoever asks: no session, no further try, and nobody is judged.
    auto station = quick();
    std::atomic<bool> silent = false;
    station->sink().setHook([&](const StationEvent& event) {
        const auto* critical = std::get_if<CriticalWrite>(&event);
        silent =
            silent || (critical != nullptr && critical->on && critical->what == "burn-device-key");
    });
    station->meddling().onBreak([&](const ControlSetup& setup) {
        const bool isStatus = setup.requestType == 0xA1 && setup.request == 3;
        return silent && isStatus ? std::optional(Error{.code = Errc::Timeout,
                                                        .blame = Blame::Unit,
                                                        .message = "silent",
                                                        .frames = {},
                                                        .native = {}})
                                  : std::nullopt;
    });
    VERIFY_RUN(station->runNext(), Verdict::Error, "C015");
    QVERIFY(!station->query("SELECT effect FROM unsettled_intent").empty());
}

} // namespace provost::test

PROVOST_TEST("write_repeats", provost::test::TstWriteRepeats)
#include "tst_write_repeats.moc"
