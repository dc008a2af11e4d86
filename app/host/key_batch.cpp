#include "host/key_batch.h"

#include "core/text.h"

#include <algorithm>

namespace provost {

namespace {

/// photon-20261121T190412Z; photon-20261121T190412Z-2 where the same second has seen one already.
/// Nobody else begins one meanwhile: this journal is ours.
std::string timedName(const std::vector<KeyBatch>& batches, const KeyBatchOrder& order,
                      const Clock& clock)
{
    std::string stamp = isoUtc(clock.utcNow());
    std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
    const std::string base = concat(order.platform, "-", stamp.substr(0, stamp.find('.')), "Z");
    std::string free = base;
    for (int number = 2; std::ranges::find(batches, free, &KeyBatch::name) != batches.end();
         ++number)
        free = concat(base, "-", number);
    return free;
}

Result<KeyBatch> resumed(const std::vector<KeyBatch>& batches, const TestPlan& plan,
                         const KeyBatchOrder& order)
{
    const auto fits = [&](const KeyBatch& batch) {
        return order.name.empty() ? batch.platform == order.platform && batch.wanted == order.wanted
                                  : batch.name == order.name;
    };
    const auto found = std::find_if(batches.rbegin(), batches.rend(), fits);
    if (found == batches.rend())
        return fail(Errc::NotFound, Blame::Operator,
                    concat("go on with a batch of ", order.wanted, " units of ", order.platform,
                           order.name.empty() ? "" : concat(" named ", order.name),
                           ": there is none on record; leave --resume out to begin one"));
    if (found->planDigest != plan.digest || found->wanted != order.wanted)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("go on with batch ", found->name, ": it began with ", found->wanted,
                           " units and plan ", found->planId,
                           found->planDigest == plan.digest ? "" : ", which was changed since"));
    return *found;
}

} // namespace

Result<KeyBatch> beginOrResume(Journal& journal, const TestPlan& plan, const std::string& station,
                               const KeyBatchOrder& order, const Clock& clock)
{
    const auto batches = TRY(journal.keyBatches());
    if (order.resume)
        return resumed(batches, plan, order);
    return journal.beginKeyBatch(
        {.name = order.name.empty() ? timedName(batches, order, clock) : order.name,
         .platform = order.platform,
         .planId = plan.id,
         .planDigest = plan.digest,
         .station = station,
         .wanted = order.wanted});
}

BatchCounts countOf(const std::vector<BatchUnit>& units)
{
    BatchCounts counts;
    for (const auto& unit : units) {
        counts.held += unit.held ? 1 : 0;
        switch (unit.outcome) {
        case BatchOutcome::Injected:
            ++counts.injected;
            break;
        case BatchOutcome::Kept:
            ++counts.kept;
            break;
        case BatchOutcome::Refused:
            ++counts.refused;
            break;
        case BatchOutcome::Failed:
            ++counts.failed;
            break;
        case BatchOutcome::Open:
            ++counts.open;
            break;
        }
    }
    return counts;
}

} // namespace provost
