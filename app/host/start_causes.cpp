#include "host/start_causes.h"

namespace provost {

namespace {
constexpr int kSqliteFull = 13; // primary code
} // namespace

std::string_view recordCauseOf(const Error& error)
{
    if (error.code == Errc::Corrupt || error.code == Errc::InvalidData)
        return "C058";
    if (error.code != Errc::Io)
        return {}; // by the table, as everywhere
    return (error.native.value_or(0) & 0xFF) == kSqliteFull ? "C050" : "C057";
}

} // namespace provost
