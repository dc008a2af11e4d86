// What is kept of the transfers with a unit, what is not, and what can be made of it again.
#include "support/test_program.h"
#include "virtual_rig.h"

#include "crypto/digest.h"
#include "protocol/control_requests.h"
#include "protocol/dfu_device.h"
#include "protocol/listening_console.h"
#include "support/photon_facts.h"
#include "transport/replay.h"
#include "transport/tracing.h"

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kPassword = "line-four";

#define VERIFY_FAILS(attempt, expected)                                                            \
    do {                                                                                           \
        const auto& verified = (attempt);                                                          \
        QVERIFY2(!verified.has_value() && verified.error().code == (expected),                     \
                 verified ? "succeeded" : describe(verified.error()).c_str());                     \
    } while (false)

/// A unit whose every transfer is traced.
struct TracedRig {
    explicit TracedRig(std::string_view unit = "stock = \"1.5.2\"\nkey = \"burnt\"")
        : rig(benchText(unit)), ring(std::make_shared<TraceRing>(clock)),
          bus(rig.bench().usb(), ring), ports(rig.bench().serial(), ring)
    {
    }
    std::unique_ptr<UsbDevice> open(UsbId id)
    {
        return must(bus.open(must(bus.waitFor(rig.port(), std::span(&id, 1), rig.op()))));
    }
    DfuDevice openDfu()
    {
        rig.waitFor(kCdc);
        rig.setBaud(14400);
        return must(DfuDevice::open(open(kDfu), rig.op()));
    }
    std::unique_ptr<SerialPort> openSerial()
    {
        rig.waitFor(kCdc);
        return must(ports.open("sim:rig#1"));
    }
    std::string text() const { return toText(ring->snapshot()); }

    SystemClock clock{};
    Rig rig;
    std::shared_ptr<TraceRing> ring;
    TracingUsbBus bus;
    TracingSerialPorts ports;
};

/// No eight bytes of `secret` in a row, as hexadecimal or as they are.
bool leaves(const std::string& text, ByteView secret)
{
    for (std::size_t at = 0; at + 8 <= secret.size(); ++at) {
        const ByteView piece = secret.subspan(at, 8);
        const bool uniform =
            std::all_of(piece.begin(), piece.end(), [&](std::byte b) { return b == piece[0]; });
        if (!uniform && (text.find(toHex(piece)) != std::string::npos ||
                         text.find(toText(piece)) != std::string::npos))
            return true;
    }
    return false;
}

/// What a session came to, to compare a unit with its recording.
struct Session {
    std::string layout{};
    std::string read{};
    std::string protectedErase{};
    std::string refusedRead{};
    bool operator==(const Session&) const = default;
};

Session runSession(std::unique_ptr<UsbDevice> usb, const Rig& rig)
{
    auto dfu = must(DfuDevice::open(std::move(usb), rig.op()));
    Session session;
    for (const DfuAlternate& each : dfu.alternates())
        session.layout += concat(each.name, "|", each.layout.size(), "|");
    Bytes content(9001, std::byte{0x5A});
    const auto size = static_cast<std::uint32_t>(content.size());
    must(dfu.erase(photon::kUserPart, size, rig.op()));
    must(dfu.download({.address = photon::kUserPart, .bytes = content}, rig.op()));
    session.read = toHex(must(dfu.upload(photon::kUserPart, size, rig.op())));
    const auto refused = dfu.erase(0x08000000, 4, rig.op());
    session.protectedErase = refused ? "" : name(refused.error().code);
    must(dfu.select(1, rig.op()));
    const auto beyond = dfu.upload(0x3FFE, 2, rig.op());
    session.refusedRead = beyond ? toHex(*beyond) : std::string(name(beyond.error().code));
    return session;
}

class TstTracing : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void ring_keepsTheNewestEntries();
    void ring_keepsTheNewestBytes();
    void ring_takesTimesFromItsClock();
    void text_isReadBackAsItWas();
    void text_ofAnotherKindIsRefused_data();
    void text_ofAnotherKindIsRefused();
    void device_leavesRequestOutcomeAndBytes();
    void device_failuresAreKept();
    void key_leavesItsLengthOnly();
    void wifiPassword_leavesItsLengthOnly();
    void stream_leavesBytesRateAndClosing();
    void secretUpload_leavesStatusesInTheClear();
    void replay_givesTheSameResults();
    void replay_repeatsFailures();
    void replay_givesZerosForSecrets();
    void replay_refusesWhatWasNotAsked();
    void replay_ofAbsentDeviceIsNotFound();
};

void TstTracing::ring_keepsTheNewestEntries()
{
    const SystemClock clock;
    TraceRing ring(clock, {.entries = 3, .bytes = 1000});
    for (int each = 0; each < 10; ++each)
        ring.add({.request = concat("write ", each)});
    const Trace trace = ring.snapshot();
    QCOMPARE(trace.entries.size(), std::size_t{3});
    QCOMPARE(trace.entries.front().request, std::string("write 7"));
    QCOMPARE(trace.dropped, std::uint64_t{7});
    ring.clear();
    QVERIFY(ring.snapshot().entries.empty());
    QCOMPARE(ring.snapshot().dropped, std::uint64_t{0});
}

void TstTracing::ring_keepsTheNewestBytes()
{
    const SystemClock clock;
    TraceRing ring(clock, {.entries = 100, .bytes = 1000});
    for (int each = 0; each < 10; ++each)
        ring.add({.request = "write", .sent = 300, .out = Bytes(300)});
    QCOMPARE(ring.snapshot().entries.size(), std::size_t{3});
    ring.add({.request = "read", .received = 1001, .in = Bytes(1001)});
    QVERIFY(ring.snapshot().entries.empty()); // one alone is too much
    QCOMPARE(ring.snapshot().dropped, std::uint64_t{11});
}

/// Takes a while for everything.
class SlowStream final : public ByteStream {
public:
    explicit SlowStream(VirtualClock& clock) : m_clock(clock) {}
    Result<std::size_t> readSome(ByteSpan to, const OpContext&) override
    {
        m_clock.advance(7ms);
        to[0] = std::byte{0x21};
        return std::size_t{1};
    }
    Result<> writeAll(ByteView, const OpContext&) override
    {
        m_clock.advance(5ms);
        return fail(Errc::Disconnected, Blame::Fixture, "gone", -19);
    }
    Result<> discardInput() override { return {}; }

private:
    VirtualClock& m_clock;
};

void TstTracing::ring_takesTimesFromItsClock()
{
    VirtualClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + 1h}};
    auto ring = std::make_shared<TraceRing>(clock);
    clock.advance(100ms);
    {
        TracingStream stream(std::make_unique<SlowStream>(clock), ring, "a port");
        std::byte buffer[4];
        must(stream.readSome(buffer, op));
        VERIFY_FAILS(stream.writeAll(viewOf("hi"), op), Errc::Disconnected);
    }
    const std::string text = toText(ring->snapshot());
    const auto body = text.substr(text.find("\n100") + 1);
    QCOMPARE(body, std::string("100000 0 1 open-stream a%20port = ok\n"
                               "100000 7000 1 read 4 = ok 21\n"
                               "107000 5000 1 write > 6869 = fail disconnected fixture -19\n"
                               "112000 0 1 close = ok\n"));
}

void TstTracing::text_isReadBackAsItWas()
{
    TracedRig traced;
    auto dfu = traced.openDfu();
    must(dfu.upload(photon::kUserPart, 5000, traced.rig.op()));
    must(dfu.select(1, traced.rig.op()));
    must(dfu.uploadSecret(photon::kPrivateKey, photon::kPrivateKeyBytes, traced.rig.op()));
    const Trace trace = traced.ring->snapshot();
    QVERIFY(trace.entries.size() > 20);
    Trace again = must(parseTrace(toText(trace)));
    // A secret that moved nothing is no longer told from an open transfer without bytes.
    for (std::size_t at = 0; at < trace.entries.size(); ++at)
        if (trace.entries[at].sent + trace.entries[at].received == 0)
            again.entries[at].secret = trace.entries[at].secret;
    QVERIFY(again == trace);
    QCOMPARE(toText(again), toText(trace));
}

void TstTracing::secretUpload_leavesStatusesInTheClear()
{
    TracedRig traced;
    auto dfu = traced.openDfu();
    must(dfu.select(1, traced.rig.op()));
    traced.ring->clear();
    must(dfu.uploadSecret(photon::kPrivateKey, photon::kPrivateKeyBytes, traced.rig.op()));
    std::size_t secrets = 0;
    std::size_t statuses = 0;
    for (const TraceEntry& entry : traced.ring->snapshot().entries) {
        const bool isUpload = entry.request.starts_with("control-in a1 02");
        QCOMPARE(entry.secret, isUpload);
        secrets += isUpload ? entry.received : 0;
        statuses += entry.request.starts_with("control-in a1 03") && entry.in.size() == 6 ? 1 : 0;
    }
    QCOMPARE(secrets, static_cast<std::size_t>(photon::kPrivateKeyBytes));
    QVERIFY(statuses > 0);
}

void TstTracing::text_ofAnotherKindIsRefused_data()
{
    QTest::addColumn<QByteArray>("text");
    const QByteArray head = "provost-trace 1\nbegan 2026-11-03T14:31:07.250Z\ndropped 0\n";
    QTest::newRow("nothing") << QByteArray();
    QTest::newRow("another version") << QByteArray("provost-trace 2\n");
    QTest::newRow("no head") << QByteArray("provost-trace 1\n");
    QTest::newRow("no number") << QByteArray("provost-trace 1\nbegan now\ndropped x\n");
    for (const char* const line :
         {"1 2", "1 2 3", "1 2 3 claim 0", "x 2 3 claim 0 = ok", "1 2 3 claim 0 = good",
          "1 2 3 read 4 = ok 2", "1 2 3 read 4 = ok 2g", "1 2 3 read 4 = ok secret:x",
          "1 2 3 claim 0 = fail", "1 2 3 claim 0 = fail never unit",
          "1 2 3 claim 0 = fail io nobody", "1 2 3 claim 0 = fail io unit x",
          "1 2 3 write > 0 = ok", "1 2 99999999999 claim 0 = ok"})
        QTest::newRow(line) << head + line;
}

void TstTracing::text_ofAnotherKindIsRefused()
{
    QFETCH(const QByteArray, text);
    VERIFY_FAILS(parseTrace(text.toStdString()), Errc::InvalidData);
}

void TstTracing::device_leavesRequestOutcomeAndBytes()
{
    TracedRig traced;
    {
        const auto device = traced.open(kCdc);
        QCOMPARE(must(ControlRequests(*device).deviceId(traced.rig.op())),
                 traced.rig.unit().deviceId);
    }
    const Trace trace = traced.ring->snapshot();
    QCOMPARE(trace.entries.at(0).request, std::string("wait sim:rig#1 2b04c006"));
    QCOMPARE(trace.entries.at(1).request,
             concat("open-usb sim:rig 1 2b04c006 ", traced.rig.unit().deviceId, " ",
                    trace.entries.at(1).request.substr(trace.entries.at(1).request.size() - 11)));
    QVERIFY(trace.entries.at(1).request.ends_with(" simulated"));
    const TraceEntry& asked = trace.entries.at(2);
    QVERIFY(asked.request.starts_with("control-in c0 50 0000 0014"));
    QCOMPARE(toText(asked.in), traced.rig.unit().deviceId);
    QCOMPARE(trace.entries.back().request, std::string("close"));
}

void TstTracing::device_failuresAreKept()
{
    TracedRig traced;
    const auto device = traced.open(kCdc);
    std::byte buffer[8];
    constexpr ControlSetup unknown{.requestType = 0xA1, .request = 0x55};
    VERIFY_FAILS(device->controlIn(unknown, buffer, traced.rig.op()), Errc::Protocol);
    const TraceEntry last = traced.ring->snapshot().entries.back();
    QCOMPARE(last.request, std::string("control-in a1 55 0000 0000 8"));
    QVERIFY(last.failure && last.failure->code == Errc::Protocol);
    auto stale = device->info();
    ++stale.incarnation;
    VERIFY_FAILS(traced.bus.open(stale), Errc::Disconnected);
    QCOMPARE(traced.ring->snapshot().entries.back().request, std::string("open sim:rig#1"));
}

void TstTracing::key_leavesItsLengthOnly()
{
    TracedRig traced;
    auto dfu = traced.openDfu();
    must(dfu.select(1, traced.rig.op()));
    const auto old =
        must(dfu.uploadSecret(photon::kPrivateKey, photon::kPrivateKeyBytes, traced.rig.op()));
    Bytes fresh(photon::kPrivateKeyBytes);
    for (std::size_t at = 0; at < fresh.size(); ++at)
        fresh[at] = static_cast<std::byte>(at * 31 + 7);
    must(dfu.downloadSecret(photon::kPrivateKey, SecretBytes(fresh), traced.rig.op()));
    const std::string text = traced.text();
    QVERIFY(!leaves(text, old.reveal()));
    QVERIFY(!leaves(text, fresh));
    QVERIFY(text.find("secret:612") != std::string::npos);
    for (const ByteView secret : {old.reveal(), ByteView(fresh)})
        QVERIFY(text.find(toHex(sha256(secret)).substr(0, 16)) == std::string::npos);
}

void TstTracing::wifiPassword_leavesItsLengthOnly()
{
    TracedRig traced("stock = \"1.5.2\"");
    const auto port = traced.openSerial();
    ListeningConsole console(*port);
    const auto password = SecretBytes(toBytes(kPassword));
    must(console.setWifi("plant", password, WifiSecurity::Wpa2, traced.rig.op()));
    const std::string text = traced.text();
    QVERIFY(!leaves(text, viewOf(kPassword)));
    QVERIFY(text.find("secret:") != std::string::npos);
    QVERIFY(traced.rig.board().hasCredentials());
}

void TstTracing::stream_leavesBytesRateAndClosing()
{
    TracedRig traced("stock = \"1.5.2\"");
    {
        const auto port = traced.openSerial();
        must(port->setBaud(115200));
        must(port->setDtr(true));
        must(port->discardInput());
        QCOMPARE(must(ListeningConsole(*port).deviceId(traced.rig.op())),
                 traced.rig.unit().deviceId);
    }
    const std::string text = traced.text();
    for (const char* const piece :
         {" open-stream sim:rig#1 = ok", " baud 115200 = ok", " dtr 1 = ok", " discard = ok",
          " write > 69 = ok", " close = ok"})
        QVERIFY2(text.find(piece) != std::string::npos, piece);
}

void TstTracing::replay_givesTheSameResults()
{
    TracedRig traced;
    traced.rig.waitFor(kCdc);
    traced.rig.setBaud(14400);
    const Session real = runSession(traced.open(kDfu), traced.rig);
    QCOMPARE(real.protectedErase, std::string("protected"));
    const Trace trace = must(parseTrace(traced.text()));
    auto device = must(ReplayUsbDevice::create(trace));
    QVERIFY(device->info().port == traced.rig.port());
    QVERIFY(device->info().id == kDfu);
    QCOMPARE(device->info().serial, traced.rig.unit().deviceId);
    QVERIFY(device->info().simulated);
    QVERIFY(runSession(std::move(device), traced.rig) == real);
}

void TstTracing::replay_repeatsFailures()
{
    TracedRig traced;
    traced.rig.waitFor(kCdc);
    traced.rig.setBaud(14400);
    auto dfu = must(DfuDevice::open(traced.open(kDfu), traced.rig.op()));
    must(traced.rig.bench().failTransfer(1, 9, sim::FaultKind::Unplug));
    VERIFY_FAILS(dfu.upload(photon::kUserPart, 65536, traced.rig.op()), Errc::Disconnected);
    auto replayed = must(DfuDevice::open(
        must(ReplayUsbDevice::create(must(parseTrace(traced.text())))), traced.rig.op()));
    VERIFY_FAILS(replayed.upload(photon::kUserPart, 65536, traced.rig.op()), Errc::Disconnected);
}

void TstTracing::replay_givesZerosForSecrets()
{
    TracedRig traced;
    const OpContext quiet = traced.rig.op().withSecrets();
    constexpr ControlSetup coding{.requestType = 0x21, .request = 0x20};
    constexpr ControlSetup current{.requestType = 0xA1, .request = 0x21};
    std::byte buffer[16]{};
    {
        const auto device = traced.open(kCdc);
        must(device->controlOut(coding, *fromHex("00c20100000008"), quiet));
        QCOMPARE(must(device->controlIn(current, buffer, quiet)), std::size_t{7});
        QCOMPARE(toHex(ByteView(buffer).first(7)), std::string("00c20100000008"));
    }
    const auto device = must(ReplayUsbDevice::create(must(parseTrace(traced.text()))));
    VERIFY_FAILS(device->controlOut(coding, Bytes(6), quiet), Errc::Mismatch);
    must(device->controlOut(coding, Bytes(7), quiet));
    QCOMPARE(must(device->controlIn(current, buffer, quiet)), std::size_t{7});
    QCOMPARE(toHex(ByteView(buffer).first(7)), std::string("00000000000000"));
}

void TstTracing::replay_refusesWhatWasNotAsked()
{
    Trace trace;
    const UsbDeviceInfo info{.port = {.controller = "sim:rig", .ports = {1}}, .serial = "a b"};
    const auto add = [&](const char* request, const char* out = "") {
        trace.entries.push_back({.session = 1, .request = request, .out = toBytes(out)});
        trace.entries.back().sent = trace.entries.back().out.size();
    };
    add("open-usb sim:rig 1 00000000 a%20b 0 real");
    add("claim 0");
    add("control-out 40 51 0000 0000", "hello");
    add("close");
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + 1s}};
    const auto device = must(ReplayUsbDevice::create(trace));
    QCOMPARE(device->info().serial, info.serial);
    QVERIFY(device->info().port == info.port);
    VERIFY_FAILS(device->claim(1), Errc::Mismatch);
    must(device->claim(0));
    constexpr ControlSetup tell{.requestType = 0x40, .request = 0x51};
    VERIFY_FAILS(device->controlOut(tell, viewOf("hallo"), op), Errc::Mismatch);
    must(device->controlOut(tell, viewOf("hello"), op));
    QCOMPARE(device->left(), std::size_t{0});
    VERIFY_FAILS(device->reset(), Errc::Mismatch);
}

void TstTracing::replay_ofAbsentDeviceIsNotFound()
{
    TracedRig traced;
    traced.open(kCdc);
    const Trace trace = traced.ring->snapshot();
    QVERIFY(ReplayUsbDevice::create(trace).has_value());
    VERIFY_FAILS(ReplayUsbDevice::create(trace, 1), Errc::NotFound);
    Trace broken = trace;
    broken.entries.at(1).request = "open-usb sim:rig 1";
    VERIFY_FAILS(ReplayUsbDevice::create(broken), Errc::InvalidData);
}

} // namespace

PROVOST_TEST("tracing", TstTracing)
#include "tst_tracing.moc"
