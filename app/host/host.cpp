#include "host/host.h"

#include "cloud/http_provisioning_client.h"
#include "cloud/local_handshake_server.h"
#include "cloud/outbox_sender.h"
#include "cloud/registration_guard.h"
#include "config/load_station.h"
#include "core/byte_io.h"
#include "core/durable_file.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/key_protection.h"
#include "crypto/secret_file.h"
#include "device/swd_unit.h"
#include "host/access_point.h"
#include "host/slot_hardware.h"
#include "host/slot_switches.h"
#include "host/slot_watcher.h"
#include "steps/register_all_steps.h"
#include "transport/tracing.h"

#include <QCoreApplication>
#include <QDir>
#include <QUrl>
#include <algorithm>
#include <charconv>
#include <system_error>

namespace provost {

namespace {

/// What a slot's unit is reached through; keeps its last transfers.
struct SlotTrace {
    SlotTrace(UsbBus& bus, SerialPorts& lines, const Clock& clock)
        : ring(std::make_shared<TraceRing>(clock, kTraceLimits)), usb(bus, ring),
          serial(lines, ring)
    {
    }
    // A record of half a megabyte at most: enough for what led to the end, cheap to keep.
    static constexpr TraceLimits kTraceLimits{.entries = 2048, .bytes = std::size_t{256} << 10};
    std::shared_ptr<TraceRing> ring;
    TracingUsbBus usb;
    TracingSerialPorts serial;
};

/// By the numbers between the dots. A release without a name is none that could be older.
bool isOlderRelease(std::string_view release, std::string_view than)
{
    const auto next = [](std::string_view& text) {
        unsigned number = 0;
        std::from_chars(text.data(), text.data() + text.size(), number);
        const auto dot = text.find('.');
        text = dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
        return number;
    };
    if (release.empty())
        return false;
    while (!release.empty() || !than.empty()) {
        const unsigned left = next(release);
        const unsigned right = next(than);
        if (left != right)
            return left < right;
    }
    return false;
}

bool isLoopbackUrl(const std::string& url)
{
    const QString host = QUrl(QString::fromStdString(url)).host();
    return host == QLatin1String("localhost") || host.startsWith(QLatin1String("127."));
}

} // namespace

DataFolders dataFolders()
{
    const std::filesystem::path beside(QCoreApplication::applicationDirPath().toStdString());
    const auto installed = beside.parent_path() / "share" / "provost";
    std::error_code ignored;
    if (std::filesystem::is_directory(installed / "plans", ignored))
        return {.plans = installed / "plans",
                .platforms = installed / "platforms",
                .shipping = installed / "shipping",
                .manifests = installed / "catalog",
                .images = installed / "images",
                .benches = installed / "benches"};
    const std::filesystem::path source(PROVOST_SOURCE_DIR);
    return {.plans = source / "stations/plans",
            .platforms = source / "stations/platforms",
            .shipping = source / "stations/shipping",
            .manifests = source / "firmware-images/catalog",
            .images = PROVOST_IMAGE_DIR,
            .benches = source / "stations/benches"};
}

std::filesystem::path stateFolder()
{
    const QString given = qEnvironmentVariable("XDG_STATE_HOME");
    const QString base = given.isEmpty() ? QDir::homePath() + "/.local/state" : given;
    return std::filesystem::path(base.toStdString()) / "provost";
}

Result<SecretBytes> serverKeyPassphrase(const std::filesystem::path& file)
{
    if (!file.empty())
        return readSecretLine(file);
    const auto own = stateFolder() / "credentials" / "server-key-passphrase";
    auto kept = readSecretLine(own);
    if (kept || kept.error().code != Errc::NotFound)
        return kept;
    constexpr std::size_t kRandomBytes = 32;
    TRY(makeFolder(own.parent_path()));
    Bytes random = TRY(randomBytes(kRandomBytes));
    std::string line = toHex(random) + "\n";
    auto made = writeDurably(own, viewOf(line), 0600);
    wipe(random);
    wipe(std::as_writable_bytes(std::span(line)));
    TRY(std::move(made));
    return readSecretLine(own);
}

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

namespace {
std::filesystem::path databaseOf(const HostOptions& options)
{
    return options.database.empty() ? stateFolder() / "provost.db" : options.database;
}
} // namespace

struct Host::Impl {
    SystemClock clock{};
    EventHub events{};
    std::filesystem::path database{};
    StationConfig station{};
    std::vector<std::string> overridden{};
    std::unique_ptr<KeyToken> token{}; ///< outlives the pool
    std::shared_ptr<KeyPool> pool{};
    StepRegistry registry{};
    std::unique_ptr<Journal> journal{};
    std::unique_ptr<ImageCatalog> images{};
    std::shared_ptr<const TestPlan> plan{};
    std::unique_ptr<sim::Bench> bench{};
    std::unique_ptr<SlotHardware> hardware{};
    std::map<SlotId, SlotAccess> ports{};
    std::map<SlotId, UsbPortPath> probes{}; ///< wired to the slot's nest
    std::optional<KeyBatch> batch{};
    std::map<SlotId, std::unique_ptr<SlotTrace>> traces{}; ///< one per port, made once
    std::unique_ptr<SlotSwitches> switches{};
    std::unique_ptr<CloudService> cloud{};
    std::unique_ptr<HttpProvisioningClient> client{};
    std::unique_ptr<RegistrationGuard> guard{};
    std::unique_ptr<LocalHandshakeServer> handshakes{};
    std::unique_ptr<OutboxSender> outbox{};
    std::unique_ptr<NetworkWitness> witness{};
    std::unique_ptr<StationEngine> engine{};
    std::vector<std::unique_ptr<SlotWatcher>> watchers{}; ///< one a bus

    Result<> refuseTraining(const HostOptions& options) const;
    Result<> protectKeys(const HostOptions& options);
    Result<> refuseOwnEscrow(const HostOptions& options) const;
    Result<> fillPool(const HostOptions& options);
    Result<> openRecords(const HostOptions& options);
    Result<> openBench(const HostOptions& options, const DataFolders& folders);
    Result<> openHardware();
    Result<> openCloud();
    void openTraces();
    void openEngine();
    Result<> openSwitches();
    std::vector<SlotId> slots() const;
    Result<> knowSlot(std::string_view attempt, SlotId slot) const;
    Result<> checkRoutes() const;
    NetworkWitness::Probe networkProbe() const;
    Result<> openBatch(const KeyBatchOrder& order);
    Result<> fitKind(const HostOptions& options) const;
    std::unique_ptr<UnitUnderTest> unitIn(SlotId slot);
    std::optional<TraceRecord> traceOf(SlotId slot) const;
};

/// In production nothing that guards keys can be overridden; that somebody tried is on record.
Result<> Host::Impl::refuseTraining(const HostOptions& options) const
{
    if (!station.production || !options.training)
        return {};
    auto refused = fail(Errc::Denied, Blame::Operator,
                        concat("start station ", station.settings.name,
                               " with --training: its file says mode = \"production\"; leave the "
                               "option out, or practise with another station file"));
    const auto kept = recordStationEvent(
        databaseOf(options), clock,
        {.kind = "training-refused", .subject = options.station->string(), .payload = "run"});
    return kept ? Result<>(refused) : Result<>(Unexpected(kept.error()));
}

Result<> Host::Impl::protectKeys(const HostOptions& options)
{
    auto missing = missingProtection(protectMemory());
    if (missing.empty())
        return {};
    const bool practice = options.training || !options.bench.empty();
    if (practice && !station.production) {
        overridden = std::move(missing);
        return {};
    }
    constexpr std::string_view kAttempt = "protect the keys of units";
    std::string text(kAttempt);
    for (const auto& each : missing)
        text += concat(text == kAttempt ? ": " : "; ", each);
    return Unexpected(
        Error{.code = Errc::Denied,
              .blame = Blame::Station,
              .message = concat(text, station.production ? "" : " (for training: --training)"),
              .frames = {},
              .native = {},
              .cause = "C055"});
}

/// Escrow is for whoever is not at this station: what it seals it must not be able to open.
Result<> Host::Impl::refuseOwnEscrow(const HostOptions& options) const
{
    const Bytes& certificate = station.settings.escrowCertificate;
    if (certificate.empty())
        return {};
    std::vector<std::filesystem::path> folders{
        database.parent_path(), station.settings.backupFolder,
        station.escrowFolder,   station.cloudFolder,
        stateFolder(),          "/etc/provost",
        "/var/lib/provost",     QDir::homePath().toStdString()};
    if (options.station)
        folders.push_back(options.station->parent_path());
    for (auto& folder : folders)
        if (folder.empty())
            folder = ".";
    const auto own = TRY(keyThatOpens(certificate, folders));
    if (own.empty())
        return {};
    return Unexpected(Error{.code = Errc::Denied,
                            .blame = Blame::Station,
                            .message = concat("start the station: ", own.string(),
                                              " is the private key of its own escrow certificate; "
                                              "take it off this computer"),
                            .frames = {},
                            .native = {},
                            .cause = "C053"});
}

Result<> Host::Impl::fillPool(const HostOptions& options)
{
    constexpr std::uint16_t kFirstPlatform = 6; // the pool's keys are those of every TCP platform
    constexpr std::size_t kKeysPerSlot = 2;
    const auto rules = TRY(keyRulesOf(kFirstPlatform));
    const std::size_t slots = options.bench.empty() ? station.slots.size() : 1;
    KeyPoolConfig config{.rules = rules, .size = kKeysPerSlot * slots, .onChange = {}};
    if (station.token) {
        token = TRY(KeyToken::open(std::move(*station.token)));
        config.make = [this](const KeyRules& wanted) { return token->makeKey(wanted); };
    }
    pool = std::make_shared<KeyPool>(std::move(config));
    return {};
}

Result<> Host::Impl::openRecords(const HostOptions& options)
{
    database = databaseOf(options);
    if (database.has_parent_path())
        TRY(makeFolder(database.parent_path()));
    journal = TRY(Journal::open(database, clock));
    auto& backups = station.settings.backupFolder;
    if (backups.empty())
        backups = (database.parent_path() / "backups").string();
    if (!station.settings.escrowCertificate.empty())
        TRY(makeFolder(backups));
    return {};
}

Result<> Host::Impl::openBench(const HostOptions& options, const DataFolders& folders)
{
    const bool isPath =
        options.bench.find('/') != std::string::npos || options.bench.ends_with(".toml");
    bench = TRY(sim::Bench::load(isPath ? std::filesystem::path(options.bench)
                                        : folders.benches / (options.bench + ".toml"),
                                 options.speed));
    const auto& network = bench->network();
    station.settings.network.ssid = network.ssid;
    station.settings.network.password = SecretBytes(network.password.reveal());
    station.settings.network.security = static_cast<WifiSecurity>(network.security);
    // Keys of virtual units are told to no cloud but one on this computer.
    if (!isLoopbackUrl(station.cloudUrl))
        station.cloudIsLocal = true;
    station.settings.network.storedPart = SecretBytes(bench->wifiPart().reveal());
    for (const auto& slot : bench->slots()) {
        ports.emplace(
            SlotId{slot.number},
            SlotAccess{.usb = &bench->usb(), .serial = &bench->serial(), .port = slot.port});
        if (slot.probe)
            probes.emplace(SlotId{slot.number}, *slot.probe);
    }
    return {};
}

Result<> Host::Impl::openSwitches()
{
    switches = std::make_unique<SlotSwitches>(*journal, events, bench != nullptr);
    for (const auto& slot : station.slots) {
        if (!slot.enabled && ports.contains(slot.slot))
            switches->offByConfiguration(slot.slot, slot.why);
    }
    return switches->load(slots());
}

std::vector<SlotId> Host::Impl::slots() const
{
    std::vector<SlotId> all;
    for (const auto& [slot, port] : ports)
        all.push_back(slot);
    return all;
}

Result<> Host::Impl::knowSlot(std::string_view attempt, SlotId slot) const
{
    if (ports.contains(slot))
        return {};
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat(attempt, " slot ", slot.value, ": the station has no such slot"));
}

/// What this plan needs and this station has not is said before the first unit is touched.
Result<> Host::Impl::checkRoutes() const
{
    const auto refused = [this](const std::string& what) {
        return Unexpected(Error{.code = Errc::Denied,
                                .blame = Blame::Operator,
                                .message = concat("run plan ", plan->id, ": ", what),
                                .frames = {},
                                .native = {},
                                .cause = "C042"});
    };
    if (plan->kind == PlanKind::KeyInjection)
        return {}; // it gives no credentials, and leaves those that are there
    const auto contact = [](const StepSpec& step) { return step.use == "cloud-contact"; };
    if (station.cloudIsLocal && std::ranges::any_of(plan->steps, contact))
        return refused("it lets units reach the product's own cloud, and this station serves a "
                       "cloud of its own; name the other one in [cloud] of the station file");
    if (plan->carrier == Carrier::Usb) {
        // particle-devices 1.3: firmware clears them on request from 0.8.0 on; before, by MODE.
        const bool byRequest = !isOlderRelease(plan->release, "0.8.0");
        const bool byHand = station.settings.operatorAnswers;
        const bool byFixture = bench && bench->hasModeButton();
        if (plan->platform.network == Network::Wifi && !byRequest && !byHand && !byFixture)
            return refused(concat("firmware ", plan->release,
                                  " clears Wi-Fi credentials by its MODE button only, which "
                                  "neither a fixture nor an operator holds here; let somebody "
                                  "answer, or use a carrier with a debug probe"));
        return {};
    }
    for (const auto& [slot, port] : ports)
        if (!switches->whyOff(slot) && !probes.contains(slot))
            return refused(concat("it reaches units by SWD, and slot ", slot.value,
                                  " has no debug probe; name it as probe in station.toml"));
    if (station.settings.network.storedPart.empty())
        return refused("it gives credentials by SWD, and the station has no Wi-Fi part of a golden "
                       "unit; name its file as wifi_part_file in station.toml");
    return {};
}

Result<> Host::Impl::openHardware()
{
    hardware = TRY(SlotHardware::open(station.slots));
    ports = hardware->slots();
    probes = hardware->probes();
    return {};
}

Result<> Host::Impl::openCloud()
{
    CloudServiceConfig config;
    config.folder = station.cloudFolder.empty()
                        ? database.parent_path() / (database.stem().string() + "-cloud")
                        : station.cloudFolder;
    config.rest = station.cloudIsLocal;
    config.keyPassphrase = TRY(serverKeyPassphrase(station.keyPassphraseFile));
    config.handshakeHost = station.handshakeHost;
    config.handshakePort = station.handshakePort;
    TRY(makeFolder(config.folder));
    auto started = CloudService::start(std::move(config), clock);
    if (!started)
        return Unexpected(withCause(std::move(started).error(), "C071"));
    cloud = TRY(std::move(started));
    handshakes = std::make_unique<LocalHandshakeServer>(*cloud);
    client = std::make_unique<HttpProvisioningClient>(
        HttpClientConfig{.baseUrl = station.cloudIsLocal ? cloud->baseUrl() : station.cloudUrl,
                         .token = std::move(station.cloudToken),
                         .caFile = station.cloudCaFile});
    guard = std::make_unique<RegistrationGuard>(*journal, *client);
    return {};
}

void Host::Impl::openTraces()
{
    for (const auto& [slot, access] : ports)
        traces.emplace(slot, std::make_unique<SlotTrace>(*access.usb, *access.serial, clock));
}

std::unique_ptr<UnitUnderTest> Host::Impl::unitIn(SlotId slot)
{
    auto holdMode = [this, slot](std::chrono::milliseconds span, const OpContext&) -> Result<bool> {
        return bench ? bench->holdMode(slot.value, span) : Result<bool>(false);
    };
    auto& trace = *traces.at(slot);
    trace.ring->clear();
    if (plan->carrier == Carrier::Swd)
        return std::make_unique<SwdUnit>(SwdConnection{.usb = trace.usb,
                                                       .serial = trace.serial,
                                                       .probe = probes.at(slot),
                                                       .serial1 = ports.at(slot).port,
                                                       .holdMode = std::move(holdMode),
                                                       .timing = {},
                                                       .simulated = bench != nullptr},
                                         plan->platform);
    return std::make_unique<ParticleUnit>(UnitConnection{.usb = trace.usb,
                                                         .serial = trace.serial,
                                                         .port = ports.at(slot).port,
                                                         .holdMode = std::move(holdMode),
                                                         .timing = {},
                                                         .simulated = bench != nullptr},
                                          plan->platform);
}

std::optional<TraceRecord> Host::Impl::traceOf(SlotId slot) const
{
    const auto found = traces.find(slot);
    if (found == traces.end())
        return std::nullopt;
    const Trace trace = found->second->ring->snapshot();
    return TraceRecord{.transfers = static_cast<std::int64_t>(trace.entries.size()),
                       .dropped = static_cast<std::int64_t>(trace.dropped),
                       .text = toText(trace)};
}

NetworkWitness::Probe Host::Impl::networkProbe() const
{
    if (bench)
        return [this](const OpContext&) -> Result<bool> { return bench->network().on; };
    if (station.accessPointHost.empty())
        return {};
    return accessPointProbe(station.accessPointHost, station.accessPointPort);
}

void Host::Impl::openEngine()
{
    witness = std::make_unique<NetworkWitness>(networkProbe());
    if (bench) // its credentials are the station's own: a unit that does not join is to blame
        witness->joined("the bench", clock.now());
    outbox = std::make_unique<OutboxSender>(
        *journal, *guard, events, clock,
        OutboxSenderConfig{.probe = [this](const OpContext& op) { return client->probe(op); }});
    engine = std::make_unique<StationEngine>(
        EngineEnvironment{.clock = clock,
                          .journal = *journal,
                          .images = *images,
                          .cloud = *guard,
                          .view = *client,
                          .handshakes = *handshakes,
                          .steps = registry,
                          .station = station.settings,
                          .network = *witness,
                          .events = events,
                          .unitIn = [this](SlotId slot) { return unitIn(slot); },
                          .traceOf = [this](SlotId slot) { return traceOf(slot); }});
}

/// A line makes products, a key-injection station puts keys into units, and neither does the other.
Result<> Host::Impl::fitKind(const HostOptions& options) const
{
    const bool keys = plan->kind == PlanKind::KeyInjection;
    const auto refused = [&](std::string_view why) {
        return fail(Errc::Denied, Blame::Operator, concat("run plan ", plan->id, ": ", why));
    };
    if (keys != options.batch.has_value())
        return refused(keys ? "it puts keys into the units of a batch; use provost keys batch"
                            : "it makes products; a batch takes a plan of kind \"key-injection\"");
    if (options.station && keys != (station.kind == StationKind::KeyInjection))
        return refused(keys ? "this station's file does not say kind = \"key-injection\""
                            : "this station's file says kind = \"key-injection\"; use provost keys "
                              "batch");
    if (options.batch && options.batch->platform != plan->platform.name)
        return refused(
            concat("it is for ", plan->platform.name, ", the batch for ", options.batch->platform));
    return {};
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
        return fail(Errc::InvalidArgument, Blame::Operator,
                    "start a station: name its file with --station or a virtual bench with "
                    "--simulate");
    auto impl = std::make_unique<Impl>();
    const auto folders = dataFolders();
    if (options.station)
        impl->station = TRY(loadStation(*options.station));
    impl->station.settings.operatorAnswers = options.operatorAnswers;
    if (!options.bench.empty())
        impl->station.settings.training = true;
    TRY(impl->refuseTraining(options));
    TRY(impl->protectKeys(options));
    TRY(impl->openRecords(options));
    TRY(impl->refuseOwnEscrow(options));
    impl->images = TRY(openCatalog(folders.manifests, folders.images));
    TRY(impl->fillPool(options));
    registerAllSteps(impl->registry, impl->pool);
    if (!options.bench.empty())
        TRY(impl->openBench(options, folders));
    std::string plan = options.plan;
    if (plan.empty())
        plan = concat(impl->bench ? impl->bench->platform() : std::string("photon"), "-full");
    impl->plan = TRY(loadPlan(plan, folders, impl->registry, *impl->images));
    TRY(impl->fitKind(options));
    if (options.batch)
        TRY(impl->openBatch(*options.batch));
    if (!impl->bench)
        TRY(impl->openHardware());
    TRY(impl->openSwitches());
    TRY(impl->checkRoutes());
    impl->openTraces();
    TRY(impl->openCloud());
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
    return m_impl->bench.get();
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
    return m_impl->slots();
}

std::vector<SlotId> Host::slotsInUse() const
{
    auto slots = this->slots();
    std::erase_if(slots, [this](SlotId slot) { return whyOff(slot).has_value(); });
    return slots;
}

std::optional<std::string> Host::whyOff(SlotId slot) const
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
std::filesystem::path Host::signingKey() const
{
    const auto& named = m_impl->station.signingKey;
    return named.empty() ? m_impl->database.parent_path() / "station-key.pem" : named;
}
bool Host::occupied(SlotId slot)
{
    const auto& platform = m_impl->plan->platform;
    const auto& access = m_impl->ports.at(slot);
    const auto devices = access.usb->enumerate();
    return devices && std::ranges::any_of(*devices, [&](const UsbDeviceInfo& device) {
               return device.port == access.port &&
                      (device.id == platform.dfu || device.id == platform.firmware);
           });
}

void Host::wipeKeys()
{
    m_impl->pool->wipe();
}

void Host::watchSlots()
{
    m_impl->switches->announce();
    if (m_impl->bench || !m_impl->watchers.empty())
        return; // the bench's operator says himself what he takes out
    if (m_impl->plan->carrier == Carrier::Swd)
        return; // probe and adapter stay on the bus whatever is in the nest
    const auto& platform = m_impl->plan->platform;
    std::map<UsbBus*, std::map<SlotId, UsbPortPath>> buses;
    for (const auto& [slot, access] : m_impl->ports)
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
