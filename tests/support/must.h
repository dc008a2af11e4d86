// The value of what has to succeed.
#pragma once

#include "core/result.h"

#include <QtGlobal>

#include <stdexcept>
#include <type_traits>
#include <utility>

namespace provost::test {

/// Throws, which ends the test; Qt Test does not tell an exception's text, so it is logged here.
template <class T>
T must(Result<T> result)
{
    if (!result) {
        qWarning("%s", describe(result.error()).c_str());
        throw std::runtime_error(describe(result.error()));
    }
    if constexpr (!std::is_void_v<T>)
        return std::move(*result);
}

} // namespace provost::test
