#include "host/host.h"

#include "cloud/http_provisioning_client.h"
#include "cloud/local_handshake_server.h"
#include "cloud/outbox_sender.h"
#include "config/load_station.h"
#include "core/text.h"
#include "crypto/key_protection.h"
#include "device/swd_unit.h"
#include "host/access_point.h"
#include "host/slot_switches.h"
#include "host/slot_watcher.h"
#include "steps/register_all_steps.h"
#include "transport/libserialport_ports.h"
#include "transport/libusb_bus.h"
#include "transport/tracing.h"

#include <QCoreApplication>
#include <QDir>
#include <QUrl>
#include <algorithm>
#include <charconv>
#include <system_error>

namespace provost {

namespace {

Result<> makeFolder(const std::filesystem::path& folder)
{
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error)
        return Unexpected(
            Error{.code = Errc::Io,
                  .blame = Blame::Station,
                  .message = concat("make folder ", folder.string(), ": ", error.message()),
                  .frames = {},
                  .native = error.value(),
                  .cause = "C050"});
    return {};
}

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
    std::shared_ptr<KeyPool> pool{};
    StepRegistry registry{};
    std::unique_ptr<Journal> journal{};
    std::unique_ptr<ImageCatalog> images{};
    std::shared_ptr<const TestPlan> plan{};
    std::unique_ptr<sim::Bench> bench{};
    std::unique_ptr<LibusbBus> usb{};
    std::unique_ptr<LibserialportPorts> serial{};
    std::map<SlotId, UsbPortPath> ports{};
    std::map<SlotId, UsbPortPath> probes{};                ///< wired to the slot's nest
    std::map<SlotId, std::unique_ptr<SlotTrace>> traces{}; ///< one per port, made once
    std::unique_ptr<SlotSwitches> switches{};
    std::unique_ptr<CloudService> cloud{};
    std::unique_ptr<HttpProvisioningClient> client{};
    std::unique_ptr<LocalHandshakeServer> handshakes{};
    std::unique_ptr<OutboxSender> outbox{};
    std::unique_ptr<NetworkWitness> witness{};
    std::unique_ptr<StationEngine> engine{};
    std::unique_ptr<SlotWatcher> watcher{};

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
    UsbBus& bus() { return bench ? bench->usb() : static_cast<UsbBus&>(*usb); }
    NetworkWitness::Probe networkProbe() const;
    std::unique_ptr<UnitUnderTest> unitIn(SlotId slot);
    std::optional<TraceRecord> traceOf(SlotId slot) const;
};

Result<> Host::Impl::protectKeys(const HostOptions& options)
{
    auto missing = missingProtection(protectMemory());
    if (missing.empty())
        return {};
    if (options.training || !options.bench.empty()) {
        overridden = std::move(missing);
        return {};
    }
    constexpr std::string_view kAttempt = "protect the keys of units";
    std::string text(kAttempt);
    for (const auto& each : missing)
        text += concat(text == kAttempt ? ": " : "; ", each);
    return Unexpected(Error{.code = Errc::Denied,
                            .blame = Blame::Station,
                            .message = concat(text, " (for training: --training)"),
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
    std::vector<std::filesystem::path> folders{database.parent_path(),
                                               station.settings.backupFolder, station.escrowFolder};
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
    pool = std::make_shared<KeyPool>(
        KeyPoolConfig{.rules = rules, .size = kKeysPerSlot * slots, .onChange = {}});
    return {};
}

Result<> Host::Impl::openRecords(const HostOptions& options)
{
    database = options.database.empty() ? stateFolder() / "provost.db" : options.database;
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
        ports.emplace(SlotId{slot.number}, slot.port);
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
    usb = TRY(LibusbBus::create());
    serial = std::make_unique<LibserialportPorts>();
    for (const auto& slot : station.slots) {
        auto path = LibusbBus::portPath(slot.usb);
        if (!path)
            return Unexpected(withCause(std::move(path).error(), "C042"));
        ports.emplace(slot.slot, *path);
        if (slot.probe.empty())
            continue;
        auto probe = LibusbBus::portPath(slot.probe);
        if (!probe)
            return Unexpected(withCause(std::move(probe).error(), "C042"));
        probes.emplace(slot.slot, *probe);
    }
    return {};
}

Result<> Host::Impl::openCloud()
{
    CloudServiceConfig config;
    config.folder = station.cloudFolder.empty()
                        ? database.parent_path() / (database.stem().string() + "-cloud")
                        : station.cloudFolder;
    config.rest = station.cloudIsLocal;
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
    return {};
}

void Host::Impl::openTraces()
{
    SerialPorts& lines = bench ? bench->serial() : static_cast<SerialPorts&>(*serial);
    for (const auto& [slot, port] : ports)
        traces.emplace(slot, std::make_unique<SlotTrace>(bus(), lines, clock));
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
                                                       .serial1 = ports.at(slot),
                                                       .holdMode = std::move(holdMode),
                                                       .timing = {},
                                                       .simulated = bench != nullptr},
                                         plan->platform);
    return std::make_unique<ParticleUnit>(UnitConnection{.usb = trace.usb,
                                                         .serial = trace.serial,
                                                         .port = ports.at(slot),
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
    outbox = std::make_unique<OutboxSender>(
        *journal, *client, events, clock,
        OutboxSenderConfig{.probe = [this](const OpContext& op) { return client->probe(op); }});
    engine = std::make_unique<StationEngine>(
        EngineEnvironment{.clock = clock,
                          .journal = *journal,
                          .images = *images,
                          .cloud = *client,
                          .handshakes = *handshakes,
                          .steps = registry,
                          .station = station.settings,
                          .network = *witness,
                          .events = events,
                          .unitIn = [this](SlotId slot) { return unitIn(slot); },
                          .traceOf = [this](SlotId slot) { return traceOf(slot); }});
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

void Host::wipeKeys()
{
    m_impl->pool->wipe();
}

void Host::watchSlots()
{
    m_impl->switches->announce();
    if (m_impl->bench || m_impl->watcher)
        return; // the bench's operator says himself what he takes out
    if (m_impl->plan->carrier == Carrier::Swd)
        return; // probe and adapter stay on the bus whatever is in the nest
    const auto& platform = m_impl->plan->platform;
    m_impl->watcher = std::make_unique<SlotWatcher>(
        *m_impl->usb, m_impl->events, m_impl->clock,
        SlotWatcherConfig{.ports = m_impl->ports,
                          .units = {platform.dfu, platform.firmware},
                          .busy = [this](SlotId slot) { return m_impl->engine->busy(slot); }});
    m_impl->watcher->start();
}

} // namespace provost
