#include "support/station_fixture.h"

#include "cloud/http_provisioning_client.h"
#include "cloud/local_handshake_server.h"
#include "cloud/registration_guard.h"
#include "core/text.h"
#include "steps/register_all_steps.h"
#include "store/sqlite_p.h"
#include "transport/usbip_bus.h"
#include "transport/usbip_serial.h"

#include <QTemporaryDir>
#include <QtGlobal>

#include <algorithm>
#include <csignal>
#include <deque>
#include <map>

namespace provost::test {

namespace {

template <class T>
T need(Result<T> result, const char* what)
{
    if (!result)
        qFatal("%s: %s", what, describe(result.error()).c_str());
    if constexpr (!std::is_void_v<T>)
        return std::move(*result);
}

// A bench at instant speed is back on the bus within milliseconds; a unit that stays away shows
// at once. Kept far above what two busy cores may cost.
constexpr UnitTiming kTiming{
    .arrival = 1500ms, .boot = 2500ms, .console = 400ms, .consoleAfterBoot = 1000ms};

} // namespace

std::string benchToml(const BenchWish& wish)
{
    std::string text =
        concat("[bench]\nname = \"test\"\nspeed = \"instant\"\nmode_button = ",
               wish.modeButton ? "true" : "false", "\n[network]\nssid = \"", wish.ssid,
               "\"\npassword = \"", wish.password,
               "\"\nsecurity = 3\non = ", wish.accessPointOn ? "true" : "false", "\n");
    auto hosts = wish.hosts;
    if (wish.publicCloudAtHome)
        hosts.push_back("device.spark.io");
    text += "[network.hosts]\n";
    for (const auto& host : hosts)
        text += concat('"', host, "\" = \"127.0.0.1\"\n");
    int number = 0;
    for (const auto& supply : wish.supplies) {
        text += concat("[[slot]]\nnumber = ", ++number, "\n");
        for (const auto& unit : supply)
            text +=
                concat("[[slot.unit]]\nplatform = \"", unit.platform, "\"\nstock = \"", unit.stock,
                       "\"\nkey = \"", unit.key, "\"\ncredentials = \"", unit.credentials,
                       "\"\nlabel = \"", unit.label, "\"\ndevice_id = \"", unit.deviceId,
                       "\"\nusb = ", unit.usb ? "true" : "false", "\nmemory = \"", unit.memory,
                       "\"\ncount = ", unit.count, "\n", unit.more, "\n", unit.faults, "\n");
        const auto wired = [](const UnitWish& unit) { return !unit.usb; };
        if (std::ranges::any_of(supply, wired))
            text +=
                concat("[[probe]]\nnumber = ", number, "\nmodel = \"v3\"\nslot = ", number, "\n");
    }
    return text;
}

DataFolders testFolders()
{
    const std::filesystem::path source(PROVOST_SOURCE_DIR);
    return {.plans = source / "stations/plans",
            .platforms = source / "stations/platforms",
            .shipping = source / "stations/shipping",
            .manifests = source / "firmware-images/catalog",
            .images = std::filesystem::path(PROVOST_BUILD_DIR) / "images",
            .benches = source / "stations/benches"};
}

std::filesystem::path newFolder()
{
    static std::deque<QTemporaryDir> folders;
    return folders.emplace_back().path().toStdString();
}

/// An RSA-2048 key takes longer to make than a unit to run; one serves the whole program.
std::filesystem::path sharedServerKey(int which)
{
    static std::map<int, std::filesystem::path> folders;
    auto& folder = folders[which];
    if (folder.empty()) {
        const SystemClock clock;
        folder = newFolder();
        need(CloudService::start({.folder = folder, .rest = false}, clock), "server key");
    }
    return folder / "server-key.pem";
}

struct Station::Impl {
    StationSetup setup{};
    std::filesystem::path folder{};
    std::filesystem::path database{};
    SystemClock clock{};
    RecordingSink sink{};
    Meddling meddling{};
    StepRegistry registry{};
    StationSettings settings{};
    std::unique_ptr<sim::Bench> bench{};
    std::unique_ptr<UsbIpBus> served{};
    std::unique_ptr<UsbIpPorts> servedPorts{};
    std::unique_ptr<MeddlingBus> bus{};
    std::unique_ptr<Journal> journal{};
    std::unique_ptr<ImageCatalog> images{};
    std::unique_ptr<VirtualCloud> cloud{};
    std::unique_ptr<VirtualCloud> productCloud{};
    std::unique_ptr<HttpProvisioningClient> client{};
    std::unique_ptr<RegistrationGuard> guard{};
    std::unique_ptr<LocalHandshakeServer> handshakes{};
    TestPlan plan{};
    std::vector<std::pair<std::string, Act>> acts{};
    std::unique_ptr<NetworkWitness> network{};
    std::unique_ptr<StationEngine> engine{};

    /// Another cloud than the station's own, and the units' after their shipping.
    void openProductCloud()
    {
        VirtualCloudConfig config;
        config.service.folder = folder / "product-cloud";
        config.service.serverKeyFile = sharedServerKey(1);
        config.service.keepSessions = true;
        productCloud = need(VirtualCloud::start(std::move(config), clock), "product's cloud");
        CloudService& service = productCloud->service();
        auto shipping = std::make_shared<ShippingState>(*plan.shipping);
        shipping->serverKeyDer = service.serverKey().toDer();
        shipping->address = {.host = service.handshakeHost(), .port = service.handshakePort()};
        plan.shipping = std::move(shipping);
    }

    std::unique_ptr<UnitUnderTest> unitIn(SlotId slot)
    {
        if (served)
            return std::make_unique<ParticleUnit>(
                UnitConnection{.usb = *bus,
                               .serial = *servedPorts,
                               .port = {.controller = concat("usbip:127.0.0.1:", setup.servedAt),
                                        .ports = {1, static_cast<std::uint8_t>(slot.value)}},
                               .holdMode = {},
                               .timing = kTiming,
                               .simulated = true},
                plan.platform);
        const auto slots = bench->slots();
        const auto found = std::ranges::find(slots, slot.value, &sim::BenchSlot::number);
        if (plan.carrier == Carrier::Swd)
            return std::make_unique<SwdUnit>(SwdConnection{.usb = *bus,
                                                           .serial = bench->serial(),
                                                           .probe = found->probe.value(),
                                                           .serial1 = found->port,
                                                           .holdMode = {},
                                                           .timing = kTiming,
                                                           .simulated = true},
                                             plan.platform);
        return std::make_unique<ParticleUnit>(
            UnitConnection{.usb = *bus,
                           .serial = bench->serial(),
                           .port = found == slots.end() ? UsbPortPath{} : found->port,
                           .holdMode = [this, slot](std::chrono::milliseconds span,
                                                    const OpContext&) -> Result<bool> {
                               return bench->holdMode(slot.value, span);
                           },
                           .timing = kTiming,
                           .simulated = true},
            plan.platform);
    }
};

Station::Station(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}

Station::~Station()
{
    m_impl->engine.reset();
}

std::unique_ptr<Station> Station::open(StationSetup setup)
{
    // The key first, and with it what OpenSSL keeps for the process: LeakSanitizer does not look
    // for pointers in the locked heap.
    static const bool heap = !sharedServerKey().empty() && setUpSecureHeap().has_value();
    Q_UNUSED(heap);
    auto impl = std::make_unique<Impl>();
    impl->folder = setup.database.empty() ? newFolder() : setup.database.parent_path();
    impl->database = setup.database.empty() ? impl->folder / "test.db" : setup.database;
    impl->bench = need(sim::Bench::parse(benchToml(setup.bench), "test.toml"), "bench");
    if (setup.servedAt != 0) {
        impl->served = need(UsbIpBus::create("127.0.0.1", setup.servedAt), "USB/IP");
        impl->servedPorts = std::make_unique<UsbIpPorts>(*impl->served);
    }
    impl->bus = std::make_unique<MeddlingBus>(
        impl->served ? static_cast<UsbBus&>(*impl->served) : impl->bench->usb(), impl->meddling);
    impl->journal = need(Journal::open(impl->database, impl->clock), "journal");
    const auto folders = testFolders();
    impl->images = need(openCatalog(folders.manifests, folders.images), "catalogue");
    registerAllSteps(impl->registry);
    impl->plan = *need(loadPlan(setup.plan, folders, impl->registry, *impl->images), "plan");
    for (auto& step : impl->plan.steps) {
        if (step.use == "live-handshake")
            step.timeout = setup.handshakeWithin;
        if (step.use == "cloud-contact") {
            step.timeout = setup.contactWithin;
            step.parameters["dwell_s"] = std::int64_t{setup.contactDwellSeconds};
        }
    }
    if (setup.productCloud)
        impl->openProductCloud();
    VirtualCloudConfig cloud;
    cloud.service.folder = impl->folder / "cloud";
    cloud.service.serverKeyFile = setup.serverKey.empty() ? sharedServerKey() : setup.serverKey;
    impl->cloud = need(VirtualCloud::start(std::move(cloud), impl->clock), "cloud");
    impl->handshakes = std::make_unique<LocalHandshakeServer>(impl->cloud->service());
    impl->client = std::make_unique<HttpProvisioningClient>(HttpClientConfig{
        .baseUrl = (impl->productCloud ? *impl->productCloud : *impl->cloud).service().baseUrl(),
        .token = {},
        .answerWithin = setup.answerWithin});
    impl->guard = std::make_unique<RegistrationGuard>(*impl->journal, *impl->client);
    const auto& network = impl->bench->network();
    impl->settings.name = "Station T";
    impl->settings.network.ssid = network.ssid;
    impl->settings.network.password = setup.stationPassword.size() > 0
                                          ? setup.stationPassword.clone()
                                          : SecretBytes(network.password.reveal());
    impl->settings.network.storedPart = SecretBytes(impl->bench->wifiPart().reveal());
    impl->settings.network.security = static_cast<WifiSecurity>(network.security);
    impl->settings.escrowCertificate = setup.escrowCertificate;
    impl->settings.backupFolder = impl->folder.string();
    auto* raw = impl.get();
    impl->network = std::make_unique<NetworkWitness>(
        setup.networkProbed ? NetworkWitness::Probe([raw](const OpContext&) -> Result<bool> {
            return raw->bench->network().on;
        })
                            : NetworkWitness::Probe());
    if (setup.networkProven)
        impl->network->joined("a unit before", impl->clock.now());
    impl->engine = std::make_unique<StationEngine>(
        EngineEnvironment{.clock = raw->clock,
                          .journal = *raw->journal,
                          .images = *raw->images,
                          .cloud = *raw->guard,
                          .view = *raw->client,
                          .handshakes = *raw->handshakes,
                          .steps = raw->registry,
                          .station = raw->settings,
                          .network = *raw->network,
                          .events = raw->sink,
                          .unitIn = [raw](SlotId slot) { return raw->unitIn(slot); }});
    impl->setup = std::move(setup);
    return std::unique_ptr<Station>(new Station(std::move(impl)));
}

sim::Bench& Station::bench()
{
    return *m_impl->bench;
}
VirtualCloud& Station::cloud()
{
    return *m_impl->cloud;
}
VirtualCloud& Station::productCloud()
{
    return *m_impl->productCloud;
}
CloudView& Station::view()
{
    return *m_impl->client;
}
ProvisioningClient& Station::client()
{
    return *m_impl->client;
}
Journal& Station::journal()
{
    return *m_impl->journal;
}
StationEngine& Station::engine()
{
    return *m_impl->engine;
}
RecordingSink& Station::sink()
{
    return m_impl->sink;
}
Meddling& Station::meddling()
{
    return m_impl->meddling;
}
StepRegistry& Station::steps()
{
    return m_impl->registry;
}
ImageCatalog& Station::images()
{
    return *m_impl->images;
}
const std::filesystem::path& Station::folder() const
{
    return m_impl->folder;
}
const std::filesystem::path& Station::database() const
{
    return m_impl->database;
}
StationSettings& Station::settings()
{
    return m_impl->settings;
}
NetworkWitness& Station::network()
{
    return *m_impl->network;
}
TestPlan& Station::plan()
{
    return m_impl->plan;
}

sim::InsertedUnit Station::insert(int slot)
{
    const auto unit = need(m_impl->bench->insertNext(slot), "insert a unit");
    if (!unit)
        qFatal("the supply of slot %d is used up", slot);
    return *unit;
}

sim::VirtualBoard& Station::board(int slot)
{
    auto* board = m_impl->bench->board(slot);
    if (board == nullptr)
        qFatal("there is no unit in slot %d", slot);
    return *board;
}

Result<> Station::start(int slot, const std::string& label)
{
    return m_impl->engine->start(SlotId{slot}, label,
                                 std::make_shared<const TestPlan>(m_impl->plan));
}

std::optional<RunFinished> Station::verdict(int slot, std::size_t from,
                                            std::chrono::milliseconds patience)
{
    return m_impl->sink.waitFor<RunFinished>(
        patience, [slot](const RunFinished& event) { return event.slot.value == slot; }, from);
}

RunFinished Station::run(int slot)
{
    const auto unit = m_impl->bench->present(slot);
    return run(slot, unit ? unit->label : std::string{});
}

RunFinished Station::run(int slot, const std::string& label)
{
    const auto from = m_impl->sink.size();
    need(start(slot, label), "start");
    const auto finished = verdict(slot, from);
    if (!finished)
        qFatal("slot %d has no verdict after %d s", slot, static_cast<int>(kRunPatience.count()));
    return *finished;
}

RunFinished Station::runNext(int slot)
{
    insert(slot);
    return run(slot);
}

void Station::settle(int slots)
{
    const SystemClock clock;
    for (const auto& slot : m_impl->bench->slots()) {
        const OpContext op{.clock = clock, .deadline = {clock.now() + 60s}};
        if (slot.number <= slots)
            need(m_impl->bench->usb().waitFor(slot.port, {}, op), "wait for a unit");
    }
}

std::vector<RunFinished> Station::runAll(int slots)
{
    const auto from = m_impl->sink.size();
    for (int slot = 1; slot <= slots; ++slot) {
        const auto unit = m_impl->bench->present(slot);
        need(start(slot, unit ? unit->label : std::string{}), "start");
    }
    std::vector<RunFinished> all;
    for (int slot = 1; slot <= slots; ++slot) {
        const auto finished = verdict(slot, from);
        if (!finished)
            qFatal("slot %d has no verdict", slot);
        all.push_back(*finished);
    }
    return all;
}

void Station::afterStep(const std::string& step, Act act)
{
    m_impl->acts.emplace_back(step, std::move(act));
    m_impl->sink.setHook([acts = m_impl->acts](const StationEvent& event) {
        const auto* finished = std::get_if<StepFinished>(&event);
        for (const auto& [name, what] : acts) {
            if (finished != nullptr && finished->attempt.step == name)
                what(finished->slot.value);
        }
    });
}

UnitAfter Station::after(int slot)
{
    const auto& unit = board(slot);
    return {.escapes = unit.escapes(), .violations = unit.violations()};
}

RunRecord Station::record(RunId run)
{
    return need(m_impl->journal->run(run), "read a run");
}

AttemptRecord Station::attempt(RunId run, std::string_view step)
{
    AttemptRecord found;
    for (const auto& attempt : record(run).attempts) {
        if (attempt.step == step)
            found = attempt;
    }
    return found;
}

std::vector<std::string> Station::query(const std::string& sql)
{
    auto db = need(sqlite::Connection::open(m_impl->database, sqlite::Access::ReadOnly), "open");
    auto rows = need(db.query(sql), "query");
    std::vector<std::string> found;
    while (need(rows.step(), "step"))
        found.push_back(rows.text(0));
    return found;
}

std::unique_ptr<Station> quick(UnitWish unit, std::chrono::milliseconds handshake)
{
    return Station::open(
        {.bench = {.supplies = {{std::move(unit)}}}, .handshakeWithin = handshake});
}

std::string told(const RunFinished& finished)
{
    return concat(name(finished.verdict), " ", finished.cause, " ", finished.error);
}

std::string causesOf(const RunRecord& record)
{
    std::string text;
    for (const auto& attempt : record.attempts)
        text += concat(attempt.step, ":", name(attempt.verdict), attempt.cause.empty() ? "" : "/",
                       attempt.cause, " ");
    return text;
}

} // namespace provost::test
