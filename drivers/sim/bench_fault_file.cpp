#include "core/text.h"
#include "sim/bench_table_p.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::pair<std::string_view, FaultSpec::Kind> kFaultWords[] = {
    {"stall", FaultSpec::Kind::Stall},
    {"timeout", FaultSpec::Kind::Timeout},
    {"short", FaultSpec::Kind::Short},
    {"bit-flip", FaultSpec::Kind::BitFlip},
    {"unplug", FaultSpec::Kind::Unplug},
    {"brown-out", FaultSpec::Kind::BrownOut},
    {"stuck-busy", FaultSpec::Kind::StuckBusy},
    {"lying-poll", FaultSpec::Kind::LyingPoll},
    {"locked-credentials", FaultSpec::Kind::LockedCredentials},
    {"deaf-radio", FaultSpec::Kind::DeafRadio},
};

constexpr std::pair<std::string_view, FaultKind> kProbeFaultWords[] = {
    {"stall", FaultKind::Stall},      {"timeout", FaultKind::Timeout}, {"short", FaultKind::Short},
    {"bit-flip", FaultKind::BitFlip}, {"unplug", FaultKind::Unplug},
};
constexpr std::pair<std::string_view, FaultPipe> kPipeWords[] = {{"control", FaultPipe::Control},
                                                                 {"bulk", FaultPipe::Bulk}};

constexpr std::pair<std::string_view, Eraser> kEraserWords[] = {
    {"dfu", Eraser::Dfu}, {"ymodem", Eraser::Receiver}, {"table", Eraser::Table}};

/// Takes a number that has to be there.
Result<std::uint32_t> need(BenchTable& reader, std::string_view key, std::int64_t most)
{
    std::int64_t value = -1;
    TRY(reader.take(key, value));
    if (value < 0 || value > most)
        return reader.wrong(reader.find(key), concat(key, ": 0 to ", most, " is needed"));
    return static_cast<std::uint32_t>(value);
}

Result<> readPlace(BenchTable& reader, const BoardProfile& board, FaultSpec& fault)
{
    std::string of;
    TRY(reader.take("of", of));
    const auto region =
        std::find_if(board.regions.begin(), board.regions.end(), [&of](const ModuleRegion& each) {
            return each.location == 'm' && nameOf(each) == of;
        });
    if (region == board.regions.end())
        return reader.wrong(reader.find("of"),
                            concat("of: \"", of, "\" is no module of a ", board.spoken,
                                   "; such as ", nameOf(board.systemRegion())));
    fault.region = &*region;
    fault.number = TRY(need(reader, "percent", 100));
    return {};
}

} // namespace

Result<FaultSpec> readFault(const toml::table& table, const BoardProfile& board,
                            std::string_view origin)
{
    using Kind = FaultSpec::Kind;
    constexpr std::int64_t kMost = 100000000;
    FaultSpec fault;
    BenchTable reader(table, "slot.unit.fault", origin);
    if (reader.find("kind") == nullptr)
        return reader.wrong(nullptr, "kind: is needed");
    TRY(reader.word("kind", kFaultWords, fault.kind));
    if (fault.kind == Kind::LockedCredentials || fault.kind == Kind::DeafRadio) {
        TRY(reader.noOthers());
        return fault;
    }
    const bool byPlace = fault.kind == Kind::Unplug && reader.find("percent") != nullptr;
    if (byPlace)
        TRY(readPlace(reader, board, fault));
    else if (fault.kind == Kind::BrownOut) {
        fault.number = TRY(need(reader, "erase", kMost));
        TRY(reader.word("of", kEraserWords, fault.eraser));
    } else if (fault.kind == Kind::StuckBusy)
        fault.number = TRY(need(reader, "work", kMost));
    else if (fault.kind == Kind::LyingPoll)
        fault.number = TRY(need(reader, "poll_ms", 0xFFFFFF));
    else {
        TRY(reader.word("pipe", kPipeWords, fault.pipe));
        fault.number = TRY(need(reader, "transfer", kMost));
    }
    if (fault.number == 0 && fault.kind != Kind::LyingPoll && !byPlace)
        return reader.wrong(nullptr, "counted from 1");
    TRY(reader.noOthers());
    return fault;
}

Result<ProbeFault> readProbeFault(const toml::table& table, std::string_view origin)
{
    constexpr std::int64_t kMost = 100000000;
    ProbeFault fault;
    BenchTable reader(table, "probe.fault", origin);
    if (reader.find("kind") == nullptr)
        return reader.wrong(nullptr, "kind: is needed");
    TRY(reader.word("kind", kProbeFaultWords, fault.kind));
    TRY(reader.word("pipe", kPipeWords, fault.pipe));
    fault.transfer = TRY(need(reader, "transfer", kMost));
    if (fault.transfer == 0)
        return reader.wrong(nullptr, "counted from 1");
    TRY(reader.noOthers());
    return fault;
}

} // namespace provost::sim
