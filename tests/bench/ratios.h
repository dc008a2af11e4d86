// What is compared at the end of a run.
#pragma once

#include <string>

namespace provost::test {

/// Keeps the least of several measurements of one name.
void note(const std::string& name, double value);
/// "how much of `of` is `value`", to be at least (or at most) `aim`; printed by printRatios() if
/// both were measured.
struct Ratio {
    std::string text{};
    std::string over{};  ///< name of a measurement
    std::string under{}; ///< name of a measurement
    double aim = 0;
    bool atMost = false;
    /// Name of a measurement: where it is more than a quarter of `over`, it is told instead of the
    /// ratio, which judges nothing then. Empty: none.
    std::string unlessMostIs{};
};
void compare(Ratio ratio);
/// One line each. False: one of them misses its aim.
bool printRatios();

} // namespace provost::test
