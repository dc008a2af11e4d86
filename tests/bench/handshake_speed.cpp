// handshake_speed UNITS [ROUNDS]: completed handshakes per second of the server's processor time
// beside what the RSA operations of a handshake allow, and the memory that a connection takes.
//
// The reference is 1 decryption and 1 signature with the server's own key and 1 encryption to a
// unit's key, by the same OpenSSL with PKCS#1 v1.5 padding and its blinding, with everything
// prepared that can be, on every processor at once; processor time of those threads. It is taken
// before and behind each round, so that what else loads the machine falls on both, and a round is
// compared with its two neighbours; the median over the rounds counts. The first round, in which
// each key is bound, is printed and not counted where there are several.
//
// The server is counted as a process, accepting and hanging up included. The units are another
// process of one thread: all of them are connected before the first one answers its nonce. That
// thread is one of batch jobs: it does not interrupt the server's, as units on a network do not.
//
// Ends with 1 where a unit is refused or, with 1000 units or more, where the server reaches less
// than 85 %. The full run is `handshake_speed 1000 8`.
#include "cloud/cloud_service.h"
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "dialing_units.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using namespace provost;
using namespace std::chrono_literals;

constexpr double kAim = 0.85;
constexpr std::size_t kJudgedFrom = 1000;
constexpr std::size_t kKeys = 8; ///< shared by all units: nobody looks for duplicates here

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

/// The keys of the measured server and of one of its units.
struct Keys {
    Key server;
    Key unit;
};

template <auto Read>
Key opensslKey(std::string_view pem)
{
    BIO* const from = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    Key key(Read(from, nullptr, nullptr, nullptr), &EVP_PKEY_free);
    BIO_free(from);
    if (!key)
        std::abort();
    return key;
}

Keys keysOf(const std::filesystem::path& folder, const RsaPrivateKey& unit)
{
    const Bytes server = readFile(folder / "server-key.pem", 16384).value();
    return {.server = opensslKey<PEM_read_bio_PrivateKey>(toText(server)),
            .unit = opensslKey<PEM_read_bio_PUBKEY>(unit.publicKey().toPem())};
}

Context prepared(const Key& key, int (*start)(EVP_PKEY_CTX*))
{
    Context context(EVP_PKEY_CTX_new(key.get(), nullptr), &EVP_PKEY_CTX_free);
    if (start(context.get()) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1)
        std::abort();
    return context;
}

/// Processor seconds of one decryption and one signature (2048 bits) and one encryption (1024).
double rsaSeconds(const Keys& keys, std::size_t times)
{
    const auto& [server, unit] = keys;
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
double rsaSecondsEverywhere(const Keys& keys, std::size_t times)
{
    std::vector<double> each(std::max(1U, std::thread::hardware_concurrency()));
    {
        std::vector<std::jthread> threads;
        for (double& one : each)
            threads.emplace_back([&] { one = rsaSeconds(keys, times); });
    }
    return std::accumulate(each.begin(), each.end(), 0.0) / static_cast<double>(each.size());
}

// --- the units

/// Dials with all units at once whenever a port comes through the pipe; says how many passed.
[[noreturn]] void beUnits(const std::vector<RsaPrivateKey>& keys, std::size_t units,
                          const std::filesystem::path& folder, int orders, int answers)
{
    const sched_param none{};
    static_cast<void>(::sched_setscheduler(0, SCHED_BATCH, &none));
    std::vector<test::DialingUnit> all;
    for (std::size_t i = 0; i < units; ++i)
        all.push_back({.deviceId = unitNumber(i), .key = &keys[i % keys.size()]});
    std::uint16_t port = 0;
    while (::read(orders, &port, sizeof port) == sizeof port) {
        const auto pem = readFile(folder / "server-key.pub.pem", 16384).value();
        const auto dialing =
            test::DialingUnits::connect(all, port, RsaPublicKey::fromText(pem).value());
        mustTell(answers, &port, sizeof port); // all are connected: it is looked at what that takes
        mustHear(orders, &port, sizeof port);
        const std::size_t passed = dialing ? dialing->finish() : 0;
        mustTell(answers, &passed, sizeof passed);
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

double medianOf(std::vector<double> values)
{
    std::ranges::sort(values);
    const std::size_t half = values.size() / 2;
    return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

int measure(const std::filesystem::path& folder, const std::vector<RsaPrivateKey>& keys,
            std::size_t units, std::size_t rounds, int orders, int answers)
{
    static_cast<void>(setUpSecureHeap()); // as the product does
    const SystemClock clock;
    const auto counter = std::make_shared<Counter>();
    const auto service = CloudService::start(
        {.folder = folder, .rest = false, .maxHandshakes = units + 8}, clock, counter);
    if (!service) {
        std::fprintf(stderr, "%s\n", describe(service.error()).c_str());
        return 2;
    }
    const Keys pair = keysOf(folder, keys.front());
    const std::size_t times = std::min<std::size_t>(units, 300);
    std::vector<double> ratios;
    std::size_t refused = 0;
    double before = rsaSecondsEverywhere(pair, times);
    for (std::size_t i = 0; i < rounds; ++i) {
        const Round round = runRound(**service, *counter, units, orders, answers);
        const double behind = rsaSecondsEverywhere(pair, times);
        const double each = round.processor / static_cast<double>(units);
        const double rsa = (std::exchange(before, behind) + behind) / 2;
        std::printf("round %zu: %zu of %zu units passed in %.2f s; processor time each %.3f ms, "
                    "RSA alone %.3f ms, %.3f; %zu KiB per waiting connection\n",
                    i + 1, round.passed, units, round.wall, each * 1e3, rsa * 1e3, rsa / each,
                    round.perConnection / 1024);
        refused += units - round.passed;
        if (i > 0 || rounds == 1) // the first one writes a lock for each unit
            ratios.push_back(rsa / each);
    }
    const double ratio = medianOf(ratios);
    std::printf("%zu handshakes refused\n%-62s %6.3f  (at least %.2f)\n", refused,
                "handshakes per processor second beside RSA alone (median)", ratio, kAim);
    return refused > 0 || (units >= kJudgedFrom && ratio < kAim) ? 1 : 0;
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
    const int outcome = measure(folder, keys, units, rounds, orders[1], answers[0]);
    ::close(orders[1]);
    ::waitpid(child, nullptr, 0);
    std::filesystem::remove_all(folder);
    return outcome;
}
