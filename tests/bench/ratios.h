// What is compared at the end of a run.
#pragma once

#include <string>

namespace provost::test {

/// Keeps every measurement of a name, in their order.
void note(const std::string& name, double value);
/// How much of `under` is `over`, to be at least (or at most) `aim`; printed by printRatios() if
/// both were measured. Of several measurements the least of each name counts, or the median of what
/// those that were taken by turns have to each other.
struct Ratio {
    std::string text{};
    std::string over{};  ///< name of a measurement
    std::string under{}; ///< name of a measurement
    double aim = 0;
    bool atMost = false;
    bool byTurns = false;
    /// Name of a measurement: where it is more than a quarter of `over`, it is told instead of the
    /// ratio, which judges nothing then. Empty: none.
    std::string unlessMostIs{};
};
void compare(Ratio ratio);
/// One line each. False: one of them misses its aim.
bool printRatios();

} // namespace provost::test
