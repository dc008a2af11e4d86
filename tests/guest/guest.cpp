#include "guest/guest.h"

#include <QElapsedTimer>
#include <QFile>
#include <stdexcept>

namespace provost::test {

namespace {

constexpr std::chrono::minutes kPacking{2};
constexpr qsizetype kConsoleTail = 4000;

} // namespace

Guest::Guest(const QStringList& programs)
{
    const auto packed =
        runProgram({.program = PROVOST_GUEST_FOLDER "/make_initramfs.sh",
                    .arguments = QStringList{m_folder.path(), PROVOST_VHCI_ATTACH} + programs,
                    .patience = kPacking});
    if (packed.exitCode != 0)
        give("make the guest's initramfs: " + packed.output);
    start();
}

Guest::~Guest()
{
    m_machine.kill();
    m_machine.waitForFinished();
}

void Guest::start()
{
    QElapsedTimer since;
    since.start();
    m_machine.setProcessChannelMode(QProcess::SeparateChannels);
    m_machine.start("qemu-system-x86_64",
                    {"-accel",
                     "tcg,thread=multi",
                     "-cpu",
                     "max",
                     "-smp",
                     "2",
                     "-m",
                     "768",
                     "-display",
                     "none",
                     "-nodefaults",
                     "-no-user-config",
                     "-no-reboot",
                     "-kernel",
                     m_folder.filePath("vmlinux"),
                     "-initrd",
                     m_folder.filePath("initramfs"),
                     "-append",
                     "console=ttyS0 panic=-1 mitigations=off nokaslr tsc=unstable",
                     "-nic",
                     "user,model=virtio-net-pci",
                     "-serial",
                     "file:" + m_folder.filePath("console"),
                     "-serial",
                     "stdio"});
    if (!m_machine.waitForStarted())
        give("start qemu-system-x86_64: " + m_machine.errorString() +
             "; run installer/ensure-packages installer/packages-test.txt");
    while (line(kPatience) != "ready") {
    }
    m_bootTime = std::chrono::milliseconds(since.elapsed());
}

ProgramEnd Guest::run(const QString& command, std::chrono::milliseconds patience)
{
    m_machine.write(command.toUtf8() + '\n');
    const QList<QByteArray> head = line(patience).split(' ');
    if (head.size() != 3 || head[0] != "exit")
        give("run \"" + command + "\": the guest answered \"" + head.join(' ') + '"');
    return {.exitCode = head[1].toInt(),
            .output = QString::fromUtf8(take(head[2].toLongLong(), patience))};
}

ProgramEnd Guest::until(const QString& command)
{
    QElapsedTimer since;
    since.start();
    while (true) {
        auto end = run(command);
        if (end.exitCode == 0)
            return end;
        if (since.hasExpired(kPatience.count()))
            give("wait until \"" + command + "\" succeeds: " + end.output);
    }
}

void Guest::plugIn(std::uint16_t server, int first, const QStringList& busIds)
{
    const auto end = run(QStringLiteral("vhci-attach 10.0.2.2 %1 %2 %3 >/dev/null 2>&1 &")
                             .arg(server)
                             .arg(first)
                             .arg(busIds.join(' ')));
    if (end.exitCode != 0)
        give("start vhci-attach: " + end.output);
}

QString Guest::console() const
{
    QFile file(m_folder.filePath("console"));
    return file.open(QIODevice::ReadOnly) ? QString::fromUtf8(file.readAll()) : QString();
}

QByteArray Guest::line(std::chrono::milliseconds patience)
{
    QElapsedTimer since;
    since.start();
    while (!m_received.contains('\n')) {
        const auto left = patience - std::chrono::milliseconds(since.elapsed());
        if (left.count() <= 0 || !m_machine.waitForReadyRead(static_cast<int>(left.count())))
            give("wait for an answer of the guest: " +
                 (m_machine.state() == QProcess::Running
                      ? QStringLiteral("none within %1 s").arg(patience.count() / 1000)
                      : "qemu ended, " + QString::fromUtf8(m_machine.readAllStandardError())));
        m_received += m_machine.readAllStandardOutput();
    }
    const auto end = m_received.indexOf('\n');
    const QByteArray text = m_received.first(end);
    m_received.remove(0, end + 1);
    return text;
}

QByteArray Guest::take(qint64 size, std::chrono::milliseconds patience)
{
    while (m_received.size() < size) {
        if (!m_machine.waitForReadyRead(static_cast<int>(patience.count())))
            give("read the output of a command in the guest: it broke off");
        m_received += m_machine.readAllStandardOutput();
    }
    const QByteArray bytes = m_received.first(size);
    m_received.remove(0, size);
    return bytes;
}

void Guest::give(const QString& reason) const
{
    const QString text = reason + "\n--- console\n" + console().right(kConsoleTail);
    qWarning().noquote() << text;
    throw std::runtime_error(text.toStdString());
}

} // namespace provost::test
