#include "host/host.h"

#include "cloud/outbox_sender.h"
#include "cloud/registration_guard.h"
#include "config/load_station.h"
#include "core/durable_file.h"
#include "core/text.h"
#include "crypto/signing_key.h"
#include "host/access_point.h"
#include "host/cloud_link.h"
#include "host/nests.h"
#include "host/network_fit.h"
#include "host/slot_watcher.h"
#include "host/start_causes.h"
#include "host/start_guards.h"
#include "sim/cloud_client.h"
#include "steps/register_all_steps.h"
#include "store/chain.h"

#include <algorithm>

namespace provost {

Result<sim::Speed> speedNamed(std::string_view word)
{
    if (word == "instant")
        return sim::Speed::Instant;
    if (word == "demo")
        return sim::Speed::Demo;
    if (word == "timed")
        return sim::Speed::Timed;
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat("--speed ", word, ": must be instant, demo or timed"));
}

struct Host::Impl {
    SystemClock clock{};
    EventHub events{};
    std::filesystem::path database{};
    StationConfig station{};
    std::vector<std::string> overridden{};
    std::unique_ptr<KeyToken> token{}; ///< outlives the pool
    std::shared_ptr<KeyPool> pool{};
    StepRegistry registry{};
    std::shared_ptr<const SigningKey> signingKey{};
    std::unique_ptr<Journal> journal{};
    std::unique_ptr<ImageCatalog> images{};
    std::shared_ptr<const TestPlan> plan{};
    std::unique_ptr<Nests> nests{};
    std::optional<KeyBatch> batch{};
    std::unique_ptr<SlotSwitches> switches{};
    std::unique_ptr<CloudLink> cloud{};
    std::unique_ptr<RegistrationGuard> guard{};
    std::unique_ptr<OutboxSender> outbox{};
    std::unique_ptr<NetworkWitness> witness{};
    std::unique_ptr<StationEngine> engine{};
    std::vector<std::unique_ptr<SlotWatcher>> watchers{}; ///< one a bus

    sim::Bench* bench() const { return nests ? nests->bench() : nullptr; }
    std::filesystem::path signingKeyFile() const
    {
        return station.signingKey.empty() ? database.parent_path() / "station-key.pem"
                                          : station.signingKey;
    }
    Result<> openRecords();
    Result<> fillPool(const HostOptions& options);
    Result<> openPlan(const HostOptions& options, const DataFolders& folders);
    Result<> openBatch(const KeyBatchOrder& order);
    Result<> openBench(const HostOptions& options, const DataFolders& folders);
    Result<> openHardware();
    Result<> openSwitches();
    void openEngine();
    NetworkWitness::Probe networkProbe() const;
    Result<> knowSlot(std::string_view attempt, SlotId slot) const;
};

Result<> Host::Impl::fillPool(const HostOptions& options)
{
    constexpr std::uint16_t kFirstPlatform = 6; // the pool's keys are those of every TCP platform
    constexpr std::size_t kKeysPerSlot = 2;
    const auto rules = TRY(keyRulesOf(kFirstPlatform));
    const std::size_t slots = options.bench.empty() ? station.slots.size() : 1;
    KeyPoolConfig config{.rules = rules, .size = kKeysPerSlot * slots, .onChange = {}};
    if (station.token) {
        token = TRY(KeyToken::open(std::move(*station.token)));
        TRY(refuseOwnEscrowInToken(station.settings.escrowCertificate, *token));
        config.make = [this](const KeyRules& wanted) { return token->makeKey(wanted); };
    }
    pool = std::make_shared<KeyPool>(std::move(config));
    return {};
}

Result<> Host::Impl::openRecords()
{
    if (database.has_parent_path())
        TRY(orCause(makeFolder(database.parent_path()), "C057"));
    journal = TRY(orRecordCause(Journal::open(database, clock)));
    auto key = TRY(SigningKey::readOrMake(signingKeyFile(), TRY(serverKeyPassphrase({}))));
    signingKey = std::make_shared<const SigningKey>(std::move(key));
    TRY(journal->signCheckpoints({.key = signingKey, .elsewhere = station.checkpoints}));
    auto& backups = station.settings.backupFolder;
    if (backups.empty())
        backups = (database.parent_path() / "backups").string();
    if (!station.settings.escrowCertificate.empty())
        TRY(orCause(makeFolder(backups), "C057"));
    return {};
}

/// Its units join the network of the bench, whatever the station's file says.
Result<> Host::Impl::openBench(const HostOptions& options, const DataFolders& folders)
{
    nests = std::make_unique<Nests>(
        TRY(orCause(loadBench(options.bench, folders.benches, options.speed), "C045")), clock);
    const auto& network = bench()->network();
    station.settings.network.ssid = network.ssid;
    station.settings.network.password = SecretBytes(network.password.reveal());
    station.settings.network.security = static_cast<WifiSecurity>(network.security);
    station.settings.network.storedPart = SecretBytes(bench()->wifiPart().reveal());
    station.settings.network.joinLimit =
        network.joinLimit.value_or(station.settings.network.joinLimit);
    const auto patience = sim::cloudPatience(bench()->pace(), true);
    station.settings.network.waits = {
        .connect = patience.connect,
        .read = patience.blocking,
        .hello = patience.hello,
        .backOff = std::chrono::ceil<std::chrono::milliseconds>(patience.backOff)};
    // Keys of virtual units are told to no cloud but one on this computer.
    if (!isLoopbackUrl(station.cloudUrl))
        station.cloudIsLocal = true;
    return {};
}

Result<> Host::Impl::openHardware()
{
    nests = std::make_unique<Nests>(TRY(SlotHardware::open(station.slots)), clock);
    return {};
}

Result<> Host::Impl::openPlan(const HostOptions& options, const DataFolders& folders)
{
    std::string named = options.plan;
    if (named.empty())
        named = concat(bench() != nullptr ? bench()->platform() : std::string("photon"), "-full");
    plan = TRY(orCause(loadPlan(named, folders, registry, *images), "C042"));
    return checkKind(options, station, *plan);
}

Result<> Host::Impl::openSwitches()
{
    switches = std::make_unique<SlotSwitches>(*journal, events, bench() != nullptr);
    for (const auto& slot : station.slots) {
        if (!slot.enabled && nests->ports().contains(slot.slot))
            switches->offByConfiguration(slot.slot, slot.why);
    }
    return switches->load(nests->slots());
}

Result<> Host::Impl::knowSlot(std::string_view attempt, SlotId slot) const
{
    if (nests->ports().contains(slot))
        return {};
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat(attempt, " slot ", slot.value, ": the station has no such slot"));
}

NetworkWitness::Probe Host::Impl::networkProbe() const
{
    if (bench() != nullptr)
        return [this](const OpContext&) -> Result<bool> { return bench()->network().on; };
    if (station.accessPointHost.empty())
        return {};
    return accessPointProbe(station.accessPointHost, station.accessPointPort);
}

void Host::Impl::openEngine()
{
    witness = std::make_unique<NetworkWitness>(networkProbe());
    if (bench() !=
        nullptr) // its credentials are the station's own: a unit that does not join is to blame
        witness->joined("the bench", clock.now());
    auto& client = cloud->client();
    guard = std::make_unique<RegistrationGuard>(*journal, client);
    outbox = std::make_unique<OutboxSender>(
        *journal, *guard, events, clock,
        OutboxSenderConfig{.probe = [&client](const OpContext& op) { return client.probe(op); }});
    engine = std::make_unique<StationEngine>(
        EngineEnvironment{.clock = clock,
                          .journal = *journal,
                          .images = *images,
                          .cloud = *guard,
                          .view = client,
                          .handshakes = cloud->handshakes(),
                          .steps = registry,
                          .station = station.settings,
                          .network = *witness,
                          .events = events,
                          .unitIn = [this](SlotId slot) { return nests->unitIn(slot, *plan); },
                          .traceOf = [this](SlotId slot) { return nests->traceOf(slot); }});
}

Result<> Host::Impl::openBatch(const KeyBatchOrder& order)
{
    batch = TRY(beginOrResume(*journal, *plan, station.settings.name, order, clock));
    station.settings.keyBatch = batch->id;
    return {};
}

Host::Host(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
Host::~Host() = default;

Result<std::unique_ptr<Host>> Host::create(const HostOptions& options)
{
    if (options.bench.empty() && !options.station)
        return orCause(Result<std::unique_ptr<Host>>(
                           fail(Errc::InvalidArgument, Blame::Operator,
                                "start a station: name its file with --station or a virtual bench "
                                "with --simulate")),
                       "C043");
    auto impl = std::make_unique<Impl>();
    const auto folders = dataFolders();
    if (options.station)
        impl->station = TRY(loadStation(*options.station));
    impl->station.settings.operatorAnswers = options.operatorAnswers;
    if (!options.bench.empty())
        impl->station.settings.training = true;
    impl->database = options.database.empty() ? stateFolder() / "provost.db" : options.database;
    TRY(refuseTraining(options, impl->station, impl->database, impl->clock));
    impl->overridden = TRY(protectKeys(options, impl->station));
    TRY(impl->openRecords());
    TRY(refuseOwnEscrow(options, impl->station, impl->database));
    impl->images = TRY(orCause(openCatalog(folders.manifests, folders.images), "C040"));
    TRY(orCause(impl->fillPool(options), "C059"));
    registerAllSteps(impl->registry, impl->pool);
    if (!options.bench.empty())
        TRY(impl->openBench(options, folders));
    TRY(impl->openPlan(options, folders));
    if (options.batch)
        TRY(impl->openBatch(*options.batch));
    if (!impl->nests)
        TRY(orCause(impl->openHardware(), "C044"));
    TRY(impl->openSwitches());
    TRY(checkRoutes(*impl->plan, impl->station.settings, *impl->nests, *impl->switches));
    TRY(checkContact(*impl->plan, impl->station));
    TRY(checkNetwork(*impl->plan, impl->station.settings.network));
    impl->cloud = TRY(orCause(CloudLink::open(impl->station, impl->database, impl->clock), "C071"));
    impl->openEngine();
    return std::unique_ptr<Host>(new Host(std::move(impl)));
}

EventHub& Host::events()
{
    return m_impl->events;
}
StationEngine& Host::engine()
{
    return *m_impl->engine;
}
Journal& Host::journal()
{
    return *m_impl->journal;
}
sim::Bench* Host::bench()
{
    return m_impl->bench();
}
const Clock& Host::clock() const
{
    return m_impl->clock;
}
const StationSettings& Host::settings() const
{
    return m_impl->station.settings;
}
std::shared_ptr<const TestPlan> Host::plan() const
{
    return m_impl->plan;
}
std::filesystem::path Host::database() const
{
    return m_impl->database;
}

std::vector<SlotId> Host::slots() const
{
    return m_impl->nests->slots();
}

std::vector<SlotId> Host::slotsInUse() const
{
    auto slots = this->slots();
    std::erase_if(slots, [this](SlotId slot) { return whyOff(slot).has_value(); });
    return slots;
}

std::optional<SlotOff> Host::whyOff(SlotId slot) const
{
    return m_impl->switches->whyOff(slot);
}

Result<> Host::start(SlotId slot, const std::string& label)
{
    TRY(m_impl->knowSlot("start", slot));
    return m_impl->switches->start(
        slot, [&] { return m_impl->engine->start(slot, label, m_impl->plan); });
}

Result<> Host::switchSlot(SlotId slot, bool on, const std::string& why)
{
    TRY(m_impl->knowSlot("switch", slot));
    return m_impl->switches->turn(slot, on, why,
                                  [this](SlotId each) { return m_impl->engine->busy(each); });
}

const std::vector<std::string>& Host::overridden() const
{
    return m_impl->overridden;
}

const std::optional<KeyBatch>& Host::batch() const
{
    return m_impl->batch;
}
const SigningKey& Host::signingKey() const
{
    return *m_impl->signingKey;
}
bool Host::occupied(SlotId slot)
{
    return m_impl->nests->occupied(slot, m_impl->plan->platform);
}

void Host::wipeKeys()
{
    m_impl->pool->wipe();
}

void Host::watchSlots()
{
    m_impl->switches->announce();
    if (m_impl->bench() != nullptr || !m_impl->watchers.empty())
        return; // the bench's operator says himself what he takes out
    if (m_impl->plan->carrier == Carrier::Swd)
        return; // probe and adapter stay on the bus whatever is in the nest
    const auto& platform = m_impl->plan->platform;
    std::map<UsbBus*, std::map<SlotId, UsbPortPath>> buses;
    for (const auto& [slot, access] : m_impl->nests->ports())
        buses[access.usb].emplace(slot, access.port);
    for (auto& [bus, ports] : buses) {
        m_impl->watchers.push_back(std::make_unique<SlotWatcher>(
            *bus, m_impl->events, m_impl->clock,
            SlotWatcherConfig{.ports = std::move(ports),
                              .units = {platform.dfu, platform.firmware},
                              .busy = [this](SlotId slot) { return m_impl->engine->busy(slot); }}));
        m_impl->watchers.back()->start();
    }
}

} // namespace provost
