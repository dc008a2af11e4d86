// A failure at every transfer of a complete session, protocol by protocol: see fault_matrix.h.
#include "driver/cutting_proxy.h"
#include "driver/fault_worlds_line.h"
#include "driver/fault_worlds_probe.h"
#include "driver/fault_worlds_usb.h"
#include "driver/virtual_rig.h"
#include "sim/usbip_server.h"
#include "support/test_program.h"
#include "transport/usbip_bus.h"

#include <QTest>

#include <cstdio>

using namespace provost;
using namespace provost::test;

namespace {

struct MatrixRow {
    const char* name;
    int stride; ///< in an ordinary run
    MakeWorld make;
};

template <class T, class... Arguments>
MakeWorld worldOf(Arguments... arguments)
{
    return [=] { return std::make_unique<T>(arguments...); };
}

const std::vector<MatrixRow>& matrixRows()
{
    static const DfuWork kTable{
        .alternate = 1, .address = 0x700, .size = 600, .allowed = kMatrixTables, .table = true};
    static const DfuWork kSerialFlash{.board = "p1",
                                      .alternate = 2,
                                      .address = 0x3000,
                                      .size = 5000,
                                      .allowed = {0x3000, 0x5000},
                                      .external = true};
    static const DfuWork kCore{.board = "core",
                               .release = "0.7.0",
                               .id = "33ff6e064d50363012870843",
                               .address = 0x08010000,
                               .size = 3000,
                               .allowed = {0x08010000, 0x08010C00},
                               .entry = 0x08005000};
    static const DfuWork kCoreKeys{.board = "core",
                                   .release = "0.7.0",
                                   .id = "33ff6e064d50363012870843",
                                   .alternate = 1,
                                   .address = 0x2000,
                                   .size = 612,
                                   .allowed = {0x2000, 0x3000},
                                   .external = true,
                                   .entry = 0x08005000};
    static const std::vector<MatrixRow> kRows{
        {"DFU, Photon", 1, worldOf<DfuWorld>(DfuWork{})},
        {"DFU, table", 1, worldOf<DfuWorld>(kTable)},
        {"DFU, P1's serial flash", 1, worldOf<DfuWorld>(kSerialFlash)},
        {"DFU, Core, from dfuERROR on", 1, worldOf<DfuWorld>(kCore)},
        {"DFU, Core's SPI flash", 1, worldOf<DfuWorld>(kCoreKeys)},
        {"control requests", 1, worldOf<ControlWorld>()},
        {"settings by queued requests", 1, worldOf<SettingsWorld>()},
        {"listening console and module transfer", 1, worldOf<ConsoleWorld>()},
        {"Wi-Fi dialogue", 1, worldOf<WifiWorld>()},
        {"tester on Serial1", 1, worldOf<TesterWorld>()},
        {"YModem sender", 1, worldOf<SenderWorld>()},
        {"YModem receiver", 1, worldOf<ReceiverWorld>()},
        {"YModem-G sender", 1, worldOf<StreamSenderWorld>()},
        {"YModem-G receiver", 1, worldOf<StreamReceiverWorld>()},
        {"ST-Link V2", 1, worldOf<ProbeSessionWorld>("v2")},
        {"ST-Link V2-1", 1, worldOf<ProbeSessionWorld>("v2-1")},
        {"ST-Link V3", 1, worldOf<ProbeSessionWorld>("v3")},
        {"flash of an F103", 7, worldOf<FlashWorld>(true)},
        {"flash of an F205", 7, worldOf<FlashWorld>(false)},
    };
    return kRows;
}

class TstFaultMatrix : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void everyTransfer_data();
    void everyTransfer();
    void usbIpWire_mayBeCutAtEveryMessage();
    void cleanupTestCase();

private:
    int m_cases = 0;
};

void TstFaultMatrix::everyTransfer_data()
{
    QTest::addColumn<int>("row");
    for (std::size_t i = 0; i < matrixRows().size(); ++i)
        QTest::newRow(matrixRows()[i].name) << static_cast<int>(i);
}

void TstFaultMatrix::everyTransfer()
{
    QFETCH(const int, row);
    const MatrixRow& what = matrixRows()[static_cast<std::size_t>(row)];
    const MatrixTally tally = runMatrix(what.make, what.stride);
    m_cases += tally.cases;
    std::printf("%s: %d cases at %d transfers, stride %d; %d came through, %d units restarted\n",
                what.name, tally.cases, tally.transfers, tally.stride, tally.survived,
                tally.restarts);
    QVERIFY2(tally.failure.empty(), tally.failure.c_str());
    QVERIFY(tally.transfers >= 9);
}

/// Real sockets, real time: what a client of a USB/IP server sees when the line breaks.
void TstFaultMatrix::usbIpWire_mayBeCutAtEveryMessage()
{
    Rig rig(benchText("stock = \"1.5.2\""));
    rig.openDfu(); // where it stays
    const auto server = must(sim::UsbIpServer::start(rig.bench().ports(), {}));
    CuttingProxy proxy(server->port());
    const Bytes content = matrixContent(9000);
    const Bytes before = rig.board().readFlash(0x08000000, 0x100000);
    constexpr std::size_t kFrom = photon::kUserPart - 0x08000000;
    constexpr std::size_t kUntil = kFrom + 0x20000;
    const auto session = [&]() -> Result<> {
        const auto op = rig.op();
        const auto bus = TRY(UsbIpBus::create("127.0.0.1", proxy.port()));
        const auto devices = TRY(bus->enumerate());
        if (devices.empty())
            return fail(Errc::NotFound, Blame::Fixture, "nothing is served");
        auto dfu = TRY(DfuDevice::open(TRY(bus->open(devices[0])), op));
        DfuTarget target(dfu);
        TRY(target.erase(photon::kUserPart, 0x20000, op)); // so that there is work to do
        TRY(programAndVerify(target, {.address = photon::kUserPart, .bytes = content}, op));
        return {};
    };
    must(session());
    const int pieces = proxy.carried();
    const int stride = wholeMatrix() ? 1 : 5;
    int cases = 0;
    for (const bool half : {false, true}) {
        for (int at = half ? stride / 2 : 0; at < pieces; at += stride, ++cases) {
            proxy.cutAt(at, half);
            const auto cut = session();
            const std::string where = concat("piece ", at, half ? ", half of it" : "");
            QVERIFY2(cut || cut.error().code != Errc::Internal,
                     concat(where, ": ", cut ? "" : describe(cut.error())).c_str());
            const Bytes now = rig.board().readFlash(0x08000000, 0x100000);
            QVERIFY2(
                equalBytes(ByteView(now).first(kFrom), ByteView(before).first(kFrom)) &&
                    equalBytes(ByteView(now).subspan(kUntil), ByteView(before).subspan(kUntil)),
                where.c_str());
            proxy.cutAt(-1, false);
            const auto next = session();
            QVERIFY2(
                next,
                concat(where, ", the next session: ", next ? "" : describe(next.error())).c_str());
            QVERIFY(rig.board().readFlash(photon::kUserPart, content.size()) == content);
        }
    }
    m_cases += cases;
    std::printf("USB/IP wire: %d cases at %d pieces, stride %d\n", cases, pieces, stride);
}

void TstFaultMatrix::cleanupTestCase()
{
    std::printf("%d cases in all\n", m_cases);
}

} // namespace

PROVOST_TEST("fault_matrix", TstFaultMatrix)
#include "tst_fault_matrix.moc"
