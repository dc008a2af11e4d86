// A PKCS#11 token in a folder: SoftHSM, as a program of somebody else.
#pragma once

#include <QDir>
#include <QFile>
#include <QProcess>
#include <QString>

namespace provost::test {

constexpr const char* kSoftTokenModule = "/usr/lib/softhsm/libsofthsm2.so";
constexpr const char* kSoftTokenPin = "271828";

/// Makes the token "units". Its configuration is FOLDER/softhsm2.conf, which SOFTHSM2_CONF has to
/// name in the process that uses it.
inline bool makeSoftToken(const QString& folder)
{
    QFile configuration(folder + "/softhsm2.conf");
    if (!QDir().mkpath(folder + "/tokens") || !configuration.open(QIODevice::WriteOnly))
        return false;
    configuration.write("directories.tokendir = " + folder.toUtf8() +
                        "/tokens\nobjectstore.backend = file\nlog.level = ERROR\n");
    configuration.close();
    QProcess tool;
    auto environment = QProcessEnvironment::systemEnvironment();
    environment.insert("SOFTHSM2_CONF", configuration.fileName());
    tool.setProcessEnvironment(environment);
    tool.start("softhsm2-util", {"--init-token", "--free", "--label", "units", "--pin",
                                 kSoftTokenPin, "--so-pin", "314159"});
    return tool.waitForFinished() && tool.exitStatus() == QProcess::NormalExit &&
           tool.exitCode() == 0;
}

} // namespace provost::test
