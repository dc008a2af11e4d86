#include "bench_control.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "transport/tcp_stream.h"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <poll.h>
#include <sstream>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace provost::test {

namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 60s;
constexpr int kLookMs = 20; ///< for the request to stop

Result<sim::FaultKind> faultOf(const std::string& word)
{
    const std::pair<std::string_view, sim::FaultKind> kinds[] = {
        {"stall", sim::FaultKind::Stall},
        {"timeout", sim::FaultKind::Timeout},
        {"short", sim::FaultKind::Short},
        {"bit-flip", sim::FaultKind::BitFlip},
        {"unplug", sim::FaultKind::Unplug}};
    for (const auto& [name, kind] : kinds)
        if (name == word)
            return kind;
    return fail(Errc::InvalidArgument, Blame::Software, concat("no fault is called ", word));
}

Result<std::string> readLine(ByteStream& stream, const OpContext& op)
{
    std::string line;
    while (line.empty() || line.back() != '\n') {
        std::byte next{};
        TRY(stream.readSome(ByteSpan(&next, 1), op));
        line += static_cast<char>(next);
    }
    line.pop_back();
    return line;
}

} // namespace

Result<> obey(sim::Bench& bench, const std::string& command)
{
    std::istringstream words(command);
    std::string verb;
    int slot = 0;
    words >> verb >> slot;
    std::string word;
    std::uint32_t number = 0;
    if (verb == "power" && words >> word)
        return bench.setPower(slot, word == "on");
    if (verb == "mode" && words >> number) {
        TRY(bench.holdMode(slot, std::chrono::milliseconds(number)));
        return {};
    }
    if (verb == "next") {
        TRY(bench.insertNext(slot));
        return {};
    }
    if (verb == "fail" && words >> number >> word)
        return bench.failTransfer(slot, number, TRY(faultOf(word)));
    return fail(Errc::InvalidArgument, Blame::Software, concat("no command: ", command));
}

struct BenchControlServer::Impl {
    sim::Bench& bench;
    int listener = -1;
    std::uint16_t port = 0;
    SystemClock clock{};
    std::jthread thread{};

    void serve(const std::stop_token& stop)
    {
        while (!stop.stop_requested()) {
            pollfd fds{.fd = listener, .events = POLLIN, .revents = 0};
            if (::poll(&fds, 1, kLookMs) <= 0)
                continue;
            const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0)
                continue;
            TcpStream stream(fd);
            const OpContext op{.clock = clock, .stop = stop, .deadline = {clock.now() + kPatience}};
            while (const auto line = readLine(stream, op)) {
                const auto done = obey(bench, *line);
                const std::string answer =
                    done ? "ok\n" : concat("error ", describe(done.error()), "\n");
                if (!stream.writeAll(viewOf(answer), op))
                    break;
            }
        }
        ::close(listener);
    }
};

Result<std::unique_ptr<BenchControlServer>> BenchControlServer::start(sim::Bench& bench)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ::bind(fd, generic, length) != 0 || ::listen(fd, 4) != 0 ||
        ::getsockname(fd, generic, &length) != 0)
        return fail(Errc::Io, Blame::Station, "listen for commands to the bench", errno);
    auto impl = std::make_unique<Impl>(
        Impl{.bench = bench, .listener = fd, .port = ntohs(address.sin_port)});
    impl->thread = std::jthread([&self = *impl](const std::stop_token& stop) { self.serve(stop); });
    return std::unique_ptr<BenchControlServer>(new BenchControlServer(std::move(impl)));
}

BenchControlServer::BenchControlServer(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}

BenchControlServer::~BenchControlServer() = default;

std::uint16_t BenchControlServer::port() const
{
    return m_impl->port;
}

Result<> command(std::uint16_t port, const std::string& text)
{
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + kPatience}};
    const auto stream = TRY(TcpStream::connect("127.0.0.1", port, op));
    TRY(stream->writeAll(viewOf(text + "\n"), op));
    const std::string answer = TRY(readLine(*stream, op));
    if (answer != "ok")
        return fail(Errc::InvalidArgument, Blame::Software, concat(text, ": ", answer));
    return {};
}

} // namespace provost::test
