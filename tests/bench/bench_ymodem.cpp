// YModem: our sender beside lrzsz's over the same pseudo-terminal to the same receiver, and our
// sender on a line of 115200 bit/s whose receiver takes 2 ms to answer.
#include "bench/ratios.h"
#include "protocol/ymodem_sender.h"
#include "transport/termios_port.h"

#include "core/byte_io.h"

#include <QFile>
#include <QTemporaryDir>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdexcept>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kFrame = 1029;
constexpr std::size_t kHeaderFrame = 133;
constexpr std::size_t kBlocks = 1024;
constexpr std::size_t kEnd = kHeaderFrame + kBlocks * kFrame;
constexpr std::size_t kSlowBlocks = 48;

Bytes content(std::size_t blocks)
{
    Bytes bytes(blocks * 1024);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::byte>((i * 61 + i / 251) & 0xFF);
    return bytes;
}

struct Terminal {
    Terminal() : master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC))
    {
        std::array<char, 64> name{};
        if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 ||
            ptsname_r(master, name.data(), name.size()) != 0)
            throw std::runtime_error("no pseudo-terminal");
        path = name.data();
    }
    ~Terminal() { close(master); }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    int master = -1;
    std::string path{};
};

pid_t start(std::vector<std::string> words, int line, const std::string& folder)
{
    posix_spawn_file_actions_t actions{};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
    posix_spawn_file_actions_adddup2(&actions, line, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, line, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    std::vector<char*> arguments;
    for (auto& word : words)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t pid = -1;
    if (posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ) != 0)
        throw std::runtime_error("cannot start " + words[0]);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

double middleOf(std::vector<double>& values)
{
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

/// What a transfer took. The middle one of 1024 blocks tells more on a busy computer than the sum.
struct Transfer {
    double seconds = 0;    ///< first data frame to the end of the last one
    double block = 0;      ///< the middle one's, from frame to frame, s
    double turnaround = 0; ///< the sender's part of it: from the ACK to the next frame, s
};

/// Carries bytes between terminal and receiver, and sees when each data frame begins and when the
/// last one has passed. Header, EOT and the waits of lrzsz around them do not count.
class Meter {
public:
    Meter(int terminal, int receiver)
        : m_terminal(terminal), m_receiver(receiver),
          m_thread([this](const std::stop_token& stop) { run(stop); })
    {
    }
    /// Behind the end of both programs.
    Transfer transfer()
    {
        m_thread.request_stop();
        m_thread.join();
        if (m_passed < kEnd)
            throw std::runtime_error("the file did not pass");
        return {.seconds = std::chrono::duration<double>(m_last - m_first).count(),
                .block = middleOf(m_blocks),
                .turnaround = middleOf(m_turnarounds)};
    }

private:
    static std::size_t move(int from, int to)
    {
        std::array<char, 8192> buffer{};
        const ssize_t count = read(from, buffer.data(), buffer.size());
        for (ssize_t done = 0; done < count;) {
            const ssize_t written =
                write(to, buffer.data() + done, static_cast<std::size_t>(count - done));
            if (written <= 0)
                return 0;
            done += written;
        }
        return count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    void run(const std::stop_token& stop)
    {
        std::array<pollfd, 2> ends{{{m_terminal, POLLIN, 0}, {m_receiver, POLLIN, 0}}};
        while (!stop.stop_requested()) {
            poll(ends.data(), ends.size(), 20);
            if ((ends[0].revents & POLLIN) != 0) {
                const auto now = SteadyClock::now();
                const auto before =
                    std::exchange(m_passed, m_passed + move(m_terminal, m_receiver));
                if (before == m_frameAt && before < kEnd)
                    frameBegins(now);
                if (before < kEnd && m_passed >= kEnd)
                    m_last = SteadyClock::now();
            }
            if ((ends[1].revents & POLLIN) != 0) {
                m_answered = SteadyClock::now();
                move(m_receiver, m_terminal);
            }
        }
    }
    void frameBegins(SteadyClock::time_point now)
    {
        if (m_frameAt == kHeaderFrame) {
            m_first = now;
        } else {
            m_blocks.push_back(std::chrono::duration<double>(now - m_began).count());
            m_turnarounds.push_back(std::chrono::duration<double>(now - m_answered).count());
        }
        m_began = now;
        m_frameAt += kFrame;
    }

    int m_terminal;
    int m_receiver;
    std::size_t m_passed = 0;
    std::size_t m_frameAt = kHeaderFrame; ///< where the next one begins
    std::vector<double> m_blocks{};
    std::vector<double> m_turnarounds{};
    SteadyClock::time_point m_began{};
    SteadyClock::time_point m_answered{};
    SteadyClock::time_point m_first{};
    SteadyClock::time_point m_last{};
    std::jthread m_thread;
};

void sendOurs(const std::string& path, const Bytes& file)
{
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + 120s}};
    auto port = TermiosPort::open(path);
    if (!port)
        throw std::runtime_error(describe(port.error()));
    YModemSender sender(**port);
    auto sent = sender.send("file.bin", file, op);
    if (sent)
        sent = sender.finish(op);
    if (!sent || sender.retries() > 0)
        throw std::runtime_error(sent ? "blocks were repeated" : describe(sent.error()));
}

/// Either sender is a program of its own.
void sendBy(std::vector<std::string> words, const std::string& path, const std::string& folder)
{
    const int slave = open(path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    const std::string name = words[0];
    const pid_t sender = start(std::move(words), slave, folder);
    close(slave);
    int status = 0;
    waitpid(sender, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw std::runtime_error(name + " failed");
}

Transfer transferBy(bool ours)
{
    const QTemporaryDir from;
    const QTemporaryDir into;
    const Bytes bytes = content(kBlocks);
    QFile file(from.filePath("file.bin"));
    const std::string text = toText(bytes);
    if (!file.open(QIODevice::WriteOnly) ||
        file.write(text.data(), static_cast<qint64>(text.size())) != qint64(text.size()))
        throw std::runtime_error("no file");
    file.close();
    const Terminal terminal;
    const int keptOpen = open(terminal.path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    {
        // Raw before anybody speaks: a fresh terminal echoes.
        const auto raw = TermiosPort::open(terminal.path);
        if (!raw)
            throw std::runtime_error(describe(raw.error()));
    }
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        throw std::runtime_error("no socket");
    Meter meter(terminal.master, ends[0]);
    const pid_t receiver = start({"rb", "-q"}, ends[1], into.path().toStdString());
    close(ends[1]);
    if (ours)
        sendBy({PROVOST_BUILD_DIR "/bin/provost", "ymodem", "send", "file.bin", "--port",
                terminal.path},
               "/dev/null", from.path().toStdString());
    else
        sendBy({"sb", "-q", "-k", "file.bin"}, terminal.path, from.path().toStdString());
    int status = 0;
    waitpid(receiver, &status, 0);
    close(keptOpen);
    const Transfer transfer = meter.transfer();
    close(ends[0]);
    QFile arrived(into.filePath("file.bin"));
    if (!arrived.open(QIODevice::ReadOnly) || arrived.readAll().toStdString() != text)
        throw std::runtime_error("another file arrived");
    return transfer;
}

/// By turns, and who begins by turns too, so that whatever else the computer does meets both.
void sbAndOurs(benchmark::State& state)
{
    bool ownFirst = false;
    double theirTurnaround = 0;
    double ownTurnaround = 0;
    for (auto _ : state) {
        std::array<Transfer, 2> transfers{}; // theirs, ours
        for (const bool ours : {ownFirst, !ownFirst})
            transfers[ours ? 1 : 0] = transferBy(ours);
        ownFirst = !ownFirst;
        const auto& [theirs, own] = transfers;
        note("sb", theirs.seconds);
        note("our YModem", own.seconds);
        note("sb's block", theirs.block);
        note("our YModem block", own.block);
        theirTurnaround += theirs.turnaround * 1e6;
        ownTurnaround += own.turnaround * 1e6;
        state.SetIterationTime(own.seconds);
    }
    const auto turns = static_cast<double>(state.iterations());
    state.counters["sb's turnaround us"] = theirTurnaround / turns;
    state.counters["our turnaround us"] = ownTurnaround / turns;
}

/// A receiver behind a UART: a frame lasts as long as its bits, an answer comes 2 ms later.
class SlowReceiver {
public:
    explicit SlowReceiver(int line) : m_line(line), m_thread([this] { run(); }) {}
    double seconds()
    {
        m_thread.join();
        return std::chrono::duration<double>(m_last - m_first).count();
    }

private:
    static constexpr std::chrono::nanoseconds kBit{1'000'000'000 / 115200};
    static constexpr auto kTurnaround = 2ms;

    bool take(std::size_t count) const
    {
        std::array<char, 2048> buffer{};
        while (count > 0) {
            const ssize_t got = read(m_line, buffer.data(), std::min(count, buffer.size()));
            if (got <= 0)
                return false;
            count -= static_cast<std::size_t>(got);
        }
        return true;
    }
    void say(std::string_view text) const
    {
        if (write(m_line, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
            std::terminate();
    }
    void run()
    {
        say("C");
        take(kHeaderFrame);
        say("\x06");
        say("C");
        for (std::size_t i = 0; i < kSlowBlocks; ++i) {
            take(1);
            const auto began = SteadyClock::now();
            if (i == 0)
                m_first = began;
            take(kFrame - 1);
            std::this_thread::sleep_until(began + 10 * kBit * (kFrame + 1) + kTurnaround);
            say("\x06");
            m_last = SteadyClock::now();
        }
        take(1);
        say("\x06");
        say("C");
        take(kHeaderFrame);
        say("\x06");
    }

    int m_line;
    SteadyClock::time_point m_first{};
    SteadyClock::time_point m_last{};
    std::jthread m_thread;
};

void slowLine(benchmark::State& state)
{
    for (auto _ : state) {
        const Terminal terminal;
        const int keptOpen = open(terminal.path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
        {
            const auto raw = TermiosPort::open(terminal.path);
            if (!raw)
                throw std::runtime_error(describe(raw.error()));
        }
        SlowReceiver receiver(terminal.master);
        sendOurs(terminal.path, content(kSlowBlocks));
        const double seconds = receiver.seconds();
        close(keptOpen);
        state.SetIterationTime(seconds);
        note("payload at line rate", kSlowBlocks * 1024 * 10 / 115200.0);
        note("115200 bit/s", seconds);
    }
}

void registerYModem()
{
    const auto few = [](benchmark::internal::Benchmark* each, int times) {
        each->UseManualTime()->Iterations(times)->Unit(benchmark::kMillisecond);
    };
    few(benchmark::RegisterBenchmark("our sender to rb, 1 MiB, by turns with sb", sbAndOurs), 15);
    few(benchmark::RegisterBenchmark("our sender at 115200 bit/s, 2 ms turnaround", slowLine), 1);
    compare({.text = "YModem over a pseudo-terminal: sb's middle block over ours",
             .over = "sb's block",
             .under = "our YModem block",
             .aim = 1.0,
             .byTurns = true});
    compare({.text = "YModem over a pseudo-terminal: sb's time over ours",
             .over = "sb",
             .under = "our YModem",
             .aim = 1.0,
             .byTurns = true});
    compare({.text = "YModem at 115200 bit/s: share of the line rate",
             .over = "payload at line rate",
             .under = "115200 bit/s",
             .aim = 0.95});
}

const bool kRegistered = (registerYModem(), true);

} // namespace
