// A Linux guest with Debian's own kernel in qemu, where a served bench is plugged into the kernel's
// USB. No root, no disk, no network but this computer's loopback (10.0.2.2).
#pragma once

#include "support/served_bench.h"

#include <QProcess>

namespace provost::test {

/// Used by one thread. Everything throws with the reason and the end of the guest's console where
/// the guest does not do what it should.
class Guest {
public:
    /// Boots with these programs of the host in /bin.
    explicit Guest(const QStringList& programs);
    ~Guest();
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

    /// One line for the guest's shell, run as root.
    ProgramEnd run(const QString& command, std::chrono::milliseconds patience = kPatience);
    /// Repeats it until it succeeds.
    ProgramEnd until(const QString& command);
    /// Plugs the devices of the USB/IP server on this computer into the guest's ports `first`,
    /// `first` + 1 and so on, again and again whenever they come back.
    void plugIn(std::uint16_t server, int first, const QStringList& busIds);
    /// From the start of qemu until the guest obeyed.
    std::chrono::milliseconds bootTime() const { return m_bootTime; }
    QString console() const;

private:
    /// An emulated processor is ten times slower, on a busy computer thirty times.
    static constexpr std::chrono::milliseconds kPatience = std::chrono::minutes(2);

    QByteArray line(std::chrono::milliseconds patience);
    QByteArray take(qint64 size, std::chrono::milliseconds patience);
    void start();
    [[noreturn]] void give(const QString& reason) const;

    QTemporaryDir m_folder{};
    QProcess m_machine{};
    QByteArray m_received{};
    std::chrono::milliseconds m_bootTime{};
};

} // namespace provost::test
