// Server-sent events of one unit, as they come (particle-devices 9).
#pragma once

#include "cloud/http_client_p.h"
#include "core/mutex.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <thread>

namespace provost {

/// Takes the stream apart; whatever it is given, it keeps one line and one event.
class EventParser {
public:
    /// What is complete by now.
    std::vector<CloudEvent> take(std::string_view bytes);

private:
    void takeLine(std::string_view line, std::vector<CloudEvent>& complete);
    std::string m_line{};
    std::string m_name{};
    std::string m_data{};
};

/// Listens on a thread of its own until it goes.
class EventStream final : public CloudEvents {
public:
    using MakeMessage = std::function<Result<QNetworkRequest>(const WipedHeader& authorization)>;
    EventStream(std::string attempt, SecretBytes token, MakeMessage makeMessage);
    /// Waits for the first bytes.
    /// @returns Unavailable, Denied  as ProvisioningClient; Cancelled
    Result<> opened(const OpContext& op);
    std::size_t count() const override;
    Result<CloudEvent> waitFor(std::size_t mark,
                               const std::function<bool(const CloudEvent&)>& wanted,
                               const OpContext& op) override;

private:
    void listen(const std::stop_token& stop);
    void took(std::string_view bytes);
    void ended(Error why);

    const std::string m_attempt;
    const SecretBytes m_token;
    const MakeMessage m_makeMessage;
    EventParser m_parser{}; ///< of the thread
    mutable Mutex m_mutex;
    std::condition_variable_any m_changed{};
    bool m_open PROVOST_GUARDED_BY(m_mutex) = false;
    std::optional<Error> m_end PROVOST_GUARDED_BY(m_mutex){};
    std::deque<CloudEvent> m_events PROVOST_GUARDED_BY(m_mutex){};
    std::size_t m_dropped PROVOST_GUARDED_BY(m_mutex) = 0; ///< from the front
    std::jthread m_thread; ///< last: starts when everything else is there
};

} // namespace provost
