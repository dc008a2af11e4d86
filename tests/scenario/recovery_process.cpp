#include "recovery_process.h"

#include "cloud/outbox_sender.h"
#include "core/text.h"
#include "crypto/unit_key.h"
#include "support/proven_unit.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <sqlite3.h>
#include <sstream>
#include <unistd.h>

namespace provost::test {

namespace {

constexpr const char* kUnit = "2b0014000447373030323331";
constexpr auto kOutboxPatience = 20s;

StationSetup setupFor(const Ordeal& ordeal)
{
    return {.bench = {.supplies = {{UnitWish{.deviceId = kUnit,
                                             .memory = (ordeal.folder / "unit.bin").string()}}}},
            .database = ordeal.folder / "test.db",
            .servedAt = ordeal.servedAt,
            .serverKey = ordeal.serverKey};
}

/// The texts among the values of an INSERT, as SQLite spells them out: 'it''s'.
std::vector<std::string> textsIn(std::string_view sql)
{
    std::vector<std::string> texts;
    for (std::size_t at = sql.find(" VALUES "); at < sql.size(); ++at) {
        if (sql[at] != '\'')
            continue;
        std::string text;
        for (++at; at < sql.size(); ++at) {
            if (sql[at] == '\'' && (at + 1 >= sql.size() || sql[at + 1] != '\''))
                break;
            at += sql[at] == '\'' ? 1 : 0;
            text += sql[at];
        }
        texts.push_back(std::move(text));
    }
    return texts;
}

/// Sees every transaction of the process and every change of the unit's flash; logs them, and
/// kills the process at its place: no destructor, no flush, as when the power goes.
class Witness {
public:
    Witness(const std::filesystem::path& folder, const std::string& place)
        : m_log(::open((folder / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600)),
          m_place(place)
    {
    }

    void watch(Station& station)
    {
        m_station = &station;
        if (auto* board = station.bench().board(1))
            board->watchFlash([this](std::uint32_t address, std::size_t size) {
                const int change = ++m_flash;
                write(concat("F|", change, "|", address, "|", size, "|", m_commit.load()));
                dieAt("flash", change);
            });
        station.sink().setHook([this](const StationEvent& event) {
            if (const auto* finished = std::get_if<RunFinished>(&event))
                write(concat("V|", told(*finished)));
            if (const auto* moved = std::get_if<ProgressMoved>(&event)) {
                const int number = ++m_progress; // one slot: one thread posts these
                write(concat("P|", number, "|", moved->phase));
                dieAt("progress", number);
            }
        });
    }

    /// SQLITE_TRACE_STMT: about to run.
    void begins(sqlite3_stmt* statement, std::string_view sql)
    {
        if (sql.starts_with("INSERT INTO journal")) {
            char* expanded = sqlite3_expanded_sql(statement);
            const auto texts = textsIn(expanded);
            sqlite3_free(expanded);
            m_pending.push_back(concat(texts.at(0), ":", texts.at(1)));
            return;
        }
        for (const std::string_view verb : {"INSERT INTO ", "UPDATE "}) {
            if (sql.starts_with(verb))
                m_tables =
                    std::string(sql.substr(verb.size(), sql.find(' ', verb.size()) - verb.size()));
        }
        if (sql != "COMMIT" || (m_pending.empty() && m_tables.empty()))
            return;
        m_before =
            concat(m_flash.load(), "|", m_station == nullptr ? 0 : m_station->cloud().requests());
        dieAt("before", m_commit + 1);
    }

    /// SQLITE_TRACE_PROFILE: it has run.
    void ended(std::string_view sql)
    {
        if (sql == "ROLLBACK") {
            m_pending.clear();
            m_tables.clear();
        }
        if (sql != "COMMIT" || (m_pending.empty() && m_tables.empty()))
            return;
        std::string name;
        for (const auto& row : m_pending)
            name += concat(name.empty() ? "" : ";", row);
        if (name.empty())
            name = "table:" + m_tables;
        m_pending.clear();
        m_tables.clear();
        const int commit = ++m_commit;
        write(concat("R|", commit, "|", m_before, "|", name));
        dieAt("after", commit);
    }

private:
    void write(const std::string& line) const
    {
        const auto text = line + "\n";
        if (::write(m_log, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
            std::abort();
    }
    void dieAt(std::string_view kind, int number) const
    {
        if (m_place == concat(kind, ":", number))
            std::raise(SIGKILL);
    }

    const int m_log;
    const std::string m_place;
    Station* m_station = nullptr;
    int m_progress = 0;
    std::atomic<int> m_flash = 0;
    std::atomic<int> m_commit = 0;
    // Of the one connection that writes, which the journal guards.
    std::vector<std::string> m_pending{};
    std::string m_tables{};
    std::string m_before{};
};

// SQLite hands no pointer of ours to whom it tells that a connection was opened.
Witness* theWitness = nullptr;

int trace(unsigned kind, void*, void* statement, void* text)
{
    auto* prepared = static_cast<sqlite3_stmt*>(statement);
    const char* sql = sqlite3_sql(prepared);
    if (kind == SQLITE_TRACE_PROFILE)
        theWitness->ended(sql);
    else if (std::string_view(static_cast<const char*>(text)) == sql) // else: of a trigger
        theWitness->begins(prepared, sql);
    return 0;
}

int onConnection(sqlite3* connection, const char**, const struct sqlite3_api_routines*)
{
    return sqlite3_trace_v2(connection, SQLITE_TRACE_STMT | SQLITE_TRACE_PROFILE, trace, nullptr);
}

/// Lets the outbox be sent; true where nothing waits any more.
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
    const auto found = station.cloud().service().registry().find(kUnit);
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
        m_open = m_station->journal().openIntents(kUnit).value_or(std::vector<OpenIntent>{}).size();
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
        const auto run = m_station->run(1, kUnit);
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
        const auto run = m_station->run(1, kUnit);
        demand(run.verdict == Verdict::Error && run.cause == "C010", told(run));
        demand(m_station->journal().unit(kUnit)->state == "inspect", "the unit is not marked");
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

std::string keyOnUnit(const sim::VirtualPhoton& board)
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
                                .name = parts.at(4)});
        else if (parts.at(0) == "F")
            log.flash.push_back({.change = std::stoi(parts.at(1)),
                                 .address = static_cast<std::uint32_t>(std::stoul(parts.at(2))),
                                 .size = std::stoul(parts.at(3)),
                                 .commit = std::stoi(parts.at(4))});
        else if (parts.at(0) == "P")
            log.progress.push_back({.number = std::stoi(parts.at(1)), .phase = parts.at(2)});
        else
            log.shown = parts.at(1);
    }
    return log;
}

int runVictim(const Ordeal& ordeal, const std::string& place)
{
    Witness witness(ordeal.folder, place);
    theWitness = &witness;
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(onConnection));
    auto station = Station::open(setupFor(ordeal));
    if (ordeal.cloud == CloudMood::AwayAtFirst)
        station->cloud().failRequests(RequestFault::Answer503);
    if (ordeal.servedAt == 0)
        station->insert();
    witness.watch(*station);
    station->run(1, kUnit);
    if (ordeal.cloud == CloudMood::Well)
        return 0;
    station->cloud().clearFaults();
    return sendOutbox(*station) ? 0 : 1;
}

int runSurvivor(const Ordeal& ordeal, Expected expected)
{
    const auto wrong = Survivor(ordeal, expected).judge();
    for (const auto& what : wrong)
        std::printf("wrong: %s\n", what.c_str());
    return wrong.empty() ? 0 : 1;
}

} // namespace provost::test
