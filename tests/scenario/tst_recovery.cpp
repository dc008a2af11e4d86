// The station dies between any two lines of its record, and between any two changes of a unit's
// configuration memory and bootloader. A new process over the same database, the same unit and the
// same registry makes a product of the unit, or says what became of it.
#include "cloud/registry.h"
#include "core/text.h"
#include "recovery_process.h"
#include "sim/usbip_server.h"
#include "support/station_fixture.h"

#include <QCoreApplication>
#include <QProcess>
#include <QTest>

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

namespace provost::test {

namespace {

constexpr int kProcessPatience = 120000;
constexpr std::uint32_t kBootloaderEnd = 0x08004000; // particle-devices 2.1
constexpr std::uint32_t kDctEnd = 0x0800C000;

/// Where one victim after the other dies, and what the last process must find.
struct Trial {
    std::string name{};
    std::vector<std::string> places{};
    int commit = 0; ///< of the counted run, at the last of them
    Expected expected = Expected::Pass;
    CloudMood cloud = CloudMood::Well;
    bool staysPowered = false; ///< the unit stands on a bench of the test, over USB/IP
    std::filesystem::path folder{};
    std::uint16_t servedAt = 0;
    std::string told{}; ///< by the survivor
    std::string wrong{};
};

QStringList argumentsOf(const char* role, const Trial& trial, const std::string& what)
{
    return {role,
            QString::fromStdString(trial.folder.string()),
            QString::fromStdString(sharedServerKey().string()),
            trial.cloud == CloudMood::Well ? "well" : "away",
            QString::number(trial.servedAt),
            QString::fromStdString(what)};
}

/// True where the process died of SIGKILL (or came to its end, if it was to).
bool runProcess(const QStringList& arguments, QProcess::ExitStatus wanted, std::string& output)
{
    QProcess process;
    process.setProcessChannelMode(QProcess::MergedChannels);
    process.start(QCoreApplication::applicationFilePath(), arguments);
    if (!process.waitForFinished(kProcessPatience)) {
        process.kill();
        process.waitForFinished();
        output = "it did not end";
        return false;
    }
    output = process.readAll().toStdString();
    return process.exitStatus() == wanted &&
           (wanted == QProcess::CrashExit || process.exitCode() == 0);
}

/// A bench that lives on in this process whoever dies at its other end.
struct PoweredBench {
    explicit PoweredBench(Trial& trial)
        : bench(take(sim::Bench::parse(
              benchToml({.supplies = {{UnitWish{.deviceId = kRecoveryUnit}}}}), "powered.toml"))),
          server(take(sim::UsbIpServer::start(bench->ports(), {.speed = sim::Speed::Instant})))
    {
        take(bench->insertNext(1));
        trial.servedAt = server->port();
    }
    /// What is wrong with unit and registry, empty: nothing.
    std::string wrong(const std::filesystem::path& folder) const
    {
        const auto registry = Registry::open(folder / "cloud");
        const auto held = registry ? (*registry)->find(kRecoveryUnit)
                                   : Result<std::optional<RsaPublicKey>>(std::nullopt);
        const auto onUnit = keyOnUnit(*bench->board(1));
        if (!held || !*held || (*held)->fingerprint() != onUnit)
            return "the cloud has another key than the unit: " + onUnit;
        if (bench->board(1)->hasCredentials())
            return "credentials were left on the unit";
        return bench->board(1)->escapes().empty() ? "" : "it dialled elsewhere";
    }

    template <class T>
    static T take(Result<T> result)
    {
        if (!result)
            qFatal("%s", describe(result.error()).c_str());
        return std::move(*result);
    }

    std::unique_ptr<sim::Bench> bench;
    std::unique_ptr<sim::UsbIpServer> server;
};

/// Empty, or the place where the process was not killed.
std::string killAtEachPlace(const Trial& trial)
{
    for (const auto& place : trial.places) {
        std::string output;
        if (!runProcess(argumentsOf("--victim", trial, place), QProcess::CrashExit, output))
            return concat("it was not killed at ", place, ": ", output);
    }
    return {};
}

void endure(Trial& trial)
{
    std::optional<PoweredBench> powered;
    if (trial.staysPowered)
        powered.emplace(trial);
    trial.wrong = killAtEachPlace(trial);
    if (!trial.wrong.empty())
        return;
    const auto expected = trial.expected == Expected::Pass ? "pass" : "bricked";
    if (!runProcess(argumentsOf("--survivor", trial, expected), QProcess::NormalExit, trial.told))
        trial.wrong = trial.told.empty() ? "the second process died" : trial.told;
    else if (powered)
        trial.wrong = powered->wrong(trial.folder);
    std::error_code ignored;
    std::filesystem::remove_all(trial.folder, ignored);
}

/// All of them, as many at once as there are processors. Empty, or what went wrong.
std::string endureAll(std::vector<Trial>& trials)
{
    for (auto& trial : trials)
        trial.folder = newFolder();
    sharedServerKey();
    std::atomic<std::size_t> next = 0;
    {
        std::vector<std::jthread> workers;
        for (unsigned i = 0; i < std::max(2U, std::thread::hardware_concurrency()); ++i)
            workers.emplace_back([&] {
                for (auto at = next++; at < trials.size(); at = next++)
                    endure(trials[at]);
            });
    }
    std::string wrong;
    for (const auto& trial : trials) {
        qInfo("%s: %s", trial.name.c_str(), trial.told.c_str());
        if (!trial.wrong.empty())
            wrong += concat("\n", trial.name, ": ", trial.wrong);
    }
    return wrong;
}

/// What a process writes that is not killed, in a folder where `before` died first.
VictimLog completeLog(CloudMood cloud, const std::vector<std::string>& before = {})
{
    Trial trial{.cloud = cloud, .folder = newFolder()};
    std::string output;
    for (const auto& place : before) {
        if (!runProcess(argumentsOf("--victim", trial, place), QProcess::CrashExit, output))
            qFatal("it was not killed at %s: %s", place.c_str(), output.c_str());
    }
    std::filesystem::remove(trial.folder / "log");
    if (!runProcess(argumentsOf("--victim", trial, "none"), QProcess::NormalExit, output))
        qFatal("the complete run failed: %s", output.c_str());
    return readLog(trial.folder);
}

/// Behind every commit; and in front of those before which something was done that is not on
/// record yet: a change of the flash, a request to the cloud.
std::vector<Trial> trialsOf(const VictimLog& log, int from = 1)
{
    std::vector<Trial> trials;
    int flash = 0;
    int requests = 0;
    for (const auto& row : log.rows) {
        const bool somethingDone = row.flash != flash || row.requests != requests;
        flash = row.flash;
        requests = row.requests;
        if (row.commit < from)
            continue;
        if (somethingDone)
            trials.push_back({.name = "before " + row.place,
                              .places = {"before " + row.place},
                              .commit = row.commit});
        trials.push_back(
            {.name = "after " + row.place, .places = {"after " + row.place}, .commit = row.commit});
    }
    return trials;
}

int commitOf(const VictimLog& log, std::string_view name)
{
    for (const auto& row : log.rows) {
        if (row.name.find(name) != std::string::npos)
            return row.commit;
    }
    qFatal("there is no row %s", std::string(name).c_str());
}

std::string allTold(const std::vector<Trial>& trials)
{
    std::string all;
    for (const auto& trial : trials)
        all += trial.told;
    return all;
}

} // namespace

class TstRecovery : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void everyRow_ofACompleteRun();
    void everyRow_ofHoldAndOutbox();
    void everyChange_ofConfigurationMemoryAndBootloader();
    void everyRow_ofTheInspection();
    void unitThatStaysPowered();
};

void TstRecovery::everyRow_ofACompleteRun()
{
    const auto log = completeLog(CloudMood::Well);
    QVERIFY2(log.shown.starts_with("pass"), log.shown.c_str());
    auto trials = trialsOf(log);
    // The complete run is known by what it must have, not by how many rows that makes.
    for (const auto* row :
         {"begin:", "identify:", "attempt:Inspect", "backup:", "image:", "intend:write-bootloader",
          "settle:write-bootloader", "key:", "intend:burn-device-key", "settle:burn-device-key",
          "key-state:", "intend:write-server-key", "settle:write-server-key",
          "intend:write-shipping-server-key", "table:handshake_arrow", "finish:"})
        QVERIFY(commitOf(log, row) > 0);
    qInfo("%zu commits, %zu kills", log.rows.size(), trials.size());
    const auto wrong = endureAll(trials);
    QVERIFY2(wrong.empty(), wrong.c_str());
    // Both outcomes of an inspection were seen.
    QVERIFY(allTold(trials).find("resumed") != std::string::npos);
    QVERIFY(allTold(trials).find("repeated") != std::string::npos);
}

void TstRecovery::everyRow_ofHoldAndOutbox()
{
    const auto log = completeLog(CloudMood::AwayAtFirst);
    QVERIFY2(log.shown.starts_with("hold"), log.shown.c_str());
    QVERIFY(commitOf(log, "sent:") > commitOf(log, "finish:"));
    // Up to the registration it is the complete run.
    auto trials = trialsOf(log, commitOf(log, "attempt:Register"));
    for (auto& trial : trials)
        trial.cloud = CloudMood::AwayAtFirst;
    const auto wrong = endureAll(trials);
    QVERIFY2(wrong.empty(), wrong.c_str());
}

void TstRecovery::everyChange_ofConfigurationMemoryAndBootloader()
{
    const auto log = completeLog(CloudMood::Well);
    std::vector<Trial> trials;
    for (std::size_t i = 0; i < log.flash.size(); ++i) {
        const auto& change = log.flash[i];
        if (change.address >= kDctEnd)
            continue;
        const bool inBootloader = change.address < kBootloaderEnd;
        const bool more = i + 1 < log.flash.size() && log.flash[i + 1].address < kBootloaderEnd;
        trials.push_back({.name = concat("flash ", hex32(change.address), " + ", change.size,
                                         " at ", change.place),
                          .places = {"flash " + change.place},
                          .expected = inBootloader && more ? Expected::Bricked : Expected::Pass});
    }
    const auto wrong = endureAll(trials);
    QVERIFY2(wrong.empty(), wrong.c_str());
    // The cases that particle-devices 3.1 leaves to whoever reads: each was met and decided.
    const auto all = allTold(trials);
    for (const auto* found :
         {"half-written", "is marked too", "stale", "resumed", "repeated", "bricked"})
        QVERIFY2(all.find(found) != std::string::npos, found);
}

void TstRecovery::everyRow_ofTheInspection()
{
    // Cut off in the middle of the burn; then the inspection itself is cut off.
    const auto log = completeLog(CloudMood::Well);
    const int burn = commitOf(log, "intend:burn-device-key");
    const auto half = std::ranges::find(log.flash, burn, &LoggedFlash::commit);
    QVERIFY(half != log.flash.end());
    QVERIFY(log.flash.end() - half > 2 && (half + 2)->commit == burn);
    const auto first = "flash " + (half + 2)->place; // erased, half programmed
    const auto second = completeLog(CloudMood::Well, {first});
    const int end = commitOf(second, "attempt:Inspect") + 1;
    QVERIFY(commitOf(second, "inspection:") < commitOf(second, "inspected:"));
    auto trials = trialsOf(second);
    std::erase_if(trials, [end](const Trial& trial) { return trial.commit > end; });
    for (auto& trial : trials)
        trial.places.insert(trial.places.begin(), first);
    const auto wrong = endureAll(trials);
    QVERIFY2(wrong.empty(), wrong.c_str());
}

void TstRecovery::unitThatStaysPowered()
{
    // Only the program dies: the unit goes on with what it was doing, in DFU mode with a write
    // under way, in the middle of YModem, joining a network. Of each step one transfer, and the
    // rows on both sides of a write.
    const auto log = completeLog(CloudMood::Well);
    std::vector<Trial> trials;
    for (const auto& row : log.rows) {
        if (row.name.starts_with("intend:") || row.name.starts_with("attempt:"))
            trials.push_back({.name = "after " + row.place,
                              .places = {"after " + row.place},
                              .staysPowered = true});
    }
    std::map<std::string, std::vector<int>> phases;
    for (const auto& moved : log.progress)
        phases[moved.phase].push_back(moved.number);
    for (const auto& [phase, numbers] : phases) {
        if (numbers.size() > 2)
            trials.push_back(
                {.name = "in " + phase,
                 .places = {concat("progress ", phase, "#", numbers[numbers.size() / 2])},
                 .staysPowered = true});
    }
    QVERIFY(phases["Bring up bootloader"].size() > 2);
    const auto wrong = endureAll(trials);
    QVERIFY2(wrong.empty(), wrong.c_str());
}

} // namespace provost::test

int main(int argc, char** argv)
{
    using namespace provost::test;
    QCoreApplication application(argc, argv);
    const auto arguments = QCoreApplication::arguments();
    const bool ours = arguments.size() == 7 && arguments[1].startsWith("--");
    if (!ours) {
        TstRecovery test;
        return QTest::qExec(&test, argc, argv);
    }
    const Ordeal ordeal{.folder = arguments[2].toStdString(),
                        .serverKey = arguments[3].toStdString(),
                        .cloud = arguments[4] == "well" ? CloudMood::Well : CloudMood::AwayAtFirst,
                        .servedAt = arguments[5].toUShort()};
    if (arguments[1] == "--victim")
        return runVictim(ordeal, arguments[6].toStdString());
    return runSurvivor(ordeal, arguments[6] == "pass" ? Expected::Pass : Expected::Bricked);
}

#include "tst_recovery.moc"
