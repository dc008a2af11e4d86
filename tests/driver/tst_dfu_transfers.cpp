// DfuDevice against a scripted DfuSe device: erasing, writing, reading, and how long it waits
// (protocol sheet 1.3 to 1.8).
#include "scripted_dfu.h"
#include "support/test_program.h"
#include "support/verify.h"

#include <QTest>

#include <algorithm>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

class CountingSink final : public ProgressSink {
public:
    void report(std::string_view, double fraction) override { seen.push_back(fraction); }
    std::vector<double> seen;
};

class TstDfuTransfers : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void erase_takesEachSectorOnce();
    void erase_reportsProtectedSectorWithoutATransfer();
    void erase_refusesAddressesOutsideOfTheLayout();
    void erase_takesAStalledStatusForARefusal();
    void erase_reportsWhatTheUnitReports();
    void download_countsBlocksFromOneAddress();
    void download_setsTheAddressAgainForAShortTail();
    void download_setsEveryAddressWhereBlocksAreClamped();
    void download_refusesProtectedMemoryWithoutATransfer();
    void download_reportsProgressByBytes();
    void download_worksAgainAfterAFailedBlock();
    void poll_waitsAsLongAsTheUnitSays();
    void poll_ofZeroIsLegal();
    void poll_givesUpOnEndlessZero();
    void poll_endsAtTheDeadline();
    void poll_capsAbsurdTimes();
    void poll_endsAfterTwoMinutesWhateverTheUnitSays();
    void refusals_sayWhatTheyMean();
    void blocks_belowThePacketSizeAreSentByAddress();
    void romStallsWhenPolledEarly_areWaitedOutThreeTimes();
    void poll_beyondTheDeadlineIsATimeout();
    void upload_readsExactlyWhatWasAsked();
    void upload_reportsAnEarlyEnd();
    void upload_learnsWhyTheUnitStalls();
    void secrets_areMarkedOnTheirTransfersAlone();
};

void TstDfuTransfers::erase_takesEachSectorOnce()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    VERIFY_OK(bench.dfu().erase(0x0800C001, 0x08040000 - 0x0800C001 + 1, bench.op()));
    QCOMPARE(bench.log.erased,
             (std::vector<std::uint32_t>{0x0800C000, 0x08010000, 0x08020000, 0x08040000}));
    QVERIFY(bench.log.violations.empty());
}

void TstDfuTransfers::erase_reportsProtectedSectorWithoutATransfer()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    const int before = bench.log.transfers;
    VERIFY_FAILS(bench.dfu().erase(0x08000000, 16, bench.op()), Errc::Protected);
    // Also where the range only touches it.
    VERIFY_FAILS(bench.dfu().erase(0x0800BFFF, 0x20000, bench.op()), Errc::Protected);
    QCOMPARE(bench.log.transfers, before);
}

void TstDfuTransfers::erase_refusesAddressesOutsideOfTheLayout()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    const int before = bench.log.transfers;
    VERIFY_FAILS(bench.dfu().erase(0x080E0000, 0x20001, bench.op()), Errc::InvalidArgument);
    VERIFY_FAILS(bench.dfu().erase(0x20000000, 1, bench.op()), Errc::InvalidArgument);
    VERIFY_FAILS(bench.dfu().erase(0x080E0000, 0xFFFFFFFF, bench.op()), Errc::InvalidArgument);
    VERIFY_FAILS(bench.dfu().upload(0x080FFFFF, 0xFFFFFFFF, bench.op()), Errc::InvalidArgument);
    QCOMPARE(bench.log.transfers, before);
}

void TstDfuTransfers::erase_takesAStalledStatusForARefusal()
{
    DfuBench bench({.stallsStatusOfWork = true});
    VERIFY_OK(bench.opened);
    VERIFY_FAILS(bench.dfu().erase(0x08020000, 1, bench.op()), Errc::Protected);
}

void TstDfuTransfers::erase_reportsWhatTheUnitReports()
{
    DfuBench target({.failWith = 0x01});
    auto result = target.dfu().erase(0x08020000, 1, target.op());
    VERIFY_FAILS(result, Errc::Protected);
    QVERIFY(result.error().message.find("erase sector 0x08020000") != std::string::npos);
    QVERIFY(result.error().message.find("errTARGET") != std::string::npos);

    DfuBench broken({.failWith = 0x04});
    result = broken.dfu().erase(0x08020000, 1, broken.op());
    VERIFY_FAILS(result, Errc::Io);
    QCOMPARE(result.error().blame, Blame::Unit);
    QCOMPARE(result.error().native.value_or(-1), 4);
}

void TstDfuTransfers::download_countsBlocksFromOneAddress()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    bench.log.entries.clear();
    const MemoryBlock block{.address = 0x08020000, .bytes = dfuPattern(3 * 4096)};
    VERIFY_OK(bench.dfu().download(block, bench.op()));
    std::vector<int> values;
    for (const auto& entry : bench.log.entries) {
        if (entry.kind == 'D')
            values.push_back(entry.value);
    }
    QCOMPARE(values, (std::vector<int>{0, 2, 3, 4}));
    QCOMPARE(bench.memoryAt(block.address, block.bytes.size()), block.bytes);
}

void TstDfuTransfers::download_setsTheAddressAgainForAShortTail()
{
    DfuBench bench({.transferSize = 1024, .alternates = {std::string(kCoreFlashLayout)}});
    VERIFY_OK(bench.opened);
    bench.log.entries.clear();
    const MemoryBlock block{.address = 0x08005000, .bytes = dfuPattern(2 * 1024 + 6)};
    VERIFY_OK(bench.dfu().download(block, bench.op()));
    std::vector<int> values;
    std::vector<std::size_t> sizes;
    for (const auto& entry : bench.log.entries) {
        if (entry.kind == 'D') {
            values.push_back(entry.value);
            sizes.push_back(entry.data.size());
        }
    }
    QCOMPARE(values, (std::vector<int>{0, 2, 3, 0, 2}));
    QCOMPARE(sizes, (std::vector<std::size_t>{5, 1024, 1024, 5, 6}));
    QCOMPARE(bench.memoryAt(block.address, block.bytes.size()), block.bytes);
}

void TstDfuTransfers::download_setsEveryAddressWhereBlocksAreClamped()
{
    DfuBench bench({.transferSize = 8192});
    VERIFY_OK(bench.opened);
    const MemoryBlock block{.address = 0x08020000, .bytes = dfuPattern(3 * 4096)};
    VERIFY_OK(bench.dfu().download(block, bench.op()));
    QCOMPARE(bench.memoryAt(block.address, block.bytes.size()), block.bytes);
    const auto read = bench.dfu().upload(block.address, 3 * 4096, bench.op());
    VERIFY_OK(read);
    QCOMPARE(*read, block.bytes);
}

void TstDfuTransfers::download_refusesProtectedMemoryWithoutATransfer()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    const int before = bench.log.transfers;
    VERIFY_FAILS(bench.dfu().download({.address = 0x0800BFFC, .bytes = dfuPattern(8)}, bench.op()),
                 Errc::Protected);
    QCOMPARE(bench.log.transfers, before);
}

void TstDfuTransfers::download_reportsProgressByBytes()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    CountingSink sink;
    OpContext op = bench.op();
    op.progress.sink = &sink;
    VERIFY_OK(bench.dfu().download({.address = 0x08020000, .bytes = dfuPattern(4 * 4096)}, op));
    QCOMPARE(sink.seen, (std::vector<double>{0.25, 0.5, 0.75, 1.0}));
}

void TstDfuTransfers::download_worksAgainAfterAFailedBlock()
{
    DfuBench bench({.failWith = 0x07});
    VERIFY_OK(bench.opened);
    const MemoryBlock block{.address = 0x08020000, .bytes = dfuPattern(5000)};
    VERIFY_FAILS(bench.dfu().download(block, bench.op()), Errc::Io);
    VERIFY_OK(bench.dfu().download(block, bench.op()));
    QCOMPARE(bench.memoryAt(block.address, block.bytes.size()), block.bytes);
}

void TstDfuTransfers::poll_waitsAsLongAsTheUnitSays()
{
    DfuBench bench({.poll = 500ms, .busyAnswers = 3});
    VERIFY_OK(bench.opened);
    const auto before = bench.clock.now();
    VERIFY_OK(bench.dfu().erase(0x08020000, 1, bench.op()));
    QVERIFY(bench.clock.now() - before >= 1500ms);
    QVERIFY(bench.log.violations.empty());
}

void TstDfuTransfers::poll_ofZeroIsLegal()
{
    DfuBench bench({.poll = 0ms, .busyAnswers = 90});
    VERIFY_OK(bench.opened);
    const auto before = bench.clock.now();
    VERIFY_OK(bench.dfu().erase(0x08020000, 1, bench.op()));
    QVERIFY(bench.clock.now() - before >= 89ms); // at once the first time only
}

void TstDfuTransfers::poll_givesUpOnEndlessZero()
{
    DfuBench bench({.poll = 0ms, .busyAnswers = 1'000'000});
    VERIFY_OK(bench.opened);
    VERIFY_FAILS(bench.dfu().erase(0x08020000, 1, bench.op()), Errc::Timeout);
    QVERIFY(bench.log.transfers < 200);
}

void TstDfuTransfers::poll_endsAtTheDeadline()
{
    DfuBench bench({.poll = 100ms, .busyAnswers = 1'000'000});
    VERIFY_OK(bench.opened);
    const auto before = bench.clock.now();
    VERIFY_FAILS(bench.dfu().erase(0x08020000, 1, bench.op(5s)), Errc::Timeout);
    QCOMPARE((bench.clock.now() - before).count(), std::chrono::nanoseconds(5s).count());
}

void TstDfuTransfers::poll_capsAbsurdTimes()
{
    DfuBench bench({.poll = 0xFFFFFFms, .busyAnswers = 1});
    VERIFY_OK(bench.opened);
    auto before = bench.clock.now();
    VERIFY_OK(bench.dfu().erase(0x08020000, 1, bench.op()));
    QCOMPARE((bench.clock.now() - before).count(), std::chrono::nanoseconds(4s).count());
    // Set address and one block: as long as programming can take.
    before = bench.clock.now();
    VERIFY_OK(bench.dfu().download({.address = 0x08020000, .bytes = dfuPattern(16)}, bench.op()));
    QCOMPARE((bench.clock.now() - before).count(), std::chrono::nanoseconds(2s).count());
}

void TstDfuTransfers::poll_endsAfterTwoMinutesWhateverTheUnitSays()
{
    for (const auto poll : {1000ms, 59'000ms}) {
        DfuBench bench({.poll = poll, .busyAnswers = 1'000'000});
        VERIFY_OK(bench.opened);
        const auto before = bench.clock.now();
        VERIFY_FAILS(bench.dfu().erase(0x08020000, 1, bench.op(3600s)), Errc::Timeout);
        QVERIFY(bench.clock.now() - before <= 120s);
    }
    // Also where an earlier session left it busy.
    DfuBench busy({.state = 7});
    QVERIFY(!busy.opened);
    QCOMPARE(busy.opened.error().code, Errc::Timeout);
}

void TstDfuTransfers::refusals_sayWhatTheyMean()
{
    DfuBench bench({.failWith = 0x0B});
    const auto result = bench.dfu().erase(0x08020000, 1, bench.op());
    VERIFY_FAILS(result, Errc::Protected);
    QVERIFY(result.error().message.find("read-protected") != std::string::npos);
}

void TstDfuTransfers::blocks_belowThePacketSizeAreSentByAddress()
{
    DfuBench bench({.transferSize = 32});
    VERIFY_OK(bench.opened);
    QCOMPARE(bench.dfu().attributes().transferSize, std::uint16_t{64});
}

void TstDfuTransfers::romStallsWhenPolledEarly_areWaitedOutThreeTimes()
{
    // The ROM names a time and stalls while it works; Particle's boot loaders stall to refuse.
    for (const auto& [id, stalls, works] : {std::tuple{UsbId{0x0483, 0xDF11}, 3, true},
                                            {UsbId{0x0483, 0xDF11}, 4, false},
                                            {UsbId{0x2B04, 0xD006}, 1, false}}) {
        DfuBench bench({.poll = 10ms, .id = id, .stallsWhileBusy = stalls});
        VERIFY_OK(bench.opened);
        const auto result = bench.dfu().erase(0x08020000, 1, bench.op());
        QCOMPARE(result.has_value(), works);
    }
}

void TstDfuTransfers::poll_beyondTheDeadlineIsATimeout()
{
    DfuBench bench({.poll = 30s});
    VERIFY_OK(bench.opened);
    VERIFY_FAILS(bench.dfu().erase(0x08020000, 1, bench.op(10s)), Errc::Timeout);
}

void TstDfuTransfers::upload_readsExactlyWhatWasAsked()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    const MemoryBlock block{.address = 0x08020000, .bytes = dfuPattern(2 * 4096 + 612)};
    VERIFY_OK(bench.dfu().download(block, bench.op()));
    bench.log.entries.clear();
    const auto read = bench.dfu().upload(block.address, 2 * 4096 + 612, bench.op());
    VERIFY_OK(read);
    QCOMPARE(*read, block.bytes);
    std::vector<std::size_t> asked;
    std::vector<int> blocks;
    for (const auto& entry : bench.log.entries) {
        if (entry.kind == 'U') {
            asked.push_back(entry.asked);
            blocks.push_back(entry.value);
        }
    }
    QCOMPARE(asked, (std::vector<std::size_t>{4096, 4096, 612}));
    QCOMPARE(blocks, (std::vector<int>{2, 3, 2}));
    // The device is left idle.
    QCOMPARE(bench.log.kinds().back(), 'A');
    // Reading is allowed where writing is not.
    VERIFY_OK(bench.dfu().upload(0x08000000, 16, bench.op()));
}

void TstDfuTransfers::upload_reportsAnEarlyEnd()
{
    DfuBench bench({.memoryEnd = 0x08021800});
    VERIFY_OK(bench.opened);
    const auto read = bench.dfu().upload(0x08020000, 3 * 4096, bench.op());
    VERIFY_FAILS(read, Errc::Protocol);
    QVERIFY2(read.error().message.find("2048 of 4096") != std::string::npos,
             read.error().message.c_str());
    VERIFY_OK(bench.dfu().upload(0x08020000, 4096, bench.op()));
}

void TstDfuTransfers::upload_learnsWhyTheUnitStalls()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    // The UPLOAD itself: set address takes three transfers and ABORT one.
    bench.log.faultAt = bench.log.transfers + 4;
    bench.log.fault = DfuFault::Stall;
    VERIFY_FAILS(bench.dfu().upload(0x08020000, 4096, bench.op()), Errc::Protocol);
    VERIFY_OK(bench.dfu().upload(0x08020000, 4096, bench.op()));
}

void TstDfuTransfers::secrets_areMarkedOnTheirTransfersAlone()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    VERIFY_OK(bench.dfu().select(1, bench.op()));
    bench.log.entries.clear();
    const Bytes key = dfuPattern(612);
    VERIFY_OK(bench.dfu().downloadSecret(34, SecretBytes(key), bench.op()));
    const auto read = bench.dfu().uploadSecret(34, 612, bench.op());
    VERIFY_OK(read);
    QVERIFY(equalBytes(read->reveal(), key));
    // Block 0 is a command: an address. Statuses and aborts tell nothing of the data either.
    std::size_t secrets = 0;
    for (const auto& entry : bench.log.entries) {
        const bool carriesData = entry.kind == 'U' || (entry.kind == 'D' && entry.value >= 2);
        QCOMPARE(entry.sensitive, carriesData);
        secrets += carriesData ? entry.data.size() + entry.asked : 0;
    }
    QVERIFY(secrets >= 2 * key.size());
}

} // namespace

PROVOST_TEST("dfu_transfers", TstDfuTransfers)
#include "tst_dfu_transfers.moc"
