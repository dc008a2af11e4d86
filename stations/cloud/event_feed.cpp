#include "cloud/event_feed_p.h"

#include "core/text.h"

#include <QJsonDocument>
#include <QJsonObject>
#include <vector>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kKeptEvents = 1000;
constexpr int kMostListeners = 8;
constexpr auto kKeepAlive = 9s; // particle-devices 9
constexpr int kTimeToLive = 60; // 5.5: ttl where the unit says none

/// Line feeds in a name would begin another field.
std::string oneLine(std::string text)
{
    for (char& c : text)
        if (c == '\n' || c == '\r')
            c = ' ';
    return text;
}

std::string serverSentEvent(const PublishedEvent& event)
{
    const auto text = [](const std::string& from) { return QString::fromStdString(from); };
    const QJsonObject data{{"data", text(event.data)},
                           {"ttl", kTimeToLive},
                           {"published_at", text(isoUtc(event.at))},
                           {"coreid", text(event.deviceId)}};
    return concat("event: ", oneLine(event.name),
                  "\ndata: ", QJsonDocument(data).toJson(QJsonDocument::Compact).toStdString(),
                  "\n\n");
}

} // namespace

void EventFeed::publish(std::string name, std::string data, std::string deviceId)
{
    const MutexLock lock(m_mutex);
    m_latest.push_back({.number = ++m_count,
                        .name = std::move(name),
                        .data = std::move(data),
                        .deviceId = std::move(deviceId),
                        .at = m_clock.utcNow()});
    if (m_latest.size() > kKeptEvents)
        m_latest.pop_front();
    m_changed.notify_all();
}

bool EventFeed::stream(const Wanted& wanted, const Write& write, std::stop_token stop)
{
    std::uint64_t seen = 0;
    {
        const MutexLock lock(m_mutex);
        if (m_listeners >= kMostListeners)
            return false;
        ++m_listeners;
        seen = m_count;
    }
    bool goesOn = write(":ok\n\n");
    while (goesOn && !stop.stop_requested()) {
        std::string text;
        {
            MutexLock lock(m_mutex);
            m_changed.wait_for(lock, stop, kKeepAlive,
                               [&]() PROVOST_REQUIRES(m_mutex) { return m_count > seen; });
            for (const PublishedEvent& event : m_latest)
                if (event.number > seen && wanted(event))
                    text += serverSentEvent(event);
            if (m_count == seen)
                text = "\n";
            seen = m_count;
        }
        goesOn = text.empty() || write(text);
    }
    const MutexLock lock(m_mutex);
    --m_listeners;
    return true;
}

} // namespace provost
