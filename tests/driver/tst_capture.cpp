// Captures of the published transcripts: every link layer, segments in any order, every cause.
#include "handshake_support.h"
#include "support/test_program.h"

#include "capture/tcp_capture.h"
#include "capture/tcp_recorder.h"
#include "core/file_io.h"

#include <QFile>
#include <QTemporaryDir>

using namespace provost;
using namespace provost::test;

namespace {

enum class Link : std::uint8_t { Ethernet, Vlan, Raw, Cooked, Cooked2, Loopback };

struct Packet {
    bool fromDevice = false;
    std::uint32_t sequence = 0;
    unsigned flags = 0x10;
    Bytes payload{};
    double atMs = 0;
    std::size_t cut = 0; ///< bytes that the capture did not keep
};

constexpr unsigned kSyn = 0x02;
constexpr unsigned kAck = 0x10;
constexpr unsigned kFin = 0x01;
constexpr unsigned kReset = 0x04;
constexpr std::uint32_t kDeviceStart = 0xFFFFFF80; // wraps within the unit's reply
constexpr std::uint32_t kServerStart = 7000;

Bytes tcpIp(const Packet& packet)
{
    Bytes tcp;
    ByteWriter to(tcp);
    to.be16(packet.fromDevice ? 49152 : 5683).be16(packet.fromDevice ? 5683 : 49152);
    to.be32(packet.sequence).be32(0).u8(0x50).u8(packet.flags).be16(1024).be32(0);
    to.raw(packet.payload);
    Bytes ip;
    ByteWriter out(ip);
    out.u8(0x45).u8(0).be16(static_cast<unsigned>(20 + tcp.size())).be32(0).u8(64).u8(6).be16(0);
    const std::uint32_t unit = 0xC0000207;  // 192.0.2.7
    const std::uint32_t cloud = 0xC6336401; // 198.51.100.1
    out.be32(packet.fromDevice ? unit : cloud).be32(packet.fromDevice ? cloud : unit);
    out.raw(tcp);
    return ip;
}

Bytes framed(Link link, Bytes ip)
{
    Bytes frame;
    ByteWriter to(frame);
    switch (link) {
    case Link::Ethernet:
        to.fill(12, std::byte{2}).be16(0x0800).raw(ip);
        if (frame.size() < 60)
            frame.resize(60); // short frames are padded on the wire
        return frame;
    case Link::Vlan:
        return to.fill(12, std::byte{2}).be16(0x8100).be16(5).be16(0x0800).raw(ip), frame;
    case Link::Raw:
        return ip;
    case Link::Cooked:
        return to.fill(14, std::byte{}).be16(0x0800).raw(ip), frame;
    case Link::Cooked2:
        return to.be16(0x0800).fill(18, std::byte{}).raw(ip), frame;
    case Link::Loopback:
        return to.le32(2).raw(ip), frame;
    }
    return frame;
}

unsigned linkType(Link link)
{
    switch (link) {
    case Link::Ethernet:
    case Link::Vlan:
        return 1;
    case Link::Raw:
        return 101;
    case Link::Cooked:
        return 113;
    case Link::Cooked2:
        return 276;
    case Link::Loopback:
        return 0;
    }
    return 0;
}

Bytes pcap(Link link, const std::vector<Packet>& packets)
{
    Bytes file;
    ByteWriter to(file);
    to.le32(0xA1B2C3D4).le16(2).le16(4).le32(0).le32(0).le32(65535).le32(linkType(link));
    for (const Packet& packet : packets) {
        const Bytes frame = framed(link, tcpIp(packet));
        const auto micros = static_cast<std::uint32_t>(packet.atMs * 1000);
        to.le32(1700000000 + micros / 1000000).le32(micros % 1000000);
        to.le32(static_cast<std::uint32_t>(frame.size() - packet.cut));
        to.le32(static_cast<std::uint32_t>(frame.size()));
        to.raw(ByteView(frame).first(frame.size() - packet.cut));
    }
    return file;
}

void block(Bytes& file, std::uint32_t type, ByteView body)
{
    const auto size = static_cast<std::uint32_t>(12 + (body.size() + 3) / 4 * 4);
    ByteWriter to(file);
    to.le32(type).le32(size).raw(body).fill(size - 12 - body.size(), std::byte{}).le32(size);
}

Bytes pcapng(Link link, const std::vector<Packet>& packets)
{
    Bytes file;
    Bytes section;
    ByteWriter(section).le32(0x1A2B3C4D).le16(1).le16(0).le32(0xFFFFFFFF).le32(0xFFFFFFFF);
    block(file, 0x0A0D0D0A, section);
    Bytes interface;
    ByteWriter(interface).le16(linkType(link)).le16(0).le32(65535);
    block(file, 1, interface);
    for (const Packet& packet : packets) {
        const Bytes frame = framed(link, tcpIp(packet));
        const auto at = static_cast<std::uint64_t>(packet.atMs * 1000) + 1'700'000'000'000'000U;
        Bytes body;
        ByteWriter to(body);
        to.le32(0).le32(static_cast<std::uint32_t>(at >> 32)).le32(static_cast<std::uint32_t>(at));
        to.le32(static_cast<std::uint32_t>(frame.size()));
        to.le32(static_cast<std::uint32_t>(frame.size())).raw(frame);
        block(file, 6, body);
    }
    return file;
}

/// Packets of a conversation as they would pass, built up message by message.
class Talk {
public:
    Talk()
    {
        add({.fromDevice = true, .sequence = kDeviceStart - 1, .flags = kSyn});
        add({.sequence = kServerStart - 1, .flags = kSyn | kAck});
    }
    Talk& device(ByteView bytes, std::size_t most = 1000) { return say(true, bytes, most); }
    Talk& server(ByteView bytes, std::size_t most = 1000) { return say(false, bytes, most); }
    Talk& ends(bool byDevice, unsigned how = kFin | kAck)
    {
        add({.fromDevice = byDevice, .sequence = byDevice ? m_device : m_server, .flags = how});
        return *this;
    }
    std::vector<Packet> packets{};

private:
    Talk& say(bool fromDevice, ByteView bytes, std::size_t most)
    {
        std::uint32_t& sequence = fromDevice ? m_device : m_server;
        while (!bytes.empty()) {
            const ByteView piece = bytes.first(std::min(most, bytes.size()));
            add({.fromDevice = fromDevice, .sequence = sequence, .payload = toBytes(piece)});
            sequence += static_cast<std::uint32_t>(piece.size());
            bytes = bytes.subspan(piece.size());
        }
        return *this;
    }
    void add(Packet packet)
    {
        packet.atMs = static_cast<double>(packets.size()) * 10;
        packets.push_back(std::move(packet));
    }
    std::uint32_t m_device = kDeviceStart;
    std::uint32_t m_server = kServerStart;
};

class TstCapture : public QObject {
    Q_OBJECT

private:
    QTemporaryDir m_folder{};
    QJsonObject m_vectors = vectors();
    QJsonObject m_transcript = m_vectors["transcripts"].toArray()[0].toObject();

    Bytes at(const char* section, const char* field) const
    {
        return hex(m_transcript[section].toObject()[field]);
    }
    Bytes wire(const char* messages, int index) const
    {
        return hex(m_transcript[messages].toArray()[index].toObject()["wire"]);
    }
    Bytes nonce() const { return hex(m_transcript["nonce"]); }
    Bytes reply() const { return at("deviceReply", "ciphertext"); }
    Bytes credentials() const { return at("session", "wire"); }
    QJsonObject negative(const QString& name) const
    {
        for (const auto& value : m_vectors["negativeCases"].toArray())
            if (value.toObject()["name"] == name)
                return value.toObject();
        return {};
    }

    Talk whole(std::size_t most = 1000) const
    {
        Talk talk;
        talk.server(nonce(), most).device(reply(), most).server(credentials(), most);
        talk.device(wire("deviceMessages", 0)).server(wire("serverMessages", 0));
        talk.device(wire("deviceMessages", 1)).server(wire("serverMessages", 1));
        talk.ends(true);
        return talk;
    }

    struct Keys {
        RsaPrivateKey server;
        RsaPublicKey serverPublic;
        RsaPrivateKey device;
        RecordedKeys all() const
        {
            return {
                .serverPrivate = &server, .serverPublic = &serverPublic, .devicePrivate = &device};
        }
    };
    Keys keys() const
    {
        auto server = RsaPrivateKey::fromBytes(hex(m_transcript["serverPrivateKeyPkcs1Der"]));
        auto device = RsaPrivateKey::fromBytes(hex(m_transcript["devicePrivateKeyPkcs1Der"]));
        RsaPublicKey serverPublic = server->publicKey();
        return {std::move(*server), std::move(serverPublic), std::move(*device)};
    }

    std::vector<TcpConversation> read(const Bytes& file)
    {
        const auto path = m_folder.filePath("capture.pcap");
        QFile out(path);
        if (!out.open(QIODevice::WriteOnly))
            return {};
        out.write(reinterpret_cast<const char*>(file.data()), static_cast<qint64>(file.size()));
        out.close();
        auto conversations = readTcpCapture(path.toStdString());
        return conversations ? std::move(*conversations) : std::vector<TcpConversation>{};
    }
    HandshakeExplanation explained(const Talk& talk, const RecordedKeys& given)
    {
        const auto conversations = read(pcap(Link::Ethernet, talk.packets));
        if (conversations.size() != 1)
            return {.report = {.cause = "not one conversation"}};
        return explainHandshake(conversations[0].recorded, given);
    }

private Q_SLOTS:
    void recorder_writesWhatWasSaid();
    void everyLinkLayer_givesTheSameConversation_data()
    {
        QTest::addColumn<int>("link");
        QTest::addColumn<bool>("next");
        for (const bool next : {false, true}) {
            const char* suffix = next ? "pcapng" : "pcap";
            QTest::addRow("ethernet %s", suffix) << int(Link::Ethernet) << next;
            QTest::addRow("vlan %s", suffix) << int(Link::Vlan) << next;
            QTest::addRow("raw %s", suffix) << int(Link::Raw) << next;
            QTest::addRow("cooked %s", suffix) << int(Link::Cooked) << next;
            QTest::addRow("cooked 2 %s", suffix) << int(Link::Cooked2) << next;
            QTest::addRow("loopback %s", suffix) << int(Link::Loopback) << next;
        }
    }
    void everyLinkLayer_givesTheSameConversation()
    {
        QFETCH(int, link);
        QFETCH(bool, next);
        const Talk talk = whole();
        const auto conversations = read(next ? pcapng(static_cast<Link>(link), talk.packets)
                                             : pcap(static_cast<Link>(link), talk.packets));
        QCOMPARE(conversations.size(), 1UL);
        QCOMPARE(text(conversations[0].client), text("192.0.2.7:49152"));
        QCOMPARE(text(conversations[0].server), text("198.51.100.1:5683"));
        Bytes device;
        Bytes server;
        for (const RecordedPiece& piece : conversations[0].recorded.pieces)
            ByteWriter(piece.fromDevice ? device : server).raw(piece.bytes);
        QVERIFY(device == hex(m_transcript["streamDeviceToServer"]));
        QVERIFY(server == hex(m_transcript["streamServerToDevice"]));
        QVERIFY(!conversations[0].recorded.incomplete);
        QCOMPARE(conversations[0].recorded.end, RecordedEnd::DeviceClosed);
    }

    void swappedAndRepeatedSegments_areInOrderAgain()
    {
        const Keys given = keys();
        Talk talk = whole(50);
        auto& packets = talk.packets;
        for (std::size_t i = 4; i + 3 < packets.size(); i += 3)
            std::swap(packets[i].payload, packets[i].payload); // keep the data, swap the order
        const auto first = std::ranges::find(
            packets, true, [](const Packet& p) { return p.fromDevice && !p.payload.empty(); });
        std::iter_swap(first, first + 2);
        packets.insert(first + 4, *first);
        for (std::size_t i = 0; i < packets.size(); ++i)
            packets[i].atMs = static_cast<double>(i) * 10;
        const auto result = explained(talk, given.all());
        QCOMPARE(text(result.report.cause), QString());
        QVERIFY(result.report.passed);
    }

    void transcript_passesWithAllKeys()
    {
        const Keys given = keys();
        const auto result = explained(whole(), given.all());
        QVERIFY2(result.report.passed, result.report.cause.c_str());
        QCOMPARE(text(result.report.deviceId), m_transcript["deviceId"].toString());
        QVERIFY(result.report.hello.has_value());
        QCOMPARE(result.report.hello->messageId, std::uint16_t{65032});
        QCOMPARE(result.report.idOrder, std::optional(MessageIdOrder::BigEndian));
        QStringList words;
        for (const auto& message : result.report.messages)
            words << text(message.what);
        QCOMPARE(words,
                 QStringList({"nonce", "nonce, device ID and public key, sealed to the server key",
                              "session credentials and signature", "hello", "hello answer", "ping",
                              "ping answer"}));
    }

    void sessionMessages_areNamed()
    {
        // Particle-devices 5.5, message by message; II stands for the id, which counts on.
        struct Row {
            bool fromDevice = false;
            QByteArray message{};
            QString name{};
        };
        const std::vector<Row> rows{
            {true, "5002II B145 0568656c6c6f ff31", "event hello"},
            {true, "5002II B165 0568656c6c6f ff31", "event hello"},
            {true, "4002II B145 0568656c6c6f ff31", "event hello"},
            {false, "6000II", "acknowledgement"},
            {true, "4001II B165 056d6f746f72 4175", "subscription"},
            {false, "6000II", "acknowledgement"},
            {true, "4101II 07 B174", "time request"},
            // Asked with the same token before the answer is there.
            {false, "41010042 07 B164", "describe request"},
            {false, "6145II 07 ff65000000", "time answer"},
            {true, "61450042 07 ff7b7d", "describe answer"},
            {true, "4101II 09 B174", "time request"},
            {false, "51450043 09 ff65000000", "time answer"}, // not on the acknowledgement
            {false, "41010044 0a B164", "describe request"},
            {true, "61840044 0a", "describe answer, refused with 4.4"},
            {false, "51450045 55 ff31", "answer"}, // nobody asked
            {true, "4000II", "ping"},
            {false, "6100II 00", "ping answer"}, // as the reference server does
            {true, "4000II", "ping"},
            {false, "6000II", "ping answer"},
            {true, "7000II", "reset"},
        };
        const Keys given = keys();
        SessionCipher up(at("session", "credentials"));
        SessionCipher down(at("session", "credentials"));
        constexpr std::uint16_t kFirst = 65032;
        Talk talk;
        talk.server(nonce()).device(reply()).server(credentials());
        talk.device(up.seal(handshake::deviceHello({.messageId = kFirst})).value());
        talk.server(down.seal(handshake::serverHello(5)).value());
        std::uint16_t id = kFirst;
        QStringList expected;
        for (const Row& row : rows) {
            const bool counts = row.fromDevice && (row.message[0] == '4' || row.message[0] == '5');
            id = static_cast<std::uint16_t>(id + (counts ? 1 : 0));
            QByteArray digits = row.message;
            digits.replace("II", QByteArray::number(id + 0x10000, 16).right(4)).replace(" ", "");
            const Bytes bytes = fromHex(digits.toStdString()).value();
            row.fromDevice ? talk.device(up.seal(bytes).value())
                           : talk.server(down.seal(bytes).value());
            expected << row.name;
        }
        talk.ends(true);
        const auto result = explained(talk, given.all());
        QVERIFY2(result.report.passed, result.report.cause.c_str());
        QStringList words;
        for (const auto& message : result.report.messages)
            words << text(message.what);
        QCOMPARE(words.mid(5), expected);
    }
    void transcript_passesWithoutKeys_andSaysWhatStaysSealed()
    {
        const auto result = explained(whole(), {});
        QVERIFY2(result.report.passed, result.report.cause.c_str());
        QCOMPARE(text(result.report.deviceId), QString());
        const auto says = [&](const QString& part) {
            return std::ranges::any_of(result.report.evidence,
                                       [&](const auto& line) { return text(line).contains(part); });
        };
        QVERIFY(says("no private server key given"));
        QVERIFY(says("no device key given"));
        QVERIFY(says("the signature was not checked"));
    }

    void cause_data()
    {
        QTest::addColumn<QString>("expected");
        for (const char* cause : {"no-answer",
                                  "connection-refused",
                                  "silent-server",
                                  "captive-portal",
                                  "not-a-unit",
                                  "silent-unit",
                                  "unusable-server-key",
                                  "short-reply",
                                  "wrong-server-key",
                                  "wrong-nonce",
                                  "timeout",
                                  "unregistered-key",
                                  "wrong-device-key",
                                  "wrong-server-signature",
                                  "no-hello",
                                  "unreadable-device-key",
                                  "bad-hello",
                                  "no-hello-answer",
                                  "no-further-message",
                                  "bad-message-counter",
                                  "no-ping-answer",
                                  "incomplete-capture"})
            QTest::newRow(cause) << QString(cause);
    }
    void cause()
    {
        QFETCH(QString, expected);
        const Keys given = keys();
        RecordedKeys view = given.all();
        const auto other = RsaPrivateKey::generate(2048);
        QVERIFY(other);
        Talk talk;
        prepare(expected, talk, view, *other);
        const auto result = explained(talk, view);
        QCOMPARE(text(result.report.cause), expected);
        QVERIFY(!result.report.passed);
        QVERIFY(!result.report.advice.empty());
        QVERIFY(!result.report.evidence.empty());
        QVERIFY(result.report.messages.back().failed || expected == "incomplete-capture");
    }

    void refusalWithoutKeys_isUnknownAndSaysWhatToRead()
    {
        Talk talk;
        talk.server(nonce()).device(reply()).ends(false);
        const auto result = explained(talk, {});
        QCOMPARE(text(result.report.cause), text("unknown-refusal"));
        QVERIFY(text(result.report.evidence.back()).contains("read these two"));
    }

    void otherFiles_areRefusedInWords()
    {
        const auto path = m_folder.filePath("text.pcap");
        QFile out(path);
        QVERIFY(out.open(QIODevice::WriteOnly));
        out.write("this is no capture at all, only a text of some length");
        out.close();
        const auto noCapture = readTcpCapture(path.toStdString());
        QVERIFY(!noCapture);
        QCOMPARE(noCapture.error().code, Errc::InvalidData);
        QVERIFY(text(noCapture.error().message).contains("text.pcap"));
        const auto nowhere = readTcpCapture("/nonexistent/x.pcap");
        QVERIFY(!nowhere);
        QCOMPARE(nowhere.error().code, Errc::NotFound);
    }

    void fileCutAnywhere_neverCrashes()
    {
        const Keys given = keys();
        const Bytes file = pcap(Link::Ethernet, whole(90).packets);
        for (std::size_t size = 24; size < file.size(); size += 7) {
            const Bytes head(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
            for (const auto& conversation : read(head))
                QVERIFY(!explainHandshake(conversation.recorded, given.all()).report.passed ||
                        size + 200 > file.size());
        }
    }

private:
    void prepare(const QString& cause, Talk& talk, RecordedKeys& view, const RsaPrivateKey& other);
    void prepareSession(const QString& cause, Talk& talk, RecordedKeys& view);
};

void TstCapture::prepare(const QString& cause, Talk& talk, RecordedKeys& view,
                         const RsaPrivateKey& other)
{
    if (cause == "no-answer")
        talk.packets.resize(1);
    else if (cause == "connection-refused") {
        talk.packets.resize(1);
        talk.ends(false, kReset | kAck);
    } else if (cause == "silent-server")
        talk.server(ByteView(nonce()).first(17)).ends(false);
    else if (cause == "captive-portal")
        talk.server(toBytes("HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n"));
    else if (cause == "not-a-unit")
        talk.device(toBytes("GET / HTTP/1.1\r\n\r\n")).server(nonce());
    else if (cause == "silent-unit")
        talk.server(nonce()).ends(false);
    else if (cause == "unusable-server-key")
        talk.server(nonce()).ends(true);
    else if (cause == "short-reply")
        talk.server(nonce()).device(ByteView(reply()).first(200)).ends(true);
    else if (cause == "wrong-server-key") {
        view.serverPrivate = &other;
        talk.server(nonce()).device(reply()).ends(false);
    } else if (cause == "wrong-nonce") {
        Bytes another = nonce();
        another[3] ^= std::byte{1};
        talk.server(another).device(reply()).ends(false);
    } else if (cause == "timeout")
        talk.server(nonce()).device(reply()).ends(true);
    else if (cause == "unregistered-key")
        talk.server(nonce()).device(reply()).ends(false);
    else
        prepareSession(cause, talk, view);
}

void TstCapture::prepareSession(const QString& cause, Talk& talk, RecordedKeys& view)
{
    talk.server(nonce()).device(reply());
    const auto negativeWire = [&](const char* name) {
        const QJsonObject one = negative(name);
        return joined({hex(one["ciphertext"]), hex(one["signature"])});
    };
    if (cause == "wrong-device-key") {
        talk.server(negativeWire("credentials-for-other-device-key")).ends(true);
        return;
    }
    if (cause == "wrong-server-signature") {
        talk.server(negativeWire("server-signs-with-other-key")).ends(true);
        return;
    }
    talk.server(credentials());
    const Bytes hello = wire("deviceMessages", 0);
    if (cause == "no-hello") {
        talk.ends(true);
    } else if (cause == "unreadable-device-key") {
        view.unreadable = "608 bytes instead of 611";
        talk.ends(true);
    } else if (cause == "bad-hello") {
        Bytes damaged = hello;
        damaged[1] = std::byte{0x11};
        talk.device(damaged).ends(false);
    } else if (cause == "no-hello-answer") {
        talk.device(hello).ends(false);
    } else if (cause == "incomplete-capture") {
        talk.device(hello).server(wire("serverMessages", 0));
        talk.packets[4].payload.clear(); // the unit's reply was not captured
        talk.ends(true);
    } else {
        talk.device(hello).server(wire("serverMessages", 0));
        if (cause == "bad-message-counter") {
            SessionCipher cipher(at("session", "credentials"));
            QVERIFY(cipher.seal(handshake::deviceHello({.messageId = 65032})).has_value());
            // The hello on the wire is the transcript's; only its first block feeds the next IV.
            SessionCipher again(at("session", "credentials"));
            const auto same = again.seal(
                hex(m_transcript["deviceMessages"].toArray()[0].toObject()["plaintext"]));
            QVERIFY(same && *same == hello);
            talk.device(*again.seal(handshake::ping(65040))).ends(false);
        } else if (cause == "no-ping-answer") {
            talk.device(wire("deviceMessages", 1)).ends(true);
        } else {
            talk.ends(true); // no-further-message
        }
    }
}

/// Two ends in one process: everything that is written comes back.
class EchoStream final : public ByteStream {
public:
    Result<std::size_t> readSome(ByteSpan to, const OpContext&) override
    {
        const std::size_t count = std::min(to.size(), m_bytes.size());
        std::ranges::copy(ByteView(m_bytes).first(count), to.begin());
        m_bytes.erase(m_bytes.begin(), m_bytes.begin() + static_cast<std::ptrdiff_t>(count));
        return count;
    }
    Result<> writeAll(ByteView data, const OpContext&) override
    {
        m_bytes.insert(m_bytes.end(), data.begin(), data.end());
        return {};
    }
    Result<> discardInput() override { return {}; }

private:
    Bytes m_bytes{};
};

void TstCapture::recorder_writesWhatWasSaid()
{
    const VirtualClock clock;
    const OpContext op{.clock = clock};
    EchoStream line;
    TcpRecorder recorder(line, clock, "127.0.0.1:5683");
    Bytes sent(5000); // more than a packet takes
    for (std::size_t i = 0; i < sent.size(); ++i)
        sent[i] = static_cast<std::byte>(i * 7);
    QVERIFY(recorder.writeAll(sent, op));
    Bytes heard(sent.size());
    for (std::size_t at = 0; at < heard.size();)
        at += recorder.readSome(ByteSpan(heard).subspan(at), op).value();
    QCOMPARE(heard, sent);
    const auto file = m_folder.filePath("recorded.pcap").toStdString();
    QVERIFY(recorder.writeFile(file));
    QCOMPARE(recorder.writeFile(file).error().code, Errc::Denied); // never overwritten
    const auto found = readTcpCapture(file);
    QVERIFY(found && found->size() == 1U);
    QCOMPARE(found->front().server, std::string("127.0.0.1:5683"));
    Bytes fromDevice;
    Bytes fromServer;
    for (const auto& piece : found->front().recorded.pieces) {
        auto& all = piece.fromDevice ? fromDevice : fromServer;
        all.insert(all.end(), piece.bytes.begin(), piece.bytes.end());
    }
    QCOMPARE(fromDevice, sent);
    QCOMPARE(fromServer, sent);
}

} // namespace

PROVOST_TEST("capture", TstCapture)
#include "tst_capture.moc"
