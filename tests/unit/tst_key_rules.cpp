// The burn forms and the units' own readers by platform, transport and firmware, against openssl
// and against published shapes.
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/key_file.h"
#include "support/openssl_program.h"
#include "support/test_program.h"

#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTest>

namespace provost::test {

namespace {

constexpr std::uint16_t kPhotonId = 6;
constexpr std::uint16_t kElectronId = 10;

KeyRules photon()
{
    return keyRulesOf(kPhotonId).value();
}
KeyRules electron()
{
    return keyRulesOf(kElectronId).value();
}
KeyRules ofFirmware(std::uint16_t platform, std::string_view version)
{
    return keyRulesOf(platform, {}, parseFirmwareVersion(version).value()).value();
}

QJsonArray keyShapesOf()
{
    QFile file(PROVOST_TEST_DATA "/handshake-vectors.json");
    return file.open(QIODevice::ReadOnly)
               ? QJsonDocument::fromJson(file.readAll()).object()["keyShapes"].toArray()
               : QJsonArray();
}
Bytes shapeNamed(const QString& name)
{
    for (const auto& each : keyShapesOf())
        if (each.toObject()["name"].toString() == name)
            return fromQt(QByteArray::fromHex(each.toObject()["der"].toString().toLatin1()));
    return {};
}

/// A field of `slot`, filled with FF up to `size`.
Bytes slotOf(ByteView content, std::size_t size)
{
    Bytes slot = toBytes(content);
    slot.resize(size, std::byte{0xFF});
    return slot;
}
Bytes domainRecord(std::string_view name)
{
    Bytes record;
    ByteWriter(record).u8(1).u8(static_cast<unsigned>(name.size())).text(name);
    return record;
}
Bytes serverFile(ByteView key, std::size_t recordAt, std::string_view host)
{
    Bytes file = slotOf(key, recordAt);
    ByteWriter(file).raw(domainRecord(host));
    return file;
}
QString said(const std::string& text)
{
    return QString::fromStdString(text);
}

} // namespace

class TstKeyRules : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void p256BurnForm_isReadByOpenssl();
    void p256Key_agreesWithOpensslBothWays();
    void p256Key_isReadWhateverOpensslWrites();
    void p256Key_refusesWrongNumbers();
    void serverKeyOfTheStation_isRsa2048AndUsable();
    void rules_coverEveryVersionOnce();
    void rules_knowWhatChanged();
    void rules_refuseWhatIsNotServed();
    void readAsUnit_agreesWithFirmwareInEveryRange();
    void readAsUnit_neverLooksBehindWhatTheFirmwareReads();
    void readAsUnit_saysWhatABlankSlotMeans();
    void readAsUnit_refusesEveryFlippedBitOfAnEcNumber();
    void everyGeneratedKey_isReadableByItsPlatform_data();
    void everyGeneratedKey_isReadableByItsPlatform();
    void keyFile_isOpenedInEveryWrapping_data();
    void keyFile_isOpenedInEveryWrapping();
    void keyFile_withAWrongPassphrase_isDenied();
    void judge_namesCauseAndCure_data();
    void judge_namesCauseAndCure();
    void reencode_curesEveryShapeThatHoldsOneKey();
    void server_filesOfEverySize_areRead();
    void server_faultsAreNamed();
};

void TstKeyRules::p256BurnForm_isReadByOpenssl()
{
    const auto key = EcPrivateKey::generate();
    QVERIFY(key.has_value());
    const SecretBytes der = key->toSec1Der();
    QCOMPARE(der.size(), std::size_t{121});
    QCOMPARE(key->publicKey().toDer().size(), std::size_t{91});
    const auto derived =
        runOpenssl({"ec", "-inform", "DER", "-in", "/dev/stdin", "-pubout"}, der.reveal());
    QCOMPARE(derived.exitCode, 0);
    QCOMPARE(derived.out, QByteArray::fromStdString(key->publicKey().toPem()));
    // Byte for byte what openssl writes for the same key.
    const auto written =
        runOpenssl({"ec", "-inform", "DER", "-in", "/dev/stdin", "-outform", "DER"}, der.reveal());
    QCOMPARE(written.out, toQt(der.reveal()));
    const auto checked = runOpenssl({"pkey", "-check", "-noout"}, key->toClearPem().reveal());
    QCOMPARE(checked.exitCode, 0);
    const auto sealed = key->toEncryptedPem(SecretBytes(viewOf("words")));
    QVERIFY(sealed.has_value());
    QCOMPARE(runOpenssl({"pkey", "-pubout", "-passin", "pass:words"}, *sealed).out,
             QByteArray::fromStdString(key->publicKey().toPem()));
}

void TstKeyRules::p256Key_agreesWithOpensslBothWays()
{
    const auto key = EcPrivateKey::generate();
    const auto other = EcPrivateKey::generate();
    const auto signature = key->sign(viewOf("message"));
    QVERIFY(signature.has_value());
    QVERIFY(key->publicKey().verify(viewOf("message"), *signature));
    QVERIFY(!key->publicKey().verify(viewOf("massage"), *signature));
    QVERIFY(!other->publicKey().verify(viewOf("message"), *signature));
    const auto foreign = runOpenssl({"ecparam", "-name", "prime256v1", "-genkey", "-noout"});
    const auto theirs = EcPrivateKey::fromBytes(fromQt(foreign.out));
    QVERIFY(theirs.has_value());
    const auto published = runOpenssl({"ec", "-pubout"}, fromQt(foreign.out));
    QCOMPARE(published.out, QByteArray::fromStdString(theirs->publicKey().toPem()));
    const auto shared = EcPublicKey::fromText(fromQt(published.out));
    QVERIFY(shared.has_value());
    QCOMPARE(shared->fingerprint(), theirs->publicKey().fingerprint());
}

void TstKeyRules::p256Key_isReadWhateverOpensslWrites()
{
    const auto made = runOpenssl({"ecparam", "-name", "prime256v1", "-genkey", "-noout"});
    const auto reference = EcPrivateKey::fromBytes(fromQt(made.out));
    QVERIFY(reference.has_value());
    for (const QStringList& form :
         {QStringList{"ec", "-outform", "DER"}, QStringList{"pkey", "-outform", "DER"},
          QStringList{"pkey"}, QStringList{"ec", "-no_public", "-outform", "DER"}}) {
        const auto written = runOpenssl(form, fromQt(made.out));
        const auto key = EcPrivateKey::fromBytes(fromQt(written.out));
        QVERIFY2(key.has_value(), qPrintable(form.join(' ')));
        QVERIFY(equalBytes(key->toSec1Der().reveal(), reference->toSec1Der().reveal()));
    }
}

void TstKeyRules::p256Key_refusesWrongNumbers()
{
    const auto sec1 = EcPrivateKey::generate()->toSec1Der();
    const Bytes good = toBytes(sec1.reveal());
    const auto with = [&](std::size_t at, ByteView bytes) {
        Bytes bad = good;
        std::ranges::copy(bytes, bad.begin() + static_cast<std::ptrdiff_t>(at));
        return bad;
    };
    constexpr std::size_t kScalarAt = 7; // 30 77 02 01 01 04 20
    QVERIFY(!EcPrivateKey::fromBytes(with(kScalarAt, Bytes(32))));
    QVERIFY(!EcPrivateKey::fromBytes(with(kScalarAt, Bytes(32, std::byte{0xFF})))); // not below n
    QVERIFY(!EcPrivateKey::fromBytes(with(100, Bytes{good[100] ^ std::byte{1}})));
    QVERIFY(!EcPrivateKey::fromBytes(ByteView(good).first(120)));
    const auto other = runOpenssl({"ecparam", "-name", "secp256k1", "-genkey", "-noout"});
    QVERIFY(!EcPrivateKey::fromBytes(fromQt(other.out)));
    QVERIFY(!EcPublicKey::fromPoint(Bytes(65, std::byte{4})));
}

void TstKeyRules::serverKeyOfTheStation_isRsa2048AndUsable()
{
    const auto key = RsaPrivateKey::generate(2048);
    QVERIFY(key.has_value());
    const auto read = runOpenssl({"rsa", "-pubout", "-outform", "DER"}, key->toClearPem().reveal());
    QCOMPARE(read.out, toQt(key->publicKey().toDer()));
    const auto reading = readServerAsUnit(key->publicKey().toDer(), photon());
    QVERIFY2(reading.usable, reading.reason.c_str());
    QCOMPARE(reading.fingerprint, key->publicKey().fingerprint());
    QCOMPARE(said(reading.addressType), QString("none"));
}

void TstKeyRules::rules_coverEveryVersionOnce()
{
    // Ranges of one reader follow on each other without gap, and only the last one is open.
    const KeyRules* last = nullptr;
    for (const KeyRules& rules : allKeyRules()) {
        const bool same = last != nullptr && last->platform == rules.platform &&
                          last->transport == rules.transport;
        if (same)
            QVERIFY(last->before == rules.from);
        else if (last != nullptr)
            QVERIFY(last->before == FirmwareVersion{});
        last = &rules;
    }
    QVERIFY(last->before == FirmwareVersion{});
}

void TstKeyRules::rules_knowWhatChanged()
{
    QVERIFY(ofFirmware(kPhotonId, "0.4.7").makesBadKeys);
    QVERIFY(!ofFirmware(kPhotonId, "0.4.8").makesBadKeys);
    QCOMPARE(ofFirmware(kPhotonId, "0.4.8").decryptionError, 1);
    QCOMPARE(ofFirmware(kPhotonId, "0.4.9").decryptionError, 6);
    QVERIFY(!ofFirmware(kPhotonId, "0.6.4").restoresServer);
    QVERIFY(ofFirmware(kPhotonId, "0.7.0-rc.1").restoresServer);
    QVERIFY(!ofFirmware(0, "0.6.0").makesOwnKey);
    QVERIFY(electron().kind == KeyKind::P256);
    QVERIFY(keyRulesOf(kElectronId, KeyTransport::Tcp)->kind == KeyKind::Rsa1024);
}

void TstKeyRules::rules_refuseWhatIsNotServed()
{
    QCOMPARE(keyRulesOf(12).error().code, Errc::Unsupported);
    QCOMPARE(keyRulesOf(kPhotonId, KeyTransport::Udp).error().code, Errc::Unsupported);
    QCOMPARE(keyRulesOf(kPhotonId, {}, FirmwareVersion{0, 3, 4}).error().code, Errc::Unsupported);
    for (const char* text : {"", "1", "1.2", "x.1.2", "1..2", "-1.2.3"})
        QCOMPARE(parseFirmwareVersion(text).error().code, Errc::InvalidArgument);
}

void TstKeyRules::readAsUnit_agreesWithFirmwareInEveryRange()
{
    for (const KeyRules& rules : allKeyRules()) {
        for (const auto& each : keyShapesOf()) {
            const auto shape = each.toObject();
            const bool compatible =
                rules.kind == KeyKind::Rsa1024 && shape["deviceCompatible"].toBool();
            const auto reading =
                readAsUnit(fromQt(QByteArray::fromHex(shape["der"].toString().toLatin1())), rules);
            QVERIFY2(reading.readable == compatible, qPrintable(shape["name"].toString()));
            QCOMPARE(reading.reason.empty(), compatible);
        }
    }
}

void TstKeyRules::readAsUnit_neverLooksBehindWhatTheFirmwareReads()
{
    const auto key = generateKeyFor(photon());
    QVERIFY(key.has_value());
    Bytes slot = slotOf(key->privateDer.reveal(), 1216);
    for (std::size_t i = 612; i < slot.size(); ++i)
        slot[i] = static_cast<std::byte>(i);
    QVERIFY(readAsUnit(slot, photon()).readable);
    slot[610] ^= std::byte{1}; // the last byte of qInv
    QVERIFY(!readAsUnit(slot, photon()).readable);
}

void TstKeyRules::readAsUnit_saysWhatABlankSlotMeans()
{
    Bytes slot(612, std::byte{0x55});
    slot[0] = std::byte{0xFF}; // the first byte decides (3.6)
    const auto reasonFor = [&](const KeyRules& rules) {
        const auto reading = readAsUnit(slot, rules);
        return reading.encoding == "blank" && !reading.readable ? said(reading.reason) : QString();
    };
    QVERIFY(reasonFor(ofFirmware(0, "0.6.0")).contains("never makes one"));
    QVERIFY(reasonFor(ofFirmware(kPhotonId, "0.4.5")).contains("cannot read"));
    QVERIFY(!reasonFor(photon()).contains("cannot read"));
    QVERIFY(reasonFor(photon()).contains("has to be registered"));
    QVERIFY(reasonFor(electron()).contains("has to be registered"));
}

void TstKeyRules::readAsUnit_refusesEveryFlippedBitOfAnEcNumber()
{
    const auto key = generateKeyFor(electron());
    const Bytes good = slotOf(key->privateDer.reveal(), 192);
    QVERIFY(readAsUnit(good, electron()).readable);
    const auto untouched = readAsUnit(good, electron()).fingerprint();
    for (std::size_t bit = 0; bit < 121 * 8; bit += 5) {
        Bytes bad = good;
        bad[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        const auto reading = readAsUnit(bad, electron());
        // The number of unused bits of a point is not looked at; nothing else may pass.
        const bool harmless = reading.readable && reading.fingerprint() == untouched;
        QVERIFY2(!reading.readable || (harmless && bit / 8 == 55),
                 qPrintable(QString::number(bit)));
    }
}

void TstKeyRules::everyGeneratedKey_isReadableByItsPlatform_data()
{
    QTest::addColumn<int>("row");
    for (std::size_t i = 0; i < allKeyRules().size(); ++i)
        QTest::newRow(qPrintable(QString::number(i))) << static_cast<int>(i);
}

void TstKeyRules::everyGeneratedKey_isReadableByItsPlatform()
{
    QFETCH(const int, row);
    const KeyRules& rules = allKeyRules()[static_cast<std::size_t>(row)];
    const auto key = generateKeyFor(rules);
    QVERIFY(key.has_value());
    QCOMPARE(key->privateDer.size(), std::size_t{rules.kind == KeyKind::P256 ? 121U : 611U});
    const auto reading = readAsUnit(key->privateDer.reveal(), rules);
    QVERIFY2(reading.readable, reading.reason.c_str());
    QCOMPARE(reading.fingerprint(), key->fingerprint);
    const QString command = rules.kind == KeyKind::P256 ? "ec" : "rsa";
    const auto derived =
        runOpenssl({command, "-inform", "DER", "-in", "/dev/stdin", "-pubout", "-outform", "DER"},
                   key->privateDer.reveal());
    QCOMPARE(derived.out, toQt(key->publicDer));
}

void TstKeyRules::keyFile_isOpenedInEveryWrapping_data()
{
    QTest::addColumn<QStringList>("make");
    const QStringList pass{"-passout", "pass:words"};
    QTest::newRow("PKCS#1 PEM") << QStringList{"rsa", "-traditional"};
    QTest::newRow("PKCS#1 DER") << QStringList{"rsa", "-traditional", "-outform", "DER"};
    QTest::newRow("PKCS#8 PEM") << QStringList{"pkey"};
    QTest::newRow("PKCS#8 DER") << QStringList{"pkcs8", "-topk8", "-nocrypt", "-outform", "DER"};
    QTest::newRow("PBES2") << QStringList{"pkcs8", "-topk8", "-v2", "aes256"} + pass;
    QTest::newRow("PBES2 SHA-512 DER")
        << QStringList{"pkcs8",  "-topk8",         "-v2",      "aes128",
                       "-v2prf", "hmacWithSHA512", "-outform", "DER"} +
               pass;
    QTest::newRow("scrypt") << QStringList{"pkcs8", "-topk8", "-scrypt"} + pass;
    QTest::newRow("PBES1 3DES") << QStringList{"pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES"} + pass;
    QTest::newRow("traditional AES") << QStringList{"rsa", "-traditional", "-aes128"} + pass;
    QTest::newRow("traditional 3DES") << QStringList{"rsa", "-traditional", "-des3"} + pass;
}

void TstKeyRules::keyFile_isOpenedInEveryWrapping()
{
    QFETCH(const QStringList, make);
    const auto plain = generateKeyFor(photon());
    const auto pem = RsaPrivateKey::fromBytes(plain->privateDer.reveal())->toClearPem();
    const auto wrapped = runOpenssl(make, pem.reveal());
    QCOMPARE(wrapped.exitCode, 0);
    const auto again = reencodeForUnit(fromQt(wrapped.out), photon(), SecretBytes(viewOf("words")));
    QVERIFY2(again.has_value(), again ? "" : again.error().message.c_str());
    QVERIFY(equalBytes(again->privateDer.reveal(), plain->privateDer.reveal()));
}

void TstKeyRules::keyFile_withAWrongPassphrase_isDenied()
{
    for (const QStringList& form :
         {QStringList{"genrsa", "-aes128"}, QStringList{"genrsa", "-traditional", "-aes128"}}) {
        const auto made = runOpenssl(form + QStringList{"-passout", "pass:words", "1024"});
        QCOMPARE(made.exitCode, 0);
        const auto refusedWith = [&](std::string_view words) {
            const auto opened = unwrapKeyFile(fromQt(made.out), SecretBytes(viewOf(words)));
            return !opened && opened.error().code == Errc::Denied;
        };
        for (int i = 0; i < 300; ++i) // one in 256 leaves valid padding behind
            QVERIFY(refusedWith(concat("wrong ", i)));
        QVERIFY(refusedWith(""));
        const auto judged = judgeKeyFile(fromQt(made.out), photon(), SecretBytes(viewOf("words")));
        QVERIFY(!judged.readable && judged.curable);
        QVERIFY(said(judged.reason).startsWith("encrypted"));
    }
}

void TstKeyRules::judge_namesCauseAndCure_data()
{
    QTest::addColumn<QStringList>("make");
    QTest::addColumn<bool>("forElectron");
    QTest::addColumn<QString>("words");
    QTest::addColumn<bool>("curable");
    const QStringList ec{"ecparam", "-genkey", "-noout", "-name", "prime256v1"};
    const QStringList k1{"ecparam", "-genkey", "-noout", "-name", "secp256k1"};
    const QStringList rsa{"genrsa", "1024"};
    QTest::newRow("PKCS#8") << rsa << false << "PKCS#8" << true;
    QTest::newRow("RSA-2048") << QStringList{"genrsa", "-traditional", "2048"} << false
                              << "an RSA key of 2048 bits" << false;
    QTest::newRow("e = 3") << QStringList{"genrsa", "-traditional", "-3", "1024"} << false
                           << "the public exponent is not 65537" << false;
    QTest::newRow("EC on a Photon") << ec << false << "an EC key" << false;
    QTest::newRow("RSA on an Electron")
        << QStringList{"genrsa", "-traditional", "1024"} << true << "an RSA key" << false;
    QTest::newRow("EC in PKCS#8") << QStringList{"genpkey", "-algorithm", "EC", "-pkeyopt",
                                                 "ec_paramgen_curve:P-256"}
                                  << true << "PKCS#8" << true;
    QTest::newRow("another curve") << k1 << true << "read an EC key: another curve" << false;
    QTest::newRow("EC without its point")
        << ec + QStringList{"-no_public_is_set_below"} << true << "curve or public point" << true;
}

void TstKeyRules::judge_namesCauseAndCure()
{
    QFETCH(QStringList, make);
    QFETCH(const bool, forElectron);
    QFETCH(const QString, words);
    QFETCH(const bool, curable);
    const bool strip = make.removeAll("-no_public_is_set_below") > 0;
    auto made = runOpenssl(make);
    if (strip)
        made = runOpenssl({"ec", "-no_public", "-outform", "DER"}, fromQt(made.out));
    QCOMPARE(made.exitCode, 0);
    const auto rules = forElectron ? electron() : photon();
    const auto reading = judgeKeyFile(fromQt(made.out), rules);
    QVERIFY(!reading.readable);
    QVERIFY2(said(reading.reason).contains(words), reading.reason.c_str());
    QCOMPARE(reading.curable, curable);
    QCOMPARE(reencodeForUnit(fromQt(made.out), rules).has_value(), curable);
}

void TstKeyRules::reencode_curesEveryShapeThatHoldsOneKey()
{
    int cured = 0;
    for (const auto& each : keyShapesOf()) {
        const auto shape = each.toObject();
        const auto der = fromQt(QByteArray::fromHex(shape["der"].toString().toLatin1()));
        const auto key = reencodeForUnit(der, photon());
        QVERIFY2(key.has_value(), qPrintable(shape["name"].toString()));
        QCOMPARE(key->privateDer.size(), std::size_t{611});
        QCOMPARE(toQt(key->publicDer).toHex(), shape["publicSpkiDer"].toString().toLatin1());
        const auto judged = judgeKeyFile(der, photon());
        QCOMPARE(judged.curable, !judged.readable);
        cured += judged.readable ? 0 : 1;
    }
    QVERIFY(cured >= 6); // short D twice, dP, dQ, qInv, 606 bytes, the old generator
    QVERIFY(judgeKeyFile(shapeNamed("legacy-generator-malformed"), photon()).curable);
    // A damaged number behind the primes is worked out anew; a damaged prime is lost.
    Bytes damaged = shapeNamed("short-D-as-fixed");
    damaged[560] ^= std::byte{4}; // qInv
    QVERIFY(judgeKeyFile(damaged, photon()).curable);
    damaged[300] ^= std::byte{4}; // P
    QVERIFY(!judgeKeyFile(damaged, photon()).curable);
}

void TstKeyRules::server_filesOfEverySize_areRead()
{
    const auto rsa = RsaPrivateKey::generate(2048)->publicKey();
    const auto ec = EcPrivateKey::generate()->publicKey();
    const auto bare = readServerAsUnit(rsa.toDer(), photon());
    QVERIFY(bare.usable && bare.addressType == "none");
    const auto padded = readServerAsUnit(slotOf(rsa.toDer(), 512), photon());
    QVERIFY(padded.usable && padded.addressType == "none");
    Bytes with = serverFile(rsa.toDer(), 384, "device.spark.io");
    with.push_back(std::byte{0});
    QCOMPARE(with.size(), std::size_t{402});
    const auto named = readServerAsUnit(with, photon());
    QVERIFY(named.usable);
    QCOMPARE(said(named.host), QString("device.spark.io"));
    QCOMPARE(named.port, std::uint16_t{0});
    const Bytes udp = slotOf(serverFile(ec.toDer(), 192, "$id.udp.particle.io"), 320);
    const auto electronServer = readServerAsUnit(udp, electron());
    QVERIFY2(electronServer.usable, electronServer.reason.c_str());
    QCOMPARE(said(electronServer.host), QString("$id.udp.particle.io"));
    QCOMPARE(electronServer.fingerprint, ec.fingerprint());

    Bytes ip = slotOf(rsa.toDer(), 768);
    for (const auto& [at, value] : {std::pair{384U, 0},
                                    {385U, 4},
                                    {386U, 192},
                                    {387U, 168},
                                    {388U, 10},
                                    {389U, 1},
                                    {450U, 0x16},
                                    {451U, 0x33}})
        ip[at] = static_cast<std::byte>(value);
    const auto numbered = readServerAsUnit(ip, photon());
    QCOMPARE(said(numbered.host), QString("192.168.10.1"));
    QCOMPARE(numbered.port, std::uint16_t{5683});
    const auto judged = judgeKeyFile(with, photon());
    QVERIFY2(said(judged.reason).contains("device.spark.io"), judged.reason.c_str());
    QVERIFY(!judged.readable && !judged.curable);
}

void TstKeyRules::server_faultsAreNamed()
{
    const auto good = RsaPrivateKey::generate(2048)->publicKey();
    const auto why = [](ByteView slot, const KeyRules& rules) {
        const auto reading = readServerAsUnit(slot, rules);
        return reading.usable ? QString() : said(reading.reason);
    };
    const auto small = RsaPrivateKey::generate(1024)->publicKey();
    QVERIFY(why(small.toDer(), photon()).contains("1024 bits"));
    const auto three = runOpenssl({"genrsa", "-3", "2048"});
    const auto spki = runOpenssl({"rsa", "-pubout", "-outform", "DER"}, fromQt(three.out));
    QVERIFY(why(fromQt(spki.out), photon()).contains("65537"));
    QVERIFY(why(Bytes(512, std::byte{0xFF}), ofFirmware(kPhotonId, "0.6.3")).contains("-19"));
    QVERIFY(why(Bytes(512, std::byte{0xFF}), photon()).contains("public cloud"));
    QVERIFY(why(good.toDer(), electron()).contains("P-256"));
    QVERIFY(why(EcPrivateKey::generate()->publicKey().toDer(), photon()).contains("no RSA"));
    QVERIFY(why(toBytes("garbage"), photon()).contains("no RSA"));
    // A padded length moves the modulus off its place; openssl takes it all the same.
    Bytes moved = good.toDer();
    QCOMPARE(readServerAsUnit(moved, photon()).usable, true);
    moved[40] ^= std::byte{1};
    QVERIFY(readServerAsUnit(moved, photon()).fingerprint != good.fingerprint());
}

} // namespace provost::test

PROVOST_TEST("key_rules", provost::test::TstKeyRules)
#include "tst_key_rules.moc"
