// One stream for all listeners: a listener that is held up holds up nobody, and misses nothing.
#include "core/mutex.h"
#include "host/event_hub.h"
#include "support/test_program.h"

#include <QTest>

#include <semaphore>

using namespace provost;
using namespace std::chrono_literals;

namespace {

constexpr auto kPatience = 20s;

/// An event that carries a number.
StationEvent numbered(int number)
{
    return StationNotice{.subject = "test", .good = true, .text = std::to_string(number)};
}

StationEvent progress(int slot, double fraction)
{
    return ProgressMoved{.run = RunId{1}, .slot = SlotId{slot}, .fraction = fraction};
}

/// Counts what it hears; `gate` lets it go on after each event where it is held.
class Listener final : public EventSink {
public:
    explicit Listener(bool held = false) : m_held(held) {}

    void post(StationEvent event) override
    {
        bool held = false;
        {
            const MutexLock lock(m_mutex);
            m_heard.push_back(std::move(event));
            held = m_held;
            m_changed.notify_all();
        }
        if (held)
            m_gate.acquire();
    }
    /// From now on it is held by nothing.
    void letGo()
    {
        const MutexLock lock(m_mutex);
        m_held = false;
        m_gate.release();
    }
    bool waitFor(std::size_t count)
    {
        const auto until = std::chrono::steady_clock::now() + kPatience;
        MutexLock lock(m_mutex);
        while (m_heard.size() < count) {
            if (m_changed.wait_until(lock, until) == std::cv_status::timeout)
                return false;
        }
        return true;
    }
    std::vector<StationEvent> heard()
    {
        const MutexLock lock(m_mutex);
        return m_heard;
    }
    std::vector<std::string> texts()
    {
        std::vector<std::string> texts;
        for (const auto& event : heard()) {
            if (const auto* notice = std::get_if<StationNotice>(&event))
                texts.push_back(notice->text);
        }
        return texts;
    }

private:
    Mutex m_mutex;
    std::condition_variable_any m_changed;
    std::vector<StationEvent> m_heard PROVOST_GUARDED_BY(m_mutex){};
    bool m_held PROVOST_GUARDED_BY(m_mutex) = false;
    std::counting_semaphore<> m_gate{0};
};

std::vector<std::string> numbersUpTo(int count)
{
    std::vector<std::string> numbers;
    for (int i = 0; i < count; ++i)
        numbers.push_back(std::to_string(i));
    return numbers;
}

class TstEventHub : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void heldListener_holdsUpNeitherPosterNorOthers();
    void fullQueue_makesThePosterWaitAndLosesNothing();
    void listeners_hearOneOrder();
    void removal_deliversWhatWasPosted();
    void end_deliversWhatWasPosted();
    void progress_isFoldedOnlyWhereManyWait();
    void listener_mayPostByItself();
};

void TstEventHub::heldListener_holdsUpNeitherPosterNorOthers()
{
    constexpr int kEvents = 2000;
    EventHub hub;
    Listener held(true);
    Listener free;
    hub.add(held);
    hub.add(free);
    for (int i = 0; i < kEvents; ++i)
        hub.post(numbered(i)); // would never return here
    QVERIFY(free.waitFor(kEvents));
    QCOMPARE(free.texts(), numbersUpTo(kEvents));
    QVERIFY(held.heard().size() <= 1);
    held.letGo();
    hub.remove(held);
    QCOMPARE(held.texts(), numbersUpTo(kEvents));
    hub.remove(free);
}

void TstEventHub::fullQueue_makesThePosterWaitAndLosesNothing()
{
    constexpr int kEvents = 40;
    EventHub hub(4);
    Listener held(true);
    Listener free;
    hub.add(held);
    hub.add(free);
    std::atomic<bool> through = false;
    std::jthread poster([&] {
        for (int i = 0; i < kEvents; ++i)
            hub.post(numbered(i));
        through = true;
    });
    // One is with the held listener, four wait for it; the next has to.
    QVERIFY(free.waitFor(5));
    QVERIFY(!through);
    held.letGo();
    poster.join();
    hub.remove(held);
    hub.remove(free);
    QCOMPARE(held.texts(), numbersUpTo(kEvents));
    QCOMPARE(free.texts(), numbersUpTo(kEvents));
}

void TstEventHub::listeners_hearOneOrder()
{
    constexpr int kPosters = 4;
    constexpr int kEach = 300;
    Listener one;
    Listener other;
    {
        EventHub hub;
        hub.add(one);
        hub.add(other);
        std::vector<std::jthread> posters;
        for (int poster = 0; poster < kPosters; ++poster)
            posters.emplace_back([&hub, poster] {
                for (int i = 0; i < kEach; ++i)
                    hub.post(numbered(poster * kEach + i));
            });
    }
    QCOMPARE(one.texts().size(), std::size_t{kPosters * kEach});
    QCOMPARE(one.texts(), other.texts());
    // Those of one thread keep their order.
    std::map<int, int> last;
    for (const auto& text : one.texts()) {
        const int number = std::stoi(text);
        const int poster = number / kEach;
        QVERIFY(!last.contains(poster) || last[poster] < number);
        last[poster] = number;
    }
}

void TstEventHub::removal_deliversWhatWasPosted()
{
    EventHub hub;
    Listener listener;
    hub.add(listener);
    for (int i = 0; i < 500; ++i)
        hub.post(numbered(i));
    hub.remove(listener);
    QCOMPARE(listener.texts(), numbersUpTo(500));
    hub.post(numbered(500));
    QCOMPARE(listener.texts().size(), std::size_t{500});
    hub.remove(listener); // nobody any more
}

void TstEventHub::end_deliversWhatWasPosted()
{
    Listener listener;
    {
        EventHub hub;
        hub.add(listener);
        for (int i = 0; i < 500; ++i)
            hub.post(numbered(i));
    }
    QCOMPARE(listener.texts(), numbersUpTo(500));
}

void TstEventHub::progress_isFoldedOnlyWhereManyWait()
{
    constexpr auto kFew = static_cast<int>(EventHub::kFoldFrom);
    EventHub hub;
    Listener held(true);
    hub.add(held);
    hub.post(numbered(0));
    QVERIFY(held.waitFor(1)); // it is with the listener; what follows waits
    for (int i = 0; i < kFew; ++i)
        hub.post(progress(1 + i % 2, i));
    for (int i = 0; i < 1000; ++i)
        hub.post(progress(1 + i % 2, 1000 + i));
    hub.post(numbered(1));
    hub.post(progress(1, 5000)); // a slot's progress overtakes nothing
    held.letGo();
    hub.remove(held);
    const auto heard = held.heard();
    QCOMPARE(heard.size(), static_cast<std::size_t>(kFew) + 3);
    QCOMPARE(std::get<StationNotice>(heard[heard.size() - 2]).text, std::string("1"));
    QCOMPARE(std::get<ProgressMoved>(heard.back()).fraction, 5000.0);
    // The latest of both slots are there.
    std::map<int, double> latest;
    for (std::size_t i = 1; i + 2 < heard.size(); ++i)
        latest[std::get<ProgressMoved>(heard[i]).slot.value] =
            std::get<ProgressMoved>(heard[i]).fraction;
    QCOMPARE(latest[1], 1998.0);
    QCOMPARE(latest[2], 1999.0);
}

/// Answers every notice below ten with the next.
class Echo final : public EventSink {
public:
    explicit Echo(EventHub& hub) : m_hub(hub) {}
    void post(StationEvent event) override
    {
        const int number = std::stoi(std::get<StationNotice>(event).text);
        if (number < 9)
            m_hub.post(numbered(number + 1));
    }

private:
    EventHub& m_hub;
};

void TstEventHub::listener_mayPostByItself()
{
    EventHub hub(1);
    Echo echo(hub);
    Listener listener;
    hub.add(echo);
    hub.add(listener);
    hub.post(numbered(0));
    QVERIFY(listener.waitFor(10));
    QCOMPARE(listener.texts(), numbersUpTo(10));
    hub.remove(echo);
    hub.remove(listener);
}

} // namespace

PROVOST_TEST("event_hub", TstEventHub)
#include "tst_event_hub.moc"
