// A passphrase from the terminal, which shows nothing meanwhile.
#include "cli/output.h"
#include "core/byte_io.h"
#include "core/text.h"

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

namespace provost::cli {

namespace {

constexpr std::size_t kLongest = 1024;
constexpr int kSliceMs = 50;

/// The controlling terminal without echo, put back when it goes.
class QuietTerminal {
public:
    QuietTerminal() : m_fd(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY))
    {
        if (m_fd < 0 || ::tcgetattr(m_fd, &m_before) != 0)
            return;
        termios quiet = m_before;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        m_quiet = ::tcsetattr(m_fd, TCSAFLUSH, &quiet) == 0;
    }
    ~QuietTerminal()
    {
        if (m_quiet)
            ::tcsetattr(m_fd, TCSANOW, &m_before);
        if (m_fd >= 0)
            ::close(m_fd);
    }
    QuietTerminal(const QuietTerminal&) = delete;
    QuietTerminal& operator=(const QuietTerminal&) = delete;
    bool usable() const { return m_quiet; }
    int fd() const { return m_fd; }
    void write(std::string_view text) const
    {
        [[maybe_unused]] const ssize_t written = ::write(m_fd, text.data(), text.size());
    }

private:
    int m_fd = -1;
    termios m_before{};
    bool m_quiet = false;
};

Result<SecretBytes> readLine(const QuietTerminal& terminal, const std::stop_token& stop)
{
    SecretBytes line(kLongest);
    std::size_t length = 0;
    for (;;) {
        if (stop.stop_requested())
            return fail(Errc::Cancelled, Blame::Operator, "ask for a passphrase: stopped");
        pollfd waited{.fd = terminal.fd(), .events = POLLIN, .revents = 0};
        if (::poll(&waited, 1, kSliceMs) <= 0)
            continue;
        // One byte a time, straight into wiped memory; the terminal hands over whole lines.
        const auto got = ::read(terminal.fd(), &line.writable()[length], 1);
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return fail(Errc::Io, Blame::Station,
                        concat("read the passphrase: ", systemMessage(errno)), errno);
        if (got == 0 || (got > 0 && line.reveal()[length] == std::byte{'\n'}))
            return SecretBytes(line.reveal().first(length));
        if (got > 0 && ++length == kLongest)
            return fail(Errc::InvalidArgument, Blame::Operator,
                        concat("read the passphrase: longer than ", kLongest, " characters"));
    }
}

} // namespace

Result<SecretBytes> askPassphrase(const std::stop_token& stop)
{
    const QuietTerminal terminal;
    if (!terminal.usable())
        return fail(Errc::Unavailable, Blame::Operator,
                    "ask for a passphrase: there is no terminal; use --passphrase-file FILE");
    terminal.write("Passphrase: ");
    auto words = TRY(readLine(terminal, stop));
    terminal.write("\nOnce more: ");
    const auto again = TRY(readLine(terminal, stop));
    terminal.write("\n");
    if (!equalBytes(words.reveal(), again.reveal()))
        return fail(Errc::InvalidArgument, Blame::Operator,
                    "take the passphrase: the two lines differ; start again");
    if (words.empty())
        return fail(Errc::InvalidArgument, Blame::Operator, "take the passphrase: it is empty");
    return words;
}

} // namespace provost::cli
