// Firmware files: the module parser, the demo images, what is said about a file. Checksums are
// compared with those of gzip and sha256sum.
#include "image_samples.h"
#include "support/test_program.h"

#include "core/text.h"
#include "crypto/digest.h"
#include "image/inspection.h"
#include "support/photon_facts.h"
#include "support/source_tree.h"

#include <QFileInfo>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTemporaryDir>
#include <QTest>
#include <cstdio>

using namespace provost;

namespace {

/// Recomputes the CRC of a file whose end address is right.
void seal(Bytes& file)
{
    writeBe32(file, file.size() - 4, crc32(ByteView(file).first(file.size() - 4)));
}

/// A module laid out by hand, field by field (particle-devices 6.1, 6.2).
struct Layout {
    std::uint32_t stackPointer = 0;
    std::uint32_t headerOffset = 0;
    std::uint16_t platformId = 0;
    std::uint32_t start = 0;
    std::uint8_t function = 0;
    std::uint8_t index = 0;
    std::uint16_t suffixSize = 40;
    std::uint32_t end = 1024; ///< offset of the CRC
};

Bytes moduleOf(const Layout& layout)
{
    Bytes file(layout.end + 4, std::byte{0x5A});
    writeLe32(file, 0, layout.stackPointer);
    writeLe32(file, layout.headerOffset, layout.start);
    writeLe32(file, layout.headerOffset + 4, layout.start + layout.end);
    writeLe16(file, layout.headerOffset + 10, 207);
    writeLe16(file, layout.headerOffset + 12, layout.platformId);
    file[layout.headerOffset + 14] = std::byte{layout.function};
    file[layout.headerOffset + 15] = std::byte{layout.index};
    writeLe32(file, layout.headerOffset + 16, 0);
    writeLe32(file, layout.headerOffset + 20, 0);
    writeLe16(file, layout.end - 2, layout.suffixSize);
    seal(file);
    return file;
}

/// Standard output of a shell command; empty where it fails. No QProcess: the thread sanitizer does
/// not survive its way of forking.
QByteArray outputOf(const QString& command)
{
    FILE* const pipe = popen(qPrintable(command), "r");
    QFile output;
    QByteArray text;
    if (pipe && output.open(pipe, QIODevice::ReadOnly))
        text = output.readAll();
    return pipe && pclose(pipe) == 0 ? text : QByteArray();
}

class TstImage : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void platform_isReadByNameAndNumber();
    void function_hasNameAndReportLetter();
    void demoImage_carriesItsFields_data();
    void demoImage_carriesItsFields();
    void demoImage_isTheOneOfTheManifest();
    void checksums_agreeWithGzipAndSha256sum();
    void parse_findsHeaderByRule_data();
    void parse_findsHeaderByRule();
    void parse_toleratesPaddingBehindCrc();
    void parse_refusesOtherBytesBehindCrc();
    void parse_withoutProductFieldsHasNoProduct();
    void parse_recognisesPlaceholders();
    void parse_keepsDependencyOfUnknownFunction();
    void parse_seesDemoMarkOnlyBehindHeader();
    void parse_detectsEverySingleBitFlip_data();
    void parse_detectsEverySingleBitFlip();
    void parse_refusesEveryTruncation();
    void parse_refusesHostileInput_data();
    void parse_refusesHostileInput();
    void inspection_isOneJsonObject();
    void inspection_namesTheDamage();
    void inspection_refusesWhatIsNoFile();
};

void TstImage::platform_isReadByNameAndNumber()
{
    QCOMPARE(*parsePlatform("photon"), test::photon::kPlatform);
    QCOMPARE(*parsePlatform("P1"), std::uint16_t{8});
    QCOMPARE(*parsePlatform("10"), std::uint16_t{10});
    QCOMPARE(*parsePlatform("0"), std::uint16_t{0});
    for (const std::string_view text : {"", "photo", "6x", "-1", "65536", " 6"})
        QCOMPARE(parsePlatform(text).error().code, Errc::InvalidArgument);
    QCOMPARE(platformName(0), "core");
    QCOMPARE(platformName(14), "xenon");
    QCOMPARE(platformName(7), "");
}

void TstImage::function_hasNameAndReportLetter()
{
    std::string letters;
    for (unsigned value = 0; value <= 9; ++value)
        letters += reportLetter(static_cast<ModuleFunction>(value));
    QCOMPARE(letters, std::string("nrbmsu_ca_"));
    QCOMPARE(name(ModuleFunction::SystemPart), "system-part");
    QCOMPARE(name(static_cast<ModuleFunction>(200)), "unknown");
}

void TstImage::demoImage_carriesItsFields_data()
{
    QTest::addColumn<int>("which");
    QTest::addColumn<unsigned>("start");
    QTest::addColumn<unsigned>("headerOffset");
    QTest::addColumn<int>("function");
    QTest::addColumn<int>("index");
    QTest::addColumn<int>("version");
    QTest::addColumn<QString>("dependencies");
    QTest::addColumn<int>("productId");
    QTest::addColumn<int>("productVersion");

    const auto add = [](const char* tag, int which, unsigned start, unsigned header, int function,
                        int index, int version, const char* dependencies, int id = 0xFFFF,
                        int productVersion = 0xFFFF) {
        QTest::newRow(tag) << which << start << header << function << index << version
                           << QString(dependencies) << id << productVersion;
    };
    add("1.5.2 bootloader", 0, 0x08000000, 0x184, 2, 0, 502, "");
    add("1.5.2 system-1", 1, 0x08020000, 0x184, 4, 1, 1512, "s2>=207 ");
    add("1.5.2 system-2", 2, 0x08060000, 0x184, 4, 2, 1512, "s1>=1512 b0>=400 ");
    add("1.5.2 user", 3, 0x080A0000, 0, 5, 1, 1, "s2>=1512 ", 60000, 1);
    add("2.3.1 bootloader", 4, 0x08000000, 0x184, 2, 0, 1006, "");
    add("2.3.1 system-1", 5, 0x08020000, 0x184, 4, 1, 2302, "s2>=207 ");
    add("2.3.1 system-2", 6, 0x08060000, 0x184, 4, 2, 2302, "s1>=2302 b0>=1003 ");
    add("2.3.1 user", 7, 0x080A0000, 0, 5, 1, 2, "s2>=2302 ", 60000, 2);
    add("P1 0.4.9 system-2", 10, 0x08060000, 0x184, 4, 2, 11, "s1>=11 ");
    add("P1 system-2", 14, 0x08060000, 0x184, 4, 2, 2302, "s1>=2302 b0>=1003 ");
    add("P1 user", 15, 0x080A0000, 0, 5, 1, 2, "s2>=2302 ", 60000, 2);
    add("Electron index 1", 17, 0x08020000, 0x184, 4, 1, 2302, "s3>=2302 ");
    add("Electron index 2", 18, 0x08040000, 0x184, 4, 2, 2302, "s1>=2302 b0>=1003 ");
    add("Electron index 3", 19, 0x08060000, 0, 4, 3, 2302, "s2>=110 ");
    add("Electron user", 20, 0x08080000, 0, 5, 1, 2, "s2>=2302 ", 60000, 2);
    add("Core", 21, 0x08005000, 0x10C, 3, 0, 207, "", 60000, 1);
}

void TstImage::demoImage_carriesItsFields()
{
    QFETCH(int, which);
    const auto images = demo::demoImages();
    QCOMPARE(images.size(), std::size_t{22});
    const auto& image = images[static_cast<std::size_t>(which)];
    const Bytes file = demo::buildModule(image.plan);
    const auto module = parseModule(file);
    QVERIFY(module);
    QTEST(module->start, "start");
    QTEST(module->headerOffset, "headerOffset");
    QTEST(static_cast<int>(module->function), "function");
    QTEST(int{module->index}, "index");
    QTEST(int{module->version}, "version");
    std::string dependencies;
    for (const ModuleDependency& each : module->dependencies)
        dependencies +=
            concat(reportLetter(each.function), int{each.index}, ">=", each.version, " ");
    QTEST(QString::fromStdString(dependencies), "dependencies");
    QTEST(int{module->product->id}, "productId");
    QTEST(int{module->product->version}, "productVersion");
    QCOMPARE(std::string(platformName(module->platformId)), image.platform);
    QCOMPARE(module->end, module->start + file.size() - 4);
    QCOMPARE(module->moduleSize, file.size());
    QCOMPARE(module->suffixSize, std::uint16_t{40});
    QVERIFY(module->crcOk() && module->sha256Ok && module->demo && !module->placeholders);
    QVERIFY(defects(*module).empty());
    QCOMPARE(concat(image.platform, "-", image.version, "-", roleOf(*module), "-demo.bin"),
             image.fileName);
}

void TstImage::demoImage_isTheOneOfTheManifest()
{
    for (const char* const release :
         {"photon-1.5.2", "photon-2.3.1", "p1-2.3.1", "electron-2.3.1", "core-0.7.0"}) {
        QFile file(test::catalogFolder() + "/" + release + ".toml");
        QVERIFY(file.open(QIODevice::ReadOnly));
        QCOMPARE(file.readAll().toStdString(), demo::demoManifest(release));
    }
    QVERIFY(demo::demoManifest("photon-9.9.9").empty());
}

void TstImage::checksums_agreeWithGzipAndSha256sum()
{
    const Bytes file = demo::buildModule(demo::demoImages().front().plan);
    const auto module = parseModule(file);
    QVERIFY(module);
    QTemporaryDir folder;
    const QString covered = folder.filePath("covered");

    // RFC 1952: the last eight bytes are CRC-32 and length, little-endian.
    QVERIFY(save(covered, ByteView(file).first(file.size() - 4)));
    const QByteArray packed = outputOf("gzip -c " + covered);
    QVERIFY(packed.size() > 8);
    const Bytes trailer = toBytes(packed.right(8).toStdString());
    QCOMPARE(module->crcStored, readLe32(trailer));
    QCOMPARE(module->crcComputed, readLe32(trailer));

    // Up to the SHA-256 field, which lies 34 bytes before the end address.
    QVERIFY(save(covered, ByteView(file).first(file.size() - 4 - 34)));
    const QByteArray line = outputOf("sha256sum " + covered);
    QCOMPARE(toHex(module->sha256Stored), line.left(64).toStdString());

    const QString whole = folder.filePath("whole");
    QVERIFY(save(whole, file));
    QCOMPARE(sha256Hex(file), outputOf("sha256sum " + whole).left(64).toStdString());
}

void TstImage::parse_findsHeaderByRule_data()
{
    QTest::addColumn<unsigned>("stackPointer");
    QTest::addColumn<unsigned>("headerOffset");
    QTest::addColumn<int>("platform");
    QTest::newRow("photon part with vectors") << 0x20020000u << 0x184u << 6;
    QTest::newRow("p1, stack inside its RAM") << 0x2000FFFCu << 0x184u << 8;
    QTest::newRow("electron index 3 without vectors") << 0x08060000u << 0u << 10;
    QTest::newRow("core, 20 KB of RAM") << 0x20005000u << 0x10Cu << 0;
    QTest::newRow("argon with vectors") << 0x20040000u << 0x200u << 12;
    QTest::newRow("xenon user part") << 0x000D4000u << 0u << 14;
}

void TstImage::parse_findsHeaderByRule()
{
    QFETCH(unsigned, stackPointer);
    QFETCH(unsigned, headerOffset);
    QFETCH(int, platform);
    const Bytes file = moduleOf({.stackPointer = stackPointer,
                                 .headerOffset = headerOffset,
                                 .platformId = static_cast<std::uint16_t>(platform),
                                 .start = 0x08060000,
                                 .function = 4,
                                 .index = 3});
    const auto module = parseModule(file);
    QVERIFY2(module, module ? "" : module.error().message.c_str());
    QCOMPARE(module->headerOffset, headerOffset);
    QCOMPARE(int{module->platformId}, platform);
    QCOMPARE(module->end, 0x08060000u + 1024);
    QVERIFY(module->crcOk());
    QVERIFY(!module->sha256Ok);
    QVERIFY(!module->demo);
}

void TstImage::parse_toleratesPaddingBehindCrc()
{
    Bytes file = demo::buildModule(smallPart());
    const std::size_t moduleSize = file.size();
    file.resize(16384, std::byte{0xFF});
    const auto module = parseModule(file);
    QVERIFY(module);
    QVERIFY(module->crcOk());
    QCOMPARE(module->moduleSize, moduleSize);
}

void TstImage::parse_refusesOtherBytesBehindCrc()
{
    Bytes file = demo::buildModule(smallPart());
    const std::size_t moduleSize = file.size();
    file.resize(moduleSize + 100, std::byte{0xFF});
    file[moduleSize + 7] = std::byte{0xA5};
    const auto module = parseModule(file);
    QVERIFY(!module);
    QCOMPARE(module.error().code, Errc::InvalidData);
    QVERIFY(contains(module.error().message, concat("byte a5 at file offset ", moduleSize + 7)));
}

void TstImage::parse_withoutProductFieldsHasNoProduct()
{
    const Bytes file = moduleOf({.platformId = test::photon::kPlatform,
                                 .start = 0x080A0000,
                                 .function = 5,
                                 .index = 1,
                                 .suffixSize = 36});
    const auto module = parseModule(file);
    QVERIFY(module);
    QVERIFY(!module->product);
    QCOMPARE(module->suffixSize, std::uint16_t{36});
}

void TstImage::parse_recognisesPlaceholders()
{
    const Bytes finished = demo::buildModule(smallPart());
    Bytes unfinished = finished;
    for (unsigned i = 0; i < 32; ++i)
        unfinished[unfinished.size() - 4 - 34 + i] = static_cast<std::byte>(i + 1);
    writeBe32(unfinished, unfinished.size() - 4, 0x78563412);
    QVERIFY(parseModule(unfinished)->placeholders);
    QCOMPARE(defects(*parseModule(unfinished)).size(), std::size_t{2});

    Bytes shaOnly = unfinished;
    seal(shaOnly);
    QVERIFY(parseModule(shaOnly)->placeholders && parseModule(shaOnly)->crcOk());
    Bytes crcOnly = finished;
    writeBe32(crcOnly, crcOnly.size() - 4, 0x78563412);
    QVERIFY(parseModule(crcOnly)->placeholders);
}

void TstImage::parse_keepsDependencyOfUnknownFunction()
{
    demo::ModulePlan plan = smallUser();
    plan.requirements[1] = {200, 9, 5};
    const Bytes file = demo::buildModule(plan);
    QCOMPARE(parseModule(file)->dependencies.size(), std::size_t{2});
}

void TstImage::parse_seesDemoMarkOnlyBehindHeader()
{
    Bytes file = demo::buildModule(smallUser());
    QVERIFY(parseModule(file)->demo);
    std::copy_backward(file.begin() + 24, file.begin() + 36, file.begin() + 37);
    seal(file);
    QVERIFY(!parseModule(file)->demo);
}

void TstImage::parse_detectsEverySingleBitFlip_data()
{
    QTest::addColumn<bool>("vectorTable");
    QTest::newRow("header behind a vector table") << true;
    QTest::newRow("header first") << false;
}

void TstImage::parse_detectsEverySingleBitFlip()
{
    QFETCH(bool, vectorTable);
    Bytes file = demo::buildModule(vectorTable ? smallPart() : smallUser());
    for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
        const std::byte mask{static_cast<unsigned char>(1U << (bit % 8))};
        file[bit / 8] ^= mask;
        const auto module = parseModule(file);
        QVERIFY2(!module || !defects(*module).empty(), concat("bit ", bit).c_str());
        file[bit / 8] ^= mask;
    }
    QVERIFY(defects(*parseModule(file)).empty());
}

void TstImage::parse_refusesEveryTruncation()
{
    for (const demo::ModulePlan& plan : {smallPart(), smallUser()}) {
        const Bytes file = demo::buildModule(plan);
        for (std::size_t size = 0; size < file.size(); ++size) {
            const Bytes shorter(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
            const auto module = parseModule(shorter);
            QVERIFY2(!module, concat(size, " bytes").c_str());
            QCOMPARE(module.error().code, Errc::InvalidData);
        }
    }
}

void TstImage::parse_refusesHostileInput_data()
{
    QTest::addColumn<QByteArray>("content");
    QTest::addColumn<QString>("reason");
    const auto add = [](const char* tag, const Bytes& file, const char* reason) {
        QTest::newRow(tag) << QByteArray::fromStdString(toText(file)) << QString(reason);
    };
    const auto patched = [](std::size_t at, std::uint32_t value) {
        Bytes file = demo::buildModule(smallUser());
        writeLe32(file, at, value);
        return file;
    };
    add("nothing", {}, "file size 0");
    add("zeros", Bytes(4096, std::byte{0}), "function 0");
    add("erased flash", Bytes(4096, std::byte{0xFF}), "function 255");
    add("end before start", patched(4, 0x08000000), "end address 0x08000000");
    add("end equals start", patched(4, 0x080A0000), "does not lie behind start address 0x080a0000");
    add("end at the top", patched(4, 0xFFFFFFFF), "the file has");
    add("everything", patched(0, 0x00000000), "the file has");
    Bytes widest = patched(0, 0);
    writeLe32(widest, 4, 0xFFFFFFFF);
    add("all addresses", widest, "need 4294967299 bytes");
    add("end inside the header", patched(4, 0x080A0004), "no room for header and suffix");
    Bytes suffix = demo::buildModule(smallUser());
    for (const unsigned size : {0U, 38U, 44U, 0xFFFFU}) {
        writeLe16(suffix, suffix.size() - 6, static_cast<std::uint16_t>(size));
        add(concat("suffix ", size).c_str(), suffix, "neither 36 nor 40");
    }
    add("suffix reaches into the header",
        moduleOf({.headerOffset = 0,
                  .platformId = 6,
                  .start = 0x080A0000,
                  .function = 5,
                  .suffixSize = 40,
                  .end = 24 + 36}),
        "reaches into the header");
    Bytes cut = demo::buildModule(smallPart());
    cut.resize(0x184 + 23);
    add("stack pointer only", cut, "ends before the header");
    add("photon header at the core's place",
        moduleOf({.stackPointer = 0x20020000,
                  .headerOffset = 0x10C,
                  .platformId = 6,
                  .start = 0x08020000,
                  .function = 4}),
        "header at 0x00000184");
    add("xenon header at the photon's place",
        moduleOf({.stackPointer = 0x20020000,
                  .headerOffset = 0x184,
                  .platformId = 14,
                  .start = 0x08020000,
                  .function = 4}),
        "belongs to a header at 0x00000200");
}

void TstImage::parse_refusesHostileInput()
{
    QFETCH(QByteArray, content);
    QFETCH(QString, reason);
    const Bytes file = toBytes(content.toStdString());
    const auto module = parseModule(file);
    QVERIFY(!module);
    QCOMPARE(module.error().code, Errc::InvalidData);
    QVERIFY2(contains(module.error().message, reason.toStdString()),
             module.error().message.c_str());
}

void TstImage::inspection_isOneJsonObject()
{
    QTemporaryDir folder;
    const QString path = folder.filePath("a \"quoted\"\t\\name.bin");
    const Bytes file = demo::buildModule(demo::demoImages()[6].plan);
    QVERIFY(save(path, file));
    const auto inspection = inspectFile(pathOf(path));
    QVERIFY(inspection);
    const std::string line = toJson(*inspection);
    QVERIFY(!contains(line, "\n"));
    const QJsonObject json = QJsonDocument::fromJson(QByteArray::fromStdString(line)).object();
    QCOMPARE(json["file"].toString(), path);
    QCOMPARE(json["size"].toInt(), 257028);
    QCOMPARE(json["sha256"].toString().toStdString(), sha256Hex(file));
    QCOMPARE(json["platform"].toObject()["id"].toInt(), 6);
    QCOMPARE(json["platform"].toObject()["name"].toString(), QString("photon"));
    QCOMPARE(json["function"].toString(), QString("system-part"));
    QCOMPARE(json["index"].toInt(), 2);
    QCOMPARE(json["version"].toInt(), 2302);
    QCOMPARE(json["start"].toInteger(), 0x08060000);
    QCOMPARE(json["end"].toInteger(), 0x08060000 + 257024);
    const QJsonObject second = json["dependencies"].toArray()[1].toObject();
    QCOMPARE(second["function"].toString(), QString("bootloader"));
    QCOMPARE(second["version"].toInt(), 1003);
    QCOMPARE(json["product"].toObject()["id"].toInt(), 0xFFFF);
    QVERIFY(json["crc"].toObject()["ok"].toBool());
    QCOMPARE(json["crc"].toObject()["stored"].toInteger(), qint64{inspection->module.crcStored});
    QVERIFY(json["demo"].toBool());
}

void TstImage::inspection_namesTheDamage()
{
    QTemporaryDir folder;
    const QString path = folder.filePath("x.bin");
    Bytes file = moduleOf({.headerOffset = 0,
                           .platformId = 99,
                           .start = 0x080A0000,
                           .function = 5,
                           .suffixSize = 36});
    file.back() ^= std::byte{1};
    QVERIFY(save(path, file));
    const auto inspection = inspectFile(pathOf(path));
    QVERIFY(inspection);
    QVERIFY(contains(toText(*inspection), "damaged     CRC is"));
    const std::string line = toJson(*inspection);
    QVERIFY(contains(line, "\"ok\":false"));
    QVERIFY(contains(line, "\"platform\":{\"id\":99,\"name\":null}"));
    QVERIFY(contains(line, "\"product\":null"));
}

void TstImage::inspection_refusesWhatIsNoFile()
{
    QTemporaryDir folder;
    QCOMPARE(inspectFile(pathOf(folder.filePath("none"))).error().code, Errc::NotFound);
    QCOMPARE(inspectFile(pathOf(folder.path())).error().code, Errc::InvalidData);
    QCOMPARE(inspectFile("/dev/zero").error().code, Errc::InvalidData);
    QFile large(folder.filePath("large"));
    QVERIFY(large.open(QIODevice::WriteOnly) && large.resize(3 * 1024 * 1024));
    QCOMPARE(inspectFile(pathOf(folder.filePath("large"))).error().code, Errc::InvalidData);
}

} // namespace

PROVOST_TEST("image", TstImage)
#include "tst_image.moc"
