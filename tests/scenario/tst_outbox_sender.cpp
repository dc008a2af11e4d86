// Registrations that wait in the journal reach a cloud that comes and goes.
#include "cloud/http_provisioning_client.h"
#include "cloud/outbox_sender.h"
#include "held_unit.h"
#include "support/test_program.h"

#include "core/byte_io.h"
#include "crypto/digest.h"

#include <QFile>
#include <QRegularExpression>
#include <QTemporaryDir>
#include <QTest>
#include <sqlite3.h>

using namespace provost;
using namespace provost::test;

namespace {

class Notices final : public EventSink {
public:
    void post(StationEvent event) override
    {
        const MutexLock lock(m_mutex);
        if (const auto* notice = std::get_if<StationNotice>(&event))
            m_all.push_back(*notice);
    }
    /// The last text about a subject.
    QString last(std::string_view subject) const
    {
        const MutexLock lock(m_mutex);
        for (auto item = m_all.rbegin(); item != m_all.rend(); ++item) {
            if (item->subject == subject)
                return QString::fromStdString(item->text);
        }
        return {};
    }

private:
    mutable Mutex m_mutex;
    std::vector<StationNotice> m_all;
};

/// The ids of what is registered, in the order of their arrival.
class Arrivals final : public CloudObserver {
public:
    void onKeyChanged(const std::string& deviceId, const std::string& /*fingerprint*/) override
    {
        const MutexLock lock(m_mutex);
        m_ids.push_back(deviceId);
    }
    std::vector<std::string> ids() const
    {
        const MutexLock lock(m_mutex);
        return m_ids;
    }

private:
    mutable Mutex m_mutex;
    std::vector<std::string> m_ids PROVOST_GUARDED_BY(m_mutex);
};

/// Refuses the first calls as a cloud that is busy, and keeps what each of them carried.
class BusyAtFirst final : public ProvisioningClient {
public:
    explicit BusyAtFirst(int refusals) : m_refusals(refusals) {}
    Result<Registration> registerUnit(const UnitIdentity& /*unit*/, ByteView publicKeyDer,
                                      std::string_view idempotencyKey,
                                      const OpContext& /*op*/) override
    {
        const MutexLock lock(m_mutex);
        m_carried.push_back(concat(idempotencyKey, " ", sha256Hex(publicKeyDer)));
        if (std::ssize(m_carried) <= m_refusals)
            return fail(Errc::Unavailable, Blame::Cloud, "busy", 503);
        return Registration{.httpStatus = 200};
    }
    Result<std::optional<RegisteredKey>> registeredKey(const UnitIdentity& /*unit*/,
                                                       const OpContext& /*op*/) override
    {
        return std::optional<RegisteredKey>{};
    }
    std::vector<std::string> carried() const
    {
        const MutexLock lock(m_mutex);
        return m_carried;
    }

private:
    const int m_refusals;
    mutable Mutex m_mutex;
    std::vector<std::string> m_carried PROVOST_GUARDED_BY(m_mutex);
};

class TstOutboxSender : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void init();
    void cleanup();
    void waitingRegistration_isSentAndSettled();
    void otherKeyInTheCloud_isNoConfirmation();
    void provedNewerKey_supersedesTheRow();
    void cloudAway_everythingWaitsThenArrives();
    void backOff_doublesUpToTheLongestPause();
    void refusedKey_holdsUpNobodyElse();
    void refusedStation_sendsNothingFurther();
    void supersededKey_isNeverSent();
    void sameKeyUnderAnotherId_isNeverSent();
    void rows_areSentInTheirOrder();
    void retry_carriesTheSameIdempotencyKey();
    void lateRetry_isJudgedAnew();
    void wake_sendsAtOnce();
    void end_isPromptWhileTheCloudIsSilent();
    void probe_measuresTheIdleCloud();

private:
    OutboxSenderConfig quick() const
    {
        return {
            .firstPause = 20ms, .longestPause = 100ms, .lookEvery = 20ms, .sendWithin = kHangGuard};
    }
    RunId hold(const Unit& unit);
    std::unique_ptr<OutboxSender> sender(OutboxSenderConfig config)
    {
        return std::make_unique<OutboxSender>(*m_journal, *m_client, m_notices, m_clock,
                                              std::move(config));
    }
    std::size_t waiting() { return std::size_t(m_journal->outboxCount("waiting").value()); }
    bool isRegistered(const Unit& unit)
    {
        const auto key = m_cloud->service().registry().find(unit.id);
        return key && *key && (*key)->fingerprint() == unit.key.publicKey.fingerprint();
    }

    SystemClock m_clock;
    Notices m_notices;
    QTemporaryDir m_keys;
    std::unique_ptr<QTemporaryDir> m_folder{};
    std::unique_ptr<Journal> m_journal{};
    std::unique_ptr<VirtualCloud> m_cloud{};
    std::unique_ptr<HttpProvisioningClient> m_client{};
};

void TstOutboxSender::initTestCase()
{
    QFile file(m_keys.filePath("server.pem"));
    QVERIFY(file.open(QIODevice::WriteOnly));
    const SecretBytes pem = RsaPrivateKey::generate(2048).value().toClearPem();
    file.write(QByteArray::fromStdString(toText(pem.reveal())));
}

void TstOutboxSender::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
    auto journal = Journal::open(m_folder->filePath("units.db").toStdString(), m_clock);
    QVERIFY2(journal.has_value(), journal ? "" : describe(journal.error()).c_str());
    m_journal = *std::move(journal);
    VirtualCloudConfig config;
    config.service.serverKeyFile = m_keys.filePath("server.pem").toStdString();
    auto cloud = VirtualCloud::start(std::move(config), m_clock);
    QVERIFY(cloud.has_value());
    m_cloud = *std::move(cloud);
    m_client = std::make_unique<HttpProvisioningClient>(
        HttpClientConfig{.baseUrl = m_cloud->service().baseUrl(), .answerWithin = kHangGuard});
}

void TstOutboxSender::cleanup()
{
    m_client.reset();
    m_cloud.reset();
    m_journal.reset();
}

RunId TstOutboxSender::hold(const Unit& unit)
{
    const RunId run = m_journal->beginRun({.slot = 1, .planId = "photon-full"}).value();
    return endsInHold(*m_journal, run, unit) ? run : RunId{};
}

void TstOutboxSender::waitingRegistration_isSentAndSettled()
{
    const Unit unit;
    QVERIFY(hold(unit).value != 0);
    QCOMPARE(waiting(), std::size_t{1});
    const auto running = sender(quick());
    QTRY_COMPARE(waiting(), std::size_t{0});
    QVERIFY(isRegistered(unit));
    const auto row = m_journal->outbox().value().front();
    QCOMPARE(row.state, std::string("sent"));
    QCOMPARE(m_journal->keyOf(unit.id).value()->state, std::string("registered"));
    QTRY_COMPARE(m_notices.last("outbox"), "nothing waiting");
    QVERIFY(QRegularExpression("^Cloud \\d+ ms$").match(m_notices.last("cloud")).hasMatch());
    QCOMPARE(m_cloud->requests(), 2); // told, and the key read back
    const auto release = m_journal->releaseOf(unit.id).value();
    QVERIFY(release.has_value());
    QCOMPARE(release->fingerprint, unit.key.publicKey.fingerprint());
    QCOMPARE(release->evidence, std::string("the cloud answered 200 and holds this key"));
    QCOMPARE(m_journal->unit(unit.id).value().state, std::string("released"));
}

void TstOutboxSender::otherKeyInTheCloud_isNoConfirmation()
{
    const Unit unit;
    QVERIFY(hold(unit).value != 0);
    const Unit older{.id = unit.id};
    // Somebody tells the cloud another key between the answer and the reading back.
    m_cloud->afterRequest(1, [&] {
        QVERIFY(m_cloud->service().registry().put(unit.id, older.key.publicKey).has_value());
    });
    auto config = quick();
    config.longestPause = 50ms;
    const auto running = sender(config);
    QTRY_VERIFY(isRegistered(unit));
    QTRY_COMPARE(waiting(), std::size_t{0});
    QVERIFY(m_cloud->requests() >= 4); // told twice, read back twice
}

void TstOutboxSender::provedNewerKey_supersedesTheRow()
{
    const Unit before;
    const RunId first = hold(before);
    QVERIFY(first.value != 0);
    const Unit after{.id = before.id};
    QVERIFY(hold(after).value != 0);
    // As a record of an earlier program may have it: the old row waits although it must not.
    sqlite3* db = nullptr;
    QCOMPARE(sqlite3_open(m_journal->path().c_str(), &db), SQLITE_OK);
    QCOMPARE(sqlite3_exec(db, "UPDATE outbox SET state = 'waiting'", nullptr, nullptr, nullptr),
             SQLITE_OK);
    sqlite3_close(db);
    const auto running = sender(quick());
    QTRY_COMPARE(m_journal->outboxCount("waiting").value(), 0);
    QVERIFY(isRegistered(after));
    const auto rows = m_journal->outbox().value();
    QCOMPARE(rows[0].state, std::string("superseded"));
    QCOMPARE(rows[0].tries, 0);
    QCOMPARE(rows[1].state, std::string("sent"));
}

void TstOutboxSender::cloudAway_everythingWaitsThenArrives()
{
    m_cloud->failRequests(RequestFault::Answer503);
    std::vector<Unit> units;
    for (int i = 1; i <= 3; ++i) {
        units.push_back({.id = unitId(i)});
        QVERIFY(hold(units.back()).value != 0);
    }
    const auto running = sender(quick());
    QTRY_COMPARE(m_notices.last("cloud"), "Cloud HTTP 503");
    QTRY_COMPARE(m_notices.last("outbox"), "3 waiting");
    QTRY_VERIFY(m_cloud->requests() >= 3);
    QCOMPARE(waiting(), std::size_t{3});
    QVERIFY(m_journal->outbox("waiting").value().front().lastError.find("503") !=
            std::string::npos);
    m_cloud->clearFaults();
    QTRY_COMPARE(waiting(), std::size_t{0});
    for (const Unit& unit : units)
        QVERIFY(isRegistered(unit));
}

void TstOutboxSender::backOff_doublesUpToTheLongestPause()
{
    m_cloud->failRequests(RequestFault::Answer500);
    QVERIFY(hold(Unit{}).value != 0);
    auto config = quick();
    config.firstPause = 50ms;
    config.longestPause = 200ms;
    config.jitter = 0;
    const auto since = m_clock.now();
    auto running = sender(config);
    QTRY_VERIFY(m_cloud->requests() >= 5); // 50 + 100 + 200 + 200 ms between them
    QVERIFY(m_clock.now() - since >= 540ms);
    running.reset();
    // The last one may have been on its way.
    const int tries = m_journal->outbox("waiting").value().front().tries;
    QVERIFY(tries == m_cloud->requests() || tries == m_cloud->requests() - 1);
}

void TstOutboxSender::refusedKey_holdsUpNobodyElse()
{
    const Unit refused{.id = unitId(1)};
    const Unit fine{.id = unitId(2)};
    QVERIFY(hold(refused).value != 0);
    QVERIFY(hold(fine).value != 0);
    m_cloud->failRequests(RequestFault::Refuse, 1);
    auto config = quick();
    config.longestPause = 1h;
    const auto running = sender(config);
    QTRY_VERIFY(isRegistered(fine));
    QTRY_COMPARE(waiting(), std::size_t{1});
    const auto row = m_journal->outbox("waiting").value().front();
    QCOMPARE(row.deviceId, refused.id);
    QVERIFY(row.lastError.find("400") != std::string::npos);
    QTRY_COMPARE(m_notices.last("outbox"), "1 waiting");
}

void TstOutboxSender::refusedStation_sendsNothingFurther()
{
    VirtualCloudConfig guarded;
    guarded.service.serverKeyFile = m_keys.filePath("server.pem").toStdString();
    guarded.service.token = SecretBytes(viewOf("0123456789abcdef"));
    m_client.reset();
    m_cloud = VirtualCloud::start(std::move(guarded), m_clock).value();
    m_client = std::make_unique<HttpProvisioningClient>(
        HttpClientConfig{.baseUrl = m_cloud->service().baseUrl(), .answerWithin = kHangGuard});
    QVERIFY(hold({.id = unitId(1)}).value != 0);
    QVERIFY(hold({.id = unitId(2)}).value != 0);
    auto config = quick();
    config.firstPause = 1h;
    const auto running = sender(config);
    QTRY_COMPARE(m_notices.last("cloud"), "Cloud refuses this station");
    QTRY_COMPARE(m_notices.last("outbox"), "2 waiting");
    QCOMPARE(m_cloud->requests(), 1);
}

void TstOutboxSender::supersededKey_isNeverSent()
{
    const Unit before;
    QVERIFY(hold(before).value != 0);
    // The unit is on the line again and has a new key, which nothing has proved yet.
    const Unit after{.id = before.id};
    const RunId run = m_journal->beginRun({.slot = 1, .planId = "photon-full"}).value();
    QVERIFY(m_journal->identify(run, after.identity(), "listening").has_value());
    QVERIFY(m_journal
                ->journalKey(run, {.fingerprint = after.key.publicKey.fingerprint(),
                                   .deviceId = after.id,
                                   .publicDer = after.publicDer(),
                                   .origin = "generated"})
                .has_value());
    std::atomic<int> looks = 0; // the cloud is measured at each look that sends nothing
    auto config = quick();
    config.probeEvery = 0ms;
    config.probe = [&looks](const OpContext&) -> Result<std::chrono::milliseconds> {
        ++looks;
        return 1ms;
    };
    const auto running = sender(config);
    QTRY_VERIFY(m_journal->outbox().value().front().lastError.find("newer key") !=
                std::string::npos);
    const int looksBefore = looks;
    QTRY_VERIFY(looks >= looksBefore + 3);
    QCOMPARE(m_cloud->requests(), 0);
    QCOMPARE(m_journal->outbox().value().front().tries, 1);
    QVERIFY(m_journal->setKeyState(run, after.key.publicKey.fingerprint(), "proved").has_value());
    QCOMPARE(m_journal->outbox().value().front().state, std::string("superseded"));
}

void TstOutboxSender::sameKeyUnderAnotherId_isNeverSent()
{
    // A waits for the cloud; then the key turns up on B, and only then the cloud is there.
    m_cloud->beAway(std::chrono::hours(1));
    const Unit first;
    QVERIFY(hold(first).value != 0);
    const std::string second = "2b0099000447373030323399";
    const RunId run = m_journal->beginRun({.slot = 2, .planId = "elsewhere"}).value();
    QVERIFY(m_journal->identify(run, {.deviceId = second}, "listening").has_value());
    Bytes otherwise = first.publicDer(); // the same number in another encoding
    otherwise.push_back(std::byte{0});
    QVERIFY(m_journal
                ->journalKey(run, {.fingerprint = sha256Hex(otherwise),
                                   .deviceId = second,
                                   .publicDer = otherwise,
                                   .origin = "kept"})
                .has_value());
    QVERIFY(m_journal->finishRun(run, Verdict::Pass, "", "", 1.0).has_value());
    const Unit third{.id = unitId(3)};
    QVERIFY(hold(third).value != 0);
    m_cloud->clearFaults();
    const auto running = sender(quick());
    QTRY_COMPARE(waiting(), std::size_t{0});
    QVERIFY(isRegistered(third));
    QVERIFY(!*m_cloud->service().registry().find(first.id));
    QCOMPARE(m_journal->outbox().value().front().state, std::string("superseded"));
    QCOMPARE(m_journal->outbox().value().front().tries, 0);
    for (const auto& id : {first.id, second}) {
        QCOMPARE(m_journal->unit(id).value().state, std::string("hold"));
        QVERIFY(!m_journal->releaseUnit(id, "the cloud answered 200"));
    }
}

void TstOutboxSender::rows_areSentInTheirOrder()
{
    const auto arrivals = std::make_shared<Arrivals>();
    m_cloud->service().addObserver(arrivals);
    std::vector<std::string> wanted;
    for (const int number : {3, 1, 4, 2}) {
        wanted.push_back(unitId(number));
        QVERIFY(hold({.id = wanted.back()}).value != 0);
    }
    const auto running = sender(quick());
    QTRY_COMPARE(waiting(), std::size_t{0});
    QCOMPARE(arrivals->ids(), wanted);
}

void TstOutboxSender::retry_carriesTheSameIdempotencyKey()
{
    constexpr int kRefusals = 3;
    BusyAtFirst cloud(kRefusals);
    const Unit unit;
    const RunId run = hold(unit);
    QVERIFY(run.value != 0);
    const OutboxSender running(*m_journal, cloud, m_notices, m_clock, quick());
    QTRY_COMPARE(waiting(), std::size_t{0});
    const std::string each =
        concat("registration-", run.value, " ", unit.key.publicKey.fingerprint());
    QCOMPARE(cloud.carried(), std::vector<std::string>(kRefusals + 1, each));
}

void TstOutboxSender::lateRetry_isJudgedAnew()
{
    m_cloud->failRequests(RequestFault::Answer503);
    const Unit before;
    QVERIFY(hold(before).value != 0);
    const auto running = sender(quick());
    const auto row = [this] { return m_journal->outbox().value().front(); };
    QTRY_VERIFY(row().tries >= 2);
    // The unit has another key by now, which registered itself; the old row comes back to life.
    const Unit after{.id = before.id};
    const RunId run = m_journal->beginRun({.slot = 1, .planId = "photon-full"}).value();
    const std::string fingerprint = after.key.publicKey.fingerprint();
    QVERIFY(m_journal->identify(run, after.identity(), "listening").has_value());
    QVERIFY(m_journal
                ->journalKey(run, {.fingerprint = fingerprint,
                                   .deviceId = after.id,
                                   .publicDer = after.publicDer(),
                                   .origin = "generated"})
                .has_value());
    QVERIFY(m_journal->setKeyState(run, fingerprint, "proved").has_value());
    sqlite3* db = nullptr;
    QCOMPARE(sqlite3_open(m_journal->path().c_str(), &db), SQLITE_OK);
    QCOMPARE(sqlite3_busy_timeout(db, 60'000), SQLITE_OK);
    QCOMPARE(sqlite3_exec(db, "UPDATE outbox SET state = 'waiting'", nullptr, nullptr, nullptr),
             SQLITE_OK);
    sqlite3_close(db);
    QTRY_COMPARE(row().state, std::string("superseded"));
    m_cloud->clearFaults();
    QVERIFY(!m_cloud->service().registry().find(before.id).value().has_value());
}

void TstOutboxSender::wake_sendsAtOnce()
{
    auto config = quick();
    config.lookEvery = 1h;
    const auto running = sender(config);
    QTRY_COMPARE(m_notices.last("outbox"), "nothing waiting");
    const Unit unit;
    QVERIFY(hold(unit).value != 0);
    running->wake();
    QTRY_VERIFY(isRegistered(unit));
}

void TstOutboxSender::end_isPromptWhileTheCloudIsSilent()
{
    m_cloud->failRequests(RequestFault::TimeOutBefore);
    QVERIFY(hold(Unit{}).value != 0);
    QVERIFY(onceWithin(80ms, [this] {
        const int before = m_cloud->requests();
        auto running = sender(quick());
        const bool asked = QTest::qWaitFor([&] { return m_cloud->requests() > before; }, 60'000);
        return asked ? timed([&] { running.reset(); }) : kHangGuard;
    }));
    QCOMPARE(waiting(), std::size_t{1});
}

void TstOutboxSender::probe_measuresTheIdleCloud()
{
    auto config = quick();
    config.probeEvery = 20ms;
    config.probe = [this](const OpContext& op) { return m_client->probe(op); };
    const auto running = sender(config);
    QTRY_VERIFY(m_notices.last("cloud").endsWith(" ms"));
    m_cloud->failRequests(RequestFault::Answer503);
    QTRY_COMPARE(m_notices.last("cloud"), "Cloud HTTP 503");
    m_cloud->clearFaults();
    QTRY_VERIFY(m_notices.last("cloud").endsWith(" ms"));
}

} // namespace

PROVOST_TEST("outbox_sender", TstOutboxSender)
#include "tst_outbox_sender.moc"
