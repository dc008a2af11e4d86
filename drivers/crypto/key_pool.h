// A few keys made ahead, so that no unit waits for one.
#pragma once

#include "crypto/key_rules.h"

#include <chrono>
#include <functional>
#include <memory>

namespace provost {

struct KeyPoolConfig {
    KeyRules rules{};
    /// Where keys come from; empty: generateKeyFor().
    std::function<Result<BurnKey>(const KeyRules&)> make{};
    std::size_t size = 2;    ///< two per slot are enough: making one takes a fraction of a run
    std::size_t threads = 1; ///< that make keys; more leave less for the line
    /// Nobody took a key for this long: all are wiped, the next take() fills the pool again.
    std::chrono::milliseconds idle{std::chrono::minutes(10)};
    /// Called from the pool's own threads after each key and each idle wipe, with the number of
    /// keys that wait.
    std::function<void(std::size_t)> onChange{};
};

/// Thread-safe. Keys wait as SecretBytes: in the secure heap where there is one, zeroed when they
/// go. They go when they are taken, on wipe(), on idleness, and with the pool.
class KeyPool {
public:
    explicit KeyPool(KeyPoolConfig config);
    ~KeyPool();

    /// A key that waits, else one made now. Keys of other rules than the pool's are made now.
    /// @returns what the maker of keys says
    Result<BurnKey> take(const KeyRules& rules);
    /// Wipes what waits and makes nothing more until the next take(): the screen was locked, the
    /// operator went.
    void wipe();
    std::size_t waiting() const;

private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

} // namespace provost
