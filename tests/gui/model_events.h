// What the tests of several models begin with: one unit, how its run ended, what a tile says.
#pragma once

#include "fake_station.h"
#include "models/slot_model.h"

namespace provost::test {

inline const std::string kId = "3d0021000447343138333038";

/// The text behind a role of a slot's row.
inline QString said(const SlotModel& model, int slot, int role)
{
    return model.indexOf(SlotId{slot}).data(role).toString();
}

inline RunFinished ended(Verdict verdict, std::string cause = {})
{
    return finished(1, 1, kId, verdict, std::move(cause), 41.8);
}

inline Measurement number(double value, Limit limit)
{
    Measurement measurement{.name = "throughput", .limit = std::move(limit)};
    measurement.value = value;
    return measurement;
}

using Events = std::vector<StationEvent>;

} // namespace provost::test
