#include "core/text.h"
#include "store/sqlite_p.h"

#include <map>
#include <sqlite3.h>

namespace provost::sqlite {

/// Compiled statements that nobody uses now: to compile an INSERT with its triggers takes longer
/// than to run it.
class StatementCache {
public:
    sqlite3_stmt* take(std::string_view sql)
    {
        const auto found = m_idle.find(sql);
        if (found == m_idle.end())
            return nullptr;
        sqlite3_stmt* statement = found->second;
        m_idle.erase(found);
        return statement;
    }
    void give(sqlite3_stmt* statement)
    {
        sqlite3_reset(statement);
        sqlite3_clear_bindings(statement);
        if (m_closed || m_idle.size() >= kMostIdle)
            sqlite3_finalize(statement);
        else
            m_idle.emplace(sqlite3_sql(statement), statement);
    }
    void close()
    {
        m_closed = true;
        for (const auto& [sql, statement] : m_idle)
            sqlite3_finalize(statement);
        m_idle.clear();
    }

private:
    static constexpr std::size_t kMostIdle = 100;
    std::multimap<std::string, sqlite3_stmt*, std::less<>> m_idle{};
    bool m_closed = false;
};

namespace {

/// How long a writer of another process may keep the file before we report Busy.
constexpr int kBusyTimeoutMs = 5000;

struct Meaning {
    Errc code;
    Blame blame;
    std::string_view advice;
};

/// Primary codes: https://www.sqlite.org/rescode.html.
Meaning meaningOf(int native)
{
    switch (native & 0xFF) {
    case SQLITE_FULL:
        return {Errc::Io, Blame::Station, "free space on its disk"};
    case SQLITE_IOERR:
        return {Errc::Io, Blame::Station, "check its disk and the space left on it"};
    case SQLITE_READONLY:
        return {Errc::Io, Blame::Station, "make the file and its folder writable"};
    case SQLITE_CANTOPEN:
        return {Errc::Io, Blame::Station, "check that its folder exists and is accessible"};
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return {Errc::Io, Blame::Station, "check the permissions of the file"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return {Errc::Busy, Blame::Station, "close the other program that uses it"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return {Errc::Corrupt, Blame::Station, "keep the file, continue with a copy"};
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
        return {Errc::InvalidArgument, Blame::Software, "the record breaks a rule"};
    default:
        return {Errc::Internal, Blame::Software, "report this"};
    }
}

Unexpected failure(int native, const std::string& file, std::string_view said)
{
    const Meaning meaning = meaningOf(native);
    return fail(meaning.code, meaning.blame,
                concat("database ", file, ": ", said, "; ", meaning.advice), native);
}

Unexpected failure(sqlite3* handle, const std::string& file)
{
    return failure(sqlite3_extended_errcode(handle), file, sqlite3_errmsg(handle));
}

int openFlags(Access access)
{
    switch (access) {
    case Access::ReadOnly:
        return SQLITE_OPEN_READONLY;
    case Access::Inspect:
    case Access::ReadWrite:
        return SQLITE_OPEN_READWRITE;
    case Access::Create:
        return SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    }
    return SQLITE_OPEN_READONLY;
}

} // namespace

int Value::bindTo(sqlite3_stmt* statement, int index) const
{
    if (const auto* number = std::get_if<std::int64_t>(&m_value))
        return sqlite3_bind_int64(statement, index, *number);
    if (const auto* real = std::get_if<double>(&m_value))
        return sqlite3_bind_double(statement, index, *real);
    // The macro that asks SQLite to copy is a cast of -1 onto a function pointer.
    const auto copy = reinterpret_cast<sqlite3_destructor_type>(-1);
    if (const auto* text = std::get_if<std::string_view>(&m_value))
        return sqlite3_bind_text64(statement, index, text->empty() ? "" : text->data(),
                                   text->size(), copy, SQLITE_UTF8);
    if (const auto* bytes = std::get_if<ByteView>(&m_value))
        return bytes->empty()
                   ? sqlite3_bind_zeroblob(statement, index, 0)
                   : sqlite3_bind_blob64(statement, index, bytes->data(), bytes->size(), copy);
    return sqlite3_bind_null(statement, index);
}

Statement::Statement(sqlite3_stmt* statement, std::string file,
                     std::shared_ptr<StatementCache> home)
    : m_statement(statement, GiveBack{std::move(home)}), m_file(std::move(file))
{
}

void Statement::GiveBack::operator()(sqlite3_stmt* statement) const
{
    if (home)
        home->give(statement);
    else
        sqlite3_finalize(statement);
}

Result<bool> Statement::step()
{
    const int code = sqlite3_step(m_statement.get());
    if (code == SQLITE_ROW)
        return true;
    if (code == SQLITE_DONE)
        return false;
    return failure(sqlite3_db_handle(m_statement.get()), m_file);
}

void Statement::reset()
{
    sqlite3_reset(m_statement.get()); // repeats the error of the last step, which was told
}

Result<> Statement::bind(Values values)
{
    ENSURE(sqlite3_bind_parameter_count(m_statement.get()) == static_cast<int>(values.size()));
    int index = 0;
    for (const Value& value : values) {
        if (value.bindTo(m_statement.get(), ++index) != SQLITE_OK)
            return failure(sqlite3_db_handle(m_statement.get()), m_file);
    }
    return {};
}

Result<> Statement::restart(Values values)
{
    reset();
    return bind(values);
}

Result<> Statement::finish()
{
    while (TRY(step())) {
    }
    return {};
}

std::int64_t Statement::integer(int column) const
{
    return sqlite3_column_int64(m_statement.get(), column);
}

int Statement::number(int column) const
{
    return static_cast<int>(integer(column));
}

bool Statement::flag(int column) const
{
    return integer(column) != 0;
}

double Statement::real(int column) const
{
    return sqlite3_column_double(m_statement.get(), column);
}

std::optional<double> Statement::maybeReal(int column) const
{
    return isNull(column) ? std::nullopt : std::optional(real(column));
}

std::string Statement::text(int column) const
{
    const Bytes bytes = blob(column); // SQLite hands text out as its UTF-8 bytes here
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes Statement::blob(int column) const
{
    const auto* data =
        static_cast<const std::byte*>(sqlite3_column_blob(m_statement.get(), column));
    const int size = sqlite3_column_bytes(m_statement.get(), column);
    return data == nullptr ? Bytes{} : Bytes(data, data + size);
}

bool Statement::isNull(int column) const
{
    return sqlite3_column_type(m_statement.get(), column) == SQLITE_NULL;
}

int Statement::columns() const
{
    return sqlite3_column_count(m_statement.get());
}

Kind Statement::kind(int column) const
{
    switch (sqlite3_column_type(m_statement.get(), column)) {
    case SQLITE_INTEGER:
        return Kind::Integer;
    case SQLITE_FLOAT:
        return Kind::Real;
    case SQLITE_TEXT:
        return Kind::Text;
    case SQLITE_BLOB:
        return Kind::Blob;
    default:
        return Kind::Null;
    }
}

ByteView Statement::view(int column) const
{
    const auto* data =
        static_cast<const std::byte*>(sqlite3_column_blob(m_statement.get(), column));
    const int size = sqlite3_column_bytes(m_statement.get(), column);
    return data == nullptr ? ByteView{} : ByteView(data, static_cast<std::size_t>(size));
}

Connection::Connection(sqlite3* handle, std::string file)
    : m_touched(std::make_unique<std::vector<Touched>>()),
      m_handle(handle, Close{std::make_shared<StatementCache>()}), m_file(std::move(file))
{
}

void Connection::Close::operator()(sqlite3* handle) const
{
    statements->close();
    sqlite3_close_v2(handle);
}

Result<Connection> Connection::open(const std::filesystem::path& file, Access access)
{
    std::error_code ignored;
    if (access != Access::Create && !std::filesystem::exists(file, ignored))
        return fail(Errc::NotFound, Blame::Operator,
                    concat("open database ", file.string(), ": no such file"));
    sqlite3* handle = nullptr;
    const int code =
        sqlite3_open_v2(file.c_str(), &handle,
                        openFlags(access) | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
    Connection connection(handle, file.string());
    if (code != SQLITE_OK)
        return failure(code, file.string(), sqlite3_errstr(code));
    TRY(connection.prepareHouse(access));
    return connection;
}

Result<Connection> Connection::inMemory()
{
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2(":memory:", &handle,
                                     openFlags(Access::Create) | SQLITE_OPEN_EXRESCODE, nullptr);
    Connection connection(handle, ":memory:");
    if (code != SQLITE_OK)
        return failure(code, ":memory:", sqlite3_errstr(code));
    return connection;
}

Result<> Connection::prepareHouse(Access access)
{
    sqlite3_busy_timeout(m_handle.get(), kBusyTimeoutMs);
    // Recursive triggers: what REPLACE deletes is asked of the delete triggers, too.
    TRY(script("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; "
               "PRAGMA recursive_triggers = ON;"));
    if (access == Access::ReadOnly)
        return {};
    if (access == Access::Inspect) {
        sqlite3_db_config(m_handle.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
        return script("PRAGMA query_only = ON");
    }
    watchRows();
    // FULL: a commit survives power loss; in WAL mode NORMAL would not promise that.
    const std::string mode = TRY(text("PRAGMA journal_mode = WAL"));
    if (mode != "wal")
        return fail(Errc::Io, Blame::Station,
                    concat("database ", m_file, ": write-ahead log refused (mode ", mode,
                           "); keep it on a local disk"));
    return script("PRAGMA synchronous = FULL;");
}

void Connection::watchRows()
{
    sqlite3_update_hook(
        m_handle.get(),
        [](void* touched, int operation, const char*, const char* table, sqlite3_int64 row) {
            if (std::string_view(table).starts_with("chain_"))
                return;
            static_cast<std::vector<Touched>*>(touched)->push_back(
                {table, row, operation == SQLITE_INSERT, operation == SQLITE_DELETE});
        },
        m_touched.get());
    sqlite3_commit_hook(
        m_handle.get(),
        [](void* touched) { return static_cast<std::vector<Touched>*>(touched)->empty() ? 0 : 1; },
        m_touched.get());
    sqlite3_rollback_hook(
        m_handle.get(), [](void* touched) { static_cast<std::vector<Touched>*>(touched)->clear(); },
        m_touched.get());
}

std::vector<Touched> Connection::takeTouched()
{
    std::vector<Touched> once;
    std::map<std::pair<std::string, std::int64_t>, std::size_t> places;
    for (Touched& touched : *m_touched) {
        const auto [place, first] = places.try_emplace({touched.table, touched.row}, once.size());
        if (first)
            once.push_back(std::move(touched));
        else
            once[place->second].removed = touched.removed;
    }
    m_touched->clear();
    return once;
}

Result<> Connection::script(const std::string& sql)
{
    if (sqlite3_exec(m_handle.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
        return failure(m_handle.get(), m_file);
    return {};
}

Result<Statement> Connection::prepare(std::string_view sql)
{
    const auto& statements = m_handle.get_deleter().statements;
    if (sqlite3_stmt* known = statements->take(sql))
        return Statement(known, m_file, statements);
    sqlite3_stmt* raw = nullptr;
    const int code =
        sqlite3_prepare_v2(m_handle.get(), sql.data(), static_cast<int>(sql.size()), &raw, nullptr);
    if (code != SQLITE_OK)
        return failure(m_handle.get(), m_file);
    return Statement(raw, m_file, statements);
}

Result<Statement> Connection::query(std::string_view sql, Values values)
{
    auto statement = TRY(prepare(sql));
    TRY(statement.restart(values));
    return statement;
}

Result<> Connection::execute(std::string_view sql, Values values)
{
    auto statement = TRY(query(sql, values));
    return statement.finish();
}

Result<std::int64_t> Connection::integer(std::string_view sql, Values values)
{
    auto statement = TRY(query(sql, values));
    const bool found = TRY(statement.step());
    return found ? statement.integer(0) : 0;
}

Result<std::string> Connection::text(std::string_view sql, Values values)
{
    auto statement = TRY(query(sql, values));
    const bool found = TRY(statement.step());
    return found ? statement.text(0) : std::string{};
}

std::int64_t Connection::lastRow() const
{
    return sqlite3_last_insert_rowid(m_handle.get());
}

int Connection::changes() const
{
    return sqlite3_changes(m_handle.get());
}

bool Connection::inTransaction() const
{
    return sqlite3_get_autocommit(m_handle.get()) == 0;
}

Result<Transaction> Transaction::begin(Connection& connection)
{
    TRY(connection.script("BEGIN IMMEDIATE"));
    return Transaction(connection);
}

Result<> Transaction::commit()
{
    TRY(m_connection->script("COMMIT"));
    m_connection = nullptr;
    return {};
}

Transaction::~Transaction()
{
    // A full disk may have made SQLite roll back already.
    if (m_connection != nullptr && m_connection->inTransaction())
        static_cast<void>(m_connection->script("ROLLBACK"));
}

} // namespace provost::sqlite
