// Single mutations over the three copies of a key, the server key, its address and the algorithm:
// none passes, and each is called by its name.
#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "steps/key_proof.h"
#include "support/test_program.h"

#include <QTest>

#include <array>
#include <cstdio>

namespace provost::test {

namespace {

constexpr std::string_view kDevice = "2b0034000a47343138333038";
constexpr std::size_t kPrivateBytes = 1216; // particle-devices 3.3
constexpr std::size_t kPublicBytes = 384;
constexpr std::size_t kServerBytes = 768;
constexpr std::size_t kAddressAt = 384;

/// Where the firmware's reader looks inside the 611 bytes (4.1, 4.2): numbers, and the lowest bit
/// of the length in front of each. D is skipped: only its length counts.
struct Range {
    std::size_t from;
    std::size_t size;
};
constexpr std::array kNumbers{Range{11, 128}, Range{279, 64}, Range{346, 64},
                              Range{413, 64}, Range{480, 64}, Range{547, 64}};
constexpr std::array<std::size_t, 7> kLengths{9, 146, 277, 344, 411, 478, 545};

bool readerLooksAt(std::size_t byte, unsigned bit)
{
    for (const auto& range : kNumbers)
        if (byte >= range.from && byte < range.from + range.size)
            return true;
    return bit == 0 && std::ranges::find(kLengths, byte) != kLengths.end();
}

Bytes filled(ByteView content, std::size_t size)
{
    Bytes slot = toBytes(content);
    slot.resize(size, std::byte{0xFF});
    return slot;
}

/// All copies as they stand after a good run.
struct Everything {
    Bytes privateSlot{};
    Bytes publicSlot{};
    Bytes serverSlot{};
    ExpectedKeys expected{};
    RegisteredKey cloud{};

    static Everything good()
    {
        const auto rules = keyRulesOf(6).value();
        const auto key = generateKeyFor(rules).value();
        const auto server = RsaPrivateKey::generate(2048).value().publicKey();
        Everything all;
        all.privateSlot = filled(key.privateDer.reveal(), kPrivateBytes);
        all.publicSlot = filled(key.publicDer, kPublicBytes);
        Bytes slot = filled(server.toDer(), kServerBytes);
        const std::string host = "handshake.example";
        slot[kAddressAt] = std::byte{1};
        slot[kAddressAt + 1] = static_cast<std::byte>(host.size());
        std::ranges::copy(viewOf(host), slot.begin() + kAddressAt + 2);
        slot[kAddressAt + 66] = std::byte{0x16};
        slot[kAddressAt + 67] = std::byte{0x33};
        all.serverSlot = slot;
        all.expected = {.rules = rules,
                        .deviceId = std::string(kDevice),
                        .record = {.fingerprint = key.fingerprint,
                                   .deviceId = std::string(kDevice),
                                   .publicDer = key.publicDer,
                                   .state = "burnt",
                                   .origin = "generated"},
                        .privateDigest = sha256Hex(all.privateSlot),
                        .serverSlot = slot,
                        .addressRecord = kAddressAt};
        all.cloud = {.deviceId = std::string(kDevice),
                     .algorithm = "rsa",
                     .fingerprint = key.fingerprint,
                     .publicDer = key.publicDer};
        return all;
    }

    std::vector<ProofFinding> findings() const
    {
        auto all = compareUnitWithRecord(
            {.privateSlot = privateSlot, .publicSlot = publicSlot, .serverSlot = serverSlot},
            expected);
        const auto reading = readAsUnit(privateSlot, expected.rules);
        const Bytes onUnit = reading.publicKey ? reading.publicKey->toDer() : Bytes();
        if (onUnit.empty())
            return all; // unreadable: said already
        for (auto& each : compareCloudWithUnit(cloud, kDevice, onUnit, expected.rules))
            all.push_back(std::move(each));
        return all;
    }
};

} // namespace

class TstKeyProof : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void untouched_passes();
    void mutations_data();
    void mutations();
    void twoDifferences_areBothNamed();
    void anotherKeyEverywhereButOnce_isFound();
    void recordOrCloudThatContradictsItself_isNotTheUnits();
    void cleanupTestCase();

private:
    /// `all` must not pass, and the first finding is `cause`.
    void demand(const Everything& all, std::string_view cause, const std::string& what);
    void flipBytes(const QString& copy, std::size_t from, std::size_t to, std::size_t step);
    void flipText(const QString& field);

    Everything m_good = Everything::good();
    std::size_t m_count = 0;
};

void TstKeyProof::demand(const Everything& all, std::string_view cause, const std::string& what)
{
    ++m_count;
    const auto findings = all.findings();
    QVERIFY2(!findings.empty(), (what + " passes").c_str());
    QVERIFY2(findings.front().cause == cause,
             concat(what, ": ", findings.front().cause, " instead of ", cause, ": ",
                    findings.front().reason)
                 .c_str());
    QVERIFY(!findings.front().reason.empty());
}

void TstKeyProof::untouched_passes()
{
    const auto findings = m_good.findings();
    QVERIFY2(findings.empty(), findings.empty() ? "" : findings.front().reason.c_str());
    auto silent = m_good; // a cloud that says nothing but the key
    silent.cloud.algorithm = silent.cloud.fingerprint = silent.cloud.deviceId = std::string();
    QVERIFY(silent.findings().empty());
}

void TstKeyProof::mutations_data()
{
    QTest::addColumn<QString>("copy");
    QTest::addColumn<int>("from");
    QTest::addColumn<int>("to");
    QTest::addColumn<int>("step");
    QTest::newRow("private key") << "private" << 0 << 611 << 1;
    QTest::newRow("behind the private key") << "private" << 611 << 1216 << 11;
    QTest::newRow("public key") << "public" << 0 << 162 << 1;
    QTest::newRow("behind the public key") << "public" << 162 << 384 << 9;
    QTest::newRow("server key") << "server" << 0 << 294 << 1;
    QTest::newRow("behind the server key") << "server" << 294 << 384 << 7;
    QTest::newRow("server address") << "server" << 384 << 452 << 1;
    QTest::newRow("behind the address") << "server" << 452 << 768 << 13;
    QTest::newRow("key in our record") << "record" << 0 << 162 << 1;
    QTest::newRow("key in the cloud") << "cloud" << 0 << 162 << 1;
    QTest::newRow("key in a cloud without fingerprint") << "silent cloud" << 0 << 162 << 1;
    for (const char* field : {"record fingerprint", "record id", "cloud fingerprint", "cloud id",
                              "algorithm", "record state"})
        QTest::newRow(field) << field << -1 << -1 << -1;
}

void TstKeyProof::mutations()
{
    QFETCH(const QString, copy);
    QFETCH(const int, from);
    QFETCH(const int, to);
    QFETCH(const int, step);
    if (from < 0)
        flipText(copy);
    else
        flipBytes(copy, static_cast<std::size_t>(from), static_cast<std::size_t>(to),
                  static_cast<std::size_t>(step));
}

void TstKeyProof::flipBytes(const QString& copy, std::size_t from, std::size_t to, std::size_t step)
{
    for (std::size_t at = from; at < to; at += step) {
        // The length bytes matter by their lowest bit: that one is tried too.
        for (const unsigned bit : {static_cast<unsigned>(at * 7 % 8), 0U}) {
            auto bad = m_good;
            Bytes& bytes = copy == "private"  ? bad.privateSlot
                           : copy == "public" ? bad.publicSlot
                           : copy == "server" ? bad.serverSlot
                           : copy == "record" ? bad.expected.record.publicDer
                                              : bad.cloud.publicDer;
            bytes[at] ^= static_cast<std::byte>(1U << bit);
            std::string_view cause = "F214";
            if (copy == "private" && readerLooksAt(at, bit))
                cause = "F201";
            else if (copy == "server")
                cause = at < kAddressAt ? "F215" : "F216";
            else if (copy == "record")
                cause = "C054";
            else if (copy == "cloud")
                cause = "C081";
            else if (copy == "silent cloud")
                cause = "F221";
            if (copy == "silent cloud")
                bad.cloud.fingerprint.clear();
            demand(bad, cause,
                   concat(copy.toStdString(), " byte ", at, " bit ", static_cast<int>(bit)));
            if (QTest::currentTestFailed())
                return;
        }
    }
}

void TstKeyProof::flipText(const QString& field)
{
    const auto digits = [&](const std::function<std::string&(Everything&)>& of,
                            std::string_view cause) {
        const std::size_t size = of(m_good).size();
        for (std::size_t at = 0; at < size; ++at) {
            auto bad = m_good;
            char& digit = of(bad)[at];
            digit = digit == '0' ? '1' : '0';
            demand(bad, cause, concat(field.toStdString(), " digit ", at));
        }
    };
    if (field == "record fingerprint")
        digits([](Everything& e) -> std::string& { return e.expected.record.fingerprint; }, "C054");
    else if (field == "record id")
        digits([](Everything& e) -> std::string& { return e.expected.record.deviceId; }, "C054");
    else if (field == "cloud fingerprint")
        digits([](Everything& e) -> std::string& { return e.cloud.fingerprint; }, "C081");
    else if (field == "cloud id")
        digits([](Everything& e) -> std::string& { return e.cloud.deviceId; }, "C081");
    for (const char* algorithm : {"ecc", "RSA", "rsa2048", "dsa", "none"}) {
        if (field != "algorithm")
            break;
        auto bad = m_good;
        bad.cloud.algorithm = algorithm;
        demand(bad, "F222", concat("algorithm ", algorithm));
    }
    for (const char* state : {"superseded", "refused"}) {
        if (field != "record state")
            break;
        auto bad = m_good;
        bad.expected.record.state = state;
        demand(bad, "C054", concat("state ", state));
    }
}

void TstKeyProof::twoDifferences_areBothNamed()
{
    auto bad = m_good;
    bad.serverSlot[40] ^= std::byte{1};
    bad.serverSlot[kAddressAt + 3] ^= std::byte{1};
    bad.publicSlot[60] ^= std::byte{1};
    std::vector<std::string> causes;
    for (const auto& finding : bad.findings())
        causes.push_back(finding.cause);
    QCOMPARE(causes, (std::vector<std::string>{"F214", "F215", "F216"}));
}

void TstKeyProof::anotherKeyEverywhereButOnce_isFound()
{
    const auto other = Everything::good();
    auto bad = m_good; // the record is of another key, whole in itself
    bad.expected.record = other.expected.record;
    demand(bad, "F214", "another key on record");
    bad = m_good; // the cloud holds another key, and is sure of it
    bad.cloud = other.cloud;
    demand(bad, "F221", "another key in the cloud");
    bad = m_good; // another good key in the unit, with its public half
    bad.privateSlot = other.privateSlot;
    bad.publicSlot = other.publicSlot;
    demand(bad, "F214", "another key on the unit");
    bad = m_good;
    bad.serverSlot = other.serverSlot;
    demand(bad, "F215", "another server key");
}

void TstKeyProof::recordOrCloudThatContradictsItself_isNotTheUnits()
{
    auto bad = m_good;
    bad.expected.record.publicDer[60] ^= std::byte{1};
    demand(bad, "C054", "record of another number than its fingerprint");
    bad = m_good;
    bad.cloud.publicDer[60] ^= std::byte{1};
    demand(bad, "C081", "cloud with another number than its fingerprint");
    bad = m_good;
    bad.cloud.algorithm = "ecc";
    demand(bad, "F222", "cloud with another kind of key");
}

void TstKeyProof::cleanupTestCase()
{
    std::printf("%zu mutations\n", m_count);
}

} // namespace provost::test

PROVOST_TEST("key_proof", provost::test::TstKeyProof)
#include "tst_key_proof.moc"
