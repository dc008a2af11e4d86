// Result and Error: how every operation reports what went wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace provost {

enum class Errc : std::uint8_t {
    Cancelled,
    Timeout,
    NotFound,
    Busy,
    Disconnected,
    Io,
    Protocol,
    Unsupported,
    InvalidArgument,
    InvalidData,
    Mismatch,
    Protected,
    Denied,
    Unavailable,
    Corrupt,
    Internal,
};

/// Who has to act. Decides verdict and advice, not control flow.
enum class Blame : std::uint8_t { Unit, Fixture, Station, Cloud, Operator, Software };

struct Error {
    Errc code = Errc::Internal;
    Blame blame = Blame::Software;
    std::string message{};             ///< what was attempted, with the values involved
    std::vector<std::string> frames{}; ///< enclosing operations, innermost first
    std::optional<int> native{};       ///< libusb, errno, SQLite or HTTP code as reported
    std::string cause{};               ///< id in stations/engine/causes where the caller knows it
};

using Unexpected = tl::unexpected<Error>;

/// A value or an Error. Discarding one is a compile error.
template <class T = void>
class [[nodiscard]] Result : public tl::expected<T, Error> {
public:
    using Base = tl::expected<T, Error>;
    using Base::Base;
    Result() = default;
    Result(Base&& base) : Base(std::move(base)) {}
};

std::string_view name(Errc code);
std::string_view name(Blame blame);

/// `message`, with the enclosing operations behind it, in one line for people.
std::string describe(const Error& error);

inline Unexpected fail(Errc code, Blame blame, std::string message,
                       std::optional<int> native = std::nullopt)
{
    return Unexpected(Error{.code = code,
                            .blame = blame,
                            .message = std::move(message),
                            .frames = {},
                            .native = native,
                            .cause = {}});
}

/// The same error seen from an outer operation.
inline Error inFrame(Error error, std::string frame)
{
    error.frames.push_back(std::move(frame));
    return error;
}

/// The same error with a cause id of stations/engine/causes, unless an inner layer named one.
inline Error withCause(Error error, std::string_view cause)
{
    if (error.cause.empty())
        error.cause = cause;
    return error;
}

namespace detail {
template <class T>
T takeValue(Result<T>&& result)
{
    if constexpr (!std::is_void_v<T>)
        return std::move(*result);
}
template <class T>
T takeValue(Result<T>& result)
{
    return takeValue(std::move(result));
}
Unexpected brokenPrecondition(const char* condition, const char* file, int line);
} // namespace detail

} // namespace provost

#define PROVOST_JOIN2(a, b) a##b
#define PROVOST_JOIN(a, b) PROVOST_JOIN2(a, b)
// NOLINTBEGIN(bugprone-macro-parentheses): a name that is declared takes no parentheses
#define PROVOST_TRY(expr, variable)                                                                \
    __extension__({                                                                                \
        auto variable = (expr);                                                                    \
        if (!variable) [[unlikely]]                                                                \
            return ::provost::Unexpected(std::move(variable).error());                             \
        ::provost::detail::takeValue(std::move(variable));                                         \
    })
// NOLINTEND(bugprone-macro-parentheses)

/// Yields the value or returns the error. Use it as a whole statement or a whole initialiser:
/// leaving a braced list half-way, GCC 12 leaks the members already built.
#define TRY(expr) PROVOST_TRY(expr, PROVOST_JOIN(tried_, __COUNTER__))

/// Returns Internal with the source line when a precondition is broken, in every build type.
#define ENSURE(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) [[unlikely]]                                                             \
            return ::provost::detail::brokenPrecondition(#condition, __FILE__, __LINE__);          \
    } while (false)
