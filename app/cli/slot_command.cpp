// `provost slot …`: which slots are off, and switching them, as the Line screen does.
#include "cli/commands.h"
#include "cli/output.h"
#include "config/load_station.h"
#include "core/text.h"
#include "host/host.h"
#include "host/slot_switches.h"

#include <algorithm>

namespace provost::cli {

namespace {

/// Nobody listens: the station is not running, else the database would not open.
class NoListener final : public EventSink {
public:
    void post(StationEvent) override {}
};

struct SlotSet {
    SystemClock clock{};
    NoListener nobody{};
    std::vector<SlotId> slots{};
    std::unique_ptr<Journal> journal{};
    std::unique_ptr<SlotSwitches> switches{};
};

Result<std::unique_ptr<SlotSet>> openSlots(const Arguments& arguments, bool forWriting)
{
    const bool simulated = arguments.has("simulate");
    if (simulated == arguments.has("station"))
        return fail(Errc::InvalidArgument, Blame::Operator,
                    "--station or --simulate: name one, whose slots are meant");
    auto set = std::make_unique<SlotSet>();
    const auto file = arguments.has("db") ? std::filesystem::path(arguments.text("db"))
                                          : stateFolder() / "provost.db";
    set->journal =
        TRY(forWriting ? Journal::open(file, set->clock) : Journal::openReadOnly(file, set->clock));
    set->switches = std::make_unique<SlotSwitches>(*set->journal, set->nobody, simulated);
    if (simulated) {
        const auto bench =
            TRY(sim::Bench::load(fileOf(arguments.text("simulate"), dataFolders().benches)));
        for (const auto& slot : bench->slots())
            set->slots.push_back(SlotId{slot.number});
    } else {
        const auto station = TRY(loadStation(arguments.text("station")));
        for (const auto& slot : station.slots) {
            set->slots.push_back(slot.slot);
            if (!slot.enabled)
                set->switches->offByConfiguration(slot.slot, slot.why);
        }
    }
    TRY(set->switches->load(set->slots));
    return set;
}

void printSlot(const SlotSet& set, SlotId slot, bool json)
{
    const auto off = set.switches->whyOff(slot);
    const auto part = [&](std::string SlotOff::* text) {
        return off && !((*off).*text).empty() ? std::optional((*off).*text) : std::nullopt;
    };
    if (json)
        printJson({{"event", "slot"},
                   {"slot", slot.value},
                   {"off", off.has_value()},
                   {"why", part(&SlotOff::why)},
                   {"actor", part(&SlotOff::actor)},
                   {"at_utc", part(&SlotOff::atUtc)}});
    else
        printText(concat("slot ", slot.value, off ? "  OFF  " : "  in use",
                         off ? describe(*off) : std::string()));
}

Result<> listSlots(const Arguments& arguments)
{
    const auto set = TRY(openSlots(arguments, false));
    const bool json = arguments.has("json");
    for (const auto slot : set->slots)
        printSlot(*set, slot, json);
    const auto off = std::ranges::count_if(
        set->slots, [&](SlotId slot) { return set->switches->whyOff(slot).has_value(); });
    if (json)
        printJson({{"event", "slots"}, {"count", set->slots.size()}, {"off", off}});
    return {};
}

Result<> turnSlot(const Arguments& arguments, bool on)
{
    const std::string& given = arguments.positionals()[0];
    const auto set = TRY(openSlots(arguments, true));
    const auto slot = std::ranges::find_if(
        set->slots, [&](SlotId each) { return std::to_string(each.value) == given; });
    if (slot == set->slots.end())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("slot ", given, ": there is no such slot; see provost slot list"));
    TRY(set->switches->turn(*slot, on, arguments.text("why"), [](SlotId) { return false; }));
    printSlot(*set, *slot, arguments.has("json"));
    return {};
}

} // namespace

std::vector<Command> slotCommands()
{
    const std::vector<Option> where{
        {.name = "station", .value = "STATION.toml", .help = "slots of a real line"},
        {.name = "simulate", .value = "BENCH.toml", .help = "slots of a virtual bench"},
        {.name = "db",
         .value = "FILE",
         .help = "database, else provost.db in the user's state folder"}};
    auto withReason = where;
    withReason.push_back({.name = "why", .value = "TEXT", .help = "the reason that its tile says"});
    const std::string notes = "A slot stays off until it is switched on again; what station.toml "
                              "switches off stays off.\nWhile the station runs its screen "
                              "switches: touch a tile and hold it.";
    return {{.path = "slot list",
             .summary = "Says which slots are off and why",
             .options = where,
             .example = "provost slot list --simulate photon-quick",
             .run = [](const Arguments& a) { return reportIfFailed(listSlots(a), a); },
             .notes = notes,
             .looksOnly = true},
            {.path = "slot off",
             .summary = "Switches a slot off: nothing runs there",
             .positionals = "SLOT",
             .minPositionals = 1,
             .maxPositionals = 1,
             .options = withReason,
             .example = "provost slot off 8 --simulate photon-quick --why \"fixture cable\"",
             .run = [](const Arguments& a) { return reportIfFailed(turnSlot(a, false), a); },
             .notes = notes},
            {.path = "slot on",
             .summary = "Switches a slot on again",
             .positionals = "SLOT",
             .minPositionals = 1,
             .maxPositionals = 1,
             .options = where,
             .example = "provost slot on 8 --simulate photon-quick",
             .run = [](const Arguments& a) { return reportIfFailed(turnSlot(a, true), a); },
             .notes = notes}};
}

} // namespace provost::cli
