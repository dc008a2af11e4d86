#include "sim/unit_factory.h"

#include "core/text.h"
#include "sim/octets.h"
#include "sim/stock.h"
#include "sim/unit_rsa.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::string_view kCodeLetters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
constexpr std::uint16_t kDeviceIdSince = 13; ///< 0.5.0 keeps a copy of the id at 3618

BoardFaults boardFaults(const UnitSupply& supply)
{
    using Kind = FaultSpec::Kind;
    BoardFaults faults;
    for (const FaultSpec& fault : supply.faults) {
        if (fault.kind == Kind::BrownOut) {
            faults.brownOutErase = fault.number;
            faults.brownOutOf = fault.eraser;
        } else if (fault.kind == Kind::StuckBusy)
            faults.stuckWork = fault.number;
        else if (fault.kind == Kind::LyingPoll)
            faults.pollMs = fault.number;
        else if (fault.kind == Kind::LockedCredentials)
            faults.lockedCredentials = true;
        else if (fault.kind == Kind::DeafRadio)
            faults.deafRadio = true;
        else if (fault.region != nullptr) {
            faults.unplugIn = fault.region;
            faults.unplugPercent = fault.number;
        }
    }
    return faults;
}

/// Faults of transfers, counted from the unit's first one on.
void plan(VirtualPort& port, const UnitSupply& supply)
{
    using Kind = FaultSpec::Kind;
    for (const FaultSpec& fault : supply.faults) {
        if (fault.kind == Kind::Stall)
            port.failTransfer(fault.number, FaultKind::Stall, fault.pipe);
        else if (fault.kind == Kind::Timeout)
            port.failTransfer(fault.number, FaultKind::Timeout, fault.pipe);
        else if (fault.kind == Kind::Short)
            port.failTransfer(fault.number, FaultKind::Short, fault.pipe);
        else if (fault.kind == Kind::BitFlip)
            port.failTransfer(fault.number, FaultKind::BitFlip, fault.pipe);
        else if (fault.kind == Kind::Unplug && fault.region == nullptr)
            port.failTransfer(fault.number, FaultKind::Unplug, fault.pipe);
    }
}

} // namespace

Bytes UnitFactory::newDeviceId(const BoardProfile& board)
{
    constexpr std::string_view kHex = "0123456789abcdef";
    while (true) {
        std::string text(board.idPattern);
        for (char& digit : text)
            if (digit == '.')
                digit = kHex[m_random() % 16];
        // The lot number of F2 parts is text (1.2): a letter, then digits.
        if (board.dfu.code == BootloaderCode::F2)
            for (std::size_t at = 13; at < text.size(); at += 2)
                text[at] = kHex[m_random() % 10];
        const Bytes id = *fromHexText(text);
        if (m_used.insert(id).second)
            return id;
    }
}

Result<> UnitFactory::putKey(BoardMemory& memory, KeySupply key)
{
    const KeyFields& keys = memory.profile->keys;
    if (key == KeySupply::SelfMade && memory.profile->makesOwnKey) {
        const UnitSecret made = TRY(generateOnDevice());
        memory.putKey(keys.privateKey, made.reveal());
        memory.putKey(keys.publicKey, pastedPublicKey(made.reveal()));
    } else if (key != KeySupply::None) {
        const UnitSecret made = TRY(generateOnDesktop());
        memory.putKey(keys.privateKey, made.reveal());
    }
    return {};
}

Result<> UnitFactory::equip(BoardMemory& memory, const UnitSupply& supply, ByteView deviceId)
{
    TRY(putKey(memory, supply.key));
    if (memory.profile->dct == DctFormat::None)
        return {};
    DctStore store = memory.table();
    const StockRelease release = TRY(stockRelease(supply.platform, supply.stock));
    Bytes code;
    for (int i = 0; i < 6; ++i)
        Fields(code).u8(static_cast<unsigned char>(kCodeLetters[m_random() % 32]));
    store.poke(dct::kDeviceCode, ByteView(code).first(release.system < 207 ? 4 : 6));
    if (release.system >= kDeviceIdSince)
        store.poke(dct::kDeviceId, deviceId);
    store.poke(dct::kFactoryVersion, octetsOf(supply.stock));
    return {};
}

Result<UnitFactory::Made> UnitFactory::make(const UnitSupply& supply,
                                            std::shared_ptr<VirtualPort> port)
{
    const std::string stock = concat(supply.platform, " ", supply.stock);
    if (!m_stock.contains(stock))
        m_stock.emplace(stock, buildStock(TRY(stockRelease(supply.platform, supply.stock))));
    BoardMemory memory = m_stock.at(stock).clone();
    const BoardProfile& board = *memory.profile;
    Bytes id = newDeviceId(board);
    if (supply.deviceId != "random") {
        const auto wanted = fromHexText(supply.deviceId);
        if (!wanted)
            return fail(Errc::InvalidData, Blame::Operator,
                        concat("make a unit with device id \"", supply.deviceId,
                               "\": 24 hexadecimal digits are meant; correct the bench file"));
        id = *wanted;
        m_used.insert(id);
    }
    memory.usb = supply.usb;
    memory.serialTester = supply.serialTester;
    memory.application = supply.application;
    memory.faults = boardFaults(supply);
    memory.faults.constantSerial = m_equalSerials;
    plan(*port, supply);
    TRY(equip(memory, supply, id));
    if (supply.credentials != CredentialSupply::None) {
        const bool own = supply.credentials == CredentialSupply::Bench;
        const Bytes elsewhere = copyOf("another-plant-1");
        memory.storeCredentials(
            {.ssid = own ? m_network->ssid : m_network->ssid.substr(0, 24) + "-foreign",
             .password = own ? m_network->password.clone() : UnitSecret(ByteView(elsewhere)),
             .security = own ? m_network->security : 3});
    }
    if (!supply.memory.empty())
        TRY(memory.flash.keepIn(supply.memory));
    InsertedUnit unit{.label = supply.label,
                      .deviceId = hexText(id),
                      .stock = supply.stock,
                      .platform = supply.platform};
    if (supply.label == "match")
        unit.label = unit.deviceId;
    else if (supply.label == "mislabelled")
        unit.label = hexText(newDeviceId(board));
    Made made{.unit = std::move(unit),
              .board =
                  std::make_unique<VirtualBoard>(VirtualBoard::Setup{.memory = std::move(memory),
                                                                     .deviceId = std::move(id),
                                                                     .network = m_network,
                                                                     .pace = m_pace,
                                                                     .port = std::move(port)})};
    return made;
}

} // namespace provost::sim
