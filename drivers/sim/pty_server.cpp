#include "sim/pty_server.h"

#include "core/text.h"
#include "sim/pty_p.h"

#include <cerrno>
#include <filesystem>
#include <poll.h>
#include <sys/stat.h>
#include <thread>

namespace provost::sim {

namespace {

using namespace std::chrono_literals;

constexpr auto kIdlePause = 10ms;    ///< between two looks for a user or for the unit
constexpr auto kReadPatience = 2ms;  ///< the terminal is looked at this often
constexpr auto kWritePatience = 10s; ///< of a unit that takes no more bytes

Unexpected linkFailed(const std::string& link, std::string_view what, int error)
{
    return fail(error == EACCES || error == EPERM ? Errc::Denied : Errc::Io, Blame::Station,
                concat(what, " ", link, ": ", systemMessage(error)), error);
}

/// Replaces a link, and nothing else.
Result<> placeLink(const std::string& target, const std::string& link)
{
    struct stat found{};
    if (::lstat(link.c_str(), &found) == 0) {
        if (!S_ISLNK(found.st_mode))
            return fail(Errc::InvalidArgument, Blame::Operator,
                        concat("link ", link, ": something that is no link is in the way"));
        if (::unlink(link.c_str()) != 0)
            return linkFailed(link, "replace", errno);
    }
    if (::symlink(target.c_str(), link.c_str()) != 0)
        return linkFailed(link, "link", errno);
    return {};
}

void removeLink(const std::string& target, const std::string& link)
{
    std::error_code ignored;
    if (std::filesystem::read_symlink(link, ignored) == target)
        ::unlink(link.c_str());
}

} // namespace

/// One terminal and the thread that moves its bytes.
class PtyServer::Slot {
public:
    Slot(SerialPorts& ports, std::string portPath, PtyMaster pty, std::string link)
        : m_ports(ports), m_portPath(std::move(portPath)), m_link(std::move(link)),
          m_pty(std::move(pty)), m_thread([this](std::stop_token stop) { run(std::move(stop)); })
    {
    }
    ~Slot()
    {
        m_thread.request_stop();
        m_thread.join();
        removeLink(m_pty.slavePath(), m_link);
    }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

private:
    void run(std::stop_token stop)
    {
        m_stop = std::move(stop);
        const std::stop_callback onStop(m_stop, [this] { m_wake.raise(); });
        while (!m_stop.stop_requested()) {
            const bool inUse = m_pty.inUse();
            followRate(); // before the data behind it
            sendToUnit(); // also of a user who came and went between two looks
            if (inUse)
                receiveFromUnit();
            else if (m_wasInUse || m_port || m_rate != m_freshRate)
                userLeft();
            m_wasInUse = inUse;
            if (!inUse || !m_port)
                pause();
        }
    }

    void pause() const
    {
        pollfd fds{.fd = m_wake.fd(), .events = POLLIN, .revents = 0};
        ::poll(&fds, 1, static_cast<int>(kIdlePause.count()));
    }

    OpContext within(std::chrono::milliseconds patience) const
    {
        return {.clock = m_clock, .stop = m_stop, .deadline = {m_clock.now() + patience}};
    }

    bool openPort()
    {
        if (!m_port) {
            auto port = m_ports.open(m_portPath);
            if (port)
                m_port = std::move(*port);
        }
        return m_port != nullptr;
    }

    /// The next port that appears here will be a new one.
    void unitLeft()
    {
        m_port.reset();
        m_toHost.clear();
        m_pty.freshen();
        m_rate = m_pty.rate();
    }

    void userLeft()
    {
        if (m_pty.inUse())
            return;
        m_port.reset();
        m_toHost.clear();
        if (!m_pty.unlock())
            replaceTerminal();
        m_pty.freshen();
        m_rate = m_pty.rate();
    }

    /// Without the right to open a locked terminal, only a new one can be unlocked.
    void replaceTerminal()
    {
        auto fresh = PtyMaster::open();
        if (!fresh)
            return;
        removeLink(m_pty.slavePath(), m_link);
        m_pty = std::move(*fresh);
        static_cast<void>(placeLink(m_pty.slavePath(), m_link));
    }

    void followRate()
    {
        const int rate = m_pty.rate();
        if (rate == m_rate || rate == 0)
            return;
        m_rate = rate;
        if (!openPort())
            return;
        // A unit may leave the bus while it obeys.
        if (const auto told = m_port->setBaud(rate); !told)
            unitLeft();
    }

    void sendToUnit()
    {
        std::byte buffer[4096];
        while (const std::size_t count = m_pty.read(buffer)) {
            if (openPort() &&
                !m_port->writeAll(ByteSpan(buffer).first(count), within(kWritePatience)))
                return unitLeft();
        }
    }

    void receiveFromUnit()
    {
        if (!openPort())
            return;
        if (m_toHost.empty()) {
            std::byte buffer[4096];
            const auto received = m_port->readSome(buffer, within(kReadPatience));
            if (received)
                m_toHost.assign(buffer, buffer + *received);
            else if (received.error().code != Errc::Timeout)
                return unitLeft();
        }
        const std::size_t taken = m_pty.write(m_toHost);
        m_toHost.erase(m_toHost.begin(), m_toHost.begin() + static_cast<std::ptrdiff_t>(taken));
        if (!m_toHost.empty())
            pause(); // its user does not read
    }

    SerialPorts& m_ports;
    const std::string m_portPath;
    const std::string m_link;
    const SystemClock m_clock{};
    const WakeUp m_wake{};
    PtyMaster m_pty;
    std::stop_token m_stop{};
    std::unique_ptr<SerialPort> m_port{};
    Bytes m_toHost{};
    const int m_freshRate = m_pty.rate();
    int m_rate = m_freshRate;
    bool m_wasInUse = false;
    std::jthread m_thread; ///< last: it uses the others
};

Result<std::unique_ptr<PtyServer>> PtyServer::start(SerialPorts& ports, std::vector<PtySlot> slots,
                                                    const std::string& directory)
{
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error)
        return linkFailed(directory, "make", error.value());
    std::vector<std::unique_ptr<Slot>> served;
    for (PtySlot& slot : slots) {
        PtyMaster pty = TRY(PtyMaster::open());
        const std::string link = linkOf(directory, slot.number);
        TRY(placeLink(pty.slavePath(), link));
        served.push_back(std::make_unique<Slot>(ports, std::move(slot.port), std::move(pty), link));
    }
    return std::unique_ptr<PtyServer>(new PtyServer(std::move(served)));
}

PtyServer::PtyServer(std::vector<std::unique_ptr<Slot>> slots) : m_slots(std::move(slots)) {}

PtyServer::~PtyServer() = default;

std::string PtyServer::linkOf(const std::string& directory, int slot)
{
    return concat(directory, "/slot", slot);
}

} // namespace provost::sim
