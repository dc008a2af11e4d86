// installer/try in a copy of the tree whose builder and programs are stand-ins that write down what
// they were called with: the script decides when to build, and hands on words and exit codes.
#include "support/test_program.h"

#include <QDir>
#include <QFile>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

namespace provost::test {

namespace {

struct TryEnd {
    int exitCode = -1;
    QByteArray out;
    QByteArray err;
};

/// A copy of the script's surroundings.
class TriedTree {
public:
    TriedTree()
    {
        for (const char* folder : {"app", "stations", "drivers", "firmware-images", "db",
                                   "installer", "stubs", "elsewhere"})
            QDir(path()).mkpath(QStringLiteral("tree/") + folder);
        for (const char* file : {"CMakeLists.txt", "CMakePresets.json", "app/main.cpp"})
            write(QStringLiteral("tree/") + file, "text\n");
        script("tree/installer/ensure-packages", "echo packages \"$@\" >>" + calls());
        script("tree/stubs/cmake", "echo cmake \"$@\" >>" + calls() +
                                       "\necho talks on its standard output\n[ ! -e " +
                                       file("broken").toUtf8() + " ] || exit 1\n" +
                                       madeProgram("provost") + madeProgram("provost-station"));
        for (const char* forbidden : {"apt-get", "ninja", "sudo"})
            script(QStringLiteral("tree/stubs/") + forbidden,
                   QByteArray("echo ") + QByteArray(forbidden) + " >>" + calls());
        QFile::copy(QStringLiteral(PROVOST_SOURCE_DIR "/installer/try"),
                    file("tree/installer/try"));
    }

    QString path() const { return m_folder.path(); }
    QString file(const QString& name) const { return path() + "/" + name; }

    void write(const QString& name, const QByteArray& text) const
    {
        QFile out(file(name));
        if (!out.open(QIODevice::WriteOnly) || out.write(text) != text.size())
            qFatal("cannot write %s", qPrintable(name));
    }

    TryEnd run(const QStringList& words, const QStringList& environment = {}) const
    {
        QProcess process;
        process.setWorkingDirectory(file("tree/elsewhere"));
        process.setProcessEnvironment([&] {
            QProcessEnvironment variables;
            variables.insert("PATH", file("tree/stubs") + ":/usr/bin:/bin");
            for (const auto& each : environment)
                variables.insert(each.section('=', 0, 0), each.section('=', 1));
            return variables;
        }());
        process.start(file("tree/installer/try"), words);
        if (!process.waitForFinished(60'000))
            return {};
        return {process.exitCode(), process.readAllStandardOutput(),
                process.readAllStandardError()};
    }

    /// What was called since the last time, a call a line.
    QByteArray called() const
    {
        QFile log(file("calls"));
        const QByteArray text = log.open(QIODevice::ReadOnly) ? log.readAll() : QByteArray();
        log.close();
        log.remove();
        return text;
    }

private:
    QByteArray calls() const { return file("calls").toUtf8(); }

    void script(const QString& name, const QByteArray& body) const
    {
        write(name, "#!/bin/bash\n" + body + "\n");
        QFile::setPermissions(file(name), QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);
    }

    /// Lines that build a program, which says its words and where it stands, and ends with 5.
    QByteArray madeProgram(const QByteArray& name) const
    {
        const QByteArray target = file("tree/build/release/bin/").toUtf8() + name;
        return "mkdir -p " + file("tree/build/release/bin").toUtf8() + "\nprintf '%s\\n' " +
               "'#!/bin/bash' 'echo " + name + " \"$@\"' 'pwd' 'exit 5' >" + target +
               "\nchmod +x " + target + "\n";
    }

    QTemporaryDir m_folder;
};

const QStringList kHeadless{"--headless", "--units", "2", "--json", "--db", "mine.db"};

} // namespace

class TstInstallerTry : public QObject {
    Q_OBJECT
private Q_SLOTS:
    void firstStart_installsAndBuilds();
    void secondStart_callsNobody();
    void anyChange_buildsAgain_data();
    void anyChange_buildsAgain();
    void brokenBuild_endsThere();
    void withoutDisplay_oneSentenceBeforeAnything_data();
    void withoutDisplay_oneSentenceBeforeAnything();
    void display_startsTheDesktop();
};

void TstInstallerTry::firstStart_installsAndBuilds()
{
    const TriedTree tree;
    const auto end = tree.run(kHeadless);
    QCOMPARE(tree.called(), QByteArray("packages installer/packages-run.txt\n"
                                       "cmake --workflow --preset release\n"));
    // The builder's talk is not in the way of who reads the verdicts; files are named from where
    // the user stands; the program's exit code is the script's.
    QCOMPARE(end.out, "provost run --units 2 --json --db mine.db --simulate photon-quick --plan "
                      "photon-full\n" +
                          tree.file("tree/elsewhere").toUtf8() + "\n");
    QVERIFY2(end.err.contains("talks on its standard output"), end.err);
    QCOMPARE(end.exitCode, 5);
}

void TstInstallerTry::secondStart_callsNobody()
{
    const TriedTree tree;
    tree.run(kHeadless);
    tree.called();
    const auto end = tree.run({"--headless", "--simulate=mine", "--plan", "p1-full", "--units=4"});
    QCOMPARE(tree.called(), QByteArray());
    QVERIFY2(end.out.startsWith("provost run --simulate=mine --plan p1-full --units=4\n"), end.out);
    QCOMPARE(end.err, QByteArray());
}

void TstInstallerTry::anyChange_buildsAgain_data()
{
    QTest::addColumn<QString>("shell");
    QTest::newRow("a file written") << "touch app/main.cpp";
    QTest::newRow("a file gone") << "rm app/main.cpp";
    QTest::newRow("a file come") << "touch db/new.sql";
    QTest::newRow("a program gone") << "rm build/release/bin/provost";
    QTest::newRow("the desktop gone") << "rm build/release/bin/provost-station";
    QTest::newRow("the script") << "touch installer/try";
}

void TstInstallerTry::anyChange_buildsAgain()
{
    QFETCH(const QString, shell);
    const TriedTree tree;
    tree.run(kHeadless);
    tree.called();
    QProcess change;
    change.setWorkingDirectory(tree.file("tree"));
    change.start("/bin/sh", {"-c", "sleep 0.02; " + shell});
    QVERIFY(change.waitForFinished());
    QCOMPARE(change.exitCode(), 0);
    QCOMPARE(tree.run(kHeadless).exitCode, 5);
    QVERIFY(tree.called().contains("cmake"));
}

void TstInstallerTry::brokenBuild_endsThere()
{
    const TriedTree tree;
    tree.write("broken", "");
    const auto end = tree.run(kHeadless);
    QCOMPARE(end.exitCode, 1);
    QCOMPARE(end.out, QByteArray());
    QFile::remove(tree.file("broken"));
    tree.called();
    QCOMPARE(tree.run(kHeadless).exitCode, 5);
    QVERIFY(tree.called().contains("cmake"));
}

void TstInstallerTry::withoutDisplay_oneSentenceBeforeAnything_data()
{
    QTest::addColumn<QStringList>("environment");
    QTest::newRow("none named") << QStringList();
    QTest::newRow("empty") << QStringList{"DISPLAY="};
    QTest::newRow("left behind") << QStringList{"DISPLAY=:4711"};
    QTest::newRow("of a login that is over") << QStringList{"DISPLAY=localhost:4711.0"};
    QTest::newRow("no display's name") << QStringList{"DISPLAY=nonsense"};
}

void TstInstallerTry::withoutDisplay_oneSentenceBeforeAnything()
{
    QFETCH(const QStringList, environment);
    const TriedTree tree;
    const auto end = tree.run({}, environment);
    QCOMPARE(end.exitCode, 2);
    QCOMPARE(end.out, QByteArray());
    QCOMPARE(end.err.count('\n'), 1);
    QVERIFY2(end.err.contains("no display") && end.err.contains("--headless"), end.err);
    QCOMPARE(tree.called(), QByteArray());
}

void TstInstallerTry::display_startsTheDesktop()
{
    const TriedTree tree;
    const auto end = tree.run({"--db", "mine.db"}, {"QT_QPA_PLATFORM=offscreen"});
    QVERIFY2(end.out.startsWith("provost-station --db mine.db --simulate photon-line\n"), end.out);
    QCOMPARE(end.exitCode, 5);
    QVERIFY(tree.run({"-platform", "offscreen"}).out.startsWith("provost-station"));
}

} // namespace provost::test

PROVOST_TEST("installer_try", provost::test::TstInstallerTry)
#include "tst_installer_try.moc"
