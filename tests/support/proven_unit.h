// What a unit that passed must look like, from outside and in the record.
#pragma once

#include "support/station_fixture.h"

namespace provost::test {

/// Physical address of an offset in the current application DCT (particle-devices 3.1).
std::uint32_t inCurrentDct(const sim::VirtualBoard& board, std::uint32_t offset);

/// Runs what is in slot 1, which must pass. Empty, or the first thing that is not as it must be:
/// verdict, shipping state on both DCT copies as the bench sees it, rows in the database, the
/// cloud's registry, what the unit dialled. An empty route: any.
std::string runAndProve(Station& station, const std::string& route);

/// 612 bytes of the device key slot as the chip holds it.
Bytes privateSlot(const sim::VirtualBoard& board);

std::string joined(const std::vector<std::string>& lines);
/// One slot, one unit.
StationSetup one(UnitWish unit, bool modeButton = false);

} // namespace provost::test
