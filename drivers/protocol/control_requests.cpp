#include "protocol/control_requests.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/unit_text_p.h"

#include <algorithm>
#include <array>
#include <optional>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr int kNotSupported = -120; // device-os SYSTEM_ERROR_NOT_SUPPORTED
constexpr std::uint8_t kVendorIn = 0xC0;
constexpr std::uint8_t kVendorOut = 0x40;
constexpr std::uint8_t kRawRequest = 0x50; // particle-devices 1.3, raw form
constexpr std::size_t kReplyBytes = 64;
constexpr auto kTransferLimit = 5s;
constexpr auto kQueuedRequestLimit = 60s;
constexpr auto kFirstPause = 5ms;
constexpr auto kLongestPause = 500ms;
constexpr int kBusyTries = 20;

enum class RawCommand : std::uint16_t {
    DeviceId = 20,
    SystemVersion = 30,
    Reset = 40,
    Dfu = 50,
    Listening = 70,
};

enum class Stage : std::uint8_t { Init = 1, Check = 2, Send = 3, Receive = 4, Reset = 5 };
enum class Status : std::uint16_t {
    Ok = 0,
    Error = 1,
    Pending = 2,
    Busy = 3,
    NoMemory = 4,
    NotFound = 5
};

constexpr std::uint16_t kClearWifiCredentials = 115;

struct Reply {
    Status status = Status::Ok;
    std::uint16_t id = 0;
    std::uint32_t size = 0;
    std::int32_t result = 0;
};

Result<Reply> parseReply(ByteView bytes)
{
    const auto tooShort = [&bytes] {
        return fail(Errc::InvalidData, Blame::Unit,
                    concat("read reply of the unit: ", bytes.size(), " bytes are too few"));
    };
    if (bytes.size() < 6)
        return tooShort();
    const std::uint32_t flags = readLe32(bytes, 0);
    Reply reply{.status = static_cast<Status>(readLe16(bytes, 4))};
    std::size_t at = 6;
    const std::size_t wanted = at + ((flags & 2) != 0 ? 2U : 0U) + ((flags & 4) != 0 ? 4U : 0U) +
                               ((flags & 8) != 0 ? 4U : 0U);
    if (bytes.size() < wanted)
        return tooShort();
    if ((flags & 2) != 0) {
        reply.id = readLe16(bytes, at);
        at += 2;
    }
    if ((flags & 4) != 0) {
        reply.size = readLe32(bytes, at);
        at += 4;
    }
    if ((flags & 8) != 0)
        reply.result = static_cast<std::int32_t>(readLe32(bytes, at));
    return reply;
}

Error unsupported(Error error, std::string_view since)
{
    error.code = Errc::Unsupported;
    error.blame = Blame::Unit;
    error.message += concat(": the firmware has no such request (before ", since, ")");
    return error;
}

Result<std::string> rawText(UsbDevice& usb, RawCommand command, const OpContext& op)
{
    std::array<std::byte, kReplyBytes> buffer{};
    const ControlSetup setup{.requestType = kVendorIn,
                             .request = kRawRequest,
                             .index = static_cast<std::uint16_t>(command)};
    auto count = usb.controlIn(setup, buffer, op.within(kTransferLimit));
    if (!count)
        return Unexpected(isStalled(count.error()) ? unsupported(std::move(count).error(), "0.6.0")
                                                   : std::move(count).error());
    const std::string text = toText(ByteView(buffer).first(std::min(*count, buffer.size())));
    return std::string(trimmed(text.substr(0, text.find('\0'))));
}

Result<> rawAction(UsbDevice& usb, RawCommand command, const OpContext& op)
{
    const ControlSetup setup{.requestType = kVendorOut,
                             .request = kRawRequest,
                             .index = static_cast<std::uint16_t>(command)};
    auto sent = usb.controlOut(setup, {}, op.within(kTransferLimit));
    if (sent)
        return {};
    return Unexpected(isStalled(sent.error()) ? unsupported(std::move(sent).error(), "0.6.0")
                                              : std::move(sent).error());
}

/// For commands that end the firmware: it may be gone before the status stage.
Result<> lastAction(UsbDevice& usb, RawCommand command, const OpContext& op)
{
    auto sent = rawAction(usb, command, op);
    if (!sent && (sent.error().code == Errc::Disconnected || sent.error().code == Errc::Io))
        return {};
    return sent;
}

/// One request of the queued form, from INIT to its end.
class QueuedRequest {
public:
    QueuedRequest(UsbDevice& usb, std::uint16_t type, const OpContext& op)
        : m_usb(usb), m_type(type), m_op(op)
    {
    }

    Result<Bytes> run(ByteView payload)
    {
        auto reply = transact(payload);
        // A request left behind holds memory of the unit until it restarts.
        if (!reply && m_id && reply.error().code != Errc::Disconnected)
            static_cast<void>(ask(Stage::Reset, *m_id, 0, m_op.shielded(1s)));
        return reply;
    }

private:
    std::string what() const { return concat("request ", m_type, " to the unit"); }

    Result<Bytes> transact(ByteView payload)
    {
        const auto size = static_cast<std::uint16_t>(payload.size());
        Reply reply = TRY(init(size));
        m_id = reply.id;
        if (size > 0) {
            if (reply.status == Status::Pending)
                reply = TRY(checkUntilDone());
            TRY(expectOk(reply));
            TRY(m_usb.controlOut(setupOf(Stage::Send, *m_id, 0), payload,
                                 m_op.within(kTransferLimit)));
        }
        reply = TRY(checkUntilDone());
        TRY(expectOk(reply));
        if (reply.result < 0) {
            m_id.reset();
            // −120 is the firmware's "not supported": a request that this version does not know.
            return fail(reply.result == kNotSupported ? Errc::Unsupported : Errc::Denied,
                        Blame::Unit, concat(what(), ": the unit answers ", reply.result),
                        reply.result);
        }
        return receive(reply.size);
    }

    /// Tries again while the unit has no free place.
    Result<Reply> init(std::uint16_t size)
    {
        auto pause = kFirstPause * 2;
        for (int attempt = 0; attempt < kBusyTries; ++attempt) {
            auto reply = ask(Stage::Init, m_type, size, m_op);
            if (!reply)
                return Unexpected(isStalled(reply.error())
                                      ? unsupported(std::move(reply).error(), "0.8.0")
                                      : std::move(reply).error());
            if (reply->status == Status::Ok || reply->status == Status::Pending)
                return reply;
            if (reply->status != Status::Busy && reply->status != Status::NoMemory)
                TRY(expectOk(*reply));
            TRY(m_op.sleepFor(pause));
            pause = std::min<std::chrono::milliseconds>(pause * 2, kLongestPause);
        }
        return fail(Errc::Busy, Blame::Unit, concat(what(), ": the unit stays busy"));
    }

    Result<Reply> checkUntilDone()
    {
        auto pause = kFirstPause;
        while (true) {
            const Reply reply = TRY(ask(Stage::Check, *m_id, 0, m_op));
            if (reply.status != Status::Pending && reply.status != Status::Busy)
                return reply;
            TRY(m_op.sleepFor(pause));
            pause = std::min<std::chrono::milliseconds>(pause * 2, kLongestPause);
        }
    }

    Result<Bytes> receive(std::uint32_t size)
    {
        if (size > 0xFFFF)
            return fail(Errc::Protocol, Blame::Unit,
                        concat(what(), ": a reply of ", size, " bytes is announced"));
        Bytes data(size);
        if (size > 0) {
            const std::size_t count = TRY(m_usb.controlIn(setupOf(Stage::Receive, *m_id, 0), data,
                                                          m_op.within(kTransferLimit)));
            if (count != size)
                return fail(Errc::Protocol, Blame::Unit,
                            concat(what(), ": ", count, " of ", size, " bytes came"));
        }
        return data;
    }

    Result<> expectOk(const Reply& reply) const
    {
        switch (reply.status) {
        case Status::Ok:
            return {};
        case Status::NotFound:
            return fail(Errc::Unsupported, Blame::Unit, concat(what(), ": not found"));
        case Status::NoMemory:
            return fail(Errc::Busy, Blame::Unit, concat(what(), ": the unit has no memory for it"));
        default:
            return fail(Errc::Protocol, Blame::Unit,
                        concat(what(), ": status ", static_cast<unsigned>(reply.status)));
        }
    }

    static ControlSetup setupOf(Stage stage, std::uint16_t index, std::uint16_t value)
    {
        return {.requestType = stage == Stage::Send ? kVendorOut : kVendorIn,
                .request = static_cast<std::uint8_t>(stage),
                .value = value,
                .index = index};
    }

    Result<Reply> ask(Stage stage, std::uint16_t index, std::uint16_t value, const OpContext& op)
    {
        std::array<std::byte, kReplyBytes> buffer{};
        const std::size_t count =
            TRY(m_usb.controlIn(setupOf(stage, index, value), buffer, op.within(kTransferLimit)));
        return parseReply(ByteView(buffer).first(std::min(count, buffer.size())));
    }

    UsbDevice& m_usb;
    std::uint16_t m_type;
    OpContext m_op;
    std::optional<std::uint16_t> m_id{};
};

} // namespace

ControlRequests::ControlRequests(UsbDevice& usb) : m_usb(usb) {}

Result<std::string> ControlRequests::deviceId(const OpContext& op)
{
    const std::string id = lowerCase(TRY(rawText(m_usb, RawCommand::DeviceId, op)));
    if (id.size() != 24 || !fromHex(id))
        return fail(
            Errc::InvalidData, Blame::Unit,
            concat("ask for the device id: \"", printable(id), "\" is not 24 hexadecimal digits"));
    return id;
}

Result<std::string> ControlRequests::systemVersion(const OpContext& op)
{
    std::string version = TRY(rawText(m_usb, RawCommand::SystemVersion, op));
    if (version.empty())
        return fail(Errc::InvalidData, Blame::Unit, "ask for the system version: empty answer");
    return version;
}

Result<> ControlRequests::reset(const OpContext& op)
{
    return lastAction(m_usb, RawCommand::Reset, op);
}

Result<> ControlRequests::enterDfu(const OpContext& op)
{
    return lastAction(m_usb, RawCommand::Dfu, op);
}

Result<> ControlRequests::startListening(const OpContext& op)
{
    return rawAction(m_usb, RawCommand::Listening, op);
}

Result<> ControlRequests::clearWifiCredentials(const OpContext& op)
{
    TRY(queued(kClearWifiCredentials, {}, op));
    return {};
}

Result<Bytes> ControlRequests::queued(std::uint16_t type, ByteView payload, const OpContext& op)
{
    if (payload.size() > 0xFFFF)
        return fail(Errc::InvalidArgument, Blame::Software,
                    concat("request ", type, ": ", payload.size(), " bytes do not fit"));
    return QueuedRequest(m_usb, type, op.within(kQueuedRequestLimit)).run(payload);
}

} // namespace provost
