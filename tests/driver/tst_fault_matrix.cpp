// A failure at every transfer of a complete session: DFU, YModem both ways, the listening console,
// control requests. Each ends in a defined error or in what was wanted, before its deadline, with
// nothing written elsewhere, and the next session on the same port works.
#include "device/dfu_target.h"
#include "driver/ymodem_models.h"
#include "protocol/control_requests.h"
#include "protocol/listening_console.h"
#include "protocol/ymodem_receiver.h"
#include "protocol/ymodem_sender.h"
#include "sim/cdc_function.h"
#include "sim/dfu_function.h"
#include "sim/setup_console.h"
#include "sim/stock.h"
#include "support/photon_facts.h"
#include "support/test_program.h"

#include <QTest>

#include <cstdio>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kFlash = 0x08000000;
constexpr std::uint32_t kFlashBytes = 0x100000;
constexpr std::uint32_t kUserEnd = 0x080C0000; // one sector of 128 KiB
constexpr std::uint32_t kTables = 0x08004000;
constexpr std::uint32_t kTablesEnd = 0x0800C000;
constexpr std::uint32_t kReceived = 0x080C0000; // particle-devices 2.1
constexpr std::uint32_t kReceivedEnd = 0x08100000;
constexpr auto kSessionLimit = 600s;
constexpr auto kGoodbye = 2s; // what a driver may add to say goodbye

Bytes content(std::size_t size)
{
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>((i * 37 + i / 249 + 5) & 0xFF);
    return bytes;
}

/// One case: a fresh world in which one session goes wrong and the next one must not.
class World {
public:
    virtual ~World() = default;
    /// The complete session; what it achieved is checked in it.
    virtual Result<> session(const OpContext& op) = 0;
    /// Empty, or what was harmed beyond what the session may touch.
    virtual std::string damage() const { return {}; }
    /// Plugged in again, or a fixture's last resort. True: the port needed it.
    virtual void replug() = 0;
    /// Where it has to be restarted by other means before the next session.
    virtual bool restartedByFixture() { return false; }

    OpContext op() const
    {
        return {.clock = clock,
                .stop = plan.stop.get_token(),
                .deadline = {clock.now() + kSessionLimit}};
    }
    VirtualClock clock;
    FaultPlan plan;
};

using MakeWorld = std::function<std::unique_ptr<World>()>;

struct Tally {
    int transfers = 0;
    int cases = 0;
    int survived = 0; ///< the session came through all the same
    int restarts = 0; ///< the unit had to be restarted before the next session
    std::string failure{};
};

std::string judge(World& world, Harm harm, Tally& tally)
{
    const auto began = world.clock.now();
    const auto result = world.session(world.op());
    if (!world.plan.struck)
        return "the transfer was never made";
    if (world.clock.now() - began > kSessionLimit + kGoodbye)
        return "it went on behind the deadline";
    if (!result && (result.error().code == Errc::Internal || result.error().message.empty()))
        return concat("no defined error: ", describe(result.error()));
    if (harm == Harm::Cancel && (result || result.error().code != Errc::Cancelled))
        return concat("not cancelled: ", result ? "success" : describe(result.error()));
    if (!result && harm != Harm::Cancel && result.error().code == Errc::Cancelled)
        return "cancelled by nobody";
    if (const auto harmed = world.damage(); !harmed.empty())
        return harmed;
    tally.survived += result ? 1 : 0;
    if (world.plan.gone)
        world.replug();
    world.plan = {};
    auto next = world.session(world.op());
    if (!next && world.restartedByFixture()) {
        ++tally.restarts;
        next = world.session(world.op());
    }
    if (!next)
        return concat("the next session failed: ", describe(next.error()),
                      " (behind: ", result ? "success" : describe(result.error()), ")");
    return world.damage();
}

Tally runMatrix(const MakeWorld& make)
{
    Tally tally;
    const auto clean = make();
    if (const auto result = clean->session(clean->op()); !result) {
        tally.failure = concat("without a fault: ", describe(result.error()));
        return tally;
    }
    const auto seen = clean->plan.seen;
    tally.transfers = static_cast<int>(seen.size());
    for (int at = 0; at < tally.transfers; ++at) {
        for (const Harm harm : kHarms) {
            const auto flips = seen[static_cast<std::size_t>(at)].flips();
            const std::size_t variants = harm == Harm::BitFlip ? flips.size() : 1;
            for (std::size_t variant = 0; variant < variants; ++variant) {
                const auto world = make();
                world->plan.at = at;
                world->plan.harm = harm;
                world->plan.flip = harm == Harm::BitFlip ? flips[variant] : 0;
                ++tally.cases;
                const auto wrong = judge(*world, harm, tally);
                if (!wrong.empty() && tally.failure.empty())
                    tally.failure =
                        concat("transfer ", at, " of ", tally.transfers, ", ",
                               kHarmNames.at(static_cast<std::size_t>(harm)), " of byte ",
                               world->plan.flip, ", variant ", variant, ": ", wrong);
            }
        }
    }
    return tally;
}

/// A board without a thread of its own.
struct Board {
    Board()
        : state(std::make_shared<sim::BoardState>(
              stockMemory().clone(), *fromHex("2b0014000447373030323331"),
              std::make_shared<sim::BenchNetwork>(), sim::Pace{},
              std::make_shared<sim::VirtualPort>(UsbPortPath{.controller = "sim:m"})))
    {
        state->systemVersion = 1512; // that of the parts of 1.5.2
        state->listening = true;
        before = toBytes(state->flash.view(kFlash, kFlashBytes));
    }
    static const sim::BoardMemory& stockMemory()
    {
        static const auto kStock = sim::buildStock(sim::stockRelease("photon", "1.5.2").value());
        return kStock;
    }
    using Range = std::pair<std::uint32_t, std::uint32_t>; ///< addresses, the end exclusive
    /// Empty, or where something changed outside of these ranges, which are in order.
    std::string changedOutside(const std::vector<Range>& allowed) const
    {
        const ByteView now = state->flash.view(kFlash, kFlashBytes);
        std::uint32_t from = kFlash;
        std::vector<Range> forbidden;
        for (const auto& [begin, end] : allowed) {
            forbidden.emplace_back(from, begin);
            from = end;
        }
        forbidden.emplace_back(from, kFlash + kFlashBytes);
        for (const auto& [begin, end] : forbidden) {
            const ByteView was = ByteView(before).subspan(begin - kFlash, end - begin);
            const ByteView is = now.subspan(begin - kFlash, end - begin);
            if (!equalBytes(was, is))
                return concat("written between ", hex32(begin), " and ", hex32(end));
        }
        return state->violations.empty() ? std::string{} : state->violations.front();
    }

    std::shared_ptr<sim::BoardState> state;
    Bytes before{};
};

class DfuWorld final : public World {
public:
    Result<> session(const OpContext& op) override
    {
        if (!m_function || m_board.state->restart) // it has left, and comes back
            replug();
        auto dfu =
            TRY(DfuDevice::open(std::make_unique<FunctionDevice>(*m_function, plan, clock), op));
        DfuTarget target(dfu);
        const MemoryBlock block{.address = photon::kUserPart, .bytes = content(9000)};
        TRY(programAndVerify(target, block, op));
        if (!equalBytes(m_board.state->flash.view(photon::kUserPart, 9000), block.bytes))
            return fail(Errc::Internal, Blame::Software, "success, and other bytes in the flash");
        TRY(dfu.select(1, op));
        if (TRY(dfu.upload(0x22, 612, op)).size() != 612)
            return fail(Errc::Internal, Blame::Software, "another length");
        TRY(dfu.leave(photon::kUserPart, op));
        // Its return as firmware is the caller's proof that it left.
        if (!m_board.state->restart)
            return fail(Errc::Timeout, Blame::Unit, "it did not leave");
        return {};
    }
    std::string damage() const override
    {
        return m_board.changedOutside({{photon::kUserPart, kUserEnd}});
    }
    void replug() override
    {
        m_board.state->restart.reset();
        m_function = std::make_unique<sim::DfuFunction>(m_board.state);
    }

private:
    Board m_board{};
    std::unique_ptr<sim::DfuFunction> m_function{};
};

class ControlWorld final : public World {
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
    std::string damage() const override { return m_board.changedOutside({{kTables, kTablesEnd}}); }
    void replug() override { m_function = std::make_unique<sim::CdcFunction>(m_board.state); }

private:
    static Bytes claimCode()
    {
        Bytes payload;
        ByteWriter(payload).u8(0x0A).u8(63).text(std::string(63, 'x'));
        return payload;
    }
    Board m_board{};
    std::unique_ptr<sim::CdcFunction> m_function{};
};

/// The console of a unit; a restart that it asks for happens at once.
class UnitPeer final : public SerialPeer {
public:
    explicit UnitPeer(sim::BoardState& board) : m_board(board) { restart(); }
    void feed(ByteView bytes, Clock::Steady now) override { m_console->feed(bytes, now); }
    void tick(Clock::Steady now) override { m_console->tick(now); }
    std::optional<Clock::Steady> deadline() const override { return m_console->deadline(); }
    Bytes takeOutput() override
    {
        Bytes output = m_console->takeOutput();
        if (m_board.restart)
            restart();
        return output;
    }
    void restart()
    {
        m_board.restart.reset();
        m_board.listening = true;
        m_console = std::make_unique<sim::SetupConsole>(m_board);
    }

private:
    sim::BoardState& m_board;
    std::unique_ptr<sim::SetupConsole> m_console{};
};

class ConsoleWorld final : public World {
public:
    Result<> session(const OpContext& op) override
    {
        ListeningConsole console(m_line);
        if (TRY(console.deviceId(op)) != m_board.state->idText())
            return fail(Errc::Mismatch, Blame::Unit, "another device id");
        TRY(console.systemVersion(op));
        TRY(console.macAddress(op));
        TRY(console.modules(op));
        return console.sendModule("user.bin", module(), op);
    }
    std::string damage() const override
    {
        // What is installed at the restart is noted in the table (particle-devices 3.5).
        return m_board.changedOutside({{kTables, kTablesEnd}, {kReceived, kReceivedEnd}});
    }
    void replug() override { m_unit.restart(); }

private:
    static const Bytes& module()
    {
        static const Bytes kModule = sim::buildModule({.start = photon::kUserPart,
                                                       .length = 3000,
                                                       .version = 9,
                                                       .function = sim::ModuleFunction::UserPart,
                                                       .index = 1});
        return kModule;
    }
    Board m_board{};
    UnitPeer m_unit{*m_board.state};
    FaultyLine m_line{m_unit, plan, clock};
};

class WifiWorld final : public World {
public:
    Result<> session(const OpContext& op) override
    {
        ListeningConsole console(m_line);
        TRY(console.deviceId(op));
        const SecretBytes password(viewOf("line-four"));
        const auto set = console.setWifi("plant", password, WifiSecurity::Wpa2, op);
        m_board.state->listening = true; // its button is held down, as it were
        return set;
    }
    std::string damage() const override { return m_board.changedOutside({{kTables, kTablesEnd}}); }
    void replug() override { m_unit.restart(); }
    /// A question that nobody answers stays open: the dialogue knows no way out (7.3).
    bool restartedByFixture() override
    {
        replug();
        return true;
    }

private:
    Board m_board{};
    UnitPeer m_unit{*m_board.state};
    FaultyLine m_line{m_unit, plan, clock};
};

class SenderWorld final : public World {
public:
    Result<> session(const OpContext& op) override
    {
        m_receiver.files.clear();
        YModemSender sender(m_line);
        TRY(sender.send("a.bin", content(2500), op));
        TRY(sender.send("b.bin", content(100), op));
        TRY(sender.finish(op));
        const std::vector<Bytes> wanted{content(2500), content(100)};
        if (m_receiver.files != wanted)
            return fail(Errc::Internal, Blame::Software, "success, and other files");
        return {};
    }
    void replug() override { m_receiver = {}; }

private:
    ModelReceiver m_receiver{};
    FaultyLine m_line{m_receiver, plan, clock};
};

class ReceiverWorld final : public World {
public:
    Result<> session(const OpContext& op) override
    {
        YModemReceiver receiver(m_line);
        auto file = TRY(receiver.receive(op));
        if (!file) // the end of a batch whose last ACK was lost
            file = TRY(receiver.receive(op));
        if (!file || file->content != content(2500))
            return fail(Errc::Internal, Blame::Software, "success, and another file");
        if (TRY(receiver.receive(op)))
            return fail(Errc::Internal, Blame::Software, "a second file");
        return {};
    }
    void replug() override { m_sender = ModelSender(content(2500)); }

private:
    ModelSender m_sender{content(2500)};
    FaultyLine m_line{m_sender, plan, clock};
};

class TstFaultMatrix : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void everyTransfer_data();
    void everyTransfer();
    void cleanupTestCase();

private:
    int m_cases = 0;
};

template <class T>
MakeWorld maker()
{
    return [] { return std::make_unique<T>(); };
}

void TstFaultMatrix::everyTransfer_data()
{
    QTest::addColumn<int>("kind");
    int kind = 0;
    for (const char* name : {"DFU", "control requests", "listening console and module transfer",
                             "Wi-Fi dialogue", "YModem sender", "YModem receiver"})
        QTest::newRow(name) << kind++;
}

void TstFaultMatrix::everyTransfer()
{
    QFETCH(const int, kind);
    const std::array<MakeWorld, 6> makers{maker<DfuWorld>(),     maker<ControlWorld>(),
                                          maker<ConsoleWorld>(), maker<WifiWorld>(),
                                          maker<SenderWorld>(),  maker<ReceiverWorld>()};
    const Tally tally = runMatrix(makers.at(static_cast<std::size_t>(kind)));
    m_cases += tally.cases;
    std::printf("%s: %d cases at %d transfers, %d came through, %d units restarted\n",
                QTest::currentDataTag(), tally.cases, tally.transfers, tally.survived,
                tally.restarts);
    QVERIFY2(tally.failure.empty(), tally.failure.c_str());
    QVERIFY(tally.transfers > 10);
}

void TstFaultMatrix::cleanupTestCase()
{
    std::printf("%d cases in all\n", m_cases);
}

} // namespace

PROVOST_TEST("fault_matrix", TstFaultMatrix)
#include "tst_fault_matrix.moc"
