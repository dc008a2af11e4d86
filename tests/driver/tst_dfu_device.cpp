// DfuDevice against a scripted DfuSe device: opening, choosing, leaving, and every fault at every
// transfer (protocol sheet 1.8).
#include "scripted_dfu.h"
#include "support/test_program.h"
#include "support/verify.h"

#include <QTest>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

class TstDfuDevice : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void open_readsAlternatesAndAttributes();
    void open_clearsTheErrorStateOfACore();
    void open_abortsWhatWasUnderWay();
    void open_findsTheFunctionalDescriptorElsewhere();
    void open_refusesRunTimeInterfaces();
    void open_refusesPlainDfu();
    void open_refusesBlocksOfNoBytes();
    void open_failsWhereIdleIsNeverReached();
    void status_ofTheWrongSizeResetsAndFails();
    void detach_resetsABoardThatDoesNotDetachByItself_data();
    void detach_resetsABoardThatDoesNotDetachByItself();
    void detach_needsARunTimeInterface();
    void leave_acceptsEveryWayOfVanishing_data();
    void leave_acceptsEveryWayOfVanishing();
    void leave_refusalIsReported();
    void leave_closesTheDevice();
    void select_switchesTheMemory();
    void silence_isAnsweredWithOneLongStatusAndAReset();
    void faults_atEveryTransferAreReportedAndSurvived_data();
    void faults_atEveryTransferAreReportedAndSurvived();
    void repeats_countWhatHadToBeClearedOrAskedAgain();
};

void TstDfuDevice::open_readsAlternatesAndAttributes()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    QCOMPARE(bench.log.claims, 1);
    QCOMPARE(bench.log.selected, std::vector<int>{0});
    const auto& attributes = bench.dfu().attributes();
    QVERIFY(attributes.canDownload && attributes.canUpload && attributes.willDetach);
    QVERIFY(!attributes.manifestationTolerant);
    QCOMPARE(attributes.detachTimeoutMs, std::uint16_t{255});
    QCOMPARE(attributes.transferSize, std::uint16_t{4096});
    QCOMPARE(attributes.version, std::uint16_t{0x011A});
    QCOMPARE(bench.dfu().alternates().size(), std::size_t{2});
    QCOMPARE(bench.dfu().alternates()[0].name, std::string("Internal Flash"));
    QCOMPARE(bench.dfu().alternates()[1].name, std::string("DCT Flash"));
    QCOMPARE(bench.dfu().layout().size(), std::size_t{4});
}

void TstDfuDevice::open_clearsTheErrorStateOfACore()
{
    DfuBench bench({.state = 10,
                    .status = 0x0A,
                    .transferSize = 1024,
                    .alternates = {std::string(kCoreFlashLayout) + '\0'}});
    VERIFY_OK(bench.opened);
    QCOMPARE(bench.log.kinds(), std::string("SCS"));
    QCOMPARE(bench.dfu().layout().size(), std::size_t{2});
}

void TstDfuDevice::open_abortsWhatWasUnderWay()
{
    for (const int state : {3, 5, 6, 9}) {
        DfuBench bench({.state = static_cast<std::uint8_t>(state)});
        VERIFY_OK(bench.opened);
        QCOMPARE(bench.log.kinds(), std::string("SAS"));
    }
}

void TstDfuDevice::open_findsTheFunctionalDescriptorElsewhere()
{
    DfuBench bench({.functionalInConfiguration = false});
    VERIFY_OK(bench.opened);
    QCOMPARE(bench.dfu().attributes().transferSize, std::uint16_t{4096});
}

void TstDfuDevice::open_refusesRunTimeInterfaces()
{
    DfuBench bench({.interfaceProtocol = 1});
    VERIFY_FAILS(bench.opened, Errc::Unsupported);
    QCOMPARE(bench.log.transfers, 0);
}

void TstDfuDevice::open_refusesPlainDfu()
{
    DfuBench bench({.version = 0x0110});
    VERIFY_FAILS(bench.opened, Errc::Unsupported);
}

void TstDfuDevice::open_refusesBlocksOfNoBytes()
{
    DfuBench bench({.transferSize = 0});
    VERIFY_FAILS(bench.opened, Errc::Unsupported);
}

void TstDfuDevice::open_failsWhereIdleIsNeverReached()
{
    // State 2 with a status that no ABORT clears.
    DfuBench bench({.state = 2, .status = 0x0B});
    VERIFY_FAILS(bench.opened, Errc::Protocol);
    QCOMPARE(bench.log.kinds(), std::string("SASASASASA"));
}

void TstDfuDevice::status_ofTheWrongSizeResetsAndFails()
{
    DfuBench bench({.shortStatus = 5});
    VERIFY_FAILS(bench.opened, Errc::InvalidData);
    QCOMPARE(bench.log.resets, 1);
}

void TstDfuDevice::detach_resetsABoardThatDoesNotDetachByItself_data()
{
    QTest::addColumn<int>("attributes");
    QTest::addColumn<int>("resets");
    QTest::newRow("WillDetach") << 0x0B << 0;
    QTest::newRow("waits for the reset") << 0x03 << 1;
}

void TstDfuDevice::detach_resetsABoardThatDoesNotDetachByItself()
{
    QFETCH(const int, attributes);
    QFETCH(const int, resets);
    const VirtualClock clock;
    DfuLog log;
    const DfuBehaviour runs{.interfaceProtocol = 1,
                            .attributes = static_cast<std::uint8_t>(attributes)};
    const OpContext op{.clock = clock, .deadline = {clock.now() + 10s}};
    VERIFY_OK(DfuDevice::detach(std::make_unique<ScriptedDfu>(runs, log, clock), op));
    QCOMPARE(log.kinds(), std::string("X"));
    QCOMPARE(log.entries[0].value, std::uint16_t{1000});
    QCOMPARE(log.resets, resets);
    // One that is gone before it answers has obeyed; one that refuses has not.
    log.faultAt = log.transfers;
    log.fault = DfuFault::Vanish;
    VERIFY_OK(DfuDevice::detach(std::make_unique<ScriptedDfu>(runs, log, clock), op));
    log.faultAt = log.transfers;
    log.fault = DfuFault::Stall;
    VERIFY_FAILS(DfuDevice::detach(std::make_unique<ScriptedDfu>(runs, log, clock), op),
                 Errc::Protocol);
}

void TstDfuDevice::detach_needsARunTimeInterface()
{
    const VirtualClock clock;
    DfuLog log;
    const OpContext op{.clock = clock, .deadline = {clock.now() + 10s}};
    VERIFY_FAILS(DfuDevice::detach(std::make_unique<ScriptedDfu>(DfuBehaviour{}, log, clock), op),
                 Errc::Unsupported);
    QCOMPARE(log.transfers, 0);
}

void TstDfuDevice::leave_acceptsEveryWayOfVanishing_data()
{
    QTest::addColumn<int>("fault");
    QTest::addColumn<int>("state");
    QTest::newRow("state 5, as these boards") << int(DfuFault::None) << 5;
    QTest::newRow("state 7, as DFU 1.1") << int(DfuFault::None) << 7;
    QTest::newRow("state 2") << int(DfuFault::None) << 2;
    QTest::newRow("gone") << int(DfuFault::Vanish) << 5;
    QTest::newRow("EPIPE") << int(DfuFault::Stall) << 5;
    QTest::newRow("no answer") << int(DfuFault::Silence) << 5;
}

void TstDfuDevice::leave_acceptsEveryWayOfVanishing()
{
    QFETCH(int, fault);
    QFETCH(int, state);
    DfuBench bench({.leaveFault = static_cast<DfuFault>(fault),
                    .stateAfterLeave = static_cast<std::uint8_t>(state)});
    VERIFY_OK(bench.opened);
    VERIFY_OK(bench.dfu().leave(0x08020000, bench.op()));
}

void TstDfuDevice::leave_refusalIsReported()
{
    DfuBench bench({.stateAfterLeave = 10});
    VERIFY_OK(bench.opened);
    QVERIFY(!bench.dfu().leave(0x08020000, bench.op()).has_value());
}

void TstDfuDevice::leave_closesTheDevice()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    VERIFY_OK(bench.dfu().leave(0x08020000, bench.op()));
    VERIFY_FAILS(bench.dfu().erase(0x08020000, 1, bench.op()), Errc::Disconnected);
    VERIFY_FAILS(bench.dfu().select(1, bench.op()), Errc::Disconnected);
    QCOMPARE(bench.dfu().usb().id.product, std::uint16_t{0xd006});
}

void TstDfuDevice::select_switchesTheMemory()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    VERIFY_OK(bench.dfu().select(1, bench.op()));
    QCOMPARE(bench.log.selected, (std::vector<int>{0, 1}));
    QCOMPARE(bench.dfu().layout().front().size, 0x4000U);
    VERIFY_FAILS(bench.dfu().select(2, bench.op()), Errc::NotFound);
    VERIFY_OK(bench.dfu().erase(0, 0x4000, bench.op()));
}

void TstDfuDevice::silence_isAnsweredWithOneLongStatusAndAReset()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    // The GETSTATUS behind the erase command never answers.
    bench.log.faultAt = bench.log.transfers + 1;
    bench.log.fault = DfuFault::Silence;
    const auto before = bench.clock.now();
    VERIFY_FAILS(bench.dfu().erase(0x08020000, 1, bench.op()), Errc::Timeout);
    QVERIFY(bench.clock.now() - before >= 35s);
    QCOMPARE(bench.log.resets, 1);
}

void TstDfuDevice::faults_atEveryTransferAreReportedAndSurvived_data()
{
    QTest::addColumn<int>("fault");
    QTest::newRow("stall") << int(DfuFault::Stall);
    QTest::newRow("vanish") << int(DfuFault::Vanish);
    QTest::newRow("silence") << int(DfuFault::Silence);
    QTest::newRow("cancel") << int(DfuFault::Cancel);
}

void TstDfuDevice::faults_atEveryTransferAreReportedAndSurvived()
{
    QFETCH(int, fault);
    const MemoryBlock block{.address = 0x08020000, .bytes = dfuPattern(4096 + 100)};
    const auto flow = [&](DfuBench& bench) -> Result<> {
        TRY(bench.dfu().erase(block.address, 4196, bench.op()));
        TRY(bench.dfu().download(block, bench.op()));
        TRY(bench.dfu().upload(block.address, 4196, bench.op()));
        return {};
    };
    DfuBench clean;
    VERIFY_OK(clean.opened);
    const int first = clean.log.transfers;
    VERIFY_OK(flow(clean));
    const int last = clean.log.transfers;
    QVERIFY(last - first > 20);
    for (int at = first; at < last; ++at) {
        DfuBench bench;
        VERIFY_OK(bench.opened);
        bench.log.faultAt = at;
        bench.log.fault = static_cast<DfuFault>(fault);
        QVERIFY2(!flow(bench).has_value(), concat("transfer ", at).c_str());
        VERIFY_OK(flow(bench));
        QCOMPARE(bench.memoryAt(block.address, block.bytes.size()), block.bytes);
        QVERIFY(bench.log.violations.empty());
    }
}

void TstDfuDevice::repeats_countWhatHadToBeClearedOrAskedAgain()
{
    const MemoryBlock block{.address = 0x08020000, .bytes = dfuPattern(100)};
    DfuBench clean;
    VERIFY_OK(clean.dfu().download(block, clean.op()));
    QCOMPARE(clean.dfu().repeats(), 0);
    // The state in which a Core starts is nobody's fault; any other error was left behind.
    QCOMPARE(DfuBench({.state = 10, .status = 0x0A}).dfu().repeats(), 0);
    QCOMPARE(DfuBench({.state = 10, .status = 0x0E}).dfu().repeats(), 1);
    // A block that stalled leaves an error, which is cleared before the next one.
    DfuBench bench;
    bench.log.faultAt = bench.log.transfers + 2;
    bench.log.fault = DfuFault::Stall;
    QVERIFY(!bench.dfu().download(block, bench.op()));
    bench.log.memory.clear();
    DfuBench refused({.failWith = 3});
    VERIFY_FAILS(refused.dfu().download(block, refused.op()), Errc::Protected);
    VERIFY_OK(refused.dfu().download(block, refused.op()));
    QCOMPARE(refused.dfu().repeats(), 1);
    DfuBench early({.poll = 1ms, .id = {0x0483, 0xDF11}, .stallsWhileBusy = 2});
    VERIFY_OK(early.dfu().download(block, early.op()));
    QCOMPARE(early.dfu().repeats(), 2);
}

} // namespace

PROVOST_TEST("dfu_device", TstDfuDevice)
#include "tst_dfu_device.moc"
