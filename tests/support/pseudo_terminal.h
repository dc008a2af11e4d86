// A terminal without a screen.
#pragma once

#include <QByteArray>
#include <QString>

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace provost::test {

/// A pseudo-terminal: whoever speaks at the master's end is the peer of the command.
class PseudoTerminal {
public:
    PseudoTerminal() : m_master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC))
    {
        ::grantpt(m_master);
        ::unlockpt(m_master);
        std::array<char, 128> name{};
        ::ptsname_r(m_master, name.data(), name.size());
        m_path = name.data();
        m_slave = ::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC); // keeps the line up
        ::system(qPrintable("stty raw -echo -F " + m_path));
    }
    ~PseudoTerminal()
    {
        ::close(m_slave);
        ::close(m_master);
    }
    PseudoTerminal(const PseudoTerminal&) = delete;
    PseudoTerminal& operator=(const PseudoTerminal&) = delete;
    /// What a person types.
    bool type(const QByteArray& text) const
    {
        return ::write(m_master, text.data(), static_cast<std::size_t>(text.size())) == text.size();
    }
    int master() const { return m_master; }
    const QString& path() const { return m_path; }

private:
    int m_master = -1;
    int m_slave = -1;
    QString m_path{};
};

} // namespace provost::test
