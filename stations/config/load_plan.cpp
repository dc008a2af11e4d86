#include "config/load_plan.h"

#include "config/toml_document.h"
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "device/unit_under_test.h"
#include "engine/handshake_limit.h"

#include <algorithm>
#include <array>

namespace provost {

namespace {

Result<UsbId> usbId(const TomlTable& table, std::string_view key)
{
    const auto pair = TRY(table.text(key));
    const auto bytes = pair.size() == 9 && pair[4] == ':'
                           ? fromHex(pair.substr(0, 4) + pair.substr(5))
                           : Result<Bytes>(fail(Errc::InvalidData, Blame::Operator, "no USB id"));
    if (!bytes)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(table.where(key), ": \"", key, "\" must be like \"2b04:d006\""));
    return UsbId{.vendor = readBe16(*bytes), .product = readBe16(*bytes, 2)};
}

Result<DctField> dctField(const TomlTable& dct, std::string_view key)
{
    const auto table = TRY(dct.table(key));
    DctField field;
    field.offset = TRY(table.number32("offset"));
    field.size = TRY(table.number32("size"));
    TRY(table.finish());
    return field;
}

Result<DctFormat> dctFormat(const TomlTable& table)
{
    const auto word = TRY(table.textOr("format", "wiced"));
    if (word == "wiced")
        return DctFormat::Wiced;
    if (word == "dcd")
        return DctFormat::Dcd;
    if (word == "plain")
        return DctFormat::Plain;
    return fail(
        Errc::InvalidData, Blame::Operator,
        concat(table.where("format"), ": \"format\" must be \"wiced\", \"dcd\" or \"plain\""));
}

struct NamedField {
    std::string_view key{};
    DctField* field = nullptr;
    bool required = false;
};

Result<> dctFields(const TomlTable& table, DctLayout& layout)
{
    const bool plain = layout.format == DctFormat::Plain;
    const bool wiced = layout.format == DctFormat::Wiced;
    const std::array<NamedField, 12> fields{{
        {"wifi", &layout.wifi, wiced},
        {"private_key", &layout.privateKey, true},
        {"public_key", &layout.publicKey, !plain},
        {"server_key", &layout.serverKey, true},
        {"claim_code", &layout.claimCode, !plain},
        {"claimed", &layout.claimed, !plain},
        {"update_flag", &layout.updateFlag, !plain},
        {"pending_modules", &layout.pendingModules, !plain},
        {"static_address", &layout.staticAddress, !plain},
        {"name_servers", &layout.nameServers, !plain},
        {"chip_id", &layout.chipId, false},
        {"transport", &layout.transport, false},
    }};
    for (const auto& [key, field, required] : fields) {
        if (!required && !table.has(key))
            continue;
        *field = TRY(dctField(table, key));
        const auto room = field == &layout.wifi ? layout.sectorSize : layout.applicationSize;
        if (field->size == 0 || field->size > room || field->offset > room - field->size)
            return fail(Errc::InvalidData, Blame::Operator,
                        concat(table.where(key), ": \"", key, "\" lies outside of the DCT"));
    }
    return {};
}

Result<DctLayout> dctLayout(const TomlTable& table)
{
    DctLayout layout;
    layout.format = TRY(dctFormat(table));
    layout.copies[0] = TRY(table.number32("copy_1"));
    if (layout.copyCount() == 2)
        layout.copies[1] = TRY(table.number32("copy_2"));
    layout.sectorSize = TRY(table.number32("sector_size"));
    layout.applicationOffset = TRY(table.number32("application_offset"));
    layout.applicationSize = TRY(table.number32("application_size"));
    layout.alternate = static_cast<std::uint8_t>(TRY(table.number32("alternate")));
    layout.addressRecord = TRY(table.number32("address_record"));
    TRY(dctFields(table, layout));
    const bool copiesAdjoin =
        layout.copyCount() == 1 || layout.copies[1] == layout.copies[0] + layout.sectorSize;
    const bool keysAdjoin =
        layout.publicKey.size == 0 ||
        layout.publicKey.offset == layout.privateKey.offset + layout.privateKey.size;
    if (!copiesAdjoin || !keysAdjoin ||
        layout.applicationOffset + layout.applicationSize > layout.sectorSize ||
        layout.addressRecord >= layout.serverKey.size)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(table.where(), ": the copies and the two key slots must adjoin, and the "
                                          "table and the address record lie inside"));
    TRY(table.finish());
    return layout;
}

Result<Limit> limitOf(const TomlTable& measures, const std::string& name)
{
    const auto table = TRY(measures.table(name));
    Limit limit;
    if (table.has("min"))
        limit.min = TRY(table.realOr("min", 0));
    if (table.has("max"))
        limit.max = TRY(table.realOr("max", 0));
    limit.unit = TRY(table.text("unit"));
    limit.optional = TRY(table.booleanOr("optional", false));
    if (!limit.min && !limit.max)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(table.where(), ": a limit needs \"min\" or \"max\""));
    if (limit.min && limit.max && *limit.min > *limit.max)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(table.where(), ": \"min\" is above \"max\""));
    TRY(table.finish());
    return limit;
}

/// How long each step may take is somebody's decision, not left out by oversight.
Result<> demandTimeLimit(const StepSpec& spec)
{
    const auto limit = spec.limits.find("seconds");
    const bool named = limit != spec.limits.end();
    if (named && limit->second.max && limit->second.unit == "s" && !limit->second.optional)
        return {};
    return fail(Errc::InvalidData, Blame::Operator,
                concat(named ? spec.placeOf("seconds") : spec.where, ": step \"", spec.name,
                       "\" has no limit of its time; add measure.seconds = { unit = \"s\", max = "
                       "... }, in seconds and not optional"));
}

Result<StepSpec> stepSpec(const TomlTable& table, const StepRegistry& registry)
{
    StepSpec spec;
    spec.where = table.where();
    spec.use = TRY(table.text("use"));
    spec.name = TRY(table.textOr("name", spec.use));
    spec.timeout = TRY(table.spanOr("timeout", std::chrono::seconds(60)));
    spec.retries = static_cast<int>(TRY(table.integerOr("retries", 0)));
    spec.typicalSeconds = TRY(table.realOr("typical", 1.0));
    if (table.has("measure")) {
        const auto measures = TRY(table.table("measure"));
        for (const auto& name : measures.keys())
            spec.limits.emplace(name, TRY(limitOf(measures, name)));
        for (const auto& name : measures.keys())
            spec.places.emplace(name, measures.where(name));
        TRY(measures.finish());
    }
    if (spec.timeout <= std::chrono::milliseconds(0) || spec.retries < 0 || spec.retries > 9)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(spec.where, ": \"timeout\" must be above 0, \"retries\" from 0 to 9"));
    spec.places.emplace("use", table.where("use"));
    spec.places.emplace("timeout", table.where("timeout"));
    spec.parameters = table.remainingScalars();
    for (const auto& [key, value] : spec.parameters)
        spec.places.emplace(key, table.where(key));
    TRY(table.finish());
    TRY(registry.make(spec));
    TRY(demandTimeLimit(spec));
    return spec;
}

Result<std::vector<StepSpec>> stepSpecs(const TomlTable& document, std::string_view key,
                                        const StepRegistry& registry)
{
    std::vector<StepSpec> specs;
    const auto tables = TRY(document.tables(key));
    for (const auto& table : tables)
        specs.push_back(TRY(stepSpec(table, registry)));
    return specs;
}

/// Every image that the plan and its shipping state name, checked as one set.
class ImageSet {
public:
    ImageSet(const TestPlan& plan, ImageCatalog& images) : m_plan(plan), m_images(images) {}

    Result<> add(const std::string& role, const std::string& version, const std::string& where)
    {
        auto image = m_images.find(m_plan.platform.name, role, version);
        if (!image)
            return Unexpected(withCause(at(where, std::move(image).error()), "C040"));
        std::shared_ptr<const FlashImage> found = TRY(std::move(image));
        m_demo = m_demo || found->module.demo;
        if (std::ranges::find(m_set, found) == m_set.end())
            m_set.push_back(std::move(found));
        return {};
    }

    Result<> addStep(const StepSpec& step)
    {
        const auto version = step.text("version");
        if (!version)
            return {};
        const auto role = step.textOr("role", "bootloader");
        TRY(add(role, *version, step.placeOf("version")));
        if (step.use != "flash-image")
            return {};
        const auto segment = m_plan.platform.segment(step.textOr("segment", role));
        if (!segment)
            return Unexpected(at(step.placeOf("segment"), segment.error()));
        return {};
    }

    Result<> check(const std::string& where) const
    {
        auto checked = checkSet(m_plan.platform.id, m_set);
        if (!checked)
            return Unexpected(withCause(at(where, std::move(checked).error()), "C040"));
        return checked;
    }
    bool demo() const { return m_demo; }

private:
    static Error at(const std::string& where, Error error)
    {
        error.message = concat(where, ": ", error.message);
        error.blame = Blame::Operator;
        return error;
    }

    const TestPlan& m_plan;
    ImageCatalog& m_images;
    std::vector<std::shared_ptr<const FlashImage>> m_set{};
    bool m_demo = false;
};

/// What no plan may leave out or put in another order, because of the traps of particle-devices 13.
constexpr std::array<std::string_view, 13> kProductOrder{
    "identify",          "inspect",        "clear-credentials", "backup-dct", "flash-image",
    "update-bootloader", "device-key",     "server-key",        "prove-keys", "register",
    "give-credentials",  "live-handshake", "shipping-state"};
constexpr std::array<std::string_view, 6> kKeyOrder{"identify",   "inspect",    "backup-dct",
                                                    "device-key", "prove-keys", "register"};

std::span<const std::string_view> orderOf(PlanKind kind)
{
    if (kind == PlanKind::KeyInjection)
        return kKeyOrder;
    return kProductOrder;
}

/// A cellular unit has no credentials; a unit whose system takes no bootloader keeps the one it
/// has.
bool demanded(std::string_view step, const PlatformSpec& platform)
{
    if (step == "clear-credentials" || step == "give-credentials")
        return platform.network == Network::Wifi;
    return step != "update-bootloader" || platform.serialUpdate;
}

/// The unit has to dial where the step listens.
Result<> checkEndpoints(const TestPlan& plan)
{
    std::string endpoint;
    for (const auto& step : plan.steps) {
        if (step.use == "server-key")
            endpoint = step.textOr("endpoint", "station");
        const std::string_view wanted = step.use == "live-handshake"  ? "station"
                                        : step.use == "cloud-contact" ? "product"
                                                                      : "";
        if (!wanted.empty() && endpoint != wanted)
            return fail(Errc::InvalidData, Blame::Operator,
                        concat(step.where, ": step \"", step.use,
                               "\" needs a step \"server-key\" with endpoint = \"", wanted,
                               "\" before it, and no other one between"));
    }
    return {};
}

Result<> checkOrder(const TestPlan& plan, const std::string& where)
{
    const auto& steps = plan.steps;
    const auto& platform = plan.platform;
    const auto order = orderOf(plan.kind);
    if (steps.empty() || steps.back().use != order.back())
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(steps.empty() ? where : steps.back().where,
                           plan.kind == PlanKind::Product
                               ? ": the last step must prove the shipping state (use = \""
                               : ": the last step must tell the cloud the key (use = \"",
                           order.back(), "\")"));
    auto from = steps.begin();
    for (const auto wanted : order) {
        if (!demanded(wanted, platform))
            continue;
        const auto found = std::find_if(
            from, steps.end(), [wanted](const StepSpec& step) { return step.use == wanted; });
        if (found == steps.end())
            return fail(Errc::InvalidData, Blame::Operator,
                        concat(from == steps.end() ? where : from->where, ": step \"", wanted,
                               "\" is missing from here on; without it a unit could leave "
                               "unproved"));
        from = found + 1;
    }
    // Whatever stood in front of the inspection could write over what there is to find.
    for (const std::size_t place : {std::size_t{0}, std::size_t{1}}) {
        if (steps[place].use != order[place])
            return fail(Errc::InvalidData, Blame::Operator,
                        concat(steps[place].where, ": a plan begins with \"", order[0], "\" and \"",
                               order[1],
                               "\", so that nothing is written to a unit that was left in the "
                               "middle of a write before it was read back"));
    }
    return {};
}

/// The tester is what a unit has instead of USB; a Core keeps its keys where no probe reaches.
Result<> checkCarrier(const TestPlan& plan)
{
    for (const auto& step : plan.steps) {
        const bool bySerial1 = step.use == "serial-tester";
        const bool byUsb = step.use == "claim-code" || step.use == "cloud-contact";
        if (plan.carrier == Carrier::Usb ? bySerial1 : byUsb)
            return fail(Errc::InvalidData, Blame::Operator,
                        concat(step.where, ": step \"", step.use, "\" needs carrier = \"",
                               bySerial1 ? "swd" : "usb", "\" in [plan]"));
    }
    if (plan.carrier == Carrier::Swd && plan.platform.dct.format == DctFormat::Plain)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(plan.steps.front().where, ": the keys of a ", plan.platform.name,
                           " lie where no debug probe reaches; use carrier = \"usb\""));
    return {};
}

Result<PlanKind> planKind(const TomlTable& table)
{
    const auto word = TRY(table.textOr("kind", "product"));
    if (word == "product")
        return PlanKind::Product;
    if (word == "key-injection")
        return PlanKind::KeyInjection;
    return fail(Errc::InvalidData, Blame::Operator,
                concat(table.where("kind"), ": \"kind\" must be \"product\" or "
                                            "\"key-injection\""));
}

} // namespace

Result<PlatformSpec> loadPlatform(const std::filesystem::path& file)
{
    const auto document = TRY(TomlTable::load(file));
    const auto table = TRY(document.table("platform"));
    PlatformSpec spec;
    spec.name = TRY(table.text("name"));
    spec.id = static_cast<std::uint16_t>(TRY(table.number32("id")));
    spec.dfu = TRY(usbId(table, "dfu"));
    spec.firmware = TRY(usbId(table, "firmware"));
    spec.constantSerials = TRY(table.textsOr("constant_serials"));
    spec.entry = TRY(table.number32("entry"));
    const auto network = TRY(table.textOr("network", "wifi"));
    if (network != "wifi" && network != "cellular")
        return fail(
            Errc::InvalidData, Blame::Operator,
            concat(table.where("network"), ": \"network\" must be \"wifi\" or \"cellular\""));
    spec.network = network == "wifi" ? Network::Wifi : Network::Cellular;
    spec.serialUpdate = TRY(table.booleanOr("serial_update", true));
    TRY(table.finish());
    const auto segments = TRY(document.tables("segment"));
    for (const auto& entry : segments) {
        Segment segment;
        segment.name = TRY(entry.text("name"));
        segment.alternate = static_cast<std::uint8_t>(TRY(entry.number32("alternate")));
        segment.address = TRY(entry.number32("address"));
        segment.size = TRY(entry.number32("size"));
        TRY(entry.finish());
        spec.segments.push_back(std::move(segment));
    }
    const auto dct = TRY(document.table("dct"));
    spec.dct = TRY(dctLayout(dct));
    TRY(document.finish());
    return spec;
}

Result<std::vector<PlatformSpec>> loadPlatforms(const std::filesystem::path& folder)
{
    std::vector<std::filesystem::path> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error))
        if (entry.path().extension() == ".toml")
            files.push_back(entry.path());
    if (error || files.empty())
        return fail(Errc::NotFound, Blame::Station,
                    concat("read the platforms in ", folder.string(),
                           ": none there; install the program's data again"),
                    error.value());
    std::ranges::sort(files);
    std::vector<PlatformSpec> platforms;
    for (const auto& file : files)
        platforms.push_back(TRY(loadPlatform(file)));
    return platforms;
}

Result<ShippingState> loadShippingState(const std::filesystem::path& file)
{
    const auto document = TRY(TomlTable::load(file));
    const auto table = TRY(document.table("shipping"));
    ShippingState state;
    state.id = TRY(table.text("id"));
    state.mode = TRY(table.text("mode"));
    if (state.mode != name(UnitMode::Listening) && state.mode != name(UnitMode::Application))
        return fail(
            Errc::InvalidData, Blame::Operator,
            concat(table.where("mode"), ": \"mode\" must be \"listening\" or \"application\""));
    const auto keyFile = TRY(table.text("server_key"));
    const Bytes pem = TRY(readFile(file.parent_path() / keyFile));
    state.serverKeyDer = TRY(RsaPublicKey::fromText(pem)).toDer();
    state.address.host = TRY(table.text("server_host"));
    state.address.port = static_cast<std::uint16_t>(TRY(table.integerOr("server_port", 0)));
    state.claimCodeBlank = TRY(table.booleanOr("claim_code_blank", true));
    state.unclaimed = TRY(table.booleanOr("unclaimed", true));
    state.updateFlagClear = TRY(table.booleanOr("update_flag_clear", true));
    state.noPendingModules = TRY(table.booleanOr("no_pending_modules", true));
    state.staticAddressBlank = TRY(table.booleanOr("static_address_blank", true));
    state.nameServersBlank = TRY(table.booleanOr("name_servers_blank", true));
    TRY(table.finish());
    const auto modules = TRY(document.tables("module"));
    for (const auto& entry : modules) {
        ShippedModule module;
        module.role = TRY(entry.text("role"));
        module.version = TRY(entry.text("version"));
        module.where = entry.where("version");
        TRY(entry.finish());
        state.modules.push_back(std::move(module));
    }
    TRY(document.finish());
    state.digest = sha256Hex(viewOf(document.source() + toText(pem)));
    return state;
}

static Result<Carrier> carrierOf(const TomlTable& table)
{
    const auto word = TRY(table.textOr("carrier", "usb"));
    if (word == "usb")
        return Carrier::Usb;
    if (word == "swd")
        return Carrier::Swd;
    return fail(Errc::InvalidData, Blame::Operator,
                concat(table.where("carrier"), ": \"carrier\" must be \"usb\" or \"swd\""));
}

Result<std::shared_ptr<const TestPlan>> loadPlan(const std::string& idOrPath,
                                                 const DataFolders& folders,
                                                 const StepRegistry& steps, ImageCatalog& images)
{
    const bool isPath = idOrPath.find('/') != std::string::npos || idOrPath.ends_with(".toml");
    const auto file =
        isPath ? std::filesystem::path(idOrPath) : folders.plans / (idOrPath + ".toml");
    const auto document = TRY(TomlTable::load(file));
    const auto table = TRY(document.table("plan"));
    auto plan = std::make_shared<TestPlan>();
    plan->id = TRY(table.text("id"));
    plan->revision = static_cast<int>(TRY(table.integer("revision")));
    plan->title = TRY(table.textOr("title", plan->id));
    plan->release = TRY(table.textOr("release", ""));
    plan->carrier = TRY(carrierOf(table));
    plan->kind = TRY(planKind(table));
    const auto platform = folders.platforms / (TRY(table.text("platform")) + ".toml");
    if (plan->kind == PlanKind::Product) {
        const auto name = TRY(table.text("shipping")) + ".toml";
        // A site keeps its products beside its plans; both are in the digest.
        std::error_code ignored;
        const auto beside = file.parent_path() / name;
        const auto shipping =
            isPath && std::filesystem::exists(beside, ignored) ? beside : folders.shipping / name;
        plan->shipping = std::make_shared<ShippingState>(TRY(loadShippingState(shipping)));
    } else {
        plan->shipping = std::make_shared<ShippingState>(); // it demands nothing
    }
    TRY(table.finish());
    plan->platform = TRY(loadPlatform(platform));
    plan->steps = TRY(stepSpecs(document, "step", steps));
    plan->teardown = TRY(stepSpecs(document, "teardown", steps));
    TRY(document.finish());
    TRY(checkOrder(*plan, document.where()));
    TRY(checkCarrier(*plan));
    if (plan->kind == PlanKind::Product)
        TRY(checkEndpoints(*plan));
    TRY(checkHandshakeTime(*plan, TestNetwork{}));
    plan->demandsProofs = true;
    ImageSet set(*plan, images);
    for (const auto& step : plan->steps)
        TRY(set.addStep(step));
    for (const auto& module : plan->shipping->modules)
        TRY(set.add(module.role, module.version, module.where));
    if (plan->kind == PlanKind::Product) // the other one writes no image
        TRY(set.check(document.where()));
    plan->demo = set.demo();
    plan->digest = sha256Hex(
        viewOf(concat(document.source(), toText(TRY(readFile(platform))), plan->shipping->digest)));
    return std::shared_ptr<const TestPlan>(std::move(plan));
}

} // namespace provost
