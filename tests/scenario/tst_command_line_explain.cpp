// `handshake explain` on what tcpdump saw of our own two halves on loopback.
#include "support/command_line.h"
#include "support/test_program.h"

#include <unistd.h>

using namespace provost::test;

namespace {

const QString kUnit = QStringLiteral("1f002a000547343233323032");
const QString kStranger = QStringLiteral("2f002a000547343233323032");

/// tcpdump on loopback, ended when this goes.
class Tcpdump {
public:
    Tcpdump(const CommandFolder& folder, int port, const QString& file)
    {
        folder.prepare(m_process);
        QStringList arguments{"-i", "lo", "--immediate-mode", "-U", "-w", file};
        if (geteuid() == 0)
            arguments << "-Z" << "root"; // it would write as another user, who may not here
        arguments << "tcp" << "port" << QString::number(port);
        m_process.start("tcpdump", arguments);
    }
    ~Tcpdump()
    {
        if (m_process.state() != QProcess::NotRunning)
            m_process.terminate();
        m_process.waitForFinished();
    }
    Tcpdump(const Tcpdump&) = delete;
    Tcpdump& operator=(const Tcpdump&) = delete;

    /// @returns what it said, where that is not "listening"
    QByteArray troubleAtStart()
    {
        QByteArray said;
        m_process.setReadChannel(QProcess::StandardError);
        while (!said.contains("listening on") && m_process.waitForReadyRead(kPatienceMs))
            said += m_process.readAllStandardError();
        return said.contains("listening on") ? QByteArray() : "tcpdump: " + said;
    }

private:
    QProcess m_process{};
};

class TstCommandLineExplain : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void explain_namesCauseAndAdvice_data();
    void explain_namesCauseAndAdvice();
    void explain_speaksToPeople();
    void explain_saysWhatItCannotUse();

private:
    void dial(const QString& device, const QString& key, const QString& serverKey) const
    {
        m_folder.provost({"handshake", "dial", m_address, "--device-id", device, "--device-key",
                          key, "--server-key", serverKey});
    }
    QList<QJsonObject> verdicts(const QStringList& keys) const
    {
        QList<QJsonObject> found;
        for (const auto& line :
             m_folder.json(QStringList{"handshake", "explain", "seen.pcap"} + keys).lines())
            if (line["event"] == "verdict")
                found.append(line);
        return found;
    }

    CommandFolder m_folder{};
    QString m_address{};
};

void TstCommandLineExplain::initTestCase()
{
    QVERIFY(QDir(m_folder.path("")).mkdir("units"));
    for (const char* name : {"server", "other"}) {
        const QString pem = QString("%1.pem").arg(name);
        QCOMPARE(m_folder.run("openssl", {"genrsa", "-out", pem, "2048"}).exitCode, 0);
        QCOMPARE(m_folder
                     .run("openssl",
                          {"rsa", "-in", pem, "-pubout", "-out", QString("%1.pub.pem").arg(name)})
                     .exitCode,
                 0);
    }
    for (const char* name : {"unit", "changed"})
        QCOMPARE(m_folder
                     .provost({"keys", "new", "--platform", "photon", "--out",
                               QString("%1.der").arg(name), "--clear-key"})
                     .exitCode,
                 0);
    QVERIFY(m_folder.write("units/" + kUnit + ".pub.pem", m_folder.read("unit.der.pub.pem")));

    RunningCommand server(m_folder,
                          {"handshake", "serve", "--listen", "127.0.0.1:0", "--server-key",
                           "server.pem", "--registry", "units", "--json"});
    const int port = server.waitForEvent("listening")["port"].toInt();
    QVERIFY(port > 0);
    m_address = QString("127.0.0.1:%1").arg(port);
    Tcpdump tcpdump(m_folder, port, "seen.pcap");
    const QByteArray trouble = tcpdump.troubleAtStart();
    QVERIFY2(trouble.isEmpty(), trouble.constData());
    dial(kUnit, "unit.der", "server.pub.pem");
    dial(kUnit, "unit.der", "other.pub.pem");
    dial(kStranger, "unit.der", "server.pub.pem");
    dial(kUnit, "changed.der", "server.pub.pem");
    // The last connection is in the file once its end is.
    QTRY_VERIFY_WITH_TIMEOUT(verdicts({}).size() == 4 &&
                                 verdicts({}).last()["cause"] != "incomplete-capture" &&
                                 verdicts({}).last()["evidence"].toArray().last() !=
                                     "the capture ends before the connection does",
                             kPatienceMs);
}

void TstCommandLineExplain::explain_namesCauseAndAdvice_data()
{
    QTest::addColumn<QStringList>("keys");
    QTest::addColumn<QStringList>("causes");
    const QString none = {};
    QTest::newRow("no keys") << QStringList{}
                             << QStringList{none, "unknown-refusal", "unknown-refusal",
                                            "unknown-refusal"};
    QTest::newRow("server's private key")
        << QStringList{"--server-key", "server.pem"}
        << QStringList{none, "wrong-server-key", "unregistered-key", "unregistered-key"};
    QTest::newRow("all keys") << QStringList{"--server-key", "server.pem", "--device-key",
                                             "unit.der"}
                              << QStringList{none, "wrong-server-key", "unregistered-key",
                                             "unregistered-key"};
    QTest::newRow("another server's key")
        << QStringList{"--server-key", "other.pub.pem"}
        << QStringList{"wrong-server-signature", "unknown-refusal", "unknown-refusal",
                       "unknown-refusal"};
    QTest::newRow("another unit's key")
        << QStringList{"--device-key", "changed.der"}
        << QStringList{"wrong-device-key", "unknown-refusal", "unknown-refusal", "unknown-refusal"};
}

void TstCommandLineExplain::explain_namesCauseAndAdvice()
{
    QFETCH(QStringList, keys);
    QFETCH(QStringList, causes);
    const auto found = verdicts(keys);
    QCOMPARE(found.size(), causes.size());
    for (qsizetype i = 0; i < causes.size(); ++i) {
        QCOMPARE(found[i]["cause"].toString(), causes[i]);
        QCOMPARE(found[i]["verdict"].toString(), causes[i].isEmpty() ? "pass" : "fail");
        QCOMPARE(found[i]["advice"].isNull(), causes[i].isEmpty());
        QVERIFY(!found[i]["evidence"].toArray().isEmpty());
    }
    const bool opened = keys.contains("server.pem");
    QCOMPARE(found[0]["device_id"].toString(), opened ? kUnit : QString());
    QCOMPARE(found[2]["device_id"].toString(), opened ? kStranger : QString());
}

void TstCommandLineExplain::explain_speaksToPeople()
{
    const auto end = m_folder.provost({"handshake", "explain", "seen.pcap", "--server-key",
                                       "server.pem", "--device-key", "unit.der"});
    QCOMPARE(end.exitCode, 1);
    QVERIFY(end.says("device → server  hello"));
    QVERIFY(end.says("PASS  1f002a000547343233323032"));
    QVERIFY(end.says("wrong-server-key · Burn this server's public key into the unit."));
    QVERIFY(end.says("the device key that was given is another one"));
}

void TstCommandLineExplain::explain_saysWhatItCannotUse()
{
    const auto nowhere = m_folder.json({"handshake", "explain", "nowhere.pcap"});
    QVERIFY(nowhere.exitCode != 0 && nowhere.says("nowhere.pcap"));
    const auto noCapture = m_folder.json({"handshake", "explain", "server.pem"});
    QVERIFY(noCapture.exitCode != 0 && noCapture.says("give a pcap or pcapng file"));
    const auto noKey =
        m_folder.json({"handshake", "explain", "seen.pcap", "--server-key", "seen.pcap"});
    QVERIFY(noKey.exitCode != 0 && noKey.says("--server-key seen.pcap"));
}

} // namespace

PROVOST_TEST("command_line_explain", TstCommandLineExplain)
#include "tst_command_line_explain.moc"
