// The border between the engine's threads and the screens.
#pragma once

#include "core/mutex.h"
#include "engine/events.h"

#include <QObject>
#include <QTimer>

#include <chrono>
#include <map>

namespace provost {

/// Brings events into the thread of this object, in their order. Of several ProgressMoved of a
/// slot only the latest counts, and at most ten a second arrive: a bar needs no more.
///
/// Thread-safe: post() may be called from any thread. Must outlive whoever posts.
class EngineBridge final : public QObject, public EventSink {
    Q_OBJECT

public:
    static constexpr std::chrono::milliseconds kProgressInterval{100};

    explicit EngineBridge(QObject* parent = nullptr);
    void post(StationEvent event) override;

Q_SIGNALS:
    /// In the thread of this object.
    void arrived(const provost::StationEvent& event);

private:
    void hold(ProgressMoved progress);
    void dropHeld(SlotId slot);
    void deliverHeld();

    Mutex m_mutex;
    std::map<SlotId, ProgressMoved> m_held PROVOST_GUARDED_BY(m_mutex);
    bool m_scheduled PROVOST_GUARDED_BY(m_mutex) = false;
    QTimer m_timer;
};

} // namespace provost
