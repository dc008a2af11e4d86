// Keys that are made under a token, which is SoftHSM here and hardware on a line: the same calls.
#include "core/byte_io.h"
#include "crypto/key_pool.h"
#include "crypto/key_token.h"
#include "support/soft_token.h"
#include "support/test_program.h"
#include "support/verify.h"

#include <QDirIterator>
#include <QTemporaryDir>
#include <QTest>

#include <set>

namespace provost::test {

namespace {

KeyTokenConfig tokenConfig(const char* label = "units", const char* pin = kSoftTokenPin)
{
    return {.module = kSoftTokenModule, .label = label, .pin = SecretBytes(viewOf(pin))};
}

/// Files in which a token keeps objects; a session's keys leave none.
int tokenFiles(const QString& folder)
{
    int count = 0;
    QDirIterator files(folder + "/tokens", {"*.object"}, QDir::Files, QDirIterator::Subdirectories);
    for (; files.hasNext(); files.next())
        ++count;
    return count;
}

} // namespace

class TstKeyToken : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void keys_areReadableAndNoneTwice();
    void token_keepsNothing();
    void pool_takesItsKeysFromTheToken();
    void escrowKeyInTheToken_isFound();
    void otherKinds_areRefused();
    void whatIsWrong_isNamed();

private:
    QTemporaryDir m_folder{};
};

void TstKeyToken::initTestCase()
{
    QVERIFY2(makeSoftToken(m_folder.path()), "softhsm2 is missing: installer/packages-test.txt");
    qputenv("SOFTHSM2_CONF", m_folder.filePath("softhsm2.conf").toUtf8());
}

void TstKeyToken::keys_areReadableAndNoneTwice()
{
    const auto rules = keyRulesOf(6).value();
    const auto token = KeyToken::open(tokenConfig());
    VERIFY_OK(token);
    std::set<std::string> fingerprints;
    for (int i = 0; i < 5; ++i) {
        const auto key = (*token)->makeKey(rules);
        VERIFY_OK(key);
        QCOMPARE(key->privateDer.size(), std::size_t{611});
        const auto reading = readAsUnit(key->privateDer.reveal(), rules);
        QVERIFY2(reading.readable, reading.reason.c_str());
        QCOMPARE(reading.fingerprint(), key->fingerprint);
        QCOMPARE(key->maker, std::string("token units"));
        fingerprints.insert(key->fingerprint);
    }
    QCOMPARE(fingerprints.size(), std::size_t{5});
}

void TstKeyToken::token_keepsNothing()
{
    const auto before = tokenFiles(m_folder.path());
    {
        const auto token = KeyToken::open(tokenConfig());
        VERIFY_OK(token);
        VERIFY_OK((*token)->makeKey(keyRulesOf(6).value()));
        QCOMPARE(tokenFiles(m_folder.path()), before);
    }
    QCOMPARE(tokenFiles(m_folder.path()), before);
}

void TstKeyToken::pool_takesItsKeysFromTheToken()
{
    const auto rules = keyRulesOf(6).value();
    const auto token = KeyToken::open(tokenConfig());
    VERIFY_OK(token);
    KeyPool pool({.rules = rules,
                  .make = [&](const KeyRules& wanted) { return (*token)->makeKey(wanted); },
                  .size = 2,
                  .threads = 2,
                  .onChange = {}});
    for (int i = 0; i < 4; ++i) {
        const auto key = pool.take(rules);
        VERIFY_OK(key);
        QCOMPARE(key->maker, std::string("token units"));
    }
}

void TstKeyToken::escrowKeyInTheToken_isFound()
{
    const auto run = [&](const QString& program, const QStringList& arguments) {
        QProcess process;
        process.start(program, arguments);
        return process.waitForFinished() && process.exitCode() == 0;
    };
    const QString key = m_folder.filePath("escrow.key");
    const QString file = m_folder.filePath("escrow.pem");
    QVERIFY(run("openssl", {"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
                            file, "-subj", "/CN=escrow", "-days", "2"}));
    QFile pem(file);
    QVERIFY(pem.open(QIODevice::ReadOnly));
    const Bytes certificate = toBytes(pem.readAll().toStdString());
    {
        const auto token = KeyToken::open(tokenConfig());
        VERIFY_OK(token);
        QCOMPARE((*token)->holdsKeyOf(certificate).value(), false);
        QVERIFY(!(*token)->holdsKeyOf(viewOf("no certificate")));
    }
    QVERIFY(run("softhsm2-util", {"--import", key, "--token", "units", "--label", "escrow", "--id",
                                  "A1", "--pin", kSoftTokenPin}));
    const auto token = KeyToken::open(tokenConfig());
    VERIFY_OK(token);
    QCOMPARE((*token)->holdsKeyOf(certificate).value(), true);
}

void TstKeyToken::otherKinds_areRefused()
{
    const auto token = KeyToken::open(tokenConfig());
    VERIFY_OK(token);
    VERIFY_FAILS((*token)->makeKey(keyRulesOf(10, KeyTransport::Udp).value()), Errc::Unsupported);
}

void TstKeyToken::whatIsWrong_isNamed()
{
    VERIFY_FAILS(KeyToken::open(tokenConfig("other")), Errc::NotFound);
    auto elsewhere = tokenConfig();
    elsewhere.module = "/usr/lib/nowhere.so";
    VERIFY_FAILS(KeyToken::open(std::move(elsewhere)), Errc::NotFound);
    VERIFY_FAILS(KeyToken::open(tokenConfig("units", "000000")), Errc::Denied);
}

} // namespace provost::test

PROVOST_TEST("key_token", provost::test::TstKeyToken)
#include "tst_key_token.moc"
