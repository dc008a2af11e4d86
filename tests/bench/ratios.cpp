#include "bench/ratios.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <vector>

namespace provost::test {

namespace {

constexpr double kMostForeignShare = 0.25;

struct Notes {
    std::map<std::string, std::vector<double>> values{};
    std::vector<Ratio> ratios{};
};

Notes& notes()
{
    static Notes all;
    return all;
}

double least(const std::vector<double>& values)
{
    return *std::ranges::min_element(values);
}

double valueOf(const Ratio& ratio, const std::vector<double>& over,
               const std::vector<double>& under)
{
    if (!ratio.byTurns)
        return least(over) / least(under);
    std::vector<double> turns(std::min(over.size(), under.size()));
    std::ranges::transform(over, under, turns.begin(), std::divides<>());
    std::ranges::sort(turns);
    return turns[turns.size() / 2];
}

} // namespace

void note(const std::string& name, double value)
{
    notes().values[name].push_back(value);
}

void compare(Ratio ratio)
{
    notes().ratios.push_back(std::move(ratio));
}

bool printRatios()
{
    bool all = true;
    for (const Ratio& ratio : notes().ratios) {
        const auto upper = notes().values.find(ratio.over);
        const auto lower = notes().values.find(ratio.under);
        if (upper == notes().values.end() || lower == notes().values.end())
            continue;
        const auto pace = notes().values.find(ratio.unlessMostIs);
        if (pace != notes().values.end() &&
            least(pace->second) > kMostForeignShare * least(upper->second)) {
            std::printf("%-62s    --   (%s: %.2f s of %.2f s)\n", ratio.text.c_str(),
                        ratio.unlessMostIs.c_str(), least(pace->second), least(upper->second));
            continue;
        }
        const double value = valueOf(ratio, upper->second, lower->second);
        const bool reached = ratio.atMost ? value <= ratio.aim : value >= ratio.aim;
        all = all && reached;
        std::printf("%-62s %6.3f  (%s %.2f)%s\n", ratio.text.c_str(), value,
                    ratio.atMost ? "at most" : "at least", ratio.aim, reached ? "" : "  MISSED");
    }
    return all;
}

} // namespace provost::test
