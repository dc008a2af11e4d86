#include "engine/station_engine.h"

#include "core/text.h"
#include "engine/run_loop_p.h"

#include <system_error>

namespace provost {

StationEngine::StationEngine(EngineEnvironment environment) : m_environment(std::move(environment))
{
}

StationEngine::~StationEngine()
{
    abortAll();
    std::vector<std::jthread> threads;
    {
        const MutexLock lock(m_mutex);
        for (auto& [id, slot] : m_slots)
            threads.push_back(std::move(slot.thread));
    }
    threads.clear(); // joins
}

Result<> StationEngine::start(SlotId id, const std::string& label,
                              std::shared_ptr<const TestPlan> plan)
{
    auto active = std::make_shared<ActiveRun>();
    std::jthread former;
    {
        const MutexLock lock(m_mutex);
        auto& slot = m_slots[id];
        if (slot.active)
            return fail(Errc::Busy, Blame::Operator,
                        concat("start slot ", id.value, ": it runs already"));
        slot.active = active;
        former = std::move(slot.thread);
    }
    // It has its verdict and is about to post it: events of a slot keep their order.
    if (former.joinable())
        former.join();
    auto launched = launch(id, label, std::move(plan), std::move(active));
    if (!launched)
        release(id);
    return launched;
}

Result<> StationEngine::launch(SlotId id, const std::string& label,
                               std::shared_ptr<const TestPlan> plan,
                               std::shared_ptr<ActiveRun> active)
{
    auto work = [this, id, label, plan = std::move(plan), active = std::move(active)] {
        auto finished = executeRun(m_environment, *plan, id, label, *active);
        release(id); // before the event: whoever hears it may start the slot
        m_environment.events.post(std::move(finished));
    };
    const MutexLock lock(m_mutex);
    try {
        m_slots[id].thread = std::jthread(std::move(work));
    } catch (const std::system_error& error) {
        return fail(Errc::Unavailable, Blame::Station,
                    concat("start slot ", id.value, ": ", error.what()), error.code().value());
    }
    return {};
}

std::shared_ptr<ActiveRun> StationEngine::activeIn(SlotId id) const
{
    const MutexLock lock(m_mutex);
    const auto found = m_slots.find(id);
    return found == m_slots.end() ? nullptr : found->second.active;
}

void StationEngine::release(SlotId id)
{
    const MutexLock lock(m_mutex);
    m_slots[id].active.reset();
}

void StationEngine::abort(SlotId id)
{
    if (const auto active = activeIn(id))
        active->gate.stop(m_environment.events,
                          StopRequested{.run = RunId{active->run}, .slot = id});
}

void StationEngine::abortAll()
{
    std::vector<SlotId> ids;
    {
        const MutexLock lock(m_mutex);
        for (const auto& [id, slot] : m_slots)
            ids.push_back(id);
    }
    for (const auto id : ids)
        abort(id);
}

void StationEngine::answer(RunId run, const std::string& reply)
{
    const MutexLock lock(m_mutex);
    for (const auto& [id, slot] : m_slots) {
        if (slot.active && slot.active->run == run.value)
            slot.active->prompts.answer(reply);
    }
}

bool StationEngine::busy(SlotId id) const
{
    return activeIn(id) != nullptr;
}

} // namespace provost
