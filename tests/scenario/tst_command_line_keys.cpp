// `keys` as a contract: storage, encodings, and agreement with the firmware's own reader.
#include "support/command_line.h"
#include "support/test_program.h"

#include <QCryptographicHash>

using namespace provost::test;

namespace {

constexpr auto kOwnerOnly =
    QFile::ReadOwner | QFile::WriteOwner | QFile::ReadUser | QFile::WriteUser;

QJsonArray keyShapes()
{
    QFile file(PROVOST_TEST_DATA "/handshake-vectors.json");
    if (!file.open(QIODevice::ReadOnly))
        return {};
    return QJsonDocument::fromJson(file.readAll())["keyShapes"].toArray();
}

QByteArray derOf(const QString& shape)
{
    const auto shapes = keyShapes();
    for (const auto& each : shapes)
        if (each.toObject()["name"] == shape)
            return QByteArray::fromHex(each.toObject()["der"].toString().toLatin1());
    return {};
}

QByteArray pem(const QByteArray& label, const QByteArray& der)
{
    const QByteArray base64 = der.toBase64();
    QByteArray text = "-----BEGIN " + label + "-----\n";
    for (qsizetype at = 0; at < base64.size(); at += 64)
        text += base64.mid(at, 64) + "\n";
    return text + "-----END " + label + "-----\n";
}

class TstCommandLineKeys : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void newKey_isForItsOwnerAndReadByOpenssl();
    void newKey_needsAWordAboutItsStorage();
    void newKey_neverOverwrites();
    void newKey_refusesPlatformsItDoesNotServe();
    void encryptedKey_opensWithItsPassphraseOnly();
    void encryptedKey_takesThePassphraseFromTheTerminal();
    void check_agreesWithFirmware_data();
    void check_agreesWithFirmware();
    void check_tellsEncodingsApart_data();
    void check_tellsEncodingsApart();
    void electronKey_isWrittenAndChecked();
    void escrowedKey_opensWithTheEscrowKeyOnly();
    void convert_curesWhatCheckCallsCurable();
    void check_knowsServerFiles();
    void check_knowsFirmwareRanges();
    void audit_findsWhatIsPlantedInARegistry();
    void audit_readsTheDatabaseOfALine();
    void station_besideItsOwnEscrowKeyIsRefused();
    void station_withoutLockedMemoryIsRefused();
};

void TstCommandLineKeys::newKey_isForItsOwnerAndReadByOpenssl()
{
    const CommandFolder folder;
    const auto made =
        folder.json({"keys", "new", "--platform", "photon", "--out", "unit.der", "--clear-key"});
    QCOMPARE(made.exitCode, 0);
    QCOMPARE(folder.permissions("unit.der"), kOwnerOnly);
    const QByteArray der = folder.read("unit.der");
    QCOMPARE(der.size(), 611);
    QVERIFY(!made.says(der.toBase64().mid(40, 40)) && !made.says(der.toHex().mid(60, 40)));
    const auto derived = folder.run(
        "openssl", {"rsa", "-inform", "DER", "-in", "unit.der", "-pubout", "-outform", "PEM"});
    QCOMPARE(derived.out, folder.read("unit.der.pub.pem"));
    const auto spki = folder.run(
        "openssl", {"rsa", "-inform", "DER", "-in", "unit.der", "-pubout", "-outform", "DER"});
    const QString fingerprint =
        QCryptographicHash::hash(spki.out, QCryptographicHash::Sha256).toHex();
    QCOMPARE(made.last()["fingerprint"].toString(), fingerprint);
    const auto checked = folder.json({"keys", "check", "unit.der", "--platform", "6"});
    QCOMPARE(checked.exitCode, 0);
    QCOMPARE(checked.last(), (QJsonObject{{"readable", true},
                                          {"reason", QJsonValue::Null},
                                          {"encoding", "pkcs1"},
                                          {"bits", 1024},
                                          {"length", 611},
                                          {"fingerprint", fingerprint},
                                          {"cure", QJsonValue::Null}}));
}

void TstCommandLineKeys::newKey_needsAWordAboutItsStorage()
{
    const CommandFolder folder;
    const auto ran = folder.typed("keys new --platform photon --out unit.der");
    QCOMPARE(ran.exitCode, 4);
    QVERIFY(ran.err.contains("--clear-key") && ran.err.contains("--encrypt"));
    QCOMPARE(
        folder.typed("keys new --platform photon --out unit.der --clear-key --encrypt").exitCode,
        64);
    QVERIFY(!folder.exists("unit.der") && !folder.exists("unit.der.pub.pem"));
}

void TstCommandLineKeys::newKey_neverOverwrites()
{
    const CommandFolder folder;
    QVERIFY(folder.write("a.der", "precious"));
    QVERIFY(folder.write("b.der.pub.pem", "precious"));
    QCOMPARE(folder.typed("keys new --platform photon --out a.der --clear-key").exitCode, 4);
    QCOMPARE(folder.typed("keys new --platform photon --out b.der --clear-key").exitCode, 4);
    QCOMPARE(folder.read("a.der"), QByteArray("precious"));
    QCOMPARE(folder.read("b.der.pub.pem"), QByteArray("precious"));
    QVERIFY(!folder.exists("a.der.pub.pem") && !folder.exists("b.der"));
    QCOMPARE(folder.typed("keys new --platform photon --out no/where.der --clear-key").exitCode, 2);
}

void TstCommandLineKeys::newKey_refusesPlatformsItDoesNotServe()
{
    const CommandFolder folder;
    for (const char* platform : {"argon", "12"})
        QCOMPARE(
            folder.provost({"keys", "new", "--platform", platform, "--out", "k", "--clear-key"})
                .exitCode,
            2);
    QVERIFY(!folder.exists("k"));
}

void TstCommandLineKeys::encryptedKey_opensWithItsPassphraseOnly()
{
    const CommandFolder folder;
    QVERIFY(folder.write("words", "correct horse\n"));
    const auto made =
        folder.typed("keys new --platform photon --out unit.pem --encrypt --passphrase-file words");
    QVERIFY2(made.exitCode == 0, made.err);
    QVERIFY(!made.says("correct"));
    QCOMPARE(folder.permissions("unit.pem"), kOwnerOnly);
    QVERIFY(folder.read("unit.pem").startsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    const QStringList open{"pkey", "-in", "unit.pem", "-pubout", "-passin"};
    QCOMPARE(folder.run("openssl", open + QStringList{"pass:correct horse"}).out,
             folder.read("unit.pem.pub.pem"));
    QVERIFY(folder.run("openssl", open + QStringList{"pass:wrong"}).exitCode != 0);
    const auto checked = folder.json({"keys", "check", "unit.pem", "--platform", "photon"});
    QCOMPARE(checked.exitCode, 1);
    QVERIFY(checked.last()["reason"].toString().contains("passphrase"));
    QCOMPARE(checked.last()["bits"], QJsonValue(QJsonValue::Null));
    QVERIFY(folder.write("empty", "\n"));
    QCOMPARE(
        folder.typed("keys new --platform photon --out k.pem --passphrase-file empty").exitCode,
        64);
}

void TstCommandLineKeys::encryptedKey_takesThePassphraseFromTheTerminal()
{
    const CommandFolder folder;
    QProcess terminal; // script(1) is the terminal
    folder.prepare(terminal);
    terminal.start("script", {"-qec", "provost keys new --platform photon --out unit.pem --encrypt",
                              "/dev/null"});
    QByteArray seen;
    for (const char* prompt : {"Passphrase: ", "Once more: "}) {
        QTRY_VERIFY_WITH_TIMEOUT((seen += terminal.readAll()).contains(prompt), kPatienceMs);
        terminal.write("typed words\r");
    }
    const auto ended = CommandFolder::ended(terminal);
    QCOMPARE(ended.exitCode, 0);
    QVERIFY2(!(seen + ended.out).contains("typed words"), seen + ended.out);
    QCOMPARE(
        folder.run("openssl", {"pkey", "-in", "unit.pem", "-noout", "-passin", "pass:typed words"})
            .exitCode,
        0);
    const auto nowhere = folder.run(
        "setsid", {"-w", "provost", "keys", "new", "--platform", "6", "--out", "x", "--encrypt"});
    QCOMPARE(nowhere.exitCode, 2);
    QVERIFY(nowhere.err.contains("--passphrase-file"));
}

void TstCommandLineKeys::check_agreesWithFirmware_data()
{
    QTest::addColumn<QJsonObject>("shape");
    const auto shapes = keyShapes();
    for (const auto& each : shapes)
        QTest::newRow(qPrintable(each.toObject()["name"].toString())) << each.toObject();
}

void TstCommandLineKeys::check_agreesWithFirmware()
{
    QFETCH(const QJsonObject, shape);
    const CommandFolder folder;
    const QByteArray der = QByteArray::fromHex(shape["der"].toString().toLatin1());
    QVERIFY(folder.write("key.der", der));
    const auto ran = folder.json({"keys", "check", "key.der", "--platform", "photon"});
    const bool good = shape["deviceCompatible"].toBool();
    QCOMPARE(ran.exitCode, good ? 0 : 1);
    QCOMPARE(ran.last()["readable"].toBool(), good);
    QCOMPARE(ran.last()["reason"].isNull(), good);
    QCOMPARE(ran.last()["length"].toInteger(), der.size());
    QCOMPARE(ran.last()["encoding"].toString(), "pkcs1");
    const auto spki = QByteArray::fromHex(shape["publicSpkiDer"].toString().toLatin1());
    if (good)
        QCOMPARE(ran.last()["fingerprint"].toString(),
                 QString(QCryptographicHash::hash(spki, QCryptographicHash::Sha256).toHex()));
}

void TstCommandLineKeys::check_tellsEncodingsApart_data()
{
    QTest::addColumn<QString>("make"); ///< shell words that write the file to stdout
    QTest::addColumn<QString>("encoding");
    QTest::addColumn<int>("exitCode");
    const QString key = "openssl rsa -inform DER -in good.der 2>/dev/null";
    QTest::newRow("pkcs1 in PEM") << "cat good.pem" << "pkcs1" << 0;
    QTest::newRow("pkcs1 behind other text") << "echo label; cat good.pem" << "pkcs1" << 0;
    QTest::newRow("pkcs8 in PEM") << key << "pkcs8" << 1;
    QTest::newRow("pkcs8 in DER")
        << "openssl pkcs8 -topk8 -nocrypt -inform DER -in good.der -outform DER" << "pkcs8" << 1;
    QTest::newRow("encrypted") << key + " -aes128 -passout pass:words" << "pkcs8" << 1;
    QTest::newRow("public") << key + " -pubout" << "spki" << 1;
    QTest::newRow("EC") << "openssl ecparam -name prime256v1 -genkey -noout -outform DER" << "sec1"
                        << 1;
    QTest::newRow("RSA-2048") << "openssl genrsa -traditional 2048 2>/dev/null" << "pkcs1" << 1;
    QTest::newRow("cut off") << "head -c 300 good.der" << "pkcs1" << 1;
    QTest::newRow("blank slot") << "head -c 612 /dev/zero | tr '\\0' '\\377'" << "blank" << 1;
    QTest::newRow("something else") << "head -c 700 /bin/true" << "unknown" << 1;
    QTest::newRow("PEM without end") << "head -3 good.pem" << "unknown" << 1;
}

void TstCommandLineKeys::check_tellsEncodingsApart()
{
    QFETCH(const QString, make);
    QFETCH(const QString, encoding);
    QFETCH(const int, exitCode);
    const CommandFolder folder;
    const QByteArray good = derOf("minimal-611");
    QVERIFY(folder.write("good.der", good));
    QVERIFY(folder.write("good.pem", pem("RSA PRIVATE KEY", good)));
    QVERIFY(folder.write("key", folder.run("bash", {"-c", make}).out));
    const auto ran = folder.json({"keys", "check", "key", "--platform", "photon"});
    QCOMPARE(ran.last()["encoding"].toString(), encoding);
    QCOMPARE(ran.exitCode, exitCode);
    QVERIFY(!ran.says(good.toBase64().mid(200, 24)) && !ran.says(good.toHex().mid(300, 24)));
}

void TstCommandLineKeys::electronKey_isWrittenAndChecked()
{
    const CommandFolder folder;
    const auto made =
        folder.json({"keys", "new", "--platform", "electron", "--out", "unit.der", "--clear-key"});
    QVERIFY2(made.exitCode == 0, made.err);
    QCOMPARE(made.last()["encoding"].toString(), "sec1");
    QCOMPARE(folder.read("unit.der").size(), 121);
    QCOMPARE(folder.permissions("unit.der"), kOwnerOnly);
    QCOMPARE(folder.run("openssl", {"ec", "-inform", "DER", "-in", "unit.der", "-pubout"}).out,
             folder.read("unit.der.pub.pem"));
    const auto checked = folder.json({"keys", "check", "unit.der", "--platform", "10"});
    QCOMPARE(checked.exitCode, 0);
    QCOMPARE(checked.last()["fingerprint"], made.last()["fingerprint"]);
    QCOMPARE(checked.last()["bits"].toInt(), 256);
    for (const QStringList& other :
         {QStringList{"photon"}, QStringList{"electron", "--protocol", "tcp"}})
        QCOMPARE(
            folder.json(QStringList{"keys", "check", "unit.der", "--platform"} + other).exitCode,
            1);
    QCOMPARE(folder.typed("keys check unit.der --platform photon --protocol udp").exitCode, 2);
}

void TstCommandLineKeys::escrowedKey_opensWithTheEscrowKeyOnly()
{
    const CommandFolder folder;
    for (const QString name : {"escrow", "other"})
        QCOMPARE(folder
                     .run("openssl", {"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
                                      name + ".key", "-out", name + ".pem", "-days", "2", "-subj",
                                      "/CN=" + name, "-batch"})
                     .exitCode,
                 0);
    const auto made = folder.typed("keys new --platform photon --out unit.cms --escrow escrow.pem");
    QVERIFY2(made.exitCode == 0, made.err);
    QCOMPARE(folder.permissions("unit.cms"), kOwnerOnly);
    const QStringList open{"cms", "-decrypt", "-inform", "DER", "-binary", "-in", "unit.cms"};
    const auto opened = folder.run("openssl", open + QStringList{"-inkey", "escrow.key"});
    QCOMPARE(opened.out.size(), 611);
    QCOMPARE(folder.run("openssl", {"rsa", "-inform", "DER", "-pubout"}, opened.out).out,
             folder.read("unit.cms.pub.pem"));
    const auto wrong =
        folder.run("openssl", open + QStringList{"-inkey", "other.key", "-recip", "other.pem"});
    QVERIFY(wrong.exitCode != 0 || wrong.out != opened.out);
    QCOMPARE(folder.typed("keys new --platform photon --out b.cms --escrow escrow.key").exitCode,
             2); // no certificate
    QVERIFY(!folder.exists("b.cms"));
}

void TstCommandLineKeys::convert_curesWhatCheckCallsCurable()
{
    const CommandFolder folder;
    QVERIFY(folder.write("short.der", derOf("short-DP")));
    const auto sick = folder.json({"keys", "check", "short.der", "--platform", "photon"});
    QCOMPARE(sick.exitCode, 1);
    QVERIFY(sick.last()["cure"].toString().contains("keys convert"));
    QCOMPARE(folder.typed("keys convert short.der --platform photon --out good.der").exitCode, 4);
    const auto cured =
        folder.typed("keys convert short.der --platform photon --out good.der --clear-key");
    QVERIFY2(cured.exitCode == 0, cured.err);
    QCOMPARE(folder.permissions("good.der"), kOwnerOnly);
    QCOMPARE(folder.json({"keys", "check", "good.der", "--platform", "photon"}).exitCode, 0);
    const auto numbers = [&](const QString& file) {
        return folder.run("openssl", {"rsa", "-inform", "DER", "-in", file, "-noout", "-text"}).out;
    };
    QVERIFY(!numbers("good.der").isEmpty());
    QCOMPARE(numbers("good.der"), numbers("short.der"));

    QVERIFY(folder.write("words", "correct horse\n"));
    QCOMPARE(folder
                 .run("openssl", {"rsa", "-inform", "DER", "-in", "short.der", "-aes256", "-out",
                                  "sealed.pem", "-passout", "pass:correct horse"})
                 .exitCode,
             0);
    const auto opened = folder.typed("keys convert sealed.pem --platform photon --open-with words "
                                     "--out again.der --clear-key");
    QVERIFY2(opened.exitCode == 0, opened.err);
    QCOMPARE(folder.read("again.der"), folder.read("good.der"));
    QCOMPARE(folder.typed("keys convert sealed.pem --platform photon --out x --clear-key").exitCode,
             4);
    QCOMPARE(
        folder.typed("keys convert short.der --platform electron --out x --clear-key").exitCode, 2);
    QVERIFY(!folder.exists("x"));
}

void TstCommandLineKeys::check_knowsServerFiles()
{
    const CommandFolder folder;
    QVERIFY(folder.run("openssl", {"genrsa", "-out", "server.pem", "2048"}).exitCode == 0);
    const auto key =
        folder.run("openssl", {"rsa", "-in", "server.pem", "-pubout", "-outform", "DER"}).out;
    QCOMPARE(key.size(), 294);
    const QByteArray record("\x01\x0f"
                            "device.spark.io\0",
                            18);
    QVERIFY(folder.write("cloud.der", key + QByteArray(90, '\xFF') + record));
    QCOMPARE(folder.read("cloud.der").size(), 402);
    const auto server =
        folder.json({"keys", "check", "cloud.der", "--platform", "photon", "--server"});
    QCOMPARE(server.exitCode, 0);
    QCOMPARE(server.last()["address"].toObject()["host"].toString(), "device.spark.io");
    const auto unit = folder.json({"keys", "check", "cloud.der", "--platform", "photon"});
    QCOMPARE(unit.exitCode, 1);
    QVERIFY(unit.last()["reason"].toString().contains("--server"));
    QCOMPARE(
        folder.json({"keys", "check", "cloud.der", "--platform", "electron", "--server"}).exitCode,
        1);
}

void TstCommandLineKeys::check_knowsFirmwareRanges()
{
    const CommandFolder folder;
    QVERIFY(folder.write("blank", QByteArray(612, '\xFF')));
    const auto reason = [&](const char* firmware) {
        return folder
            .json({"keys", "check", "blank", "--platform", "photon", "--firmware", firmware})
            .last()["reason"]
            .toString();
    };
    QVERIFY(reason("0.4.5").contains("0.4.0 to 0.4.7"));
    QVERIFY(!reason("1.5.2").isEmpty() && !reason("1.5.2").contains("0.4.7"));
    QCOMPARE(folder.typed("keys check blank --platform photon --firmware new").exitCode, 64);
}

void TstCommandLineKeys::audit_findsWhatIsPlantedInARegistry()
{
    const CommandFolder folder;
    const auto id = [](int number) { return QString("%1").arg(number, 24, 16, QChar('0')); };
    for (const char* place : {"registry", "elsewhere"})
        QVERIFY(QDir(folder.path(".")).mkdir(place));
    const auto put = [&](const QString& place, int number, const QByteArray& key) {
        return folder.write(place + "/" + id(number) + ".pub.pem", key);
    };
    QList<QByteArray> keys;
    for (int i = 0; i < 6; ++i) {
        const auto made = folder.run("bash", {"-c", "openssl genrsa 1024 | openssl rsa -pubout"});
        keys.append(made.out);
        QVERIFY(put("registry", i, keys.last()));
    }
    const auto clean = folder.json({"keys", "audit", "registry"});
    QVERIFY2(clean.exitCode == 0, clean.out + clean.err);
    QCOMPARE(clean.last()["keys"].toInt(), 6);
    QCOMPARE(clean.last()["units"].toInt(), 6);

    QVERIFY(put("registry", 7, keys[1]));             // a twin
    QVERIFY(put("elsewhere", 2, keys[2]));            // the same in two places is no finding
    QVERIFY(put("elsewhere", 3, keys[3].mid(0, 90))); // damaged, and so another key for the id
    QVERIFY(folder.write("elsewhere/notes.txt", "not a key"));
    const auto ran = folder.json({"keys", "audit", "registry", "elsewhere"});
    QCOMPARE(ran.exitCode, 1);
    const auto lines = ran.lines();
    QCOMPARE(lines.size(), 4);
    QCOMPARE(lines[0]["kind"].toString(), "duplicate-key");
    QCOMPARE(lines[0]["units"].toArray(), (QJsonArray{id(1), id(7)}));
    QCOMPARE(lines[1]["kind"].toString(), "duplicate-id");
    QCOMPARE(lines[1]["units"].toArray(), QJsonArray{id(3)});
    QCOMPARE(lines[2]["kind"].toString(), "damaged-key");
    QCOMPARE(lines[3]["duplicate_keys"].toInt(), 1);
    QCOMPARE(lines[3]["shared_primes"].toInt(), 0);
    QCOMPARE(folder.json({"keys", "audit", "nowhere.db"}).exitCode, 2);
}

void TstCommandLineKeys::audit_readsTheDatabaseOfALine()
{
    const CommandFolder folder;
    const auto ran = folder.json({"run", "--simulate", "photon-quick", "--units", "2", "--speed",
                                  "instant", "--db", "line.db"});
    QVERIFY2(ran.exitCode == 0, ran.err);
    const auto audited = folder.json({"keys", "audit", "line.db", "line-cloud"});
    QVERIFY2(audited.exitCode == 0, audited.out + audited.err);
    QCOMPARE(audited.last()["units"].toInt(), 2);
    QCOMPARE(audited.last()["keys"].toInt(), 4); // on record and in the cloud's registry
    QCOMPARE(audited.last()["open_custody"].toInt(), 0);
}

/// A real line at a port where nothing is plugged in.
bool writeStation(const CommandFolder& folder)
{
    return folder.write("station.toml", "[station]\nname = \"A\"\n"
                                        "escrow_certificate = \"escrow.pem\"\n"
                                        "[[slot]]\nnumber = 1\nusb = \"250-9\"\n"
                                        "[network]\nssid = \"n\"\n"
                                        "[handshake]\nhost = \"127.0.0.1\"\nport = 0\n") &&
           folder.run("openssl",
                      {"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "escrow.key",
                       "-out", "escrow.pem", "-days", "2", "-subj", "/CN=escrow", "-batch"})
                   .exitCode == 0;
}

void TstCommandLineKeys::station_besideItsOwnEscrowKeyIsRefused()
{
    const CommandFolder folder;
    QVERIFY(writeStation(folder));
    const auto ran = folder.json({"run", "--station", "station.toml", "--db", "x.db"});
    QCOMPARE(ran.exitCode, 4);
    QVERIFY2(ran.err.contains("escrow.key") && ran.err.contains("C053"), ran.err);
    QVERIFY(!ran.says("PRIVATE KEY"));
}

void TstCommandLineKeys::station_withoutLockedMemoryIsRefused()
{
    const CommandFolder folder;
    QVERIFY(writeStation(folder));
    const auto ran = folder.run(
        "bash", {"-c", "ulimit -l 0; exec setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock "
                       "provost run --station station.toml --db x.db"});
    if (ran.err.contains("setpriv"))
        QSKIP("this user cannot give up capabilities");
    QCOMPARE(ran.exitCode, 4);
    QVERIFY2(ran.err.contains("ulimit -l") && ran.err.contains("C055"), ran.err);
    QVERIFY(ran.err.contains("--training"));
}

} // namespace

PROVOST_TEST("command_line_keys", TstCommandLineKeys)
#include "tst_command_line_keys.moc"
