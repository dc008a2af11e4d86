// pool_speed KEYS: how fast the pool makes keys on all cores against plain generation on all cores,
// how long a unit waits for a key while some are there, and what the gate before a burn takes.
// Times are printed, never judged; every key is tried. The full run is `pool_speed 600`, as many as
// the secure heap holds.
#include "crypto/key_pool.h"
#include "crypto/rsa_key.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

namespace {

using namespace provost;
using Steady = std::chrono::steady_clock;

double secondsSince(Steady::time_point when)
{
    return std::chrono::duration<double>(Steady::now() - when).count();
}

unsigned cores()
{
    return std::max(1U, std::thread::hardware_concurrency());
}

/// Keys a second by OpenSSL alone.
double plainRate(std::size_t count)
{
    const auto began = Steady::now();
    std::atomic<std::size_t> next{0};
    {
        std::vector<std::jthread> threads;
        for (unsigned i = 0; i < cores(); ++i)
            threads.emplace_back([&] {
                while (next++ < count)
                    static_cast<void>(RsaPrivateKey::generate(1024));
            });
    }
    return static_cast<double>(count) / secondsSince(began);
}

/// Keys a second through a pool that is filled from empty.
double poolRate(std::size_t count, const KeyRules& rules)
{
    std::mutex mutex;
    std::condition_variable full;
    bool done = false;
    const auto began = Steady::now();
    KeyPool pool(
        {.rules = rules, .size = count, .threads = cores(), .onChange = [&](std::size_t waiting) {
             const std::lock_guard lock(mutex);
             done = done || waiting >= count;
             full.notify_all();
         }});
    std::unique_lock lock(mutex);
    full.wait(lock, [&] { return done; });
    const double rate = static_cast<double>(count) / secondsSince(began);
    lock.unlock();

    double longest = 0;
    double gate = 0;
    std::size_t good = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const auto asked = Steady::now();
        const auto key = pool.take(rules);
        longest = std::max(longest, secondsSince(asked));
        const auto tried = Steady::now();
        good += key && readAsUnit(key->privateDer.reveal(), rules).readable ? 1 : 0;
        gate += secondsSince(tried);
    }
    std::printf("%zu of %zu keys readable; longest wait for a key %.3f ms; gate %.2f ms on "
                "average\n",
                good, count, longest * 1e3, gate * 1e3 / static_cast<double>(count));
    return good == count ? rate : 0;
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
    const double plain = plainRate(count);
    const double pooled = poolRate(count, rules);
    std::printf("%u cores: plain %.1f keys/s, pool %.1f keys/s, %.1f %%\n", cores(), plain, pooled,
                pooled / plain * 100);
    return pooled > 0 ? 0 : 1;
}
