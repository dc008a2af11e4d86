// What is wrong where a station does not start, by the table of causes.
#pragma once

#include "core/result.h"

#include <string_view>

namespace provost {

/// The same result; an error that names no cause yet gets `cause`.
template <class T>
Result<T> orCause(Result<T> result, std::string_view cause)
{
    if (!result)
        return Unexpected(withCause(std::move(result).error(), cause));
    return result;
}

/// Of a database that does not open: its folder, its content or its disk; empty: something else.
std::string_view recordCauseOf(const Error& error);

template <class T>
Result<T> orRecordCause(Result<T> result)
{
    if (result)
        return result;
    const auto cause = recordCauseOf(result.error());
    return orCause(std::move(result), cause);
}

} // namespace provost
