// YModemSender and YModemReceiver against lrzsz, over pseudo-terminals and over sockets.
#include "protocol/ymodem_receiver.h"
#include "protocol/ymodem_sender.h"
#include "support/test_program.h"
#include "transport/tcp_stream.h"
#include "transport/termios_port.h"

#include "core/byte_io.h"
#include "core/text.h"

#include <QDir>
#include <QFile>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTest>

#include <csignal>
#include <fcntl.h>
#include <future>
#include <map>
#include <poll.h>
#include <set>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace provost;
using namespace std::chrono_literals;

namespace {

enum class Carrier { Terminal, Socket };

struct Job {
    std::string name{};
    std::vector<std::string> program{}; ///< of lrzsz; `sb` sends, everything else receives
    Carrier carrier = Carrier::Terminal;
    YModemOptions options{};
    YModemReceiveOptions receiving{};
    std::vector<std::size_t> sizes{};
    std::set<std::size_t> damagedWrites{}; ///< of ours, counted from 0
    std::set<std::size_t> damagedBytes{};  ///< of what arrives here, counted from 0
    bool sends() const { return program.front() == "sb"; }
    bool isDamaged() const { return !damagedWrites.empty() || !damagedBytes.empty(); }
};

struct Outcome {
    std::string error{};
    int retries = 0;
    int exitStatus = -1;
    std::vector<Bytes> files{};
};

Bytes pattern(std::size_t size, std::size_t seed)
{
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>((i * 73 + i / 255 + seed) & 0xFF);
    return bytes;
}

std::string fileName(std::size_t index)
{
    return concat("module-", index, ".bin");
}

/// Damages frames on their way out, and single bytes on their way in.
class NoisyStream final : public ByteStream {
public:
    NoisyStream(ByteStream& line, const Job& job) : m_line(line), m_job(job) {}
    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        const std::size_t count = TRY(m_line.readSome(to, op));
        for (std::size_t i = 0; i < count; ++i) {
            if (m_job.damagedBytes.contains(m_bytesRead++))
                to[i] ^= std::byte{0x40};
        }
        return count;
    }
    Result<> writeAll(ByteView data, const OpContext& op) override
    {
        Bytes copy = toBytes(data);
        if (m_job.damagedWrites.contains(m_writes++))
            copy[copy.size() / 2] ^= std::byte{0x5A};
        return m_line.writeAll(copy, op);
    }
    Result<> discardInput() override { return m_line.discardInput(); }

private:
    ByteStream& m_line;
    const Job& m_job;
    std::size_t m_writes = 0;
    std::size_t m_bytesRead = 0;
};

pid_t start(const std::vector<std::string>& command, int line, const std::string& folder)
{
    posix_spawn_file_actions_t actions{};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
    posix_spawn_file_actions_adddup2(&actions, line, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, line, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    std::vector<char*> arguments;
    for (const auto& word : command)
        arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    pid_t pid = -1;
    if (posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ) != 0)
        pid = -1;
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

/// Moves bytes between two descriptors until one side closes. lrzsz itself does not get the
/// terminal: it flushes its input behind every answer, and its exit would discard the last one.
class Relay {
public:
    Relay(int a, int b) : m_a(a), m_b(b), m_thread([this](std::stop_token stop) { run(stop); }) {}
    ~Relay()
    {
        m_thread.request_stop();
        m_thread.join();
        close(m_a);
        close(m_b);
    }
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

private:
    static bool move(int from, int to)
    {
        std::array<char, 4096> buffer{};
        const ssize_t count = read(from, buffer.data(), buffer.size());
        for (ssize_t done = 0; done < count;) {
            const ssize_t written =
                write(to, buffer.data() + done, static_cast<std::size_t>(count - done));
            if (written <= 0)
                return false;
            done += written;
        }
        return count > 0;
    }
    void run(const std::stop_token& stop) const
    {
        std::array<pollfd, 2> ends{{{m_a, POLLIN, 0}, {m_b, POLLIN, 0}}};
        bool isOpen = true;
        while (!stop.stop_requested() && isOpen) {
            poll(ends.data(), ends.size(), 20);
            if ((ends[0].revents & POLLIN) != 0)
                isOpen = move(m_a, m_b);
            if ((ends[1].revents & POLLIN) != 0)
                isOpen = move(m_b, m_a) && isOpen;
        }
    }

    int m_a;
    int m_b;
    std::jthread m_thread;
};

struct Line {
    std::unique_ptr<ByteStream> ours{};
    int far = -1; ///< for the receiver
    std::unique_ptr<Relay> relay{};
};

Line openLine(Carrier carrier)
{
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return {};
    if (carrier == Carrier::Socket)
        return {.ours = std::make_unique<TcpStream>(ends[0]), .far = ends[1]};
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0)
        return {};
    std::array<char, 64> path{};
    if (ptsname_r(terminal, path.data(), path.size()) != 0)
        return {};
    auto port = TermiosPort::open(path.data());
    return {.ours = port ? std::move(*port) : nullptr,
            .far = ends[1],
            .relay = std::make_unique<Relay>(terminal, ends[0])};
}

Result<int> sendAll(const Job& job, ByteStream& line)
{
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + 90s}};
    NoisyStream noisy(line, job);
    YModemSender sender(noisy, job.options);
    for (std::size_t i = 0; i < job.sizes.size(); ++i)
        TRY(sender.send(fileName(i), pattern(job.sizes[i], i), op.part(i, job.sizes.size())));
    TRY(sender.finish(op));
    return sender.retries();
}

Result<int> receiveAll(const Job& job, ByteStream& line, std::vector<Bytes>& files)
{
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + 90s}};
    NoisyStream noisy(line, job);
    YModemReceiver receiver(noisy, job.receiving);
    while (auto file = TRY(receiver.receive(op))) {
        if (file->name != fileName(files.size()))
            return fail(Errc::Mismatch, Blame::Software, concat("received ", file->name));
        files.push_back(std::move(file->content));
    }
    return receiver.retries();
}

Bytes readWhole(const QString& path)
{
    QFile file(path);
    const QByteArray bytes = file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
    return toBytes(std::string_view(bytes.constData(), static_cast<std::size_t>(bytes.size())));
}

bool writeWhole(const QString& path, const Bytes& bytes)
{
    QFile file(path);
    const std::string text = toText(bytes);
    return file.open(QIODevice::WriteOnly) &&
           file.write(text.data(), static_cast<qint64>(text.size())) ==
               static_cast<qint64>(text.size());
}

Outcome run(const Job& job)
{
    Outcome outcome;
    const QTemporaryDir folder;
    const auto pathOf = [&](std::size_t i) {
        return folder.filePath(QString::fromStdString(fileName(i)));
    };
    std::vector<std::string> command = job.program;
    for (std::size_t i = 0; job.sends() && i < job.sizes.size(); ++i) {
        if (!writeWhole(pathOf(i), pattern(job.sizes[i], i)))
            return {.error = "no file"};
        command.push_back(fileName(i));
    }
    const Line line = openLine(job.carrier);
    if (!line.ours)
        return {.error = "no line"};
    const pid_t program = start(command, line.far, folder.path().toStdString());
    close(line.far);
    if (program < 0)
        return {.error = "no lrzsz"};
    const auto done =
        job.sends() ? receiveAll(job, *line.ours, outcome.files) : sendAll(job, *line.ours);
    if (done)
        outcome.retries = *done;
    else
        outcome.error = describe(done.error());
    if (!done)
        kill(program, SIGKILL);
    int status = 0;
    waitpid(program, &status, 0);
    outcome.exitStatus = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    for (std::size_t i = 0; !job.sends() && i < job.sizes.size(); ++i)
        outcome.files.push_back(readWhole(pathOf(i)));
    return outcome;
}

const std::vector<std::size_t> kEdges{1, 127, 128, 129, 1023, 1024, 1025};
constexpr std::size_t kLarge = 1024 * 1024;

std::vector<Job> sendingJobs()
{
    const std::vector<std::string> rb{"rb", "-q"};
    const std::vector<std::string> rz{"rz", "--ymodem", "-q"};
    std::vector<Job> all;
    for (const std::size_t size : kEdges)
        all.push_back({.name = concat("rb ", size), .program = rb, .sizes = {size}});
    all.push_back({.name = "rb 1 MiB", .program = rb, .sizes = {kLarge}});
    all.push_back({.name = "rb batch of 3", .program = rb, .sizes = {1025, 128, 40000}});
    all.push_back({.name = "rz --ymodem socket batch of 3, blocks of 128",
                   .program = rz,
                   .carrier = Carrier::Socket,
                   .options = {.blockSize = 128},
                   .sizes = {1024, 1, 3000}});
    // 0 is the header.
    all.push_back(
        {.name = "rb damaged block", .program = rb, .sizes = {5000}, .damagedWrites = {3}});
    all.push_back(
        {.name = "rb damaged header", .program = rb, .sizes = {300}, .damagedWrites = {0}});
    // The second and fourth ACK of data turn into something else: both blocks go out again.
    all.push_back({.name = "rb noise both ways",
                   .program = rb,
                   .options = {.replyLimit = 3s},
                   .sizes = {kLarge, 3000},
                   .damagedWrites = {5, 60, 61, 500, 1000},
                   .damagedBytes = {4, 6}});
    return all;
}

std::vector<Job> receivingJobs()
{
    const std::vector<std::string> sb{"sb", "-q"};
    const std::vector<std::string> sbLarge{"sb", "-q", "-k"};
    std::vector<Job> all;
    for (const std::size_t size : kEdges) {
        all.push_back({.name = concat("sb ", size), .program = sb, .sizes = {size}});
        all.push_back({.name = concat("sb -k ", size), .program = sbLarge, .sizes = {size}});
    }
    all.push_back({.name = "sb -k 1 MiB", .program = sbLarge, .sizes = {kLarge}});
    all.push_back({.name = "sb -k batch of 3, first EOT acknowledged",
                   .program = sbLarge,
                   .receiving = {.refusesEot = false},
                   .sizes = {1025, 128, 40000}});
    all.push_back({.name = "sb -G batch of 3",
                   .program = sbLarge,
                   .receiving = {.streaming = true},
                   .sizes = {1025, 128, 40000}});
    // Header, first block, 300th block; 133 bytes of header lie in front.
    all.push_back({.name = "sb -k noise",
                   .program = sbLarge,
                   .sizes = {kLarge},
                   .damagedBytes = {20, 300, 500, 1300, 300'000, 300'001, 900'000}});
    return all;
}

std::vector<Job> jobs()
{
    auto all = sendingJobs();
    for (auto& job : receivingJobs())
        all.push_back(std::move(job));
    return all;
}

class TstYmodemLrzsz : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void files_arriveByteForByte_data();
    void files_arriveByteForByte();
    void send_reportsARefusingReceiver();

private:
    std::map<std::string, std::shared_future<Outcome>> m_outcomes;
};

/// lrzsz believes an EOT after a second of silence only: all sessions run at the same time.
void TstYmodemLrzsz::initTestCase()
{
    std::signal(SIGPIPE, SIG_IGN); // a receiver that gives up closes its end
    if (QStandardPaths::findExecutable("rb").isEmpty())
        QFAIL("lrzsz is not installed: installer/packages-test.txt names it");
    for (const Job& job : jobs())
        m_outcomes[job.name] = std::async(std::launch::async, run, job).share();
}

void TstYmodemLrzsz::files_arriveByteForByte_data()
{
    QTest::addColumn<int>("index");
    const auto all = jobs();
    for (std::size_t i = 0; i < all.size(); ++i)
        QTest::newRow(all[i].name.c_str()) << static_cast<int>(i);
}

void TstYmodemLrzsz::files_arriveByteForByte()
{
    QFETCH(int, index);
    const Job job = jobs().at(static_cast<std::size_t>(index));
    const Outcome outcome = m_outcomes.at(job.name).get();
    QVERIFY2(outcome.error.empty(), outcome.error.c_str());
    QCOMPARE(outcome.exitStatus, 0);
    QVERIFY2((outcome.retries > 0) == job.isDamaged(), concat(outcome.retries, " retries").c_str());
    QCOMPARE(outcome.files.size(), job.sizes.size());
    for (std::size_t i = 0; i < job.sizes.size(); ++i)
        QVERIFY2(outcome.files.at(i) == pattern(job.sizes[i], i), fileName(i).c_str());
}

void TstYmodemLrzsz::send_reportsARefusingReceiver()
{
    // rb refuses to overwrite a file unless it is told to.
    const QTemporaryDir folder;
    QFile existing(folder.filePath("module-0.bin"));
    QVERIFY(existing.open(QIODevice::WriteOnly));
    existing.write("there already");
    existing.close();
    const Line line = openLine(Carrier::Socket);
    const pid_t receiver = start({"rb", "-q"}, line.far, folder.path().toStdString());
    close(line.far);
    QVERIFY(receiver > 0);
    const auto sent = sendAll({.sizes = {500}}, *line.ours);
    QVERIFY(!sent.has_value());
    QVERIFY2(sent.error().code == Errc::Denied, describe(sent.error()).c_str());
    int status = 0;
    waitpid(receiver, &status, 0);
}

} // namespace

PROVOST_TEST("ymodem_lrzsz", TstYmodemLrzsz)
#include "tst_ymodem_lrzsz.moc"
