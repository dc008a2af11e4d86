#include "cloud/outbox_sender.h"

#include "core/byte_io.h"
#include "core/text.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <random>
#include <set>
#include <thread>

namespace provost {

namespace {

using namespace std::chrono_literals;
using Milliseconds = std::chrono::milliseconds;

/// How soon a pause ends on a clock that is not the system's; stop and wake() end it at once.
constexpr auto kPauseSlice = 250ms;

/// A refusal of this key or unit; 401 and what has no HTTP status concern every row alike.
bool isAboutTheRow(const Error& why)
{
    return why.code == Errc::InvalidData;
}

} // namespace

class OutboxSender::Worker {
public:
    Worker(Journal& journal, ProvisioningClient& client, EventSink& events, const Clock& clock,
           OutboxSenderConfig config)
        : m_journal(journal), m_client(client), m_events(events), m_clock(clock),
          m_config(std::move(config)), m_thread([this](const std::stop_token& stop) { run(stop); })
    {
    }

    void wake()
    {
        const MutexLock lock(m_mutex);
        m_woken = true;
        m_changed.notify_all();
    }

private:
    enum class Outcome : std::uint8_t { Sent, Left, CloudAway, Stopped };

    void run(const std::stop_token& stop);
    Milliseconds pass(const std::stop_token& stop);
    std::vector<OutboxEntry> waitingRows();
    Outcome sendOne(const OutboxEntry& entry, const std::stop_token& stop);
    Outcome failed(const OutboxEntry& entry, const Error& why);
    Result<bool> isLatestKey(const OutboxEntry& entry, const RsaPublicKey& key);
    void leaveOut(const OutboxEntry& entry, std::string_view why);
    Result<> settle(const OutboxEntry& entry, const RsaPublicKey& key);
    void probe(const std::stop_token& stop);
    void pause(Milliseconds span, const std::stop_token& stop);
    Milliseconds backOff();
    void tell(std::string_view subject, bool good, std::string text);
    void tellCloud(const Error& why);

    Journal& m_journal;
    ProvisioningClient& m_client;
    EventSink& m_events;
    const Clock& m_clock;
    OutboxSenderConfig m_config;

    // Of the worker's thread only.
    int m_failures = 0;                                  ///< of the cloud, in a row
    std::map<std::int64_t, Clock::Steady> m_notBefore{}; ///< rows that the cloud refused
    std::set<std::int64_t> m_leftOut{};
    std::map<std::string, std::string, std::less<>> m_told{};
    Clock::Steady m_nextProbe{};
    std::minstd_rand m_random{std::random_device{}()};

    Mutex m_mutex;
    std::condition_variable_any m_changed{};
    bool m_woken PROVOST_GUARDED_BY(m_mutex) = false;
    std::jthread m_thread; ///< last: starts when everything else is there
};

OutboxSender::OutboxSender(Journal& journal, ProvisioningClient& client, EventSink& events,
                           const Clock& clock, OutboxSenderConfig config)
    : m_worker(std::make_unique<Worker>(journal, client, events, clock, std::move(config)))
{
}

OutboxSender::~OutboxSender() = default;

void OutboxSender::wake()
{
    m_worker->wake();
}

void OutboxSender::Worker::run(const std::stop_token& stop)
{
    while (!stop.stop_requested())
        pause(pass(stop), stop);
}

/// One look at the outbox. @returns how long to rest
Milliseconds OutboxSender::Worker::pass(const std::stop_token& stop)
{
    const auto rows = waitingRows();
    std::size_t waiting = rows.size();
    bool sentAny = false;
    for (const OutboxEntry& entry : rows) {
        const Outcome outcome = sendOne(entry, stop);
        if (outcome == Outcome::Stopped)
            return 0ms;
        if (outcome == Outcome::CloudAway) {
            tell("outbox", false, concat(waiting, " waiting"));
            return backOff();
        }
        if (outcome == Outcome::Sent) {
            m_failures = 0;
            sentAny = true;
            --waiting;
        }
    }
    tell("outbox", waiting == 0, waiting == 0 ? "nothing waiting" : concat(waiting, " waiting"));
    if (!sentAny)
        probe(stop);
    return m_config.lookEvery;
}

std::vector<OutboxEntry> OutboxSender::Worker::waitingRows()
{
    auto rows = m_journal.outbox("waiting");
    if (!rows) {
        tell("outbox", false, concat("cannot be read: ", describe(rows.error())));
        return {};
    }
    std::erase_if(*rows, [](const OutboxEntry& entry) { return entry.kind != "registration"; });
    return *std::move(rows);
}

OutboxSender::Worker::Outcome OutboxSender::Worker::sendOne(const OutboxEntry& entry,
                                                            const std::stop_token& stop)
{
    const auto blocked = m_notBefore.find(entry.id);
    if (blocked != m_notBefore.end() && m_clock.now() < blocked->second)
        return Outcome::Left;
    const auto key = RsaPublicKey::fromText(viewOf(entry.payload));
    if (!key) {
        leaveOut(entry, "not sent: the row holds no public key");
        return Outcome::Left;
    }
    const auto latest = isLatestKey(entry, *key);
    if (!latest) {
        tell("outbox", false, concat("cannot be read: ", describe(latest.error())));
        return Outcome::Left;
    }
    if (!*latest) {
        leaveOut(entry, "not sent: superseded, the unit has a newer key");
        return Outcome::Left;
    }
    const OpContext op{
        .clock = m_clock, .stop = stop, .deadline = {m_clock.now() + m_config.sendWithin}};
    const auto from = m_clock.now();
    const auto answer =
        m_client.registerUnit({.deviceId = entry.deviceId}, key->toDer(), entry.idempotencyKey, op);
    if (!answer)
        return failed(entry, answer.error());
    const auto took = std::chrono::duration_cast<Milliseconds>(m_clock.now() - from);
    tell("cloud", true, concat("Cloud ", took.count(), " ms"));
    m_notBefore.erase(entry.id);
    if (const auto settled = settle(entry, *key); !settled) {
        tell("outbox", false, concat("cannot be written: ", describe(settled.error())));
        return Outcome::Left; // sent again with the next look
    }
    return Outcome::Sent;
}

OutboxSender::Worker::Outcome OutboxSender::Worker::failed(const OutboxEntry& entry,
                                                           const Error& why)
{
    if (why.code == Errc::Cancelled)
        return Outcome::Stopped;
    if (const auto marked = m_journal.markFailed(entry.id, describe(why)); !marked)
        tell("outbox", false, concat("cannot be written: ", describe(marked.error())));
    if (isAboutTheRow(why)) {
        m_notBefore[entry.id] = m_clock.now() + m_config.longestPause;
        return Outcome::Left;
    }
    tellCloud(why);
    return Outcome::CloudAway;
}

Result<bool> OutboxSender::Worker::isLatestKey(const OutboxEntry& entry, const RsaPublicKey& key)
{
    const auto latest = TRY(m_journal.keyOf(entry.deviceId));
    return latest.has_value() && latest->fingerprint == key.fingerprint();
}

/// Says so in the row, once: every look at it would count as a try.
void OutboxSender::Worker::leaveOut(const OutboxEntry& entry, std::string_view why)
{
    if (!m_leftOut.insert(entry.id).second || entry.lastError == why)
        return;
    if (const auto marked = m_journal.markFailed(entry.id, why); !marked)
        m_leftOut.erase(entry.id);
}

Result<> OutboxSender::Worker::settle(const OutboxEntry& entry, const RsaPublicKey& key)
{
    // A newer key may have come while this one was on its way; then the cloud is told again later.
    if (TRY(isLatestKey(entry, key)))
        TRY(m_journal.setKeyState(entry.run, key.fingerprint(), "registered"));
    return m_journal.markSent(entry.id);
}

void OutboxSender::Worker::probe(const std::stop_token& stop)
{
    if (!m_config.probe || m_clock.now() < m_nextProbe)
        return;
    m_nextProbe = m_clock.now() + m_config.probeEvery;
    const OpContext op{
        .clock = m_clock, .stop = stop, .deadline = {m_clock.now() + m_config.sendWithin}};
    const auto took = m_config.probe(op);
    if (took)
        tell("cloud", true, concat("Cloud ", took->count(), " ms"));
    else if (took.error().code != Errc::Cancelled)
        tellCloud(took.error());
}

void OutboxSender::Worker::pause(Milliseconds span, const std::stop_token& stop)
{
    const auto until = m_clock.now() + span;
    MutexLock lock(m_mutex);
    while (!m_woken && !stop.stop_requested() && m_clock.now() < until) {
        const auto left = std::chrono::ceil<Milliseconds>(until - m_clock.now());
        m_changed.wait_for(lock, stop, std::min<Milliseconds>(left, kPauseSlice),
                           [this]() PROVOST_REQUIRES(m_mutex) { return m_woken; });
    }
    m_woken = false;
}

/// 1 s, 2 s, 4 s … the longest, with jitter: stations that lost the same cloud come back apart.
Milliseconds OutboxSender::Worker::backOff()
{
    const int doublings = std::min(m_failures++, 16);
    const double plain = std::min(static_cast<double>(m_config.firstPause.count()) *
                                      static_cast<double>(1 << doublings),
                                  static_cast<double>(m_config.longestPause.count()));
    std::uniform_real_distribution<double> spread(1 - m_config.jitter, 1 + m_config.jitter);
    return Milliseconds(static_cast<Milliseconds::rep>(plain * spread(m_random)));
}

void OutboxSender::Worker::tellCloud(const Error& why)
{
    if (why.code == Errc::Denied)
        tell("cloud", false, "Cloud refuses this station");
    else if (why.code == Errc::InvalidArgument || why.code == Errc::NotFound)
        tell("cloud", false, "Cloud address is not usable");
    else if (why.native.value_or(0) != 0)
        tell("cloud", false, concat("Cloud HTTP ", *why.native));
    else
        tell("cloud", false, "Cloud away");
}

/// Posts what is news.
void OutboxSender::Worker::tell(std::string_view subject, bool good, std::string text)
{
    std::string& last = m_told[std::string(subject)];
    if (last == text)
        return;
    last = text;
    m_events.post(
        StationNotice{.subject = std::string(subject), .good = good, .text = std::move(text)});
}

} // namespace provost
