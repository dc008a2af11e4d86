#include "cloud/request_gate_p.h"

#include "core/text.h"

#include <QByteArray>
#include <QDateTime>
#include <QLocale>
#include <QTimeZone>
#include <algorithm>
#include <charconv>

namespace provost {

namespace {

constexpr int kUnauthorized = 401;
constexpr int kForbidden = 403;
constexpr int kTooMany = 429;
constexpr int kUnavailable = 503;

} // namespace

std::optional<std::chrono::seconds> parseRetryAfter(std::string_view value, Clock::Utc now)
{
    value = trimmed(value);
    long long seconds = 0;
    const auto read = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (read.ec == std::errc{} && read.ptr == value.data() + value.size())
        return seconds >= 0 ? std::optional(std::chrono::seconds(seconds)) : std::nullopt;
    auto date = QLocale::c().toDateTime(
        QString::fromLatin1(value.data(), static_cast<qsizetype>(value.size())),
        QStringLiteral("ddd, dd MMM yyyy HH:mm:ss 'GMT'"));
    if (!date.isValid())
        return std::nullopt;
    date.setTimeSpec(Qt::UTC);
    const auto left = date.toMSecsSinceEpoch() - now.time_since_epoch().count();
    return std::chrono::seconds(std::max<long long>(0, (left + 999) / 1000));
}

RequestGate::RequestGate(Limits limits) : m_limits(limits), m_tokens(limits.burst) {}

Result<> RequestGate::pass(const std::string& attempt, const OpContext& op)
{
    const auto at = TRY(turn(attempt, op.clock));
    const auto now = op.clock.now();
    if (at <= now)
        return {};
    if (at >= op.deadline.at)
        return fail(Errc::Unavailable, Blame::Cloud,
                    concat(attempt, ": not asked, the cloud wants no request for ",
                           std::chrono::ceil<std::chrono::seconds>(at - now).count(), " s",
                           cutShort()),
                    kTooMany);
    return op.clock.sleepUntil(at, op.stop);
}

std::string RequestGate::cutShort()
{
    const MutexLock lock(m_mutex);
    if (m_cutShort == std::chrono::seconds{})
        return {};
    return concat(" (it said ", m_cutShort.count(), " s; no more than ",
                  m_limits.longestPause.count(), " s are kept)");
}

/// Takes a token, perhaps one that is not there yet. @returns when it is this request's turn
Result<Clock::Steady> RequestGate::turn(const std::string& attempt, const Clock& clock)
{
    const MutexLock lock(m_mutex);
    if (m_refusals >= m_limits.refusals)
        return fail(Errc::Denied, Blame::Station,
                    concat(attempt, ": not asked, the cloud refused this station ", m_refusals,
                           " times in a row, last with HTTP ", m_lastRefusal,
                           "; have its token replaced or its rights restored, then start the "
                           "station program again"),
                    m_lastRefusal);
    const auto now = clock.now();
    const std::chrono::duration<double> since = now - m_filledAt.value_or(now);
    m_filledAt = now;
    m_tokens = std::min(m_limits.burst, m_tokens + since.count() * m_limits.perSecond);
    m_tokens -= 1;
    const std::chrono::duration<double> debt(std::max(0.0, -m_tokens) / m_limits.perSecond);
    const auto byRate = now + std::chrono::duration_cast<Clock::Steady::duration>(debt);
    return std::max(byRate, m_notBefore);
}

void RequestGate::answered(int status, std::optional<std::chrono::seconds> retryAfter,
                           const Clock& clock)
{
    const MutexLock lock(m_mutex);
    if (status == kTooMany || (status == kUnavailable && retryAfter)) {
        const auto wanted = retryAfter.value_or(m_limits.pause);
        const auto pause = std::min(wanted, m_limits.longestPause);
        m_cutShort = wanted > pause ? wanted : std::chrono::seconds{};
        m_notBefore = std::max(m_notBefore, clock.now() + pause);
    }
    if (status == kUnauthorized || status == kForbidden) {
        ++m_refusals;
        m_lastRefusal = status;
    } else if (status >= 200 && status < 300) {
        m_refusals = 0;
    }
}

} // namespace provost
