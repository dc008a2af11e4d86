// Only units that a run on record has met are registered, whoever asks for it.
#include "cloud/http_provisioning_client.h"
#include "cloud/outbox_sender.h"
#include "cloud/registration_guard.h"
#include "held_unit.h"
#include "support/recording_sink.h"
#include "support/test_program.h"

#include <QFile>
#include <QTemporaryDir>
#include <QTest>

namespace provost::test {

namespace {

class TstRegistrationGuard : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init();
    void cleanup();
    void idThatNobodyRead_isNotRegistered();
    void idWithoutItsRoute_isNotRegistered();
    void idOfAnotherUnitsRun_isNotRegistered();
    void idFromTheWire_isRegistered();
    void outbox_leavesTheRowAndSendsTheOthers();

private:
    RunId begin() { return m_journal->beginRun({.slot = 1, .planId = "photon-full"}).value(); }
    Result<Registration> ask(const Unit& unit)
    {
        return m_guard->registerUnit(unit.identity(), unit.publicDer(), "k", within(kHangGuard));
    }
    RunId hold(const Unit& unit, std::string_view route);

    SystemClock m_clock;
    std::unique_ptr<QTemporaryDir> m_folder{};
    std::unique_ptr<Journal> m_journal{};
    std::unique_ptr<VirtualCloud> m_cloud{};
    std::unique_ptr<HttpProvisioningClient> m_client{};
    std::unique_ptr<RegistrationGuard> m_guard{};
};

void TstRegistrationGuard::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
    m_journal = Journal::open(m_folder->filePath("units.db").toStdString(), m_clock).value();
    VirtualCloudConfig config;
    config.service.handshake = false;
    m_cloud = VirtualCloud::start(std::move(config), m_clock).value();
    m_client = std::make_unique<HttpProvisioningClient>(
        HttpClientConfig{.baseUrl = m_cloud->service().baseUrl(), .answerWithin = kHangGuard});
    m_guard = std::make_unique<RegistrationGuard>(*m_journal, *m_client);
}

void TstRegistrationGuard::cleanup()
{
    m_guard.reset();
    m_client.reset();
    m_cloud.reset();
    m_journal.reset();
}

RunId TstRegistrationGuard::hold(const Unit& unit, std::string_view route)
{
    const RunId run = begin();
    return endsInHold(*m_journal, run, unit, route) ? run : RunId{};
}

void TstRegistrationGuard::idThatNobodyRead_isNotRegistered()
{
    const auto refused = ask(Unit{});
    QVERIFY(!refused);
    QCOMPARE(refused.error().code, Errc::InvalidArgument);
    QCOMPARE(refused.error().cause, std::string(kNeverIdentified));
    QCOMPARE(m_cloud->requests(), 0);
}

void TstRegistrationGuard::idWithoutItsRoute_isNotRegistered()
{
    const Unit unit;
    QVERIFY(m_journal->identify(begin(), unit.identity(), "").has_value());
    QVERIFY(!ask(unit));
    QCOMPARE(m_cloud->requests(), 0);
}

void TstRegistrationGuard::idOfAnotherUnitsRun_isNotRegistered()
{
    QVERIFY(
        m_journal->identify(begin(), Unit{.id = unitId(1)}.identity(), "listening").has_value());
    QVERIFY(!ask(Unit{.id = unitId(2)}));
    QCOMPARE(m_cloud->requests(), 0);
}

void TstRegistrationGuard::idFromTheWire_isRegistered()
{
    const Unit unit;
    QVERIFY(m_journal->identify(begin(), unit.identity(), "control-request").has_value());
    QCOMPARE(m_journal->wireRouteOf(unit.id).value().value_or(""), std::string("control-request"));
    const auto done = ask(unit);
    QVERIFY2(done.has_value(), done ? "" : describe(done.error()).c_str());
    QVERIFY(m_guard->registeredKey(unit.identity(), within(kHangGuard)).value().has_value());
}

void TstRegistrationGuard::outbox_leavesTheRowAndSendsTheOthers()
{
    const Unit stranger{.id = unitId(1)};
    const Unit met{.id = unitId(2)};
    QVERIFY(hold(stranger, "").value != 0); // nobody knows how its id was read
    QVERIFY(hold(met, "listening").value != 0);
    RecordingSink events;
    const OutboxSender sender(
        *m_journal, *m_guard, events, m_clock,
        {.firstPause = 20ms, .longestPause = 50ms, .lookEvery = 20ms, .sendWithin = kHangGuard});
    const auto& registry = m_cloud->service().registry();
    QTRY_VERIFY(registry.find(met.id).value().has_value());
    QTRY_COMPARE(m_journal->outboxCount("waiting").value(), 1);
    const auto row = m_journal->outbox("waiting").value().front();
    QCOMPARE(row.deviceId, stranger.id);
    QVERIFY(row.lastError.find("no run on record has read this id") != std::string::npos);
    QVERIFY(!registry.find(stranger.id).value().has_value());
}

} // namespace

} // namespace provost::test

PROVOST_TEST("registration_guard", provost::test::TstRegistrationGuard)
#include "tst_registration_guard.moc"
