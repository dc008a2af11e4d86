// provost-bench as a child of a command, for what only the process of the bench can do: a probe
// with a core behind it that executes loaders.
#pragma once

#include "core/op_context.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace provost::cli {

/// Ends with this object, and with this process whatever becomes of it.
class ServedBench {
public:
    struct Probe {
        int number = 0;
        std::optional<int> slot{}; ///< whose unit it is wired to; nothing: a chip of its own
        std::string busId{};
    };
    /// @param file  of the bench
    /// @returns NotFound, InvalidData, Timeout  as the program says it
    static Result<std::unique_ptr<ServedBench>> start(const std::filesystem::path& file,
                                                      const OpContext& op);
    ~ServedBench();
    std::uint16_t port() const;
    const std::vector<Probe>& probes() const;

private:
    struct Impl;
    explicit ServedBench(std::unique_ptr<Impl> impl);
    const std::unique_ptr<Impl> m_impl;
};

} // namespace provost::cli
