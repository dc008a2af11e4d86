// Journal: what a run leaves behind, and what is read back of it.
#include "store_samples.h"
#include "support/test_program.h"

#include <QTest>
#include <cmath>
#include <limits>
#include <thread>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

class TstStore : public JournalBench {
    Q_OBJECT

private Q_SLOTS:
    void init() { openJournal(); }
    void cleanup() { m_journal.reset(); }

    void verdict_hasItsNames()
    {
        for (const auto verdict : {Verdict::NotRun, Verdict::Pass, Verdict::Hold, Verdict::Fail,
                                   Verdict::Aborted, Verdict::Error})
            QCOMPARE(parseVerdict(name(verdict)).value(), verdict);
        QCOMPARE(shownName(Verdict::Error), std::string_view("CHECK"));
        QCOMPARE(shownName(Verdict::Aborted), std::string_view("STOPPED"));
        QCOMPARE(parseVerdict("PASS").error().code, Errc::InvalidArgument);
    }

    void judge_failsOutsideLimitsOnly()
    {
        const Limit limit{.min = 3.2, .max = 3.4, .unit = "V"};
        QCOMPARE(judge({.value = 3.2, .limit = limit}), Verdict::Pass);
        QCOMPARE(judge({.value = 3.41, .limit = limit}), Verdict::Fail);
        QCOMPARE(judge({.value = -1.0, .limit = {.max = 0.0}}), Verdict::Pass);
        QCOMPARE(judge({.limit = limit}), Verdict::NotRun);
        QCOMPARE(judge({.value = 3.3}), Verdict::NotRun);
        QCOMPARE(judge({.value = std::nan(""), .limit = limit}), Verdict::Fail);
        QCOMPARE(judge({.value = std::string("3.3"), .limit = limit}), Verdict::Fail);
    }

    void run_comesBackAsItWasRecorded()
    {
        const auto run = m_journal->beginRun(aStart("LBL-1")).value();
        must(m_journal->identify(run, {.deviceId = kUnitA}, "listening"));
        m_clock.advance(41800ms);
        must(m_journal->recordAttempt(run, {.step = "flash-image",
                                            .name = "Flash",
                                            .attempt = 1,
                                            .verdict = Verdict::Error,
                                            .seconds = 2.5,
                                            .note = "stall",
                                            .cause = "C030",
                                            .error = "pipe"}));
        must(m_journal->recordAttempt(run, {.step = "flash-image",
                                            .name = "Flash",
                                            .attempt = 2,
                                            .verdict = Verdict::Pass,
                                            .seconds = 12.25}));
        must(m_journal->recordImage(run, {.role = "bootloader",
                                          .version = "2.3.1",
                                          .sha256 = std::string(64, '9'),
                                          .moduleVersion = 1006}));
        must(
            m_journal->finishRun(run, Verdict::Fail, "F110", "verify differs at 0x08020000", 41.8));

        const RunRecord record = m_journal->run(run).value();
        QCOMPARE(record.start.unit.serial, std::string("LBL-1"));
        QCOMPARE(record.start.unit.deviceId, kUnitA);
        QCOMPARE(record.start.planDigest, std::string(64, 'd'));
        QCOMPARE(record.start.planRevision, 7);
        QVERIFY(record.start.simulated);
        QCOMPARE(record.route, std::string("listening"));
        QCOMPARE(record.verdict, Verdict::Fail);
        QCOMPARE(record.cause, std::string("F110"));
        QCOMPARE(record.error, std::string("verify differs at 0x08020000"));
        QCOMPARE(record.seconds, 41.8);
        QCOMPARE(record.attempts.size(), 2U);
        QCOMPARE(record.attempts[0].error, std::string("pipe"));
        QCOMPARE(record.attempts[1].attempt, 2);
        QCOMPARE(record.attempts[1].seconds, 12.25);
        QCOMPARE(record.images.at(0).moduleVersion, 1006);
        QCOMPARE(record.finishedUtc, isoUtc(m_clock.utcNow()));
        QVERIFY(record.startedUtc < record.finishedUtc);
    }

    void measurement_notTakenIsNotZero()
    {
        const auto run = identified(kUnitA);
        const std::vector<Measurement> taken{{.name = "rssi", .limit = {.min = -70, .unit = "dBm"}},
                                             {.name = "join-time",
                                              .value = 0.0,
                                              .limit = {.max = 20, .unit = "s"},
                                              .verdict = Verdict::Pass},
                                             {.name = "version", .value = std::string("2.3.1")},
                                             {.name = "locked", .value = false}};
        must(m_journal->recordAttempt(
            run,
            {.step = "join", .name = "Join", .verdict = Verdict::Pass, .measurements = taken}));
        const auto back = m_journal->run(run).value().attempts.at(0).measurements;
        QCOMPARE(back.size(), 4U);
        QVERIFY(!back[0].value);
        QCOMPARE(back[0].limit.min.value(), -70.0);
        QVERIFY(!back[0].limit.max);
        QCOMPARE(std::get<double>(back[1].value.value()), 0.0);
        QCOMPARE(back[1].verdict, Verdict::Pass);
        QCOMPARE(back[1].limit.unit, std::string("s"));
        QCOMPARE(std::get<std::string>(back[2].value.value()), std::string("2.3.1"));
        QCOMPARE(std::get<bool>(back[3].value.value()), false);
    }

    void measurement_withoutValueCannotPass()
    {
        const auto run = identified(kUnitA);
        AttemptRecord attempt{.step = "join", .name = "Join", .verdict = Verdict::Pass};
        attempt.measurements = {{.name = "rssi", .verdict = Verdict::Pass}};
        QCOMPARE(m_journal->recordAttempt(run, attempt).error().code, Errc::InvalidArgument);
        attempt.measurements = {{.name = "rssi", .value = std::nan("")}};
        QCOMPARE(m_journal->recordAttempt(run, attempt).error().code, Errc::InvalidArgument);
        QVERIFY(m_journal->run(run).value().attempts.empty()); // and nothing of it stays
    }

    void handshake_keepsTheLastSession()
    {
        const auto run = identified(kUnitA);
        must(m_journal->recordHandshake(run, {{.position = 1, .what = "nonce", .bytes = 40}}));
        must(m_journal->recordHandshake(run, {{.position = 2,
                                               .fromDevice = true,
                                               .what = "reply",
                                               .bytes = 256,
                                               .atMs = 12.5,
                                               .failed = true}}));
        QCOMPARE(m_journal->run(run).value().handshake.size(), 2U);
        must(m_journal->recordHandshake(run, {{.position = 1, .what = "nonce"}}));
        must(m_journal->recordHandshake(run, {}));
        // Two connections at once: the second begins where positions begin anew.
        const auto several = identified(kUnitB);
        must(m_journal->recordHandshake(several, {{.position = 0, .what = "nonce"},
                                                  {.position = 1, .what = "refused"},
                                                  {.position = 0, .what = "nonce again"}}));
        QCOMPARE(m_journal->run(several).value().handshake.size(), std::size_t{1});
        QCOMPARE(m_journal->run(several).value().handshake.front().what,
                 std::string("nonce again"));
        const auto arrows = m_journal->run(run).value().handshake;
        QCOMPARE(arrows.size(), 1U);
        QCOMPARE(arrows[0].what, std::string("nonce"));
    }

    void identify_bindsARunToOneUnit()
    {
        const auto run = identified(kUnitA);
        must(m_journal->identify(run, {.deviceId = kUnitA}, "dfu"));
        QCOMPARE(m_journal->identify(run, {.deviceId = kUnitB}, "dfu").error().code,
                 Errc::Mismatch);
        QCOMPARE(m_journal->identify(run, {.deviceId = "ABC"}, "dfu").error().code, Errc::Mismatch);
        const auto other = m_journal->beginRun(aStart()).value();
        QCOMPARE(m_journal->identify(other, {.deviceId = "ABC"}, "dfu").error().code,
                 Errc::InvalidArgument);
        QCOMPARE(m_journal->identify(RunId{99}, {.deviceId = kUnitA}, "dfu").error().code,
                 Errc::NotFound);
    }

    void finishedRun_isFinal()
    {
        const auto run = finished(kUnitA, Verdict::Fail, "F110");
        const auto again = m_journal->finishRun(run, Verdict::Pass, "", "", 1);
        QCOMPARE(again.error().code, Errc::InvalidArgument);
        must(m_journal->finishRun(run, Verdict::Fail, "F110", "", 1));
        QCOMPARE(m_journal->recordAttempt(run, {.name = "x"}).error().code, Errc::InvalidArgument);
        QCOMPARE(m_journal->intend(run, "burn").error().code, Errc::InvalidArgument);
        must(m_journal->note(run, "remark", "…"));
        QCOMPARE(m_journal->note(run, "settle", "burn").error().code, Errc::InvalidArgument);
        const auto rows = m_journal->journalOf(run).value();
        QCOMPARE(rows.front().kind, std::string("begin"));
        QCOMPARE(rows.back().kind, std::string("remark"));
    }

    void pass_needsAUnitAndSettledIntents()
    {
        const auto unknown = m_journal->beginRun(aStart()).value();
        QCOMPARE(m_journal->finishRun(unknown, Verdict::Pass, "", "", 1).error().code,
                 Errc::InvalidArgument);
        QCOMPARE(m_journal->finishRun(unknown, Verdict::NotRun, "", "", 1).error().code,
                 Errc::InvalidArgument);
        must(m_journal->finishRun(unknown, Verdict::Error, "C012", "silent", 1));
        const auto run = identified(kUnitA);
        must(m_journal->intend(run, "burn-key"));
        QCOMPARE(m_journal->finishRun(run, Verdict::Pass, "", "", 1).error().code,
                 Errc::InvalidArgument);
        must(m_journal->settle(run, "burn-key", Verdict::Pass));
        QCOMPARE(m_journal->settle(run, "burn-key", Verdict::Pass).error().code, Errc::NotFound);
        must(m_journal->finishRun(run, Verdict::Pass, "", "", 1));
        QCOMPARE(m_journal->unit(kUnitA).value().state, std::string("pass"));
        QVERIFY(!m_journal->needsInspection(kUnitA).value());
    }

    void unsettledIntent_asksForInspection()
    {
        const auto run = identified(kUnitA);
        must(m_journal->intend(run, "write-bootloader", "bootloader 2.3.1"));
        QVERIFY(m_journal->needsInspection(kUnitA).value());
        must(m_journal->intend(run, "burn", "of another"));
        must(m_journal->settle(run, "burn", Verdict::Pass));
        const auto open = m_journal->openIntents(kUnitA).value();
        QCOMPARE(open.size(), 1U);
        QCOMPARE(open[0].run, run);
        QCOMPARE(open[0].effect, std::string("write-bootloader"));
        QCOMPARE(open[0].payload, std::string("bootloader 2.3.1"));
        QVERIFY(m_journal->openIntents(kUnitB).value().empty());
        must(m_journal->finishRun(run, Verdict::Fail, "F110", "", 1));
        QCOMPARE(m_journal->unit(kUnitA).value().state, std::string("inspect"));
        const auto later = identified(kUnitA);
        must(m_journal->clearInspection(later, kUnitA));
        QVERIFY(!m_journal->needsInspection(kUnitA).value());
        QVERIFY(m_journal->openIntents(kUnitA).value().empty());
        QCOMPARE(m_journal->unit(kUnitA).value().state, std::string("new"));
        must(m_journal->finishRun(later, Verdict::Pass, "", "", 1));
        QCOMPARE(m_journal->unit(kUnitA).value().state, std::string("pass"));
        QCOMPARE(m_journal->clearInspection(later, kUnitB).error().code, Errc::NotFound);
    }

    void abortedAndError_doNotJudgeTheUnit()
    {
        finished(kUnitA, Verdict::Hold, "H310");
        finished(kUnitA, Verdict::Aborted, "S001");
        finished(kUnitA, Verdict::Error, "C030");
        const auto unit = m_journal->unit(kUnitA).value();
        QCOMPARE(unit.state, std::string("hold"));
        QCOMPARE(unit.lastCause, std::string("C030"));
        QCOMPARE(unit.runs, 3);
        QVERIFY(unit.simulated);
    }

    void unit_isFoundByIdLabelOrPrefix()
    {
        identified(kUnitA, "PH-0001");
        m_clock.advance(1s);
        identified(kUnitB, "PH-0002");
        QCOMPARE(m_journal->unit("0123456789ABCDEF01234567").value().label, std::string("PH-0001"));
        QCOMPARE(m_journal->unit("PH-0002").value().deviceId, kUnitB);
        QCOMPARE(m_journal->unit("0123456789abcdef0123f").value().deviceId, kUnitB);
        QCOMPARE(m_journal->unit("PH-").error().code, Errc::InvalidArgument);
        QCOMPARE(m_journal->unit("%").error().code, Errc::NotFound);
        QCOMPARE(m_journal->unit("").error().code, Errc::InvalidArgument);
        const auto units = m_journal->units().value();
        QCOMPARE(units.size(), 2U);
        QCOMPARE(units[0].deviceId, kUnitB);
    }

    void runs_areListedByUnitAndTime()
    {
        const auto first = finished(kUnitA, Verdict::Fail, "F110");
        m_clock.advance(1min);
        const auto noon = m_clock.utcNow();
        const auto second = finished(kUnitA, Verdict::Pass);
        const auto third = finished(kUnitB, Verdict::Pass);
        const auto ofA = m_journal->runsOf(kUnitA).value();
        QCOMPARE(ofA.size(), 2U);
        QCOMPARE(ofA[0].id, second);
        QCOMPARE(ofA[1].id, first);
        const auto since = m_journal->runsSince(noon).value();
        QCOMPARE(since.size(), 2U);
        QCOMPARE(since[1].id, third);
        QCOMPARE(m_journal->run(RunId{4711}).error().code, Errc::NotFound);
    }

    void intent_isKnownByHowItEnded()
    {
        const auto outcome = [this](const std::string& payload) {
            return m_journal->outcomeOf(kUnitA, "burn", payload).value();
        };
        const auto run = identified(kUnitA);
        QCOMPARE(outcome("a"), IntentOutcome::NotAnnounced);
        must(m_journal->intend(run, "burn", "a"));
        QCOMPARE(outcome("a"), IntentOutcome::Unknown);
        QCOMPARE(m_journal->outcomeOf(kUnitB, "burn", "a").value(), IntentOutcome::NotAnnounced);
        must(m_journal->settle(run, "burn", Verdict::Fail));
        QCOMPARE(outcome("a"), IntentOutcome::Failed);
        must(m_journal->intend(run, "burn", "b"));
        must(m_journal->settle(run, "burn", Verdict::Pass));
        QCOMPARE(outcome("a"), IntentOutcome::Failed);
        QCOMPARE(outcome("b"), IntentOutcome::Passed);
    }

    void platform_isOfTheLatestIdentification()
    {
        const auto run = m_journal->beginRun(aStart()).value();
        must(m_journal->identify(run, {.deviceId = kUnitA}, "dfu"));
        QCOMPARE(m_journal->unit(kUnitA).value().platform, std::string());
        must(m_journal->identify(run, {.deviceId = kUnitA}, "dfu", "photon"));
        must(m_journal->identify(run, {.deviceId = kUnitA}, "dfu"));
        QCOMPARE(m_journal->unit(kUnitA).value().platform, std::string("photon"));
    }

    void counts_giveYieldAndRate()
    {
        finished(kUnitA, Verdict::Fail, "F110"); // yesterday's shift
        m_clock.advance(12h);
        const auto shift = m_clock.utcNow();
        QCOMPARE(m_journal->counts(shift).value().unitsPerHour, 0.0);
        finished(kUnitA, Verdict::Pass);
        finished(kUnitB, Verdict::Pass);
        const auto atOnce = m_journal->counts(shift).value();
        QCOMPARE(atOnce.unitsPerHour, 120.0); // two in what counts as a minute
        m_clock.advance(30min);
        finished(kUnitB, Verdict::Fail, "F110");
        finished(kUnitB, Verdict::Aborted, "S001");
        finished(kUnitB, Verdict::Error, "C030");
        finished(kUnitB, Verdict::Hold, "H310");
        const auto counts = m_journal->counts(shift).value();
        QCOMPARE(counts.pass, 2);
        QCOMPARE(counts.fail, 1);
        QCOMPARE(counts.hold, 1);
        QCOMPARE(counts.aborted, 1);
        QCOMPARE(counts.error, 1);
        QCOMPARE(counts.judgedUnits, 2);
        QCOMPARE(counts.firstPass, 1);
        QCOMPARE(counts.unitsPerHour, 4.0);
        QCOMPARE(m_journal->counts(shift, false).value().pass, 0);
        QCOMPARE(m_journal->counts(shift, true).value().pass, 2);
        m_clock.advance(45min);
        QCOMPARE(m_journal->counts(shift).value().unitsPerHour, 0.0);
        finished(kUnitA, Verdict::Pass);
        QCOMPARE(m_journal->counts(shift).value().unitsPerHour, 1.0);
    }

    void typicalSteps_areMediansInOrder()
    {
        for (const double seconds : {10.0, 30.0, 11.0}) {
            const auto run = identified(kUnitA);
            step(run, "Write", seconds);
            step(run, "Check", 2);
            step(run, "Check", 99, Verdict::Fail);
        }
        step(identified(kUnitB), "Check", 4);
        const auto typical = m_journal->typicalSteps("photon-full").value();
        QCOMPARE(typical.size(), 2U);
        QCOMPARE(typical[0], (std::pair<std::string, double>("Write", 11)));
        QCOMPARE(typical[1], (std::pair<std::string, double>("Check", 2)));
        QVERIFY(m_journal->typicalSteps("photon-full", false).value().empty());
        QVERIFY(m_journal->typicalSteps("other").value().empty());
    }

    void trace_isOfAnOpenRunAndFinal()
    {
        const TraceRecord trace{.transfers = 2, .dropped = 7, .text = "provost-trace 1\nbegan x\n"};
        const auto run = identified(kUnitA);
        QVERIFY(!m_journal->traceOf(run).value());
        must(m_journal->recordTrace(run, trace));
        QVERIFY(!m_journal->recordTrace(run, trace)); // once
        must(m_journal->finishRun(run, Verdict::Fail, "F101", "", 1));
        const auto kept = m_journal->traceOf(run).value();
        QCOMPARE(kept->transfers, std::int64_t{2});
        QCOMPARE(kept->dropped, std::int64_t{7});
        QCOMPARE(kept->text, trace.text);
        const auto late = identified(kUnitA);
        must(m_journal->finishRun(late, Verdict::Fail, "F101", "", 1));
        QCOMPARE(m_journal->recordTrace(late, trace).error().code, Errc::InvalidArgument);
        QVERIFY(!m_journal->traceOf(late).value());
        QVERIFY(!verifyDatabase(m_journal->path()).value());
    }

    void slots_writeAtTheSameTime()
    {
        constexpr int kSlots = 4;
        constexpr int kRuns = 5;
        std::vector<std::jthread> slot;
        for (int i = 0; i < kSlots; ++i)
            slot.emplace_back([this, i] {
                const std::string unit = kUnitA.substr(0, 23) + std::to_string(i);
                for (int n = 0; n < kRuns; ++n) {
                    const auto run = identified(unit);
                    must(m_journal->intend(run, "burn"));
                    must(m_journal->settle(run, "burn", Verdict::Pass));
                    must(m_journal->finishRun(run, Verdict::Pass, "", "", 1));
                }
            });
        slot.clear();
        QCOMPARE(m_journal->counts({}).value().pass, kSlots * kRuns);
        QCOMPARE(verifyDatabase(m_journal->path()).value().has_value(), false);
    }
};

} // namespace

PROVOST_TEST("store", TstStore)
#include "tst_store.moc"
