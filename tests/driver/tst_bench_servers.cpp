// UsbIpServer record by record (protocol sheet 5), and PtyServer as its users find it.
#include "support/served_bench.h"
#include "support/test_program.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "transport/tcp_stream.h"
#include "transport/termios_port.h"

#include <QFile>
#include <QFileInfo>
#include <QTest>

#include <future>
#include <optional>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

// Slot 1 stays in its bootloader, slot 2 in listening mode, slot 3 is empty.
constexpr auto kBench = R"(
[bench]
name = "servers"
speed = "instant"

[network]
ssid = "plant"
password = "line-four"
security = 3

[[slot]]
number = 1
[[slot.unit]]
stock = "empty"

[[slot]]
number = 2
[[slot.unit]]
stock = "1.5.2"

[[slot]]
number = 3
)";

const SystemClock kClock;

OpContext within(std::chrono::milliseconds span)
{
    return {.clock = kClock, .deadline = {kClock.now() + span}};
}

constexpr std::size_t kRecordBytes = 312;

/// A USB/IP client that sees every byte.
class RawClient {
public:
    explicit RawClient(std::uint16_t port)
        : m_stream(TcpStream::connect("127.0.0.1", port, within(kHangGuard)))
    {
    }
    bool connected() const { return m_stream.has_value(); }
    bool send(ByteView bytes)
    {
        return (*m_stream)->writeAll(bytes, within(kHangGuard)).has_value();
    }
    /// Fewer bytes: the server ended the connection.
    Bytes receive(std::size_t count)
    {
        Bytes bytes(count);
        std::size_t have = 0;
        while (have < count) {
            const auto more =
                (*m_stream)->readSome(ByteSpan(bytes).subspan(have), within(kHangGuard));
            if (!more) {
                m_ended = more.error().code == Errc::Disconnected;
                break;
            }
            have += *more;
        }
        bytes.resize(have);
        return bytes;
    }
    bool ended() { return receive(1).empty() && m_ended; }
    /// Nothing arrives for a while.
    bool isSilent()
    {
        std::byte one{};
        const auto read = (*m_stream)->readSome(ByteSpan(&one, 1), within(100ms));
        return !read && read.error().code == Errc::Timeout;
    }

    /// The status of OP_REP_IMPORT; the record follows in `record`.
    std::optional<std::uint32_t> import(const std::string& busId)
    {
        Bytes request;
        ByteWriter(request).be16(0x0111).be16(0x8003).be32(0).text(busId);
        request.resize(8 + 32);
        if (!send(request))
            return std::nullopt;
        const Bytes head = receive(8);
        if (head.size() != 8 || readBe32(head) != 0x01110003)
            return std::nullopt;
        if (readBe32(head, 4) == 0)
            record = receive(kRecordBytes);
        return readBe32(head, 4);
    }
    bool submit(std::uint32_t sequence, bool in, std::uint32_t endpoint, std::uint32_t length,
                std::string_view setup, ByteView data = {})
    {
        Bytes message;
        ByteWriter(message).be32(1).be32(sequence).be32(0).be32(in ? 1 : 0).be32(endpoint);
        ByteWriter(message).be32(0).be32(length).be32(0).be32(0xFFFFFFFF).be32(0);
        ByteWriter(message).raw(*fromHex(setup)).raw(data);
        return send(message);
    }
    bool unlink(std::uint32_t sequence, std::uint32_t victim)
    {
        Bytes message;
        ByteWriter(message).be32(2).be32(sequence).be32(0).be32(0).be32(0).be32(victim);
        message.resize(48);
        return send(message);
    }
    struct Answer {
        std::uint32_t code = 0;
        std::uint32_t sequence = 0;
        std::int32_t status = 0;
        std::uint32_t length = 0;
        Bytes data{};
    };
    Answer answer(bool in)
    {
        const Bytes header = receive(48);
        if (header.size() != 48)
            return {};
        Answer answer{.code = readBe32(header),
                      .sequence = readBe32(header, 4),
                      .status = static_cast<std::int32_t>(readBe32(header, 20)),
                      .length = readBe32(header, 24)};
        if (in && answer.code == 3)
            answer.data = receive(answer.length);
        return answer;
    }
    Bytes record{};

private:
    Result<std::unique_ptr<TcpStream>> m_stream;
    bool m_ended = false;
};

constexpr std::string_view kNoSetup = "0000000000000000";
constexpr std::string_view kGetStatus = "a103000000000600";
constexpr std::string_view kGetDeviceDescriptor = "8006000100001200";

class TstBenchServers : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init();

    void usbIp_listsWhoeverIsPresent();
    void usbIp_importOfAbsentUnitIsRefused();
    void usbIp_secondImportIsBusy();
    void usbIp_answersControlTransfers();
    void usbIp_neverSendsMoreThanAsked();
    void usbIp_keepsBulkInPendingUntilThereIsData();
    void usbIp_unlinksWhatIsPending();
    void usbIp_unlinksATransferWhoseAnswerIsLost();
    void usbIp_unplugEndsTheConnection();
    void usbIp_reEnumerationNeedsANewImport();
    void usbIp_endsConnectionsThatDoNotSpeakIt();
    void usbIp_servesManyClients();
    void usbIp_stopsPromptly();
    void usbIp_refusesAddressesThatAreNone();

    void pty_carriesBytesBothWays();
    void pty_outlivesItsUnitsModes();
    void pty_obeysARateThatWasSetInPassing();
    void pty_canBeLockedAndOpenedAgain();
    void pty_losesWhatIsWrittenToNobody();
    void pty_replacesStaleLinksAndNothingElse();
    void pty_removesItsLinks();

private:
    Result<std::unique_ptr<TermiosPort>> openTerminal()
    {
        return TermiosPort::open(m_served->terminal(2).toStdString());
    }
    std::string ask(ByteStream& stream, std::string_view command);
    void leaveDfu(int slot);

    std::unique_ptr<ServedBench> m_served{};
};

void TstBenchServers::init()
{
    m_served = std::make_unique<ServedBench>(kBench);
    m_served->insertUnit(1, kPhotonDfu);
    m_served->insertUnit(2, kPhotonFirmware);
}

void TstBenchServers::usbIp_listsWhoeverIsPresent()
{
    const auto list = [this] {
        RawClient client(m_served->usbIpPort());
        Bytes request;
        ByteWriter(request).be16(0x0111).be16(0x8005).be32(0);
        return client.connected() && client.send(request) ? client.receive(4096) : Bytes();
    };
    const Bytes both = list();
    QCOMPARE(both.size(), 12 + 2 * kRecordBytes + 3 * 4); // one interface and two
    QCOMPARE(toHex(ByteView(both).first(12)), std::string("011100050000000000000002"));
    const ByteView first = ByteView(both).subspan(12);
    QCOMPARE(toText(first.subspan(256, 4)), std::string("1-1") + '\0');
    QCOMPARE(readBe32(first, 296), 2U); // full speed
    QCOMPARE(readBe16(first, 300), kPhotonDfu.vendor);
    QCOMPARE(readBe16(first, 302), kPhotonDfu.product);
    QCOMPARE(readBe16(first, 304), std::uint16_t{0x0250});
    QCOMPARE(toHex(first.subspan(306, 6)), std::string("000000010101"));
    QCOMPARE(toHex(first.subspan(kRecordBytes, 4)), std::string("fe010200"));
    const ByteView second = first.subspan(kRecordBytes + 4);
    QCOMPARE(toText(second.subspan(256, 4)), std::string("1-2") + '\0');
    QCOMPARE(toHex(second.subspan(kRecordBytes, 8)), std::string("020201000a000000"));
    QVERIFY(readBe32(first, 292) != readBe32(second, 292)); // device numbers

    QVERIFY(m_served->bench().setPower(1, false).has_value());
    QTRY_COMPARE(list().size(), 12 + kRecordBytes + 2 * 4); // one device, two interfaces
}

void TstBenchServers::usbIp_importOfAbsentUnitIsRefused()
{
    for (const std::string busId : {"1-3", "1-4", "9-9", ""}) {
        RawClient client(m_served->usbIpPort());
        const auto status = client.import(busId);
        QVERIFY(status.has_value() && *status != 0);
        QVERIFY(client.ended());
    }
}

void TstBenchServers::usbIp_secondImportIsBusy()
{
    {
        RawClient first(m_served->usbIpPort());
        QCOMPARE(first.import("1-1"), std::optional<std::uint32_t>(0));
        RawClient second(m_served->usbIpPort());
        QCOMPARE(second.import("1-1"), std::optional<std::uint32_t>(2));
        RawClient other(m_served->usbIpPort());
        QCOMPARE(other.import("1-2"), std::optional<std::uint32_t>(0));
    }
    // The server learns of a client's end when it looks.
    std::unique_ptr<RawClient> next;
    const auto succeeds = [&] {
        next = std::make_unique<RawClient>(m_served->usbIpPort());
        return next->import("1-1") == 0;
    };
    bool free = false;
    QTRY_VERIFY(free = free || succeeds());
}

void TstBenchServers::usbIp_answersControlTransfers()
{
    RawClient client(m_served->usbIpPort());
    QCOMPARE(client.import("1-1"), std::optional<std::uint32_t>(0));
    QCOMPARE(readBe16(client.record, 302), kPhotonDfu.product);
    QVERIFY(client.submit(7, true, 0, 6, kGetStatus));
    const auto status = client.answer(true);
    QCOMPARE(status.sequence, 7U);
    QCOMPARE(status.status, 0);
    QCOMPARE(toHex(status.data), std::string("000000000200"));
    QVERIFY(client.submit(8, true, 0, 6, "a155000000000600"));
    const auto stall = client.answer(true);
    QCOMPARE(stall.status, -32);
    QCOMPARE(stall.length, 0U);
    QVERIFY(client.submit(9, false, 0, 0, "2106000000000000")); // ABORT
    QCOMPARE(client.answer(false).status, 0);
}

void TstBenchServers::usbIp_neverSendsMoreThanAsked()
{
    RawClient client(m_served->usbIpPort());
    QCOMPARE(client.import("1-1"), std::optional<std::uint32_t>(0));
    QVERIFY(client.submit(1, true, 0, 5, kGetDeviceDescriptor)); // wLength says 18
    QCOMPARE(client.answer(true).length, 5U);
}

void TstBenchServers::usbIp_keepsBulkInPendingUntilThereIsData()
{
    RawClient client(m_served->usbIpPort());
    QCOMPARE(client.import("1-2"), std::optional<std::uint32_t>(0));
    for (const std::uint32_t sequence : {1U, 2U})
        QVERIFY(client.submit(sequence, true, 1, 30, kNoSetup));
    QVERIFY(client.submit(3, false, 1, 1, kNoSetup, viewOf("i")));
    const auto written = client.answer(false);
    QCOMPARE(written.sequence, 3U);
    QCOMPARE(written.length, 1U);
    const auto first = client.answer(true);
    const auto second = client.answer(true);
    QCOMPARE(first.sequence, 1U);
    QCOMPARE(second.sequence, 2U);
    QCOMPARE(toText(first.data) + toText(second.data),
             "Your device id is " + m_served->bench().board(2)->deviceId() + "\r\n");
}

void TstBenchServers::usbIp_unlinksWhatIsPending()
{
    RawClient client(m_served->usbIpPort());
    QCOMPARE(client.import("1-2"), std::optional<std::uint32_t>(0));
    QVERIFY(client.submit(1, true, 1, 64, kNoSetup));
    QVERIFY(client.unlink(2, 1));
    const auto unlinked = client.answer(false);
    QCOMPARE(unlinked.code, 4U);
    QCOMPARE(unlinked.sequence, 2U);
    QCOMPARE(unlinked.status, -104);
    QVERIFY(client.unlink(3, 1)); // it is gone
    QCOMPARE(client.answer(false).status, 0);
    // The unit's next words go to the next transfer.
    QVERIFY(client.submit(4, true, 1, 64, kNoSetup));
    QVERIFY(client.submit(5, false, 1, 1, kNoSetup, viewOf("i")));
    QCOMPARE(client.answer(false).sequence, 5U);
    const auto read = client.answer(true);
    QCOMPARE(read.sequence, 4U);
    QVERIFY(read.length > 20);
}

void TstBenchServers::usbIp_unlinksATransferWhoseAnswerIsLost()
{
    RawClient client(m_served->usbIpPort());
    QCOMPARE(client.import("1-1"), std::optional<std::uint32_t>(0));
    QVERIFY(m_served->bench().failTransfer(1, 1, sim::FaultKind::Timeout).has_value());
    QVERIFY(client.submit(1, true, 0, 6, kGetStatus));
    QVERIFY(client.isSilent());
    QVERIFY(client.submit(2, true, 0, 6, kGetStatus)); // one pipe: it waits behind the first
    QVERIFY(client.isSilent());
    QVERIFY(client.unlink(3, 1));
    QCOMPARE(client.answer(false).status, -104);
    QCOMPARE(client.answer(true).sequence, 2U);
}

void TstBenchServers::usbIp_unplugEndsTheConnection()
{
    RawClient client(m_served->usbIpPort());
    QCOMPARE(client.import("1-1"), std::optional<std::uint32_t>(0));
    QVERIFY(m_served->bench().setPower(1, false).has_value());
    QVERIFY(client.ended());
}

void TstBenchServers::usbIp_reEnumerationNeedsANewImport()
{
    RawClient before(m_served->usbIpPort());
    QCOMPARE(before.import("1-2"), std::optional<std::uint32_t>(0));
    QVERIFY(before.submit(1, false, 0, 7, "2120000000000700", *fromHex("40380000000008"))); // 14400
    QCOMPARE(before.answer(false).status, 0);
    QVERIFY(before.ended());
    m_served->waitFor(2, kPhotonDfu);
    RawClient after(m_served->usbIpPort());
    QCOMPARE(after.import("1-2"), std::optional<std::uint32_t>(0));
    QCOMPARE(readBe16(after.record, 302), kPhotonDfu.product);
    QVERIFY(readBe32(after.record, 292) != readBe32(before.record, 292));
}

void TstBenchServers::usbIp_endsConnectionsThatDoNotSpeakIt()
{
    const std::string greetings[] = {"GET / HTTP/1.1\r\n\r\n", "\x01\x06\x80\x05 old version"};
    for (const std::string& greeting : greetings) {
        RawClient client(m_served->usbIpPort());
        QVERIFY(client.send(viewOf(greeting)));
        QVERIFY(client.ended());
    }
    RawClient huge(m_served->usbIpPort());
    QCOMPARE(huge.import("1-1"), std::optional<std::uint32_t>(0));
    QVERIFY(huge.submit(1, false, 1, 0x7FFFFFFF, kNoSetup));
    QVERIFY(huge.ended());
}

void TstBenchServers::usbIp_servesManyClients()
{
    std::vector<std::unique_ptr<RawClient>> idle;
    for (int i = 0; i < 40; ++i)
        idle.push_back(std::make_unique<RawClient>(m_served->usbIpPort()));
    RawClient late(m_served->usbIpPort());
    QCOMPARE(late.import("1-1"), std::optional<std::uint32_t>(0));
    for (const auto& client : idle)
        QCOMPARE(client->import("1-3"), std::optional<std::uint32_t>(4));
}

void TstBenchServers::usbIp_stopsPromptly()
{
    bool allEnded = true;
    QVERIFY(onceWithin(250ms, [&] {
        auto server = sim::UsbIpServer::start(m_served->bench().ports(), sim::Pace{});
        RawClient busy(server ? (*server)->port() : std::uint16_t{0});
        allEnded = server && busy.import("1-2") == 0 && busy.submit(1, true, 1, 64, kNoSetup);
        if (!allEnded)
            return 0ms;
        RawClient idle((*server)->port());
        const auto took = timed([&] { server->reset(); });
        allEnded = busy.ended() && idle.ended();
        return took;
    }));
    QVERIFY(allEnded);
}

void TstBenchServers::usbIp_refusesAddressesThatAreNone()
{
    const auto start = [this](const sim::UsbIpAddress& at) {
        return sim::UsbIpServer::start(m_served->bench().ports(), sim::Pace{}, at);
    };
    const auto named = start({.host = "bench.example"});
    QVERIFY(!named && named.error().code == Errc::InvalidArgument);
    const auto foreign = start({.host = "192.0.2.1"});
    QVERIFY(!foreign && foreign.error().code == Errc::InvalidArgument);
    const auto taken = start({.port = m_served->usbIpPort()});
    QVERIFY(!taken && taken.error().code == Errc::Busy);
    QVERIFY(start({.host = "::1"}).has_value());
}

/// One line of answer.
std::string TstBenchServers::ask(ByteStream& stream, std::string_view command)
{
    std::string said;
    if (!stream.writeAll(viewOf(command), within(kHangGuard)))
        return said;
    while (said.find('\n') == std::string::npos) {
        std::byte buffer[64];
        const auto count = stream.readSome(buffer, within(kHangGuard));
        if (!count)
            return said + describe(count.error());
        said += toText(ByteView(buffer).first(*count));
    }
    return said;
}

void TstBenchServers::leaveDfu(int slot)
{
    auto device = m_served->bench().usb().open(m_served->waitFor(slot, kPhotonDfu));
    QVERIFY(device.has_value());
    std::byte status[6];
    QVERIFY((*device)
                ->controlOut({.requestType = 0x21, .request = 1}, {}, within(kHangGuard))
                .has_value());
    QVERIFY((*device)
                ->controlIn({.requestType = 0xA1, .request = 3}, status, within(kHangGuard))
                .has_value());
    m_served->waitFor(slot, kPhotonFirmware);
}

void TstBenchServers::pty_carriesBytesBothWays()
{
    const auto port = openTerminal();
    QVERIFY(port.has_value());
    QCOMPARE(ask(**port, "i"),
             "Your device id is " + m_served->bench().board(2)->deviceId() + "\r\n");
}

void TstBenchServers::pty_outlivesItsUnitsModes()
{
    const auto port = openTerminal();
    QVERIFY(port.has_value());
    for (int round = 0; round < 2; ++round) { // the same rate twice: each port starts at 9600
        QVERIFY((*port)->setBaud(14400).has_value());
        leaveDfu(2);
        const std::string said = ask(**port, "i");
        QVERIFY2(said.starts_with("Your device id is "), said.c_str());
    }
}

void TstBenchServers::pty_obeysARateThatWasSetInPassing()
{
    for (int round = 0; round < 2; ++round) {
        {
            const auto port = openTerminal();
            QVERIFY(port.has_value());
            QVERIFY((*port)->setBaud(14400).has_value());
        }
        leaveDfu(2);
    }
}

void TstBenchServers::pty_canBeLockedAndOpenedAgain()
{
    for (int round = 0; round < 3; ++round) {
        Result<std::unique_ptr<TermiosPort>> port = openTerminal();
        QTRY_VERIFY(port.has_value() || (port = openTerminal()).has_value());
        const auto second = openTerminal();
        QVERIFY(!second && second.error().code == Errc::Busy);
        const std::string said = ask(**port, "i");
        QVERIFY2(said.starts_with("Your device id is "), said.c_str());
    }
}

void TstBenchServers::pty_losesWhatIsWrittenToNobody()
{
    const auto port = openTerminal();
    QVERIFY(port.has_value());
    const auto isLost = [&] {
        if (!(*port)->setBaud(14400))
            return false;
        m_served->waitFor(2, kPhotonDfu);
        static_cast<void>((*port)->writeAll(viewOf("iiii"), within(kHangGuard)));
        // That the server has taken it from the terminal by now, no event tells.
        QTest::qWait(50);
        leaveDfu(2);
        bool nothing = true;
        std::byte buffer[64];
        while ((*port)->readSome(buffer, within(300ms)))
            nothing = false;
        return nothing;
    };
    bool lost = false;
    QTRY_VERIFY(lost = lost || isLost());
}

void TstBenchServers::pty_replacesStaleLinksAndNothingElse()
{
    const QTemporaryDir directory;
    const QString link = directory.filePath("slot1");
    QVERIFY(QFile::link("/dev/pts/gone", link));
    const auto start = [&] {
        return sim::PtyServer::start(m_served->bench().serial(), {{.number = 1, .port = "sim:x"}},
                                     directory.path().toStdString());
    };
    {
        const auto server = start();
        QVERIFY(server.has_value());
        QVERIFY(QFileInfo(link).symLinkTarget() != "/dev/pts/gone");
        QVERIFY(QFileInfo::exists(link)); // leads somewhere
    }
    QFile file(link);
    QVERIFY(file.open(QIODevice::WriteOnly));
    const auto refused = start();
    QVERIFY(!refused && refused.error().code == Errc::InvalidArgument);
    QVERIFY(QFileInfo(link).isFile());
}

void TstBenchServers::pty_removesItsLinks()
{
    const QString link = m_served->terminal(2);
    QVERIFY(QFileInfo(link).isSymLink());
    m_served.reset();
    QVERIFY(!QFileInfo(link).isSymLink());
}

} // namespace

PROVOST_TEST("bench_servers", TstBenchServers)
#include "tst_bench_servers.moc"
