// ControlRequests against the answers of particle-devices 1.3, byte by byte.
#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/control_requests.h"
#include "support/test_program.h"
#include "support/verify.h"

#include <QTest>

#include <deque>

using namespace provost;
using namespace std::chrono_literals;

namespace {

struct Seen {
    ControlSetup setup{};
    std::size_t length = 0;
    Bytes data{};
};

/// Answers each control transfer with the next entry of a list.
class ScriptedUnit final : public UsbDevice {
public:
    using Answer = Result<Bytes>;
    std::deque<Answer> answers{};
    std::vector<Seen> seen{};

    const UsbDeviceInfo& info() const override { return m_info; }
    Result<Bytes> descriptor(std::uint8_t, std::uint8_t) override { return Bytes{}; }
    Result<> claim(std::uint8_t) override
    {
        return fail(Errc::Busy, Blame::Station, "the CDC driver has it");
    }
    Result<> selectAlternate(std::uint8_t, std::uint8_t) override { return {}; }
    Result<std::size_t> controlIn(ControlSetup setup, ByteSpan to, const OpContext& op) override
    {
        TRY(op.checkpoint());
        seen.push_back({.setup = setup, .length = to.size()});
        const Bytes bytes = TRY(next());
        const std::size_t count = std::min(bytes.size(), to.size());
        std::copy_n(bytes.begin(), count, to.begin());
        return count;
    }
    Result<> controlOut(ControlSetup setup, ByteView data, const OpContext& op) override
    {
        TRY(op.checkpoint());
        seen.push_back({.setup = setup, .length = data.size(), .data = toBytes(data)});
        TRY(next());
        return {};
    }
    Result<std::size_t> bulkIn(std::uint8_t, ByteSpan, const OpContext&) override { return 0U; }
    Result<> bulkOut(std::uint8_t, ByteView, const OpContext&) override { return {}; }
    Result<> reset() override { return {}; }

private:
    Answer next()
    {
        if (answers.empty())
            return fail(Errc::Internal, Blame::Software, "the script has ended");
        Answer answer = std::move(answers.front());
        answers.pop_front();
        return answer;
    }
    UsbDeviceInfo m_info{.id = {0x2b04, 0xc006}};
};

Bytes octetsOf(std::string_view text)
{
    return fromHex(text).value_or(Bytes{});
}
ScriptedUnit::Answer stall()
{
    return fail(Errc::Protocol, Blame::Unit, "stalled");
}
ScriptedUnit::Answer gone()
{
    return fail(Errc::Disconnected, Blame::Fixture, "gone");
}

struct ControlBench {
    VirtualClock clock;
    ScriptedUnit unit;
    ControlRequests requests{unit};
    OpContext op(std::chrono::milliseconds limit = 600s) const
    {
        return {.clock = clock, .deadline = {clock.now() + limit}};
    }
};

class TstControlRequests : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void raw_readsTextWithoutClaiming();
    void raw_refusesWhatIsNoDeviceId();
    void raw_stallMeansOldFirmware();
    void raw_disconnectIsSuccessOnlyWhereTheUnitLeaves();
    void queued_sendsAndReceives();
    void queued_withoutPayloadSkipsSend();
    void queued_waitsWhileTheUnitIsBusy();
    void queued_givesUpOnAUnitThatStaysBusy();
    void queued_negativeResultIsDenied();
    void queued_unknownRequestIsUnsupported();
    void queued_notFoundAndStallAreUnsupported();
    void queued_shortRepliesAreErrors();
    void queued_pendingEndsAtTheDeadlineAndIsReset();
};

void TstControlRequests::raw_readsTextWithoutClaiming()
{
    ControlBench bench;
    bench.unit.answers = {toBytes("1E0047001347343339383037"),
                          toBytes(std::string_view("2.3.1\0\0", 7))};
    QCOMPARE(bench.requests.deviceId(bench.op()).value_or(""),
             std::string("1e0047001347343339383037"));
    QCOMPARE(bench.requests.systemVersion(bench.op()).value_or(""), std::string("2.3.1"));
    QCOMPARE(bench.unit.seen[0].setup.requestType, std::uint8_t{0xC0});
    QCOMPARE(bench.unit.seen[0].setup.request, std::uint8_t{0x50});
    QCOMPARE(bench.unit.seen[0].setup.index, std::uint16_t{20});
    QCOMPARE(bench.unit.seen[1].setup.index, std::uint16_t{30});
}

void TstControlRequests::raw_refusesWhatIsNoDeviceId()
{
    ControlBench bench;
    bench.unit.answers = {toBytes("1e00470013473433393830"), Bytes{}};
    VERIFY_FAILS(bench.requests.deviceId(bench.op()), Errc::InvalidData);
    VERIFY_FAILS(bench.requests.systemVersion(bench.op()), Errc::InvalidData);
}

void TstControlRequests::raw_stallMeansOldFirmware()
{
    ControlBench bench;
    bench.unit.answers = {stall(), stall()};
    VERIFY_FAILS(bench.requests.deviceId(bench.op()), Errc::Unsupported);
    VERIFY_FAILS(bench.requests.enterDfu(bench.op()), Errc::Unsupported);
}

void TstControlRequests::raw_disconnectIsSuccessOnlyWhereTheUnitLeaves()
{
    ControlBench bench;
    bench.unit.answers = {gone(), gone(), gone(), Bytes{}};
    VERIFY_OK(bench.requests.reset(bench.op()));
    VERIFY_OK(bench.requests.enterDfu(bench.op()));
    VERIFY_FAILS(bench.requests.startListening(bench.op()), Errc::Disconnected);
    VERIFY_OK(bench.requests.startListening(bench.op()));
    QCOMPARE(bench.unit.seen[0].setup.index, std::uint16_t{40});
    QCOMPARE(bench.unit.seen[1].setup.index, std::uint16_t{50});
    QCOMPARE(bench.unit.seen[2].setup.index, std::uint16_t{70});
    QCOMPARE(bench.unit.seen[2].setup.requestType, std::uint8_t{0x40});
}

void TstControlRequests::queued_sendsAndReceives()
{
    ControlBench bench;
    // INIT: flags status|id, pending, id 7. CHECK: ok. SEND. CHECK: pending, then size 3, result 0.
    bench.unit.answers = {octetsOf("030000000200"
                                   "0700"),
                          octetsOf("010000000000"),
                          Bytes{},
                          octetsOf("010000000200"),
                          octetsOf("0d0000000000"
                                   "03000000"
                                   "00000000"),
                          octetsOf("0a0b0c")};
    const auto reply = bench.requests.queued(211, toBytes("\x08\x03"), bench.op());
    VERIFY_OK(reply);
    QCOMPARE(*reply, octetsOf("0a0b0c"));
    const auto& seen = bench.unit.seen;
    std::vector<int> stages;
    for (const auto& one : seen)
        stages.push_back(one.setup.request);
    QCOMPARE(stages, (std::vector<int>{1, 2, 3, 2, 2, 4}));
    QCOMPARE(seen[0].setup.value, std::uint16_t{2});
    QCOMPARE(seen[0].setup.index, std::uint16_t{211});
    QCOMPARE(seen[0].length, std::size_t{64});
    QCOMPARE(seen[2].setup.requestType, std::uint8_t{0x40});
    QCOMPARE(seen[2].setup.index, std::uint16_t{7});
    QCOMPARE(seen[2].data, toBytes("\x08\x03"));
    QCOMPARE(seen[5].length, std::size_t{3});
}

void TstControlRequests::queued_withoutPayloadSkipsSend()
{
    ControlBench bench;
    bench.unit.answers = {octetsOf("030000000000"
                                   "0100"),
                          octetsOf("090000000000"
                                   "00000000")};
    VERIFY_OK(bench.requests.clearWifiCredentials(bench.op()));
    QCOMPARE(bench.unit.seen.size(), std::size_t{2});
    QCOMPARE(bench.unit.seen[0].setup.index, std::uint16_t{115});
    QCOMPARE(bench.unit.seen[0].setup.value, std::uint16_t{0});
}

void TstControlRequests::queued_waitsWhileTheUnitIsBusy()
{
    ControlBench bench;
    bench.unit.answers = {octetsOf("010000000300"), octetsOf("010000000400"),
                          octetsOf("030000000000"
                                   "0100"),
                          octetsOf("090000000000"
                                   "00000000")};
    const auto before = bench.clock.now();
    VERIFY_OK(bench.requests.clearWifiCredentials(bench.op()));
    QVERIFY(bench.clock.now() - before >= 30ms);
}

void TstControlRequests::queued_givesUpOnAUnitThatStaysBusy()
{
    ControlBench bench;
    bench.unit.answers.assign(100, octetsOf("010000000300"));
    VERIFY_FAILS(bench.requests.clearWifiCredentials(bench.op()), Errc::Busy);
    QVERIFY(bench.unit.seen.size() <= 20);
}

void TstControlRequests::queued_negativeResultIsDenied()
{
    ControlBench bench;
    bench.unit.answers = {octetsOf("030000000000"
                                   "0100"),
                          octetsOf("090000000000"
                                   "92ffffff")};
    const auto reply = bench.requests.queued(213, {}, bench.op());
    VERIFY_FAILS(reply, Errc::Denied);
    QCOMPARE(reply.error().native.value_or(0), -110);
}

void TstControlRequests::queued_unknownRequestIsUnsupported()
{
    ControlBench bench;
    bench.unit.answers = {octetsOf("030000000000"
                                   "0100"),
                          octetsOf("090000000000"
                                   "88ffffff")};
    const auto reply = bench.requests.queued(115, {}, bench.op());
    VERIFY_FAILS(reply, Errc::Unsupported);
    QCOMPARE(reply.error().native.value_or(0), -120);
}

void TstControlRequests::queued_notFoundAndStallAreUnsupported()
{
    ControlBench bench;
    bench.unit.answers = {stall(), octetsOf("010000000500"),
                          octetsOf("030000000000"
                                   "0100"),
                          octetsOf("010000000500"), Bytes{}};
    VERIFY_FAILS(bench.requests.clearWifiCredentials(bench.op()), Errc::Unsupported);
    VERIFY_FAILS(bench.requests.clearWifiCredentials(bench.op()), Errc::Unsupported);
    VERIFY_FAILS(bench.requests.clearWifiCredentials(bench.op()), Errc::Unsupported);
}

void TstControlRequests::queued_shortRepliesAreErrors()
{
    for (const std::string_view reply :
         {"", "0300", "0300000000", "030000000000", "03000000000001"}) {
        ControlBench bench;
        bench.unit.answers = {octetsOf(reply)};
        VERIFY_FAILS(bench.requests.clearWifiCredentials(bench.op()), Errc::InvalidData);
    }
    ControlBench huge;
    huge.unit.answers = {octetsOf("030000000000"
                                  "0100"),
                         octetsOf("0d0000000000"
                                  "ffffffff"
                                  "00000000"),
                         octetsOf("010000000000")};
    VERIFY_FAILS(huge.requests.queued(211, {}, huge.op()), Errc::Protocol);
    ControlBench cut;
    cut.unit.answers = {octetsOf("030000000000"
                                 "0100"),
                        octetsOf("0d0000000000"
                                 "04000000"
                                 "00000000"),
                        octetsOf("0a0b0c"), octetsOf("010000000000")};
    VERIFY_FAILS(cut.requests.queued(211, {}, cut.op()), Errc::Protocol);
}

void TstControlRequests::queued_pendingEndsAtTheDeadlineAndIsReset()
{
    ControlBench bench;
    bench.unit.answers.assign(10000, octetsOf("010000000200"));
    bench.unit.answers.front() = octetsOf("030000000000"
                                          "0900");
    VERIFY_FAILS(bench.requests.queued(115, {}, bench.op(10s)), Errc::Timeout);
    QCOMPARE(bench.unit.seen.back().setup.request, std::uint8_t{5});
    QCOMPARE(bench.unit.seen.back().setup.index, std::uint16_t{9});
}

} // namespace

PROVOST_TEST("control_requests", TstControlRequests)
#include "tst_control_requests.moc"
