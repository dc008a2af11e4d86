// pool_speed KEYS: what a key costs in the pool on all cores beside plain generation by OpenSSL on
// all cores, how long a unit waits for a key while some are there, and what the gate before a burn
// takes. Times are printed, never judged; every key is tried.
//
// Both make keys by turns, so that what else loads the machine falls on both, and who begins by
// turns too. Compared is processor time a key; how many cores each kept busy stands beside it. The
// time a key takes scatters by half of itself, as primes are found by chance: of 600 keys the ratio
// is good to 3 %. A turn is 50 keys; the full run is `pool_speed 1200`.
#include "crypto/key_pool.h"
#include "crypto/rsa_key.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <thread>
#include <vector>

namespace {

using namespace provost;

constexpr std::size_t kKeysATurn = 50; ///< fits the secure heap many times
constexpr double kRatioAim = 0.95;
constexpr double kWaitAimMs = 1;
constexpr double kGateAimMs = 5;

double seconds(clockid_t which)
{
    timespec now{};
    ::clock_gettime(which, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

unsigned cores()
{
    return std::max(1U, std::thread::hardware_concurrency());
}

/// What making keys took, in seconds.
struct Cost {
    double processor = 0;
    double wall = 0;
};

class Stopwatch {
public:
    void addTo(Cost& cost) const
    {
        cost.processor += seconds(CLOCK_PROCESS_CPUTIME_ID) - m_processor;
        cost.wall += seconds(CLOCK_MONOTONIC) - m_wall;
    }

private:
    double m_processor = seconds(CLOCK_PROCESS_CPUTIME_ID);
    double m_wall = seconds(CLOCK_MONOTONIC);
};

/// By OpenSSL alone.
void makePlain(std::size_t count, Cost& cost)
{
    const Stopwatch watch;
    std::atomic<std::size_t> next{0};
    {
        std::vector<std::jthread> threads;
        for (unsigned i = 0; i < cores(); ++i)
            threads.emplace_back([&] {
                while (next++ < count)
                    EVP_PKEY_free(EVP_RSA_gen(1024));
            });
    }
    watch.addTo(cost);
}

/// Milliseconds, of every key.
struct Served {
    std::vector<double> waits{};
    std::vector<double> gates{};
    std::size_t good = 0;
};

void takeAll(KeyPool& pool, std::size_t count, const KeyRules& rules, Served& served)
{
    for (std::size_t i = 0; i < count; ++i) {
        const double asked = seconds(CLOCK_MONOTONIC);
        const auto key = pool.take(rules);
        const double given = seconds(CLOCK_MONOTONIC);
        served.good += key && readAsUnit(key->privateDer.reveal(), rules).readable ? 1 : 0;
        served.gates.push_back((seconds(CLOCK_MONOTONIC) - given) * 1e3);
        served.waits.push_back((given - asked) * 1e3);
    }
}

/// Through a pool that is filled from empty, and emptied then.
void makePooled(std::size_t count, const KeyRules& rules, Cost& cost, Served& served)
{
    std::mutex mutex;
    std::condition_variable full;
    bool done = false;
    const Stopwatch watch;
    KeyPool pool(
        {.rules = rules, .size = count, .threads = cores(), .onChange = [&](std::size_t waiting) {
             const std::lock_guard lock(mutex);
             done = done || waiting >= count;
             full.notify_all();
         }});
    {
        std::unique_lock lock(mutex);
        full.wait(lock, [&] { return done; });
    }
    watch.addTo(cost);
    takeAll(pool, count, rules, served);
}

void printTimes(const char* what, std::vector<double> times, double aim)
{
    std::ranges::sort(times);
    std::printf("%-38s median %7.3f ms, 99 of 100 %7.3f ms, longest %7.3f ms  (below %.0f ms)\n",
                what, times[times.size() / 2], times[times.size() * 99 / 100], times.back(), aim);
}

} // namespace

int main(int argc, char** argv)
{
    const std::size_t count = argc == 2 ? std::strtoull(argv[1], nullptr, 10) : 0;
    if (count == 0) {
        std::fputs("pool_speed KEYS\n", stderr);
        return 64;
    }
    if (!setUpSecureHeap())
        std::puts("this system does not lock memory: measured without the secure heap");
    const auto rules = keyRulesOf(6).value();
    Cost plain;
    Cost pooled;
    Served served;
    bool pooledFirst = false;
    for (std::size_t made = 0; made < count; made += kKeysATurn) {
        const std::size_t turn = std::min(kKeysATurn, count - made);
        if (pooledFirst)
            makePooled(turn, rules, pooled, served);
        makePlain(turn, plain);
        if (!pooledFirst)
            makePooled(turn, rules, pooled, served);
        pooledFirst = !pooledFirst;
    }
    const auto keys = static_cast<double>(count);
    std::printf("%zu of %zu keys readable by the unit's own rules\n", served.good, count);
    printTimes("a unit waits for a key that is there", served.waits, kWaitAimMs);
    printTimes("the gate before a burn takes", served.gates, kGateAimMs);
    std::printf("%u cores; plain %.2f ms of processor time a key, %.2f cores busy; pool %.2f ms, "
                "%.2f cores busy\n%-62s %6.3f  (at least %.2f)\n",
                cores(), plain.processor * 1e3 / keys, plain.processor / plain.wall,
                pooled.processor * 1e3 / keys, pooled.processor / pooled.wall,
                "keys of the pool per processor second beside plain generation",
                plain.processor / pooled.processor, kRatioAim);
    return served.good == count ? 0 : 1;
}
