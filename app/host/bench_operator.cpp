#include "host/bench_operator.h"

#include <algorithm>

namespace provost {

using namespace std::chrono_literals;

BenchOperator::BenchOperator(sim::Bench& bench, EventSink& events, const Clock& clock, Start start,
                             BenchOperatorOptions options, Answer answer)
    : m_bench(bench), m_events(events), m_clock(clock), m_start(std::move(start)),
      m_options(std::move(options)), m_answer(std::move(answer))
{
    if (m_options.slots.empty()) {
        for (const auto& slot : m_bench.slots())
            m_options.slots.push_back(SlotId{slot.number});
    }
    m_thread = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

BenchOperator::~BenchOperator() = default;

void BenchOperator::post(StationEvent event)
{
    if (const auto* prompt = std::get_if<PromptRaised>(&event)) {
        if (!m_options.obeysPrompts)
            return;
        const MutexLock lock(m_mutex);
        m_due.push_back(
            {.slot = prompt->slot, .at = m_clock.now() + m_options.atPrompt, .prompt = *prompt});
        m_changed.notify_all();
        return;
    }
    const auto* finished = std::get_if<RunFinished>(&event);
    if (finished == nullptr)
        return;
    const MutexLock lock(m_mutex);
    m_busy.erase(finished->slot);
    m_due.push_back({.slot = finished->slot, .at = m_clock.now() + m_options.lookAtVerdict});
    m_changed.notify_all();
}

void BenchOperator::begin()
{
    resume();
}

void BenchOperator::pause()
{
    const MutexLock lock(m_mutex);
    m_paused = true;
    m_changed.notify_all();
}

void BenchOperator::resume()
{
    const MutexLock lock(m_mutex);
    m_paused = false;
    auto at = m_clock.now();
    for (const auto slot : m_options.slots) {
        std::erase_if(m_due, [slot](const Due& due) { return due.slot == slot && !due.prompt; });
        if (m_busy.contains(slot))
            continue;
        m_due.push_back({.slot = slot, .at = at});
        at += m_options.betweenSlots;
    }
    m_changed.notify_all();
}

void BenchOperator::attend(SlotId slot)
{
    const MutexLock lock(m_mutex);
    if (m_busy.contains(slot))
        return;
    std::erase_if(m_due, [slot](const Due& due) { return due.slot == slot && !due.prompt; });
    m_due.push_back({.slot = slot, .at = m_clock.now()});
    m_changed.notify_all();
}

void BenchOperator::waitUntilDone()
{
    MutexLock lock(m_mutex);
    while (!m_busy.empty() || !m_due.empty() || m_serving)
        m_changed.wait(lock);
}

void BenchOperator::work(std::stop_token stop)
{
    const std::stop_callback wake(stop, [this] {
        const MutexLock lock(m_mutex);
        m_changed.notify_all();
    });
    while (!stop.stop_requested()) {
        std::optional<Due> next;
        {
            MutexLock lock(m_mutex);
            const auto soonest = std::ranges::min_element(m_due, {}, &Due::at);
            if (soonest == m_due.end()) {
                m_changed.wait(lock);
                continue;
            }
            if (soonest->at > m_clock.now()) {
                m_changed.wait_until(lock, soonest->at);
                continue;
            }
            next = std::move(*soonest);
            m_due.erase(soonest);
            m_serving = true;
        }
        if (next->prompt)
            obey(*next->prompt);
        else
            serve(next->slot);
        const MutexLock lock(m_mutex);
        m_serving = false;
        m_changed.notify_all();
    }
}

void BenchOperator::obey(const PromptRaised& prompt)
{
    m_answer(prompt.run, hold(prompt) ? "done" : "cannot");
}

bool BenchOperator::hold(const PromptRaised& prompt)
{
    // As long as people hold a button of which they are to see an effect.
    const bool taps = prompt.promptId == "hold-setup-dfu";
    const auto span = taps || prompt.promptId == "hold-setup-listening" ? 3500ms
                      : prompt.promptId == "hold-setup-clear"           ? 10500ms
                                                                        : 0ms;
    auto* board = m_bench.board(prompt.slot.value);
    const bool knowsHow = span > 0ms && board != nullptr;
    if (knowsHow && taps)
        board->resetHoldingMode(span);
    else if (knowsHow)
        board->holdMode(span);
    return knowsHow;
}

void BenchOperator::takeOut(SlotId slot)
{
    if (m_bench.present(slot.value) && m_bench.removeUnit(slot.value))
        m_events.post(UnitRemoved{.slot = slot});
}

void BenchOperator::serve(SlotId slot)
{
    if (m_options.inUse && !m_options.inUse(slot)) {
        takeOut(slot);
        return;
    }
    {
        const MutexLock lock(m_mutex);
        if (m_paused)
            return; // the stopped unit stays where it is, its verdict in sight
    }
    takeOut(slot); // first: an empty nest is what the operator sees between two units
    {
        const MutexLock lock(m_mutex);
        if (m_paused || (m_options.units && m_started >= *m_options.units))
            return;
        ++m_started;
        m_busy.insert(slot);
    }
    const auto inserted = m_bench.insertNext(slot.value);
    if (inserted && *inserted && m_start(slot, (*inserted)->label))
        return;
    const MutexLock lock(m_mutex);
    --m_started;
    m_busy.erase(slot);
}

} // namespace provost
