// handshake_speed UNITS [ROUNDS]: completed handshakes per second of the server's processor time
// beside what the RSA operations of a handshake allow with the same OpenSSL in the same run, and
// the memory that a connection takes. The units are another process: all of them are connected
// before the first one answers its nonce. The first round, in which each key is bound, is printed
// and not counted where there are several. Ends with 1 where a unit is refused or, with 1000 units
// or more, where the server reaches less than 85 %. The full run is `handshake_speed 1000 3`.
#include "cloud/cloud_service.h"
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "transport/tcp_stream.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using namespace provost;
using namespace std::chrono_literals;

constexpr double kAim = 0.85;
constexpr std::size_t kJudgedFrom = 1000;
constexpr std::size_t kKeys = 8; ///< shared by all units: nobody looks for duplicates here
constexpr auto kPatience = 10min;

double seconds(clockid_t which)
{
    timespec now{};
    ::clock_gettime(which, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::size_t residentBytes()
{
    std::ifstream file("/proc/self/statm");
    std::size_t all = 0;
    std::size_t resident = 0;
    file >> all >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::array<std::byte, 12> unitNumber(std::size_t index)
{
    std::array<std::byte, 12> id{};
    for (std::size_t i = 0; i < 4; ++i)
        id[i] = static_cast<std::byte>(index >> (8 * i));
    return id;
}

void mustTell(int pipe, const void* what, std::size_t size)
{
    if (::write(pipe, what, size) != static_cast<ssize_t>(size))
        std::_Exit(2);
}

void mustHear(int pipe, void* what, std::size_t size)
{
    if (::read(pipe, what, size) != static_cast<ssize_t>(size))
        std::_Exit(2);
}

// --- what RSA alone takes

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;

Key opensslKey(unsigned bits)
{
    return {EVP_RSA_gen(bits), &EVP_PKEY_free};
}

Context prepared(const Key& key, int (*start)(EVP_PKEY_CTX*))
{
    Context context(EVP_PKEY_CTX_new(key.get(), nullptr), &EVP_PKEY_CTX_free);
    if (start(context.get()) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1)
        std::abort();
    return context;
}

/// Processor seconds of one decryption and one signature (2048 bits) and one encryption (1024),
/// with everything prepared that can be.
double rsaSeconds(const Key& server, const Key& unit, std::size_t times)
{
    std::array<unsigned char, 40> credentials{};
    std::array<unsigned char, 20> mac{};
    std::array<unsigned char, 214> reply{};
    std::array<unsigned char, 256> sealed{};
    std::array<unsigned char, 256> out{};
    const Context seal = prepared(server, EVP_PKEY_encrypt_init);
    const Context open = prepared(server, EVP_PKEY_decrypt_init);
    const Context sign = prepared(server, EVP_PKEY_sign_init);
    const Context encrypt = prepared(unit, EVP_PKEY_encrypt_init);
    std::size_t size = sealed.size();
    bool good = EVP_PKEY_encrypt(seal.get(), sealed.data(), &size, reply.data(), reply.size()) == 1;
    const double from = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (std::size_t i = 0; good && i < times; ++i) {
        size = out.size();
        good = EVP_PKEY_decrypt(open.get(), out.data(), &size, sealed.data(), sealed.size()) == 1;
        size = out.size();
        good = good && EVP_PKEY_encrypt(encrypt.get(), out.data(), &size, credentials.data(),
                                        credentials.size()) == 1;
        size = out.size();
        good = good && EVP_PKEY_sign(sign.get(), out.data(), &size, mac.data(), mac.size()) == 1;
    }
    if (!good)
        std::abort();
    return (seconds(CLOCK_THREAD_CPUTIME_ID) - from) / static_cast<double>(times);
}

/// The same on every processor at once, as the server works.
double rsaSecondsEverywhere(const Key& server, const Key& unit, std::size_t times)
{
    std::vector<double> each(std::max(1U, std::thread::hardware_concurrency()));
    {
        std::vector<std::jthread> threads;
        for (double& one : each)
            threads.emplace_back([&] { one = rsaSeconds(server, unit, times); });
    }
    return std::accumulate(each.begin(), each.end(), 0.0) / static_cast<double>(each.size());
}

// --- the units

/// Holds back the first thing that is written until everybody is connected.
class GatedStream final : public ByteStream {
public:
    GatedStream(ByteStream& line, std::barrier<>& gate) : m_line(line), m_gate(gate) {}
    ~GatedStream() override { pass(); }
    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        return m_line.readSome(to, op);
    }
    Result<> writeAll(ByteView data, const OpContext& op) override
    {
        pass();
        return m_line.writeAll(data, op);
    }
    Result<> discardInput() override { return m_line.discardInput(); }

private:
    void pass()
    {
        if (m_passed)
            return;
        m_passed = true;
        m_gate.arrive_and_wait(); // everybody is here: it is looked at what that takes
        m_gate.arrive_and_wait();
    }
    ByteStream& m_line;
    std::barrier<>& m_gate;
    bool m_passed = false;
};

struct Unit {
    const RsaPrivateKey& key;
    std::size_t index = 0;
};

bool dialOnce(const Unit& unit, std::uint16_t port, const Bytes& serverSlot, std::barrier<>& gate)
{
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + kPatience}};
    auto line = TcpStream::connect("127.0.0.1", port, op);
    if (!line) {
        gate.arrive_and_wait();
        gate.arrive_and_wait();
        return false;
    }
    GatedStream gated(**line, gate);
    const DeviceIdentity device{.deviceId = unitNumber(unit.index),
                                .privateSlot = unit.key.toFullWidthDer(),
                                .serverKeySlot = serverSlot};
    const auto report = dialHandshake(gated, device, op);
    if (!report.passed)
        std::fprintf(stderr, "unit %zu: %s\n", unit.index, report.cause.c_str());
    return report.passed;
}

/// Dials with all units at once whenever a port comes through the pipe; says how many passed.
[[noreturn]] void beUnits(const std::vector<RsaPrivateKey>& keys, std::size_t units,
                          const std::filesystem::path& folder, int orders, int answers)
{
    std::uint16_t port = 0;
    while (::read(orders, &port, sizeof port) == sizeof port) {
        const auto pem = readFile(folder / "server-key.pub.pem", 16384).value();
        const Bytes slot = RsaPublicKey::fromText(pem).value().toDer();
        std::atomic<std::size_t> passed = 0;
        std::barrier<> gate(static_cast<std::ptrdiff_t>(units) + 1);
        {
            std::vector<std::jthread> threads;
            for (std::size_t i = 0; i < units; ++i)
                threads.emplace_back([&, i] {
                    const Unit unit{.key = keys[i % keys.size()], .index = i};
                    passed += dialOnce(unit, port, slot, gate) ? 1 : 0;
                });
            gate.arrive_and_wait();
            mustTell(answers, &port, sizeof port); // all are connected
            mustHear(orders, &port, sizeof port);
            gate.arrive_and_wait();
        }
        const std::size_t count = passed;
        mustTell(answers, &count, sizeof count);
    }
    std::_Exit(0);
}

// --- the server

class Counter final : public CloudObserver {
public:
    void onReport(const ConnectionInfo& /*connection*/, const HandshakeReport& report) override
    {
        (report.passed ? passed : failed) += 1;
    }
    std::atomic<std::size_t> passed = 0;
    std::atomic<std::size_t> failed = 0;
};

void allowManyFiles()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

struct Round {
    std::size_t passed = 0;
    double processor = 0; ///< seconds
    double wall = 0;
    std::size_t perConnection = 0; ///< bytes
};

Round runRound(const CloudService& service, const Counter& counter, std::size_t units, int orders,
               int answers)
{
    std::uint16_t port = service.handshakePort();
    const std::size_t target = counter.passed + counter.failed + units;
    const std::size_t before = residentBytes();
    const double processorFrom = seconds(CLOCK_PROCESS_CPUTIME_ID);
    Round round;
    mustTell(orders, &port, sizeof port);
    mustHear(answers, &port, sizeof port);
    const std::size_t connected = residentBytes();
    round.perConnection = (connected - std::min(before, connected)) / units;
    const double from = seconds(CLOCK_MONOTONIC);
    mustTell(orders, &port, sizeof port);
    mustHear(answers, &round.passed, sizeof round.passed);
    round.wall = seconds(CLOCK_MONOTONIC) - from;
    for (int i = 0; i < 1000 && counter.passed + counter.failed < target; ++i)
        std::this_thread::sleep_for(10ms); // both halves have their own last step
    round.processor = seconds(CLOCK_PROCESS_CPUTIME_ID) - processorFrom;
    return round;
}

void registerAll(const std::filesystem::path& folder, const std::vector<RsaPrivateKey>& keys,
                 std::size_t units)
{
    for (std::size_t i = 0; i < units; ++i)
        std::ofstream(folder / concat(toHex(unitNumber(i)), ".pub.pem"))
            << keys[i % keys.size()].publicKey().toPem();
}

int measure(const std::filesystem::path& folder, std::size_t units, std::size_t rounds, int orders,
            int answers)
{
    const SystemClock clock;
    const auto counter = std::make_shared<Counter>();
    const auto service = CloudService::start(
        {.folder = folder, .rest = false, .maxHandshakes = units + 8}, clock, counter);
    if (!service) {
        std::fprintf(stderr, "%s\n", describe(service.error()).c_str());
        return 2;
    }
    const Key server = opensslKey(2048);
    const Key unit = opensslKey(1024);
    const std::size_t times = std::min<std::size_t>(units, 400);
    double rsa = rsaSecondsEverywhere(server, unit, times);
    double processor = 0;
    std::size_t passed = 0;
    std::size_t refused = 0;
    for (std::size_t i = 0; i < rounds; ++i) {
        const Round round = runRound(**service, *counter, units, orders, answers);
        std::printf("round %zu: %zu of %zu units passed in %.2f s, %.3f ms of processor time "
                    "each, %zu KiB per waiting connection\n",
                    i + 1, round.passed, units, round.wall,
                    round.processor * 1e3 / static_cast<double>(units), round.perConnection / 1024);
        refused += units - round.passed;
        if (i > 0 || rounds == 1) { // the first one writes a lock for each unit
            processor += round.processor;
            passed += round.passed;
        }
        rsa += rsaSecondsEverywhere(server, unit, times);
    }
    rsa /= static_cast<double>(rounds + 1);
    const double rate = static_cast<double>(passed) / processor;
    std::printf("%zu handshakes refused; %.1f per processor second; RSA alone allows %.1f "
                "(%.3f ms)\n%-62s %6.3f  (at least %.2f)\n",
                refused, rate, 1 / rsa, rsa * 1e3,
                "handshakes per processor second beside RSA alone", rate * rsa, kAim);
    if (refused > 0 || (units >= kJudgedFrom && rate * rsa < kAim))
        return 1;
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    const std::size_t units = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0;
    const std::size_t rounds = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
    if (units == 0 || rounds == 0) {
        std::fputs("handshake_speed UNITS [ROUNDS]\n", stderr);
        return 64;
    }
    allowManyFiles();
    std::string folder = (std::filesystem::temp_directory_path() / "handshake-XXXXXX").string();
    std::array<int, 2> orders{};
    std::array<int, 2> answers{};
    if (::mkdtemp(folder.data()) == nullptr || ::pipe(orders.data()) != 0 ||
        ::pipe(answers.data()) != 0)
        return 2;
    std::vector<RsaPrivateKey> keys;
    for (std::size_t i = 0; i < kKeys; ++i)
        keys.push_back(RsaPrivateKey::generate(1024).value());
    registerAll(folder, keys, units);
    const pid_t child = ::fork(); // no thread is there yet
    if (child == 0) {
        ::close(orders[1]);
        ::close(answers[0]);
        beUnits(keys, units, folder, orders[0], answers[1]);
    }
    ::close(orders[0]);
    ::close(answers[1]);
    const int outcome = measure(folder, units, rounds, orders[1], answers[0]);
    ::close(orders[1]);
    ::waitpid(child, nullptr, 0);
    std::filesystem::remove_all(folder);
    return outcome;
}
