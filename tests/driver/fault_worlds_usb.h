// Worlds of the fault matrix: boards in DFU mode and boards that run.
#pragma once

#include "crypto/rsa_key.h"
#include "device/dfu_target.h"
#include "driver/fault_matrix.h"
#include "protocol/unit_settings.h"
#include "sim/cdc_function.h"
#include "sim/dfu_function.h"
#include "sim/stock.h"
#include "support/photon_facts.h"

#include <map>

namespace provost::test {

/// A board without a thread of its own.
struct MatrixBoard {
    using Range = std::pair<std::uint32_t, std::uint32_t>; ///< addresses, the end exclusive

    explicit MatrixBoard(const char* name = "photon", const char* release = "1.5.2",
                         const char* id = "2b0014000447373030323331")
        : state(std::make_shared<sim::BoardState>(
              stockOf(name, release), *fromHex(id), openNetwork(), sim::Pace{},
              std::make_shared<sim::VirtualPort>(UsbPortPath{.controller = "sim:m"})))
    {
        const auto system = state->system();
        state->systemVersion = system ? system->version : 0;
        state->listening = true;
        before = bytes(state->flash);
        if (state->external)
            externalBefore = bytes(*state->external);
    }
    /// Empty, or where something changed outside of these ranges, which are in order.
    std::string changedOutside(const std::vector<Range>& allowed) const
    {
        auto changed = difference(before, state->flash, allowed);
        if (changed.empty() && state->external)
            changed = difference(externalBefore, *state->external, {});
        return changed.empty() ? violation() : changed;
    }
    /// The same of the external flash; nothing in the internal one may change.
    std::string changedOutsideExternally(const std::vector<Range>& allowed) const
    {
        auto changed = difference(before, state->flash, {});
        if (changed.empty())
            changed = difference(externalBefore, *state->external, allowed);
        return changed.empty() ? violation() : changed;
    }

    std::shared_ptr<sim::BoardState> state;
    Bytes before{};
    Bytes externalBefore{};

private:
    static sim::BoardMemory stockOf(const std::string& name, const std::string& release)
    {
        static std::map<std::string, sim::BoardMemory> known;
        auto found = known.find(name + release);
        if (found == known.end())
            found = known
                        .emplace(name + release,
                                 sim::buildStock(sim::stockRelease(name, release).value()))
                        .first;
        return found->second.clone();
    }
    static std::shared_ptr<sim::BenchNetwork> openNetwork()
    {
        auto network = std::make_shared<sim::BenchNetwork>();
        network->ssid = "shop";
        network->security = 0;
        return network;
    }
    static Bytes bytes(const sim::FlashMemory& flash)
    {
        return toBytes(flash.view(flash.geometry().base, flash.geometry().size()));
    }
    static std::string difference(const Bytes& was, const sim::FlashMemory& flash,
                                  const std::vector<Range>& allowed)
    {
        const std::uint32_t base = flash.geometry().base;
        const auto end = static_cast<std::uint32_t>(base + was.size());
        std::uint32_t from = base;
        const auto same = [&](std::uint32_t begin, std::uint32_t until) {
            return equalBytes(ByteView(was).subspan(begin - base, until - begin),
                              flash.view(begin, until - begin));
        };
        for (const auto& [begin, until] : allowed) {
            if (!same(from, begin))
                return concat("written between ", hex32(from), " and ", hex32(begin));
            from = until;
        }
        return same(from, end) ? std::string{} : concat("written behind ", hex32(from));
    }
    std::string violation() const
    {
        return state->violations.empty() ? std::string{} : state->violations.front();
    }
};

inline constexpr MatrixBoard::Range kMatrixTables{0x08004000, 0x0800C000};
inline constexpr MatrixBoard::Range kMatrixReceived{0x080C0000, 0x08100000}; // particle-devices 2.1

/// What a DFU session writes, and where it may.
struct DfuWork {
    const char* board = "photon";
    const char* release = "1.5.2";
    const char* id = "2b0014000447373030323331";
    std::uint8_t alternate = 0;
    std::uint32_t address = photon::kUserPart;
    std::size_t size = 9000;
    MatrixBoard::Range allowed{photon::kUserPart, 0x080C0000}; ///< whole sectors
    bool external = false; ///< `allowed` lies in the external flash
    bool table = false;    ///< written as the table is: without erase, as a secret
    std::uint32_t entry = photon::kUserPart;
};

class DfuWorld final : public FaultWorld {
public:
    explicit DfuWorld(const DfuWork& work)
        : m_work(work), m_board(work.board, work.release, work.id)
    {
    }
    Result<> session(const OpContext& op) override
    {
        if (!m_function || m_board.state->restart) // it has left, and comes back
            replug();
        auto dfu =
            TRY(DfuDevice::open(std::make_unique<FunctionDevice>(*m_function, plan, clock), op));
        TRY(dfu.select(m_work.alternate, op));
        const Bytes content = matrixContent(m_work.size);
        if (m_work.table) {
            TRY(dfu.downloadSecret(m_work.address, SecretBytes(content), op));
            const auto back =
                TRY(dfu.uploadSecret(m_work.address, static_cast<std::uint32_t>(m_work.size), op));
            if (!equalBytes(back.reveal(), content))
                return fail(Errc::Mismatch, Blame::Unit, "the table holds something else");
        } else {
            DfuTarget target(dfu);
            TRY(programAndVerify(target, {.address = m_work.address, .bytes = content}, op));
            auto& flash = m_work.external ? *m_board.state->external : m_board.state->flash;
            if (!equalBytes(flash.view(m_work.address, m_work.size), content))
                return fail(Errc::Internal, Blame::Software, "success, and other bytes there");
        }
        TRY(dfu.select(0, op));
        if (TRY(dfu.upload(m_work.entry, 612, op)).size() != 612)
            return fail(Errc::Internal, Blame::Software, "another length");
        TRY(dfu.leave(m_work.entry, op));
        // Its return as firmware is the caller's proof that it left.
        if (!m_board.state->restart)
            return fail(Errc::Timeout, Blame::Unit, "it did not leave");
        return {};
    }
    std::string damage() override
    {
        return m_work.external ? m_board.changedOutsideExternally({m_work.allowed})
                               : m_board.changedOutside({m_work.allowed});
    }
    void replug() override
    {
        m_board.state->restart.reset();
        m_function = std::make_unique<sim::DfuFunction>(m_board.state);
    }

private:
    const DfuWork m_work;
    MatrixBoard m_board;
    std::unique_ptr<sim::DfuFunction> m_function{};
};

class ControlWorld final : public FaultWorld {
public:
    ControlWorld() { replug(); }
    Result<> session(const OpContext& op) override
    {
        FunctionDevice device(*m_function, plan, clock);
        ControlRequests requests(device);
        if (TRY(requests.deviceId(op)) != m_board.state->idText())
            return fail(Errc::Mismatch, Blame::Unit, "request 20 and the serial number differ");
        TRY(requests.systemVersion(op));
        TRY(requests.clearWifiCredentials(op));
        TRY(requests.queued(200, claimCode(), op));                          // a payload
        TRY(requests.queued(221, Bytes{std::byte{0x08}, std::byte{1}}, op)); // and a reply
        TRY(requests.startListening(op));
        return requests.reset(op);
    }
    std::string damage() override { return m_board.changedOutside({kMatrixTables}); }
    void replug() override { m_function = std::make_unique<sim::CdcFunction>(m_board.state); }

private:
    static Bytes claimCode()
    {
        Bytes payload;
        ByteWriter(payload).u8(0x0A).u8(63).text(std::string(63, 'x'));
        return payload;
    }
    MatrixBoard m_board{};
    std::unique_ptr<sim::CdcFunction> m_function{};
};

/// Keys, server, claim and Wi-Fi by queued requests.
class SettingsWorld final : public FaultWorld {
public:
    SettingsWorld() { replug(); }
    Result<> session(const OpContext& op) override
    {
        FunctionDevice device(*m_function, plan, clock);
        UnitSettings settings(device);
        if (TRY(settings.deviceId(op)) != m_board.state->idText())
            return fail(Errc::Mismatch, Blame::Unit, "another device id");
        if (TRY(settings.modules(op)).platform != 6)
            return fail(Errc::Mismatch, Blame::Unit, "another platform");
        TRY(settings.setWifi("plant", SecretBytes(viewOf("line-four")), WifiSecurity::Wpa2, op));
        TRY(settings.setClaimCode(std::string(63, 'x'), op));
        TRY(settings.claimed(op));
        TRY(settings.setDeviceKey(deviceKey(), op));
        const auto key = TRY(settings.deviceKey(op));
        if (!equalBytes(key.reveal().first(deviceKey().size()), deviceKey().reveal()))
            return fail(Errc::Mismatch, Blame::Unit, "another key came back");
        const ServerEndpoint server{.host = "station.example", .port = 5683};
        TRY(settings.setServer(serverKey(), server, op));
        TRY(settings.serverKey(op));
        if (TRY(settings.server(op)) != server)
            return fail(Errc::Mismatch, Blame::Unit, "another server came back");
        return {};
    }
    std::string damage() override { return m_board.changedOutside({kMatrixTables}); }
    void replug() override
    {
        m_board.state->restart.reset();
        m_function = std::make_unique<sim::CdcFunction>(m_board.state);
    }

private:
    static const SecretBytes& deviceKey()
    {
        static const SecretBytes kKey = RsaPrivateKey::generate(1024).value().toPkcs1Der();
        return kKey;
    }
    static const Bytes& serverKey()
    {
        static const Bytes kKey(294, std::byte{0x42});
        return kKey;
    }
    MatrixBoard m_board{};
    std::unique_ptr<sim::CdcFunction> m_function{};
};

} // namespace provost::test
