// Brings the unit into the product's shipping state and proves it field by field, on both physical
// DCT copies, by images and by module report.
#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/unit_key.h"
#include "protocol/listening_console.h"
#include "steps/key_traces.h"
#include "steps/network_traces.h"
#include "steps/steps_p.h"

#include <algorithm>

namespace provost {

namespace {

Result<> wrong(std::string_view what, std::string_view cause)
{
    return Unexpected(unitError(Errc::Mismatch, concat("prove the shipping state: ", what), cause));
}

class ShippingStateStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        const MeasuredRepeats repeats(context);
        const auto& op = context.op();
        const bool wifi = context.plan().platform.network == Network::Wifi;
        const std::string route = wifi
                                      ? concat("credentials cleared by ",
                                               TRY(clearCredentials(context, op.phase({}, 0, 0.1))))
                                      : std::string("no credentials on this platform");
        const Bytes slot = TRY(writeServer(context, op.phase({}, 0.1, 0.3)));
        {
            const auto former = TRY(formerModuli(context));
            const auto dct = TRY(context.unit().readDct(op.phase({}, 0.3, 0.4)));
            for (int copy = 0; copy < dct.copies(); ++copy)
                TRY(checkCopy(context, dct, copy, slot, former));
        }
        TRY(checkImages(context, op.phase({}, 0.4, 0.9)));
        TRY(checkBoot(context, op.phase({}, 0.9, 1)));
        context.facts().credentialsGiven = false;
        context.facts().shippingStateProved = true;
        context.note(concat(context.plan().shipping->id, " · ", route, " · ",
                            context.plan().platform.dct.copyCount(), " DCT copies clean · ",
                            context.plan().shipping->modules.size(), " images equal"));
        return {};
    }

private:
    /// Each write goes to the other physical copy: the second one turns the stale copy over, so
    /// that neither holds what the test left behind (particle-devices 1.5).
    static Result<Bytes> writeServer(StepContext& context, const OpContext& op)
    {
        const auto& layout = context.plan().platform.dct;
        const auto& shipping = *context.plan().shipping;
        Bytes slot = TRY(buildServerSlot(layout, shipping.serverKeyDer, shipping.address));
        auto* table = TRY(context.unit().table(op));
        const auto copies = static_cast<std::size_t>(layout.copyCount());
        for (std::size_t copy = 0; copy < copies; ++copy)
            TRY(writeSlot(context, *table, layout.serverKey.offset, slot, kShippingKeyEffect,
                          "F215", op.part(copy, copies)));
        return slot;
    }

    /// Of every other key that the unit is known to have had, by our record and by what lay on it.
    static Result<std::vector<Bytes>> formerModuli(StepContext& context)
    {
        auto moduli = context.facts().formerModuli;
        for (const auto& record : TRY(context.journal().keysOf(context.facts().id.deviceId))) {
            if (const auto key = RsaPublicKey::fromDer(record.publicDer))
                moduli.push_back(key->modulus());
        }
        return moduli;
    }

    /// Slot by slot to its full size, then the whole sector for what should be nowhere.
    static Result<> checkCopy(StepContext& context, const DctSnapshot& dct, int copy,
                              ByteView serverSlot, std::span<const Bytes> former)
    {
        const auto& layout = context.plan().platform.dct;
        const std::string where = concat("DCT copy ", copy + 1, ": ");
        const auto key = readAsUnit(dct.field(copy, layout.privateKey));
        const auto& digest = context.facts().keySlotDigest;
        const bool sameSlot =
            digest.empty() || sha256Hex(dct.field(copy, layout.privateKey)) == digest;
        if (!key.readable || !sameSlot || key.publicKey->toDer() != context.facts().publicKeyDer)
            return wrong(concat(where, "holds another device key"), "F303");
        const ByteView publicSlot = dct.field(copy, layout.publicKey);
        Bytes wanted = context.facts().publicKeyDer;
        wanted.resize(publicSlot.size(), std::byte{0xFF});
        if (!publicSlot.empty() && !equalBytes(publicSlot, wanted))
            return wrong(concat(where, "holds another public key, or something behind it"), "F303");
        TRY(searchOldKeys(dct, copy, key.publicKey->modulus(), former, layout.privateKey));
        const ByteView serverField = dct.field(copy, layout.serverKey);
        const bool sameServer = equalBytes(serverField, serverSlot);
        const ByteView privateSlot = dct.field(copy, layout.privateKey);
        const auto rest =
            unprovedParts(dct.sector(copy), {digest.empty() ? ByteView() : privateSlot, publicSlot,
                                             sameServer ? serverField : ByteView()});
        const Bytes testServer = context.handshakes().serverKey().modulus();
        if (std::ranges::any_of(rest, [&](ByteView part) { return holdsPartOf(part, testServer); }))
            return wrong(concat(where, "holds the test server key"), "F304");
        if (!sameServer)
            return wrong(concat(where, "server key or address is not the product's"), "F304");
        TRY(searchNetwork(context.station().network, rest, dct.wifi(copy), where));
        return checkFields(context, dct, copy, where);
    }

    static Result<> searchOldKeys(const DctSnapshot& dct, int copy, const Bytes& modulus,
                                  std::span<const Bytes> former, const DctField& privateKey)
    {
        const ByteView sector = dct.sector(copy);
        const auto privateAt = dct.field(copy, privateKey).data() - sector.data();
        const OwnKey own{.modulus = modulus, .privateAt = static_cast<std::size_t>(privateAt)};
        const auto found = foreignKeyIn(sector, own, former);
        if (!found)
            return {};
        return wrong(concat("DCT copy ", copy + 1,
                            ": holds numbers of another key, SHA-256 of what was found ",
                            shortFingerprint(*found)),
                     "F303");
    }

    static Result<> searchNetwork(const TestNetwork& network, std::span<const ByteView> unproved,
                                  ByteView wifiPart, const std::string& where)
    {
        const ByteView password = network.password.reveal();
        if (std::ranges::any_of(unproved, [&](ByteView part) { return contains(part, password); }))
            return wrong(concat(where, "holds the password of the test network"), "F302");
        if (holdsSsid(wifiPart, network.ssid))
            return wrong(
                concat(where, "its Wi-Fi part still names the test network \"", network.ssid, "\""),
                "F302");
        return {};
    }

    static Result<> checkFields(StepContext& context, const DctSnapshot& dct, int copy,
                                const std::string& where)
    {
        const auto& layout = context.plan().platform.dct;
        const auto& shipping = *context.plan().shipping;
        const auto unset = [&](bool demanded, DctField field, std::string_view what) -> Result<> {
            if (demanded && field.size != 0 && !blank(dct.field(copy, field)))
                return wrong(concat(where, what, " is set"), "F301");
            return {};
        };
        TRY(unset(shipping.claimCodeBlank, layout.claimCode, "claim code"));
        TRY(unset(shipping.staticAddressBlank, layout.staticAddress, "static IP address"));
        TRY(unset(shipping.nameServersBlank, layout.nameServers, "DNS override"));
        TRY(unset(shipping.updateFlagClear, layout.updateFlag, "OTA update flag"));
        TRY(unset(shipping.noPendingModules, layout.pendingModules, "pending module"));
        constexpr std::byte kClaimed{0x31}; // particle-devices 3.3
        if (shipping.unclaimed && layout.claimed.size != 0 &&
            dct.field(copy, layout.claimed)[0] == kClaimed)
            return wrong(concat(where, "the unit is claimed"), "F301");
        if (layout.transport.size != 0 && dct.field(copy, layout.transport)[0] != std::byte{0})
            return wrong(concat(where, "the cloud transport is not TCP"), "F304");
        return {};
    }

    static Result<> checkImages(StepContext& context, const OpContext& op)
    {
        auto* memory = TRY(context.unit().memory(0, op));
        const auto& modules = context.plan().shipping->modules;
        for (std::size_t i = 0; i < modules.size(); ++i) {
            const auto image = TRY(imageFor(context, modules[i].role, modules[i].version));
            const auto size = static_cast<std::uint32_t>(image->module.moduleSize);
            const Bytes found =
                TRY(memory->read(image->module.start, size, op.part(i, modules.size())));
            if (!equalBytes(found, ByteView(image->file).first(size)))
                return wrong(concat(modules[i].role, " ", modules[i].version,
                                    ": the unit holds other bytes"),
                             "F110");
        }
        return {};
    }

    /// A boot to listening mode proves that no credentials are left (particle-devices 7.1).
    static Result<> checkBoot(StepContext& context, const OpContext& op)
    {
        auto& unit = context.unit();
        const auto mode = TRY(unit.restart(op));
        if (name(mode) != context.plan().shipping->mode)
            return wrong(concat("the unit boots to ", name(mode), " instead of ",
                                context.plan().shipping->mode),
                         "F305");
        if (!unit.hasUsb())
            return {}; // the tester knows no module report; every image was read byte by byte
        TRY(checkReport(context, op));
        // What was read there ends listening mode only by a boot.
        if (mode != UnitMode::Listening)
            TRY(unit.reboot(op));
        return {};
    }

    static Result<> checkReport(StepContext& context, const OpContext& op)
    {
        auto& unit = context.unit();
        TRY(unit.bringTo(UnitMode::Listening, op));
        auto line = TRY(unit.openConsole(op));
        return checkModules(context, TRY(ListeningConsole(*line).modules(op)));
    }
};

} // namespace

Result<> checkModules(StepContext& context, const ModuleReport& report)
{
    for (const auto& shipped : context.plan().shipping->modules) {
        const auto image = TRY(imageFor(context, shipped.role, shipped.version));
        const auto& info = image->module;
        const auto* entry =
            report.find(reportLetter(info.function),
                        info.function == ModuleFunction::SystemPart ? info.index : -1);
        if (entry == nullptr || entry->version != info.version)
            return wrong(concat("module report: ", shipped.role, " is ",
                                entry == nullptr ? std::string("missing")
                                                 : concat("version ", entry->version),
                                " instead of ", info.version),
                         "F120");
        if (entry->passed != entry->checked)
            return wrong(concat("module report: ", shipped.role, " passed checks ", entry->passed,
                                " of ", entry->checked),
                         "F120");
    }
    return {};
}

MadeStep makeShippingStateStep(const StepSpec&)
{
    return std::make_unique<ShippingStateStep>();
}

} // namespace provost
