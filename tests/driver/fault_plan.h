// One transfer of a session goes wrong: USB devices and serial lines on virtual time that count
// their transfers and let the one that the plan names fail.
#pragma once

#include "core/byte_io.h"
#include "core/text.h"
#include "sim/virtual_usb.h"
#include "transport/serial.h"

#include <array>
#include <deque>
#include <functional>
#include <optional>

namespace provost::test {

enum class Harm : std::uint8_t { Cancel, Timeout, Stall, Unplug, Short, BitFlip };
inline constexpr std::array kHarms{Harm::Cancel, Harm::Timeout, Harm::Stall,
                                   Harm::Unplug, Harm::Short,   Harm::BitFlip};
inline constexpr std::array kHarmNames{"cancel", "time-out", "stall", "unplug", "short", "flip"};

/// What a transfer was, as a run without faults sees it.
struct SeenTransfer {
    bool isIn = false;
    std::size_t bytes = 0;
    bool isCommand = false;    ///< the first bytes say what to do
    std::size_t codeBytes = 1; ///< so many of them

    /// Places where one bit may turn: every byte of a short answer, which is status and lengths;
    /// the code of a command; two of anything longer.
    ///
    /// Not the address in a command: packets carry their own CRC, and a host cannot know that a
    /// unit understood another address than was sent.
    std::vector<std::size_t> flips() const
    {
        std::vector<std::size_t> places;
        if (bytes == 0)
            return places;
        if (isCommand) {
            for (std::size_t i = 0; i < codeBytes && i < bytes; ++i)
                places.push_back(i);
            return places;
        }
        if (isIn && bytes <= 6) {
            for (std::size_t i = 0; i < bytes; ++i)
                places.push_back(i);
            return places;
        }
        return {bytes / 2, bytes - 1};
    }
};

struct FaultPlan {
    int at = -1; ///< counted from 0; -1: nothing goes wrong
    Harm harm = Harm::Cancel;
    std::size_t flip = 0; ///< byte

    std::vector<SeenTransfer> seen{};
    bool struck = false;
    bool gone = false; ///< unplugged
    std::stop_source stop{};

    /// True: this is the one.
    bool count(SeenTransfer transfer)
    {
        const bool strikes = static_cast<int>(seen.size()) == at;
        seen.push_back(transfer);
        struck = struck || strikes;
        return strikes;
    }
    /// The error that replaces the transfer; nothing where it is carried out all the same.
    std::optional<Unexpected> error(const Clock& clock, const OpContext& op)
    {
        switch (harm) {
        case Harm::Cancel:
            stop.request_stop();
            return fail(Errc::Cancelled, Blame::Operator, "stopped");
        case Harm::Timeout:
            static_cast<void>(clock.sleepUntil(op.deadline.at, {}));
            return fail(Errc::Timeout, Blame::Fixture, "no answer");
        case Harm::Stall:
            return fail(Errc::Protocol, Blame::Unit, "stalled");
        case Harm::Unplug:
            gone = true;
            return fail(Errc::Disconnected, Blame::Fixture, "gone");
        default:
            return std::nullopt;
        }
    }
};

/// A virtual device as a host on virtual time meets it.
class FunctionDevice final : public UsbDevice {
public:
    FunctionDevice(sim::VirtualUsbFunction& function, FaultPlan& plan, const VirtualClock& clock)
        : m_function(function), m_plan(plan), m_clock(clock),
          m_info{.id = sim::idOf(function),
                 .serial = sim::textOfString(function.stringDescriptor(3))}
    {
    }
    const UsbDeviceInfo& info() const override { return m_info; }
    Result<Bytes> descriptor(std::uint8_t type, std::uint8_t index) override
    {
        return carry({.requestType = 0x80,
                      .request = 6,
                      .value = static_cast<std::uint16_t>((type << 8) | index),
                      .length = 0xFFFF},
                     {}, ownOp());
    }
    Result<> claim(std::uint8_t) override { return {}; }
    Result<> selectAlternate(std::uint8_t number, std::uint8_t alternate) override
    {
        TRY(carry({.requestType = 1, .request = 11, .value = alternate, .index = number}, {},
                  ownOp()));
        return {};
    }
    Result<std::size_t> controlIn(ControlSetup setup, ByteSpan to, const OpContext& op) override
    {
        const Bytes data = TRY(carry(wire(setup, to.size()), {}, op));
        std::copy(data.begin(), data.end(), to.begin());
        return data.size();
    }
    Result<> controlOut(ControlSetup setup, ByteView data, const OpContext& op) override
    {
        TRY(carry(wire(setup, data.size()), data, op));
        return {};
    }
    Result<std::size_t> bulkIn(std::uint8_t endpoint, ByteSpan to, const OpContext& op) override
    {
        TRY(enter(op));
        const std::size_t number = m_plan.seen.size();
        const bool strikes = m_plan.count({.isIn = true});
        if (strikes)
            if (auto error = m_plan.error(m_clock, op))
                return *error;
        Bytes data = TRY(exchange([&] { return m_function.bulkIn(endpoint, to.size()); }, op));
        m_plan.seen[number].bytes = data.size();
        if (strikes && m_plan.harm == Harm::Short)
            data.resize(data.size() / 2);
        if (strikes && m_plan.harm == Harm::BitFlip)
            turn(data, m_plan.flip);
        std::copy(data.begin(), data.end(), to.begin());
        return data.size();
    }
    Result<> bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op) override
    {
        constexpr std::size_t kCommandBytes = 16; // of an ST-Link
        TRY(enter(op));
        const bool strikes = m_plan.count(
            {.bytes = data.size(), .isCommand = data.size() == kCommandBytes, .codeBytes = 2});
        if (strikes) {
            if (auto error = m_plan.error(m_clock, op))
                return *error;
            if (m_plan.harm == Harm::Short)
                return fail(Errc::Io, Blame::Fixture, "bus error in the data stage");
        }
        Bytes sent = toBytes(data);
        if (strikes && m_plan.harm == Harm::BitFlip)
            turn(sent, m_plan.flip);
        TRY(exchange([&] { return m_function.bulkOut(endpoint, sent); }, op));
        return {};
    }
    Result<> reset() override
    {
        if (m_plan.gone)
            return fail(Errc::Disconnected, Blame::Fixture, "gone");
        m_function.busReset();
        return {};
    }

private:
    OpContext ownOp() const
    {
        return {.clock = m_clock, .deadline = {m_clock.now() + std::chrono::seconds(5)}};
    }
    static sim::UsbSetup wire(const ControlSetup& setup, std::size_t length)
    {
        return {.requestType = setup.requestType,
                .request = setup.request,
                .value = setup.value,
                .index = setup.index,
                .length = static_cast<std::uint16_t>(length)};
    }
    static void turn(Bytes& bytes, std::size_t at)
    {
        if (at < bytes.size())
            bytes[at] ^= std::byte{1};
    }

    Result<> enter(const OpContext& op) const
    {
        TRY(op.checkpoint());
        if (m_plan.gone)
            return fail(Errc::Disconnected, Blame::Fixture, "gone");
        return {};
    }
    /// An instant device has its answer ready, or never will.
    Result<Bytes> exchange(const std::function<sim::UsbReply()>& transfer, const OpContext& op)
    {
        sim::UsbReply reply = transfer();
        if (reply.kind == sim::UsbReply::Kind::Stall)
            return fail(Errc::Protocol, Blame::Unit, "stalled by the device");
        if (reply.kind == sim::UsbReply::Kind::Data)
            return std::move(reply.data);
        TRY(m_clock.sleepUntil(op.deadline.at, op.stop));
        return fail(Errc::Timeout, Blame::Fixture, "no answer");
    }

    Result<Bytes> carry(const sim::UsbSetup& setup, ByteView data, const OpContext& op)
    {
        TRY(enter(op));
        // DFU 1.1: DNLOAD of block 0 with data is a command of DfuSe.
        const bool isCommand =
            setup.requestType == 0x21 && setup.request == 1 && setup.value == 0 && !data.empty();
        const std::size_t number = m_plan.seen.size();
        const bool strikes =
            m_plan.count({.isIn = setup.isIn(), .bytes = data.size(), .isCommand = isCommand});
        if (strikes) {
            if (auto error = m_plan.error(m_clock, op))
                return *error;
            if (m_plan.harm == Harm::Short && !setup.isIn())
                return fail(Errc::Io, Blame::Fixture, "bus error in the data stage");
        }
        Bytes sent = toBytes(data);
        if (strikes && m_plan.harm == Harm::BitFlip && !setup.isIn())
            turn(sent, m_plan.flip);
        sim::UsbReply reply = m_function.control(setup, sent);
        if (reply.kind == sim::UsbReply::Kind::Stall)
            return fail(Errc::Protocol, Blame::Unit, "stalled by the device");
        if (reply.kind == sim::UsbReply::Kind::Nak)
            return fail(Errc::Internal, Blame::Software, "an instant device is never busy");
        if (setup.isIn())
            m_plan.seen[number].bytes = reply.data.size();
        if (strikes && setup.isIn() && m_plan.harm == Harm::Short)
            reply.data.resize(reply.data.size() / 2);
        if (strikes && setup.isIn() && m_plan.harm == Harm::BitFlip)
            turn(reply.data, m_plan.flip);
        return std::move(reply.data);
    }

    sim::VirtualUsbFunction& m_function;
    FaultPlan& m_plan;
    const VirtualClock& m_clock;
    const UsbDeviceInfo m_info;
};

/// The far end of a serial line; answers when it is fed, or by itself at its deadline.
class SerialPeer {
public:
    virtual ~SerialPeer() = default;
    virtual void feed(ByteView bytes, Clock::Steady now) = 0;
    virtual void tick(Clock::Steady now) = 0;
    virtual std::optional<Clock::Steady> deadline() const = 0;
    virtual Bytes takeOutput() = 0;
};

/// Waits by advancing the clock from one deadline of the peer to the next.
class FaultyLine final : public ByteStream {
public:
    FaultyLine(SerialPeer& peer, FaultPlan& plan, const VirtualClock& clock)
        : m_peer(peer), m_plan(plan), m_clock(clock)
    {
    }
    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        TRY(enter(op));
        const std::size_t number = m_plan.seen.size();
        const bool strikes = m_plan.count({.isIn = true});
        if (strikes) {
            if (m_plan.harm == Harm::Timeout)
                m_incoming.clear(); // lost, not late
            if (auto error = m_plan.error(m_clock, op))
                return *error;
        }
        TRY(wait(op));
        const std::size_t most = strikes && m_plan.harm == Harm::Short ? 1 : to.size();
        std::size_t count = 0;
        while (count < most && !m_incoming.empty()) {
            to[count++] = m_incoming.front();
            m_incoming.pop_front();
        }
        m_plan.seen[number].bytes = count;
        if (strikes && m_plan.harm == Harm::BitFlip && m_plan.flip < count)
            to[m_plan.flip] ^= std::byte{0x20};
        return count;
    }
    Result<> writeAll(ByteView data, const OpContext& op) override
    {
        TRY(enter(op));
        const bool strikes = m_plan.count({.bytes = data.size(), .isCommand = data.size() == 1});
        if (strikes) {
            if (auto error = m_plan.error(m_clock, op))
                return *error;
        }
        Bytes sent = toBytes(data);
        if (strikes && m_plan.harm == Harm::BitFlip)
            sent.at(m_plan.flip) ^= std::byte{0x80}; // no other command of any receiver
        if (strikes && m_plan.harm == Harm::Short)
            sent.resize(sent.size() / 2);
        m_peer.feed(sent, m_clock.now());
        collect();
        if (strikes && m_plan.harm == Harm::Short)
            return fail(Errc::Io, Blame::Fixture, "written in part");
        return {};
    }
    Result<> discardInput() override
    {
        m_incoming.clear();
        return {};
    }

private:
    Result<> enter(const OpContext& op)
    {
        TRY(op.checkpoint());
        if (m_plan.gone)
            return fail(Errc::Disconnected, Blame::Fixture, "gone");
        return {};
    }
    void collect()
    {
        const Bytes output = m_peer.takeOutput();
        m_incoming.insert(m_incoming.end(), output.begin(), output.end());
    }
    Result<> wait(const OpContext& op)
    {
        m_peer.tick(m_clock.now());
        collect();
        while (m_incoming.empty()) {
            const auto due = m_peer.deadline();
            const auto until = due && *due < op.deadline.at ? *due : op.deadline.at;
            TRY(m_clock.sleepUntil(until, op.stop));
            TRY(op.checkpoint());
            m_peer.tick(m_clock.now());
            collect();
        }
        return {};
    }

    SerialPeer& m_peer;
    FaultPlan& m_plan;
    const VirtualClock& m_clock;
    std::deque<std::byte> m_incoming{};
};

} // namespace provost::test
