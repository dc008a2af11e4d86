// The process that dies.
#include "core/text.h"
#include "recovery_process.h"

#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <regex>
#include <sqlite3.h>
#include <unistd.h>

namespace provost::test {

namespace {

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
                const auto place = changeBehindRow();
                write(concat("F|", change, "|", address, "|", size, "|", m_commit.load(), "|",
                             place));
                dieAt("flash", place);
            });
        station.sink().setHook([this](const StationEvent& event) {
            if (const auto* finished = std::get_if<RunFinished>(&event))
                write(concat("V|", told(*finished)));
            if (const auto* moved = std::get_if<ProgressMoved>(&event)) {
                const int number = ++m_progress[moved->phase]; // one slot: one thread posts these
                write(concat("P|", moved->phase, "|", number));
                dieAt("progress", concat(moved->phase, "#", number));
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
        if (sql.starts_with("INSERT INTO chain_"))
            return; // seals the rows that name the place
        for (const std::string_view verb : {"INSERT INTO ", "UPDATE "}) {
            if (sql.starts_with(verb))
                m_tables =
                    std::string(sql.substr(verb.size(), sql.find(' ', verb.size()) - verb.size()));
        }
        if (sql != "COMMIT" || (m_pending.empty() && m_tables.empty()))
            return;
        m_before =
            concat(m_flash.load(), "|", m_station == nullptr ? 0 : m_station->cloud().requests());
        dieAt("before", placeOf(rowName()));
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
        const auto name = rowName();
        const auto place = placeOf(name);
        m_pending.clear();
        m_tables.clear();
        ++m_times[withoutFingerprints(name)];
        {
            const std::lock_guard lock(m_placeMutex);
            m_lastPlace = place;
            m_changesBehind = 0;
        }
        write(concat("R|", ++m_commit, "|", m_before, "|", name, "|", place));
        dieAt("after", place);
    }

private:
    std::string rowName() const
    {
        std::string name;
        for (const auto& row : m_pending)
            name += concat(name.empty() ? "" : ";", row);
        return name.empty() ? "table:" + m_tables : name;
    }
    /// Keys and images of a unit are made anew with each run.
    static std::string withoutFingerprints(const std::string& name)
    {
        static const std::regex fingerprint("[0-9a-f]{64}");
        return std::regex_replace(name, fingerprint, "");
    }
    /// Of the row that comes next.
    std::string placeOf(const std::string& name)
    {
        const auto plain = withoutFingerprints(name);
        return concat(plain, "#", m_times[plain] + 1);
    }
    /// The unit's own thread changes its flash, too.
    std::string changeBehindRow()
    {
        const std::lock_guard lock(m_placeMutex);
        return concat(m_lastPlace, "+", ++m_changesBehind);
    }
    void write(const std::string& line) const
    {
        const auto text = line + "\n";
        if (::write(m_log, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
            std::abort();
    }
    void dieAt(std::string_view kind, const std::string& place) const
    {
        if (m_place == concat(kind, " ", place))
            std::raise(SIGKILL);
    }

    const int m_log;
    const std::string m_place;
    Station* m_station = nullptr;
    std::map<std::string, int> m_progress{};
    std::atomic<int> m_flash = 0;
    std::atomic<int> m_commit = 0;
    // Of the one connection that writes, which the journal guards.
    std::vector<std::string> m_pending{};
    std::string m_tables{};
    std::string m_before{};
    std::map<std::string, int> m_times{}; ///< that a row of this name was committed
    std::mutex m_placeMutex;
    std::string m_lastPlace{"start"};
    int m_changesBehind = 0;
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

} // namespace

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
    station->run(1, kRecoveryUnit);
    if (ordeal.cloud == CloudMood::Well)
        return 0;
    station->cloud().clearFaults();
    return sendOutbox(*station) ? 0 : 1;
}

} // namespace provost::test
