// Whether the station still speaks: only so long is what a screen shows the truth.
#pragma once

#include "engine/events.h"

#include <QObject>

#include <chrono>
#include <memory>

namespace provost {

/// Judges by the time that the latest Heartbeat was posted at: a backlog of events is old as well.
class Liveness final : public QObject {
    Q_OBJECT

public:
    /// @param limit  age of the latest beat from which on data are stale; 0: nobody promised any
    Liveness(std::chrono::milliseconds limit, std::shared_ptr<const Clock> clock,
             QObject* parent = nullptr);

    void apply(const StationEvent& event);
    /// Looks at the clock again; call several times a second.
    void tick();
    bool stale() const { return m_stale; }
    /// Since the latest beat.
    int silentSeconds() const { return m_silentSeconds; }

Q_SIGNALS:
    /// Stale or no longer so, or another second of silence.
    void changed();

private:
    std::chrono::milliseconds m_limit;
    std::shared_ptr<const Clock> m_clock;
    Clock::Steady m_latest;
    bool m_stale = false;
    int m_silentSeconds = 0;
};

} // namespace provost
