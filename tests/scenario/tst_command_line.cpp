// The command line as a contract: help, usage, completion, images and keys.
#include "support/command_line.h"
#include "support/test_program.h"

#include <QCryptographicHash>

using namespace provost::test;

namespace {

/// The commands as the overview lists them.
QStringList commandPaths(const CommandFolder& folder)
{
    QStringList paths;
    const auto rows = folder.typed("--help").out.split('\n');
    bool listing = false;
    for (const auto& row : rows) {
        if (row == "Commands")
            listing = true;
        else if (row.isEmpty())
            listing = false;
        else if (listing)
            paths.append(QString(row).mid(2).split("  ").first());
    }
    return paths;
}

QStringList sortedKeys(const QJsonObject& object)
{
    QStringList keys = object.keys();
    keys.sort();
    return keys;
}

class TstCommandLine : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void help_explainsEveryCommandWithAnExample();
    void help_isGivenOnEveryLevel();
    void help_isAnObjectWhereJsonIsWanted();
    void completion_isAMemberOfAnObject();
    void usageErrors_exit64AndSayWhereToLook_data();
    void usageErrors_exit64AndSayWhereToLook();
    void usageErrors_areAnObjectWhereJsonIsWanted();
    void completion_offersCommandsOptionsAndFiles();
    void completion_isMadeForEveryShell();
    void inspect_saysWhatTheContractNames();
    void inspect_failsOnDamage_data();
    void inspect_failsOnDamage();
    void inspect_namesWhatItCannotRead();
};

void TstCommandLine::help_explainsEveryCommandWithAnExample()
{
    const CommandFolder folder;
    const QStringList paths = commandPaths(folder);
    for (const char* wanted : {"run", "image inspect", "keys new", "keys check", "handshake serve",
                               "handshake dial", "bench serve", "dfu list", "dfu read", "dfu write",
                               "ymodem send", "cloud serve", "db verify", "unit list", "unit show"})
        QVERIFY2(paths.contains(wanted), wanted);
    for (const QString& path : paths) {
        if (path.startsWith("help") || path.startsWith("completion") || path.startsWith("--"))
            continue;
        const auto help = folder.provost(path.split(' ') + QStringList{"--help"});
        QVERIFY2(help.exitCode == 0 && help.err.isEmpty(), qPrintable(path));
        QVERIFY2(help.out.contains(("Usage: provost " + path).toUtf8()), qPrintable(path));
        QVERIFY2(help.out.contains("\nExample\n  "), qPrintable(path));
        QVERIFY2(help.out.contains(("  provost " + path).toUtf8()), qPrintable(path));
        QVERIFY2(help.out.contains("--json"), qPrintable(path));
    }
}

void TstCommandLine::help_isGivenOnEveryLevel()
{
    const CommandFolder folder;
    QCOMPARE(folder.typed("--help").exitCode, 0);
    QCOMPARE(folder.typed("dfu --help").exitCode, 0);
    QVERIFY(folder.typed("dfu --help").out.contains("dfu read"));
    QVERIFY(!folder.typed("dfu --help").out.contains("keys new"));
    QCOMPARE(folder.typed("help dfu read").out, folder.typed("dfu read --help").out);
    QCOMPARE(folder.typed("completion --help").exitCode, 0);
    // Without a command it answers a mistake: on stderr, so that a pipe gets nothing.
    const auto nothing = folder.provost({});
    QCOMPARE(nothing.exitCode, 64);
    QVERIFY(nothing.out.isEmpty() && nothing.err.contains("Usage: provost"));
    QCOMPARE(folder.typed("dfu").exitCode, 64);
    QVERIFY(folder.typed("--version").out.startsWith("provost "));
}

void TstCommandLine::help_isAnObjectWhereJsonIsWanted()
{
    const CommandFolder folder;
    const auto all = folder.typed("help --json");
    QCOMPARE(all.exitCode, 0);
    QCOMPARE(all.lines().size(), 1);
    QCOMPARE(all.last()["event"], QJsonValue("help"));
    QVERIFY(all.last()["commands"].toArray().size() > 25);
    QCOMPARE(folder.typed("--help --json").out, all.out);
    QVERIFY(folder.typed("dfu --help --json").last()["commands"].toArray().size() >= 4);
    const auto one = folder.typed("dfu read --help --json").last();
    QCOMPARE(one["command"], QJsonValue("dfu read"));
    QCOMPARE(one["options"].toArray()[0].toObject()["name"], QJsonValue("alt"));
    QVERIFY(one["example"].toString().startsWith("provost dfu read "));
    QCOMPARE(folder.typed("help dfu read --json").last(), one);
    for (const char* command : {"completion --help --json", "help --help --json"})
        QVERIFY(!folder.typed(command).last()["example"].toString().isEmpty());
    const auto none = folder.typed("help dance --json");
    QCOMPARE(none.exitCode, 64);
    QCOMPARE(none.last()["event"], QJsonValue("error"));
    QCOMPARE(folder.typed("help --frob").exitCode, 64);
    QCOMPARE(folder.typed("--version --json").last()["event"], QJsonValue("version"));
}

void TstCommandLine::completion_isAMemberOfAnObject()
{
    const CommandFolder folder;
    for (const QString shell : {"bash", "zsh", "fish"}) {
        const auto object = folder.json({"completion", shell});
        QCOMPARE(object.exitCode, 0);
        QCOMPARE(object.last()["shell"], QJsonValue(shell));
        QCOMPARE(object.last()["script"].toString().toUtf8(),
                 folder.provost({"completion", shell}).out);
    }
    const auto wrong = folder.json({"completion", "tcsh"});
    QCOMPARE(wrong.exitCode, 64);
    QCOMPARE(wrong.last()["code"], QJsonValue("usage"));
}

void TstCommandLine::usageErrors_exit64AndSayWhereToLook_data()
{
    QTest::addColumn<QString>("words");
    QTest::addColumn<QString>("message");
    QTest::newRow("no such command") << "frobnicate" << "no command \"frobnicate\"";
    QTest::newRow("no such command of a group") << "dfu frob" << "no command \"dfu frob\"";
    QTest::newRow("no such option") << "run --frob" << "unknown option --frob";
    QTest::newRow("single dash") << "run -x" << "unknown option -x";
    QTest::newRow("no value") << "run --units" << "option --units needs N";
    QTest::newRow("option for value") << "run --units --slot 1" << "option --units needs N";
    QTest::newRow("empty value") << "run --db=" << "option --db: FILE is empty";
    QTest::newRow("value of a flag") << "run --json=yes" << "option --json takes no value";
    QTest::newRow("given twice") << "run --slot 1 --slot 2" << "option --slot is given twice";
    QTest::newRow("not a number") << "run --simulate photon-quick --units many" << "--units many";
    QTest::newRow("nobody") << "run --simulate photon-quick --units 0" << "--units 0";
    QTest::newRow("no such slot") << "run --simulate photon-quick --slot 9" << "slots 1 to 8";
    QTest::newRow("no such speed") << "run --simulate photon-quick --speed x" << "--speed x";
    QTest::newRow("nothing to run on") << "run" << "--simulate";
    QTest::newRow("too many words") << "unit show a b" << "unexpected argument \"b\"";
    QTest::newRow("no file") << "image inspect" << "expected FILE";
    QTest::newRow("no address") << "dfu read d --alt 0 --length 1 -o f" << "--address HEX";
    QTest::newRow("no length") << "dfu read d --alt 0 --address 0 -o f" << "--length N";
    QTest::newRow("too long") << "dfu read d --alt 0 --address 0 --length 2097153 -o f"
                              << "must be 1 to 2097152";
    QTest::newRow("not an address") << "dfu read d --alt 0 --address xyz --length 1 -o f"
                                    << "hexadecimal";
    QTest::newRow("not a device") << "dfu read d --alt 0 --address 0 --length 1 -o f"
                                  << "usb:BUS-PORT";
    QTest::newRow("not a port") << "cloud serve --listen here --data d" << "HOST:PORT";
    QTest::newRow("no such platform") << "keys new --platform zork --out k --clear-key" << "zork";
    QTest::newRow("no such shell") << "completion tcsh" << "bash, zsh or fish";
}

void TstCommandLine::usageErrors_exit64AndSayWhereToLook()
{
    QFETCH(const QString, words);
    QFETCH(const QString, message);
    const CommandFolder folder;
    const auto ran = folder.provost(words.split(' '));
    QCOMPARE(ran.exitCode, 64);
    QVERIFY2(ran.out.isEmpty(), ran.out);
    QVERIFY2(ran.err.contains(message.toUtf8()), ran.err);
}

void TstCommandLine::usageErrors_areAnObjectWhereJsonIsWanted()
{
    const CommandFolder folder;
    const auto ran = folder.typed("run --frob --json");
    QCOMPARE(ran.exitCode, 64);
    QCOMPARE(ran.last()["event"], QJsonValue("error"));
    QCOMPARE(ran.last()["code"], QJsonValue("usage"));
    QCOMPARE(ran.last()["cause"], QJsonValue("C043"));
    // What works one device knows no station, and none of its causes.
    const auto device = folder.typed("dfu list --frob --json");
    QCOMPARE(device.exitCode, 64);
    QCOMPARE(device.last()["cause"], QJsonValue(QJsonValue::Null));
}

void TstCommandLine::completion_offersCommandsOptionsAndFiles()
{
    const CommandFolder folder;
    QVERIFY(folder.write("image.bin", "x"));
    const auto offers = [&](const QString& words) {
        const QStringList typed = words.split(' ');
        const auto ran = folder.run(
            "bash", {"-c", QString("source <(provost completion bash); COMP_WORDS=(%1 %2); "
                                   "COMP_CWORD=%3; _provost; echo \"${COMPREPLY[@]}\"")
                               .arg(typed.mid(0, typed.size() - 1).join(' '))
                               .arg(typed.last().isEmpty() ? "''" : typed.last())
                               .arg(typed.size() - 1)});
        return QString(ran.out).trimmed().split(' ');
    };
    QCOMPARE(offers("provost im"), QStringList{"image"});
    QVERIFY(offers("provost ").contains("handshake"));
    QCOMPARE(offers("provost dfu r"), QStringList{"read"});
    QCOMPARE(offers("provost keys new --pl"), QStringList{"--platform"});
    QVERIFY(offers("provost run --").contains("--simulate"));
    QCOMPARE(offers("provost image inspect im"), QStringList{"image.bin"});
    QCOMPARE(offers("provost completion z"), QStringList{"zsh"});
}

void TstCommandLine::completion_isMadeForEveryShell()
{
    const CommandFolder folder;
    QCOMPARE(folder.run("bash", {"-n", "-c", folder.typed("completion bash").out}).exitCode, 0);
    QVERIFY(folder.typed("completion zsh").out.contains("bashcompinit"));
    const auto fish = folder.typed("completion fish").out.split('\n');
    QVERIFY(fish.size() > 20);
    for (const auto& row : fish)
        QVERIFY2(row.isEmpty() || row.startsWith("complete -c provost -n "), row);
    QVERIFY(folder.typed("completion fish").out.contains("-a 'dial explain serve'"));
}

void TstCommandLine::inspect_saysWhatTheContractNames()
{
    const CommandFolder folder;
    const QString file = demoImage("photon-2.3.1-system-2-demo.bin");
    const auto ran = folder.json({"image", "inspect", file});
    QCOMPARE(ran.exitCode, 0);
    QCOMPARE(ran.lines().size(), 1);
    const QJsonObject said = ran.last();
    QFile image(file);
    QVERIFY(image.open(QIODevice::ReadOnly));
    const QByteArray content = image.readAll();
    QCOMPARE(said["file"].toString(), file);
    QCOMPARE(said["size"].toInteger(), content.size());
    QCOMPARE(said["sha256"].toString(),
             QString(QCryptographicHash::hash(content, QCryptographicHash::Sha256).toHex()));
    QCOMPARE(said["platform"].toObject(), (QJsonObject{{"id", 6}, {"name", "photon"}}));
    QCOMPARE(said["function"].toString(), "system-part");
    QCOMPARE(said["index"].toInt(), 2);
    QVERIFY(said["version"].toInt() > 0);
    QCOMPARE(said["start"].toInteger(), 0x08060000);
    QVERIFY(said["end"].toInteger() > said["start"].toInteger());
    QCOMPARE(sortedKeys(said["dependencies"].toArray()[0].toObject()),
             (QStringList{"function", "index", "version"}));
    QCOMPARE(sortedKeys(said["product"].toObject()), (QStringList{"id", "version"}));
    const QJsonObject crc = said["crc"].toObject();
    QCOMPARE(crc["ok"], QJsonValue(true));
    QCOMPARE(crc["stored"], crc["computed"]);
}

void TstCommandLine::inspect_failsOnDamage_data()
{
    QTest::addColumn<QByteArray>("content");
    QFile image(demoImage("photon-2.3.1-user-demo.bin"));
    QVERIFY(image.open(QIODevice::ReadOnly));
    const QByteArray good = image.readAll();
    QByteArray flipped = good;
    flipped[5000] = static_cast<char>(flipped[5000] ^ 1);
    QTest::newRow("one bit") << flipped;
    QTest::newRow("cut off") << good.left(1000);
    QTest::newRow("empty") << QByteArray();
    QTest::newRow("zeros") << QByteArray(4096, '\0');
    QTest::newRow("ones") << QByteArray(4096, '\xFF');
    QTest::newRow("text") << QByteArray("root:x:0:0:root:/root:/bin/bash\n").repeated(40);
    QByteArray huge = good; // the header's end address far beyond everything
    huge.replace(4, 4, QByteArray("\xF0\xFF\xFF\xFF", 4));
    QTest::newRow("hostile length") << huge;
}

void TstCommandLine::inspect_failsOnDamage()
{
    QFETCH(const QByteArray, content);
    const CommandFolder folder;
    QVERIFY(folder.write("image.bin", content));
    const auto ran = folder.json({"image", "inspect", "image.bin"});
    QCOMPARE(ran.exitCode, 1);
    QCOMPARE(ran.lines().size(), 1);
    const bool isModule = ran.last()["event"] != "error";
    QVERIFY(!isModule || !ran.last()["crc"].toObject()["ok"].toBool());
    QCOMPARE(folder.typed("image inspect image.bin").exitCode, 1);
}

void TstCommandLine::inspect_namesWhatItCannotRead()
{
    const CommandFolder folder;
    const auto missing = folder.json({"image", "inspect", "nowhere.bin"});
    QCOMPARE(missing.exitCode, 2);
    QCOMPARE(missing.last()["code"], QJsonValue("not-found"));
    QVERIFY(missing.err.contains("nowhere.bin"));
    QCOMPARE(folder.provost({"image", "inspect", folder.path("")}).exitCode, 2);
    // A name that could draw on the terminal is shown, not obeyed.
    QVERIFY(!folder.provost({"image", "inspect", "\x1B[2Jno"}).err.contains('\x1B'));
}

} // namespace

PROVOST_TEST("command_line", TstCommandLine)
#include "tst_command_line.moc"
