#include "protocol/ymodem_receiver.h"

#include "core/text.h"
#include "protocol/unit_text_p.h"
#include "protocol/ymodem_words_p.h"

#include <algorithm>
#include <charconv>

namespace provost {

namespace {

using namespace std::chrono_literals;

constexpr auto kAskEvery = 3s;
constexpr int kMostFaults = 10;
constexpr std::size_t kMostNoise = 64 * 1024; ///< bytes of one damaged frame and what follows it

struct ReceivedFrame {
    enum class Kind : std::uint8_t { Block, End, Cancel, Damaged, Silence };
    Kind kind = Kind::Silence;
    std::uint8_t number = 0;
    Bytes data{};
};

/// The last part of a path of either kind; empty where nothing usable is left.
std::string plainName(std::string_view text)
{
    const auto cut = text.find_last_of("/\\");
    std::string name = printable(cut == std::string_view::npos ? text : text.substr(cut + 1), 255);
    return name == "." || name == ".." ? std::string{} : name;
}

Result<YModemFile> parseHeader(ByteView block)
{
    const std::string text = toText(block);
    const std::size_t nameEnd = std::min(text.find('\0'), text.size());
    YModemFile file{.name = plainName(std::string_view(text).substr(0, nameEnd))};
    if (file.name.empty())
        return fail(Errc::InvalidData, Blame::Operator,
                    concat("receive a file by YModem: the name \"",
                           printable(std::string_view(text).substr(0, nameEnd)),
                           "\" cannot be used; rename it at the sender"));
    const char* const first = text.data() + std::min(nameEnd + 1, text.size());
    std::uint64_t size = 0;
    const auto [end, error] = std::from_chars(first, text.data() + text.size(), size);
    if (error == std::errc{} && end != first)
        file.announced = size;
    return file;
}

} // namespace

/// What one call of receive() shares.
struct YModemReceiver::Session {
    YModemReceiver& receiver;
    const OpContext& op;
    int faults = 0; ///< in a row

    const YModemReceiveOptions& options() const { return receiver.m_options; }

    Result<std::optional<std::byte>> next(std::chrono::milliseconds limit);
    Result<ReceivedFrame> readFrame(std::chrono::milliseconds limit);
    Result<ReceivedFrame> readBlock(std::size_t size);
    Result<> purge();
    Result<> say(std::byte word);
    Result<> ask() { return say(options().streaming ? ymodem::kWantStream : ymodem::kWantCrc); }
    Result<> repair(std::byte word, const std::string& what);
    Result<> unexpected(const ReceivedFrame& frame, const std::string& what);
    Result<Bytes> awaitHeader();
    Result<> accept(const YModemFile& file);
    Result<bool> takeBlock(const ReceivedFrame& frame, std::uint32_t& expected, YModemFile& file);
    Result<> awaitData(YModemFile& file);
    Result<bool> takeEnd(bool& sawEnd, const YModemFile& file);
    Result<std::optional<YModemFile>> receive();
};

/// One byte; nothing after `limit` without any.
Result<std::optional<std::byte>> YModemReceiver::Session::next(std::chrono::milliseconds limit)
{
    if (receiver.m_at == receiver.m_end) {
        auto count = receiver.m_line.readSome(receiver.m_buffer, op.within(limit));
        if (!count && count.error().code == Errc::Timeout && op.checkpoint())
            return std::optional<std::byte>{};
        if (!count)
            return Unexpected(std::move(count).error());
        receiver.m_at = 0;
        receiver.m_end = *count;
    }
    return std::optional(receiver.m_buffer.at(receiver.m_at++));
}

Result<ReceivedFrame> YModemReceiver::Session::readFrame(std::chrono::milliseconds limit)
{
    using Kind = ReceivedFrame::Kind;
    const auto lead = TRY(next(limit));
    if (!lead)
        return ReceivedFrame{};
    if (*lead == ymodem::kSoh || *lead == ymodem::kStx)
        return readBlock(*lead == ymodem::kSoh ? ymodem::kSmallBlock : ymodem::kLargeBlock);
    if (*lead == ymodem::kEot)
        return ReceivedFrame{.kind = Kind::End};
    if (*lead == ymodem::kCan) {
        const auto second = TRY(next(ymodem::kGap));
        if (second && *second == ymodem::kCan)
            return ReceivedFrame{.kind = Kind::Cancel};
    }
    return ReceivedFrame{.kind = Kind::Damaged};
}

Result<ReceivedFrame> YModemReceiver::Session::readBlock(std::size_t size)
{
    ReceivedFrame frame{.kind = ReceivedFrame::Kind::Damaged};
    Bytes bytes;
    bytes.reserve(size + 4);
    while (bytes.size() < size + 4) {
        const auto byte = TRY(next(ymodem::kGap));
        if (!byte)
            return frame;
        bytes.push_back(*byte);
        // The rest of what was buffered in one piece.
        const std::size_t room = std::min(size + 4 - bytes.size(), receiver.m_end - receiver.m_at);
        const auto from = receiver.m_buffer.begin() + static_cast<std::ptrdiff_t>(receiver.m_at);
        bytes.insert(bytes.end(), from, from + static_cast<std::ptrdiff_t>(room));
        receiver.m_at += room;
    }
    const ByteView data = ByteView(bytes).subspan(2, size);
    if ((u8(bytes[0]) ^ u8(bytes[1])) != 0xFF || crc16Xmodem(data) != readBe16(bytes, size + 2))
        return frame;
    frame.kind = ReceivedFrame::Kind::Block;
    frame.number = u8(bytes[0]);
    frame.data = toBytes(data);
    return frame;
}

/// What is left of a damaged frame.
Result<> YModemReceiver::Session::purge()
{
    for (std::size_t dropped = 0; dropped < kMostNoise; ++dropped) {
        if (!TRY(next(options().silence)))
            return {};
    }
    return fail(Errc::Protocol, Blame::Unit,
                concat("receive by YModem: ", kMostNoise,
                       " bytes without a pause and without a frame; check the line's rate"));
}

Result<> YModemReceiver::Session::say(std::byte word)
{
    return receiver.m_line.writeAll({&word, 1}, op);
}

/// Asks for the last frame again, as long as that makes sense.
Result<> YModemReceiver::Session::repair(std::byte word, const std::string& what)
{
    if (++faults > kMostFaults)
        return fail(Errc::Protocol, Blame::Unit,
                    concat(what, ": ", faults, " faults in a row; check the line"));
    if (receiver.m_retries >= options().retryBudget)
        return fail(Errc::Protocol, Blame::Unit,
                    concat(what, ": all ", options().retryBudget,
                           " repeats of this batch are spent; check the line"));
    ++receiver.m_retries;
    return say(word);
}

/// A frame that no state expects.
Result<> YModemReceiver::Session::unexpected(const ReceivedFrame& frame, const std::string& what)
{
    if (frame.kind == ReceivedFrame::Kind::Cancel) {
        static_cast<void>(say(ymodem::kAck));
        return fail(Errc::Denied, Blame::Unit, concat(what, ": the sender cancels"));
    }
    return fail(Errc::Protocol, Blame::Unit,
                concat(what, ": block ", static_cast<int>(frame.number), " came instead"));
}

Result<Bytes> YModemReceiver::Session::awaitHeader()
{
    using Kind = ReceivedFrame::Kind;
    const std::string what = "receive a YModem header";
    TRY(ask());
    for (int asks = 1;;) {
        auto frame = TRY(readFrame(kAskEvery));
        if (frame.kind == Kind::Block && frame.number == 0)
            return std::move(frame.data);
        if (frame.kind == Kind::Silence) {
            if (asks++ >= options().mostAsks)
                return fail(Errc::Timeout, Blame::Unit,
                            concat(what, ": the sender did not answer ", options().mostAsks,
                                   " requests; start it, then receive again"));
            TRY(ask());
            continue;
        }
        if (frame.kind == Kind::Block || frame.kind == Kind::Cancel)
            TRY(unexpected(frame, what));
        if (frame.kind == Kind::End) // our ACK of the last file's EOT was lost
            TRY(say(ymodem::kAck));
        else
            TRY(purge());
        // Not NAK: in front of the first block it would ask for checksums (Forsberg, 7.3.2).
        TRY(repair(options().streaming ? ymodem::kWantStream : ymodem::kWantCrc, what));
    }
}

Result<> YModemReceiver::Session::accept(const YModemFile& file)
{
    if (file.announced.value_or(0) > options().mostBytes)
        return fail(Errc::Denied, Blame::Operator,
                    concat("receive ", file.name, " by YModem: ", *file.announced,
                           " bytes are announced, at most ", options().mostBytes, " are taken"));
    if (options().accepts)
        TRY(options().accepts(file));
    if (!options().streaming)
        TRY(say(ymodem::kAck));
    return ask();
}

/// False: it was a repeat.
Result<bool> YModemReceiver::Session::takeBlock(const ReceivedFrame& frame, std::uint32_t& expected,
                                                YModemFile& file)
{
    const std::string what = concat("receive block ", expected, " of ", file.name);
    const auto wrapped = static_cast<std::uint8_t>(expected & 0xFF);
    const bool repeated = frame.number == static_cast<std::uint8_t>(wrapped - 1);
    if (frame.number != wrapped && (!repeated || options().streaming))
        TRY(unexpected(frame, what));
    if (!options().streaming)
        TRY(say(ymodem::kAck));
    faults = 0;
    if (repeated) {
        if (expected == 1) // the header once more: our ACK was lost, and the request with it
            TRY(ask());
        return false;
    }
    if (file.announced && file.content.size() >= *file.announced)
        return fail(Errc::InvalidData, Blame::Unit,
                    concat(what, ": more than the ", *file.announced, " bytes that it announced"));
    if (file.content.size() + frame.data.size() > options().mostBytes + ymodem::kLargeBlock)
        return fail(Errc::Denied, Blame::Operator,
                    concat(what, ": more than the ", options().mostBytes, " bytes to be taken"));
    file.content.insert(file.content.end(), frame.data.begin(), frame.data.end());
    ++expected;
    return true;
}

/// True: the file is complete. A first EOT that is refused comes again; a block does not.
Result<bool> YModemReceiver::Session::takeEnd(bool& sawEnd, const YModemFile& file)
{
    if (options().refusesEot && !options().streaming && !sawEnd) {
        sawEnd = true;
        TRY(say(ymodem::kNak));
        return false;
    }
    if (file.announced && file.content.size() < *file.announced)
        return fail(Errc::InvalidData, Blame::Unit,
                    concat("receive ", file.name, " by YModem: it ends after ", file.content.size(),
                           " of ", *file.announced, " bytes"));
    TRY(say(ymodem::kAck));
    return true;
}

Result<> YModemReceiver::Session::awaitData(YModemFile& file)
{
    using Kind = ReceivedFrame::Kind;
    std::uint32_t expected = 1;
    bool sawEnd = false;
    while (true) {
        const auto frame = TRY(readFrame(options().replyLimit));
        const std::string what = concat("receive block ", expected, " of ", file.name);
        switch (frame.kind) {
        case Kind::Block:
            sawEnd = false;
            if (TRY(takeBlock(frame, expected, file)) && file.announced)
                op.progress.advance(file.content.size(), *file.announced);
            continue;
        case Kind::End:
            if (TRY(takeEnd(sawEnd, file)))
                return {};
            continue;
        case Kind::Cancel:
            TRY(unexpected(frame, what));
            break;
        case Kind::Damaged:
        case Kind::Silence:
            break;
        }
        if (options().streaming)
            return fail(frame.kind == Kind::Silence ? Errc::Timeout : Errc::Protocol, Blame::Unit,
                        concat(what, frame.kind == Kind::Silence ? ": silence" : ": damaged",
                               ", and YModem-G repairs nothing; receive without -G"));
        if (frame.kind == Kind::Damaged)
            TRY(purge());
        else if (faults == kMostFaults)
            return fail(Errc::Timeout, Blame::Unit, concat(what, ": the sender is silent"));
        TRY(repair(expected == 1 ? ymodem::kWantCrc : ymodem::kNak, what));
    }
}

Result<std::optional<YModemFile>> YModemReceiver::Session::receive()
{
    if (!receiver.m_inBatch) // nobody speaks before being asked: left over from another session
        TRY(receiver.m_line.discardInput());
    receiver.m_inBatch = true;
    const Bytes header = TRY(awaitHeader());
    faults = 0;
    // The first byte alone decides: lrzsz sets others in the header that ends a batch (sheet 4.4).
    if (header.front() == std::byte{0}) {
        TRY(say(ymodem::kAck));
        receiver.m_inBatch = false;
        return std::optional<YModemFile>{};
    }
    YModemFile file = TRY(parseHeader(header));
    TRY(accept(file));
    TRY(awaitData(file));
    if (file.announced)
        file.content.resize(static_cast<std::size_t>(*file.announced));
    return std::optional(std::move(file));
}

YModemReceiver::YModemReceiver(ByteStream& line, YModemReceiveOptions options)
    : m_line(line), m_options(std::move(options))
{
}

Result<std::optional<YModemFile>> YModemReceiver::receive(const OpContext& op)
{
    auto received = Session{*this, op}.receive();
    if (!received && received.error().code != Errc::Disconnected)
        static_cast<void>(cancel(op));
    return received;
}

Result<> YModemReceiver::cancel(const OpContext& op)
{
    m_at = m_end; // what the sender said behind it is void
    m_inBatch = false;
    return m_line.writeAll(ymodem::farewell(), op.shielded(ymodem::kGap));
}

} // namespace provost
