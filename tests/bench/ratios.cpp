#include "bench/ratios.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <vector>

namespace provost::test {

namespace {

struct Notes {
    std::map<std::string, std::vector<double>> values{};
    std::vector<Ratio> ratios{};
};

Notes& notes()
{
    static Notes all;
    return all;
}

double valueOf(const Ratio& ratio, const std::vector<double>& over,
               const std::vector<double>& under)
{
    if (!ratio.byTurns)
        return *std::ranges::min_element(over) / *std::ranges::min_element(under);
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
        const double value = valueOf(ratio, upper->second, lower->second);
        const bool reached = ratio.atMost ? value <= ratio.aim : value >= ratio.aim;
        all = all && reached;
        std::printf("%-62s %6.3f  (%s %.2f)%s\n", ratio.text.c_str(), value,
                    ratio.atMost ? "at most" : "at least", ratio.aim, reached ? "" : "  MISSED");
    }
    return all;
}

} // namespace provost::test
