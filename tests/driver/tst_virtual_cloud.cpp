// The virtual Photon's half of the handshake: key reader, transcripts, and a whole board against a
// server on loopback.
#include "support/test_program.h"
#include "virtual_rig.h"

#include "crypto/digest.h"
#include "crypto/rsa_key.h"
#include "sim/cloud_client.h"
#include "sim/dct_store.h"
#include "sim/network_address.h"
#include "sim/unit_rsa.h"

#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <atomic>
#include <cstring>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

const QJsonObject& vectors()
{
    static const QJsonObject object = [] {
        QFile file(PROVOST_TEST_DATA "/handshake-vectors.json");
        if (!file.open(QIODevice::ReadOnly))
            qFatal("no handshake-vectors.json");
        return QJsonDocument::fromJson(file.readAll()).object();
    }();
    return object;
}

Bytes hex(const QJsonValue& value)
{
    return *fromHex(value.toString().toStdString());
}

QJsonObject transcript(const QString& name)
{
    for (const QJsonValue& each : vectors()["transcripts"].toArray())
        if (each["name"].toString() == name)
            return each.toObject();
    qFatal("no such transcript");
}

sim::UnitSecret slotOf(Bytes der)
{
    der.resize(1216, std::byte{0xFF});
    return sim::UnitSecret(ByteView(der));
}

/// The other end of the line as a recording.
class RecordedLine final : public sim::CloudLine {
public:
    explicit RecordedLine(Bytes fromServer) : m_in(std::move(fromServer)) {}
    int receive(ByteSpan to, std::chrono::milliseconds) override
    {
        if (m_at + to.size() > m_in.size())
            return sim::cloud_error::kClosedByPeer;
        std::copy_n(m_in.begin() + static_cast<std::ptrdiff_t>(m_at), to.size(), to.begin());
        m_at += to.size();
        return 0;
    }
    int send(ByteView bytes) override
    {
        sent.insert(sent.end(), bytes.begin(), bytes.end());
        return 0;
    }
    int waitReadable(std::chrono::milliseconds) override { return m_at < m_in.size() ? 1 : -19; }
    Bytes sent{};

private:
    Bytes m_in;
    std::size_t m_at = 0;
};

sim::CloudIdentity identityOf(const QJsonObject& script)
{
    Bytes server = hex(script["serverPublicKeySpkiDer"]);
    server.resize(384, std::byte{0xFF});
    const QJsonObject hello = script["hello"].toObject();
    const bool little = script["messageIds"]["saltByteOrder"].toString() == "little";
    return {.deviceId = hex(script["deviceId"]),
            .privateSlot = slotOf(hex(script["devicePrivateKeyPkcs1Der"])),
            .serverSlot = server,
            .platformId = static_cast<std::uint16_t>(script["platformId"].toInt()),
            .productId = static_cast<std::uint16_t>(hello["productId"].toInt()),
            .firmwareVersion = static_cast<std::uint16_t>(hello["firmwareVersion"].toInt()),
            .helloFlags = static_cast<std::uint8_t>(hello["flags"].toInt()),
            .systemVersion = little ? 1512U : 207U,
            .lightSsl = little};
}

int runHandshake(sim::CloudLine& line, const QJsonObject& script)
{
    sim::CloudClient client(line, identityOf(script), {}, {});
    return client.handshake();
}

struct Endpoint {
    std::uint32_t ip = INADDR_LOOPBACK;
    std::uint16_t port = 0; ///< 0: one that is free
};

/// One connection at a time: nonce, key, Hello, then whatever comes. Written for these tests alone.
class LoopbackServer {
public:
    enum class Behaviour : std::uint8_t { Right, OtherDeviceKey, OtherSignature, HangsUp };

    LoopbackServer(const QString& script, Behaviour behaviour, Endpoint at = {})
        : m_key(
              must(RsaPrivateKey::fromBytes(hex(transcript(script)["serverPrivateKeyPkcs1Der"])))),
          m_otherKey(must(RsaPrivateKey::fromBytes(
              hex(transcript("electron-tcp-little-endian-id")["serverPrivateKeyPkcs1Der"])))),
          m_behaviour(behaviour)
    {
        m_listener = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in where{};
        where.sin_family = AF_INET;
        where.sin_port = htons(at.port);
        where.sin_addr.s_addr = htonl(at.ip);
        sockaddr generic{};
        std::memcpy(&generic, &where, sizeof where);
        socklen_t size = sizeof generic;
        if (::bind(m_listener, &generic, size) != 0 || ::listen(m_listener, 4) != 0)
            qFatal("no loopback socket");
        ::getsockname(m_listener, &generic, &size);
        std::memcpy(&where, &generic, sizeof where);
        port = ntohs(where.sin_port);
        m_thread = std::jthread([this](std::stop_token stop) { run(stop); });
    }
    ~LoopbackServer()
    {
        m_thread.request_stop();
        m_thread.join();
        ::close(m_listener);
    }
    LoopbackServer(const LoopbackServer&) = delete;
    LoopbackServer& operator=(const LoopbackServer&) = delete;

    std::uint16_t port = 0;
    std::atomic<int> messages = 0;
    std::atomic<int> ended = 0; ///< connections

    /// What units said, decrypted, one message an entry.
    std::vector<std::string> heard() const
    {
        const std::scoped_lock lock(m_mutex);
        return m_heard;
    }

private:
    bool readable(int socket, std::stop_token stop)
    {
        while (!stop.stop_requested()) {
            pollfd entry{.fd = socket, .events = POLLIN, .revents = 0};
            if (::poll(&entry, 1, 10) > 0)
                return true;
        }
        return false;
    }
    bool take(int socket, ByteSpan to, std::stop_token stop)
    {
        while (!to.empty()) {
            if (!readable(socket, stop))
                return false;
            const ssize_t got = ::recv(socket, to.data(), to.size(), 0);
            if (got <= 0)
                return false;
            to = to.subspan(static_cast<std::size_t>(got));
        }
        return true;
    }
    static void put(int socket, ByteView bytes)
    {
        if (::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0)
            return;
    }
    void run(std::stop_token stop)
    {
        while (readable(m_listener, stop)) {
            const int socket = ::accept(m_listener, nullptr, nullptr);
            serve(socket, stop);
            ::close(socket);
            ++ended;
        }
    }
    void serve(int socket, std::stop_token stop)
    {
        const Bytes nonce = must(randomBytes(40));
        put(socket, nonce);
        Bytes sealed(256);
        if (!take(socket, sealed, stop) || m_behaviour == Behaviour::HangsUp)
            return;
        const auto plain = m_key.decrypt(sealed);
        if (!plain || plain->size() != 214 || !equalBytes(plain->reveal().first(40), nonce))
            return;
        const RsaPublicKey offered = must(RsaPublicKey::fromDer(plain->reveal().subspan(52)));
        const Bytes credentials = must(randomBytes(40));
        Bytes cipher = must(offered.encrypt(credentials));
        if (m_behaviour == Behaviour::OtherDeviceKey)
            cipher = must(must(RsaPrivateKey::generate(1024)).publicKey().encrypt(credentials));
        const Bytes mac = hmacSha1(credentials, cipher);
        const RsaPrivateKey& signer = m_behaviour == Behaviour::OtherSignature ? m_otherKey : m_key;
        put(socket, cipher);
        put(socket, must(signer.signRaw(mac)));
        session(socket, credentials, stop);
    }
    void session(int socket, ByteView credentials, std::stop_token stop)
    {
        const ByteView key = credentials.first(16);
        Bytes sendIv = toBytes(credentials.subspan(16, 16));
        Bytes receiveIv = sendIv;
        const auto reply = [&](ByteView message) {
            const Bytes cipher = must(aes128CbcEncrypt(key, sendIv, message));
            sendIv = toBytes(ByteView(cipher).first(16));
            Bytes frame;
            ByteWriter(frame).be16(static_cast<unsigned>(cipher.size())).raw(cipher);
            put(socket, frame);
        };
        unsigned id = 0;
        Bytes head(2);
        while (take(socket, head, stop)) {
            Bytes cipher(readBe16(head));
            if (!take(socket, cipher, stop))
                return;
            const Bytes message = must(aes128CbcDecrypt(key, receiveIv, cipher));
            receiveIv = toBytes(ByteView(cipher).first(16));
            const unsigned now = readBe16(message, 2);
            const unsigned expected =
                id == 0 ? (static_cast<unsigned>(u8(credentials[32]) | (u8(credentials[33]) << 8)) +
                           1U) &
                              0xFFFFU
                        : (id + 1) & 0xFFFF;
            if (now != expected)
                return;
            id = now;
            {
                const std::scoped_lock lock(m_mutex);
                m_heard.push_back(toText(message));
            }
            if (messages++ == 0)
                reply(*fromHex("5102123401b168"));
            else if (u8(message[0]) == 0x40) // ping
                reply(*fromHex(concat("6000", toHex(ByteView(message).subspan(2, 2)))));
        }
    }

    RsaPrivateKey m_key;
    RsaPrivateKey m_otherKey;
    const Behaviour m_behaviour;
    int m_listener = -1;
    mutable std::mutex m_mutex;
    std::vector<std::string> m_heard{};
    std::jthread m_thread;
};

const std::string kOnline = "stock = \"1.5.2\"\ncredentials = \"bench\"";

/// A board that is told this server and its key before it first looks.
void pointAt(Rig& rig, std::uint16_t port)
{
    Bytes key = hex(transcript("photon-minimal-der")["serverPublicKeySpkiDer"]);
    key.resize(384, std::byte{0xFF});
    rig.board().pokeDct(2082, key);
    rig.board().pokeDct(2466, sim::makeServerRecord("127.0.0.1", port, 128));
    rig.board().reset();
}

bool shown(Rig& rig, sim::LedColour colour, sim::LedPattern pattern)
{
    const auto history = rig.board().ledHistory();
    return std::any_of(history.begin(), history.end(), [&](const sim::Led& led) {
        return led.colour == colour && led.pattern == pattern;
    });
}

bool logged(Rig& rig, std::string_view text)
{
    const auto log = rig.board().log();
    return std::any_of(log.begin(), log.end(), [&](const std::string& line) {
        return line.find(text) != std::string::npos;
    });
}

class TstVirtualCloud : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void keyReader_usesExactlyTheShapesThatUnitsCanRead_data()
    {
        QTest::addColumn<QByteArray>("der");
        QTest::addColumn<QByteArray>("spki");
        QTest::addColumn<bool>("compatible");
        for (const QJsonValue& each : vectors()["keyShapes"].toArray())
            QTest::newRow(qPrintable(each["name"].toString()))
                << each["der"].toString().toLatin1() << each["publicSpkiDer"].toString().toLatin1()
                << each["deviceCompatible"].toBool();
    }
    void keyReader_usesExactlyTheShapesThatUnitsCanRead()
    {
        QFETCH(QByteArray, der);
        QFETCH(QByteArray, spki);
        QFETCH(bool, compatible);
        const sim::UnitSecret slot = slotOf(*fromHex(der.toStdString()));
        const RsaPublicKey known = must(RsaPublicKey::fromDer(*fromHex(spki.toStdString())));
        const Bytes secret = must(randomBytes(40));
        const Bytes cipher = must(known.encrypt(secret));
        const auto opened = sim::unitDecrypt(sim::readKeySlot(slot.reveal()), cipher);
        QCOMPARE(opened && equalBytes(opened->reveal(), secret), compatible);
        if (compatible) {
            QCOMPARE(toHex(sim::pastedPublicKey(slot.reveal())), spki.toStdString());
        }
    }

    void deviceKeys_areMadeAtFullWidth()
    {
        const sim::UnitSecret key = must(sim::generateOnDevice());
        QCOMPARE(key.size(), std::size_t{611});
        QCOMPARE(toHex(key.reveal().first(11)), std::string("3082025f02010002818100"));
        const RsaPrivateKey parsed = must(RsaPrivateKey::fromBytes(key.reveal()));
        QVERIFY(parsed.publicKey().toDer() == sim::pastedPublicKey(key.reveal()));
    }

    void transcripts_areSpokenByteByByte_data()
    {
        QTest::addColumn<QString>("name");
        for (const QJsonValue& each : vectors()["transcripts"].toArray())
            if (each["name"].toString() != "core-legacy-52-byte-reply")
                QTest::newRow(qPrintable(each["name"].toString())) << each["name"].toString();
    }
    void transcripts_areSpokenByteByByte()
    {
        QFETCH(QString, name);
        const QJsonObject script = transcript(name);
        RecordedLine line(hex(script["streamServerToDevice"]));
        QCOMPARE(runHandshake(line, script), 0);
        // The reply is padded at random, so it is opened; what follows is compared as it is.
        const RsaPrivateKey server =
            must(RsaPrivateKey::fromBytes(hex(script["serverPrivateKeyPkcs1Der"])));
        const SecretBytes reply = must(server.decrypt(ByteView(line.sent).first(256)));
        QCOMPARE(toHex(reply.reveal()),
                 script["deviceReply"]["plaintext"].toString().toStdString());
        QCOMPARE(toHex(ByteView(line.sent).subspan(256)),
                 script["deviceMessages"][0]["wire"].toString().toStdString());
    }

    void negativeCases_endWithTheFirmwaresNumbers_data()
    {
        QTest::addColumn<QString>("name");
        QTest::addColumn<int>("error");
        QTest::newRow("signature") << "server-signs-with-other-key" << 8;
        QTest::newRow("key") << "credentials-for-other-device-key" << 6;
        QTest::newRow("mac") << "hmac-off-by-one-bit" << 8;
        QTest::newRow("digest info") << "signature-with-digestinfo" << 8;
    }
    void negativeCases_endWithTheFirmwaresNumbers()
    {
        QFETCH(QString, name);
        QFETCH(int, error);
        for (const QJsonValue& each : vectors()["negativeCases"].toArray()) {
            if (each["name"].toString() != name)
                continue;
            const QJsonObject script = transcript(each["basedOn"].toString());
            Bytes stream = hex(script["nonce"]);
            ByteWriter(stream).raw(hex(each["ciphertext"])).raw(hex(each["signature"]));
            RecordedLine line(stream);
            QCOMPARE(runHandshake(line, script), error);
            return;
        }
        QFAIL("no such case");
    }

    void board_makesItsKeyAndComesThrough()
    {
        LoopbackServer server("photon-minimal-der", LoopbackServer::Behaviour::Right);
        Rig rig(benchText(kOnline));
        pointAt(rig, server.port);
        QVERIFY(rig.until([&] { return rig.board().cloudSessions() > 0; }));
        QVERIFY(rig.until([&] { return server.messages >= 5; }));
        QCOMPARE(rig.board().lastCloudError(), 0);
        QVERIFY(shown(rig, sim::LedColour::White, sim::LedPattern::Blink));
        QVERIFY(logged(rig, "comm.CoreProtocol.handshake: Completed"));
        QVERIFY(shown(rig, sim::LedColour::Cyan, sim::LedPattern::Breathe));
        const auto history = rig.board().ledHistory();
        const sim::Led handshake{sim::LedColour::Cyan, sim::LedPattern::Blink, 100};
        QVERIFY(std::find(history.begin(), history.end(), handshake) != history.end());
        const Bytes dct = rig.board().physicalDct(rig.board().currentDct());
        QCOMPARE(toHex(ByteView(dct).subspan(0x1D7C + 34, 4)), std::string("3082025f"));
        QVERIFY(equalBytes(ByteView(dct).subspan(0x1D7C + 1250 + 29, 128),
                           ByteView(dct).subspan(0x1D7C + 34 + 11, 128)));
        QVERIFY(rig.board().escapes().empty());
    }

    void board_pingsWhenNothingElseIsSaid()
    {
        LoopbackServer server("photon-minimal-der", LoopbackServer::Behaviour::Right);
        Rig rig(benchText(kOnline + "\nkey = \"burnt\""));
        pointAt(rig, server.port);
        QVERIFY(rig.until([&] { return server.messages >= 5; }));
        const int burst = server.messages;
        QVERIFY(rig.until([&] { return server.messages > burst + 1; }));
        QCOMPARE(rig.board().cloudSessions(), 1);
    }

    void board_showsWhyItDidNotComeThrough_data()
    {
        QTest::addColumn<int>("behaviour");
        QTest::addColumn<int>("error");
        QTest::addColumn<int>("colour");
        QTest::addColumn<QString>("line");
        using B = LoopbackServer::Behaviour;
        QTest::newRow("wrong key")
            << int(B::OtherDeviceKey) << 6 << int(sim::LedColour::Orange) << "Could not set key, 6";
        QTest::newRow("wrong signature") << int(B::OtherSignature) << 8
                                         << int(sim::LedColour::Magenta) << "Could not set key, 8";
        QTest::newRow("hangs up") << int(B::HangsUp) << -19 << int(sim::LedColour::Red)
                                  << "Unable to receive key -19";
    }
    void board_showsWhyItDidNotComeThrough()
    {
        QFETCH(int, behaviour);
        QFETCH(int, error);
        QFETCH(int, colour);
        QFETCH(QString, line);
        LoopbackServer server("photon-minimal-der", LoopbackServer::Behaviour(behaviour));
        Rig rig(benchText(kOnline + "\nkey = \"self-made\""));
        pointAt(rig, server.port);
        QVERIFY(rig.until([&] { return rig.board().lastCloudError() == error; }));
        QVERIFY(
            rig.until([&] { return shown(rig, sim::LedColour(colour), sim::LedPattern::Solid); }));
        QVERIFY(logged(rig, line.toStdString()));
        QVERIFY(rig.until([&] { return rig.board().cloudAttempts() > 2; }));
    }

    void blankServerKey_isRefusedByAPrivateCloud_data()
    {
        QTest::addColumn<QString>("stock");
        QTest::addColumn<bool>("restores");
        QTest::newRow("before 0.7.0") << "0.6.3" << false;
        QTest::newRow("since 0.7.0") << "1.5.2" << true;
    }
    void blankServerKey_isRefusedByAPrivateCloud()
    {
        QFETCH(QString, stock);
        QFETCH(bool, restores);
        LoopbackServer server("photon-minimal-der", LoopbackServer::Behaviour::Right);
        Rig rig(benchText(concat("stock = \"", stock.toStdString(),
                                 "\"\ncredentials = \"bench\"\nkey = \"burnt\"")));
        rig.waitFor(kCdc);
        pointAt(rig, server.port);
        const Bytes blank(384, std::byte{0xFF});
        rig.board().pokeDct(2082, blank);
        QVERIFY(rig.until([&] { return rig.board().lastCloudError() == -19; }));
        QVERIFY(rig.until([&] { return shown(rig, sim::LedColour::Red, sim::LedPattern::Solid); }));
        QVERIFY(logged(rig, "Unable to receive key -19"));
        QCOMPARE(logged(rig, "Public Server Key was blank, restoring."), restores);
        QCOMPARE(rig.board().cloudSessions(), 0);
        // Its own address was dialled, and the built-in copy is not written.
        QVERIFY(rig.until([&] { return server.ended > 0; }));
        const Bytes dct = rig.board().physicalDct(rig.board().currentDct());
        QVERIFY(equalBytes(ByteView(dct).subspan(0x1D7C + 2082, blank.size()), blank));
    }

    void blankServerAddress_isReportedBehindTheHello()
    {
        // Of the public cloud a blank field keeps the port, too: an address of this test's own.
        const auto own = static_cast<std::uint32_t>(::getpid()) & 0xFFFF;
        const std::uint32_t ip = (127U << 24) | (83U << 16) | own;
        LoopbackServer server("photon-minimal-der", LoopbackServer::Behaviour::Right,
                              {.ip = ip, .port = 5683});
        Rig rig(benchText(
            kOnline + "\nkey = \"burnt\"",
            concat("[network.hosts]\n\"device.spark.io\" = \"", sim::ipv4Text(ip), "\"\n")));
        pointAt(rig, server.port);
        rig.board().pokeDct(2466, Bytes(128, std::byte{0xFF}));
        rig.board().reset();
        QVERIFY(rig.until([&] { return rig.board().cloudSessions() > 0; }));
        QVERIFY(logged(rig, "Public Server Address was blank, restoring."));
        const auto position = [&](std::string_view text) {
            const auto all = server.heard();
            const auto found = std::find_if(all.begin(), all.end(), [&](const std::string& each) {
                return each.find(text) != std::string::npos;
            });
            return found == all.end() ? std::ptrdiff_t{-1} : found - all.begin();
        };
        const std::string report = concat("spark/device/key/error", '\xFF', "4");
        QVERIFY(rig.until([&] { return position(report) >= 0; }));
        QVERIFY(position(report) > position("spark/device/last_reset"));
    }

    void clearedCredentials_endTheNetworkAtOnce()
    {
        LoopbackServer server("photon-minimal-der", LoopbackServer::Behaviour::Right);
        Rig rig(benchText(kOnline + "\nkey = \"burnt\""));
        pointAt(rig, server.port);
        QVERIFY(rig.until([&] { return rig.board().cloudSessions() > 0; }));
        RawControl control(rig);
        const int ended = server.ended;
        QCOMPARE(control.queued(115, {}).first, 0);
        QVERIFY(rig.board().joinedNetwork().empty());
        QVERIFY(rig.until([&] { return server.ended > ended; }));
        QVERIFY(rig.until([&] { return rig.board().mode() == sim::BoardMode::Listening; }));
        // The same firmware still runs: nothing was restarted.
        QCOMPARE(control.queued(20, {}).first, 0);
        QCOMPARE(rig.board().cloudSessions(), 1);
    }

    void foreignAddresses_areNeverDialled()
    {
        Rig rig(benchText(kOnline));
        rig.waitFor(kCdc);
        rig.board().pokeDct(2466, sim::makeServerRecord("10.0.0.7", 5683, 128));
        QVERIFY(rig.until([&] { return logged(rig, "no route to 10.0.0.7"); }));
        QVERIFY(rig.until([&] { return !rig.board().escapes().empty(); }));
        QCOMPARE(rig.board().cloudAttempts(), 0);
    }

    void names_resolveByTheBenchsTable()
    {
        LoopbackServer server("photon-minimal-der", LoopbackServer::Behaviour::Right);
        Rig rig(benchText(kOnline, "[network.hosts]\n\"cloud.plant\" = \"127.0.0.1\"\n"));
        pointAt(rig, server.port);
        rig.board().pokeDct(2466, sim::makeServerRecord("cloud.plant", server.port, 128));
        rig.board().reset();
        QVERIFY(rig.until([&] { return rig.board().cloudSessions() > 0; }));
    }

    void bench_endsPromptlyWhileUnitsAreConnected()
    {
        LoopbackServer server("photon-minimal-der", LoopbackServer::Behaviour::Right);
        QVERIFY(onceWithin(1s, [&] {
            auto rig = std::make_unique<Rig>(benchText(kOnline));
            pointAt(*rig, server.port);
            const bool online = rig->until([&] { return rig->board().cloudSessions() > 0; });
            return online ? timed([&] { rig.reset(); }) : kHangGuard;
        }));
    }
};

} // namespace

PROVOST_TEST("virtual_cloud", TstVirtualCloud)
#include "tst_virtual_cloud.moc"
