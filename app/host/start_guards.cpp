#include "host/start_guards.h"

#include "core/text.h"
#include "crypto/key_protection.h"
#include "crypto/secret_file.h"
#include "host/folders.h"

#include <QDir>
#include <charconv>

namespace provost {

namespace {

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

Unexpected refusedStart(Blame blame, std::string message, const char* cause)
{
    return Unexpected(Error{.code = Errc::Denied,
                            .blame = blame,
                            .message = std::move(message),
                            .frames = {},
                            .native = {},
                            .cause = cause});
}

Unexpected ownEscrow(const std::string& what)
{
    return refusedStart(Blame::Station,
                        concat("start the station: ", what,
                               " is the private key of its own escrow certificate; take it off "
                               "this computer"),
                        "C053");
}

} // namespace

Result<> refuseTraining(const HostOptions& options, const StationConfig& station,
                        const std::filesystem::path& database, const Clock& clock)
{
    if (!station.production || !options.training)
        return {};
    auto refused = fail(Errc::Denied, Blame::Operator,
                        concat("start station ", station.settings.name,
                               " with --training: its file says mode = \"production\"; leave the "
                               "option out, or practise with another station file"));
    const auto kept = recordStationEvent(
        database, clock,
        {.kind = "training-refused", .subject = options.station->string(), .payload = "run"});
    return kept ? Result<>(refused) : Result<>(Unexpected(kept.error()));
}

Result<std::vector<std::string>> protectKeys(const HostOptions& options,
                                             const StationConfig& station)
{
    auto missing = missingProtection(protectMemory());
    const bool practice = options.training || !options.bench.empty();
    if (missing.empty() || (practice && !station.production))
        return missing;
    constexpr std::string_view kAttempt = "protect the keys of units";
    std::string text(kAttempt);
    for (const auto& each : missing)
        text += concat(text == kAttempt ? ": " : "; ", each);
    return refusedStart(Blame::Station,
                        concat(text, station.production ? "" : " (for training: --training)"),
                        "C055");
}

Result<> refuseOwnEscrow(const HostOptions& options, const StationConfig& station,
                         const std::filesystem::path& database)
{
    const Bytes& certificate = station.settings.escrowCertificate;
    if (certificate.empty())
        return {};
    std::vector<std::filesystem::path> folders{
        database.parent_path(), station.settings.backupFolder,
        station.escrowFolder,   station.cloudFolder,
        stateFolder(),          "/etc/provost",
        "/var/lib/provost",     QDir::homePath().toStdString(),
        "/etc/ssl/private",     QDir::homePath().toStdString() + "/.ssh"};
    if (options.station)
        folders.push_back(options.station->parent_path());
    for (auto& folder : folders)
        if (folder.empty())
            folder = ".";
    const auto own = TRY(keyThatOpens(certificate, folders));
    if (own.empty())
        return {};
    return ownEscrow(own.string());
}

Result<> refuseOwnEscrowInToken(const Bytes& certificate, KeyToken& token)
{
    if (certificate.empty() || !TRY(token.holdsKeyOf(certificate)))
        return {};
    return ownEscrow(concat("a key in token ", token.label()));
}

Result<> checkKind(const HostOptions& options, const StationConfig& station, const TestPlan& plan)
{
    const bool keys = plan.kind == PlanKind::KeyInjection;
    const auto refused = [&](std::string_view why) {
        return fail(Errc::Denied, Blame::Operator, concat("run plan ", plan.id, ": ", why));
    };
    if (keys != options.batch.has_value())
        return refused(keys ? "it puts keys into the units of a batch; use provost keys batch"
                            : "it makes products; a batch takes a plan of kind \"key-injection\"");
    if (options.station && keys != (station.kind == StationKind::KeyInjection))
        return refused(keys ? "this station's file does not say kind = \"key-injection\""
                            : "this station's file says kind = \"key-injection\"; use provost keys "
                              "batch");
    if (options.batch && options.batch->platform != plan.platform.name)
        return refused(
            concat("it is for ", plan.platform.name, ", the batch for ", options.batch->platform));
    return {};
}

Result<> checkContact(const TestPlan& plan, const StationConfig& station)
{
    const auto contact = [](const StepSpec& step) { return step.use == "cloud-contact"; };
    if (!station.cloudIsLocal || std::ranges::none_of(plan.steps, contact))
        return {};
    return refusedStart(Blame::Operator,
                        concat("run plan ", plan.id,
                               ": it lets units reach the product's own cloud, and this station "
                               "serves a cloud of its own; name the other one in [cloud] of the "
                               "station file"),
                        "C042");
}

Result<> checkRoutes(const TestPlan& plan, const StationSettings& settings, const Nests& nests,
                     const SlotSwitches& switches)
{
    const auto refused = [&](const std::string& what) {
        return refusedStart(Blame::Operator, concat("run plan ", plan.id, ": ", what), "C042");
    };
    if (plan.kind == PlanKind::KeyInjection)
        return {}; // it gives no credentials, and leaves those that are there
    if (plan.carrier == Carrier::Usb) {
        // particle-devices 1.3: firmware clears them on request from 0.8.0 on; before, by MODE. So
        // much of what the plan installs; an older unit that brings credentials ends as C060.
        const bool byRequest = !isOlderRelease(plan.release, "0.8.0");
        const bool byHand = settings.operatorAnswers;
        const bool byFixture = nests.bench() != nullptr && nests.bench()->hasModeButton();
        if (plan.platform.network == Network::Wifi && !byRequest && !byHand && !byFixture)
            return refused(concat("firmware ", plan.release,
                                  " clears Wi-Fi credentials by its MODE button only, which "
                                  "neither a fixture nor an operator holds here; let somebody "
                                  "answer, or use a carrier with a debug probe"));
        return {};
    }
    for (const auto& [slot, port] : nests.ports())
        if (!switches.whyOff(slot) && !nests.probes().contains(slot))
            return refused(concat("it reaches units by SWD, and slot ", slot.value,
                                  " has no debug probe; name it as probe in station.toml"));
    if (settings.network.storedPart.empty())
        return refused("it gives credentials by SWD, and the station has no Wi-Fi part of a golden "
                       "unit; name its file as wifi_part_file in station.toml");
    return {};
}

} // namespace provost
