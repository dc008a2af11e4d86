// DFU suffix and DfuSe files: what dfu-suffix and dfuse-pack write is read, what is written here
// they read, and no damage gets through.
#include "image/dfu_file.h"
#include "support/test_program.h"
#include "unit/image_samples.h"

#include "core/text.h"

#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

using namespace provost;

namespace {

constexpr std::uint16_t kVendor = 0x2B04;
constexpr std::uint16_t kPhotonDfu = 0xD006;

struct Ran {
    int exitCode = -1;
    QString output{};
};

Ran ran(const QString& program, const QStringList& arguments)
{
    QProcess process;
    process.setProcessChannelMode(QProcess::MergedChannels);
    process.start(program, arguments);
    if (!process.waitForFinished())
        return {.output = process.errorString()};
    return {.exitCode = process.exitCode(), .output = QString::fromUtf8(process.readAll())};
}

Bytes loaded(const QString& path)
{
    QFile file(path);
    const QByteArray bytes = file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
    return toBytes(std::string_view(bytes.constData(), static_cast<std::size_t>(bytes.size())));
}

Bytes sample(std::size_t size, unsigned seed)
{
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>((i * 29 + seed) & 0xFF);
    return bytes;
}

struct Fields {
    std::uint32_t prefixSize = 0; ///< added to what is right
    std::uint8_t version = 1;
    std::uint8_t images = 1;
    std::string mark = "Target";
    std::uint32_t imageSize = 0; ///< added
    std::uint32_t elements = 2;
    std::uint32_t elementSize = 0; ///< added, to that of the second one
    std::uint32_t secondAddress = 0x080A0010;
    std::uint16_t suffixVersion = 0x011A;
};

/// A DfuSe file with a good CRC, whatever its fields say.
Bytes dfuSeWith(const Fields& fields)
{
    Bytes file;
    ByteWriter to(file);
    to.text("DfuSe").u8(fields.version).le32(11 + 274 + 40 + fields.prefixSize).u8(fields.images);
    to.text(fields.mark).u8(0).le32(1).text("Flash").fill(250, std::byte{0});
    to.le32(40 + fields.imageSize).le32(fields.elements);
    to.le32(0x080A0000).le32(16).raw(sample(16, 1));
    to.le32(fields.secondAddress).le32(8 + fields.elementSize).raw(sample(8, 2));
    return withDfuSuffix(file, {.version = fields.suffixVersion});
}

class TstDfuFile : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void suffix_isThatOfTheSpecification();
    void suffix_isReadByDfuSuffix();
    void suffix_ofDfuSuffixIsRead();
    void plainFile_isItsOwnContent();
    void dfuSe_ofDfusePackIsRead();
    void dfuSe_isReadByDfusePack();
    void dfuSe_comesBackAsItWasBuilt();
    void dfuSe_cutAnywhereIsRefused();
    void dfuSe_withAnyByteChangedIsRefused();
    void dfuSe_withAFieldThatCannotBeIsRefused_data();
    void dfuSe_withAFieldThatCannotBeIsRefused();
    void dfuSe_imagesOfOneMemoryMustNotOverlap_data();
    void dfuSe_imagesOfOneMemoryMustNotOverlap();
    void build_refusesWhatCannotBeWritten();
    void recipient_isComparedWithAnyForNone();
};

void TstDfuFile::suffix_isThatOfTheSpecification()
{
    // protocol sheet 1.6, measured there with dfu-suffix
    const auto wanted = fromHex("313233343536373839FFFF7F60501D000155464410E68D1E1B");
    QCOMPARE(withDfuSuffix(viewOf("123456789"), {.product = 0x607F, .vendor = 0x1D50}), *wanted);
}

void TstDfuFile::suffix_isReadByDfuSuffix()
{
    const QTemporaryDir folder;
    const QString path = folder.filePath("ours.dfu");
    QVERIFY(
        save(path, withDfuSuffix(sample(1000, 3),
                                 {.device = 0x0250, .product = kPhotonDfu, .vendor = kVendor})));
    const auto checked = ran("dfu-suffix", {"-c", path});
    QVERIFY2(checked.exitCode == 0, qPrintable(checked.output));
    for (const char* words : {"Vendor ID:\t0x2B04", "Product ID:\t0xD006", "BCD device:\t0x0250"})
        QVERIFY2(checked.output.contains(QString(words)), qPrintable(checked.output));
}

void TstDfuFile::suffix_ofDfuSuffixIsRead()
{
    const QTemporaryDir folder;
    const QString path = folder.filePath("theirs.dfu");
    const Bytes content = sample(1000, 4);
    QVERIFY(save(path, content));
    const auto added = ran("dfu-suffix", {"-v", "2b04", "-p", "d006", "-d", "0250", "-a", path});
    QVERIFY2(added.exitCode == 0, qPrintable(added.output));
    const Bytes theirs = loaded(path);
    const auto file = parseDfuFile(theirs);
    QVERIFY2(file, file ? "" : describe(file.error()).c_str());
    QVERIFY(file->suffix && file->images.empty());
    QCOMPARE(file->suffix->vendor, kVendor);
    QCOMPARE(file->suffix->product, kPhotonDfu);
    QCOMPARE(file->suffix->device, std::uint16_t{0x0250});
    QVERIFY(equalBytes(file->content, content));
}

void TstDfuFile::plainFile_isItsOwnContent()
{
    for (const std::size_t size : {0U, 1U, 15U, 16U, 4096U}) {
        const Bytes content = sample(size, 5);
        const auto file = parseDfuFile(content);
        QVERIFY(file && !file->suffix && file->images.empty());
        QVERIFY(equalBytes(file->content, content));
    }
}

void TstDfuFile::dfuSe_ofDfusePackIsRead()
{
    const QTemporaryDir folder;
    const Bytes first = sample(700, 6);
    const Bytes second = sample(50, 7);
    QVERIFY(save(folder.filePath("a.bin"), first) && save(folder.filePath("b.bin"), second));
    const QString path = folder.filePath("theirs.dfu");
    const auto packed =
        ran("dfuse-pack", {"-D", "0x2b04:0xd006", "-b", "0x08020000:" + folder.filePath("a.bin"),
                           "-b", "0x080a0000:" + folder.filePath("b.bin"), path});
    QVERIFY2(packed.exitCode == 0, qPrintable(packed.output));
    const Bytes theirs = loaded(path);
    const auto file = parseDfuFile(theirs);
    QVERIFY2(file, file ? "" : describe(file.error()).c_str());
    QCOMPARE(file->suffix->vendor, kVendor);
    QCOMPARE(file->images.size(), std::size_t{1});
    QCOMPARE(file->images[0].elements.size(), std::size_t{2});
    QCOMPARE(file->images[0].elements[1].address, 0x080A0000U);
    // dfuse-pack fills elements up to multiples of eight.
    QVERIFY(equalBytes(file->images[0].elements[0].bytes.first(first.size()), first));
    QVERIFY(equalBytes(file->images[0].elements[1].bytes.first(second.size()), second));
}

void TstDfuFile::dfuSe_isReadByDfusePack()
{
    const QTemporaryDir folder;
    const Bytes part = sample(300, 8);
    const Bytes table = sample(16, 9);
    const auto built = buildDfuSeFile(
        {{.alternate = 0, .name = "Flash", .elements = {{.address = 0x08020000, .bytes = part}}},
         {.alternate = 1, .elements = {{.address = 0x22, .bytes = table}}}},
        {.product = kPhotonDfu, .vendor = kVendor});
    QVERIFY(built);
    const QString path = folder.filePath("ours.dfu");
    QVERIFY(save(path, *built));
    const auto dumped = ran("dfuse-pack", {"-d", path});
    QVERIFY2(dumped.exitCode == 0, qPrintable(dumped.output));
    QVERIFY2(!dumped.output.contains("ERROR") && dumped.output.contains("alt setting: 1"),
             qPrintable(dumped.output));
    QCOMPARE(loaded(path + ".target0.image0.bin"), part);
    QCOMPARE(loaded(path + ".target1.image0.bin"), table);
    const auto checked = ran("dfu-suffix", {"-c", path});
    QVERIFY2(checked.exitCode == 0, qPrintable(checked.output));
}

void TstDfuFile::dfuSe_comesBackAsItWasBuilt()
{
    const Bytes first = sample(5, 1);
    const Bytes second = sample(6, 2);
    const auto built = buildDfuSeFile(
        {{.alternate = 3,
          .name = std::string(254, 'n'),
          .elements = {{.address = 0xFFFFFFFB, .bytes = first}, {.address = 0, .bytes = second}}}},
        {.device = 0x0200});
    QVERIFY(built);
    const auto file = parseDfuFile(*built);
    QVERIFY2(file, file ? "" : describe(file.error()).c_str());
    QCOMPARE(file->suffix->device, std::uint16_t{0x0200});
    QCOMPARE(file->suffix->version, std::uint16_t{0x011A});
    QCOMPARE(file->images[0].alternate, std::uint8_t{3});
    QCOMPARE(file->images[0].name, std::string(254, 'n'));
    QCOMPARE(file->images[0].elements[0].address, 0xFFFFFFFBU);
    QVERIFY(equalBytes(file->images[0].elements[1].bytes, second));
}

void TstDfuFile::dfuSe_cutAnywhereIsRefused()
{
    const Bytes whole = dfuSeWith({});
    QVERIFY(parseDfuFile(whole));
    for (std::size_t size = 5; size < whole.size(); ++size) // from where it says what it is
        QVERIFY2(!parseDfuFile(ByteView(whole).first(size)), concat(size, " bytes").c_str());
    // A suffix that is moved up to the cut is found out by the sizes.
    for (std::size_t size = 11; size < whole.size() - 16; ++size) {
        const Bytes shorter = withDfuSuffix(ByteView(whole).first(size), {.version = 0x011A});
        QVERIFY2(!parseDfuFile(shorter), concat(size, " bytes and a suffix").c_str());
    }
}

void TstDfuFile::dfuSe_withAnyByteChangedIsRefused()
{
    const Bytes whole = dfuSeWith({});
    for (std::size_t at = 0; at < whole.size(); ++at) {
        Bytes changed = whole;
        changed[at] ^= std::byte{0x20};
        // A changed mark of the suffix or prefix makes another kind of file; never a DfuSe one.
        const auto file = parseDfuFile(changed);
        QVERIFY2(!file || file->images.empty(), concat("byte ", at).c_str());
    }
}

void TstDfuFile::dfuSe_withAFieldThatCannotBeIsRefused_data()
{
    QTest::addColumn<QByteArray>("file");
    const auto row = [](const char* name, const Fields& fields) {
        const std::string text = toText(dfuSeWith(fields));
        QTest::newRow(name) << QByteArray::fromStdString(text);
    };
    row("size in the prefix", {.prefixSize = 1});
    row("version", {.version = 2});
    row("no images", {.images = 0});
    row("more images", {.images = 2});
    row("mark of the image", {.mark = "target"});
    row("larger image", {.imageSize = 1});
    row("smaller image", {.imageSize = 0xFFFFFFFF});
    row("no elements", {.elements = 0});
    row("fewer elements", {.elements = 1});
    row("more elements", {.elements = 3});
    row("endless elements", {.elements = 0xFFFFFFFF});
    row("larger element", {.elementSize = 1});
    row("smaller element", {.elementSize = 0xFFFFFFFF});
    row("element of no bytes", {.elementSize = 0xFFFFFFF8});
    row("element beyond 32 bits", {.secondAddress = 0xFFFFFFFC});
    row("elements in one place", {.secondAddress = 0x080A000F});
}

void TstDfuFile::dfuSe_withAFieldThatCannotBeIsRefused()
{
    QFETCH(const QByteArray, file);
    const Bytes bytes =
        toBytes(std::string_view(file.constData(), static_cast<std::size_t>(file.size())));
    const auto parsed = parseDfuFile(bytes);
    QVERIFY(!parsed);
    QCOMPARE(parsed.error().code, Errc::InvalidData);
    QVERIFY(!parsed.error().message.empty());
    // And a suffix that promises DfuSe in front of something else.
    QVERIFY(!parseDfuFile(withDfuSuffix(sample(400, 1), {.version = 0x011A})));
}

void TstDfuFile::dfuSe_imagesOfOneMemoryMustNotOverlap_data()
{
    QTest::addColumn<int>("alternate");
    QTest::addColumn<unsigned>("address"); ///< of 8 bytes beside 16 at 0x100
    QTest::addColumn<bool>("good");
    QTest::newRow("in front") << 0 << 0xF8U << true;
    QTest::newRow("reaches in") << 0 << 0xF9U << false;
    QTest::newRow("the same start") << 0 << 0x100U << false;
    QTest::newRow("inside") << 0 << 0x104U << false;
    QTest::newRow("the last byte") << 0 << 0x10FU << false;
    QTest::newRow("behind") << 0 << 0x110U << true;
    QTest::newRow("inside, another memory") << 1 << 0x104U << true;
}

void TstDfuFile::dfuSe_imagesOfOneMemoryMustNotOverlap()
{
    QFETCH(const int, alternate);
    QFETCH(const unsigned, address);
    const Bytes large = sample(16, 1);
    const Bytes small = sample(8, 2);
    const DfuImage first{.elements = {{.address = 0x100, .bytes = large}}};
    const DfuImage second{.alternate = static_cast<std::uint8_t>(alternate),
                          .elements = {{.address = address, .bytes = small}}};
    for (const auto& images :
         {std::vector<DfuImage>{first, second}, std::vector<DfuImage>{second, first}}) {
        const auto built = buildDfuSeFile(images, {});
        QVERIFY(built);
        const auto file = parseDfuFile(*built);
        QTEST(file.has_value(), "good");
        QVERIFY(file || file.error().message.find("share") != std::string::npos);
    }
}

void TstDfuFile::build_refusesWhatCannotBeWritten()
{
    const Bytes four = sample(4, 1);
    QVERIFY(!buildDfuSeFile({}, {}));
    QVERIFY(!buildDfuSeFile({{.alternate = 0}}, {}));
    QVERIFY(!buildDfuSeFile({{.elements = {{.address = 1}}}}, {}));
    QVERIFY(!buildDfuSeFile({{.elements = {{.address = 0xFFFFFFFD, .bytes = four}}}}, {}));
    QVERIFY(!buildDfuSeFile(
        {{.name = std::string(255, 'n'), .elements = {{.address = 1, .bytes = four}}}}, {}));
    QVERIFY(!buildDfuSeFile(std::vector<DfuImage>(256, {.elements = {{.bytes = four}}}), {}));
}

void TstDfuFile::recipient_isComparedWithAnyForNone()
{
    QVERIFY(checkDfuRecipient({}, kVendor, kPhotonDfu));
    QVERIFY(checkDfuRecipient({.vendor = kVendor}, kVendor, kPhotonDfu));
    QVERIFY(checkDfuRecipient({.product = kPhotonDfu, .vendor = kVendor}, kVendor, kPhotonDfu));
    const auto other =
        checkDfuRecipient({.product = 0x607F, .vendor = 0x1D50}, kVendor, kPhotonDfu);
    QVERIFY(!other);
    QCOMPARE(other.error().code, Errc::Denied);
    QVERIFY(contains(other.error().message, "1d50:607f"));
    QVERIFY(!checkDfuRecipient({.product = 0xD008, .vendor = kVendor}, kVendor, kPhotonDfu));
}

} // namespace

PROVOST_TEST("dfu_file", TstDfuFile)
#include "tst_dfu_file.moc"
