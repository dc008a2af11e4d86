// Units in a mode that only hands can change: the run asks, waits, and goes on or says CHECK.
#include "support/proven_unit.h"
#include "support/station_fixture.h"
#include "support/test_program.h"

#include <QTest>

#include <functional>
#include <thread>

namespace provost::test {

namespace {

/// A bench without an actuator for SETUP, and an operator at the screen.
std::unique_ptr<Station> withOperator(UnitWish unit)
{
    auto station = Station::open(one(std::move(unit), false));
    station->settings().operatorAnswers = true;
    return station;
}

/// The question behind the first `before` ones.
PromptRaised question(Station& station, std::size_t before)
{
    const auto asked = station.sink().all<PromptRaised>();
    const std::string last = before == 0 ? std::string{} : asked.at(before - 1).promptId;
    const auto raised = station.sink().waitFor<PromptRaised>(
        kRunPatience, [&](const PromptRaised& each) { return each.promptId != last; });
    if (!raised)
        qFatal("the run asks nothing");
    return *raised;
}

bool eventually(const std::function<bool()>& condition)
{
    const auto end = std::chrono::steady_clock::now() + kRunPatience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(2ms);
    }
    return true;
}

} // namespace

class TstHands : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void unitThatDoesNotSayItsId_isHeldAndPasses();
    void operatorSaysThatItCannotBeDone_isACheck();
    void buttonThatWasNotHeld_isACheck();
    void unitThatIgnoresItsBaudCommand_isTakenToDfuByHandAndPasses();
    void setupLetGoTooEarly_isACheck();
    void stop_endsTheQuestion();
    void nobodyAnswers_isACheck();
    void nobodyThere_isACheckAtOnce();
    void answerOfAnotherRunOrQuestion_isNoAnswer();
    void waitingIsNotTheStepsTime();
};

void TstHands::unitThatDoesNotSayItsId_isHeldAndPasses()
{
    auto station = withOperator({.stock = "0.4.9", .credentials = "foreign"});
    const auto unit = station->insert();
    QVERIFY(station->start(1, unit.label));
    const auto first = question(*station, 0);
    QCOMPARE(first.promptId, std::string("hold-setup-listening"));
    QCOMPARE(first.choices.size(), std::size_t{2});
    station->board().holdMode(3500ms);
    station->engine().answer(first.run, "done");
    const auto second = question(*station, 1);
    QCOMPARE(second.promptId, std::string("hold-setup-clear"));
    station->board().holdMode(10500ms);
    station->engine().answer(second.run, "done");
    const auto finished = station->verdict(1);
    QVERIFY(finished);
    QVERIFY2(finished->verdict == Verdict::Pass, told(*finished).c_str());
    QCOMPARE(station->sink().all<PromptAnswered>().size(), std::size_t{2});
    QVERIFY(station->after().escapes.empty());
}

void TstHands::operatorSaysThatItCannotBeDone_isACheck()
{
    auto station = withOperator({.stock = "0.4.9", .credentials = "foreign"});
    const auto unit = station->insert();
    QVERIFY(station->start(1, unit.label));
    station->engine().answer(question(*station, 0).run, "cannot");
    const auto finished = station->verdict(1);
    QCOMPARE(finished->verdict, Verdict::Error);
    QCOMPARE(finished->cause, std::string("C012"));
}

void TstHands::buttonThatWasNotHeld_isACheck()
{
    auto station = withOperator({.stock = "0.4.9", .credentials = "foreign"});
    const auto unit = station->insert();
    QVERIFY(station->start(1, unit.label));
    station->engine().answer(question(*station, 0).run, "done"); // said, not done
    const auto finished = station->verdict(1);
    QCOMPARE(finished->verdict, Verdict::Error);
    QCOMPARE(finished->cause, std::string("C012"));
    QCOMPARE(station->meddling().downloads.load(), 0);
}

void TstHands::unitThatIgnoresItsBaudCommand_isTakenToDfuByHandAndPasses()
{
    auto station = withOperator({.more = "baud_commands = false"});
    const auto unit = station->insert();
    QVERIFY(station->start(1, unit.label));
    // Twice: before the system parts, and for as long as the delivered application is the one.
    for (std::size_t asked = 1; asked <= 2; ++asked) {
        QVERIFY(eventually([&] { return station->sink().all<PromptRaised>().size() == asked; }));
        const PromptRaised raised = station->sink().all<PromptRaised>().back();
        QCOMPARE(raised.promptId, std::string("hold-setup-dfu"));
        QCOMPARE(raised.text, std::string("Hold SETUP, tap RESET, release at yellow"));
        const auto before = station->board().ledHistory().size();
        station->board().resetHoldingMode(3500ms);
        QVERIFY(eventually([&] { return station->board().mode() == sim::BoardMode::Dfu; }));
        auto stages = station->board().ledHistory();
        stages.erase(stages.begin(), stages.begin() + static_cast<std::ptrdiff_t>(before));
        const auto magenta = std::ranges::find(stages, sim::LedColour::Magenta, &sim::Led::colour);
        QVERIFY(std::ranges::find(magenta, stages.end(), sim::LedColour::Yellow,
                                  &sim::Led::colour) != stages.end());
        station->engine().answer(raised.run, "done");
    }
    const auto finished = station->verdict(1);
    QVERIFY(finished);
    QVERIFY2(finished->verdict == Verdict::Pass, told(*finished).c_str());
    QCOMPARE(station->sink().all<PromptRaised>().size(), std::size_t{2});
    QCOMPARE(station->board().systemVersion(), std::string("2.3.1"));
}

void TstHands::setupLetGoTooEarly_isACheck()
{
    auto station = withOperator({.more = "baud_commands = false"});
    const auto unit = station->insert();
    QVERIFY(station->start(1, unit.label));
    const auto raised = question(*station, 0);
    station->board().resetHoldingMode(1500ms); // at magenta: safe mode
    station->engine().answer(raised.run, "done");
    const auto finished = station->verdict(1);
    QVERIFY(finished);
    QCOMPARE(finished->verdict, Verdict::Error);
    QCOMPARE(finished->cause, std::string("C014"));
}

void TstHands::stop_endsTheQuestion()
{
    auto station = withOperator({.stock = "0.4.9", .credentials = "foreign"});
    const auto unit = station->insert();
    QVERIFY(station->start(1, unit.label));
    question(*station, 0);
    station->engine().abort(SlotId{1});
    const auto finished = station->verdict(1);
    QCOMPARE(finished->verdict, Verdict::Aborted);
    QCOMPARE(station->sink().all<PromptAnswered>().size(), std::size_t{1});
}

void TstHands::nobodyAnswers_isACheck()
{
    auto station = withOperator({.stock = "0.4.9", .credentials = "foreign"});
    station->settings().operatorPatience = 100ms;
    const auto finished = station->runNext();
    QCOMPARE(finished.verdict, Verdict::Error);
    QCOMPARE(finished.cause, std::string("C090"));
}

void TstHands::nobodyThere_isACheckAtOnce()
{
    auto station = Station::open(one({.stock = "0.4.9", .credentials = "foreign"}, false));
    const auto finished = station->runNext();
    QCOMPARE(finished.cause, std::string("C012"));
    QVERIFY(station->sink().all<PromptRaised>().empty());
}

void TstHands::answerOfAnotherRunOrQuestion_isNoAnswer()
{
    auto station = withOperator({.stock = "0.6.3", .credentials = "foreign"});
    const auto unit = station->insert();
    QVERIFY(station->start(1, unit.label));
    const auto raised = question(*station, 0);
    QCOMPARE(raised.promptId, std::string("hold-setup-clear"));
    station->engine().answer(RunId{raised.run.value + 1}, "cannot");
    station->engine().answer(raised.run, "blue");
    QVERIFY(station->engine().busy(SlotId{1}));
    station->board().holdMode(10500ms);
    station->engine().answer(raised.run, "done");
    const auto finished = station->verdict(1);
    QVERIFY2(finished->verdict == Verdict::Pass, told(*finished).c_str());
}

void TstHands::waitingIsNotTheStepsTime()
{
    auto station = withOperator({.stock = "0.6.3", .credentials = "foreign"});
    const auto unit = station->insert();
    QVERIFY(station->start(1, unit.label));
    const auto raised = question(*station, 0);
    station->board().holdMode(10500ms);
    station->engine().answer(raised.run, "done");
    QCOMPARE(station->verdict(1)->verdict, Verdict::Pass);
    const auto attempt = station->attempt(raised.run, "clear-credentials");
    const auto waited = std::ranges::find(attempt.measurements, "operator_s", &Measurement::name);
    QVERIFY(waited != attempt.measurements.end());
    QVERIFY(std::get<double>(*waited->value) > 0);
    const auto seconds = std::ranges::find(attempt.measurements, "seconds", &Measurement::name);
    QCOMPARE(std::get<double>(*seconds->value), attempt.seconds);
}

} // namespace provost::test

PROVOST_TEST("hands", provost::test::TstHands)
#include "tst_hands.moc"
