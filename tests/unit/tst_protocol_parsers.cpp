// Texts and checksums that come from a unit: memory layouts, module reports, CRC vectors.
#include "core/byte_io.h"
#include "core/crc.h"
#include "core/text.h"
#include "protocol/dfu_device.h"
#include "protocol/module_report.h"
#include "support/test_program.h"

#include <QTest>

using namespace provost;

namespace {

struct Expected {
    std::uint32_t base = 0;
    std::uint32_t size = 0;
    std::uint32_t sector = 0;
    std::string access{}; ///< of "rew"
};

std::string accessOf(const MemoryRegion& region)
{
    return std::string(region.readable ? "r" : "") + (region.erasable ? "e" : "") +
           (region.writable ? "w" : "");
}

void compareLayout(std::string_view text, const std::vector<Expected>& expected)
{
    const auto layout = parseMemoryLayout(text);
    QVERIFY2(layout.has_value(), layout ? "" : layout.error().message.c_str());
    QCOMPARE(layout->size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        QCOMPARE((*layout)[i].base, expected[i].base);
        QCOMPARE((*layout)[i].size, expected[i].size);
        QCOMPARE((*layout)[i].sectorSize, expected[i].sector);
        QCOMPARE(accessOf((*layout)[i]), expected[i].access);
    }
}

void refuseLayout(std::string_view text)
{
    const auto layout = parseMemoryLayout(text);
    QVERIFY2(!layout.has_value(), std::string(text).c_str());
    QCOMPARE(layout.error().code, Errc::InvalidData);
}

constexpr std::string_view kPhotonReport =
    R"({"p":6,"m":[{"s":16384,"l":"m","vc":30,"vv":30,"f":"b","n":"0","v":501,"d":[]},)"
    R"({"s":262144,"l":"m","vc":30,"vv":30,"f":"s","n":"1","v":207,"d":[{"f":"b","n":"0","v":501,"_":""}]},)"
    R"({"s":262144,"l":"m","vc":30,"vv":26,"f":"s","n":"2","v":207,"d":[{"f":"s","n":"1","v":207,"_":""},)"
    R"({"f":"b","n":"0","v":501,"_":""}]},)"
    R"({"s":131072,"l":"m","vc":30,"vv":30,"u":"A5e0B1c2D3F40516273849506172839405162738495061728394A5B6C7D8E9F0","f":"u","n":"1","v":4,"d":[]},)"
    R"({"s":131072,"l":"f","vc":30,"vv":0,"d":[]}]})";

class TstProtocolParsers : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void layout_readsTheBoardsOfTheFactSheet();
    void layout_toleratesKnownDeviations();
    void layout_restartsAtASecondAddress();
    void layout_refusesWhatIsNoLayout();
    void layout_refusesRegionsBeyond32Bits();
    void layout_survivesEveryTruncationAndEveryByteChange();
    void report_readsEveryFieldOfAPhoton();
    void report_findsModulesOfTheMainLocationOnly();
    void report_refusesHostileText_data();
    void report_refusesHostileText();
    void report_namesTheCharacterOfTheError();
    void report_ignoresMembersItDoesNotKnow();
    void report_survivesEveryTruncation();
    void crc_matchesThePublishedVectors();
};

void TstProtocolParsers::layout_readsTheBoardsOfTheFactSheet()
{
    using namespace std::string_view_literals;
    compareLayout("@Internal Flash  /0x08000000/20*001Ka,108*001Kg\0"sv,
                  {{0x08000000, 0x5000, 0x400, "r"}, {0x08005000, 0x1B000, 0x400, "rew"}});
    compareLayout("@SPI Flash : SST25x/0x00000000/512*04Kg\0\0\0\0\0\0\0\0\0"sv,
                  {{0, 0x200000, 0x1000, "rew"}});
    compareLayout("@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg",
                  {{0x08000000, 0xC000, 0x4000, "r"},
                   {0x0800C000, 0x4000, 0x4000, "rew"},
                   {0x08010000, 0x10000, 0x10000, "rew"},
                   {0x08020000, 0xE0000, 0x20000, "rew"}});
    compareLayout("@DCT Flash   /0x00000000/01*016Kg", {{0, 0x4000, 0x4000, "rew"}});
    compareLayout("@Serial Flash   /0x00000000/256*004Kg", {{0, 0x100000, 0x1000, "rew"}});
}

void TstProtocolParsers::layout_toleratesKnownDeviations()
{
    // A blank as unit, and a type behind it.
    compareLayout("@Option Bytes  /0x1FFFC000/01*016 e", {{0x1FFFC000, 16, 16, "rw"}});
    compareLayout("@OTP Memory /0x1FFF7800/01*512 e,01*016 e",
                  {{0x1FFF7800, 512, 512, "rw"}, {0x1FFF7A00, 16, 16, "rw"}});
    // No unit in front of the letter.
    compareLayout("@A/0x1000/2*16g", {{0x1000, 32, 16, "rew"}});
    // "Device Feature" without a valid letter counts as 'e'.
    compareLayout("@Device Feature/0xFFFF0000/01*004 e", {{0xFFFF0000, 4, 4, "rw"}});
    compareLayout("@Device Feature/0xFFFF0000/01*004", {{0xFFFF0000, 4, 4, "rw"}});
    compareLayout("@Device Feature/0xFFFF0000/01*004 x", {{0xFFFF0000, 4, 4, "rw"}});
    // Seven digits, large sizes, a colon, megabytes, bytes.
    compareLayout("@Flash: main/0x8000000/01*999Kg", {{0x08000000, 999 * 1024, 999 * 1024, "rew"}});
    compareLayout("@F/0x0/2*1Mg,4*8Bd", {{0, 0x200000, 0x100000, "rew"}, {0x200000, 32, 8, "w"}});
    // No letter: reading only.
    compareLayout("@F/0x0/2*1K", {{0, 2048, 1024, "r"}});
    // Every letter.
    compareLayout("@F/0x0/1*1Ka,1*1Kb,1*1Kc,1*1Kd,1*1Ke,1*1Kf,1*1Kg",
                  {{0, 1024, 1024, "r"},
                   {0x400, 1024, 1024, "e"},
                   {0x800, 1024, 1024, "re"},
                   {0xC00, 1024, 1024, "w"},
                   {0x1000, 1024, 1024, "rw"},
                   {0x1400, 1024, 1024, "ew"},
                   {0x1800, 1024, 1024, "rew"}});
}

void TstProtocolParsers::layout_restartsAtASecondAddress()
{
    compareLayout("@Two/0x08000000/1*16Kg/0x20000000/2*1Ka",
                  {{0x08000000, 0x4000, 0x4000, "rew"}, {0x20000000, 0x800, 0x400, "r"}});
}

void TstProtocolParsers::layout_refusesWhatIsNoLayout()
{
    for (const std::string_view text : {"",
                                        "@",
                                        "Flash/0x0/1*1Kg",
                                        "@Flash",
                                        "@Flash/",
                                        "@Flash/08000000/1*1Kg",
                                        "@F/0x/1*1Kg",
                                        "@F/0x0",
                                        "@F/0x0/",
                                        "@F/0x0/1*",
                                        "@F/0x0/*1Kg",
                                        "@F/0x0/1x1Kg",
                                        "@F/0x0/0*1Kg",
                                        "@F/0x0/1*0Kg",
                                        "@F/0x0/1*1Kh",
                                        "@F/0x0/1*1Kg,",
                                        "@F/0x0/1*1Kgg",
                                        "@F/0x0/1*1Kg;",
                                        "@F/0x0/-1*1Kg",
                                        "@F/0x0/1*-1Kg",
                                        "@F/0x-1/1*1Kg",
                                        "@F/0x0/1*1Kg/"})
        refuseLayout(text);
    refuseLayout("@" + std::string(5000, 'x') + "/0x0/1*1Kg");
}

void TstProtocolParsers::layout_refusesRegionsBeyond32Bits()
{
    refuseLayout("@F/0x100000000/1*1Kg");
    refuseLayout("@F/0xFFFFFFFF/1*1Kg");
    refuseLayout("@F/0x0/4294967295*4294967295Mg");
    refuseLayout("@F/0x0/99999999999*1Kg");
    refuseLayout("@F/0x80000000/2*1024Mg,1*1Bg");
    refuseLayout("@F/0x0/4096*1Mg");
    // The last byte of the address space is inside.
    compareLayout("@F/0xFFFFFC00/1*1Kg", {{0xFFFFFC00, 1024, 1024, "rew"}});
}

void TstProtocolParsers::layout_survivesEveryTruncationAndEveryByteChange()
{
    const std::string good = "@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg";
    for (std::size_t length = 0; length < good.size(); ++length)
        static_cast<void>(parseMemoryLayout(std::string_view(good).substr(0, length)));
    for (std::size_t at = 0; at < good.size(); ++at) {
        for (int value = 0; value < 256; ++value) {
            std::string changed = good;
            changed[at] = static_cast<char>(value);
            const auto layout = parseMemoryLayout(changed);
            for (const auto& region : layout.value_or(std::vector<MemoryRegion>())) {
                QVERIFY(region.sectorSize > 0 && region.size % region.sectorSize == 0);
                QVERIFY(std::uint64_t{region.base} + region.size <= 0x100000000ULL);
            }
        }
    }
}

void TstProtocolParsers::report_readsEveryFieldOfAPhoton()
{
    const auto report = parseModuleReport(kPhotonReport);
    QVERIFY2(report.has_value(), report ? "" : report.error().message.c_str());
    QCOMPARE(report->platform, 6);
    QCOMPARE(report->modules.size(), std::size_t{5});
    const ModuleEntry& part2 = report->modules[2];
    QCOMPARE(part2.regionSize, 262144U);
    QCOMPARE(part2.location, 'm');
    QCOMPARE(part2.checked, 30);
    QCOMPARE(part2.passed, 26);
    QCOMPARE(part2.function.value_or('-'), 's');
    QCOMPARE(part2.index, 2);
    QCOMPARE(part2.version, 207);
    QCOMPARE(part2.dependencies.size(), std::size_t{2});
    QCOMPARE(part2.dependencies[0].function, 's');
    QCOMPARE(part2.dependencies[0].index, 1);
    QCOMPARE(part2.dependencies[1].version, 501);
    QCOMPARE(report->modules[3].sha256.substr(0, 8), std::string("a5e0b1c2"));
    QVERIFY(!report->modules[4].function.has_value());
}

void TstProtocolParsers::report_findsModulesOfTheMainLocationOnly()
{
    const auto report = parseModuleReport(
        R"({"p":8,"imei":"1","m":[{"l":"f","f":"u","n":"1","v":1},{"l":"m","f":"u","n":"1","v":9}]})");
    QVERIFY(report.has_value());
    QCOMPARE(report->find('u')->version, 9);
    QCOMPARE(report->find('u', 1)->version, 9);
    QVERIFY(report->find('u', 2) == nullptr);
    QVERIFY(report->find('b') == nullptr);
}

void TstProtocolParsers::report_refusesHostileText_data()
{
    QTest::addColumn<QByteArray>("text");
    QTest::newRow("empty") << QByteArray();
    QTest::newRow("no object") << QByteArray("[]");
    QTest::newRow("no modules") << QByteArray(R"({"p":6})");
    QTest::newRow("modules no list") << QByteArray(R"({"p":6,"m":{}})");
    QTest::newRow("module no object") << QByteArray(R"({"p":6,"m":[1]})");
    QTest::newRow("no location") << QByteArray(R"({"p":6,"m":[{"s":1}]})");
    QTest::newRow("unknown location") << QByteArray(R"({"p":6,"m":[{"l":"x"}]})");
    QTest::newRow("unknown function") << QByteArray(R"({"p":6,"m":[{"l":"m","f":"q"}]})");
    QTest::newRow("long function") << QByteArray(R"({"p":6,"m":[{"l":"m","f":"ss"}]})");
    QTest::newRow("index no number") << QByteArray(R"({"p":6,"m":[{"l":"m","f":"s","n":"x"}]})");
    QTest::newRow("version fraction") << QByteArray(R"({"p":6,"m":[{"l":"m","v":1.5}]})");
    QTest::newRow("version too large") << QByteArray(R"({"p":6,"m":[{"l":"m","v":99999999999}]})");
    QTest::newRow("negative size") << QByteArray(R"({"p":6,"m":[{"l":"m","s":-1}]})");
    QTest::newRow("size too large") << QByteArray(R"({"p":6,"m":[{"l":"m","s":4294967296}]})");
    QTest::newRow("short hash") << QByteArray(R"({"p":6,"m":[{"l":"m","u":"abcd"}]})");
    QTest::newRow("dependency") << QByteArray(R"({"p":6,"m":[{"l":"m","d":[{"n":"1"}]}]})");
    QTest::newRow("platform") << QByteArray(R"({"p":"six","m":[]})");
    QTest::newRow("twice") << QByteArray(R"({"p":6,"p":8,"m":[]})");
    QTest::newRow("behind the end") << QByteArray(R"({"p":6,"m":[]}{)");
    QTest::newRow("trailing comma") << QByteArray(R"({"p":6,"m":[],})");
    QTest::newRow("leading zero") << QByteArray(R"({"p":06,"m":[]})");
    QTest::newRow("plus") << QByteArray(R"({"p":+6,"m":[]})");
    QTest::newRow("single quotes") << QByteArray("{'p':6,'m':[]}");
    QTest::newRow("control character") << QByteArray("{\"p\":6,\"m\":[],\"x\":\"\n\"}");
    QTest::newRow("bad escape") << QByteArray(R"({"p":6,"m":[],"x":"\q"})");
    QTest::newRow("half a character") << QByteArray(R"({"p":6,"m":[],"x":"\ud800"})");
    QTest::newRow("signed escape") << QByteArray(R"({"p":6,"m":[],"x":"\u-123"})");
    QTest::newRow("NUL") << QByteArray("{\"p\":6,\"m\":[]\0}", 15);
    QTest::newRow("deep") << QByteArray(100000, '[');
    QTest::newRow("deep objects") << QByteArray(R"({"a":)").repeated(1000);
    QTest::newRow("long") << QByteArray(R"({"p":6,"m":[],"x":")") + QByteArray(300000, 'x') + "\"}";
    QTest::newRow("many") << QByteArray(R"({"p":6,"m":[{"l":"m"})") +
                                 QByteArray(R"(,{"l":"m"})").repeated(64) + "]}";
}

void TstProtocolParsers::report_refusesHostileText()
{
    QFETCH(QByteArray, text);
    const auto report =
        parseModuleReport({text.constData(), static_cast<std::size_t>(text.size())});
    QVERIFY(!report.has_value());
    QCOMPARE(report.error().code, Errc::InvalidData);
}

void TstProtocolParsers::report_namesTheCharacterOfTheError()
{
    const auto report = parseModuleReport(R"({"p":6,"m":[}])");
    QVERIFY(!report.has_value());
    QVERIFY2(report.error().message.find("character 12") != std::string::npos,
             report.error().message.c_str());
}

void TstProtocolParsers::report_ignoresMembersItDoesNotKnow()
{
    const auto report =
        parseModuleReport(" {\r\n\"x\":[null,true,false,-1.5e+3,\"\\u00e9\\ud83d\\ude00\\n\"],"
                          "\"p\":10 , \"m\" : [ ] }\r\n");
    QVERIFY2(report.has_value(), report ? "" : report.error().message.c_str());
    QCOMPARE(report->platform, 10);
    QVERIFY(report->modules.empty());
}

void TstProtocolParsers::report_survivesEveryTruncation()
{
    for (std::size_t length = 0; length < kPhotonReport.size(); ++length)
        QVERIFY(!parseModuleReport(kPhotonReport.substr(0, length)).has_value());
}

void TstProtocolParsers::crc_matchesThePublishedVectors()
{
    const auto check = viewOf("123456789");
    QCOMPARE(crc32(check), 0xCBF43926U);
    QCOMPARE(crc32(viewOf("6789"), crc32(viewOf("12345"))), 0xCBF43926U);
    QCOMPARE(crc16Xmodem(check), std::uint16_t{0x31C3});
    QCOMPARE(crc32DfuSuffix(check), 0x340BC6D9U);
    QCOMPARE(crc32({}), 0U);
    QCOMPARE(crc16Xmodem({}), std::uint16_t{0});
    // Four bytes are looked up at once; bit by bit and at every length it has to come out the same.
    Bytes bytes;
    for (unsigned length = 1; length < 300; ++length) {
        bytes.push_back(static_cast<std::byte>((length * 167 + length / 3) & 0xFF));
        unsigned slow = 0;
        for (const std::byte byte : bytes) {
            slow ^= static_cast<unsigned>(byte) << 8;
            for (int bit = 0; bit < 8; ++bit)
                slow = ((slow << 1) ^ ((slow & 0x8000) != 0 ? 0x1021U : 0U)) & 0xFFFF;
        }
        QCOMPARE(crc16Xmodem(bytes), static_cast<std::uint16_t>(slow));
    }
    // The file that dfu-suffix wrote (protocol sheet 1.6): the CRC covers all but its own bytes.
    const auto file = fromHex("313233343536373839ffff7f60501d000155464410");
    QVERIFY(file.has_value());
    QCOMPARE(crc32DfuSuffix(*file), 0x1B1E8DE6U);
}

} // namespace

PROVOST_TEST("protocol_parsers", TstProtocolParsers)
#include "tst_protocol_parsers.moc"
