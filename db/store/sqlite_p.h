// The SQLite C API as values that close themselves: Connection, Statement, Transaction.
#pragma once

#include "core/bytes.h"
#include "core/result.h"

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace provost::sqlite {

/// What is bound to a `?`; copied when it is bound.
class Value {
public:
    Value(std::nullopt_t) {}
    Value(bool value) : m_value(std::int64_t{value}) {}
    Value(int value) : m_value(std::int64_t{value}) {}
    Value(std::int64_t value) : m_value(value) {}
    Value(double value) : m_value(value) {}
    Value(std::optional<double> value)
    {
        if (value)
            m_value = *value;
    }
    Value(std::string_view value) : m_value(value) {}
    Value(const std::string& value) : m_value(std::string_view(value)) {}
    Value(const char* value) : m_value(std::string_view(value)) {}
    Value(ByteView value) : m_value(value) {}
    Value(const Bytes& value) : m_value(ByteView(value)) {}

    int bindTo(sqlite3_stmt* statement, int index) const;

private:
    std::variant<std::monostate, std::int64_t, double, std::string_view, ByteView> m_value{};
};
using Values = std::initializer_list<Value>;

class StatementCache;

/// How a value is stored, whatever its column was declared as.
enum class Kind : std::uint8_t { Null, Integer, Real, Text, Blob };

/// A prepared, bound statement. Columns count from 0 and are valid after step() said true.
class Statement {
public:
    /// @param home  takes the compiled statement back; none: it is finalized
    Statement(sqlite3_stmt* statement, std::string file, std::shared_ptr<StatementCache> home);
    /// False: there is no further row.
    Result<bool> step();
    /// Steps to the end.
    Result<> finish();
    /// From the beginning again, with other values.
    Result<> restart(Values values = {});
    /// Lets go of what it reads, so that a transaction can end.
    void reset();

    std::int64_t integer(int column) const;
    int number(int column) const;
    bool flag(int column) const;
    double real(int column) const;
    std::optional<double> maybeReal(int column) const;
    std::string text(int column) const; ///< empty where NULL
    Bytes blob(int column) const;
    bool isNull(int column) const;
    int columns() const;
    Kind kind(int column) const;
    /// Of text or a blob, as stored; valid until the next step.
    ByteView view(int column) const;

private:
    Result<> bind(Values values);
    struct GiveBack {
        std::shared_ptr<StatementCache> home{};
        void operator()(sqlite3_stmt* statement) const;
    };
    std::unique_ptr<sqlite3_stmt, GiveBack> m_statement;
    std::string m_file;
};

/// Inspect: changes nothing, like ReadOnly, but knows the CHECK constraints, which SQLite does not
/// even parse for a file that it opened read-only (sqlite3AddCheckConstraint).
enum class Access : std::uint8_t { ReadOnly, Inspect, ReadWrite, Create };

/// A row that was written since the transaction began.
struct Touched {
    std::string table{};
    std::int64_t row = 0;
    bool added = false;
    bool removed = false;
};

/// One connection with the pragmas of the house: WAL, synchronous=FULL, foreign keys, busy timeout.
/// Used by one thread at a time.
///
/// It knows every row that it touched, but for tables named chain_…; whoever commits must have
/// taken them (takeTouched) and sealed them in the chain, or SQLite rolls back
/// (SQLITE_CONSTRAINT_COMMITHOOK).
class Connection {
public:
    /// @returns NotFound  no such file (all but Create)
    ///          Corrupt   not a database
    static Result<Connection> open(const std::filesystem::path& file, Access access);
    /// An empty database without a file.
    static Result<Connection> inMemory();

    /// Any number of statements without parameters.
    Result<> script(const std::string& sql);
    Result<> execute(std::string_view sql, Values values = {});
    Result<Statement> query(std::string_view sql, Values values = {});
    /// Its values are given by restart().
    Result<Statement> prepare(std::string_view sql);
    /// First column of the first row; 0 where there is no row or NULL.
    Result<std::int64_t> integer(std::string_view sql, Values values = {});
    Result<std::string> text(std::string_view sql, Values values = {});

    std::int64_t lastRow() const;
    int changes() const;
    bool inTransaction() const;
    /// Each row once, in the order in which they were touched first.
    std::vector<Touched> takeTouched();
    const std::string& file() const { return m_file; }

private:
    struct Close {
        std::shared_ptr<StatementCache> statements{};
        void operator()(sqlite3* handle) const;
    };
    explicit Connection(sqlite3* handle, std::string file);
    Result<> prepareHouse(Access access);
    void watchRows();

    std::unique_ptr<std::vector<Touched>> m_touched; ///< outlives the handle, which points to it
    std::unique_ptr<sqlite3, Close> m_handle;
    std::string m_file;
};

/// Takes the write lock at once; rolls back unless committed.
class Transaction {
public:
    static Result<Transaction> begin(Connection& connection);
    Result<> commit();
    ~Transaction();
    Transaction(Transaction&& other) noexcept : m_connection(other.m_connection)
    {
        other.m_connection = nullptr;
    }
    Transaction& operator=(Transaction&&) = delete;

private:
    explicit Transaction(Connection& connection) : m_connection(&connection) {}
    Connection* m_connection;
};

} // namespace provost::sqlite
