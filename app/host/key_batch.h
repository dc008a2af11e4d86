// A batch of key injection: begun once, gone on with after any stop.
#pragma once

#include "engine/plan.h"
#include "store/journal.h"

namespace provost {

struct KeyBatchOrder {
    std::string platform{};
    std::string name{}; ///< empty: platform and time; with `resume`: the latest one of this order
    int wanted = 0;
    bool resume = false;
};

/// @returns Denied           a batch of this name has begun, and `resume` is not set
///          NotFound         there is none to go on with
///          InvalidArgument  the plan or the number of units differs from what it began with
Result<KeyBatch> beginOrResume(Journal& journal, const TestPlan& plan, const std::string& station,
                               const KeyBatchOrder& order, const Clock& clock);

struct BatchCounts {
    int injected = 0;
    int kept = 0;
    int held = 0; ///< of the two above: the cloud's answer is awaited
    int refused = 0;
    int failed = 0;
    int open = 0;
    int done() const { return injected + kept; }
};
BatchCounts countOf(const std::vector<BatchUnit>& units);

} // namespace provost
