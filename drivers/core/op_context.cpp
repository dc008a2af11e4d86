#include "core/op_context.h"

#include <algorithm>

namespace provost {

void Progress::advance(std::uint64_t done, std::uint64_t total) const
{
    if (sink == nullptr || total == 0)
        return;
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    sink->report(phase, from + (to - from) * share);
}

Result<> OpContext::checkpoint() const
{
    if (stop.stop_requested())
        return fail(Errc::Cancelled, Blame::Operator, "stopped");
    if (clock.now() >= deadline.at)
        return fail(Errc::Timeout, Blame::Unit, "deadline reached");
    return {};
}

Result<> OpContext::sleepFor(std::chrono::milliseconds span) const
{
    TRY(checkpoint());
    const auto wanted = clock.now() + span;
    TRY(clock.sleepUntil(std::min(wanted, deadline.at), stop));
    if (wanted > deadline.at)
        return fail(Errc::Timeout, Blame::Unit, "deadline reached while waiting");
    return {};
}

std::chrono::milliseconds OpContext::remaining() const
{
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline.at - clock.now());
    return std::max(left, std::chrono::milliseconds(0));
}

OpContext OpContext::phase(std::string_view name, double from, double to) const
{
    OpContext inner = *this;
    const double width = progress.to - progress.from;
    inner.progress.phase = name.empty() ? progress.phase : name;
    inner.progress.from = progress.from + width * from;
    inner.progress.to = progress.from + width * to;
    return inner;
}

OpContext OpContext::part(std::size_t index, std::size_t count) const
{
    const double size = 1.0 / static_cast<double>(std::max<std::size_t>(count, 1));
    return phase({}, static_cast<double>(index) * size, static_cast<double>(index + 1) * size);
}

OpContext OpContext::within(std::chrono::milliseconds span) const
{
    OpContext inner = *this;
    inner.deadline.at = std::min(deadline.at, clock.now() + span);
    return inner;
}

OpContext OpContext::withSecrets() const
{
    OpContext inner = *this;
    inner.sensitive = true;
    return inner;
}

OpContext OpContext::withoutSecrets() const
{
    OpContext inner = *this;
    inner.sensitive = false;
    return inner;
}

OpContext OpContext::shielded(std::chrono::milliseconds budget) const
{
    OpContext inner = *this;
    inner.stop = std::stop_token{};
    inner.deadline.at = clock.now() + budget;
    return inner;
}

} // namespace provost
