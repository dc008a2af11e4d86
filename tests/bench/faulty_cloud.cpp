// faulty_cloud UNITS [SEED]: units that end in HOLD while the cloud answers 429, 500 and 503, goes
// silent before or after it has done what was asked, does it twice or too late, and is away for
// twelve hours of a virtual clock; every tenth unit comes back with a new key meanwhile. Ends with
// 1 unless every unit is released, none is lost, none is registered twice and no newer key was
// overwritten by an older one. The full run is `faulty_cloud 10000`.
#include "cloud/http_provisioning_client.h"
#include "cloud/outbox_sender.h"
#include "cloud/reconcile.h"
#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "sim/virtual_cloud.h"

#include <QCoreApplication>
#include <QTemporaryDir>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <thread>

namespace {

using namespace provost;
using namespace std::chrono_literals;

constexpr int kReworkEvery = 10;
constexpr int kFaultyOf100 = 30;
constexpr auto kOutage = 12h;

/// A public key that nobody else has. No unit will ever prove it: only its bytes count here.
RsaPublicKey someKey()
{
    const std::array<std::byte, 3> exponent{std::byte{1}, std::byte{0}, std::byte{1}};
    Bytes modulus = randomBytes(128).value();
    modulus.front() |= std::byte{0x80};
    modulus.back() |= std::byte{1};
    return RsaPublicKey::fromNumbers(modulus, exponent).value();
}

std::string unitId(int number)
{
    const std::string digits = std::to_string(number);
    return std::string(24 - digits.size(), '0') + digits;
}

class Silent final : public EventSink {
public:
    void post(StationEvent /*event*/) override {}
};

/// Which keys came on file, in order.
class Ledger final : public CloudObserver {
public:
    void onKeyChanged(const std::string& deviceId, const std::string& fingerprint) override
    {
        const MutexLock lock(m_mutex);
        m_changes[deviceId].push_back(fingerprint);
    }
    /// Units with a key that came on file more than once.
    int doubles() const
    {
        const MutexLock lock(m_mutex);
        int count = 0;
        for (const auto& [id, keys] : m_changes)
            count += std::set<std::string>(keys.begin(), keys.end()).size() != keys.size() ? 1 : 0;
        return count;
    }

private:
    mutable Mutex m_mutex;
    std::map<std::string, std::vector<std::string>> m_changes PROVOST_GUARDED_BY(m_mutex){};
};

/// One of the faults that a registration must survive, three times in ten.
std::function<std::optional<RequestFault>()> randomFaults(unsigned seed)
{
    return [random = std::mt19937(seed)]() mutable -> std::optional<RequestFault> {
        static constexpr std::array kFaults{RequestFault::Answer429,    RequestFault::Answer500,
                                            RequestFault::Answer503,    RequestFault::TimeOutAfter,
                                            RequestFault::Duplicate,    RequestFault::Reorder,
                                            RequestFault::TimeOutBefore};
        if (random() % 100 >= kFaultyOf100)
            return std::nullopt;
        return kFaults[random() % kFaults.size()];
    };
}

/// What a run leaves whose registration waits.
Result<> holdUnit(Journal& journal, const std::string& id)
{
    const RsaPublicKey key = someKey();
    const RunId run = TRY(journal.beginRun({.slot = 1, .planId = "photon-full"}));
    TRY(journal.identify(run, {.deviceId = id}, "listening"));
    TRY(journal.journalKey(run, {.fingerprint = key.fingerprint(),
                                 .deviceId = id,
                                 .publicDer = key.toDer(),
                                 .origin = "generated"}));
    TRY(journal.setKeyState(run, key.fingerprint(), "proved"));
    return journal.finishRun(
        run, Verdict::Hold, "H310", "", 1.0,
        {{.kind = "registration",
          .idempotencyKey = concat("registration:", id, ":", key.fingerprint()),
          .deviceId = id,
          .payload = key.toPem()}});
}

/// Lets the virtual time run, fast while the cloud is away.
class Ticker {
public:
    explicit Ticker(VirtualClock& clock)
        : m_thread([this, &clock](const std::stop_token& stop) {
              while (!stop.stop_requested()) {
                  clock.advance(fast ? std::chrono::milliseconds(60s) : 100ms);
                  std::this_thread::sleep_for(1ms);
              }
          })
    {
    }
    std::atomic<bool> fast = false;

private:
    std::jthread m_thread;
};

struct Totals {
    std::size_t units = 0;
    std::size_t released = 0;
    int doubles = 0;
    Reconciliation report{};
};

Result<Totals> runLine(int units, unsigned seed, const std::filesystem::path& folder)
{
    VirtualClock clock;
    Ticker ticker(clock);
    Silent silent;
    const auto ledger = std::make_shared<Ledger>();
    const auto cloud = TRY(VirtualCloud::start({.holdFor = 5ms}, clock, ledger));
    const auto journal = TRY(Journal::open(folder / "units.db", clock));
    HttpProvisioningClient client(
        {.baseUrl = cloud->service().baseUrl(), .answerWithin = 1h, .requestsPerSecond = 1000});
    cloud->failRequestsBy(randomFaults(seed));
    {
        OutboxSender sender(
            *journal, client, silent, clock,
            {.firstPause = 5ms, .longestPause = 100ms, .lookEvery = 100ms, .sendWithin = 1h});
        for (int i = 1; i <= units; ++i) {
            if (i == units / 2) {
                cloud->beAway(kOutage);
                ticker.fast = true;
            }
            TRY(holdUnit(*journal, unitId(i)));
            if (i % kReworkEvery == 0)
                TRY(holdUnit(*journal, unitId(i - kReworkEvery / 2)));
        }
        while (cloud->isAway())
            std::this_thread::sleep_for(5ms);
        ticker.fast = false;
        while (TRY(journal->outboxCount("waiting")) > 0)
            std::this_thread::sleep_for(20ms);
    }
    cloud->clearFaults();
    Totals totals{.doubles = ledger->doubles()};
    for (const UnitRow& unit : TRY(journal->units())) {
        ++totals.units;
        totals.released += unit.state == "released" ? 1 : 0;
    }
    const OpContext op{.clock = clock, .deadline = {clock.now() + 10000h}};
    totals.report = TRY(reconcile(*journal, client, op));
    std::printf("%d requests, %d units with a second key\n", cloud->requests(),
                units / kReworkEvery);
    return totals;
}

} // namespace

int main(int argc, char** argv)
{
    const QCoreApplication application(argc, argv);
    const int units = argc > 1 ? std::atoi(argv[1]) : 0;
    const unsigned seed = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
    const QTemporaryDir folder;
    if (units < kReworkEvery || !folder.isValid()) {
        std::fputs("faulty_cloud UNITS [SEED], at least 10\n", stderr);
        return 64;
    }
    const auto totals = runLine(units, seed, folder.path().toStdString());
    if (!totals) {
        std::fprintf(stderr, "%s\n", describe(totals.error()).c_str());
        return 2;
    }
    const auto& report = totals->report;
    std::printf("%zu units: %zu released, %zu with their latest key in the cloud, %d registered "
                "twice, %zu differences, %zu still waiting\n",
                totals->units, totals->released, report.equal, totals->doubles,
                report.differences.size(), report.waiting);
    for (const Difference& difference : report.differences)
        std::printf("%s: %s\n", difference.deviceId.c_str(), difference.reason.c_str());
    const auto all = static_cast<std::size_t>(units);
    return totals->units == all && totals->released == all && report.equal == all &&
                   totals->doubles == 0 && report.differences.empty()
               ? 0
               : 1;
}
