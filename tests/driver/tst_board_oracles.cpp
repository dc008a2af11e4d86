// Every virtual board's bootloader as dfu-util, which nobody here wrote, finds it: list, upload
// with and without a length, download, leave.
#include "support/served_bench.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "sim/stock.h"

#include <QFile>
#include <QRandomGenerator>
#include <QRegularExpression>
#include <QTest>

using namespace provost;
using namespace provost::test;

namespace {

constexpr auto kBench = R"(
[bench]
name = "family"
speed = "instant"

[network]
ssid = "plant"
password = "line-four"
security = 3

[network.hosts]
"$id.udp.particle.io" = "127.0.0.1"

[[slot]]
number = 1
[[slot.unit]]
platform = "core"
stock = "0.7.0"
key = "burnt"
count = "endless"

[[slot]]
number = 2
[[slot.unit]]
platform = "photon"
stock = "1.5.2"
key = "burnt"
count = "endless"

[[slot]]
number = 3
[[slot.unit]]
platform = "p1"
stock = "1.5.2"
key = "burnt"
count = "endless"

[[slot]]
number = 4
[[slot.unit]]
platform = "electron"
stock = "1.5.2"
key = "burnt"
count = "endless"
)";

constexpr const char* kF2Flash =
    "@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg";
constexpr const char* kDct = "@DCT Flash   /0x00000000/01*016Kg";

Bytes noise(std::size_t size)
{
    Bytes bytes(size);
    for (std::byte& each : bytes)
        each = static_cast<std::byte>(QRandomGenerator::global()->bounded(256));
    return bytes;
}

class TstBoardOracles : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase() { m_served = std::make_unique<ServedBench>(kBench); }
    void dfuUtil_listsTheMemoriesExactly_data();
    void dfuUtil_listsTheMemoriesExactly();
    void dfuUtil_uploadsTheKeySlot_data();
    void dfuUtil_uploadsTheKeySlot();
    void dfuUtil_uploadsAWholeMemoryWithoutALength_data();
    void dfuUtil_uploadsAWholeMemoryWithoutALength();
    void dfuUtil_downloadsAModuleAndLeaves_data();
    void dfuUtil_downloadsAModuleAndLeaves();
    void dfuUtil_writesTheExternalFlash_data();
    void dfuUtil_writesTheExternalFlash();

private:
    ProgramEnd dfuUtil(int slot, const QStringList& arguments) const;
    Bytes upload(int slot, int alternate, const QString& range) const;
    QString fileWith(ByteView bytes) const;
    sim::VirtualBoard& toDfu(int slot) const;

    QTemporaryDir m_files{};
    std::unique_ptr<ServedBench> m_served{};
};

/// A new unit in the slot, the other slots empty, in DFU mode.
sim::VirtualBoard& TstBoardOracles::toDfu(int slot) const
{
    auto& bench = m_served->bench();
    for (const auto& each : bench.slots())
        static_cast<void>(bench.removeUnit(each.number));
    static_cast<void>(bench.insertNext(slot));
    m_served->bringToDfu(slot);
    return *bench.board(slot);
}

ProgramEnd TstBoardOracles::dfuUtil(int slot, const QStringList& arguments) const
{
    const UsbId id = m_served->bench().board(slot)->profile().dfu.id;
    const auto text = concat(hex16(id.vendor), ":", hex16(id.product));
    return m_served->runAtBench(
        {.program = "dfu-util",
         .arguments = QStringList{"-d", QString::fromStdString(text)} + arguments});
}

Bytes TstBoardOracles::upload(int slot, int alternate, const QString& range) const
{
    const QString path = m_files.filePath("uploaded.bin");
    QFile::remove(path);
    const auto end = dfuUtil(slot, {"-a", QString::number(alternate), "-s", range, "-U", path});
    QFile file(path);
    if (end.exitCode != 0 || !file.open(QIODevice::ReadOnly)) {
        qWarning().noquote() << end.output;
        return {};
    }
    const QByteArray read = file.readAll();
    return toBytes(std::as_bytes(std::span(read.data(), static_cast<std::size_t>(read.size()))));
}

QString TstBoardOracles::fileWith(ByteView bytes) const
{
    QFile file(m_files.filePath("download.bin"));
    if (!file.open(QIODevice::WriteOnly) || file.write(reinterpret_cast<const char*>(bytes.data()),
                                                       static_cast<qint64>(bytes.size())) < 0)
        qWarning() << "cannot write" << file.fileName();
    return file.fileName();
}

void TstBoardOracles::dfuUtil_listsTheMemoriesExactly_data()
{
    QTest::addColumn<int>("slot");
    QTest::addColumn<QStringList>("memories"); // highest alternate first, as dfu-util has them
    QTest::newRow("core") << 1
                          << QStringList{"@SPI Flash : SST25x/0x00000000/512*04Kg",
                                         "@Internal Flash  /0x08000000/20*001Ka,108*001Kg"};
    QTest::newRow("photon") << 2 << QStringList{kDct, kF2Flash};
    QTest::newRow("p1") << 3
                        << QStringList{"@Serial Flash   /0x00000000/256*004Kg", kDct, kF2Flash};
    QTest::newRow("electron") << 4 << QStringList{kDct, kF2Flash};
}

void TstBoardOracles::dfuUtil_listsTheMemoriesExactly()
{
    QFETCH(const int, slot);
    QFETCH(const QStringList, memories);
    const auto& board = toDfu(slot);
    const auto end = dfuUtil(slot, {"-l"});
    QCOMPARE(end.exitCode, 0);
    const QStringList found = end.output.split('\n').filter(QRegularExpression("^Found DFU: "));
    QVERIFY2(found.size() == memories.size(), qPrintable(end.output));
    for (qsizetype i = 0; i < found.size(); ++i) {
        const auto wanted = QStringLiteral("alt=%1, name=\"%2\", serial=\"%3\"")
                                .arg(memories.size() - 1 - i)
                                .arg(memories[i], QString::fromStdString(board.deviceId()));
        QVERIFY2(found[i].endsWith(wanted, Qt::CaseInsensitive), qPrintable(end.output));
    }
}

void TstBoardOracles::dfuUtil_uploadsTheKeySlot_data()
{
    QTest::addColumn<int>("slot");
    QTest::addColumn<QString>("range");
    QTest::newRow("core") << 1 << "0x2000:612"; // particle-devices 2.3
    QTest::newRow("photon") << 2 << "34:612";
    QTest::newRow("p1") << 3 << "34:612";
    QTest::newRow("electron") << 4 << "34:612";
}

void TstBoardOracles::dfuUtil_uploadsTheKeySlot()
{
    QFETCH(const int, slot);
    QFETCH(const QString, range);
    const auto& board = toDfu(slot);
    const Bytes key = upload(slot, 1, range);
    QCOMPARE(key.size(), std::size_t{612});
    QCOMPARE(toHex(ByteView(key).first(2)), std::string("3082")); // 4.1
    Bytes expected;
    if (slot == 1) {
        expected = board.readExternal(0x2000, 612);
    } else {
        const std::size_t application = slot == 4 ? 8 : 0x1D7C; // 3.1, 3.2
        const Bytes sector = board.physicalDct(board.currentDct());
        expected = toBytes(ByteView(sector).subspan(application + 34, 612));
    }
    QVERIFY(key == expected);
}

void TstBoardOracles::dfuUtil_uploadsAWholeMemoryWithoutALength_data()
{
    QTest::addColumn<int>("slot");
    QTest::addColumn<int>("alternate");
    QTest::addColumn<quint32>("address");
    QTest::addColumn<quint32>("size");
    // To the end of the group of sectors that the address lies in.
    QTest::newRow("core, bootloader") << 1 << 0 << 0x08000000U << 0x5000U;
    QTest::newRow("core, firmware") << 1 << 0 << 0x08005000U << 0x1B000U;
    // "A weird 2M backup file" (particle-devices 1.5).
    QTest::newRow("core, SPI flash") << 1 << 1 << 0U << 0x200000U;
    QTest::newRow("photon, firmware") << 2 << 0 << 0x08020000U << 0xE0000U;
    QTest::newRow("p1, bootloader and tables") << 3 << 0 << 0x08000000U << 0xC000U;
    QTest::newRow("p1, serial flash") << 3 << 2 << 0U << 0x100000U;
    QTest::newRow("electron, firmware") << 4 << 0 << 0x08020000U << 0xE0000U;
}

void TstBoardOracles::dfuUtil_uploadsAWholeMemoryWithoutALength()
{
    QFETCH(const int, slot);
    QFETCH(const int, alternate);
    QFETCH(const quint32, address);
    QFETCH(const quint32, size);
    const auto& board = toDfu(slot);
    const Bytes found =
        upload(slot, alternate, QStringLiteral("0x%1").arg(address, 8, 16, QChar('0')));
    QCOMPARE(found.size(), std::size_t{size});
    QVERIFY(found ==
            (alternate == 0 ? board.readFlash(address, size) : board.readExternal(address, size)));
}

void TstBoardOracles::dfuUtil_downloadsAModuleAndLeaves_data()
{
    QTest::addColumn<int>("slot");
    QTest::addColumn<quint32>("address");
    QTest::newRow("core") << 1 << 0x08005000U;
    QTest::newRow("photon") << 2 << 0x080A0000U;
    QTest::newRow("p1") << 3 << 0x080A0000U;
    QTest::newRow("electron") << 4 << 0x08080000U;
}

void TstBoardOracles::dfuUtil_downloadsAModuleAndLeaves()
{
    QFETCH(const int, slot);
    QFETCH(const quint32, address);
    auto& board = toDfu(slot);
    const auto& profile = board.profile();
    const bool core = slot == 1;
    // What the restarted board can run; not a multiple of the block.
    const Bytes module = sim::buildModule(
        {.start = address,
         .length = 40002,
         .version = core ? std::uint16_t{207} : std::uint16_t{7},
         .function = core ? sim::ModuleFunction::Monolithic : sim::ModuleFunction::UserPart,
         .index = core ? std::uint8_t{0} : std::uint8_t{1},
         .platform = profile.platform,
         .vectorTable = profile.vectorTable});
    const auto at = QStringLiteral("0x%1").arg(address, 8, 16, QChar('0'));
    const auto written = dfuUtil(slot, {"-a", "0", "-s", at, "-D", fileWith(module)});
    QVERIFY2(written.exitCode == 0, qPrintable(written.output));
    QVERIFY(board.readFlash(address, module.size()) == module);
    QVERIFY(upload(slot, 0, at + QStringLiteral(":%1").arg(module.size())) == module);
    const auto left = dfuUtil(slot, {"-a", "0", "-s", at + ":leave", "-D", fileWith(module)});
    QVERIFY2(left.output.contains("Submitting leave request"), qPrintable(left.output));
    m_served->waitFor(slot, profile.cdc.id);
    QVERIFY(board.readFlash(address, module.size()) == module);
    QCOMPARE(board.violations(), std::vector<std::string>());
}

void TstBoardOracles::dfuUtil_writesTheExternalFlash_data()
{
    QTest::addColumn<int>("slot");
    QTest::addColumn<int>("alternate");
    QTest::newRow("core") << 1 << 1;
    QTest::newRow("p1") << 3 << 2;
}

void TstBoardOracles::dfuUtil_writesTheExternalFlash()
{
    QFETCH(const int, slot);
    QFETCH(const int, alternate);
    auto& board = toDfu(slot);
    const Bytes data = noise(9000);
    const auto alt = QString::number(alternate);
    const auto written = dfuUtil(slot, {"-a", alt, "-s", "0x00080000", "-D", fileWith(data)});
    QVERIFY2(written.exitCode == 0, qPrintable(written.output));
    QVERIFY(board.readExternal(0x80000, data.size()) == data);
    QVERIFY(upload(slot, alternate, "0x00080000:9000") == data);
    // The sector that the last block shares is erased, the one behind it is not touched.
    QCOMPARE(board.violations(), std::vector<std::string>());
}

} // namespace

QTEST_GUILESS_MAIN(TstBoardOracles)
#include "tst_board_oracles.moc"
