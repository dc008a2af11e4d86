#include "bench/ratios.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <vector>

namespace provost::test {

namespace {

constexpr double kMostForeignShare = 0.25;

struct Notes {
    std::map<std::string, double> least{};
    std::vector<Ratio> ratios{};
};

Notes& notes()
{
    static Notes all;
    return all;
}

} // namespace

void note(const std::string& name, double value)
{
    const auto [at, isNew] = notes().least.emplace(name, value);
    if (!isNew)
        at->second = std::min(at->second, value);
}

void compare(Ratio ratio)
{
    notes().ratios.push_back(std::move(ratio));
}

bool printRatios()
{
    bool all = true;
    for (const auto& [text, over, under, aim, atMost, unless] : notes().ratios) {
        const auto upper = notes().least.find(over);
        const auto lower = notes().least.find(under);
        if (upper == notes().least.end() || lower == notes().least.end())
            continue;
        const auto pace = notes().least.find(unless);
        if (pace != notes().least.end() && pace->second > kMostForeignShare * upper->second) {
            std::printf("%-62s    --   (%s: %.2f s of %.2f s)\n", text.c_str(), unless.c_str(),
                        pace->second, upper->second);
            continue;
        }
        const double value = upper->second / lower->second;
        const bool reached = atMost ? value <= aim : value >= aim;
        all = all && reached;
        std::printf("%-62s %6.3f  (%s %.2f)%s\n", text.c_str(), value,
                    atMost ? "at most" : "at least", aim, reached ? "" : "  MISSED");
    }
    return all;
}

} // namespace provost::test
