// The configuration table and writing with read-back, without a unit.
#include "core/byte_io.h"
#include "core/crc.h"
#include "core/text.h"
#include "device/dct.h"
#include "device/memory_target.h"
#include "device/platform_spec.h"
#include "device/write_repeats.h"
#include "support/test_program.h"

#include <QTest>

#include <algorithm>
#include <map>

namespace provost {

namespace {

// particle-devices 3.1, 3.3
DctLayout photonLayout()
{
    return {.copies = {0x08004000, 0x08008000},
            .sectorSize = 0x4000,
            .applicationOffset = 0x1D7C,
            .applicationSize = 8391,
            .wifi = {0x1A30, 0x34C},
            .privateKey = {34, 1216},
            .publicKey = {1250, 384},
            .serverKey = {2082, 768},
            .addressRecord = 384};
}

/// Flash that can be told to lose a byte.
class FakeFlash final : public MemoryTarget {
public:
    FakeFlash() : m_bytes(kSize, std::byte{0xFF}) {}
    static constexpr std::uint32_t kBase = 0x08020000;
    static constexpr std::uint32_t kSector = 0x1000;
    static constexpr std::uint32_t kSize = 4 * kSector;

    std::span<const MemoryRegion> regions() const override { return m_regions; }
    Result<> erase(std::uint32_t address, std::uint32_t size, const OpContext&) override
    {
        ++erased[address];
        std::fill_n(m_bytes.begin() + (address - kBase), size, std::byte{0xFF});
        return {};
    }
    Result<> program(const MemoryBlock& block, const OpContext&) override
    {
        for (std::size_t i = 0; i < block.bytes.size(); ++i)
            m_bytes.at(block.address - kBase + i) &= block.bytes[i]; // flash: bits only fall
        if (badPrograms > 0 && loses >= block.address &&
            loses - block.address < block.bytes.size()) {
            --badPrograms;
            m_bytes.at(loses - kBase) ^= std::byte{0x01};
        }
        return {};
    }
    Result<> renew(const OpContext&) override
    {
        ++renewed;
        return {};
    }
    Result<Bytes> read(std::uint32_t address, std::uint32_t size, const OpContext&) override
    {
        const auto first = m_bytes.begin() + (address - kBase);
        return Bytes(first, first + size);
    }

    std::map<std::uint32_t, int> erased{};
    std::uint32_t loses = 0;
    int badPrograms = 1000; ///< so many lose that bit
    int renewed = 0;

private:
    Bytes m_bytes;
    std::vector<MemoryRegion> m_regions{
        {.base = kBase, .size = 3 * kSector, .sectorSize = kSector},
        {.base = kBase + 3 * kSector, .size = kSector, .sectorSize = kSector, .writable = false}};
};

OpContext anOp()
{
    static const SystemClock clock;
    return {.clock = clock, .deadline = {clock.now() + std::chrono::seconds(5)}};
}

MemoryBlock aBlock(std::size_t size)
{
    MemoryBlock block{.address = FakeFlash::kBase, .bytes = Bytes(size)};
    for (std::size_t i = 0; i < size; ++i)
        block.bytes[i] = static_cast<std::byte>(i * 7 + 1);
    return block;
}

} // namespace

class TstDevice : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void address_ofADomain_isTheFactoryRecord();
    void address_ofAnIp_hasFirstOctetFirstAndPortBigEndian();
    void address_roundTrips_data();
    void address_roundTrips();
    void address_refusesWhatWouldCollideWithThePort();
    void address_ofAnErasedRecord_isNone();
    void serverSlot_holdsKeyFillerAndRecordInOnePiece();
    void keySlots_fillBothToTheirFullSize();
    void currentCopy_isTheOneThatIsCompleteAndMarked();
    void currentCopy_ofAnElectronFollowsSealsAndChecksums_data();
    void currentCopy_ofAnElectronFollowsSealsAndChecksums();
    void plainTable_hasOneCopy();
    void snapshot_refusesAnotherLength();
    void constantSerials_nameNoUnit();
    void write_readsBackEachSector();
    void write_leavesSectorsAloneThatHoldItAlready();
    void write_saysWhereTheBytesDiffer();
    void write_isRepeatedBySector();
    void write_refusesProtectedMemoryBeforeTheFirstErase();
    void repetition_isForWhatMayPass_data();
    void repetition_isForWhatMayPass();
    void repetition_needsASessionAndTime();
    void merging_keepsEveryByte_data();
    void merging_keepsEveryByte();
};

void TstDevice::address_ofADomain_isTheFactoryRecord()
{
    // particle-devices 3.1: `01 0f "device.spark.io" 00`
    const Bytes record = encodeAddress({.host = "device.spark.io"}, 128).value();
    Bytes wanted = fromHex("010f6465766963652e737061726b2e696f00").value();
    wanted.resize(128, std::byte{0xFF});
    QCOMPARE(record, wanted);
}

void TstDevice::address_ofAnIp_hasFirstOctetFirstAndPortBigEndian()
{
    const Bytes record = encodeAddress({.host = "192.168.7.1", .port = 5683}, 128).value();
    QCOMPARE(toHex(ByteView(record).first(6)), std::string("0004c0a80701"));
    QCOMPARE(toHex(ByteView(record).subspan(66, 2)), std::string("1633"));
}

void TstDevice::address_roundTrips_data()
{
    QTest::addColumn<QString>("host");
    QTest::addColumn<int>("port");
    QTest::newRow("ip") << "127.0.0.1" << 40123;
    QTest::newRow("domain") << "device.demo.example" << 5683;
    QTest::newRow("default port") << "a" << 0;
    QTest::newRow("64 characters") << QString(64, 'x') << 1;
    QTest::newRow("not quite an ip") << "1.2.3" << 9;
    QTest::newRow("octet too large") << "1.2.3.256" << 9;
}

void TstDevice::address_roundTrips()
{
    QFETCH(const QString, host);
    QFETCH(const int, port);
    const ServerAddress address{.host = host.toStdString(),
                                .port = static_cast<std::uint16_t>(port)};
    const auto record = encodeAddress(address, 128);
    QVERIFY(record);
    const auto decoded = decodeAddress(*record);
    QVERIFY(decoded);
    QVERIFY(*decoded == address);
}

void TstDevice::address_refusesWhatWouldCollideWithThePort()
{
    QVERIFY(!encodeAddress({.host = std::string(65, 'x')}, 128));
    QVERIFY(!encodeAddress({.host = ""}, 128));
    QVERIFY(!encodeAddress({.host = "a"}, 67));
}

void TstDevice::address_ofAnErasedRecord_isNone()
{
    QVERIFY(!decodeAddress(Bytes(128, std::byte{0xFF})));
    QVERIFY(!decodeAddress(Bytes(10)));
}

void TstDevice::serverSlot_holdsKeyFillerAndRecordInOnePiece()
{
    const Bytes key(294, std::byte{0x42});
    const auto slot =
        buildServerSlot(photonLayout(), key, {.host = "127.0.0.1", .port = 1}).value();
    QCOMPARE(slot.size(), std::size_t{768});
    QVERIFY(equalBytes(ByteView(slot).first(294), key));
    QVERIFY(allFf(ByteView(slot).subspan(294, 90)));
    QVERIFY(decodeAddress(ByteView(slot).subspan(384)).has_value());
    QVERIFY(!buildServerSlot(photonLayout(), Bytes(385), {.host = "h"}));
}

void TstDevice::keySlots_fillBothToTheirFullSize()
{
    const SecretBytes key{ByteView(Bytes(610, std::byte{0x30}))};
    const Bytes publicKey(162, std::byte{0x31});
    const auto slots = buildKeySlots(photonLayout(), key, publicKey).value();
    QCOMPARE(slots.size(), std::size_t{1216 + 384});
    QVERIFY(allFf(slots.reveal().subspan(610, 606)));
    QVERIFY(equalBytes(slots.reveal().subspan(1216, 162), publicKey));
    QVERIFY(allFf(slots.reveal().subspan(1216 + 162)));
    auto apart = photonLayout();
    apart.publicKey.offset += 1;
    QVERIFY(!buildKeySlots(apart, key, publicKey));
}

void TstDevice::currentCopy_isTheOneThatIsCompleteAndMarked()
{
    const auto currentOf = [](unsigned first, unsigned second) {
        Bytes sectors(0x8000, std::byte{0xFF});
        for (const auto& [at, marks] : {std::pair{0U, first}, std::pair{0x4000U, second}}) {
            sectors[at + 8] = static_cast<std::byte>(marks >> 8); // write incomplete: 0 = complete
            sectors[at + 9] = static_cast<std::byte>(marks & 0xFF); // is current
        }
        return DctSnapshot::create(photonLayout(), SecretBytes(ByteView(sectors)))
            .value()
            .current();
    };
    QCOMPARE(currentOf(0x0001, 0xFFFF), std::optional(0));
    QCOMPARE(currentOf(0x0000, 0x0001), std::optional(1));
    QCOMPARE(currentOf(0x0001, 0x0101), std::optional(0)); // the other was cut off
    QCOMPARE(currentOf(0x0001, 0x0001), std::nullopt);
    QCOMPARE(currentOf(0xFFFF, 0xFFFF), std::nullopt);
}

void TstDevice::currentCopy_ofAnElectronFollowsSealsAndChecksums_data()
{
    QTest::addColumn<QString>("first"); // seal, then g or b for the checksum, then the generation
    QTest::addColumn<QString>("second");
    QTest::addColumn<int>("current"); // -1: not to be told
    // particle-devices 3.2: seals as the bytes stand in the flash.
    const char* const valid = "005ea1ed";
    const char* const discarded = "000ca069";
    const char* const discardedByOld = "00000000";
    const char* const unfinished = "ffffffff";
    const auto add = [](const char* name, const QString& first, const QString& second,
                        int current) { QTest::newRow(name) << first << second << current; };
    const auto with = [](const char* seal, const char* rest) { return QString(seal) + rest; };
    add("factory", with(valid, "b0"), with(discardedByOld, "b0"), 0);
    add("first, whole", with(valid, "g1"), with(discarded, "g0"), 0);
    add("first is damaged", with(valid, "b1"), with(discarded, "g0"), 1);
    add("second, whole", with(discarded, "g1"), with(valid, "g2"), 1);
    add("second is damaged", with(discarded, "g1"), with(valid, "b2"), 0);
    add("write was cut off", with(valid, "b1"), with(unfinished, "b2"), 0);
    add("both, second is later", with(valid, "g1"), with(valid, "g2"), 1);
    add("both, first is later", with(valid, "g0"), with(valid, "g3"), 0);
    add("both, first is damaged", with(valid, "b3"), with(valid, "g2"), 1);
    add("both, second is damaged", with(valid, "g0"), with(valid, "b1"), 0);
    add("both damaged", with(valid, "b0"), with(valid, "b1"), 1);
    add("none", with(unfinished, "b0"), with(discarded, "g1"), -1);
}

void TstDevice::currentCopy_ofAnElectronFollowsSealsAndChecksums()
{
    QFETCH(QString, first);
    QFETCH(QString, second);
    QFETCH(int, current);
    Bytes sectors;
    for (const QString& wanted : {first, second}) {
        Bytes sector(0x4000, std::byte{0xFF});
        const Bytes seal = *fromHex(wanted.left(8).toStdString());
        std::ranges::copy(seal, sector.begin() + 4);
        writeLe32(sector, 0x3FF0, 0xFFFFFFFC | static_cast<std::uint32_t>(wanted[9].digitValue()));
        const auto crc = crc32(ByteView(sector).first(0x3FFC).subspan(8));
        writeLe32(sector, 0x3FFC, wanted[8] == 'g' ? crc : ~crc);
        sectors.insert(sectors.end(), sector.begin(), sector.end());
    }
    DctLayout layout = photonLayout();
    layout.format = DctFormat::Dcd;
    layout.applicationOffset = 8;
    const auto snapshot = DctSnapshot::create(layout, SecretBytes(ByteView(sectors)));
    QVERIFY(snapshot);
    QCOMPARE(snapshot->current().value_or(-1), current);
}

void TstDevice::plainTable_hasOneCopy()
{
    DctLayout layout = photonLayout();
    layout.format = DctFormat::Plain;
    const auto snapshot = DctSnapshot::create(layout, SecretBytes(layout.sectorSize));
    QVERIFY(snapshot);
    QCOMPARE(snapshot->copies(), 1);
    QCOMPARE(snapshot->current(), std::optional(0));
    // A platform without a public slot writes the private one only.
    layout.publicKey = {};
    const auto slots_ = buildKeySlots(layout, SecretBytes(608), Bytes(162));
    QVERIFY(slots_);
    QCOMPARE(slots_->size(), std::size_t{layout.privateKey.size});
}

void TstDevice::snapshot_refusesAnotherLength()
{
    QVERIFY(!DctSnapshot::create(photonLayout(), SecretBytes(0x7FFF)));
}

void TstDevice::constantSerials_nameNoUnit()
{
    const PlatformSpec photon{.name = "photon",
                              .constantSerials = {"00000000050B", "00000000010B"}};
    QCOMPARE(photon.deviceIdOf("2B0014000447373030323331"),
             std::string("2b0014000447373030323331"));
    for (const char* serial : {"00000000050B", "00000000010B", "", "2B001400044737303032333",
                               "2B00140004473730303233310", "2B001400044737303032333G"})
        QCOMPARE(photon.deviceIdOf(serial), std::string());
}

void TstDevice::write_readsBackEachSector()
{
    FakeFlash flash;
    const auto block = aBlock(2 * FakeFlash::kSector + 100);
    const auto outcome = programAndVerify(flash, block, anOp());
    QVERIFY(outcome);
    QCOMPARE(outcome->written, static_cast<std::uint32_t>(block.bytes.size()));
    QCOMPARE(outcome->sectors, 3);
    QCOMPARE(flash.read(block.address, outcome->written, anOp()).value(), block.bytes);
}

void TstDevice::write_leavesSectorsAloneThatHoldItAlready()
{
    FakeFlash flash;
    auto block = aBlock(3 * FakeFlash::kSector);
    QVERIFY(programAndVerify(flash, block, anOp()));
    flash.erased.clear();
    block.bytes[FakeFlash::kSector + 5] ^= std::byte{0x10};
    const auto again = programAndVerify(flash, block, anOp());
    QVERIFY(again);
    QCOMPARE(again->sectors, 1);
    QCOMPARE(again->sectorsSkipped, 2);
    QCOMPARE(flash.erased.size(), std::size_t{1});
    QVERIFY(flash.erased.contains(FakeFlash::kBase + FakeFlash::kSector));
}

void TstDevice::write_saysWhereTheBytesDiffer()
{
    FakeFlash flash;
    flash.loses = FakeFlash::kBase + FakeFlash::kSector + 3;
    const auto outcome = programAndVerify(flash, aBlock(2 * FakeFlash::kSector), anOp());
    QVERIFY(!outcome);
    QCOMPARE(outcome.error().cause, std::string("F110"));
    QCOMPARE(flash.repeats(), kWriteRepeats);
    QCOMPARE(flash.renewed, kWriteRepeats);
    QVERIFY2(outcome.error().message.find("0x08021003") != std::string::npos,
             outcome.error().message.c_str());
}

void TstDevice::write_isRepeatedBySector()
{
    FakeFlash flash;
    flash.loses = FakeFlash::kBase + FakeFlash::kSector + 3;
    flash.badPrograms = kWriteRepeats;
    const auto block = aBlock(2 * FakeFlash::kSector);
    const auto outcome = programAndVerify(flash, block, anOp());
    QVERIFY(outcome);
    QCOMPARE(flash.repeats(), kWriteRepeats);
    QCOMPARE(flash.erased[FakeFlash::kBase], 1);
    QCOMPARE(flash.erased[FakeFlash::kBase + FakeFlash::kSector], 1 + kWriteRepeats);
    QCOMPARE(flash.read(block.address, outcome->written, anOp()).value(), block.bytes);
}

void TstDevice::repetition_isForWhatMayPass_data()
{
    QTest::addColumn<int>("code");
    QTest::addColumn<int>("blame");
    QTest::addColumn<bool>("again");
    const auto row = [](const char* name, Errc code, Blame blame, bool again) {
        QTest::newRow(name) << static_cast<int>(code) << static_cast<int>(blame) << again;
    };
    row("refused block", Errc::Protected, Blame::Unit, true);
    row("other bytes", Errc::Mismatch, Blame::Unit, true);
    row("broken transfer", Errc::Io, Blame::Fixture, true);
    row("no answer", Errc::Timeout, Blame::Unit, true);
    row("nonsense", Errc::Protocol, Blame::Unit, true);
    row("gone", Errc::Disconnected, Blame::Fixture, false);
    row("stopped", Errc::Cancelled, Blame::Operator, false);
    row("our own fault", Errc::Protected, Blame::Software, false);
    row("full disk", Errc::Io, Blame::Station, false);
    row("cannot", Errc::Unsupported, Blame::Unit, false);
}

void TstDevice::repetition_isForWhatMayPass()
{
    QFETCH(const int, code);
    QFETCH(const int, blame);
    QFETCH(const bool, again);
    int repeats = 0;
    int calls = 0;
    const auto outcome = repeatWrite(
        repeats, anOp(), [] { return Result<>(); },
        [&]() -> Result<int> {
            if (++calls == 1)
                return fail(static_cast<Errc>(code), static_cast<Blame>(blame), "first");
            return calls;
        });
    QCOMPARE(outcome.has_value(), again);
    QCOMPARE(repeats, again ? 1 : 0);
}

void TstDevice::repetition_needsASessionAndTime()
{
    int repeats = 0;
    const auto noSession = [] { return Result<>(fail(Errc::Io, Blame::Fixture, "no session")); };
    const auto failing = [](Errc code) {
        return [code] { return Result<>(fail(code, Blame::Unit, "the write")); };
    };
    // A refusal that cannot be tried again judges nobody,
    const auto unjudged = repeatWrite(repeats, anOp(), noSession, failing(Errc::Protected));
    QCOMPARE(unjudged.error().code, Errc::Io);
    QVERIFY(describe(unjudged.error()).find("the write") != std::string::npos);
    // and what judged nobody stays what it was.
    QCOMPARE(repeatWrite(repeats, anOp(), noSession, failing(Errc::Timeout)).error().message,
             std::string("the write"));
    QCOMPARE(repeats, 0);
    OpContext late = anOp();
    late.deadline = {late.clock.now()};
    const auto fine = [] { return Result<>(); };
    QVERIFY(!repeatWrite(repeats, late, fine, failing(Errc::Timeout)));
    QCOMPARE(repeats, 0);
}

void TstDevice::write_refusesProtectedMemoryBeforeTheFirstErase()
{
    FakeFlash flash;
    const auto outcome = programAndVerify(flash, aBlock(FakeFlash::kSize), anOp());
    QVERIFY(!outcome);
    QCOMPARE(outcome.error().code, Errc::Protected);
    QVERIFY(flash.erased.empty());
}

void TstDevice::merging_keepsEveryByte_data()
{
    QTest::addColumn<int>("offset"); ///< of a second block of 0x20 bytes; the first: 0x100 at 0x80
    QTest::addColumn<int>("blocks"); ///< 0: refused
    QTest::newRow("in front") << 0x60 << 1;
    QTest::newRow("reaches in") << 0x61 << 0;
    QTest::newRow("the same start") << 0x80 << 0;
    QTest::newRow("inside") << 0xA0 << 0;
    QTest::newRow("the last byte") << 0x17F << 0;
    QTest::newRow("behind") << 0x180 << 1;
    QTest::newRow("the same sector, apart") << 0x200 << 1;
    QTest::newRow("the next sector") << 0x1000 << 2;
}

void TstDevice::merging_keepsEveryByte()
{
    QFETCH(const int, offset);
    QFETCH(const int, blocks);
    const FakeFlash flash;
    const MemoryBlock first{.address = FakeFlash::kBase + 0x80, .bytes = aBlock(0x100).bytes};
    const MemoryBlock second{.address = FakeFlash::kBase + static_cast<std::uint32_t>(offset),
                             .bytes = Bytes(0x20, std::byte{0x5A})};
    for (const auto& given :
         {std::vector<MemoryBlock>{first, second}, std::vector<MemoryBlock>{second, first}}) {
        const auto merged = mergedBySector(flash.regions(), given);
        if (blocks == 0) {
            QVERIFY(!merged);
            QCOMPARE(merged.error().code, Errc::InvalidArgument);
            continue;
        }
        QVERIFY2(merged, merged ? "" : describe(merged.error()).c_str());
        QCOMPARE(merged->size(), static_cast<std::size_t>(blocks));
        FakeFlash written;
        for (const auto& block : *merged)
            QVERIFY(written.program(block, anOp()));
        for (const auto& block : {first, second})
            QVERIFY(*written.read(block.address, static_cast<std::uint32_t>(block.bytes.size()),
                                  anOp()) == block.bytes);
    }
}

} // namespace provost

PROVOST_TEST("device", provost::TstDevice)
#include "tst_device.moc"
