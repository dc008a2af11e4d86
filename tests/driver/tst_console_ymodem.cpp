// YModem to the receiver of a unit in listening mode (particle-devices 7.5).
#include "core/text.h"
#include "protocol/ymodem_sender.h"
#include "support/test_program.h"
#include "support/verify.h"
#include "talking_line.h"

#include <QTest>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

/// The unit's own YModem receiver, seen from outside.
struct UnitReceiver {
    TalkingLine& line;
    std::string verdict{}; ///< what it says to the empty header
    std::chrono::milliseconds eraseTime{0};
    int loseAckOf = -1;
    bool refusesHeader = false;
    std::string name{};
    Bytes data{};
    int repeats = 0;
    int expected = 0;
    bool ended = false;
    std::size_t size = 0;
    std::vector<std::string> atWrite{};

    void take(ByteView frame)
    {
        if (frame.size() == 1 && u8(frame[0]) == 'f') {
            line.say("Waiting for the binary file to be sent ... (press 'a' to abort)\r\n", 2ms);
            return;
        }
        if (u8(frame[0]) == 0x04) {
            expected = 0;
            ended = true;
            line.say("\x06", 1ms); // and no 'C' behind it for 5 s
            return;
        }
        if (u8(frame[0]) != 0x01 && u8(frame[0]) != 0x02)
            return;
        const std::size_t bytes = u8(frame[0]) == 0x02 ? 1024 : 128;
        if (frame.size() != bytes + 5 || u8(frame[1]) != (255 - u8(frame[2]))) {
            line.say("C");
            return;
        }
        if (u8(frame[1]) != (expected & 0xFF)) {
            ++repeats;
            line.say("\x15");
            return;
        }
        block(frame.subspan(3, bytes));
    }
    void block(ByteView payload)
    {
        const int number = expected++;
        if (number == 0 && u8(payload[0]) == 0) {
            line.say(verdict, 2000ms);
            return;
        }
        if (number == 0) {
            name = toText(payload).c_str();
            size = std::stoul(toText(payload).substr(name.size() + 1));
            line.say(refusesHeader ? "\x18\x18The file size is higher than the allowed space "
                                     "memory!\r\n"
                                   : "\x06"
                                     "C",
                     eraseTime);
            return;
        }
        data.insert(data.end(), payload.begin(), payload.end());
        if (number != loseAckOf)
            line.say("\x06", 2ms);
    }
};

Bytes consolePattern(std::size_t size)
{
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>((i * 7 + i / 256) & 0xFF);
    return bytes;
}

class TstConsoleYmodem : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void sendModule_deliversToTheUnit();
    void sendModule_reportsTheUnitsWords();
    void sendModule_reportsARefusedHeader();
    void sendModule_takesARestartBehindTheAckForSuccess();
    void sendModule_neverRepeatsABlock();
    void ymodem_startsAgainBehindALateC();
    void ymodem_answersTheEotHandshake();
    void ymodem_givesUpAfterTenRefusals();
    void ymodem_cancelsTheReceiverWhenStopped();
    void ymodem_streamsWhereTheReceiverAsksForIt();
    void ymodem_refusesNamesThatDoNotFit();
};

void TstConsoleYmodem::sendModule_deliversToTheUnit()
{
    ConsoleBench bench;
    UnitReceiver unit{.line = bench.line,
                      .verdict = "\x06\r\nDownloaded file successfully!\r\nName: binary\r\n",
                      .eraseTime = 20s};
    bench.line.onWrite([&](ByteView data) { unit.take(data); });
    const Bytes module = consolePattern(300 * 1024 + 77); // the block number wraps
    VERIFY_OK(bench.console.sendModule("binary", module, bench.op()));
    QCOMPARE(unit.name, std::string("binary"));
    QCOMPARE(unit.size, module.size());
    QVERIFY(unit.ended);
    QCOMPARE(unit.repeats, 0);
    unit.data.resize(module.size());
    QVERIFY(unit.data == module);
    // 20 s of erasing, 2 s of validation, 2 ms a block; never 5 s of waiting for a 'C'.
    QVERIFY(bench.clock.now().time_since_epoch() < 26s);
}

void TstConsoleYmodem::sendModule_reportsTheUnitsWords()
{
    ConsoleBench bench;
    UnitReceiver unit{.line = bench.line, .verdict = "\x18\x18Validation failed: 0x1d\r\n"};
    bench.line.onWrite([&](ByteView data) { unit.take(data); });
    const auto sent = bench.console.sendModule("binary", consolePattern(2000), bench.op());
    VERIFY_FAILS(sent, Errc::Denied);
    QVERIFY2(sent.error().message.find("Validation failed: 0x1d") != std::string::npos,
             sent.error().message.c_str());

    bench.answers('f', "Firmware update using this terminal is not supported!");
    VERIFY_FAILS(bench.console.sendModule("binary", consolePattern(2000), bench.op()),
                 Errc::Denied);
}

void TstConsoleYmodem::sendModule_reportsARefusedHeader()
{
    ConsoleBench bench;
    UnitReceiver unit{.line = bench.line, .refusesHeader = true};
    bench.line.onWrite([&](ByteView data) { unit.take(data); });
    const auto sent = bench.console.sendModule("binary", consolePattern(2000), bench.op());
    VERIFY_FAILS(sent, Errc::Denied);
    QVERIFY2(sent.error().message.find("higher than the allowed") != std::string::npos,
             sent.error().message.c_str());
}

void TstConsoleYmodem::sendModule_takesARestartBehindTheAckForSuccess()
{
    ConsoleBench bench;
    UnitReceiver unit{.line = bench.line, .verdict = "\x06"};
    bench.line.onWrite([&](ByteView data) {
        unit.take(data);
        if (unit.ended && unit.expected == 1)
            bench.line.hangUp();
    });
    VERIFY_OK(bench.console.sendModule("binary", consolePattern(2000), bench.op()));
}

void TstConsoleYmodem::sendModule_neverRepeatsABlock()
{
    ConsoleBench bench;
    UnitReceiver unit{.line = bench.line, .loseAckOf = 3};
    bench.line.onWrite([&](ByteView data) { unit.take(data); });
    const auto sent = bench.console.sendModule("binary", consolePattern(9000), bench.op());
    VERIFY_FAILS(sent, Errc::Protocol);
    QCOMPARE(unit.repeats, 0);
    // The unit is told, or it would wait for more.
    QVERIFY(bench.line.written().find(std::string(8, '\x18')) != std::string::npos);
}

void TstConsoleYmodem::ymodem_startsAgainBehindALateC()
{
    ConsoleBench bench;
    int headers = 0;
    bench.line.say("C", 3s);
    bench.line.onWrite([&](ByteView frame) {
        if (u8(frame[0]) == 0x04)
            bench.line.say("\x06"
                           "C");
        else if (u8(frame[1]) == 0)
            // The receiver's next 'C' crosses the header; its ACK follows.
            bench.line.say(++headers == 1 ? "C\x06"
                                            "C"
                                          : "\x06");
        else
            bench.line.say("\x06");
    });
    YModemSender sender(bench.line);
    VERIFY_OK(sender.send("a.bin", consolePattern(3000), bench.op()));
    VERIFY_OK(sender.finish(bench.op()));
    QCOMPARE(sender.retries(), 0);
    QCOMPARE(headers, 2);
}

void TstConsoleYmodem::ymodem_answersTheEotHandshake()
{
    ConsoleBench bench;
    int ends = 0;
    bench.line.say("C");
    bench.line.onWrite([&](ByteView frame) {
        if (u8(frame[0]) == 0x04)
            bench.line.say(++ends == 1 ? "\x15"
                                       : "\x06"
                                         "C");
        else
            bench.line.say(u8(frame[1]) == 0 ? "\x06"
                                               "C"
                                             : "\x06");
    });
    YModemSender sender(bench.line);
    VERIFY_OK(sender.send("a.bin", consolePattern(10), bench.op()));
    VERIFY_OK(sender.finish(bench.op()));
    QCOMPARE(ends, 2);
}

void TstConsoleYmodem::ymodem_givesUpAfterTenRefusals()
{
    ConsoleBench bench;
    bench.line.say("C");
    bench.line.onWrite([&](ByteView frame) {
        if (frame.size() > 100)
            bench.line.say(u8(frame[1]) == 0 ? "\x06"
                                               "C"
                                             : "\x15");
    });
    YModemSender sender(bench.line);
    VERIFY_FAILS(sender.send("a.bin", consolePattern(10), bench.op()), Errc::Protocol);
    QCOMPARE(sender.retries(), 10);
}

void TstConsoleYmodem::ymodem_cancelsTheReceiverWhenStopped()
{
    ConsoleBench bench;
    std::stop_source stop;
    bench.line.say("C");
    int frames = 0;
    bench.line.onWrite([&](ByteView frame) {
        if (++frames == 4)
            stop.request_stop();
        bench.line.say(u8(frame[1]) == 0 ? "\x06"
                                           "C"
                                         : "\x06");
    });
    OpContext op = bench.op();
    op.stop = stop.get_token();
    YModemSender sender(bench.line);
    VERIFY_FAILS(sender.send("a.bin", consolePattern(50000), op), Errc::Cancelled);
    QCOMPARE(frames, 5);
    QVERIFY(bench.line.written().ends_with("\x18\x18\x18\x18\x18\x18\x18\x18\b\b\b\b\b\b\b\b"));
}

void TstConsoleYmodem::ymodem_streamsWhereTheReceiverAsksForIt()
{
    ConsoleBench bench;
    bench.line.say("G");
    std::vector<int> numbers;
    bench.line.onWrite([&](ByteView frame) {
        if (u8(frame[0]) == 0x04) {
            bench.line.say("\x06"
                           "G");
            return;
        }
        numbers.push_back(u8(frame[1]));
        if (numbers.size() == 1)
            bench.line.say("G");
        if (numbers.size() > 4)
            bench.line.say("\x06"); // the closing header
    });
    YModemSender sender(bench.line);
    VERIFY_OK(sender.send("a.bin", consolePattern(3 * 1024), bench.op()));
    VERIFY_OK(sender.finish(bench.op()));
    QCOMPARE(numbers, (std::vector<int>{0, 1, 2, 3, 0}));
}

void TstConsoleYmodem::ymodem_refusesNamesThatDoNotFit()
{
    ConsoleBench bench;
    bench.line.say("CCCCC");
    YModemSender sender(bench.line);
    VERIFY_FAILS(sender.send("", consolePattern(1), bench.op()), Errc::InvalidArgument);
    VERIFY_FAILS(sender.send(std::string(101, 'n'), consolePattern(1), bench.op()),
                 Errc::InvalidArgument);
    VERIFY_FAILS(sender.send("folder/", consolePattern(1), bench.op()), Errc::InvalidArgument);
}

} // namespace

PROVOST_TEST("console_ymodem", TstConsoleYmodem)
#include "tst_console_ymodem.moc"
