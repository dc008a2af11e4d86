// The engine with steps made for the purpose: attempts, retries, limits, teardown, prompts, causes.
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "engine/causes.h"
#include "support/station_fixture.h"
#include "support/test_program.h"

#include <QTest>

#include <algorithm>
#include <set>
#include <stdexcept>

namespace provost::test {

namespace {

using Act = std::function<Result<>(StepContext&)>;

class ActStep final : public Step {
public:
    explicit ActStep(Act act) : m_act(std::move(act)) {}
    Result<> run(StepContext& context) override { return m_act(context); }

private:
    Act m_act;
};

StepSpec named(const std::string& use)
{
    return {.use = use, .name = use, .timeout = 5s};
}

/// A station whose plan has these steps only.
std::unique_ptr<Station> with(std::vector<std::pair<std::string, Act>> acts)
{
    auto station = Station::open();
    station->plan().steps.clear();
    station->plan().teardown.clear();
    station->plan().demandsProofs = false;
    for (auto& [use, act] : acts) {
        station->steps().add(use, [act](const StepSpec&) -> Result<std::unique_ptr<Step>> {
            return std::make_unique<ActStep>(act);
        });
        station->plan().steps.push_back(named(use));
    }
    return station;
}

Result<> passes(StepContext& context)
{
    // A verdict PASS needs a unit.
    return context.identified({.serial = "", .deviceId = "2b0014000447373030323331"}, "test");
}

Result<> unitFails(StepContext&)
{
    return Unexpected(Error{.code = Errc::Mismatch, .blame = Blame::Unit, .message = "differs"});
}

std::string journalKinds(Station& station)
{
    std::string all;
    for (const auto& kind : station.query("SELECT kind FROM journal ORDER BY seq"))
        all += kind + " ";
    return all;
}

} // namespace

class TstEngine : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void pass_needsEveryProof();
    void pass_isOnDiskBeforeItIsShown();
    void failure_endsTheRunAndTearsDown();
    void hold_letsTheOtherProofsGoOn();
    void worstVerdictWins_whenAHeldUnitFails();
    void exceptionInAStep_isACheckAndTearsDown();
    void exceptionInTeardown_spoilsAPass();
    void failureInTeardown_leavesAFailAlone();
    void retry_isRecordedAttemptByAttempt();
    void retry_isNotSpentOnWhatItCannotHelp();
    void timeoutOfAStep_isObeyed();
    void limit_thatWasNeverMeasured_fails();
    void measurementUnits_comeFromTheStepWhereThereIsNoLimit();
    void prompt_waitsForTheAnswer();
    void prompt_withoutAnswer_isACheck();
    void busySlot_isRefused();
    void slot_isFreeWhenItsVerdictIsHeard();
    void destruction_stopsEveryRunWithAVerdict();
    void unfinishedIntent_neverPasses();
    void unknownStep_isACheckOfThePlan();
    void causes_areSortedCompleteAndUsed();
    void causes_fitErrorsWithoutOne_data();
    void causes_fitErrorsWithoutOne();
};

void TstEngine::pass_needsEveryProof()
{
    auto station = with({{"good", passes}});
    station->plan().demandsProofs = true;
    const auto run = station->run(1, "");
    QVERIFY2(run.verdict == Verdict::Error, told(run).c_str());
    QCOMPARE(run.cause, std::string("C998"));
    QCOMPARE(station->query("SELECT verdict FROM run"), std::vector<std::string>{"error"});
}

void TstEngine::pass_isOnDiskBeforeItIsShown()
{
    auto station = with({{"good", passes}});
    std::vector<std::string> onDisk;
    station->sink().setHook([&](const StationEvent& event) {
        if (std::holds_alternative<RunFinished>(event))
            onDisk = station->query("SELECT verdict FROM run");
    });
    const auto run = station->run(1, "");
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    QCOMPARE(onDisk, std::vector<std::string>{"pass"});
    QCOMPARE(journalKinds(*station), std::string("begin identify attempt finish "));
}

void TstEngine::failure_endsTheRunAndTearsDown()
{
    int later = 0;
    int tornDown = 0;
    auto station = with({{"bad", unitFails}, {"later", [&](StepContext&) -> Result<> {
                                                  ++later;
                                                  return {};
                                              }}});
    station->steps().add("tidy", [&](const StepSpec&) -> Result<std::unique_ptr<Step>> {
        return std::make_unique<ActStep>([&](StepContext& context) -> Result<> {
            ++tornDown;
            return context.op().stop.stop_requested() ? fail(Errc::Cancelled, Blame::Operator, "")
                                                      : Result<>{};
        });
    });
    station->plan().teardown = {named("tidy"), named("tidy")};
    const auto run = station->run(1, "");
    QCOMPARE(run.verdict, Verdict::Fail);
    QCOMPARE(run.cause, std::string("F999"));
    QCOMPARE(later, 0);
    QCOMPARE(tornDown, 2);
}

void TstEngine::hold_letsTheOtherProofsGoOn()
{
    int later = 0;
    auto station =
        with({{"id", passes},
              {"away",
               [](StepContext& context) -> Result<> {
                   context.facts().outbox.push_back({.kind = "registration",
                                                     .idempotencyKey = "k",
                                                     .deviceId = "2b0014000447373030323331",
                                                     .payload = "p",
                                                     .state = "waiting",
                                                     .run = context.run()});
                   return Unexpected(Error{.code = Errc::Unavailable,
                                           .blame = Blame::Cloud,
                                           .message = "no answer",
                                           .cause = "H310"});
               }},
              {"later", [&](StepContext&) -> Result<> {
                   ++later;
                   return {};
               }}});
    const auto run = station->run(1, "");
    QCOMPARE(run.verdict, Verdict::Hold);
    QCOMPARE(run.cause, std::string("H310"));
    QCOMPARE(later, 1);
    QCOMPARE(station->journal().outbox("waiting")->size(), std::size_t{1});
}

void TstEngine::worstVerdictWins_whenAHeldUnitFails()
{
    auto station = with(
        {{"id", passes},
         {"away",
          [](StepContext& context) -> Result<> {
              context.facts().outbox.push_back({.kind = "registration", .idempotencyKey = "k"});
              return Unexpected(
                  Error{.code = Errc::Unavailable, .blame = Blame::Cloud, .cause = "H310"});
          }},
         {"bad", unitFails}});
    const auto run = station->run(1, "");
    QCOMPARE(run.verdict, Verdict::Fail);
    QVERIFY(station->journal().outbox()->empty()); // nothing is announced for a bad unit
}

void TstEngine::exceptionInAStep_isACheckAndTearsDown()
{
    int tornDown = 0;
    auto station = with(
        {{"throws", [](StepContext&) -> Result<> { throw std::runtime_error("out of luck"); }}});
    station->steps().add("tidy", [&](const StepSpec&) -> Result<std::unique_ptr<Step>> {
        return std::make_unique<ActStep>([&](StepContext&) -> Result<> {
            ++tornDown;
            return {};
        });
    });
    station->plan().teardown = {named("tidy")};
    const auto run = station->run(1, "");
    QCOMPARE(run.verdict, Verdict::Error);
    QCOMPARE(run.cause, std::string("C998"));
    QVERIFY(run.error.find("out of luck") != std::string::npos);
    QCOMPARE(tornDown, 1);
}

void TstEngine::exceptionInTeardown_spoilsAPass()
{
    auto station = with({{"good", passes}, {"throws", [](StepContext&) -> Result<> { throw 7; }}});
    station->plan().teardown = {station->plan().steps.back()};
    station->plan().steps.pop_back();
    const auto run = station->run(1, "");
    QCOMPARE(run.verdict, Verdict::Error);
    QCOMPARE(run.cause, std::string("C998"));
}

void TstEngine::failureInTeardown_leavesAFailAlone()
{
    auto station =
        with({{"bad", unitFails}, {"throws", [](StepContext&) -> Result<> { throw 7; }}});
    station->plan().teardown = {station->plan().steps.back()};
    station->plan().steps.pop_back();
    const auto run = station->run(1, "");
    QCOMPARE(run.verdict, Verdict::Fail);
    QCOMPARE(run.cause, std::string("F999"));
}

void TstEngine::retry_isRecordedAttemptByAttempt()
{
    int tries = 0;
    auto station = with({{"shaky", [&](StepContext& context) -> Result<> {
                              return ++tries < 3 ? unitFails(context) : passes(context);
                          }}});
    station->insert(); // a unit that is there may be tried again
    station->settle();
    station->plan().steps[0].retries = 2;
    const auto run = station->run(1, "");
    QVERIFY2(run.verdict == Verdict::Pass, told(run).c_str());
    QCOMPARE(station->query("SELECT attempt || verdict FROM attempt ORDER BY position"),
             (std::vector<std::string>{"1fail", "2fail", "3pass"}));
    std::vector<int> shown;
    for (const auto& started : station->sink().all<StepStarted>())
        shown.push_back(started.attempt);
    QCOMPARE(shown, (std::vector<int>{1, 2, 3}));
}

void TstEngine::retry_isNotSpentOnWhatItCannotHelp()
{
    int tries = 0;
    const Error errors[] = {
        {.code = Errc::NotFound, .blame = Blame::Operator, .message = "no image", .cause = "C040"},
        {.code = Errc::Io, .blame = Blame::Station, .message = "disk full"},
        {.code = Errc::Disconnected, .blame = Blame::Fixture, .message = "gone"}};
    for (const Error& error : errors) {
        tries = 0;
        auto station = with({{"hopeless", [&](StepContext&) -> Result<> {
                                  ++tries;
                                  return Unexpected(error);
                              }}});
        station->insert();
        station->settle();
        station->plan().steps[0].retries = 3;
        QCOMPARE(station->run(1, "").verdict, Verdict::Error);
        QCOMPARE(tries, 1);
    }
}

void TstEngine::timeoutOfAStep_isObeyed()
{
    auto station = with(
        {{"sleeps", [](StepContext& context) -> Result<> { return context.op().sleepFor(1h); }}});
    station->plan().steps[0].timeout = 30ms;
    const auto run = station->run(1, "");
    QCOMPARE(run.verdict, Verdict::Error);
    QVERIFY(run.seconds < 600); // and not the hour
}

void TstEngine::limit_thatWasNeverMeasured_fails()
{
    auto station = with({{"good", passes}});
    station->steps().add("good",
                         [](const StepSpec&) -> Result<std::unique_ptr<Step>> {
                             return std::make_unique<ActStep>(passes);
                         },
                         {.measurements = {"vdd"}});
    station->plan().steps[0].limits["vdd"] = {.min = 3.2, .max = 3.4, .unit = "V"};
    const auto run = station->run(1, "");
    QCOMPARE(run.verdict, Verdict::Fail);
    QCOMPARE(run.cause, std::string("F501"));
    QCOMPARE(station->query("SELECT count(*) FROM measurement WHERE name = 'vdd' AND number IS "
                            "NULL AND verdict <> 'pass'"),
             std::vector<std::string>{"1"});
}

void TstEngine::measurementUnits_comeFromTheStepWhereThereIsNoLimit()
{
    auto station = with({{"good", [](StepContext& context) -> Result<> {
                              context.measure("current", 0.041, "A");
                              context.notMeasured("rssi_dbm");
                              return passes(context);
                          }}});
    QCOMPARE(station->run(1, "").verdict, Verdict::Pass);
    QCOMPARE(station->query("SELECT number || unit FROM measurement WHERE name = 'current'"),
             std::vector<std::string>{"0.041A"});
}

void TstEngine::prompt_waitsForTheAnswer()
{
    std::string answered;
    auto station = with({{"asks", [&](StepContext& context) -> Result<> {
                              answered =
                                  TRY(context.ask("which", "Which colour?", {{"blue", "Blue"}}));
                              return passes(context);
                          }}});
    QVERIFY(station->start(1, ""));
    const auto raised =
        station->sink().waitFor<PromptRaised>(kRunPatience, [](const auto&) { return true; });
    QVERIFY(raised);
    QCOMPARE(raised->promptId, std::string("which"));
    station->engine().answer(RunId{raised->run.value + 1}, "for another run");
    station->engine().answer(raised->run, "blue");
    QCOMPARE(station->verdict(1)->verdict, Verdict::Pass);
    QCOMPARE(answered, std::string("blue"));
}

void TstEngine::prompt_withoutAnswer_isACheck()
{
    auto station = with({{"asks", [](StepContext& context) -> Result<> {
                              TRY(context.ask("which", "Which colour?", {{"blue", "Blue"}}));
                              return {};
                          }}});
    station->settings().operatorPatience = 100ms;
    const auto run = station->run(1, "");
    QCOMPARE(run.verdict, Verdict::Error);
    QCOMPARE(run.cause, std::string("C090"));
}

void TstEngine::busySlot_isRefused()
{
    auto station = with({{"asks", [](StepContext& context) -> Result<> {
                              TRY(context.ask("go", "Go on?", {{"yes", "Yes"}}));
                              return passes(context);
                          }}});
    QVERIFY(station->start(1, ""));
    QVERIFY(station->engine().busy(SlotId{1}));
    const auto second = station->start(1, "");
    QVERIFY(!second);
    QCOMPARE(second.error().code, Errc::Busy);
    station->engine().abort(SlotId{1});
    QCOMPARE(station->verdict(1)->verdict, Verdict::Aborted);
}

void TstEngine::slot_isFreeWhenItsVerdictIsHeard()
{
    auto station = with({{"good", passes}});
    bool wasFree = false;
    station->sink().setHook([&](const StationEvent& event) {
        if (std::holds_alternative<RunFinished>(event))
            wasFree = !station->engine().busy(SlotId{1});
    });
    station->run(1, "");
    QVERIFY(wasFree);
}

void TstEngine::destruction_stopsEveryRunWithAVerdict()
{
    const auto database = newFolder() / "closing.db";
    {
        auto station =
            Station::open({.bench = {.supplies = {3, {UnitWish{}}}}, .database = database});
        for (int slot = 1; slot <= 3; ++slot) {
            const auto unit = station->insert(slot);
            QVERIFY(station->start(slot, unit.label));
        }
        QVERIFY(station->sink().waitFor<StepStarted>(
            kRunPatience, [](const StepStarted& event) { return event.index > 2; }));
    }
    const SystemClock clock;
    const auto journal = Journal::openReadOnly(database, clock);
    QVERIFY(journal);
    const auto runs = (*journal)->runsSince({});
    QCOMPARE(runs->size(), std::size_t{3});
    for (const auto& run : *runs)
        QCOMPARE(run.verdict, Verdict::Aborted);
}

void TstEngine::unfinishedIntent_neverPasses()
{
    auto station = with({{"intends", [](StepContext& context) -> Result<> {
                              TRY(passes(context));
                              return context.intend("burn", "and forgets to settle");
                          }}});
    const auto run = station->run(1, "");
    QCOMPARE(run.verdict, Verdict::Error);
    QCOMPARE(station->query("SELECT verdict FROM run"), std::vector<std::string>{"error"});
    QCOMPARE(station->journal().unit("2b0014000447373030323331")->state, std::string("inspect"));
}

void TstEngine::unknownStep_isACheckOfThePlan()
{
    auto station = with({{"good", passes}});
    station->plan().steps.push_back(named("no-such-step"));
    const auto run = station->run(1, "");
    QCOMPARE(run.verdict, Verdict::Error);
    QCOMPARE(run.cause, std::string("C042"));
}

void TstEngine::causes_areSortedCompleteAndUsed()
{
    const auto causes = allCauses();
    QVERIFY(std::ranges::is_sorted(causes, {}, &Cause::id));
    std::string sources;
    const std::filesystem::path root(PROVOST_SOURCE_DIR);
    for (const char* folder : {"stations", "drivers", "db", "app"}) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
            const auto& path = entry.path();
            if (entry.is_regular_file() && path.extension() == ".cpp")
                sources += toText(readFile(path).value());
        }
    }
    std::set<std::string_view> ids;
    for (const auto& cause : causes) {
        QVERIFY(ids.insert(cause.id).second);
        const std::map<char, Verdict> letters{{'C', Verdict::Error},
                                              {'F', Verdict::Fail},
                                              {'H', Verdict::Hold},
                                              {'S', Verdict::Aborted}};
        QCOMPARE(cause.verdict, letters.at(cause.id[0]));
        QVERIFY(!cause.title.empty() && !cause.action.empty());
        // One line of a tile each.
        QVERIFY2(cause.title.size() <= 44 && cause.action.size() <= 44, cause.id.data());
        const std::string quoted = concat("\"", cause.id, "\"");
        const auto first = sources.find(quoted);
        QVERIFY(first != std::string::npos); // the table itself
        QVERIFY2(sources.find(quoted, first + 1) != std::string::npos,
                 concat(cause.id, " is named nowhere but in the table").c_str());
    }
    QCOMPARE(causeById("X123").id, std::string_view("C999"));
}

void TstEngine::causes_fitErrorsWithoutOne_data()
{
    QTest::addColumn<int>("code");
    QTest::addColumn<int>("blame");
    QTest::addColumn<QString>("cause");
    const auto row = [](const char* name, Errc code, Blame blame, const char* cause) {
        QTest::newRow(name) << static_cast<int>(code) << static_cast<int>(blame) << QString(cause);
    };
    row("stopped", Errc::Cancelled, Blame::Software, "S001");
    row("gone, says the transport", Errc::Disconnected, Blame::Fixture, "C011");
    row("gone, says the unit's side", Errc::Disconnected, Blame::Unit, "C011");
    row("silent unit", Errc::Timeout, Blame::Unit, "C015");
    row("unit that talks nonsense", Errc::InvalidData, Blame::Unit, "C015");
    row("unit that stalls", Errc::Protocol, Blame::Unit, "C015");
    row("write refused", Errc::Protected, Blame::Unit, "F111");
    row("other bytes", Errc::Mismatch, Blame::Unit, "F999");
    row("bus error", Errc::Io, Blame::Fixture, "C030");
    row("port in use", Errc::Busy, Blame::Fixture, "C031");
    row("disk", Errc::Io, Blame::Station, "C050");
    row("database in use", Errc::Busy, Blame::Station, "C051");
    row("token", Errc::Denied, Blame::Cloud, "C080");
    row("cloud away", Errc::Unavailable, Blame::Cloud, "H310");
    row("plan", Errc::InvalidArgument, Blame::Operator, "C042");
    row("our own fault", Errc::Internal, Blame::Software, "C998");
}

void TstEngine::causes_fitErrorsWithoutOne()
{
    QFETCH(const int, code);
    QFETCH(const int, blame);
    QFETCH(const QString, cause);
    const Error error{.code = static_cast<Errc>(code), .blame = static_cast<Blame>(blame)};
    QCOMPARE(std::string(causeOf(error).id), cause.toStdString());
}

} // namespace provost::test

PROVOST_TEST("engine", provost::test::TstEngine)
#include "tst_engine.moc"
