#include "recovery_process.h"

#include "cloud/outbox_sender.h"
#include "core/text.h"
#include "crypto/unit_key.h"
#include "support/proven_unit.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace provost::test {

namespace {

constexpr auto kOutboxPatience = 20s;

std::vector<std::string> split(const std::string& line, char at)
{
    std::vector<std::string> parts;
    std::istringstream in(line);
    for (std::string part; std::getline(in, part, at);)
        parts.push_back(part);
    return parts;
}

std::string registeredKey(Station& station)
{
    const auto found = station.cloud().service().registry().find(kRecoveryUnit);
    return found && *found ? (*found)->fingerprint() : std::string{};
}

/// What the second process finds wrong, one line each.
class Survivor {
public:
    Survivor(const Ordeal& ordeal, Expected expected)
        : m_ordeal(ordeal), m_expected(expected), m_log(readLog(ordeal.folder)),
          m_station(Station::open(setupFor(ordeal)))
    {
    }

    std::vector<std::string> judge()
    {
        nothingIsLost();
        killedRunsAreClosed();
        const auto registered = registeredKey(*m_station);
        const auto waiting = m_station->journal().outbox("waiting");
        demand(waiting.has_value(), "the outbox cannot be read");
        if (waiting && !waiting->empty()) {
            demand(sendOutbox(*m_station), "the outbox is not sent");
            demand(registeredKey(*m_station) != "", "it was sent, and the cloud has no key");
        }
        m_open = m_station->journal()
                     .openIntents(kRecoveryUnit)
                     .value_or(std::vector<OpenIntent>{})
                     .size();
        if (m_ordeal.servedAt != 0) {
            stoodByAllTheTime();
            return m_wrong;
        }
        m_station->insert();
        if (m_expected == Expected::Bricked)
            bricked();
        else
            becomesAProduct(registered);
        return m_wrong;
    }

private:
    void demand(bool met, std::string otherwise)
    {
        if (!met)
            m_wrong.push_back(std::move(otherwise));
    }

    /// Every row that a victim saw committed is there, in that order.
    void nothingIsLost()
    {
        std::vector<std::string> logged;
        for (const auto& row : m_log.rows) {
            for (const auto& name : split(row.name, ';')) {
                if (!name.starts_with("table:"))
                    logged.push_back(name);
            }
        }
        const auto kept =
            m_station->query("SELECT kind || ':' || subject FROM journal ORDER BY seq");
        demand(kept.size() >= logged.size() &&
                   std::equal(logged.begin(), logged.end(), kept.begin()),
               concat("rows were lost: committed ", joined(logged), " kept ", joined(kept)));
        const auto broken = verifyDatabase(m_station->database());
        demand(broken && !*broken, "the database does not verify");
    }

    void killedRunsAreClosed()
    {
        const auto has = [this](std::string_view name) {
            return std::ranges::any_of(m_log.rows, [&](const LoggedRow& row) {
                return row.name.find(name) != std::string::npos;
            });
        };
        for (const auto& id : m_station->query("SELECT run_id FROM run")) {
            const auto run = m_station->record(RunId{std::stoll(id)});
            const bool closed = run.verdict == Verdict::Aborted && run.cause == "C001";
            const bool held = run.verdict == Verdict::Hold && run.cause == "H311";
            demand(closed || (has("finish:") && (held || run.verdict == Verdict::Pass)),
                   concat("run ", id, " is ", name(run.verdict), " ", run.cause));
        }
        demand(m_log.shown.empty() || has("finish:"), "a verdict was shown before it was on disk");
    }

    void becomesAProduct(const std::string& registered)
    {
        if (auto wrong = runAndProve(*m_station, ""); !wrong.empty())
            return m_wrong.push_back(wrong);
        const auto run = m_station->sink().all<RunFinished>().back();
        const auto inspection = m_station->attempt(run.run, "inspect");
        std::printf("%s\n", inspection.note.c_str());
        demand(inspection.note.starts_with("found") == (m_open > 0),
               concat(m_open, " intents were open, and the inspection says ", inspection.note));
        const auto rows = m_station->query("SELECT count(*) FROM journal WHERE kind = 'inspection' "
                                           "AND run_id = (SELECT max(run_id) FROM run)");
        demand(rows == std::vector<std::string>{m_open > 0 ? "1" : "0"},
               "the inspection is not in the journal");
        const auto onUnit = keyOnUnit(m_station->board());
        demand(onUnit == registeredKey(*m_station),
               concat("the cloud has another key than the unit: ", onUnit));
        demand(registered.empty() || registered == onUnit, "a second key was registered");
        demand(m_station->query("SELECT count(DISTINCT subject) FROM journal WHERE kind = "
                                "'key-state' AND payload = 'registered'") ==
                   std::vector<std::string>{"1"},
               "the journal tells of another registered key");
        demand(m_station->query("SELECT fingerprint FROM unit_key WHERE state NOT IN "
                                "('superseded', 'refused')") == std::vector<std::string>{onUnit},
               "another key counts than that on the unit");
    }

    /// Its memory is looked at by the process that has it.
    void stoodByAllTheTime()
    {
        const auto run = m_station->run(1, kRecoveryUnit);
        demand(run.verdict == Verdict::Pass, told(run));
        const auto inspection = m_station->attempt(run.run, "inspect");
        std::printf("%s\n", inspection.note.c_str());
        demand(inspection.note.starts_with("found") == (m_open > 0),
               concat(m_open, " intents were open, and the inspection says ", inspection.note));
        const auto broken = verifyDatabase(m_station->database());
        demand(broken && !*broken, "the database does not verify");
    }

    void bricked()
    {
        const auto run = m_station->run(1, kRecoveryUnit);
        demand(run.verdict == Verdict::Error && run.cause == "C010", told(run));
        demand(m_station->journal().unit(kRecoveryUnit)->state == "inspect",
               "the unit is not marked");
        demand(m_open == 1, "the intent is not open any more");
        demand(registeredKey(*m_station).empty(), "a key was registered");
        const auto broken = verifyDatabase(m_station->database());
        demand(broken && !*broken, "the database does not verify");
        std::printf("bricked: %s\n", told(run).c_str());
    }

    const Ordeal& m_ordeal;
    const Expected m_expected;
    const VictimLog m_log;
    std::unique_ptr<Station> m_station;
    std::size_t m_open = 0;
    std::vector<std::string> m_wrong{};
};

} // namespace

std::string keyOnUnit(const sim::VirtualBoard& board)
{
    std::string first;
    for (const int copy : {0, 1}) {
        const Bytes sector = board.physicalDct(copy);
        const auto key = readAsUnit(ByteView(sector).subspan(0x1D7C + 34, 612));
        if (!key.readable)
            return concat("copy ", copy + 1, ": ", key.reason);
        if (copy == 1 && key.publicKey->fingerprint() != first)
            return "the copies differ";
        first = key.publicKey->fingerprint();
    }
    return first;
}

StationSetup setupFor(const Ordeal& ordeal)
{
    return {.bench = {.supplies = {{UnitWish{.deviceId = kRecoveryUnit,
                                             .memory = (ordeal.folder / "unit.bin").string()}}}},
            .database = ordeal.folder / "test.db",
            .servedAt = ordeal.servedAt,
            .serverKey = ordeal.serverKey};
}

bool sendOutbox(Station& station)
{
    const SystemClock clock;
    const auto from = station.sink().size();
    const OutboxSender sender(station.journal(), station.client(), station.sink(), clock,
                              {.firstPause = 20ms, .lookEvery = 50ms});
    return station.sink()
        .waitFor<StationNotice>(
            kOutboxPatience,
            [](const StationNotice& notice) {
                return notice.subject == "outbox" && notice.text == "nothing waiting";
            },
            from)
        .has_value();
}

VictimLog readLog(const std::filesystem::path& folder)
{
    VictimLog log;
    std::ifstream in(folder / "log");
    for (std::string line; std::getline(in, line);) {
        const auto parts = split(line, '|');
        if (parts.at(0) == "R")
            log.rows.push_back({.commit = std::stoi(parts.at(1)),
                                .flash = std::stoi(parts.at(2)),
                                .requests = std::stoi(parts.at(3)),
                                .name = parts.at(4),
                                .place = parts.at(5)});
        else if (parts.at(0) == "F")
            log.flash.push_back({.change = std::stoi(parts.at(1)),
                                 .address = static_cast<std::uint32_t>(std::stoul(parts.at(2))),
                                 .size = std::stoul(parts.at(3)),
                                 .commit = std::stoi(parts.at(4)),
                                 .place = parts.at(5)});
        else if (parts.at(0) == "P")
            log.progress.push_back({.phase = parts.at(1), .number = std::stoi(parts.at(2))});
        else
            log.shown = parts.at(1);
    }
    return log;
}

int runSurvivor(const Ordeal& ordeal, Expected expected)
{
    const auto wrong = Survivor(ordeal, expected).judge();
    for (const auto& what : wrong)
        std::printf("wrong: %s\n", what.c_str());
    return wrong.empty() ? 0 : 1;
}

} // namespace provost::test
