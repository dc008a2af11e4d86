// Worlds of the fault matrix: what speaks over a serial line.
#pragma once

#include "driver/fault_worlds_usb.h"
#include "driver/ymodem_models.h"
#include "protocol/listening_console.h"
#include "protocol/serial1_tester.h"
#include "protocol/ymodem_receiver.h"
#include "protocol/ymodem_sender.h"
#include "sim/serial_tester.h"
#include "sim/setup_console.h"

namespace provost::test {

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

class ConsoleWorld final : public FaultWorld {
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
    std::string damage() override
    {
        // What is installed at the restart is noted in the table (particle-devices 3.5).
        return m_board.changedOutside({kMatrixTables, kMatrixReceived});
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
    MatrixBoard m_board{};
    UnitPeer m_unit{*m_board.state};
    FaultyLine m_line{m_unit, plan, clock};
};

class WifiWorld final : public FaultWorld {
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
    std::string damage() override { return m_board.changedOutside({kMatrixTables}); }
    void replug() override { m_unit.restart(); }
    /// A question that nobody answers stays open: the dialogue knows no way out (7.3).
    bool restartedByFixture() override
    {
        replug();
        return true;
    }

private:
    MatrixBoard m_board{};
    UnitPeer m_unit{*m_board.state};
    FaultyLine m_line{m_unit, plan, clock};
};

/// The tester on Serial1.
class TesterPeer final : public SerialPeer {
public:
    explicit TesterPeer(sim::BoardState& board) : m_tester(board) {}
    void feed(ByteView bytes, Clock::Steady) override { m_tester.feed(bytes); }
    void tick(Clock::Steady) override {}
    std::optional<Clock::Steady> deadline() const override { return std::nullopt; }
    Bytes takeOutput() override { return m_tester.takeOutput(); }

private:
    sim::SerialTester m_tester;
};

class TesterWorld final : public FaultWorld {
public:
    Result<> session(const OpContext& op) override
    {
        Serial1Tester tester(m_line);
        TRY(tester.wake(op));
        if (TRY(tester.info(op)).deviceId != m_board.state->idText())
            return fail(Errc::Mismatch, Blame::Unit, "another device id");
        TRY(tester.lockBootloader(false, op));
        TRY(tester.lockBootloader(true, op));
        return tester.connect("shop", SecretBytes(), op);
    }
    std::string damage() override { return m_board.changedOutside({}); }
    void replug() override { m_tester = std::make_unique<TesterPeer>(*m_board.state); }

private:
    /// Whatever tester there is at the moment.
    class Current final : public SerialPeer {
    public:
        explicit Current(TesterWorld& world) : m_world(world) {}
        void feed(ByteView bytes, Clock::Steady now) override
        {
            m_world.m_tester->feed(bytes, now);
        }
        void tick(Clock::Steady) override {}
        std::optional<Clock::Steady> deadline() const override { return std::nullopt; }
        Bytes takeOutput() override { return m_world.m_tester->takeOutput(); }

    private:
        TesterWorld& m_world;
    };
    MatrixBoard m_board{"p1", "0.4.9"};
    std::unique_ptr<TesterPeer> m_tester = std::make_unique<TesterPeer>(*m_board.state);
    Current m_current{*this};
    FaultyLine m_line{m_current, plan, clock};
};

class SenderWorld final : public FaultWorld {
public:
    Result<> session(const OpContext& op) override
    {
        m_receiver.files.clear();
        YModemSender sender(m_line);
        TRY(sender.send("a.bin", matrixContent(2500), op));
        TRY(sender.send("b.bin", matrixContent(100), op));
        TRY(sender.finish(op));
        const std::vector<Bytes> wanted{matrixContent(2500), matrixContent(100)};
        if (m_receiver.files != wanted)
            return fail(Errc::Internal, Blame::Software, "success, and other files");
        return {};
    }
    void replug() override { m_receiver = {}; }

private:
    ModelReceiver m_receiver{};
    FaultyLine m_line{m_receiver, plan, clock};
};

/// One file comes in from a model of the other side.
template <class Sender, bool kStreaming>
class ReceivingWorld final : public FaultWorld {
public:
    Result<> session(const OpContext& op) override
    {
        YModemReceiver receiver(m_line, {.streaming = kStreaming});
        auto file = TRY(receiver.receive(op));
        if (!file) // the end of a batch whose last ACK was lost
            file = TRY(receiver.receive(op));
        if (!file || file->content != matrixContent(2500))
            return fail(Errc::Internal, Blame::Software, "success, and another file");
        if (TRY(receiver.receive(op)))
            return fail(Errc::Internal, Blame::Software, "a second file");
        return {};
    }
    void replug() override { m_sender = Sender(matrixContent(2500)); }

private:
    Sender m_sender{matrixContent(2500)};
    FaultyLine m_line{m_sender, plan, clock};
};

using ReceiverWorld = ReceivingWorld<ModelSender, false>;
using StreamReceiverWorld = ReceivingWorld<StreamSender, true>; ///< YModem-G in

/// YModem-G out: a receiver that acknowledges EOT only, and cancels at the first damage.
class StreamSenderWorld final : public FaultWorld {
public:
    Result<> session(const OpContext& op) override
    {
        m_receiver.files.clear();
        YModemSender sender(m_line);
        TRY(sender.send("a.bin", matrixContent(2500), op));
        if (!sender.streams())
            return fail(Errc::Protocol, Blame::Unit, "it was not asked for YModem-G");
        TRY(sender.send("b.bin", matrixContent(100), op));
        TRY(sender.finish(op));
        const std::vector<Bytes> wanted{matrixContent(2500), matrixContent(100)};
        if (m_receiver.files != wanted)
            return fail(Errc::Internal, Blame::Software, "success, and other files");
        return {};
    }
    void replug() override
    {
        m_receiver = StreamReceiver();
        static_cast<void>(m_line.discardInput()); // the port was closed and opened
    }
    /// In the middle of a file it knows no way back: the receiving program ends and is started
    /// anew.
    bool restartedByFixture() override
    {
        replug();
        return true;
    }

private:
    StreamReceiver m_receiver{};
    FaultyLine m_line{m_receiver, plan, clock};
};

} // namespace provost::test
