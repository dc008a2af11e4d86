#include "sim/unit_factory.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "sim/stock.h"
#include "sim/unit_rsa.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::string_view kCodeLetters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
constexpr std::uint16_t kDeviceIdSince = 13; ///< 0.5.0 keeps a copy of the id at 3618

} // namespace

Bytes UnitFactory::newDeviceId()
{
    // F2 parts: wafer position, then the lot number as text in bytes 5..11 (1.2).
    while (true) {
        Bytes id;
        ByteWriter out(id);
        const unsigned position = m_random();
        out.u8(position).u8(0).u8((position >> 8) & 0x3F).u8(0).u8((position >> 16) & 0x1F);
        out.u8(static_cast<unsigned>('A') + m_random() % 26);
        for (int digit = 0; digit < 6; ++digit)
            out.u8(static_cast<unsigned>('0') + m_random() % 10);
        if (m_used.insert(id).second)
            return id;
    }
}

Result<> UnitFactory::equip(FlashMemory& flash, const UnitSupply& supply, ByteView deviceId)
{
    DctStore store(flash);
    const StockRelease release = TRY(stockRelease(supply.stock));
    Bytes code;
    for (int i = 0; i < 6; ++i)
        ByteWriter(code).u8(static_cast<unsigned char>(kCodeLetters[m_random() % 32]));
    store.poke(dct::kDeviceCode, ByteView(code).first(release.system < 207 ? 4 : 6));
    if (release.system >= kDeviceIdSince)
        store.poke(dct::kDeviceId, deviceId);
    store.poke(dct::kFactoryVersion, viewOf(supply.stock));
    if (supply.key == KeySupply::SelfMade) {
        const SecretBytes key = TRY(generateOnDevice());
        store.write(dct::kPrivateKey, key.reveal(), dct::kUsableOld);
        store.write(dct::kPublicKey, pastedPublicKey(key.reveal()), dct::kUsableOld);
    } else if (supply.key == KeySupply::Burnt) {
        const SecretBytes key = TRY(generateOnDesktop());
        store.write(dct::kPrivateKey, key.reveal(), dct::kUsableOld);
    }
    return {};
}

Result<UnitFactory::Made> UnitFactory::make(const UnitSupply& supply,
                                            std::shared_ptr<VirtualPort> port)
{
    if (!m_stock.contains(supply.stock))
        m_stock.emplace(supply.stock, buildStock(TRY(stockRelease(supply.stock))));
    FlashMemory flash = m_stock.at(supply.stock);
    Bytes id = newDeviceId();
    if (supply.deviceId != "random") {
        id = TRY(fromHex(supply.deviceId));
        m_used.insert(id);
    }
    TRY(equip(flash, supply, id));
    if (supply.credentials != CredentialSupply::None) {
        const bool own = supply.credentials == CredentialSupply::Bench;
        const Bytes elsewhere = toBytes("another-plant-1");
        DctStore store(flash);
        storeCredentials(
            store,
            {.ssid = own ? m_network->ssid : m_network->ssid.substr(0, 24) + "-foreign",
             .password = own ? m_network->password.clone() : SecretBytes(ByteView(elsewhere)),
             .security = own ? m_network->security : 3});
    }
    if (!supply.memory.empty())
        TRY(flash.keepIn(supply.memory));
    InsertedUnit unit{.label = supply.label, .deviceId = toHex(id), .stock = supply.stock};
    if (supply.label == "match")
        unit.label = unit.deviceId;
    else if (supply.label == "mislabelled")
        unit.label = toHex(newDeviceId());
    Made made{.unit = std::move(unit),
              .board =
                  std::make_unique<VirtualPhoton>(VirtualPhoton::Setup{.flash = std::move(flash),
                                                                       .deviceId = std::move(id),
                                                                       .network = m_network,
                                                                       .pace = m_pace,
                                                                       .port = std::move(port)})};
    return made;
}

} // namespace provost::sim
