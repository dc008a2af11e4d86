// Why a handshake failed: server key x device key x address x what the firmware does by itself,
// each difference called by its name, and nothing that is right called wrong.
#include "core/byte_io.h"
#include "core/text.h"
#include "steps/handshake_diagnosis.h"
#include "support/test_program.h"

#include <QTest>

#include <array>
#include <set>

namespace provost::test {

namespace {

constexpr std::size_t kPrivateSlotBytes = 1216; // particle-devices 3.3
constexpr std::size_t kServerSlotBytes = 768;
constexpr std::size_t kRecordAt = 384;
constexpr std::size_t kLengthOfD = 146; // the unit's reader looks at its lowest bit (4.2)
constexpr std::string_view kPublicCloud = "device.spark.io"; // 4.3
constexpr std::string_view kOwnHost = "handshake.example";
constexpr std::uint16_t kOwnPort = 5684;

constexpr std::array<std::string_view, 5> kServerKeys{"right", "other", "damaged", "not a key",
                                                      "blank"};
constexpr std::array<std::string_view, 4> kDeviceKeys{"right", "other", "bad shape", "blank"};
constexpr std::array<std::string_view, 6> kAddresses{"right",      "none",    "other host",
                                                     "other port", "damaged", "public cloud"};

Bytes slotOf(ByteView content, std::size_t size)
{
    Bytes slot = toBytes(content);
    slot.resize(size, std::byte{0xFF});
    return slot;
}

void putRecord(Bytes& slot, std::string_view host, std::uint16_t port)
{
    slot[kRecordAt] = std::byte{1};
    slot[kRecordAt + 1] = static_cast<std::byte>(host.size());
    std::ranges::copy(viewOf(host), slot.begin() + kRecordAt + 2);
    slot[kRecordAt + 66] = static_cast<std::byte>(port >> 8);
    slot[kRecordAt + 67] = static_cast<std::byte>(port & 0xFF);
}

std::set<std::string> causesIn(const std::vector<ProofFinding>& findings)
{
    std::set<std::string> causes;
    for (const auto& finding : findings)
        causes.insert(finding.cause);
    return causes;
}

std::string reasonsIn(const std::vector<ProofFinding>& findings)
{
    std::string all;
    for (const auto& finding : findings)
        all += concat(finding.cause, ": ", finding.reason, "\n");
    return all;
}

} // namespace

class TstHandshakeDiagnosis : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void table_data();
    void table();
    void recordThatIsMissing_isNoFaultWhereTheDefaultIsMeant();
    void endpointsOwnWord_comesFirst_data();
    void endpointsOwnWord_comesFirst();
    void refusal_withoutReadBack_isUnknown();
    void nothingDiffers_leavesTheEndpointsWord();
    void keyOnFile_thatDiffers_isNamed();
    void silentUnit_withEverythingRight_hasNoFinding();

private:
    Bytes serverSlot(std::string_view key, std::string_view address, bool toPublicCloud) const;
    Bytes privateSlot(std::string_view key) const;
    HandshakeWanted wanted(bool toPublicCloud, FirmwareVersion firmware = {1, 5, 2}) const;
    std::vector<ProofFinding> diagnose(const HandshakeWanted& wanted, std::string_view serverKey,
                                       std::string_view deviceKey, std::string_view address,
                                       std::string_view said) const;

    BurnKey m_device{};
    BurnKey m_otherDevice{};
    Bytes m_server{};
    Bytes m_otherServer{};
};

void TstHandshakeDiagnosis::initTestCase()
{
    const auto rules = keyRulesOf(6).value();
    m_device = generateKeyFor(rules).value();
    m_otherDevice = generateKeyFor(rules).value();
    m_server = RsaPrivateKey::generate(2048).value().publicKey().toDer();
    m_otherServer = RsaPrivateKey::generate(2048).value().publicKey().toDer();
}

Bytes TstHandshakeDiagnosis::serverSlot(std::string_view key, std::string_view address,
                                        bool toPublicCloud) const
{
    Bytes slot = slotOf(key == "other" ? m_otherServer : m_server, kServerSlotBytes);
    if (key == "damaged")
        slot[100] ^= std::byte{0x20};
    if (key == "not a key")
        std::ranges::fill(slot.begin(), slot.begin() + 294, std::byte{0});
    if (key == "blank")
        std::ranges::fill(slot.begin(), slot.begin() + 294, std::byte{0xFF});
    const std::string_view host = toPublicCloud ? kPublicCloud : kOwnHost;
    const std::uint16_t port = toPublicCloud ? 0 : kOwnPort;
    if (address == "right" || address == "damaged")
        putRecord(slot, host, port);
    if (address == "damaged")
        slot[kRecordAt] = std::byte{0}; // an IP address of 15 or 17 bytes
    if (address == "other host")
        putRecord(slot, "elsewhere.example", port);
    if (address == "other port")
        putRecord(slot, host, 9999);
    if (address == "public cloud")
        putRecord(slot, kPublicCloud, 5683);
    return slot;
}

Bytes TstHandshakeDiagnosis::privateSlot(std::string_view key) const
{
    const auto& from = key == "other" ? m_otherDevice : m_device;
    Bytes slot = slotOf(from.privateDer.reveal(), kPrivateSlotBytes);
    if (key == "bad shape")
        slot[kLengthOfD] ^= std::byte{1};
    if (key == "blank")
        std::ranges::fill(slot, std::byte{0xFF});
    return slot;
}

HandshakeWanted TstHandshakeDiagnosis::wanted(bool toPublicCloud, FirmwareVersion firmware) const
{
    return {.rules = keyRulesOf(6, KeyTransport::Tcp, firmware).value(),
            .serverKeyDer = m_server,
            .address = toPublicCloud
                           ? ServerAddress{.host = std::string(kPublicCloud), .port = 5683}
                           : ServerAddress{.host = std::string(kOwnHost), .port = kOwnPort},
            .provedKeyDer = m_device.publicDer,
            .registeredKeyDer = m_device.publicDer};
}

std::vector<ProofFinding> TstHandshakeDiagnosis::diagnose(const HandshakeWanted& wanted,
                                                          std::string_view serverKey,
                                                          std::string_view deviceKey,
                                                          std::string_view address,
                                                          std::string_view said) const
{
    const bool toPublicCloud = wanted.address.host == kPublicCloud;
    const Bytes own = privateSlot(deviceKey);
    const Bytes server = serverSlot(serverKey, address, toPublicCloud);
    return diagnoseHandshake(HandshakeReadBack{.privateSlot = own, .serverSlot = server}, wanted,
                             said);
}

void TstHandshakeDiagnosis::table_data()
{
    QTest::addColumn<bool>("toPublicCloud");
    QTest::addColumn<bool>("restores"); // firmware 0.7.0 and later: blank means the public cloud's
    for (const bool toPublicCloud : {false, true})
        for (const bool restores : {false, true})
            QTest::addRow("%s cloud, %s firmware", toPublicCloud ? "public" : "own",
                          restores ? "new" : "old")
                << toPublicCloud << restores;
}

void TstHandshakeDiagnosis::table()
{
    QFETCH(const bool, toPublicCloud);
    QFETCH(const bool, restores);
    const auto firmware = restores ? FirmwareVersion{0, 7, 0} : FirmwareVersion{0, 6, 3};
    const auto all = wanted(toPublicCloud, firmware);
    int rows = 0;
    for (const auto server : kServerKeys) {
        for (const auto device : kDeviceKeys) {
            for (const auto address : kAddresses) {
                std::set<std::string> expected;
                if (server != "right" && !(server == "blank" && restores && toPublicCloud))
                    expected.insert("F401");
                if (device == "other" || device == "blank")
                    expected.insert("F412");
                if (device == "bad shape")
                    expected.insert("F201");
                const bool elsewhere = address == "public cloud" && !toPublicCloud;
                if (address == "none" && !toPublicCloud)
                    expected.insert("F409");
                if (elsewhere || address == "other host" || address == "other port" ||
                    address == "damaged")
                    expected.insert("F408");
                for (const std::string_view said : {"", "wrong-server-key", "wrong-device-key"}) {
                    const auto findings = diagnose(all, server, device, address, said);
                    ++rows;
                    if (expected.empty() && !said.empty())
                        continue; // nothingDiffers_leavesTheEndpointsWord
                    QVERIFY2(causesIn(findings) == expected,
                             concat("server key ", server, ", device key ", device, ", address ",
                                    address, ", said \"", said, "\":\n", reasonsIn(findings))
                                 .c_str());
                }
            }
        }
    }
    QCOMPARE(rows, 5 * 4 * 6 * 3);
}

void TstHandshakeDiagnosis::recordThatIsMissing_isNoFaultWhereTheDefaultIsMeant()
{
    QVERIFY(diagnose(wanted(true), "right", "right", "none", "").empty());
    const auto findings = diagnose(wanted(false), "right", "right", "none", "");
    QCOMPARE(findings.size(), std::size_t{1});
    QVERIFY2(findings[0].reason.find("type:255") != std::string::npos, findings[0].reason.c_str());
    QVERIFY(findings[0].reason.find(kPublicCloud) != std::string::npos);
    QVERIFY(findings[0].reason.find(kOwnHost) != std::string::npos);
}

void TstHandshakeDiagnosis::endpointsOwnWord_comesFirst_data()
{
    QTest::addColumn<QString>("cause");
    QTest::newRow("locked-key") << "F406";
    QTest::newRow("unknown-device") << "F407";
    QTest::newRow("key-not-registered") << "F402";
    QTest::newRow("registered-key-differs") << "F221";
    QTest::newRow("bad-message-counter") << "F410";
}

void TstHandshakeDiagnosis::endpointsOwnWord_comesFirst()
{
    QFETCH(const QString, cause);
    const std::string said = QTest::currentDataTag();
    // With a unit that is as it must be, without one, and beside a difference.
    for (const auto& findings : {diagnose(wanted(false), "right", "right", "right", said),
                                 diagnoseHandshake(std::nullopt, wanted(false), said)}) {
        QVERIFY2(findings.size() == 1 && findings[0].cause == cause.toStdString(),
                 reasonsIn(findings).c_str());
    }
    const auto both = diagnose(wanted(false), "right", "other", "right", said);
    QVERIFY2(both.size() == 2 && both[0].cause == cause.toStdString() && both[1].cause == "F412",
             reasonsIn(both).c_str());
}

void TstHandshakeDiagnosis::refusal_withoutReadBack_isUnknown()
{
    for (const std::string_view said : {"wrong-server-key", "wrong-device-key", "no-hello"}) {
        const auto findings = diagnoseHandshake(std::nullopt, wanted(false), said);
        QCOMPARE(causesIn(findings), std::set<std::string>{"F411"});
        QVERIFY2(findings[0].reason.find("read these two") != std::string::npos,
                 findings[0].reason.c_str());
    }
    QVERIFY(diagnoseHandshake(std::nullopt, wanted(false), "").empty());
}

void TstHandshakeDiagnosis::nothingDiffers_leavesTheEndpointsWord()
{
    const auto causeOf = [&](std::string_view said) {
        const auto findings = diagnose(wanted(false), "right", "right", "right", said);
        return findings.size() == 1 ? findings[0].cause : reasonsIn(findings);
    };
    QCOMPARE(causeOf("wrong-device-key"), std::string("F405"));
    QCOMPARE(causeOf("no-hello"), std::string("F405"));
    QCOMPARE(causeOf("timeout"), std::string("F403"));
    // The key is right, and the reply did not open: something changed it.
    const auto findings = diagnose(wanted(false), "right", "right", "right", "wrong-server-key");
    QCOMPARE(causesIn(findings), std::set<std::string>{"F403"});
    QVERIFY(findings[0].reason.find("relay") != std::string::npos);
}

void TstHandshakeDiagnosis::keyOnFile_thatDiffers_isNamed()
{
    auto all = wanted(false);
    all.registeredKeyDer = m_otherDevice.publicDer;
    QCOMPARE(causesIn(diagnose(all, "right", "right", "right", "wrong-device-key")),
             std::set<std::string>{"F221"});
    // Said by the endpoint already: not twice.
    QCOMPARE(diagnose(all, "right", "right", "right", "registered-key-differs").size(),
             std::size_t{1});
    all.registeredKeyDer.clear();
    all.cloudHoldsNone = true;
    QCOMPARE(causesIn(diagnose(all, "right", "right", "right", "wrong-device-key")),
             std::set<std::string>{"F402"});
    QCOMPARE(causesIn(diagnose(all, "right", "right", "right", "unknown-device")),
             std::set<std::string>{"F407"});
    all.cloudHoldsNone = false;
    all.provedKeyDer.clear();
    QCOMPARE(causesIn(diagnose(all, "right", "right", "right", "wrong-device-key")),
             std::set<std::string>{"F405"});
}

void TstHandshakeDiagnosis::silentUnit_withEverythingRight_hasNoFinding()
{
    QVERIFY(diagnose(wanted(false), "right", "right", "right", "").empty());
    // Along the way of a connection: an address in front of a key.
    for (const std::string_view said : {"", "timeout"}) {
        const auto findings = diagnose(wanted(false), "other", "other", "other port", said);
        QVERIFY2(findings.size() == 3 && findings[0].cause == "F408" &&
                     findings[1].cause == "F401" && findings[2].cause == "F412",
                 reasonsIn(findings).c_str());
    }
}

} // namespace provost::test

PROVOST_TEST("handshake_diagnosis", provost::test::TstHandshakeDiagnosis)
#include "tst_handshake_diagnosis.moc"
