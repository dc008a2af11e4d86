// The sign of life that screens wait for: it comes from the engine's answer, or not at all.
#include "support/patience.h"
#include "support/recording_sink.h"
#include "support/test_program.h"

#include "core/clock.h"
#include "host/event_hub.h"
#include "host/heartbeat.h"

#include <QTest>

#include <semaphore>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

class TstHeartbeat : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void beat_saysWhenTheEngineWasAsked();
    void beats_followEachOther();
    void engineThatHangs_isSilence();
    void listenerThatHangs_isNotBuriedUnderBeats();
};

void TstHeartbeat::beat_saysWhenTheEngineWasAsked()
{
    VirtualClock clock;
    RecordingSink sink;
    const auto asked = clock.now();
    HeartbeatSender sender(sink, clock, [&] { clock.advance(700ms); }); // a slow answer
    sender.beat();
    const auto beats = sink.all<Heartbeat>();
    QCOMPARE(beats.size(), 1U);
    QVERIFY(beats[0].at == asked);
}

void TstHeartbeat::beats_followEachOther()
{
    const SystemClock clock;
    RecordingSink sink;
    HeartbeatSender sender(sink, clock, [] {});
    sender.start();
    QVERIFY(sink.waitFor<Heartbeat>(kHangGuard, [](const auto&) { return true; }));
    QVERIFY(sink.waitFor<Heartbeat>(kHangGuard, [](const auto&) { return true; }, 1));
    sender.stop();
    const auto beats = sink.all<Heartbeat>();
    QVERIFY(beats[1].at - beats[0].at >= HeartbeatSender::kEvery);
}

void TstHeartbeat::engineThatHangs_isSilence()
{
    const SystemClock clock;
    RecordingSink sink;
    std::counting_semaphore<> asked{0};
    std::counting_semaphore<> answers{0};
    HeartbeatSender sender(sink, clock, [&] {
        asked.release();
        answers.acquire();
    });
    sender.start();
    asked.acquire();
    QCOMPARE(sink.size(), 0U);
    answers.release();
    QVERIFY(sink.waitFor<Heartbeat>(kHangGuard, [](const auto&) { return true; }));
    asked.acquire();
    answers.release();
    sender.stop();
}

void TstHeartbeat::listenerThatHangs_isNotBuriedUnderBeats()
{
    /// Held in its first event until it is let go.
    class HeldListener final : public EventSink {
    public:
        void post(StationEvent event) override
        {
            if (m_events.size() == 0) {
                held.release();
                letGo.acquire();
            }
            m_events.post(std::move(event));
        }
        RecordingSink m_events{};
        std::counting_semaphore<> held{0};
        std::counting_semaphore<> letGo{0};
    };
    VirtualClock clock;
    HeldListener listener;
    EventHub hub;
    hub.add(listener);
    HeartbeatSender sender(hub, clock, [&] { clock.advance(500ms); });
    sender.beat();
    listener.held.acquire();
    for (int i = 0; i < 1000; ++i)
        sender.beat();
    hub.post(StationNotice{.subject = "cloud"});
    const auto latest = clock.now();
    sender.beat();
    listener.letGo.release();
    hub.remove(listener);
    const auto beats = listener.m_events.all<Heartbeat>();
    QCOMPARE(beats.size(), 3U); // the one it hung in, one for the thousand, one behind the notice
    QVERIFY(beats.back().at == latest);
    QCOMPARE(listener.m_events.all<StationNotice>().size(), 1U);
}

} // namespace

PROVOST_TEST("heartbeat", TstHeartbeat)
#include "tst_heartbeat.moc"
