// `dfu write` with every kind of file: what is written where, what is left alone, and what is
// refused before the first write.
#include "image/dfu_file.h"
#include "support/command_line.h"
#include "support/test_program.h"

#include "core/byte_io.h"
#include "support/photon_facts.h"

using namespace provost;
using namespace provost::test;

namespace {

constexpr std::uint16_t kVendor = 0x2B04;
constexpr std::uint16_t kPhotonDfu = 0xD006;
constexpr std::uint32_t kSector = 0x20000;
const DfuSuffix kPhotonSuffix{.product = kPhotonDfu, .vendor = kVendor};

QByteArray toQt(ByteView bytes)
{
    return QByteArray::fromStdString(toText(bytes));
}

Bytes numbered(std::size_t size, unsigned seed)
{
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>((i * 41 + i / 256 + seed) & 0xFF);
    return bytes;
}

/// One served unit; every command finds what the last one left.
class Served {
public:
    Served() : m_bench(folder) {}
    CommandEnd write(const QString& file, const QStringList& more = {}) const
    {
        return folder.json(QStringList{"dfu", "write", m_bench.device(), file} + more);
    }
    QByteArray memory(const QString& alternate, std::uint32_t address, std::size_t length) const
    {
        QFile::remove(folder.path("memory"));
        const auto ran = folder.json({"dfu", "read", m_bench.device(), "--alt", alternate,
                                      "--address", QString::number(address, 16), "--length",
                                      QString::number(length), "-o", "memory"});
        return ran.exitCode == 0 ? folder.read("memory") : QByteArray();
    }
    bool save(const QString& name, ByteView content) const
    {
        return folder.write(name, toQt(content));
    }
    CommandFolder folder;

private:
    BenchCommand m_bench;
};

class TstCommandLineDfu : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void write_skipsSectorsThatHoldItAlready();
    void write_stripsAndChecksASuffix();
    void write_placesADfuSeFileByItself();
    void write_keepsElementsThatShareASector();
    void write_ofOneMemoryLeavesTheOtherAlone();
    void write_refusesTwoElementsInASectorOfAPlainTable();
    void write_refusesBeforeTheFirstWrite_data();
    void write_refusesBeforeTheFirstWrite();
};

void TstCommandLineDfu::write_skipsSectorsThatHoldItAlready()
{
    const Served unit;
    Bytes content = numbered(kSector + 5000, 1);
    QVERIFY(unit.save("a.bin", content));
    const QStringList place{"--alt", "0", "--address", "080a0000"};
    const auto first = unit.write("a.bin", place);
    QVERIFY2(first.exitCode == 0, first.err);
    QCOMPARE(first.last()["skipped"], QJsonValue(0));
    QCOMPARE(first.last()["sectors"], QJsonValue(2));
    const auto second = unit.write("a.bin", place);
    QCOMPARE(second.last()["skipped"].toInteger(), qint64(content.size()));
    QCOMPARE(second.last()["sectors"], QJsonValue(0));
    QCOMPARE(second.last()["sectors_skipped"], QJsonValue(2));
    content.back() ^= std::byte{1}; // the last byte of all
    QVERIFY(unit.save("a.bin", content));
    const auto third = unit.write("a.bin", place);
    QCOMPARE(third.last()["skipped"].toInteger(), qint64(kSector));
    QCOMPARE(third.last()["sectors_skipped"], QJsonValue(1));
    QCOMPARE(unit.memory("0", photon::kUserPart, content.size()), toQt(content));
    QFile::remove(unit.folder.path("memory"));
}

void TstCommandLineDfu::write_stripsAndChecksASuffix()
{
    const Served unit;
    const Bytes content = numbered(3000, 2);
    QVERIFY(unit.save("a.dfu", withDfuSuffix(content, kPhotonSuffix)));
    const auto ran = unit.write("a.dfu", {"--alt", "0", "--address", "080a0000"});
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(ran.last()["length"], QJsonValue(3000));
    QCOMPARE(unit.memory("0", photon::kUserPart, 3004),
             toQt(content) + QByteArray(4, '\xFF')); // the suffix stayed out
}

void TstCommandLineDfu::write_placesADfuSeFileByItself()
{
    const Served unit;
    const Bytes flash = numbered(5000, 3);
    const Bytes table = numbered(64, 4);
    QVERIFY(unit.save(
        "all.dfu",
        *buildDfuSeFile(
            {{.alternate = 0, .elements = {{.address = photon::kUserPart, .bytes = flash}}},
             {.alternate = 1, .elements = {{.address = 0x700, .bytes = table}}}},
            kPhotonSuffix)));
    const auto ran = unit.write("all.dfu");
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(ran.last()["elements"], QJsonValue(2));
    QCOMPARE(ran.last()["alt"], QJsonValue());
    QCOMPARE(ran.last()["verified"], QJsonValue(true));
    QCOMPARE(unit.memory("0", photon::kUserPart, flash.size()), toQt(flash));
    QCOMPARE(unit.memory("1", 0x700, table.size()), toQt(table));
    QCOMPARE(unit.write("all.dfu").last()["skipped"].toInteger(), qint64(5064));
    // It says itself where it belongs.
    QCOMPARE(unit.write("all.dfu", {"--address", "080a0000"}).exitCode, 64);
}

void TstCommandLineDfu::write_keepsElementsThatShareASector()
{
    const Served unit;
    const Bytes one = numbered(100, 5);
    const Bytes two = numbered(100, 6);
    const Bytes three = numbered(kSector, 7);
    // Not in order, and the last one reaches into the next sector.
    QVERIFY(unit.save(
        "all.dfu",
        *buildDfuSeFile({{.elements = {{.address = photon::kUserPart + 0x4000, .bytes = three},
                                       {.address = photon::kUserPart + 0x100, .bytes = two},
                                       {.address = photon::kUserPart, .bytes = one}}}},
                        {})));
    const auto ran = unit.write("all.dfu");
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(ran.last()["sectors"], QJsonValue(2));
    QCOMPARE(unit.memory("0", photon::kUserPart, 100), toQt(one));
    QCOMPARE(unit.memory("0", photon::kUserPart + 0x100, 100), toQt(two));
    QCOMPARE(unit.memory("0", photon::kUserPart + 0x4000, kSector), toQt(three));
}

void TstCommandLineDfu::write_ofOneMemoryLeavesTheOtherAlone()
{
    const Served unit;
    const Bytes flash = numbered(16, 8);
    const Bytes table = numbered(16, 9);
    QVERIFY(unit.save(
        "all.dfu",
        *buildDfuSeFile(
            {{.alternate = 0, .elements = {{.address = photon::kUserPart, .bytes = flash}}},
             {.alternate = 1, .elements = {{.address = 0x700, .bytes = table}}}},
            kPhotonSuffix)));
    const auto before = unit.memory("1", 0x700, 16);
    const auto ran = unit.write("all.dfu", {"--alt", "0"});
    QVERIFY2(ran.exitCode == 0, ran.err);
    QCOMPARE(ran.last()["elements"], QJsonValue(1));
    QCOMPARE(unit.memory("0", photon::kUserPart, 16), toQt(flash));
    QCOMPARE(unit.memory("1", 0x700, 16), before);
    QCOMPARE(unit.write("all.dfu", {"--alt", "2"}).exitCode, 4);
}

void TstCommandLineDfu::write_refusesTwoElementsInASectorOfAPlainTable()
{
    const CommandFolder folder;
    const BenchCommand bench(folder, "core-quick");
    const Bytes one = numbered(16, 1);
    const Bytes two = numbered(16, 2);
    const auto write = [&](std::uint32_t second) {
        const auto file = buildDfuSeFile(
            {{.alternate = 1,
              .elements = {{.address = 0x1000, .bytes = one}, {.address = second, .bytes = two}}}},
            {});
        return folder.write("keys.dfu", toQt(*file))
                   ? folder.json({"dfu", "write", bench.device(), "keys.dfu"})
                   : CommandEnd{};
    };
    const auto refused = write(0x1180);
    QCOMPARE(refused.exitCode, 4);
    QVERIFY2(refused.err.contains("share a sector"), refused.err);
    const auto written = write(0x2000);
    QVERIFY2(written.exitCode == 0, written.err);
}

struct Refusal {
    QString name{};
    QString file = "a.dfu";
    Bytes content{};
    QStringList options{};
    const char* says = "";
};

std::vector<Refusal> refusals()
{
    const QStringList place{"--alt", "0", "--address", "080a0000"};
    const Bytes content = numbered(3000, 1);
    const Bytes suffixed = withDfuSuffix(content, kPhotonSuffix);
    const auto dfuSe = [&](std::vector<DfuImage> images, DfuSuffix suffix = kPhotonSuffix) {
        return *buildDfuSeFile(images, suffix);
    };
    static const Bytes kGood = numbered(200, 2);
    static const Bytes kSmall = numbered(16, 3);
    const DfuElement good{.address = photon::kUserPart, .bytes = kGood};
    const auto withElement = [&](std::uint8_t alternate, std::uint32_t address) {
        // Behind one that could be written: it must not be.
        return dfuSe(
            {{.alternate = 0, .elements = {good}},
             {.alternate = alternate, .elements = {{.address = address, .bytes = kSmall}}}});
    };
    const Bytes whole = dfuSe({{.elements = {good}}});
    Bytes changed = suffixed;
    changed[100] ^= std::byte{1};
    return {
        {"suffix cut off", "a.dfu", toBytes(ByteView(suffixed).first(2990)), place, "cut off"},
        {"suffix with a wrong CRC", "a.dfu", changed, place, "CRC"},
        {"wrong CRC, another extension", "a.bin", changed, place, "CRC"},
        {"DfuSe cut off", "a.dfu", toBytes(ByteView(whole).first(300)), {}, "cut off"},
        {"DfuSe cut off, suffix made anew",
         "a.dfu",
         withDfuSuffix(ByteView(whole).first(300), {.version = 0x011A}),
         {},
         "in front of"},
        {"another maker", "a.dfu", withDfuSuffix(content, {.product = 0x607F, .vendor = 0x1D50}),
         place, "1d50:607f"},
        {"another product", "a.dfu", withDfuSuffix(content, {.product = 0xD008, .vendor = kVendor}),
         place, "2b04:d008"},
        {"DfuSe for another product",
         "a.dfu",
         dfuSe({{.elements = {good}}}, {.product = 0xD008, .vendor = kVendor}),
         {},
         "2b04:d008"},
        {"element outside of the map", "a.dfu", withElement(0, 0x20000000), {}, "0x20000000"},
        {"element that begins inside", "a.dfu", withElement(0, 0x080FFFF8), {}, "0x08100000"},
        {"element in the bootloader", "a.dfu", withElement(0, 0x08000000), {}, "0x08000000"},
        {"two images of one memory that overlap",
         "a.dfu",
         dfuSe({{.alternate = 0, .elements = {good}},
                {.alternate = 0,
                 .elements = {{.address = photon::kUserPart + 100, .bytes = kSmall}}}}),
         {},
         "share 0x080a0064"},
        {"element behind the table", "a.dfu", withElement(1, 0x3FF8), {}, "0x00004000"},
        {"memory that is not there", "a.dfu", withElement(7, 0), {}, "memory 7"},
        {"plain file, protected address",
         "a.bin",
         content,
         {"--alt", "0", "--address", "08000000"},
         "0x08000000"},
        {"plain file larger than the region", "a.bin", numbered(0x60001, 1), place, "0x08100000"},
    };
}

void TstCommandLineDfu::write_refusesBeforeTheFirstWrite_data()
{
    QTest::addColumn<int>("index");
    const auto all = refusals();
    for (std::size_t i = 0; i < all.size(); ++i)
        QTest::newRow(qPrintable(all[i].name)) << static_cast<int>(i);
}

void TstCommandLineDfu::write_refusesBeforeTheFirstWrite()
{
    QFETCH(const int, index);
    static const Served unit; // nothing is written, so one unit serves all rows
    static const QByteArray before = unit.memory("0", photon::kUserPart, 3000);
    QCOMPARE(before.size(), 3000);
    const Refusal row = refusals().at(static_cast<std::size_t>(index));
    QVERIFY(unit.save(row.file, row.content));
    const auto ran = unit.write(row.file, row.options);
    QCOMPARE(ran.exitCode, 4);
    QCOMPARE(ran.last()["event"], QJsonValue("error"));
    QVERIFY2(ran.err.contains(row.says), ran.err);
    QCOMPARE(unit.memory("0", photon::kUserPart, 3000), before);
}

} // namespace

PROVOST_TEST("command_line_dfu", TstCommandLineDfu)
#include "tst_command_line_dfu.moc"
