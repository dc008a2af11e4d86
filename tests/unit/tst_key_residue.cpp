// After the destruction of a private key no run of 16 bytes of it is left in the memory of the
// process that made it: neither as it was written nor as the limbs of a big number.
#include "crypto/key_rules.h"
#include "support/key_traces.h"
#include "support/openssl_program.h"
#include "support/test_program.h"

#include <QFile>
#include <QTemporaryDir>
#include <QTest>

namespace provost::test {

namespace {

constexpr int kKeys = 3;
constexpr int kKeyBytes = 611;
constexpr int kPatienceMs = 60'000;

} // namespace

class TstKeyResidue : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void search_findsWhatIsThere();
    void destroyedKeys_leaveNothingBehind_data();
    void destroyedKeys_leaveNothingBehind();
};

void TstKeyResidue::search_findsWhatIsThere()
{
    const auto key = generateKeyFor(keyRulesOf(6).value());
    KeyTraces wanted;
    wanted.add(key->privateDer.reveal());
    QCOMPARE(wanted.in(key->privateDer.reveal()), std::string("D"));
    Bytes page(4096);
    QVERIFY(wanted.in(page).empty());
    const ByteView run = key->privateDer.reveal().subspan(300, KeyTraces::kRun);
    std::ranges::copy(run, page.begin() + 1001);
    QCOMPARE(wanted.in(page), std::string("P"));
    std::ranges::reverse_copy(run, page.begin() + 1001);
    QCOMPARE(wanted.in(page), std::string("P"));
}

void TstKeyResidue::destroyedKeys_leaveNothingBehind_data()
{
    QTest::addColumn<bool>("escrow");
    QTest::newRow("made, tried, sealed by passphrase") << false;
    QTest::newRow("and wrapped to a certificate") << true;
}

void TstKeyResidue::destroyedKeys_leaveNothingBehind()
{
    QFETCH(const bool, escrow);
    const QTemporaryDir folder;
    QStringList arguments;
    if (escrow) {
        QCOMPARE(runOpenssl({"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
                             folder.filePath("escrow.key"), "-out", folder.filePath("escrow.pem"),
                             "-days", "2", "-subj", "/CN=escrow", "-batch"})
                     .exitCode,
                 0);
        arguments << folder.filePath("escrow.pem");
    }
    QProcess holder;
    holder.start(PROVOST_KEY_HOLDER, arguments);
    QByteArray said;
    while (said.size() < kKeys * kKeyBytes + 1 && holder.waitForReadyRead(kPatienceMs))
        said += holder.readAllStandardOutput();
    if (said.isEmpty() && holder.waitForFinished(kPatienceMs) && holder.exitCode() == 3)
        QSKIP("this system does not lock memory");
    QCOMPARE(said.size(), kKeys * kKeyBytes + 1);
    QVERIFY(said.endsWith('D'));
    KeyTraces wanted;
    for (int i = 0; i < kKeys; ++i) {
        const Bytes key = fromQt(said.mid(i * kKeyBytes, kKeyBytes));
        QVERIFY(readAsUnit(key, keyRulesOf(6).value()).readable);
        wanted.add(key);
    }
    std::size_t bytesRead = 0;
    const auto residue = residueIn(holder.processId(), wanted, bytesRead);
    holder.closeWriteChannel();
    QVERIFY(holder.waitForFinished(kPatienceMs));
    QVERIFY2(residue.empty(), residue.empty() ? "" : residue.front().c_str());
    QVERIFY(bytesRead > 1'000'000); // the secure heap alone is one MiB
}

} // namespace provost::test

PROVOST_TEST("key_residue", provost::test::TstKeyResidue)
#include "tst_key_residue.moc"
