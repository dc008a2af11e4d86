// ScpiInstrument against the virtual instrument, against a failure at every transfer, and over a
// socket.
#include "driver/fault_plan.h"
#include "protocol/scpi_instrument.h"
#include "sim/instrument.h"
#include "support/test_program.h"
#include "support/verify.h"
#include "transport/tcp_stream.h"

#include <QTest>

#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

class InstrumentPeer final : public SerialPeer {
public:
    sim::Instrument box{4};
    bool silent = false;
    Bytes instead{}; ///< said in place of the next answer

    void feed(ByteView bytes, Clock::Steady) override
    {
        if (!silent)
            box.feed(bytes);
    }
    void tick(Clock::Steady) override {}
    std::optional<Clock::Steady> deadline() const override { return std::nullopt; }
    Bytes takeOutput() override
    {
        Bytes output = box.takeOutput();
        return output.empty() || instead.empty() ? output : std::exchange(instead, {});
    }
};

struct Desk {
    OpContext op(std::chrono::milliseconds span = 60s) const
    {
        return {.clock = clock, .stop = plan.stop.get_token(), .deadline = {clock.now() + span}};
    }
    VirtualClock clock;
    FaultPlan plan;
    InstrumentPeer peer;
    FaultyLine line{peer, plan, clock};
    ScpiInstrument instrument{line};
};

class TstScpiInstrument : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void open_saysWhoItIs();
    void measure_readsVoltsAndAmperes();
    void measure_refusesOverRangeAndNoNumbers_data();
    void measure_refusesOverRangeAndNoNumbers();
    void relay_isReadBack();
    void command_reportsTheErrorQueue();
    void silence_isATimeoutWithAdvice();
    void endlessTalk_isAnError();
    void faults_atEveryTransferAreSurvived();
    void socket_carriesIt();
};

void TstScpiInstrument::open_saysWhoItIs()
{
    Desk desk;
    desk.peer.box.feed(viewOf("*IDN?\nNONSENSE\n")); // left by somebody
    const auto identity = desk.instrument.open(desk.op());
    VERIFY_OK(identity);
    QCOMPARE(identity->maker, std::string("PROVOST"));
    QCOMPARE(identity->version, std::string("1.0"));
    desk.peer.instead = toBytes("Hello there\r\n");
    VERIFY_FAILS(desk.instrument.open(desk.op()), Errc::InvalidData);
}

void TstScpiInstrument::measure_readsVoltsAndAmperes()
{
    Desk desk;
    desk.peer.box.channel(2) = {.volts = 3.301, .amperes = 0.0815};
    const auto volts = desk.instrument.measureVoltage(2, desk.op());
    VERIFY_OK(volts);
    QCOMPARE(*volts, 3.301);
    QCOMPARE(desk.instrument.measureCurrent(2, desk.op()).value_or(-1), 0.0);
    VERIFY_OK(desk.instrument.setPower(2, true, desk.op()));
    QCOMPARE(desk.instrument.measureCurrent(2, desk.op()).value_or(-1), 0.0815);
    VERIFY_OK(desk.instrument.setPower(2, false, desk.op()));
    QCOMPARE(desk.instrument.measureCurrent(2, desk.op()).value_or(-1), 0.0);
}

void TstScpiInstrument::measure_refusesOverRangeAndNoNumbers_data()
{
    QTest::addColumn<QByteArray>("answer");
    QTest::newRow("over range") << QByteArray("+9.9E+37\n");
    QTest::newRow("below range") << QByteArray("-9.9E37\n");
    QTest::newRow("not a number") << QByteArray("9.91E+37\n");
    QTest::newRow("NAN") << QByteArray("nan\n");
    QTest::newRow("text") << QByteArray("OVLD\n");
    QTest::newRow("two numbers") << QByteArray("1.0,2.0\n");
    QTest::newRow("nothing") << QByteArray("\r\n");
}

void TstScpiInstrument::measure_refusesOverRangeAndNoNumbers()
{
    QFETCH(const QByteArray, answer);
    Desk desk;
    desk.peer.instead = toBytes(answer.toStdString());
    VERIFY_FAILS(desk.instrument.measureVoltage(1, desk.op()), Errc::InvalidData);
    desk.peer.box.channel(1).volts = 1.5e3; // beyond its range, as the instrument itself says it
    VERIFY_FAILS(desk.instrument.measureVoltage(1, desk.op()), Errc::InvalidData);
}

void TstScpiInstrument::relay_isReadBack()
{
    Desk desk;
    VERIFY_OK(desk.instrument.setRelay(3, true, desk.op()));
    QVERIFY(desk.peer.box.channel(3).closed);
    desk.peer.box.channel(3).stuck = true;
    VERIFY_FAILS(desk.instrument.setRelay(3, false, desk.op()), Errc::Mismatch);
}

void TstScpiInstrument::command_reportsTheErrorQueue()
{
    Desk desk;
    const auto refused = desk.instrument.setRelay(9, true, desk.op());
    VERIFY_FAILS(refused, Errc::Denied);
    QVERIFY(refused.error().message.find("-222") != std::string::npos);
    VERIFY_FAILS(desk.instrument.command("BEEP:LOUD", desk.op()), Errc::Denied);
    // The queue is empty again: nothing is reported twice.
    VERIFY_OK(desk.instrument.setRelay(1, true, desk.op()));
}

void TstScpiInstrument::silence_isATimeoutWithAdvice()
{
    Desk desk;
    desk.peer.silent = true;
    const auto began = desk.clock.now();
    const auto opened = desk.instrument.open(desk.op());
    VERIFY_FAILS(opened, Errc::Timeout);
    QVERIFY(opened.error().message.find("check power, cable") != std::string::npos);
    QVERIFY(desk.clock.now() - began <= 6s);
    VERIFY_FAILS(desk.instrument.open(desk.op(1s)), Errc::Timeout);
}

void TstScpiInstrument::endlessTalk_isAnError()
{
    Desk desk;
    VERIFY_OK(desk.instrument.open(desk.op()));
    desk.peer.instead = Bytes(100'000, std::byte{'x'});
    VERIFY_FAILS(desk.instrument.measureVoltage(1, desk.op()), Errc::Protocol);
    VERIFY_OK(desk.instrument.measureVoltage(1, desk.op())); // the rest of it is dropped
}

Result<> everything(ScpiInstrument& instrument, const OpContext& op)
{
    TRY(instrument.open(op));
    TRY(instrument.setPower(1, true, op));
    TRY(instrument.setRelay(2, true, op));
    TRY(instrument.measureVoltage(1, op));
    TRY(instrument.measureCurrent(1, op));
    return instrument.setPower(1, false, op);
}

void TstScpiInstrument::faults_atEveryTransferAreSurvived()
{
    Desk clean;
    VERIFY_OK(everything(clean.instrument, clean.op()));
    const auto seen = clean.plan.seen;
    QVERIFY(seen.size() > 20);
    int cases = 0;
    for (std::size_t at = 0; at < seen.size(); ++at) {
        for (const Harm harm : kHarms) {
            Desk desk;
            desk.plan.at = static_cast<int>(at);
            desk.plan.harm = harm;
            const auto began = desk.clock.now();
            const auto result = everything(desk.instrument, desk.op());
            ++cases;
            QVERIFY(desk.plan.struck);
            QVERIFY(desk.clock.now() - began <= 60s);
            QVERIFY(result || result.error().code != Errc::Internal);
            QVERIFY(harm != Harm::Cancel || result.error().code == Errc::Cancelled);
            desk.plan = {};
            const auto next = everything(desk.instrument, desk.op());
            QVERIFY2(next, next ? ""
                                : concat("transfer ", at, ", ",
                                         kHarmNames.at(static_cast<std::size_t>(harm)), ": ",
                                         describe(next.error()))
                                      .c_str());
            QVERIFY(desk.peer.box.channel(2).closed && !desk.peer.box.channel(1).powered);
        }
    }
    std::printf("SCPI: %d cases at %zu transfers\n", cases, seen.size());
}

void TstScpiInstrument::socket_carriesIt()
{
    std::array<int, 2> ends{};
    QVERIFY(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    std::jthread server([far = ends[1]] {
        sim::Instrument box(1);
        box.channel(1).volts = 5;
        std::array<std::byte, 256> bytes{};
        for (ssize_t count = 0; (count = read(far, bytes.data(), bytes.size())) > 0;) {
            box.feed(ByteView(bytes).first(static_cast<std::size_t>(count)));
            const Bytes answer = box.takeOutput();
            if (!answer.empty() && write(far, answer.data(), answer.size()) < 0)
                break;
        }
        close(far);
    });
    {
        TcpStream line(ends[0]);
        ScpiInstrument instrument(line);
        const SystemClock clock;
        const OpContext op{.clock = clock, .deadline = {clock.now() + 10s}};
        VERIFY_OK(instrument.open(op));
        VERIFY_OK(instrument.setPower(1, true, op));
        VERIFY_FAILS(instrument.setRelay(2, true, op), Errc::Denied); // it has one channel
        QCOMPARE(instrument.measureVoltage(1, op).value_or(-1), 5.0);
    }
}

} // namespace

PROVOST_TEST("scpi_instrument", TstScpiInstrument)
#include "tst_scpi_instrument.moc"
