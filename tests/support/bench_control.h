// The hands at a bench for a test that runs in another process: a line of text over loopback does
// what Bench's functions do.
#pragma once

#include "sim/bench.h"

#include <memory>
#include <string>

namespace provost::test {

/// One command a line, answered by `ok` or `error …`:
/// `power SLOT on|off`, `mode SLOT MILLISECONDS`, `next SLOT`,
/// `fail SLOT NTH stall|timeout|short|unplug`.
Result<> obey(sim::Bench& bench, const std::string& command);

/// Thread-safe.
class BenchControlServer {
public:
    /// @param bench  outlives the server
    static Result<std::unique_ptr<BenchControlServer>> start(sim::Bench& bench);
    ~BenchControlServer();
    BenchControlServer(const BenchControlServer&) = delete;
    BenchControlServer& operator=(const BenchControlServer&) = delete;
    std::uint16_t port() const;

private:
    struct Impl;
    explicit BenchControlServer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

/// Has a server at 127.0.0.1 obey one command.
Result<> command(std::uint16_t port, const std::string& text);

} // namespace provost::test
