#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/rsa_key.h"
#include "crypto/signing_key.h"
#include "crypto/unit_key.h"
#include "support/test_program.h"

#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <set>
#include <type_traits>

using namespace provost;

namespace {

static_assert(!std::is_copy_constructible_v<SecretBytes>);
static_assert(!std::is_copy_constructible_v<RsaPrivateKey>);

constexpr int kOpensslTimeoutMs = 20000;

Bytes hex(const QJsonValue& value)
{
    return fromHex(value.toString().toStdString()).value();
}
Bytes digits(std::string_view text)
{
    return fromHex(text).value();
}
QByteArray toQt(ByteView bytes)
{
    return QByteArray(reinterpret_cast<const char*>(bytes.data()),
                      static_cast<qsizetype>(bytes.size()));
}
Bytes fromQt(const QByteArray& bytes)
{
    return toBytes(std::string_view(bytes.data(), static_cast<std::size_t>(bytes.size())));
}
QString text(std::string_view view)
{
    return QString::fromStdString(std::string(view));
}

struct Ran {
    int exitCode = -1;
    QByteArray out{};
};
/// The reference implementation, fed through a pipe: keys touch no disk and no argument list.
Ran openssl(const QStringList& arguments, ByteView input = {})
{
    QProcess process;
    process.start("openssl", arguments);
    process.write(toQt(input));
    process.closeWriteChannel();
    if (!process.waitForFinished(kOpensslTimeoutMs))
        return {};
    return {.exitCode = process.exitStatus() == QProcess::NormalExit ? process.exitCode() : -1,
            .out = process.readAllStandardOutput()};
}

QJsonObject vectors()
{
    QFile file(PROVOST_TEST_DATA "/handshake-vectors.json");
    return file.open(QIODevice::ReadOnly) ? QJsonDocument::fromJson(file.readAll()).object()
                                          : QJsonObject();
}

class TstCrypto : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void signingKey_liesUnderItsPassphrase()
    {
        const QTemporaryDir folder;
        const auto file = std::filesystem::path(folder.filePath("sign.pem").toStdString());
        const SecretBytes right(viewOf("correct horse"));
        const SecretBytes wrong(viewOf("battery staple"));
        const auto content = [&] {
            QFile on(QString::fromStdString(file.string()));
            return on.open(QIODevice::ReadOnly) ? on.readAll() : QByteArray();
        };
        // As an earlier program left it, in the clear; then under the passphrase, the same key.
        const auto clear = SigningKey::readOrMake(file, {});
        QVERIFY(clear);
        QVERIFY(content().startsWith("-----BEGIN PRIVATE KEY-----"));
        const auto sealed = SigningKey::readOrMake(file, right);
        QVERIFY2(sealed.has_value(), sealed ? "" : describe(sealed.error()).c_str());
        QVERIFY(content().startsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        QCOMPARE(sealed->verifyingKey().fingerprint(), clear->verifyingKey().fingerprint());
        const auto again = SigningKey::readOrMake(file, right);
        QCOMPARE(again.value().verifyingKey().fingerprint(), clear->verifyingKey().fingerprint());
        const auto refused = SigningKey::readOrMake(file, wrong);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, Errc::Denied);
        QCOMPARE(SigningKey::read(file, {}).error().code, Errc::Denied);
    }
    void initTestCase();
    void sha256_matchesPublishedAnswers();
    void hmacSha1_matchesRfc2202();
    void aes128Cbc_matchesSp80038a();
    void aes128CbcDecrypt_refusesWrongLengthAndPadding();
    void randomBytes_differEachTime();
    void secretBytes_moveAndClone();
    void readAsUnit_agreesWithFirmware_data();
    void readAsUnit_agreesWithFirmware();
    void readAsUnit_namesTheReason_data();
    void readAsUnit_namesTheReason();
    void readAsUnit_knowsBlankSlots();
    void readAsUnit_ignoresWhatIsBehindTheKey();
    void readAsUnit_refusesEveryDamagedPrimeByte();
    void readAsUnit_staysInsideAnyInput();
    void fullWidthForm_matchesVectorsAndIsReadable();
    void fullWidthForm_isReadByOpenssl();
    void clearPem_isReadByOpenssl();
    void encryptedPem_isOpenedByOpensslWithItsPassphrase();
    void encryptedPem_refusesAnEmptyPassphrase();
    void publicKey_matchesVectorsAndOpenssl();
    void fromBytes_readsWhatOpensslWrites();
    void fromBytes_refusesEncryptedAndDamagedKeys();
    void judgeKeyFile_tellsEncodingsApart();
    void generatedKeys_areAllReadable();
    void decryptAsUnit_opensAndRefuses();
    void rsa_agreesWithOpenssl();
    void sealToCertificate_isOpenedByOpenssl();
    void secureHeap_servesSecrets();

private:
    QJsonObject shape(const QString& name) const;
    Bytes serverKeyDer() const { return hex(m_photon["serverPrivateKeyPkcs1Der"]); }
    QJsonArray m_shapes{};
    QJsonObject m_photon{};
};

void TstCrypto::initTestCase()
{
    const QJsonObject all = vectors();
    m_shapes = all["keyShapes"].toArray();
    m_photon = all["transcripts"].toArray()[0].toObject();
    QCOMPARE(m_shapes.size(), 14);
}

QJsonObject TstCrypto::shape(const QString& name) const
{
    for (const QJsonValue& value : m_shapes)
        if (value["name"].toString() == name)
            return value.toObject();
    return {};
}

void TstCrypto::sha256_matchesPublishedAnswers() // FIPS 180-4 examples
{
    QCOMPARE(text(sha256Hex({})),
             QString("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    QCOMPARE(text(sha256Hex(viewOf("abc"))),
             QString("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
}

void TstCrypto::hmacSha1_matchesRfc2202()
{
    QCOMPARE(text(toHex(hmacSha1(Bytes(20, std::byte{0x0b}), viewOf("Hi There")))),
             QString("b617318655057264e28bc0b6fb378c8ef146be00"));
    QCOMPARE(text(toHex(hmacSha1(viewOf("Jefe"), viewOf("what do ya want for nothing?")))),
             QString("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"));
}

void TstCrypto::aes128Cbc_matchesSp80038a() // F.2.1
{
    const Bytes key = digits("2b7e151628aed2a6abf7158809cf4f3c");
    const Bytes iv = digits("000102030405060708090a0b0c0d0e0f");
    const Bytes plain = digits("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
    const auto cipher = aes128CbcEncrypt(key, iv, plain);
    QVERIFY(cipher.has_value());
    QCOMPARE(cipher->size(), std::size_t{48}); // a whole block of padding
    QCOMPARE(text(toHex(ByteView(*cipher).first(32))),
             QString("7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"));
    const auto back = aes128CbcDecrypt(key, iv, *cipher);
    QVERIFY(back.has_value());
    QVERIFY(equalBytes(*back, plain));
}

void TstCrypto::aes128CbcDecrypt_refusesWrongLengthAndPadding()
{
    const Bytes key(16);
    for (const std::size_t size : {0U, 1U, 15U, 17U})
        QCOMPARE(aes128CbcDecrypt(key, key, Bytes(size)).error().code, Errc::InvalidData);
    QCOMPARE(aes128CbcDecrypt(key, key, Bytes(16)).error().code, Errc::InvalidData);
    QCOMPARE(aes128CbcDecrypt(Bytes(15), key, Bytes(16)).error().code, Errc::InvalidArgument);
}

void TstCrypto::randomBytes_differEachTime()
{
    const auto first = randomBytes(32);
    const auto second = randomBytes(32);
    QVERIFY(first && second);
    QVERIFY(!equalBytes(*first, *second));
}

void TstCrypto::secretBytes_moveAndClone()
{
    SecretBytes first(viewOf("secret"));
    const SecretBytes copy = first.clone();
    SecretBytes second(std::move(first));
    QVERIFY(first.empty()); // NOLINT(bugprone-use-after-move): what is left is what is tested
    QVERIFY(equalBytes(second.reveal(), viewOf("secret")));
    second = SecretBytes(3);
    QVERIFY(equalBytes(second.reveal(), Bytes(3)));
    QVERIFY(equalBytes(copy.reveal(), viewOf("secret")));
    Bytes plain = toBytes("secret");
    wipe(plain);
    QVERIFY(equalBytes(plain, Bytes(6)));
}

void TstCrypto::readAsUnit_agreesWithFirmware_data()
{
    QTest::addColumn<QJsonObject>("shape");
    for (const QJsonValue& value : m_shapes)
        QTest::newRow(qPrintable(value["name"].toString())) << value.toObject();
}

void TstCrypto::readAsUnit_agreesWithFirmware()
{
    QFETCH(const QJsonObject, shape);
    const KeyReading reading = readAsUnit(hex(shape["der"]));
    QCOMPARE(reading.readable, shape["deviceCompatible"].toBool());
    QCOMPARE(reading.reason.empty(), reading.readable);
    QCOMPARE(static_cast<int>(reading.length), shape["length"].toInt());
    QCOMPARE(text(reading.encoding), QString("pkcs1"));
    QCOMPARE(reading.bits, 1024);
    QCOMPARE(reading.publicKey.has_value(), reading.readable);
    if (reading.publicKey)
        QVERIFY(equalBytes(reading.publicKey->toDer(), hex(shape["publicSpkiDer"])));
}

void TstCrypto::readAsUnit_namesTheReason_data()
{
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("words");
    QTest::newRow("D") << "short-D" << "the private exponent D is short (127 bytes)";
    QTest::newRow("D, long key") << "short-D-long-total"
                                 << "the private exponent D is short (127 bytes)";
    QTest::newRow("dP") << "short-DP" << "the exponent dP is short (63 bytes)";
    QTest::newRow("dQ") << "short-DQ" << "the exponent dQ is short (63 bytes)";
    QTest::newRow("qInv") << "short-QP" << "the coefficient qInv is short (63 bytes)";
    QTest::newRow("old generator") << "legacy-generator-malformed"
                                   << "malformed: the on-device generator of firmware 0.4.0";
}

void TstCrypto::readAsUnit_namesTheReason()
{
    QFETCH(const QString, name);
    QFETCH(const QString, words);
    const QString reason = text(readAsUnit(hex(shape(name)["der"])).reason);
    QVERIFY2(reason.startsWith(words), qPrintable(reason));
}

void TstCrypto::readAsUnit_knowsBlankSlots()
{
    for (const Bytes& slot : {Bytes(612, std::byte{0xFF}), Bytes(612), Bytes()}) {
        const KeyReading reading = readAsUnit(slot);
        QVERIFY(!reading.readable);
        QCOMPARE(text(reading.encoding), QString("blank"));
    }
    const KeyReading other = readAsUnit(Bytes(612, std::byte{0x55}));
    QCOMPARE(text(other.encoding), QString("unknown"));
    QVERIFY(text(other.reason).startsWith("not a key in PKCS#1"));
}

void TstCrypto::readAsUnit_ignoresWhatIsBehindTheKey()
{
    Bytes slot = hex(shape("minimal-607")["der"]);
    slot.resize(2048, std::byte{0xA5});
    const KeyReading reading = readAsUnit(slot);
    QVERIFY(reading.readable);
    QCOMPARE(reading.length, std::size_t{607});
}

void TstCrypto::readAsUnit_refusesEveryDamagedPrimeByte()
{
    const Bytes good = hex(shape("short-D-as-fixed")["der"]);
    constexpr std::size_t kPrimeP = 11 + 128 + 5 + 4 + 128 + 3; // first byte of P behind its 00
    for (std::size_t i = kPrimeP; i < kPrimeP + 64; i += 7) {
        Bytes bad = good;
        bad[i] ^= std::byte{2};
        QVERIFY2(!readAsUnit(bad).readable, qPrintable(QString::number(i)));
    }
}

void TstCrypto::readAsUnit_staysInsideAnyInput()
{
    const Bytes good = hex(shape("minimal-608")["der"]);
    for (std::size_t size = 0; size < good.size(); size += 3) {
        const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
        QVERIFY(!readAsUnit(cut).readable);
        QVERIFY(!RsaPrivateKey::fromBytes(cut));
        QVERIFY(!RsaPublicKey::fromText(cut));
    }
    for (std::size_t i = 0; i < 160; ++i) { // every header byte up to D, and the modulus
        Bytes bad = good;
        bad[i] = std::byte{0xFF};
        const KeyReading reading = judgeKeyFile(bad);
        QCOMPARE(reading.reason.empty(), reading.readable);
    }
}

void TstCrypto::fullWidthForm_matchesVectorsAndIsReadable()
{
    for (const QString& name : {QString("short-D"), QString("short-QP")}) {
        const auto key = RsaPrivateKey::fromBytes(hex(shape(name)["der"]));
        QVERIFY(key.has_value());
        const Bytes fixed = hex(shape(name + "-as-fixed")["der"]);
        QVERIFY(equalBytes(key->toFullWidthDer().reveal(), fixed));
        const auto back = RsaPrivateKey::fromBytes(fixed);
        QVERIFY(back.has_value());
        QVERIFY(equalBytes(back->toPkcs1Der().reveal(), hex(shape(name)["der"])));
    }
    for (const QJsonValue& value : m_shapes) {
        if (value["style"].toString() == "malformed")
            continue;
        const auto key = RsaPrivateKey::fromBytes(hex(value["der"]));
        QVERIFY(key.has_value());
        QVERIFY(readAsUnit(key->toFullWidthDer().reveal()).readable);
    }
}

void TstCrypto::fullWidthForm_isReadByOpenssl()
{
    const auto key = generateUnitKey();
    QVERIFY(key.has_value());
    const Ran ran =
        openssl({"rsa", "-inform", "DER", "-in", "/dev/stdin", "-pubout", "-outform", "DER"},
                key->privateDer.reveal());
    QCOMPARE(ran.exitCode, 0);
    QVERIFY(equalBytes(fromQt(ran.out), key->publicKey.toDer()));
    QCOMPARE(openssl({"rsa", "-inform", "DER", "-in", "/dev/stdin", "-check", "-noout"},
                     key->privateDer.reveal())
                 .exitCode,
             0);
}

void TstCrypto::clearPem_isReadByOpenssl()
{
    const auto key = RsaPrivateKey::generate(2048);
    QVERIFY(key.has_value());
    const SecretBytes pem = key->toClearPem();
    const Ran ran = openssl({"pkey", "-in", "/dev/stdin", "-pubout"}, pem.reveal());
    QCOMPARE(ran.exitCode, 0);
    QCOMPARE(ran.out, QByteArray::fromStdString(key->publicKey().toPem()));
    const auto back = RsaPrivateKey::fromBytes(pem.reveal());
    QVERIFY(back.has_value());
    QVERIFY(equalBytes(back->toPkcs1Der().reveal(), key->toPkcs1Der().reveal()));
}

void TstCrypto::encryptedPem_isOpenedByOpensslWithItsPassphrase()
{
    const auto key = RsaPrivateKey::generate(1024);
    QVERIFY(key.has_value());
    const auto pem = key->toEncryptedPem(SecretBytes(viewOf("correct horse")));
    QVERIFY(pem.has_value());
    const QStringList open{"pkey", "-in", "/dev/stdin", "-pubout", "-passin"};
    const Ran ran = openssl(open + QStringList{"pass:correct horse"}, *pem);
    QCOMPARE(ran.exitCode, 0);
    QCOMPARE(ran.out, QByteArray::fromStdString(key->publicKey().toPem()));
    QVERIFY(openssl(open + QStringList{"pass:wrong"}, *pem).exitCode != 0);
    const Ran shape = openssl({"asn1parse", "-in", "/dev/stdin"}, *pem);
    for (const char* part : {"PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc"})
        QVERIFY2(shape.out.contains(part), part);
    // The numbers of the key do not appear in it.
    QVERIFY(!RsaPrivateKey::fromBytes(*pem).has_value());
    const auto again = key->toEncryptedPem(SecretBytes(viewOf("correct horse")));
    QVERIFY(again.has_value() && !equalBytes(*again, *pem)); // salt and IV are fresh
    const KeyReading reading = judgeKeyFile(*pem);
    QVERIFY(!reading.readable);
    QVERIFY(text(reading.reason).contains("passphrase"));
}

void TstCrypto::encryptedPem_refusesAnEmptyPassphrase()
{
    const auto key = RsaPrivateKey::generate(1024);
    QVERIFY(key.has_value());
    const auto pem = key->toEncryptedPem(SecretBytes());
    QVERIFY(!pem.has_value() && pem.error().code == Errc::InvalidArgument);
}

void TstCrypto::publicKey_matchesVectorsAndOpenssl()
{
    const Bytes spki = hex(m_photon["serverPublicKeySpkiDer"]);
    const auto server = RsaPrivateKey::fromBytes(serverKeyDer());
    QVERIFY(server.has_value());
    const RsaPublicKey key = server->publicKey();
    QVERIFY(equalBytes(key.toDer(), spki));
    QCOMPARE(key.bits(), 2048);
    QVERIFY(equalBytes(key.modulus(), ByteView(spki).subspan(33, 256)));
    QCOMPARE(text(key.fingerprint()), text(sha256Hex(spki)));
    const Ran ran = openssl({"pkey", "-pubin", "-inform", "DER", "-in", "/dev/stdin"}, spki);
    QCOMPARE(ran.out, QByteArray::fromStdString(key.toPem()));
    Bytes slot = spki;
    slot.resize(512, std::byte{0xFF});
    QCOMPARE(text(RsaPublicKey::fromDer(slot)->fingerprint()), text(key.fingerprint()));
    const auto pem = RsaPublicKey::fromText(viewOf(key.toPem()));
    QVERIFY(pem.has_value());
    const RsaPublicKey copy = *pem;
    QCOMPARE(text(copy.fingerprint()), text(key.fingerprint()));
    const Ran pkcs1 =
        openssl({"rsa", "-pubin", "-in", "/dev/stdin", "-RSAPublicKey_out"}, viewOf(key.toPem()));
    QCOMPARE(text(RsaPublicKey::fromText(fromQt(pkcs1.out))->fingerprint()),
             text(key.fingerprint()));
}

void TstCrypto::fromBytes_readsWhatOpensslWrites()
{
    for (const QStringList& form :
         {QStringList{"genrsa", "-traditional", "1024"}, QStringList{"genrsa", "2048"}}) {
        const Ran made = openssl(form);
        QCOMPARE(made.exitCode, 0);
        const auto key = RsaPrivateKey::fromBytes(fromQt(made.out));
        QVERIFY2(key.has_value(), qPrintable(form.join(' ')));
        const Ran pub = openssl({"pkey", "-in", "/dev/stdin", "-pubout"}, fromQt(made.out));
        QCOMPARE(pub.out, QByteArray::fromStdString(key->publicKey().toPem()));
        const Ran der = openssl({"rsa", "-in", "/dev/stdin", "-traditional", "-outform", "DER"},
                                fromQt(made.out));
        QVERIFY(equalBytes(key->toPkcs1Der().reveal(), fromQt(der.out)));
    }
}

void TstCrypto::fromBytes_refusesEncryptedAndDamagedKeys()
{
    for (const QStringList& extra : {QStringList{}, QStringList{"-traditional"}}) {
        const Ran made = openssl(QStringList{"genrsa", "-aes128", "-passout", "pass:words"} +
                                 extra + QStringList{"1024"});
        QCOMPARE(made.exitCode, 0);
        const auto key = RsaPrivateKey::fromBytes(fromQt(made.out));
        QVERIFY(!key);
        QVERIFY(text(key.error().message).contains("encrypted"));
        QVERIFY(text(judgeKeyFile(fromQt(made.out)).reason).startsWith("encrypted"));
    }
    Bytes bad = serverKeyDer();
    bad[400] ^= std::byte{1};
    QCOMPARE(RsaPrivateKey::fromBytes(bad).error().code, Errc::InvalidData);
    QVERIFY(!RsaPrivateKey::fromBytes(hex(shape("legacy-generator-malformed")["der"])));
}

void TstCrypto::judgeKeyFile_tellsEncodingsApart()
{
    const Ran pkcs8 = openssl({"genrsa", "1024"});
    const KeyReading wrapped = judgeKeyFile(fromQt(pkcs8.out));
    QCOMPARE(text(wrapped.encoding), QString("pkcs8"));
    QCOMPARE(wrapped.bits, 1024);
    QVERIFY(!wrapped.readable);
    QVERIFY(text(wrapped.reason).contains("re-encode"));

    const Ran ec = openssl({"ecparam", "-name", "prime256v1", "-genkey"});
    const KeyReading curve = judgeKeyFile(fromQt(ec.out));
    QCOMPARE(text(curve.encoding), QString("sec1"));
    QCOMPARE(curve.bits, 256);
    QVERIFY(!curve.readable);

    const KeyReading large = judgeKeyFile(serverKeyDer());
    QCOMPARE(text(large.encoding), QString("pkcs1"));
    QCOMPARE(large.bits, 2048);
    QVERIFY(text(large.reason).contains("RSA key of 2048 bits"));

    const KeyReading pub = judgeKeyFile(hex(m_photon["devicePublicKeySpkiDer"]));
    QCOMPARE(text(pub.encoding), QString("spki"));
    QCOMPARE(pub.bits, 1024);
    QVERIFY(!pub.readable);

    const Ran good = openssl({"rsa", "-inform", "DER", "-in", "/dev/stdin", "-traditional"},
                             hex(shape("minimal-609")["der"]));
    const KeyReading pem = judgeKeyFile(fromQt(good.out));
    QVERIFY2(pem.readable, pem.reason.c_str());
    QCOMPARE(pem.length, std::size_t{609});
    QVERIFY(!judgeKeyFile(viewOf("-----BEGIN RSA PRIVATE KEY-----\nMII=\n")).readable);
    QCOMPARE(text(judgeKeyFile(viewOf("hello")).encoding), QString("unknown"));
}

void TstCrypto::generatedKeys_areAllReadable()
{
    std::set<std::string> seen;
    for (int i = 0; i < 300; ++i) {
        const auto key = generateUnitKey();
        QVERIFY(key.has_value());
        QCOMPARE(key->privateDer.size(), std::size_t{611});
        const KeyReading reading = readAsUnit(key->privateDer.reveal());
        QVERIFY2(reading.readable, reading.reason.c_str());
        QVERIFY(equalBytes(reading.publicKey->toDer(), key->publicKey.toDer()));
        QVERIFY(RsaPrivateKey::fromBytes(key->privateDer.reveal()).has_value());
        seen.insert(key->publicKey.fingerprint());
    }
    QCOMPARE(seen.size(), std::size_t{300});
}

void TstCrypto::decryptAsUnit_opensAndRefuses()
{
    const Bytes slot = hex(m_photon["devicePrivateKeyPkcs1Der"]);
    const auto key = RsaPublicKey::fromDer(hex(m_photon["devicePublicKeySpkiDer"]));
    const Bytes credentials = hex(m_photon["session"].toObject()["credentials"]);
    const auto opened = decryptAsUnit(slot, key->encrypt(credentials).value());
    QVERIFY(opened.has_value());
    QVERIFY(equalBytes(opened->reveal(), credentials));
    QVERIFY(!decryptAsUnit(slot, key->encrypt(Bytes(41)).value())); // one more than it has room for
    QVERIFY(!decryptAsUnit(slot, Bytes(128, std::byte{0xFF})));
    QVERIFY(!decryptAsUnit(slot, Bytes(127)));
    const auto shortD = RsaPublicKey::fromDer(hex(shape("short-D")["publicSpkiDer"]));
    QVERIFY(!decryptAsUnit(hex(shape("short-D")["der"]), shortD->encrypt(credentials).value()));
}

void TstCrypto::rsa_agreesWithOpenssl()
{
    const auto server = RsaPrivateKey::fromBytes(serverKeyDer());
    const QTemporaryDir folder; // the key of the published vectors, no secret
    QFile file(folder.filePath("vector-key.der"));
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(toQt(serverKeyDer()));
    file.close();
    const QStringList key{"-inkey", file.fileName(), "-keyform", "DER"};
    const auto cipher = server->publicKey().encrypt(viewOf("in words"));
    QCOMPARE(openssl(QStringList{"pkeyutl", "-decrypt"} + key, *cipher).out,
             QByteArray("in words"));
    const auto plain = server->decrypt(
        fromQt(openssl(QStringList{"pkeyutl", "-encrypt"} + key, viewOf("back")).out));
    QVERIFY(plain.has_value());
    QVERIFY(equalBytes(plain->reveal(), viewOf("back")));
    const auto signature = server->signRaw(Bytes(20, std::byte{7}));
    QCOMPARE(openssl(QStringList{"pkeyutl", "-verifyrecover"} + key, *signature).out,
             QByteArray(qsizetype{20}, '\x07'));
    QVERIFY(equalBytes(server->publicKey().recover(*signature).value(), Bytes(20, std::byte{7})));
    QVERIFY(!server->publicKey().encrypt(Bytes(246))); // 256 - 11 at most
    QVERIFY(!server->publicKey().recover(*cipher));
}

void TstCrypto::sealToCertificate_isOpenedByOpenssl()
{
    const QTemporaryDir folder;
    QFile file(folder.filePath("vector-key.pem"));
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(toQt(RsaPrivateKey::fromBytes(serverKeyDer())->toClearPem().reveal()));
    file.close();
    const Ran certificate = openssl(
        {"req", "-x509", "-new", "-key", file.fileName(), "-subj", "/CN=test", "-days", "2"});
    QCOMPARE(certificate.exitCode, 0);
    const auto sealed = sealToCertificate(fromQt(certificate.out), viewOf("line\nbreaks\r\nstay"));
    QVERIFY(sealed.has_value());
    const Ran opened = openssl(
        {"cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", file.fileName()}, *sealed);
    QCOMPARE(opened.out, QByteArray("line\nbreaks\r\nstay"));
    QCOMPARE(sealToCertificate(viewOf("no certificate"), viewOf("x")).error().code,
             Errc::InvalidData);
}

void TstCrypto::secureHeap_servesSecrets()
{
    // Where the system does not lock memory it says so, and secrets live in ordinary memory.
    const auto up = setUpSecureHeap();
    QVERIFY(up.has_value() || up.error().code == Errc::Unavailable);
    QCOMPARE(setUpSecureHeap().has_value(), up.has_value());
    const SecretBytes small(viewOf("secret"));
    const SecretBytes larger(std::size_t{4} << 20); // more than the heap holds
    QCOMPARE(larger.size(), std::size_t{4} << 20);
    const auto key = generateUnitKey();
    QVERIFY(key.has_value());
    QVERIFY(readAsUnit(key->privateDer.reveal()).readable);
}

} // namespace

PROVOST_TEST("crypto", TstCrypto)
#include "tst_crypto.moc"
