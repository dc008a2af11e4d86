#include "cloud/outbox_sender.h"

#include "cloud/registration_guard.h"
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
constexpr int kHttpConflict = 409;
/// Rows that are read at once: after a long outage there are very many.
constexpr int kPageRows = 200;

/// A refusal of this key or unit; 401 and what has no HTTP status concern every row alike.
bool isAboutTheRow(const Error& why)
{
    return why.code == Errc::InvalidData || why.cause == kNeverIdentified ||
           (why.code == Errc::Denied && why.native == kHttpConflict);
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
    enum class Outcome : std::uint8_t { Sent, Left, Superseded, CloudAway, Stopped };
    /// Of a row's key: the one that the unit holds, one that it held, or nobody knows yet.
    enum class Standing : std::uint8_t { Latest, Past, Undecided };
    struct Pass {
        bool sentAny = false;
        Outcome end = Outcome::Sent; ///< CloudAway, Stopped: the rest waits
    };

    void run(const std::stop_token& stop);
    Milliseconds pass(const std::stop_token& stop);
    std::vector<OutboxEntry> rowsBehind(std::int64_t id);
    Pass sendAll(const std::stop_token& stop);
    Outcome sendOne(const OutboxEntry& entry, const std::stop_token& stop);
    Outcome send(const OutboxEntry& entry, const RsaPublicKey& key, const std::stop_token& stop);
    Outcome failed(const OutboxEntry& entry, const Error& why);
    Result<Standing> standingOf(const OutboxEntry& entry, const RsaPublicKey& key);
    Outcome supersede(const OutboxEntry& entry);
    void leaveOut(const OutboxEntry& entry, std::string_view why);
    Result<std::string> confirm(const OutboxEntry& entry, const RsaPublicKey& key,
                                const OpContext& op);
    Result<> settle(const OutboxEntry& entry, const RsaPublicKey& key, std::string_view evidence);
    void release(const OutboxEntry& entry, std::string_view evidence);
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
    const Pass done = sendAll(stop);
    if (done.end == Outcome::Stopped)
        return 0ms;
    const auto waiting = m_journal.outboxCount("waiting");
    if (!waiting)
        tell("outbox", false, concat("cannot be read: ", describe(waiting.error())));
    else
        tell("outbox", *waiting == 0,
             *waiting == 0 ? "nothing waiting" : concat(*waiting, " waiting"));
    if (done.end == Outcome::CloudAway)
        return backOff();
    if (!done.sentAny)
        probe(stop);
    return m_config.lookEvery;
}

/// Every waiting row once, oldest first, until the cloud is away.
OutboxSender::Worker::Pass OutboxSender::Worker::sendAll(const std::stop_token& stop)
{
    Pass pass;
    std::int64_t behind = 0;
    for (auto rows = rowsBehind(behind); !rows.empty(); rows = rowsBehind(behind)) {
        for (const OutboxEntry& entry : rows) {
            behind = entry.id;
            const Outcome outcome = sendOne(entry, stop);
            pass.sentAny = pass.sentAny || outcome == Outcome::Sent;
            if (outcome == Outcome::Sent)
                m_failures = 0;
            if (outcome == Outcome::Stopped || outcome == Outcome::CloudAway) {
                pass.end = outcome;
                return pass;
            }
        }
    }
    return pass;
}

std::vector<OutboxEntry> OutboxSender::Worker::rowsBehind(std::int64_t id)
{
    auto rows = m_journal.outboxPage("waiting", id, kPageRows);
    if (!rows) {
        tell("outbox", false, concat("cannot be read: ", describe(rows.error())));
        return {};
    }
    return *std::move(rows);
}

OutboxSender::Worker::Outcome OutboxSender::Worker::sendOne(const OutboxEntry& entry,
                                                            const std::stop_token& stop)
{
    const auto blocked = m_notBefore.find(entry.id);
    if (entry.kind != "registration" ||
        (blocked != m_notBefore.end() && m_clock.now() < blocked->second))
        return Outcome::Left;
    const auto key = RsaPublicKey::fromText(viewOf(entry.payload));
    if (!key) {
        leaveOut(entry, "not sent: the row holds no public key");
        return Outcome::Left;
    }
    const auto twins = m_journal.withdrawTwins(entry.run, entry.deviceId, key->toDer());
    if (!twins) {
        tell("outbox", false, concat("cannot be read: ", describe(twins.error())));
        return Outcome::Left;
    }
    if (!twins->empty())
        return Outcome::Superseded; // both are on HOLD for a new key
    const auto standing = standingOf(entry, *key);
    if (!standing) {
        tell("outbox", false, concat("cannot be read: ", describe(standing.error())));
        return Outcome::Left;
    }
    if (*standing == Standing::Past)
        return supersede(entry);
    if (*standing == Standing::Undecided) {
        leaveOut(entry, "not sent: the unit has a newer key, or this one, that is not proved yet");
        return Outcome::Left;
    }
    return send(entry, *key, stop);
}

OutboxSender::Worker::Outcome OutboxSender::Worker::send(const OutboxEntry& entry,
                                                         const RsaPublicKey& key,
                                                         const std::stop_token& stop)
{
    const OpContext op{
        .clock = m_clock, .stop = stop, .deadline = {m_clock.now() + m_config.sendWithin}};
    const auto confirmed = confirm(entry, key, op);
    if (!confirmed)
        return failed(entry, confirmed.error());
    m_notBefore.erase(entry.id);
    if (const auto settled = settle(entry, key, *confirmed); !settled) {
        tell("outbox", false, concat("cannot be written: ", describe(settled.error())));
        return Outcome::Left; // sent again with the next look
    }
    return Outcome::Sent;
}

/// 2xx, and the key read back where the cloud can say it. @returns what the journal keeps of it
Result<std::string> OutboxSender::Worker::confirm(const OutboxEntry& entry, const RsaPublicKey& key,
                                                  const OpContext& op)
{
    const UnitIdentity unit{.deviceId = entry.deviceId};
    const auto from = m_clock.now();
    const Registration answer =
        TRY(m_client.registerUnit(unit, key.toDer(), entry.idempotencyKey, op));
    const auto took = std::chrono::duration_cast<Milliseconds>(m_clock.now() - from);
    tell("cloud", true, concat("Cloud ", took.count(), " ms"));
    std::string evidence = concat("the cloud answered ", answer.httpStatus);
    if (!m_config.readBack)
        return evidence;
    const auto held = TRY(m_client.registeredKey(unit, op));
    if (!held)
        return concat(evidence, "; it does not say which key it holds");
    if (held->publicDer != key.toDer())
        return fail(Errc::InvalidData, Blame::Cloud,
                    concat("register ", entry.deviceId, ": the cloud answered ", answer.httpStatus,
                           held->publicDer.empty() ? " and holds no key" : " and holds another key",
                           "; it is told again"));
    return concat(evidence, " and holds this key");
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

Result<OutboxSender::Worker::Standing> OutboxSender::Worker::standingOf(const OutboxEntry& entry,
                                                                        const RsaPublicKey& key)
{
    const auto isProved = [](const KeyRecord& record) {
        return record.state == "proved" || record.state == "registered";
    };
    const std::string fingerprint = key.fingerprint();
    const auto keys = TRY(m_journal.keysOf(entry.deviceId)); // newest first
    for (const KeyRecord& record : keys) {
        const bool own = record.fingerprint == fingerprint;
        if (record.state == "refused" || (record.state == "superseded" && !own))
            continue;
        if (own && record.state == "superseded")
            return Standing::Past;
        if (own)
            return isProved(record) ? Standing::Latest : Standing::Undecided;
        if (isProved(record))
            return Standing::Past;
        // Newer and not proved: it may be on the unit, or its burn may have failed.
        const bool past = std::ranges::any_of(keys, [&](const KeyRecord& each) {
            return each.fingerprint == fingerprint && each.state == "superseded";
        });
        return past ? Standing::Past : Standing::Undecided;
    }
    return Standing::Undecided;
}

OutboxSender::Worker::Outcome OutboxSender::Worker::supersede(const OutboxEntry& entry)
{
    const auto marked =
        m_journal.markSuperseded(entry.id, "not sent: a newer key of the unit is proved");
    if (!marked && marked.error().code != Errc::NotFound) // NotFound: the journal was quicker
        tell("outbox", false, concat("cannot be written: ", describe(marked.error())));
    return Outcome::Superseded;
}

/// Says so in the row, once: every look at it would count as a try.
void OutboxSender::Worker::leaveOut(const OutboxEntry& entry, std::string_view why)
{
    if (!m_leftOut.insert(entry.id).second || entry.lastError == why)
        return;
    if (const auto marked = m_journal.markFailed(entry.id, why); !marked)
        m_leftOut.erase(entry.id);
}

Result<> OutboxSender::Worker::settle(const OutboxEntry& entry, const RsaPublicKey& key,
                                      std::string_view evidence)
{
    // A newer key may have come while this one was on its way; then the cloud is told again later.
    const bool latest = TRY(standingOf(entry, key)) == Standing::Latest;
    if (latest)
        TRY(m_journal.setKeyState(entry.run, key.fingerprint(), "registered"));
    TRY(m_journal.markSent(entry.id));
    if (latest)
        release(entry, evidence);
    return {};
}

/// A unit that is on HOLD for another reason too, or is on the line again, stays as it is.
void OutboxSender::Worker::release(const OutboxEntry& entry, std::string_view evidence)
{
    const auto released = m_journal.releaseUnit(entry.deviceId, evidence);
    if (!released && released.error().code != Errc::InvalidArgument)
        tell("outbox", false, concat("cannot be written: ", describe(released.error())));
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
