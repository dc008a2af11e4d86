// The time that a good unit may take to its handshake: each term of particle-devices 5.6, and no
// plan that cuts it off.
#include "core/text.h"
#include "engine/handshake_limit.h"
#include "support/test_program.h"

#include <QTest>

namespace provost::test {

using namespace std::chrono_literals;

namespace {

StepSpec handshakeStep(std::chrono::milliseconds timeout, std::optional<double> join)
{
    StepSpec step{.use = "live-handshake", .name = "Live handshake", .timeout = timeout};
    if (join)
        step.limits["join_s"] = {.max = join, .unit = "s"};
    return step;
}

std::string refusal(StepSpec step, const TestNetwork& network = {})
{
    TestPlan plan;
    plan.steps.push_back({.use = "restart", .name = "Restart", .timeout = 1ms});
    plan.steps.push_back(std::move(step));
    const auto checked = checkHandshakeTime(plan, network);
    return checked ? std::string() : checked.error().message;
}

} // namespace

class TstHandshakeLimit : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void limit_isTheSumOfItsTerms_data();
    void limit_isTheSumOfItsTerms();
    void limit_isOfTheFirmwareByDefault();
    void join_isThePlansOrOfAQuickerNetwork();
    void stepThatEndsEarlier_isRefused();
};

void TstHandshakeLimit::limit_isTheSumOfItsTerms_data()
{
    QTest::addColumn<int>("join");
    QTest::addColumn<int>("connect");
    QTest::addColumn<int>("read");
    QTest::addColumn<int>("hello");
    QTest::addColumn<int>("backOff");
    QTest::addColumn<int>("sum");
    QTest::newRow("join") << 7 << 0 << 0 << 0 << 0 << 7;
    QTest::newRow("connect") << 0 << 7 << 0 << 0 << 0 << 7;
    QTest::newRow("nonce and session key") << 0 << 0 << 7 << 0 << 0 << 14;
    QTest::newRow("hello") << 0 << 0 << 0 << 7 << 0 << 7;
    QTest::newRow("one back-off") << 0 << 0 << 0 << 0 << 7 << 7;
    QTest::newRow("all") << 10000 << 1000 << 200 << 30 << 4 << 11434;
}

void TstHandshakeLimit::limit_isTheSumOfItsTerms()
{
    QFETCH(const int, join);
    QFETCH(const int, connect);
    QFETCH(const int, read);
    QFETCH(const int, hello);
    QFETCH(const int, backOff);
    using Span = std::chrono::milliseconds;
    const CloudWaits waits{.connect = Span(connect),
                           .read = Span(read),
                           .hello = Span(hello),
                           .backOff = Span(backOff)};
    QTEST(static_cast<int>(handshakeLimit(Span(join), waits).count()), "sum");
}

void TstHandshakeLimit::limit_isOfTheFirmwareByDefault()
{
    // Connect 8 s, two reads of 20 s, hello 4 s, back-off 1 s.
    QVERIFY(handshakeLimit(0ms, {}) == 53s);
}

void TstHandshakeLimit::join_isThePlansOrOfAQuickerNetwork()
{
    TestNetwork network;
    QVERIFY(joinLimit(handshakeStep(180s, 60.0), network) == 60s);
    QVERIFY(joinLimit(handshakeStep(180s, 0.25), network) == 250ms);
    QVERIFY(joinLimit(handshakeStep(180s, std::nullopt), network) == 30s);
    network.joinLimit = 20s;
    QVERIFY(joinLimit(handshakeStep(180s, 60.0), network) == 20s);
    network.joinLimit = 90s; // no network makes a plan more patient
    QVERIFY(joinLimit(handshakeStep(180s, 60.0), network) == 60s);
}

void TstHandshakeLimit::stepThatEndsEarlier_isRefused()
{
    QCOMPARE(refusal(handshakeStep(113s, 60.0)), std::string());
    const auto refused = refusal(handshakeStep(112s, 60.0));
    for (const std::string_view part :
         {"\"timeout\" of 112.0 s", "need 113.0 s", "join 60.0", "two reads 40.0"})
        QVERIFY2(refused.find(part) != std::string::npos, refused.c_str());
    auto step = handshakeStep(180s, 60.0);
    step.limits["seconds"] = {.max = 112.9, .unit = "s"};
    const auto limited = refusal(step);
    QVERIFY2(limited.find("\"seconds\" of 112.9 s") != std::string::npos, limited.c_str());
    step.limits["seconds"] = {.max = 113.0, .unit = "s"};
    step.limits["handshake_ms"] = {.max = 44000.0, .unit = "ms"};
    QCOMPARE(refusal(step), std::string());
    step.limits["handshake_ms"] = {.max = 43999.0, .unit = "ms"};
    const auto hurried = refusal(step);
    QVERIFY2(hurried.find("need 44000 ms") != std::string::npos, hurried.c_str());
    TestNetwork quicker;
    quicker.joinLimit = 30s;
    QCOMPARE(refusal(handshakeStep(83s, 60.0), quicker), std::string());
    TestNetwork slower;
    slower.waits.read = 60s;
    QVERIFY(!refusal(handshakeStep(180s, 60.0), slower).empty());
}

} // namespace provost::test

PROVOST_TEST("handshake_limit", provost::test::TstHandshakeLimit)
#include "tst_handshake_limit.moc"
