#include "cloud/event_stream_p.h"

#include "core/text.h"

#include <QEventLoop>
#include <QJsonDocument>
#include <QJsonObject>
#include <QNetworkAccessManager>
#include <QNetworkReply>
#include <QTimer>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr auto kStopLook = 20ms;
constexpr auto kEventSlice = 50ms; ///< how soon a wait sees its deadline; an event is seen at once
constexpr std::size_t kLongestLine = 4096;
constexpr std::size_t kMostEvents = 1000;

std::string memberOf(const QJsonObject& object, const char* name)
{
    return object.value(QLatin1String(name)).toString().toStdString();
}

} // namespace

std::vector<CloudEvent> EventParser::take(std::string_view bytes)
{
    std::vector<CloudEvent> complete;
    for (const char c : bytes) {
        if (c == '\n') {
            takeLine(trimmed(m_line), complete);
            m_line.clear();
        } else if (m_line.size() < kLongestLine) {
            m_line.push_back(c);
        }
    }
    return complete;
}

void EventParser::takeLine(std::string_view line, std::vector<CloudEvent>& complete)
{
    constexpr std::string_view kName = "event:";
    constexpr std::string_view kData = "data:";
    if (line.starts_with(kName))
        m_name = trimmed(line.substr(kName.size()));
    else if (line.starts_with(kData))
        m_data = trimmed(line.substr(kData.size()));
    if (!line.empty())
        return;
    if (!m_name.empty()) {
        const auto object = QJsonDocument::fromJson(httpBytes(m_data)).object();
        complete.push_back({.name = std::exchange(m_name, {}),
                            .data = memberOf(object, "data"),
                            .deviceId = lowerCase(memberOf(object, "coreid"))});
    }
    m_name.clear();
    m_data.clear();
}

EventStream::EventStream(std::string attempt, SecretBytes token, MakeMessage makeMessage)
    : m_attempt(std::move(attempt)), m_token(std::move(token)),
      m_makeMessage(std::move(makeMessage)),
      m_thread([this](const std::stop_token& stop) { listen(stop); })
{
}

void EventStream::listen(const std::stop_token& stop)
{
    const WipedHeader authorization(m_token);
    const auto message = m_makeMessage(authorization);
    if (!message)
        return ended(message.error());
    QEventLoop loop;
    QNetworkAccessManager manager;
    QTimer look;
    const std::unique_ptr<QNetworkReply> reply(manager.get(*message));
    const auto statusOf = [&reply] {
        return reply->attribute(QNetworkRequest::HttpStatusCodeAttribute).toInt();
    };
    QObject::connect(reply.get(), &QNetworkReply::readyRead, &loop, [&] {
        if (statusOf() != 200)
            return; // what it says instead is read at its end
        const QByteArray bytes = reply->readAll();
        took({bytes.constData(), static_cast<std::size_t>(bytes.size())});
    });
    QObject::connect(reply.get(), &QNetworkReply::finished, &loop, &QEventLoop::quit);
    QObject::connect(&look, &QTimer::timeout, &loop, [&] {
        if (stop.stop_requested())
            loop.quit();
    });
    look.start(kStopLook);
    if (!reply->isFinished())
        loop.exec();
    reply->disconnect();
    if (stop.stop_requested()) {
        reply->abort();
        return;
    }
    const int status = statusOf();
    const QByteArray body = reply->read(static_cast<qint64>(kLongestLine));
    if (status != 0 && status != 200)
        return ended(httpRefusal(m_attempt, status, body).value());
    ended({.code = Errc::Unavailable,
           .blame = Blame::Cloud,
           .message = concat(m_attempt, ": the stream ended, ", reply->errorString().toStdString()),
           .frames = {},
           .native = status,
           .cause = {}});
}

void EventStream::took(std::string_view bytes)
{
    auto complete = m_parser.take(bytes);
    const MutexLock lock(m_mutex);
    m_open = true;
    for (auto& event : complete)
        m_events.push_back(std::move(event));
    for (; m_events.size() > kMostEvents; ++m_dropped)
        m_events.pop_front();
    m_changed.notify_all();
}

void EventStream::ended(Error why)
{
    const MutexLock lock(m_mutex);
    m_end = std::move(why);
    m_changed.notify_all();
}

Result<> EventStream::opened(const OpContext& op)
{
    MutexLock lock(m_mutex);
    while (!m_open) {
        if (m_end)
            return Unexpected(*m_end);
        const auto alive = op.checkpoint();
        if (!alive && alive.error().code == Errc::Timeout)
            return fail(Errc::Unavailable, Blame::Cloud,
                        concat(m_attempt, ": no stream came; check the address of the cloud"), 0);
        TRY(Result<>(alive));
        m_changed.wait_for(lock, op.stop, kEventSlice, [this]() PROVOST_REQUIRES(m_mutex) {
            return m_open || m_end.has_value();
        });
    }
    return {};
}

std::size_t EventStream::count() const
{
    const MutexLock lock(m_mutex);
    return m_dropped + m_events.size();
}

Result<CloudEvent> EventStream::waitFor(std::size_t mark,
                                        const std::function<bool(const CloudEvent&)>& wanted,
                                        const OpContext& op)
{
    MutexLock lock(m_mutex);
    while (true) {
        for (std::size_t i = std::max(mark, m_dropped); i < m_dropped + m_events.size(); ++i)
            if (wanted(m_events[i - m_dropped]))
                return m_events[i - m_dropped];
        mark = m_dropped + m_events.size();
        if (m_end)
            return Unexpected(*m_end);
        TRY(op.checkpoint());
        m_changed.wait_for(lock, op.stop, kEventSlice, [this, mark]() PROVOST_REQUIRES(m_mutex) {
            return m_dropped + m_events.size() > mark || m_end.has_value();
        });
    }
}

} // namespace provost
