#include "protocol/ymodem_sender.h"

#include "core/text.h"
#include "protocol/ymodem_words_p.h"

#include <algorithm>
#include <array>
#include <functional>

namespace provost {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr std::size_t kSmallTail = 896; // 7 small blocks: less than one large block
constexpr std::size_t kMaxName = 100;   // leaves room for the size in 128 bytes
constexpr int kMaxTries = 10;
constexpr int kStrayReplies = 16;

constexpr milliseconds kNextLimit = 6s;
constexpr milliseconds kValidateLimit = 30s; // the receiver checks the image before its last ACK
constexpr milliseconds kPeek = 1ms;

enum class Reply : std::uint8_t { Ack, Nak, Crc, Stream, Cancel, Silence };

} // namespace

/// What one call of start(), send() or finish() shares.
struct YModemSender::Session {
    YModemSender& sender;
    const OpContext& op;
    bool sawRequest = false; ///< a 'C' or 'G' came in front of the header's ACK
    bool isCutOff = false;   ///< the last frame did not go out whole

    bool isUnit() const { return sender.m_options.flavour == YModemFlavour::Unit; }
    milliseconds replyLimit() const
    {
        return isUnit() ? sender.m_options.erasePause : sender.m_options.replyLimit;
    }

    Result<Reply> await(milliseconds limit, bool countsRequests = true);
    Result<Reply> awaitAnswer(milliseconds limit, bool isRequestable);
    Result<> awaitStart();
    Result<> awaitNext();
    Result<> awaitData();
    Result<> begin();
    Result<> drain(const std::string& what);
    Result<> spend(const std::string& what, int refusals);
    Result<> deliver(const Bytes& frame, milliseconds limit, const std::string& what,
                     bool isRequestable, const std::function<void()>& meanwhile = {});
    Bytes frameAt(std::uint32_t number, ByteView content, std::size_t done,
                  std::size_t& count) const;
    Result<> refuse(const std::string& what) const;
    Result<> write(ByteView frame);
    Result<> sendHeader(std::string_view fileName, std::size_t size);
    Result<> sendData(ByteView content);
    Result<> sendStreamed(std::uint32_t number, const Bytes& frame, const std::string& what);
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
        if (byte[0] == ymodem::kCan) {
            // A streaming receiver has no other way to complain: one is enough (sheet 4.2).
            if (sawCancel || sender.m_streaming)
                return Reply::Cancel;
            sawCancel = true;
            continue;
        }
        sawCancel = false;
        if (byte[0] == ymodem::kAck)
            return Reply::Ack;
        if (byte[0] == ymodem::kNak)
            return Reply::Nak;
        if (countsRequests && byte[0] == ymodem::kWantCrc)
            return Reply::Crc;
        if (countsRequests && byte[0] == ymodem::kWantStream)
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
    sawRequest = true;
    const Reply behind = TRY(await(ymodem::kGap, false));
    return behind == Reply::Silence ? Reply::Nak : behind;
}

Result<> YModemSender::Session::awaitStart()
{
    // The unit says nothing for 5 s, and takes the first block at any time (particle-devices 7.5).
    if (isUnit())
        return {};
    Reply reply = Reply::Ack;
    // An ACK is left over from an earlier session.
    for (int stray = 0; reply == Reply::Ack && stray < kStrayReplies; ++stray)
        reply = TRY(await(sender.m_options.startLimit));
    switch (reply) {
    case Reply::Silence:
        return fail(Errc::Timeout, Blame::Unit,
                    concat("start YModem: the receiver did not ask for data within ",
                           sender.m_options.startLimit.count() / 1000,
                           " s; start it, then send again"));
    case Reply::Cancel:
        return refuse("start YModem");
    default:
        sender.m_streaming = reply == Reply::Stream;
    }
    return {};
}

/// Behind an EOT the receiver asks for the next header; one that does not gets it all the same.
Result<> YModemSender::Session::awaitNext()
{
    if (isUnit())
        return {};
    const Reply reply = TRY(await(kNextLimit));
    if (reply == Reply::Cancel)
        return refuse("continue the YModem batch");
    if (reply == Reply::Crc || reply == Reply::Stream)
        sender.m_streaming = reply == Reply::Stream;
    return {};
}

Result<> YModemSender::Session::begin()
{
    if (sender.m_midBatch)
        return awaitNext();
    if (!sender.m_started)
        TRY(awaitStart());
    sender.m_started = true;
    return {};
}

/// Behind the header's ACK the receiver asks for data.
Result<> YModemSender::Session::awaitData()
{
    const milliseconds patience =
        sender.m_streaming ? sender.m_options.erasePause : sender.m_options.replyLimit;
    const milliseconds limit = isUnit() || sawRequest ? ymodem::kGap : patience;
    for (int stray = 0; stray < kStrayReplies; ++stray) {
        const Reply reply = TRY(await(limit));
        if (reply == Reply::Cancel)
            return refuse("send the YModem header");
        if (reply == Reply::Silence && sender.m_streaming && !sawRequest)
            return fail(Errc::Timeout, Blame::Unit,
                        "send the YModem-G header: the receiver does not ask for data");
        if (reply == Reply::Crc || reply == Reply::Stream)
            sender.m_streaming = reply == Reply::Stream;
        if (reply != Reply::Ack)
            return {};
    }
    return fail(Errc::Protocol, Blame::Unit,
                "send the YModem header: the receiver acknowledges without end");
}

Result<> YModemSender::Session::refuse(const std::string& what) const
{
    return fail(Errc::Denied, Blame::Unit, concat(what, ": the receiver cancels"));
}

Result<> YModemSender::Session::write(ByteView frame)
{
    isCutOff = true;
    TRY(sender.m_line.writeAll(frame, op));
    isCutOff = false;
    return {};
}

/// An answer to the last copy of a frame must not be taken for one to the next copy.
Result<> YModemSender::Session::drain(const std::string& what)
{
    for (int stray = 0; stray < kStrayReplies; ++stray) {
        const Reply reply = TRY(await(kPeek));
        if (reply == Reply::Cancel)
            return refuse(what);
        if (reply == Reply::Silence)
            break;
    }
    return {};
}

Result<> YModemSender::Session::spend(const std::string& what, int refusals)
{
    if (refusals > kMaxTries)
        return fail(Errc::Protocol, Blame::Unit,
                    concat(what, ": refused ", refusals,
                           " times; check the line and the receiver, then send again"));
    if (sender.m_retries >= sender.m_options.retryBudget)
        return fail(Errc::Protocol, Blame::Unit,
                    concat(what, ": all ", sender.m_options.retryBudget,
                           " repeats of this batch are spent; check the line"));
    ++sender.m_retries;
    return {};
}

/// One frame until it is acknowledged; `meanwhile` runs while the receiver is at work.
Result<> YModemSender::Session::deliver(const Bytes& frame, milliseconds limit,
                                        const std::string& what, bool isRequestable,
                                        const std::function<void()>& meanwhile)
{
    for (int refusals = 1;; ++refusals) {
        TRY(write(frame));
        if (refusals == 1 && meanwhile)
            meanwhile();
        const Reply reply = TRY(awaitAnswer(limit, isRequestable && !isUnit()));
        if (reply == Reply::Ack)
            return {};
        if (reply == Reply::Cancel)
            return refuse(what);
        // The unit takes the expected number only: a lost ACK cannot be repaired (sheet 4.4).
        if (isUnit())
            return fail(Errc::Protocol, Blame::Unit,
                        concat(what, ": the unit did not acknowledge it; start over"));
        TRY(spend(what, refusals));
        TRY(drain(what));
    }
}

Result<> YModemSender::Session::sendHeader(std::string_view fileName, std::size_t size)
{
    const std::string_view plain = fileName.substr(fileName.rfind('/') + 1);
    if (plain.empty() || plain.size() > kMaxName || plain.find('\0') != std::string_view::npos)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("send \"", fileName, "\" by YModem: the name does not fit; 1 to ",
                           kMaxName, " bytes do"));
    // The unit reads the size up to the first blank: there has to be one (sheet 4.4). No time and
    // the mode of a plain file.
    Bytes header;
    ByteWriter(header).text(plain).u8(0).text(concat(size, " 0 100644"));
    const Bytes frame = ymodem::frameOf(0, header, ymodem::kSmallBlock, std::byte{0});
    if (sender.m_streaming) // answered with the next 'G' only
        TRY(write(frame));
    else
        TRY(deliver(frame, sender.m_options.erasePause, "send the YModem header", true));
    return awaitData();
}

/// The data block that begins at byte `done`; `count` of its bytes are content.
Bytes YModemSender::Session::frameAt(std::uint32_t number, ByteView content, std::size_t done,
                                     std::size_t& count) const
{
    const std::size_t left = content.size() - done;
    const bool large =
        sender.m_options.blockSize >= static_cast<int>(ymodem::kLargeBlock) && left > kSmallTail;
    const std::size_t size = large ? ymodem::kLargeBlock : ymodem::kSmallBlock;
    count = std::min(size, left);
    return ymodem::frameOf(static_cast<std::uint8_t>(number & 0xFF), content.subspan(done, count),
                           size, ymodem::kSub);
}

Result<> YModemSender::Session::sendData(ByteView content)
{
    std::size_t done = 0;
    std::size_t count = 0;
    Bytes frame = frameAt(1, content, done, count);
    for (std::uint32_t number = 1; done < content.size(); ++number) {
        const std::string what = concat("send YModem block ", number, " at byte ", done);
        const std::size_t end = done + count;
        Bytes next;
        // The receiver waits for the next block as soon as it has said ACK: that one is ready then.
        const auto prepare = [&] { next = frameAt(number + 1, content, end, count); };
        if (sender.m_streaming) {
            TRY(sendStreamed(number, frame, what));
            prepare();
        } else {
            TRY(deliver(frame, replyLimit(), what, number == 1, prepare));
        }
        done = end;
        frame = std::move(next);
        op.progress.advance(done, content.size());
    }
    return {};
}

/// Nobody acknowledges; a receiver in trouble cancels.
Result<> YModemSender::Session::sendStreamed(std::uint32_t number, const Bytes& frame,
                                             const std::string& what)
{
    constexpr std::uint32_t kLookEvery = 8;
    TRY(write(frame));
    if (number % kLookEvery == 0 && TRY(await(kPeek)) == Reply::Cancel)
        return refuse(what);
    return {};
}

Result<> YModemSender::Session::sendEnd()
{
    const std::array<std::byte, 1> end{ymodem::kEot};
    const std::string what = "end the YModem file";
    for (int refusals = 1;; ++refusals) {
        TRY(sender.m_line.writeAll(end, op));
        const Reply reply = TRY(await(replyLimit(), false));
        if (reply == Reply::Ack)
            return {};
        if (reply == Reply::Cancel)
            return refuse(what);
        if (isUnit() && reply == Reply::Silence)
            return fail(Errc::Protocol, Blame::Unit,
                        concat(what, ": the unit did not acknowledge it; start over"));
        // Asking for a second EOT is ordinary; being silent to ten is not.
        if (refusals > kMaxTries)
            return spend(what, refusals);
        if (reply == Reply::Silence)
            TRY(spend(what, refusals));
    }
}

Result<> YModemSender::Session::sendNullHeader()
{
    const std::string what = "end the YModem batch";
    const Bytes frame = ymodem::frameOf(0, {}, ymodem::kSmallBlock, std::byte{0});
    if (!sender.m_streaming)
        return deliver(frame, kValidateLimit, what, true);
    // Not acknowledged in YModem-G (sheet 4.2), but a receiver may still cancel.
    TRY(write(frame));
    if (TRY(await(ymodem::kGap)) == Reply::Cancel)
        return refuse(what);
    return {};
}

/// A receiver left behind in the middle would take the next console text for data.
Result<> YModemSender::Session::orCancel(Result<> result)
{
    if (result)
        return result;
    sender.m_started = false;
    sender.m_midBatch = false;
    if (result.error().code != Errc::Disconnected && result.error().code != Errc::Denied)
        static_cast<void>(sender.m_line.writeAll(
            isCutOff ? ymodem::longFarewell() : ymodem::farewell(), op.shielded(ymodem::kGap)));
    return result;
}

YModemSender::YModemSender(ByteStream& line, YModemOptions options)
    : m_line(line), m_options(options)
{
}

Result<> YModemSender::start(const OpContext& op)
{
    Session session{*this, op};
    auto begun = session.begin();
    // Whoever is at the far end of a silent line is no YModem receiver, and is told nothing.
    if (!begun && begun.error().code == Errc::Timeout)
        return begun;
    return session.orCancel(std::move(begun));
}

Result<> YModemSender::send(std::string_view fileName, ByteView content, const OpContext& op)
{
    TRY(start(op));
    Session session{*this, op};
    const auto whole = [&]() -> Result<> {
        TRY(session.sendHeader(fileName, content.size()));
        TRY(session.sendData(content));
        return session.sendEnd();
    };
    TRY(session.orCancel(whole()));
    m_midBatch = true;
    return {};
}

Result<> YModemSender::finish(const OpContext& op)
{
    TRY(start(op));
    Session session{*this, op};
    TRY(session.orCancel(session.sendNullHeader()));
    m_started = false;
    m_midBatch = false;
    return {};
}

} // namespace provost
