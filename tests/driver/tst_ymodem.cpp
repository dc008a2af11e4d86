// YModemSender and YModemReceiver: against each other, and against every answer of a far end that
// is written here (protocol sheet 4).
#include "driver/scripted_line.h"
#include "protocol/ymodem_receiver.h"
#include "protocol/ymodem_sender.h"
#include "support/test_program.h"
#include "transport/tcp_stream.h"

#include "core/crc.h"
#include "core/text.h"

#include <QTest>

#include <future>
#include <sys/socket.h>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

const Bytes kAckByte{std::byte{0x06}};
const Bytes kNakByte{std::byte{0x15}};
const Bytes kCancelBytes{std::byte{0x18}, std::byte{0x18}};
const Bytes kWantsC{std::byte{'C'}};
const Bytes kWantsG{std::byte{'G'}};
const Bytes kEndByte{std::byte{0x04}};

Bytes contentOf(std::size_t size)
{
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>((i * 57 + i / 253) & 0xFF);
    return bytes;
}

/// A frame as Forsberg draws it, made by hand.
Bytes frame(unsigned number, Bytes data, std::size_t size = 128)
{
    data.resize(size, number == 0 ? std::byte{0} : std::byte{0x1A});
    Bytes bytes;
    ByteWriter(bytes)
        .u8(size == 1024 ? 2 : 1)
        .u8(number)
        .u8(255 - number)
        .raw(data)
        .be16(crc16Xmodem(data));
    return bytes;
}

Bytes headerFrame(std::string_view name, std::string_view rest)
{
    return frame(0, toBytes(concat(name, std::string(1, '\0'), rest)));
}

std::size_t count(const ScriptedLine& line, const Bytes& what)
{
    return static_cast<std::size_t>(std::ranges::count(line.writes, what));
}

bool saidFarewell(const ScriptedLine& line)
{
    return !line.writes.empty() && line.writes.back().size() == 16 &&
           line.writes.back()[1] == std::byte{0x18};
}

class Stage {
public:
    explicit Stage(ScriptedLine::Answer answer) : line(clock, std::move(answer)) {}
    OpContext op(std::chrono::milliseconds span = 600s) const
    {
        return {.clock = clock, .deadline = {clock.now() + span}};
    }
    std::chrono::milliseconds elapsed() const
    {
        return std::chrono::duration_cast<std::chrono::milliseconds>(clock.now() - m_start);
    }
    VirtualClock clock;
    ScriptedLine line;

private:
    Clock::Steady m_start = clock.now();
};

/// A receiver that takes everything, unless the test says otherwise for one frame.
std::vector<Saying> polite(ByteView written)
{
    if (written.size() < 100)
        return {{kAckByte}, {kWantsC}};
    return u8(written[1]) == 0 && written[3] != std::byte{0}
               ? std::vector<Saying>{{kAckByte}, {kWantsC}}
               : std::vector<Saying>{{kAckByte}};
}

#define VERIFY_SENT(expression)                                                                    \
    do {                                                                                           \
        const auto& outcome = (expression);                                                        \
        QVERIFY2(outcome.has_value(), outcome ? "" : describe(outcome.error()).c_str());           \
    } while (false)
#define VERIFY_REFUSED(expression, errc)                                                           \
    do {                                                                                           \
        const auto& outcome = (expression);                                                        \
        QVERIFY(!outcome.has_value());                                                             \
        QVERIFY2(outcome.error().code == (errc), describe(outcome.error()).c_str());               \
    } while (false)

class TstYmodem : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void both_carryEverySizeAndABatch_data();
    void both_carryEverySizeAndABatch();
    void sender_waitsOutTheErasePause();
    void sender_endsAtCancelCancel_data();
    void sender_endsAtCancelCancel();
    void sender_repeatsTenTimesAndCancels();
    void sender_spendsNoMoreThanItsBudget();
    void sender_dropsALateAnswerBeforeItRepeats();
    void sender_acceptsEveryAnswerToEot_data();
    void sender_acceptsEveryAnswerToEot();
    void sender_takesARequestInFrontOfTheAck();
    void sender_leavesASilentLineAlone();
    void sender_stopsStreamingAtOneCancel();
    void sender_neverRepeatsABlockToAUnit();
    void sender_closesBehindEotOfAUnitWithoutBeingAsked();
    void receiver_acknowledgesARepeatAndDropsIt();
    void receiver_refusesBlocksOutOfOrder();
    void receiver_obeysCancelCancel();
    void receiver_goesOnBehindAnEotThatWasNone();
    void receiver_refusesWhatTheHeaderDoesNotAnnounce_data();
    void receiver_refusesWhatTheHeaderDoesNotAnnounce();
    void receiver_keepsThePaddingWhereNoSizeIsAnnounced();
    void receiver_usesTheNameOnly_data();
    void receiver_usesTheNameOnly();
    void receiver_asksTwentyTimes();
    void receiver_endsInEndlessNoise();
    void receiver_streamingEndsAtTheFirstDamage();
};

void TstYmodem::both_carryEverySizeAndABatch_data()
{
    QTest::addColumn<bool>("streaming");
    QTest::addColumn<int>("block");
    QTest::newRow("blocks of 1024") << false << 1024;
    QTest::newRow("blocks of 128") << false << 128;
    QTest::newRow("YModem-G") << true << 1024;
}

void TstYmodem::both_carryEverySizeAndABatch()
{
    QFETCH(const bool, streaming);
    QFETCH(const int, block);
    std::array<int, 2> ends{};
    QVERIFY(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const std::vector<std::size_t> sizes{0, 1, 128, 897, 1024, 1025, 300'000, 0};
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + 60s}};
    auto sent = std::async(std::launch::async, [&]() -> Result<> {
        TcpStream line(ends[0]);
        YModemSender sender(line, {.blockSize = block});
        for (const std::size_t size : sizes)
            TRY(sender.send(concat("a/b/file-", size), contentOf(size), op));
        TRY(sender.finish(op));
        if (sender.streams() != streaming)
            return fail(Errc::Mismatch, Blame::Software, "not as it was asked");
        return {};
    });
    TcpStream line(ends[1]);
    YModemReceiver receiver(line, {.streaming = streaming});
    for (const std::size_t size : sizes) {
        const auto file = receiver.receive(op);
        QVERIFY2(file && *file, file ? "no file" : describe(file.error()).c_str());
        QCOMPARE((*file)->name, concat("file-", size));
        QCOMPARE((*file)->announced.value_or(999), size);
        QVERIFY((*file)->content == contentOf(size));
    }
    const auto end = receiver.receive(op);
    QVERIFY(end && !*end);
    VERIFY_SENT(sent.get());
    QCOMPARE(receiver.retries(), 0);
}

void TstYmodem::sender_waitsOutTheErasePause()
{
    const auto slow = [](ByteView written) -> std::vector<Saying> {
        if (written.size() > 100 && u8(written[1]) == 0 && written[3] != std::byte{0})
            return {{kAckByte, 69s}, {kWantsC, 69s}};
        return polite(written);
    };
    for (const auto flavour : {YModemFlavour::Standard, YModemFlavour::Unit}) {
        Stage stage(slow);
        stage.line.say({kWantsC});
        YModemSender sender(stage.line, {.flavour = flavour});
        if (flavour == YModemFlavour::Unit)
            VERIFY_SENT(stage.line.discardInput());
        VERIFY_SENT(sender.send("a", contentOf(10), stage.op()));
        QCOMPARE(sender.retries(), 0);
        QCOMPARE(stage.line.writes.size(), std::size_t{3}); // header, block, EOT
    }
}

void TstYmodem::sender_endsAtCancelCancel_data()
{
    QTest::addColumn<int>("at");
    for (const int at : {0, 1, 2, 3, 4})
        QTest::newRow(concat("write ", at).c_str()) << at;
}

void TstYmodem::sender_endsAtCancelCancel()
{
    QFETCH(const int, at);
    int number = 0;
    Stage stage([&](ByteView written) {
        return number++ == at ? std::vector<Saying>{{kCancelBytes}} : polite(written);
    });
    stage.line.say({kWantsC});
    YModemSender sender(stage.line);
    auto result = sender.send("a", contentOf(2000), stage.op());
    if (result)
        result = sender.finish(stage.op());
    VERIFY_REFUSED(result, Errc::Denied);
    QCOMPARE(stage.line.writes.size(), static_cast<std::size_t>(at) + 1); // nothing behind it
}

void TstYmodem::sender_repeatsTenTimesAndCancels()
{
    Stage stage([](ByteView written) {
        return written.size() > 100 && u8(written[1]) == 2 ? std::vector<Saying>{{kNakByte}}
                                                           : polite(written);
    });
    stage.line.say({kWantsC});
    YModemSender sender(stage.line);
    VERIFY_REFUSED(sender.send("a", contentOf(5000), stage.op()), Errc::Protocol);
    QCOMPARE(sender.retries(), 10);
    QCOMPARE(stage.line.writes.size(), std::size_t{2 + 11 + 1});
    QVERIFY(saidFarewell(stage.line));
}

void TstYmodem::sender_spendsNoMoreThanItsBudget()
{
    std::size_t number = 0;
    Stage stage([&](ByteView written) { // every other frame goes wrong
        return number++ % 2 == 0 ? std::vector<Saying>{{kNakByte}} : polite(written);
    });
    stage.line.say({kWantsC});
    YModemSender sender(stage.line, {.retryBudget = 5});
    const auto result = sender.send("a", contentOf(20'000), stage.op());
    VERIFY_REFUSED(result, Errc::Protocol);
    QVERIFY(result.error().message.find("all 5 repeats") != std::string::npos);
    QVERIFY(saidFarewell(stage.line));
}

void TstYmodem::sender_dropsALateAnswerBeforeItRepeats()
{
    // The first ACK of block 1 comes late, behind the second copy's; block 2 is lost once.
    int firsts = 0;
    int seconds = 0;
    Stage stage([&](ByteView written) -> std::vector<Saying> {
        if (written.size() > 100 && u8(written[1]) == 1 && firsts++ == 0)
            return {{kAckByte, 10s}};
        if (written.size() > 100 && u8(written[1]) == 2 && seconds++ == 0)
            return {};
        return polite(written);
    });
    stage.line.say({kWantsC});
    YModemSender sender(stage.line);
    VERIFY_SENT(sender.send("a", contentOf(2048), stage.op()));
    QCOMPARE(seconds, 2); // the late ACK was not taken for block 2
    QCOMPARE(sender.retries(), 2);
}

void TstYmodem::sender_acceptsEveryAnswerToEot_data()
{
    QTest::addColumn<QByteArray>("first");
    QTest::addColumn<int>("ends");
    QTest::newRow("ACK") << QByteArray("\x06") << 1;
    QTest::newRow("ACK C") << QByteArray("\x06"
                                         "C")
                           << 1;
    QTest::newRow("NAK") << QByteArray("\x15") << 2;
    QTest::newRow("silence") << QByteArray() << 2;
    QTest::newRow("C") << QByteArray("C") << 2;
}

void TstYmodem::sender_acceptsEveryAnswerToEot()
{
    QFETCH(const QByteArray, first);
    QFETCH(const int, ends);
    int number = 0;
    Stage stage([&](ByteView written) -> std::vector<Saying> {
        if (toBytes(written) == kEndByte && number++ == 0)
            return {
                {toBytes(std::string_view(first.data(), static_cast<std::size_t>(first.size())))}};
        return polite(written);
    });
    stage.line.say({kWantsC});
    YModemSender sender(stage.line);
    VERIFY_SENT(sender.send("a", contentOf(1), stage.op()));
    VERIFY_SENT(sender.finish(stage.op()));
    QCOMPARE(count(stage.line, kEndByte), static_cast<std::size_t>(ends));
}

void TstYmodem::sender_takesARequestInFrontOfTheAck()
{
    Stage stage([](ByteView written) -> std::vector<Saying> {
        if (written.size() > 100 && u8(written[1]) == 0)
            return {{kWantsC}, {kAckByte}}; // and nothing behind it
        return polite(written);
    });
    stage.line.say({kWantsC});
    YModemSender sender(stage.line);
    VERIFY_SENT(sender.send("a", contentOf(1), stage.op()));
    QVERIFY(stage.elapsed() <= 1s); // not the ten of a request that does not come
}

void TstYmodem::sender_leavesASilentLineAlone()
{
    Stage silent({});
    YModemSender other(silent.line);
    VERIFY_REFUSED(other.send("a", contentOf(1), silent.op()), Errc::Timeout);
    QVERIFY(silent.line.writes.empty());
    QCOMPARE(silent.elapsed(), 60'000ms);
}

void TstYmodem::sender_stopsStreamingAtOneCancel()
{
    std::size_t number = 0;
    Stage stage([&](ByteView) -> std::vector<Saying> {
        ++number;
        if (number == 1)
            return {{kWantsG}};
        return number == 12 ? std::vector<Saying>{{Bytes{std::byte{0x18}}}} : std::vector<Saying>{};
    });
    stage.line.say({kWantsG});
    YModemSender sender(stage.line);
    VERIFY_REFUSED(sender.send("a", contentOf(1 << 20), stage.op()), Errc::Denied);
    QVERIFY(sender.streams());
    QVERIFY2(stage.line.writes.size() < 24, "it was not heard");
}

void TstYmodem::sender_neverRepeatsABlockToAUnit()
{
    for (const bool silent : {true, false}) {
        Stage stage([&](ByteView written) -> std::vector<Saying> {
            if (written.size() > 100 && u8(written[1]) == 2)
                return silent ? std::vector<Saying>{} : std::vector<Saying>{{kNakByte}};
            return polite(written);
        });
        YModemSender sender(stage.line, {.flavour = YModemFlavour::Unit});
        VERIFY_REFUSED(sender.send("a", contentOf(5000), stage.op()), Errc::Protocol);
        QCOMPARE(stage.line.writes.size(), std::size_t{4}); // header, 1, 2, farewell
        QVERIFY(saidFarewell(stage.line));
        QVERIFY(!silent || stage.elapsed() >= 70s);
    }
}

void TstYmodem::sender_closesBehindEotOfAUnitWithoutBeingAsked()
{
    Stage stage([](ByteView written) -> std::vector<Saying> {
        if (toBytes(written) == kEndByte)
            return {{kAckByte}}; // no 'C' behind it
        return polite(written);
    });
    YModemSender sender(stage.line, {.flavour = YModemFlavour::Unit});
    VERIFY_SENT(sender.send("a", contentOf(3000), stage.op()));
    const auto ended = stage.elapsed();
    VERIFY_SENT(sender.finish(stage.op()));
    QVERIFY(stage.elapsed() - ended <= 1s);
}

void TstYmodem::receiver_acknowledgesARepeatAndDropsIt()
{
    const std::deque<Bytes> script{headerFrame("a", "200 0"),
                                   headerFrame("a", "200 0"),
                                   frame(1, contentOf(128)),
                                   frame(1, contentOf(128)),
                                   frame(2, contentOf(72)),
                                   kEndByte,
                                   kEndByte};
    std::size_t next = 0;
    Stage stage([&](ByteView written) -> std::vector<Saying> {
        // The answers to a header are two writes; the sender speaks behind the second one.
        const bool speaks = toBytes(written) != kAckByte || next > 3;
        return speaks && next < script.size() ? std::vector<Saying>{{script.at(next++)}}
                                              : std::vector<Saying>{};
    });
    YModemReceiver receiver(stage.line);
    const auto file = receiver.receive(stage.op());
    QVERIFY2(file && *file, file ? "" : describe(file.error()).c_str());
    Bytes wanted = contentOf(128);
    const Bytes tail = contentOf(72);
    wanted.insert(wanted.end(), tail.begin(), tail.end());
    QVERIFY((*file)->content == wanted);
}

/// Lets the receiver hear all of `frames` at once, behind its first request, as far as it reads.
Result<std::optional<YModemFile>> receiveAt(Stage& stage, const std::vector<Bytes>& frames,
                                            YModemReceiveOptions options = {})
{
    for (const Bytes& each : frames)
        stage.line.say({each, 10ms});
    YModemReceiver receiver(stage.line, options);
    return receiver.receive(stage.op());
}

void TstYmodem::receiver_refusesBlocksOutOfOrder()
{
    Stage stage({});
    VERIFY_REFUSED(
        receiveAt(stage, {headerFrame("a", "999 0"), frame(1, contentOf(128)), frame(3, {})}),
        Errc::Protocol);
    QVERIFY(saidFarewell(stage.line));
}

void TstYmodem::receiver_obeysCancelCancel()
{
    for (const auto& before : {std::vector<Bytes>{},
                               {headerFrame("a", "999 0")},
                               {headerFrame("a", "999 0"), frame(1, contentOf(128))}}) {
        Stage stage({});
        auto frames = before;
        frames.push_back(kCancelBytes);
        VERIFY_REFUSED(receiveAt(stage, frames), Errc::Denied);
        QVERIFY(stage.line.writes.size() >= 2 &&
                stage.line.writes.at(stage.line.writes.size() - 2) == kAckByte);
    }
}

void TstYmodem::receiver_goesOnBehindAnEotThatWasNone()
{
    Stage stage({});
    const auto file = receiveAt(stage, {headerFrame("a", "256 0"), frame(1, contentOf(128)),
                                        kEndByte, frame(2, contentOf(128)), kEndByte, kEndByte});
    QVERIFY2(file && *file, file ? "" : describe(file.error()).c_str());
    QCOMPARE((*file)->content.size(), std::size_t{256});
}

void TstYmodem::receiver_refusesWhatTheHeaderDoesNotAnnounce_data()
{
    QTest::addColumn<QByteArray>("size");
    QTest::addColumn<int>("code");
    QTest::newRow("less comes") << QByteArray("129 0") << int(Errc::InvalidData);
    QTest::newRow("more comes") << QByteArray("0 0") << int(Errc::InvalidData);
    QTest::newRow("more than is taken") << QByteArray("99999999999 0") << int(Errc::Denied);
}

void TstYmodem::receiver_refusesWhatTheHeaderDoesNotAnnounce()
{
    QFETCH(const QByteArray, size);
    QFETCH(const int, code);
    Stage stage({});
    VERIFY_REFUSED(receiveAt(stage, {headerFrame("a", size.data()), frame(1, contentOf(128)),
                                     kEndByte, kEndByte}),
                   static_cast<Errc>(code));
    QVERIFY(saidFarewell(stage.line));
}

void TstYmodem::receiver_keepsThePaddingWhereNoSizeIsAnnounced()
{
    Stage stage({});
    const auto file =
        receiveAt(stage, {headerFrame("a", ""), frame(1, contentOf(5)), kEndByte, kEndByte});
    QVERIFY2(file && *file, file ? "" : describe(file.error()).c_str());
    QVERIFY(!(*file)->announced);
    QCOMPARE((*file)->content.size(), std::size_t{128});
}

void TstYmodem::receiver_usesTheNameOnly_data()
{
    QTest::addColumn<QByteArray>("sent");
    QTest::addColumn<QByteArray>("used");
    QTest::newRow("path") << QByteArray("../../etc/passwd") << QByteArray("passwd");
    QTest::newRow("other path") << QByteArray("c:\\a.bin") << QByteArray("a.bin");
    QTest::newRow("parent") << QByteArray("..") << QByteArray();
    QTest::newRow("folder") << QByteArray("a/") << QByteArray();
}

void TstYmodem::receiver_usesTheNameOnly()
{
    QFETCH(const QByteArray, sent);
    QFETCH(const QByteArray, used);
    Stage stage({});
    const auto file = receiveAt(
        stage, {headerFrame(sent.data(), "1 0"), frame(1, contentOf(1)), kEndByte, kEndByte});
    if (used.isEmpty()) {
        VERIFY_REFUSED(file, Errc::InvalidData);
        return;
    }
    QVERIFY2(file && *file, file ? "" : describe(file.error()).c_str());
    QCOMPARE((*file)->name, used.toStdString());
}

void TstYmodem::receiver_asksTwentyTimes()
{
    Stage stage({});
    VERIFY_REFUSED(receiveAt(stage, {}), Errc::Timeout);
    QCOMPARE(count(stage.line, kWantsC), std::size_t{20});
    QCOMPARE(stage.elapsed(), 60'000ms);
}

void TstYmodem::receiver_endsInEndlessNoise()
{
    Stage stage({});
    VERIFY_REFUSED(receiveAt(stage, {Bytes(200'000, std::byte{0x55})}), Errc::Protocol);
    Stage beat([](ByteView) -> std::vector<Saying> { return {{Bytes(3, std::byte{0x55})}}; });
    VERIFY_REFUSED(receiveAt(beat, {}), Errc::Protocol);
    QVERIFY(beat.line.writes.size() <= 13);
}

void TstYmodem::receiver_streamingEndsAtTheFirstDamage()
{
    Bytes damaged = frame(2, contentOf(128));
    damaged[40] ^= std::byte{1};
    Stage stage({});
    VERIFY_REFUSED(receiveAt(stage, {headerFrame("a", "999 0"), frame(1, contentOf(128)), damaged},
                             {.streaming = true}),
                   Errc::Protocol);
    QVERIFY(saidFarewell(stage.line));
    QCOMPARE(count(stage.line, kAckByte), std::size_t{0});
}

} // namespace

PROVOST_TEST("ymodem", TstYmodem)
#include "tst_ymodem.moc"
