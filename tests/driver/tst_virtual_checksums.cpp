// The bench's own checksums and byte order: against published answers, and beside the drivers'.
#include "support/test_program.h"

#include "core/byte_io.h"
#include "core/crc.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "sim/checksums.h"
#include "sim/octets.h"

using namespace provost;

namespace {

Bytes checksumInput(std::size_t size)
{
    Bytes bytes(size);
    std::uint32_t state = 0x2545F491;
    for (std::byte& byte : bytes) {
        state = state * 1664525 + 1013904223;
        byte = static_cast<std::byte>(state >> 24);
    }
    return bytes;
}

class TstVirtualChecksums : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void crc_hasItsCheckValue()
    {
        // The "check" of CRC-32/ISO-HDLC, and zlib's answers.
        QCOMPARE(sim::unitCrc32(viewOf("123456789")), 0xCBF43926U);
        QCOMPARE(sim::unitCrc32({}), 0U);
        QCOMPARE(sim::unitCrc32(viewOf("a")), 0xE8B7BE43U);
    }

    void sha256_hasThePublishedAnswers()
    {
        // FIPS 180-4, examples.
        QCOMPARE(toHex(sim::unitSha256({})),
                 std::string("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
        QCOMPARE(toHex(sim::unitSha256(viewOf("abc"))),
                 std::string("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    }

    void bothReadings_agree()
    {
        for (const std::size_t size : {1, 15, 16, 255, 4096, 70001}) {
            const Bytes bytes = checksumInput(size);
            QCOMPARE(sim::unitCrc32(bytes), crc32(bytes));
            QCOMPARE(toHex(sim::unitSha256(bytes)), sha256Hex(bytes));
        }
    }

    void octets_haveTheOrderThatIsNamed()
    {
        Bytes frame;
        sim::Fields(frame).le16(0x0200).be32(0x7F000001).u8(0x1FF).le32(0x0A0B0C0D).be16(0xFFFE);
        QCOMPARE(sim::hexText(frame), std::string("00027f000001ff0d0c0b0afffe"));
        QCOMPARE(sim::le16At(frame), std::uint16_t{0x0200});
        QCOMPARE(sim::be32At(frame, 2), 0x7F000001U);
        QCOMPARE(sim::le32At(frame, 7), 0x0A0B0C0DU);
        QCOMPARE(sim::be16At(frame, 11), std::uint16_t{0xFFFE});
        for (std::size_t at = 0; at + 4 <= frame.size(); ++at) {
            QCOMPARE(sim::le16At(frame, at), readLe16(frame, at));
            QCOMPARE(sim::be16At(frame, at), readBe16(frame, at));
            QCOMPARE(sim::le32At(frame, at), readLe32(frame, at));
            QCOMPARE(sim::be32At(frame, at), readBe32(frame, at));
        }
    }

    void hexText_isReadInBothCasesAndNothingElse()
    {
        QCOMPARE(sim::hexText(*sim::fromHexText("00fFA9")), std::string("00ffa9"));
        QCOMPARE(sim::hexText(0xBEEF, 2), std::string("ef"));
        for (const std::string_view bad : {"0", "0g", "0x00", " 0"})
            QVERIFY(!sim::fromHexText(bad));
        QCOMPARE(sim::withoutBlanks(" \t\xC3\xA4 b\r\n"), std::string_view("\xC3\xA4 b"));
    }
};

} // namespace

PROVOST_TEST("virtual_checksums", TstVirtualChecksums)
#include "tst_virtual_checksums.moc"
