// The bench's own checksums: against published answers, and beside the drivers'.
#include "support/test_program.h"

#include "core/byte_io.h"
#include "core/crc.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "sim/checksums.h"

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
};

} // namespace

PROVOST_TEST("virtual_checksums", TstVirtualChecksums)
#include "tst_virtual_checksums.moc"
