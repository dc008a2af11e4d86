#include "sim/control_channel.h"

#include "core/text.h"
#include "sim/network_address.h"
#include "sim/octets.h"
#include "sim/protobuf.h"

#include <algorithm>
#include <array>

namespace provost::sim {

namespace {

constexpr unsigned k060 = 102;
constexpr unsigned k070 = 200;
constexpr unsigned k080 = 300;

constexpr std::uint8_t kRawRequest = 0x50;
constexpr std::size_t kMostQueued = 4;

enum ReplyFlag : std::uint32_t { HasStatus = 1, HasId = 2, HasSize = 4, HasResult = 8 };
enum ReplyStatus : std::uint16_t { StatusOk = 0, StatusPending = 2, StatusBusy = 3, NotFound = 5 };

using control_error::kInvalidArgument;
using control_error::kNotFound;
using control_error::kNotSupported;
using control_error::kUnknown;

constexpr std::size_t kMostRawBytes = 512;
constexpr std::uint64_t kTcp = 1;
constexpr std::uint64_t kUdp = 2;
constexpr std::int32_t kRefused = -1; ///< as the hardware layer says it

struct KeySlot {
    std::uint64_t type = 0;
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
};
// 1.3 and 3.3: TCP device private, public, server; UDP the same.
constexpr std::array kKeySlots{KeySlot{1, dct::kPrivateKey, dct::kPrivateKeySlot},
                               KeySlot{2, dct::kPublicKey, dct::kPublicKeySlot},
                               KeySlot{3, dct::kServerKey, dct::kServerKeySlot},
                               KeySlot{4, dct::kAlternatePrivateKey, 192},
                               KeySlot{5, dct::kAlternatePublicKey, 128},
                               KeySlot{6, dct::kAlternateServerKey, 320}};

struct Reply {
    std::uint16_t status = StatusOk;
    std::optional<std::uint16_t> id{};
    std::optional<std::uint32_t> size{};
    std::optional<std::int32_t> result{};
};

UsbReply replyOf(const Reply& reply)
{
    std::uint32_t flags = HasStatus;
    flags |= reply.id ? HasId : 0U;
    flags |= reply.size ? HasSize : 0U;
    flags |= reply.result ? HasResult : 0U;
    Bytes bytes;
    Fields out(bytes);
    out.le32(flags).le16(reply.status);
    if (reply.id)
        out.le16(*reply.id);
    if (reply.size)
        out.le32(*reply.size);
    if (reply.result)
        out.le32(static_cast<std::uint32_t>(*reply.result));
    return UsbReply::with(std::move(bytes));
}

} // namespace

UsbReply ControlChannel::request(const UsbSetup& setup, ByteView data)
{
    const unsigned version = m_board.systemVersion;
    if (!m_board.profile.cdc.controlRequests)
        return UsbReply::stall();
    if (setup.request == kRawRequest)
        return version >= k060 ? raw(setup, data) : UsbReply::stall();
    if (version < k080)
        return UsbReply::stall();
    switch (setup.request) {
    case 1:
        return setup.isIn() ? init(setup) : UsbReply::stall();
    case 2:
        return setup.isIn() ? check(setup) : UsbReply::stall();
    case 3:
        return setup.isIn() ? UsbReply::stall() : send(setup, data);
    case 4:
        return setup.isIn() ? receive(setup) : UsbReply::stall();
    case 5:
        return setup.isIn() ? reset(setup) : UsbReply::stall();
    default:
        return UsbReply::stall();
    }
}

UsbReply ControlChannel::raw(const UsbSetup& setup, ByteView data)
{
    switch (setup.index) {
    case 20:
        return UsbReply::with(copyOf(m_board.idText()));
    case 30:
        return UsbReply::with(copyOf(releaseName(m_board.systemVersion)));
    case 40:
    case 50:
    case 60:
    case 70:
        mode(setup.index);
        return {};
    case 80:
        // Handed on to the application; the stock one has no log handlers, so there is no answer.
        return setup.isIn() || data.size() > kMostRawBytes ? UsbReply::stall() : UsbReply{};
    case 90:
        if (m_board.systemVersion < k070)
            return UsbReply::stall();
        return UsbReply::with(copyOf(concat("{", m_board.report(), "}")));
    default:
        return UsbReply::stall();
    }
}

UsbReply ControlChannel::init(const UsbSetup& setup)
{
    if (m_queue.size() >= kMostQueued)
        return replyOf({.status = StatusBusy});
    const std::uint16_t id = ++m_lastId == 0 ? ++m_lastId : m_lastId;
    Queued& entry = m_queue[id];
    entry = {.type = setup.index, .expected = setup.value};
    if (setup.value == 0)
        run(entry, {});
    return replyOf({.id = id});
}

UsbReply ControlChannel::check(const UsbSetup& setup)
{
    const auto found = m_queue.find(setup.index);
    if (found == m_queue.end())
        return replyOf({.status = NotFound});
    Queued& entry = found->second;
    if (!entry.done) // still waits for its payload
        return replyOf({});
    // Work takes longer than one transfer on a real unit.
    if (m_board.pace.speed != Speed::Instant && !std::exchange(entry.asked, true))
        return replyOf({.status = StatusPending});
    Reply reply{.result = entry.result};
    if (!entry.reply.empty())
        reply.size = static_cast<std::uint32_t>(entry.reply.size());
    const UsbReply answer = replyOf(reply);
    if (entry.reply.empty()) {
        m_queue.erase(found);
        m_board.answered();
    }
    return answer;
}

UsbReply ControlChannel::send(const UsbSetup& setup, ByteView data)
{
    const auto found = m_queue.find(setup.index);
    if (found == m_queue.end() || found->second.done || data.size() != found->second.expected)
        return UsbReply::stall();
    run(found->second, data);
    return {};
}

UsbReply ControlChannel::receive(const UsbSetup& setup)
{
    const auto found = m_queue.find(setup.index);
    if (found == m_queue.end() || !found->second.done || found->second.reply.empty())
        return UsbReply::stall();
    Bytes reply = std::move(found->second.reply);
    m_queue.erase(found);
    m_board.answered();
    return UsbReply::with(std::move(reply));
}

UsbReply ControlChannel::reset(const UsbSetup& setup)
{
    if (setup.index == 0)
        m_queue.clear();
    else if (m_queue.erase(setup.index) == 0)
        return replyOf({.status = NotFound});
    return replyOf({});
}

void ControlChannel::run(Queued& entry, ByteView payload)
{
    Outcome outcome = execute(entry.type, payload);
    entry.done = true;
    m_board.owesAnswer = m_board.restart.has_value();
    entry.result = outcome.result;
    entry.reply = std::move(outcome.reply);
}

ControlChannel::Outcome ControlChannel::execute(std::uint16_t type, ByteView payload)
{
    Outcome outcome;
    switch (type) {
    case 20:
        putTextField(outcome.reply, 1, m_board.idText());
        return outcome;
    case 30:
        putTextField(outcome.reply, 1, releaseName(m_board.systemVersion));
        return outcome;
    case 40:
    case 50:
    case 60:
    case 70:
    case 71:
        return mode(type);
    case 90:
        outcome.reply = copyOf(concat("{", m_board.report(), "}"));
        return outcome;
    case 100: // a part of the values cannot be asked for
        if (!payload.empty())
            return {.result = kNotSupported};
        outcome.reply = copyOf(m_board.diagnostics());
        return outcome;
    case 110:
    case 111:
    case 112:
    case 113:
    case 114:
    case 115:
        return m_board.profile.radio == Radio::Wifi ? m_wifi.run(type, payload)
                                                    : Outcome{.result = kNotSupported};
    case 200:
    case 201:
        return claim(type, payload);
    case 210:
    case 211:
        return securityKey(type, payload);
    case 220:
    case 221:
        return serverAddress(type, payload);
    case 222:
    case 223:
        return serverProtocol(type, payload);
    default:
        return m_storage.run(type, payload);
    }
}

ControlChannel::Outcome ControlChannel::mode(std::uint16_t type)
{
    switch (type) {
    case 40:
        m_board.askRestart(BootTarget::Normal);
        break;
    case 50:
        m_board.askRestart(BootTarget::Dfu);
        break;
    case 60:
        m_board.askRestart(BootTarget::SafeMode);
        break;
    default:
        m_board.listening = type == 70;
        m_board.notify();
    }
    return {};
}

ControlChannel::Outcome ControlChannel::claim(std::uint16_t type, ByteView payload)
{
    Outcome outcome;
    if (type == 201) {
        putVarintField(outcome.reply, 1, m_board.claimed() ? 1 : 0);
        return outcome;
    }
    auto fields = readProtobuf(payload);
    if (!fields || (*fields)[1].bytes.size() != dct::kClaimCodeSize)
        return {.result = kInvalidArgument};
    m_board.writeDct(dct::kClaimCode, (*fields)[1].bytes);
    return outcome;
}

ControlChannel::Outcome ControlChannel::securityKey(std::uint16_t type, ByteView payload)
{
    auto fields = readProtobuf(payload);
    if (!fields)
        return {.result = kInvalidArgument};
    const std::uint64_t wanted = (*fields)[1].number;
    const auto slot = std::find_if(kKeySlots.begin(), kKeySlots.end(),
                                   [wanted](const KeySlot& each) { return each.type == wanted; });
    if (slot == kKeySlots.end())
        return {.result = kInvalidArgument};
    Outcome outcome;
    if (type == 211) {
        putBytesField(outcome.reply, 1, m_board.store.read(slot->offset, slot->size));
        return outcome;
    }
    // Padded with FF to its whole slot: key 3 takes the address record with it (1.3).
    if (!m_board.store.writeSlot(slot->offset, slot->size, (*fields)[2].bytes))
        outcome.result = kInvalidArgument;
    return outcome;
}

ControlChannel::Outcome ControlChannel::serverAddress(std::uint16_t type, ByteView payload)
{
    auto fields = readProtobuf(payload);
    const std::uint64_t protocol = fields ? (*fields)[1].number : 0;
    if (protocol != 1 && protocol != 2)
        return {.result = kInvalidArgument};
    const std::uint32_t slot = protocol == 1 ? dct::kServerAddress : dct::kAlternateServerKey + 192;
    if (type == 221)
        return getAddress(slot);
    return setAddress(slot, dct::kServerAddressSize, payload);
}

ControlChannel::Outcome ControlChannel::setAddress(std::uint32_t slot, std::uint32_t size,
                                                   ByteView payload)
{
    auto fields = readProtobuf(payload);
    const std::string host = fields ? textOf((*fields)[2].bytes) : std::string();
    if (host.empty() || host.size() > 64) // longer ones would run into the port
        return {.result = kInvalidArgument};
    const auto port = static_cast<std::uint16_t>((*fields)[3].number);
    m_board.writeDct(slot, makeServerRecord(host, port, size));
    return {};
}

ControlChannel::Outcome ControlChannel::getAddress(std::uint32_t slot) const
{
    const ServerRecord record =
        readServerRecord(m_board.store.read(slot, dct::kServerAddressSize), 0);
    if (record.kind == ServerRecord::Kind::None)
        return {.result = kNotFound};
    Outcome outcome;
    putTextField(outcome.reply, 1,
                 record.kind == ServerRecord::Kind::Ip ? ipv4Text(record.ip) : record.domain);
    putVarintField(outcome.reply, 2, record.port);
    return outcome;
}

/// A board with one protocol says so and takes no other.
ControlChannel::Outcome ControlChannel::serverProtocol(std::uint16_t type, ByteView payload)
{
    Outcome outcome;
    const bool chooses = m_board.profile.transportByte;
    if (type == 223) {
        const bool udp = chooses && octet(m_board.store.read(dct::kTransport, 1)[0]) != 0;
        putVarintField(outcome.reply, 1, udp ? kUdp : kTcp);
        return outcome;
    }
    auto fields = readProtobuf(payload);
    const std::uint64_t wanted = fields ? (*fields)[1].number : 0;
    if (wanted != kTcp && wanted != kUdp)
        return {.result = kNotSupported};
    if (!chooses)
        return {.result = kRefused};
    const std::byte stored{static_cast<std::uint8_t>(wanted == kUdp ? 0xFF : 0x00)};
    return {.result = m_board.writeDct(dct::kTransport, ByteView(&stored, 1)) ? 0 : kUnknown};
}

} // namespace provost::sim
