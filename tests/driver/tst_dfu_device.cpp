// DfuDevice against a small DfuSe device that is written here, fault by fault (protocol sheet 1.8).
#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/dfu_device.h"
#include "support/test_program.h"
#include "support/verify.h"

#include <QTest>

#include <algorithm>
#include <deque>
#include <map>

using namespace provost;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kPhotonFlash =
    "@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg";
constexpr std::string_view kPhotonDct = "@DCT Flash   /0x00000000/01*016Kg";
constexpr std::string_view kCoreFlash = "@Internal Flash  /0x08000000/20*001Ka,108*001Kg";

enum class Fault { None, Stall, Vanish, Silence, Cancel };

struct Behaviour {
    std::uint8_t state = 2;
    std::uint8_t status = 0;
    std::uint16_t transferSize = 4096;
    std::uint16_t version = 0x011A;
    std::uint8_t interfaceProtocol = 2;
    bool functionalInConfiguration = true;
    std::vector<std::string> alternates{std::string(kPhotonFlash), std::string(kPhotonDct)};
    std::chrono::milliseconds poll{0};
    int busyAnswers = 1;                  ///< dfuDNBUSY so often before the work is done
    std::size_t shortStatus = 6;          ///< bytes of GETSTATUS
    std::uint8_t failWith = 0;            ///< bStatus of the next command or block
    bool stallsStatusOfWork = false;      ///< F205: the only sign of a refused block
    std::uint32_t memoryEnd = 0xFFFFFFFF; ///< UPLOAD ends there
    Fault leaveFault = Fault::None;
    std::uint8_t stateAfterLeave = 5;
    std::uint8_t attributes = 0x0B;
    UsbId id{0x2b04, 0xd006};
    int stallsWhileBusy = 0; ///< GETSTATUS behind the first busy answer
};

/// What the test looks at afterwards; outlives the device.
struct Log {
    struct Entry {
        char kind = '?'; ///< D, U, S, C, A
        std::uint16_t value = 0;
        Bytes data{};
        std::size_t asked = 0;
        bool sensitive = false;
    };
    std::vector<Entry> entries{};
    int transfers = 0;
    int resets = 0;
    int claims = 0;
    std::vector<int> selected{};
    std::vector<std::uint32_t> erased{};
    std::map<std::uint32_t, std::byte> memory{};
    std::vector<std::string> violations{};
    int faultAt = -1; ///< number of the transfer that fails
    Fault fault = Fault::None;

    std::string kinds() const
    {
        std::string text;
        for (const auto& entry : entries)
            text.push_back(entry.kind);
        return text;
    }
};

class ScriptedDfu final : public UsbDevice {
public:
    ScriptedDfu(Behaviour behaviour, Log& log, const VirtualClock& clock)
        : m_is(std::move(behaviour)), m_log(log), m_clock(clock)
    {
        m_info.id = m_is.id;
    }
    const UsbDeviceInfo& info() const override { return m_info; }
    Result<Bytes> descriptor(std::uint8_t type, std::uint8_t index) override;
    Result<> claim(std::uint8_t) override
    {
        ++m_log.claims;
        return {};
    }
    Result<> selectAlternate(std::uint8_t, std::uint8_t alternate) override
    {
        m_log.selected.push_back(alternate);
        return {};
    }
    Result<std::size_t> controlIn(ControlSetup setup, ByteSpan to, const OpContext& op) override;
    Result<> controlOut(ControlSetup setup, ByteView data, const OpContext& op) override;
    Result<std::size_t> bulkIn(std::uint8_t, ByteSpan, const OpContext&) override
    {
        return fail(Errc::Unsupported, Blame::Software, "no bulk");
    }
    Result<> bulkOut(std::uint8_t, ByteView, const OpContext&) override
    {
        return fail(Errc::Unsupported, Blame::Software, "no bulk");
    }
    Result<> reset() override
    {
        ++m_log.resets;
        m_is.state = 2;
        m_is.status = 0;
        return {};
    }

private:
    Unexpected broken(Fault fault, const OpContext& op) const;
    Result<> enter(const OpContext& op);
    Unexpected stall()
    {
        m_is.state = 10;
        m_is.status = 0x0F;
        return fail(Errc::Protocol, Blame::Unit, "stalled");
    }
    Result<std::size_t> status(ByteSpan to, const OpContext& op);
    Result<std::size_t> upload(std::uint16_t block, ByteSpan to);
    void work();

    Behaviour m_is;
    Log& m_log;
    const VirtualClock& m_clock;
    UsbDeviceInfo m_info{};
    Clock::Steady m_notBefore{};
    std::uint16_t m_block = 0;
    Bytes m_pending{};
    bool m_isWorkPending = false;
    int m_busyLeft = 0;
    std::uint32_t m_pointer = 0;
    bool m_left = false;
};

Result<Bytes> ScriptedDfu::descriptor(std::uint8_t type, std::uint8_t index)
{
    Bytes functional;
    ByteWriter(functional)
        .u8(9)
        .u8(0x21)
        .u8(m_is.attributes)
        .le16(255)
        .le16(m_is.transferSize)
        .le16(m_is.version);
    Bytes bytes;
    if (type == 1) {
        ByteWriter(bytes).u8(18).u8(1).fill(5, std::byte{0}).u8(64).fill(10, std::byte{0});
    } else if (type == 2) {
        ByteWriter(bytes).u8(9).u8(2).fill(7, std::byte{0});
        for (unsigned i = 0; i < m_is.alternates.size(); ++i)
            ByteWriter(bytes)
                .u8(9)
                .u8(4)
                .u8(0)
                .u8(i)
                .u8(0)
                .u8(0xFE)
                .u8(1)
                .u8(m_is.interfaceProtocol)
                .u8(4 + i);
        if (m_is.functionalInConfiguration)
            ByteWriter(bytes).raw(functional);
    } else if (type == 3) {
        const std::string& text = m_is.alternates.at(index - 4U);
        ByteWriter writer(bytes);
        writer.u8(static_cast<unsigned>(2 + 2 * text.size())).u8(3);
        for (const char c : text)
            writer.u8(static_cast<unsigned char>(c)).u8(0);
    } else if (type == 0x21) {
        bytes = functional;
    }
    return bytes;
}

Unexpected ScriptedDfu::broken(Fault fault, const OpContext& op) const
{
    switch (fault) {
    case Fault::Vanish:
        return fail(Errc::Disconnected, Blame::Fixture, "gone");
    case Fault::Cancel:
        return fail(Errc::Cancelled, Blame::Operator, "stopped");
    case Fault::Silence:
        static_cast<void>(m_clock.sleepUntil(op.deadline.at, {}));
        return fail(Errc::Timeout, Blame::Fixture, "silent");
    default:
        return fail(Errc::Protocol, Blame::Unit, "stalled");
    }
}

Result<> ScriptedDfu::enter(const OpContext& op)
{
    const int number = m_log.transfers++;
    if (number == m_log.faultAt)
        return broken(m_log.fault, op);
    if (m_left && m_is.leaveFault != Fault::None)
        return broken(m_is.leaveFault, op);
    return op.checkpoint();
}

Result<std::size_t> ScriptedDfu::controlIn(ControlSetup setup, ByteSpan to, const OpContext& op)
{
    TRY(enter(op));
    const bool isStatus = setup.request == 3;
    m_log.entries.push_back({.kind = isStatus ? 'S' : 'U',
                             .value = setup.value,
                             .asked = to.size(),
                             .sensitive = op.sensitive});
    return isStatus ? status(to, op) : upload(setup.value, to);
}

Result<std::size_t> ScriptedDfu::status(ByteSpan to, const OpContext&)
{
    if (m_clock.now() < m_notBefore)
        m_log.violations.emplace_back("GETSTATUS before the poll time");
    auto poll = 0ms;
    if (m_is.state == 3 && m_isWorkPending) {
        if (m_busyLeft < m_is.busyAnswers && m_is.stallsWhileBusy > 0) {
            --m_is.stallsWhileBusy;
            return fail(Errc::Protocol, Blame::Unit, "stalled");
        }
        if (m_is.stallsStatusOfWork) {
            m_isWorkPending = false;
            return fail(Errc::Protocol, Blame::Unit, "stalled");
        }
        if (m_is.failWith != 0) {
            m_is.state = 10;
            m_is.status = std::exchange(m_is.failWith, std::uint8_t{0});
        } else if (m_busyLeft-- > 0) {
            m_is.state = 4;
            poll = m_is.poll;
        } else {
            work();
            m_is.state = 5;
        }
    }
    m_notBefore = m_clock.now() + poll;
    Bytes raw;
    ByteWriter(raw)
        .u8(m_is.status)
        .u8(static_cast<unsigned>(poll.count()))
        .le16(static_cast<unsigned>(poll.count() >> 8))
        .u8(m_is.state)
        .u8(0);
    if (m_is.state == 4)
        m_is.state = 3;
    raw.resize(m_is.shortStatus);
    std::copy(raw.begin(), raw.end(), to.begin());
    return raw.size();
}

void ScriptedDfu::work()
{
    m_isWorkPending = false;
    if (m_block == 0) {
        if (m_pending.size() != 5) {
            m_log.violations.emplace_back("a command that is not 5 bytes long");
            return;
        }
        const std::uint32_t address = readLe32(m_pending, 1);
        if (u8(m_pending[0]) == 0x21)
            m_pointer = address;
        else
            m_log.erased.push_back(address);
        return;
    }
    const std::uint32_t at = m_pointer + (m_block - 2U) * m_is.transferSize;
    for (std::uint32_t i = 0; i < m_pending.size(); ++i)
        m_log.memory[at + i] = m_pending[i];
}

Result<std::size_t> ScriptedDfu::upload(std::uint16_t block, ByteSpan to)
{
    if ((m_is.state != 2 && m_is.state != 9) || block < 2 || to.size() > m_is.transferSize)
        return stall();
    const std::uint32_t at = m_pointer + (block - 2U) * m_is.transferSize;
    std::size_t count = 0;
    for (; count < to.size() && at + count < m_is.memoryEnd; ++count) {
        const auto byte = m_log.memory.find(at + static_cast<std::uint32_t>(count));
        to[count] = byte == m_log.memory.end() ? std::byte{0xFF} : byte->second;
    }
    m_is.state = count == to.size() ? 9 : 2;
    return count;
}

Result<> ScriptedDfu::controlOut(ControlSetup setup, ByteView data, const OpContext& op)
{
    TRY(enter(op));
    constexpr std::string_view kKinds = "XD??C?A";
    m_log.entries.push_back({.kind = kKinds.at(setup.request),
                             .value = setup.value,
                             .data = toBytes(data),
                             .sensitive = op.sensitive});
    if (setup.request == 0)
        return {};
    if (setup.request == 4) {
        // Only dfuERROR knows CLRSTATUS; elsewhere these boot loaders make an error of it.
        const bool wasError = m_is.state == 10;
        m_is.state = wasError ? 2 : 10;
        m_is.status = wasError ? 0 : 0x0E;
        return {};
    }
    if (setup.request == 6) {
        if (m_is.state != 10)
            m_is.state = 2;
        return {};
    }
    if (m_is.state != 2 && m_is.state != 5)
        return stall();
    if (data.empty()) {
        m_left = true;
        m_is.state = m_is.stateAfterLeave;
        return {};
    }
    if (data.size() > m_is.transferSize)
        m_log.violations.emplace_back("a block larger than wTransferSize");
    m_block = setup.value;
    m_pending = toBytes(data);
    m_isWorkPending = true;
    m_busyLeft = m_is.busyAnswers;
    m_is.state = 3;
    return {};
}

Bytes pattern(std::size_t size)
{
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>((i * 31 + i / 251) & 0xFF);
    return bytes;
}

struct DfuBench {
    explicit DfuBench(Behaviour behaviour = {})
    {
        opened = DfuDevice::open(std::make_unique<ScriptedDfu>(behaviour, log, clock), op());
    }
    OpContext op(std::chrono::milliseconds limit = 600s) const
    {
        return {.clock = clock, .deadline = {clock.now() + limit}};
    }
    DfuDevice& dfu() { return *opened; }
    Bytes memoryAt(std::uint32_t address, std::size_t size) const
    {
        Bytes bytes;
        for (std::size_t i = 0; i < size; ++i)
            bytes.push_back(log.memory.at(address + static_cast<std::uint32_t>(i)));
        return bytes;
    }

    VirtualClock clock;
    Log log;
    Result<DfuDevice> opened = fail(Errc::Internal, Blame::Software, "not opened");
};

class CountingSink final : public ProgressSink {
public:
    void report(std::string_view, double fraction) override { seen.push_back(fraction); }
    std::vector<double> seen;
};

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
    void detach_resetsABoardThatDoesNotDetachByItself_data();
    void detach_resetsABoardThatDoesNotDetachByItself();
    void detach_needsARunTimeInterface();
    void refusals_sayWhatTheyMean();
    void blocks_belowThePacketSizeAreSentByAddress();
    void romStallsWhenPolledEarly_areWaitedOutThreeTimes();
    void poll_beyondTheDeadlineIsATimeout();
    void upload_readsExactlyWhatWasAsked();
    void upload_reportsAnEarlyEnd();
    void upload_learnsWhyTheUnitStalls();
    void secrets_areMarkedOnTheirTransfersAlone();
    void leave_acceptsEveryWayOfVanishing_data();
    void leave_acceptsEveryWayOfVanishing();
    void leave_refusalIsReported();
    void leave_closesTheDevice();
    void select_switchesTheMemory();
    void silence_isAnsweredWithOneLongStatusAndAReset();
    void faults_atEveryTransferAreReportedAndSurvived_data();
    void faults_atEveryTransferAreReportedAndSurvived();
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
                    .alternates = {std::string(kCoreFlash) + '\0'}});
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

void TstDfuDevice::erase_takesEachSectorOnce()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    VERIFY_OK(bench.dfu().erase(0x0800C001, 0x08040000 - 0x0800C001 + 1, bench.op()));
    QCOMPARE(bench.log.erased,
             (std::vector<std::uint32_t>{0x0800C000, 0x08010000, 0x08020000, 0x08040000}));
    QVERIFY(bench.log.violations.empty());
}

void TstDfuDevice::erase_reportsProtectedSectorWithoutATransfer()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    const int before = bench.log.transfers;
    VERIFY_FAILS(bench.dfu().erase(0x08000000, 16, bench.op()), Errc::Protected);
    // Also where the range only touches it.
    VERIFY_FAILS(bench.dfu().erase(0x0800BFFF, 0x20000, bench.op()), Errc::Protected);
    QCOMPARE(bench.log.transfers, before);
}

void TstDfuDevice::erase_refusesAddressesOutsideOfTheLayout()
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

void TstDfuDevice::erase_takesAStalledStatusForARefusal()
{
    DfuBench bench({.stallsStatusOfWork = true});
    VERIFY_OK(bench.opened);
    VERIFY_FAILS(bench.dfu().erase(0x08020000, 1, bench.op()), Errc::Protected);
}

void TstDfuDevice::erase_reportsWhatTheUnitReports()
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

void TstDfuDevice::download_countsBlocksFromOneAddress()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    bench.log.entries.clear();
    const MemoryBlock block{.address = 0x08020000, .bytes = pattern(3 * 4096)};
    VERIFY_OK(bench.dfu().download(block, bench.op()));
    std::vector<int> values;
    for (const auto& entry : bench.log.entries) {
        if (entry.kind == 'D')
            values.push_back(entry.value);
    }
    QCOMPARE(values, (std::vector<int>{0, 2, 3, 4}));
    QCOMPARE(bench.memoryAt(block.address, block.bytes.size()), block.bytes);
}

void TstDfuDevice::download_setsTheAddressAgainForAShortTail()
{
    DfuBench bench({.transferSize = 1024, .alternates = {std::string(kCoreFlash)}});
    VERIFY_OK(bench.opened);
    bench.log.entries.clear();
    const MemoryBlock block{.address = 0x08005000, .bytes = pattern(2 * 1024 + 6)};
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

void TstDfuDevice::download_setsEveryAddressWhereBlocksAreClamped()
{
    DfuBench bench({.transferSize = 8192});
    VERIFY_OK(bench.opened);
    const MemoryBlock block{.address = 0x08020000, .bytes = pattern(3 * 4096)};
    VERIFY_OK(bench.dfu().download(block, bench.op()));
    QCOMPARE(bench.memoryAt(block.address, block.bytes.size()), block.bytes);
    const auto read = bench.dfu().upload(block.address, 3 * 4096, bench.op());
    VERIFY_OK(read);
    QCOMPARE(*read, block.bytes);
}

void TstDfuDevice::download_refusesProtectedMemoryWithoutATransfer()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    const int before = bench.log.transfers;
    VERIFY_FAILS(bench.dfu().download({.address = 0x0800BFFC, .bytes = pattern(8)}, bench.op()),
                 Errc::Protected);
    QCOMPARE(bench.log.transfers, before);
}

void TstDfuDevice::download_reportsProgressByBytes()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    CountingSink sink;
    OpContext op = bench.op();
    op.progress.sink = &sink;
    VERIFY_OK(bench.dfu().download({.address = 0x08020000, .bytes = pattern(4 * 4096)}, op));
    QCOMPARE(sink.seen, (std::vector<double>{0.25, 0.5, 0.75, 1.0}));
}

void TstDfuDevice::download_worksAgainAfterAFailedBlock()
{
    DfuBench bench({.failWith = 0x07});
    VERIFY_OK(bench.opened);
    const MemoryBlock block{.address = 0x08020000, .bytes = pattern(5000)};
    VERIFY_FAILS(bench.dfu().download(block, bench.op()), Errc::Io);
    VERIFY_OK(bench.dfu().download(block, bench.op()));
    QCOMPARE(bench.memoryAt(block.address, block.bytes.size()), block.bytes);
}

void TstDfuDevice::poll_waitsAsLongAsTheUnitSays()
{
    DfuBench bench({.poll = 500ms, .busyAnswers = 3});
    VERIFY_OK(bench.opened);
    const auto before = bench.clock.now();
    VERIFY_OK(bench.dfu().erase(0x08020000, 1, bench.op()));
    QVERIFY(bench.clock.now() - before >= 1500ms);
    QVERIFY(bench.log.violations.empty());
}

void TstDfuDevice::poll_ofZeroIsLegal()
{
    DfuBench bench({.poll = 0ms, .busyAnswers = 90});
    VERIFY_OK(bench.opened);
    const auto before = bench.clock.now();
    VERIFY_OK(bench.dfu().erase(0x08020000, 1, bench.op()));
    QVERIFY(bench.clock.now() - before >= 89ms); // at once the first time only
}

void TstDfuDevice::poll_givesUpOnEndlessZero()
{
    DfuBench bench({.poll = 0ms, .busyAnswers = 1'000'000});
    VERIFY_OK(bench.opened);
    VERIFY_FAILS(bench.dfu().erase(0x08020000, 1, bench.op()), Errc::Timeout);
    QVERIFY(bench.log.transfers < 200);
}

void TstDfuDevice::poll_endsAtTheDeadline()
{
    DfuBench bench({.poll = 100ms, .busyAnswers = 1'000'000});
    VERIFY_OK(bench.opened);
    const auto before = bench.clock.now();
    VERIFY_FAILS(bench.dfu().erase(0x08020000, 1, bench.op(5s)), Errc::Timeout);
    QCOMPARE((bench.clock.now() - before).count(), std::chrono::nanoseconds(5s).count());
}

void TstDfuDevice::poll_capsAbsurdTimes()
{
    DfuBench bench({.poll = 0xFFFFFFms, .busyAnswers = 1});
    VERIFY_OK(bench.opened);
    auto before = bench.clock.now();
    VERIFY_OK(bench.dfu().erase(0x08020000, 1, bench.op()));
    QCOMPARE((bench.clock.now() - before).count(), std::chrono::nanoseconds(4s).count());
    // Set address and one block: as long as programming can take.
    before = bench.clock.now();
    VERIFY_OK(bench.dfu().download({.address = 0x08020000, .bytes = pattern(16)}, bench.op()));
    QCOMPARE((bench.clock.now() - before).count(), std::chrono::nanoseconds(2s).count());
}

void TstDfuDevice::poll_endsAfterTwoMinutesWhateverTheUnitSays()
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
    Log log;
    const Behaviour runs{.interfaceProtocol = 1,
                         .attributes = static_cast<std::uint8_t>(attributes)};
    const OpContext op{.clock = clock, .deadline = {clock.now() + 10s}};
    VERIFY_OK(DfuDevice::detach(std::make_unique<ScriptedDfu>(runs, log, clock), op));
    QCOMPARE(log.kinds(), std::string("X"));
    QCOMPARE(log.entries[0].value, std::uint16_t{1000});
    QCOMPARE(log.resets, resets);
    // One that is gone before it answers has obeyed; one that refuses has not.
    log.faultAt = log.transfers;
    log.fault = Fault::Vanish;
    VERIFY_OK(DfuDevice::detach(std::make_unique<ScriptedDfu>(runs, log, clock), op));
    log.faultAt = log.transfers;
    log.fault = Fault::Stall;
    VERIFY_FAILS(DfuDevice::detach(std::make_unique<ScriptedDfu>(runs, log, clock), op),
                 Errc::Protocol);
}

void TstDfuDevice::detach_needsARunTimeInterface()
{
    const VirtualClock clock;
    Log log;
    const OpContext op{.clock = clock, .deadline = {clock.now() + 10s}};
    VERIFY_FAILS(DfuDevice::detach(std::make_unique<ScriptedDfu>(Behaviour{}, log, clock), op),
                 Errc::Unsupported);
    QCOMPARE(log.transfers, 0);
}

void TstDfuDevice::refusals_sayWhatTheyMean()
{
    DfuBench bench({.failWith = 0x0B});
    const auto result = bench.dfu().erase(0x08020000, 1, bench.op());
    VERIFY_FAILS(result, Errc::Protected);
    QVERIFY(result.error().message.find("read-protected") != std::string::npos);
}

void TstDfuDevice::blocks_belowThePacketSizeAreSentByAddress()
{
    DfuBench bench({.transferSize = 32});
    VERIFY_OK(bench.opened);
    QCOMPARE(bench.dfu().attributes().transferSize, std::uint16_t{64});
}

void TstDfuDevice::romStallsWhenPolledEarly_areWaitedOutThreeTimes()
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

void TstDfuDevice::poll_beyondTheDeadlineIsATimeout()
{
    DfuBench bench({.poll = 30s});
    VERIFY_OK(bench.opened);
    VERIFY_FAILS(bench.dfu().erase(0x08020000, 1, bench.op(10s)), Errc::Timeout);
}

void TstDfuDevice::upload_readsExactlyWhatWasAsked()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    const MemoryBlock block{.address = 0x08020000, .bytes = pattern(2 * 4096 + 612)};
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

void TstDfuDevice::upload_reportsAnEarlyEnd()
{
    DfuBench bench({.memoryEnd = 0x08021800});
    VERIFY_OK(bench.opened);
    const auto read = bench.dfu().upload(0x08020000, 3 * 4096, bench.op());
    VERIFY_FAILS(read, Errc::Protocol);
    QVERIFY2(read.error().message.find("2048 of 4096") != std::string::npos,
             read.error().message.c_str());
    VERIFY_OK(bench.dfu().upload(0x08020000, 4096, bench.op()));
}

void TstDfuDevice::upload_learnsWhyTheUnitStalls()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    // The UPLOAD itself: set address takes three transfers and ABORT one.
    bench.log.faultAt = bench.log.transfers + 4;
    bench.log.fault = Fault::Stall;
    VERIFY_FAILS(bench.dfu().upload(0x08020000, 4096, bench.op()), Errc::Protocol);
    VERIFY_OK(bench.dfu().upload(0x08020000, 4096, bench.op()));
}

void TstDfuDevice::secrets_areMarkedOnTheirTransfersAlone()
{
    DfuBench bench;
    VERIFY_OK(bench.opened);
    VERIFY_OK(bench.dfu().select(1, bench.op()));
    bench.log.entries.clear();
    const Bytes key = pattern(612);
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

void TstDfuDevice::leave_acceptsEveryWayOfVanishing_data()
{
    QTest::addColumn<int>("fault");
    QTest::addColumn<int>("state");
    QTest::newRow("state 5, as these boards") << int(Fault::None) << 5;
    QTest::newRow("state 7, as DFU 1.1") << int(Fault::None) << 7;
    QTest::newRow("state 2") << int(Fault::None) << 2;
    QTest::newRow("gone") << int(Fault::Vanish) << 5;
    QTest::newRow("EPIPE") << int(Fault::Stall) << 5;
    QTest::newRow("no answer") << int(Fault::Silence) << 5;
}

void TstDfuDevice::leave_acceptsEveryWayOfVanishing()
{
    QFETCH(int, fault);
    QFETCH(int, state);
    DfuBench bench({.leaveFault = static_cast<Fault>(fault),
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
    bench.log.fault = Fault::Silence;
    const auto before = bench.clock.now();
    VERIFY_FAILS(bench.dfu().erase(0x08020000, 1, bench.op()), Errc::Timeout);
    QVERIFY(bench.clock.now() - before >= 35s);
    QCOMPARE(bench.log.resets, 1);
}

void TstDfuDevice::faults_atEveryTransferAreReportedAndSurvived_data()
{
    QTest::addColumn<int>("fault");
    QTest::newRow("stall") << int(Fault::Stall);
    QTest::newRow("vanish") << int(Fault::Vanish);
    QTest::newRow("silence") << int(Fault::Silence);
    QTest::newRow("cancel") << int(Fault::Cancel);
}

void TstDfuDevice::faults_atEveryTransferAreReportedAndSurvived()
{
    QFETCH(int, fault);
    const MemoryBlock block{.address = 0x08020000, .bytes = pattern(4096 + 100)};
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
        bench.log.fault = static_cast<Fault>(fault);
        QVERIFY2(!flow(bench).has_value(), concat("transfer ", at).c_str());
        VERIFY_OK(flow(bench));
        QCOMPARE(bench.memoryAt(block.address, block.bytes.size()), block.bytes);
        QVERIFY(bench.log.violations.empty());
    }
}

} // namespace

PROVOST_TEST("dfu_device", TstDfuDevice)
#include "tst_dfu_device.moc"
