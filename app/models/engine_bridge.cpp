#include "models/engine_bridge.h"

#include <QMetaObject>

namespace provost {

EngineBridge::EngineBridge(QObject* parent) : QObject(parent), m_timer(this)
{
    m_timer.setSingleShot(true);
    m_timer.setTimerType(
        Qt::PreciseTimer); // a coarse one may fire 5 % early: more than ten a second
    m_timer.setInterval(kProgressInterval);
    connect(&m_timer, &QTimer::timeout, this, &EngineBridge::deliverHeld);
}

void EngineBridge::post(StationEvent event)
{
    if (auto* progress = std::get_if<ProgressMoved>(&event)) {
        hold(std::move(*progress));
        return;
    }
    // What a run still had to say about its progress means nothing once it ended.
    if (const auto* started = std::get_if<RunStarted>(&event))
        dropHeld(started->slot);
    if (const auto* finished = std::get_if<RunFinished>(&event))
        dropHeld(finished->slot);
    QMetaObject::invokeMethod(
        this, [this, event = std::move(event)] { Q_EMIT arrived(event); }, Qt::QueuedConnection);
}

void EngineBridge::hold(ProgressMoved progress)
{
    const MutexLock lock(m_mutex);
    m_held[progress.slot] = std::move(progress);
    if (m_scheduled)
        return;
    m_scheduled = true;
    QMetaObject::invokeMethod(this, [this] { m_timer.start(); }, Qt::QueuedConnection);
}

void EngineBridge::dropHeld(SlotId slot)
{
    const MutexLock lock(m_mutex);
    m_held.erase(slot);
}

void EngineBridge::deliverHeld()
{
    std::map<SlotId, ProgressMoved> held;
    {
        const MutexLock lock(m_mutex);
        held.swap(m_held);
        m_scheduled = false;
    }
    for (auto& [slot, progress] : held)
        Q_EMIT arrived(StationEvent(std::move(progress)));
}

} // namespace provost
