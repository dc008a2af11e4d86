#include "protocol/ymodem_sender.h"

#include "core/byte_io.h"
#include "core/crc.h"
#include "core/text.h"

#include <algorithm>
#include <array>

namespace provost {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr std::byte kSoh{0x01};
constexpr std::byte kStx{0x02};
constexpr std::byte kEot{0x04};
constexpr std::byte kAck{0x06};
constexpr std::byte kBackspace{0x08};
constexpr std::byte kNak{0x15};
constexpr std::byte kCan{0x18};
constexpr std::byte kSub{0x1A};
constexpr std::byte kCrc{'C'};
constexpr std::byte kStream{'G'};

constexpr std::size_t kSmallBlock = 128;
constexpr std::size_t kLargeBlock = 1024;
constexpr std::size_t kSmallTail = 896; // 7 small blocks: less than one large block
constexpr std::size_t kMaxName = 100;   // leaves room for the size in 128 bytes
constexpr int kMaxTries = 10;

constexpr milliseconds kStartLimit = 60s;
constexpr milliseconds kReplyLimit = 10s;
constexpr milliseconds kUnitLimit = 70s; // it erases up to 256 KB (particle-devices 7.5)
constexpr milliseconds kNextLimit = 6s;
constexpr milliseconds kValidateLimit = 30s; // the receiver checks the image before its last ACK
constexpr milliseconds kSettle = 1s;
constexpr milliseconds kPeek = 1ms;

enum class Reply : std::uint8_t { Ack, Nak, Crc, Stream, Cancel, Silence };

} // namespace

/// What one call of send() or finish() shares.
struct YModemSender::Session {
    YModemSender& sender;
    const OpContext& op;

    bool isUnit() const { return sender.m_options.flavour == YModemFlavour::Unit; }
    milliseconds replyLimit() const { return isUnit() ? kUnitLimit : kReplyLimit; }

    Result<Reply> await(milliseconds limit, bool countsRequests = true);
    Result<Reply> awaitAnswer(milliseconds limit, bool isRequestable);
    Result<> awaitStart();
    Result<> awaitNext();
    Result<> awaitData();
    Result<> writeFrame(std::uint8_t number, ByteView data, std::size_t size);
    Result<> deliver(std::uint8_t number, ByteView data, std::size_t size, milliseconds limit,
                     const std::string& what, bool isRequestable);
    Result<> refuse(const std::string& what) const;
    Result<> sendHeader(std::string_view fileName, std::size_t size);
    Result<> sendData(ByteView content);
    Result<> sendStreamed(std::uint8_t number, ByteView data, std::size_t size,
                          const std::string& what);
    Result<> sendEnd();
    Result<> sendNullHeader();
    Result<> orCancel(Result<> result);
};

/// Reads byte by byte: what follows the last reply belongs to the console.
Result<Reply> YModemSender::Session::await(milliseconds limit, bool countsRequests)
{
    const OpContext waiting = op.within(limit);
    bool sawCancel = false;
    while (true) {
        std::array<std::byte, 1> byte{};
        auto count = sender.m_line.readSome(byte, waiting);
        if (!count && count.error().code == Errc::Timeout && op.checkpoint())
            return Reply::Silence;
        if (!count)
            return Unexpected(std::move(count).error());
        if (byte[0] == kCan) {
            if (sawCancel)
                return Reply::Cancel;
            sawCancel = true;
            continue;
        }
        sawCancel = false;
        if (byte[0] == kAck)
            return Reply::Ack;
        if (byte[0] == kNak)
            return Reply::Nak;
        if (countsRequests && byte[0] == kCrc)
            return Reply::Crc;
        if (countsRequests && byte[0] == kStream)
            return Reply::Stream;
    }
}

/// The answer to a frame. A 'C' may be a request to repeat or one that crossed the frame on the
/// wire: an ACK close behind it decides.
Result<Reply> YModemSender::Session::awaitAnswer(milliseconds limit, bool isRequestable)
{
    const Reply reply = TRY(await(limit, isRequestable));
    if (reply != Reply::Crc && reply != Reply::Stream)
        return reply;
    sender.m_streaming = reply == Reply::Stream;
    const Reply behind = TRY(await(kSettle, false));
    return behind == Reply::Silence ? Reply::Nak : behind;
}

Result<> YModemSender::Session::awaitStart()
{
    // The unit says nothing for 5 s, and takes the first block at any time (particle-devices 7.5).
    if (isUnit())
        return {};
    const Reply reply = TRY(await(kStartLimit));
    switch (reply) {
    case Reply::Silence:
        return fail(Errc::Timeout, Blame::Unit, "start YModem: the receiver does not ask for data");
    case Reply::Cancel:
        return fail(Errc::Denied, Blame::Unit, "start YModem: the receiver cancels");
    default:
        break;
    }
    sender.m_streaming = reply == Reply::Stream;
    return {};
}

/// Behind an EOT the receiver asks for the next header; one that does not gets it all the same.
Result<> YModemSender::Session::awaitNext()
{
    if (isUnit())
        return {};
    const Reply reply = TRY(await(kNextLimit));
    if (reply == Reply::Cancel)
        return fail(Errc::Denied, Blame::Unit, "continue YModem: the receiver cancels");
    return {};
}

/// Behind the header's ACK the receiver asks for data.
Result<> YModemSender::Session::awaitData()
{
    const Reply reply = TRY(await(isUnit() ? kSettle : kReplyLimit));
    if (reply == Reply::Cancel)
        return fail(Errc::Denied, Blame::Unit, "send the YModem header: the receiver cancels");
    if (reply == Reply::Crc || reply == Reply::Stream)
        sender.m_streaming = reply == Reply::Stream;
    return {};
}

Result<> YModemSender::Session::writeFrame(std::uint8_t number, ByteView data, std::size_t size)
{
    const std::byte padding = number == 0 ? std::byte{0} : kSub;
    Bytes block(data.begin(), data.end());
    block.resize(size, padding);
    Bytes frame;
    frame.reserve(size + 5);
    ByteWriter(frame)
        .u8(u8(size == kLargeBlock ? kStx : kSoh))
        .u8(number)
        .u8(0xFFU - number)
        .raw(block)
        .be16(crc16Xmodem(block));
    return sender.m_line.writeAll(frame, op);
}

Result<> YModemSender::Session::refuse(const std::string& what) const
{
    return fail(Errc::Denied, Blame::Unit, concat(what, ": the receiver cancels"));
}

/// One frame until it is acknowledged.
Result<> YModemSender::Session::deliver(std::uint8_t number, ByteView data, std::size_t size,
                                        milliseconds limit, const std::string& what,
                                        bool isRequestable)
{
    int refusals = 0;
    while (true) {
        TRY(writeFrame(number, data, size));
        switch (TRY(awaitAnswer(limit, isRequestable && !isUnit()))) {
        case Reply::Ack:
            return {};
        case Reply::Cancel:
            return refuse(what);
        case Reply::Nak:
        case Reply::Silence:
            break;
        default:
            break;
        }
        // The unit takes the expected number only: a lost ACK cannot be repaired (sheet 4.4).
        if (isUnit())
            return fail(Errc::Protocol, Blame::Unit,
                        concat(what, ": the unit did not acknowledge it"));
        if (++refusals > kMaxTries)
            return fail(Errc::Protocol, Blame::Unit,
                        concat(what, ": refused ", refusals, " times"));
        ++sender.m_retries;
    }
}

Result<> YModemSender::Session::sendHeader(std::string_view fileName, std::size_t size)
{
    const std::string_view plain = fileName.substr(fileName.rfind('/') + 1);
    if (plain.empty() || plain.size() > kMaxName || plain.find('\0') != std::string_view::npos)
        return fail(Errc::InvalidArgument, Blame::Software,
                    concat("send \"", fileName, "\" by YModem: the name does not fit"));
    // The unit reads the size up to the first blank: there has to be one (sheet 4.4).
    Bytes header;
    ByteWriter(header).text(plain).u8(0).text(concat(size, " 0 100644"));
    if (sender.m_streaming)
        TRY(writeFrame(0, header, kSmallBlock)); // a streaming receiver answers with its 'G' only
    else
        TRY(deliver(0, header, kSmallBlock, replyLimit(), "send the YModem header", true));
    return awaitData();
}

Result<> YModemSender::Session::sendData(ByteView content)
{
    std::size_t done = 0;
    for (std::uint32_t number = 1; done < content.size(); ++number) {
        const std::size_t left = content.size() - done;
        const bool large =
            sender.m_options.blockSize >= static_cast<int>(kLargeBlock) && left > kSmallTail;
        const std::size_t size = large ? kLargeBlock : kSmallBlock;
        const std::size_t count = std::min(size, left);
        const ByteView piece = content.subspan(done, count);
        const std::string what = concat("send YModem block ", number, " at byte ", done);
        const auto wrapped = static_cast<std::uint8_t>(number & 0xFF);
        if (sender.m_streaming)
            TRY(sendStreamed(wrapped, piece, size, what));
        else
            TRY(deliver(wrapped, piece, size, replyLimit(), what, number == 1));
        done += count;
        op.progress.advance(done, content.size());
    }
    return {};
}

/// Nobody acknowledges; a receiver in trouble cancels.
Result<> YModemSender::Session::sendStreamed(std::uint8_t number, ByteView data, std::size_t size,
                                             const std::string& what)
{
    constexpr std::uint8_t kLookEvery = 8;
    TRY(writeFrame(number, data, size));
    if (number % kLookEvery == 0 && TRY(await(kPeek)) == Reply::Cancel)
        return refuse(what);
    return {};
}

Result<> YModemSender::Session::sendEnd()
{
    const std::array<std::byte, 1> end{kEot};
    int refusals = 0;
    while (true) {
        TRY(sender.m_line.writeAll(end, op));
        const Reply reply = TRY(await(replyLimit(), false));
        if (reply == Reply::Ack)
            return {};
        if (reply == Reply::Cancel)
            return refuse("end the YModem file");
        // Asking for a second EOT is ordinary; being silent to ten is not.
        if (++refusals > kMaxTries || (isUnit() && reply == Reply::Silence))
            return fail(Errc::Protocol, Blame::Unit,
                        "end the YModem file: the receiver does not acknowledge it");
    }
}

Result<> YModemSender::Session::sendNullHeader()
{
    return deliver(0, {}, kSmallBlock, kValidateLimit, "end the YModem batch", true);
}

/// A receiver left behind in the middle would take the next console text for data.
Result<> YModemSender::Session::orCancel(Result<> result)
{
    if (result || result.error().code == Errc::Disconnected || result.error().code == Errc::Denied)
        return result;
    Bytes farewell(8, kCan);
    farewell.insert(farewell.end(), 8, kBackspace);
    static_cast<void>(sender.m_line.writeAll(farewell, op.shielded(kSettle)));
    return result;
}

YModemSender::YModemSender(ByteStream& line, YModemOptions options)
    : m_line(line), m_options(options)
{
}

Result<> YModemSender::send(std::string_view fileName, ByteView content, const OpContext& op)
{
    Session session{*this, op};
    const auto whole = [&]() -> Result<> {
        TRY(m_started ? session.awaitNext() : session.awaitStart());
        m_started = true;
        TRY(session.sendHeader(fileName, content.size()));
        TRY(session.sendData(content));
        return session.sendEnd();
    };
    return session.orCancel(whole());
}

Result<> YModemSender::finish(const OpContext& op)
{
    Session session{*this, op};
    const auto whole = [&]() -> Result<> {
        TRY(m_started ? session.awaitNext() : session.awaitStart());
        m_started = false;
        return session.sendNullHeader();
    };
    return session.orCancel(whole());
}

} // namespace provost
