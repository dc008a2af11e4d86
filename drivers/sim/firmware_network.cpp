#include "core/text.h"
#include "sim/firmware.h"
#include "sim/octets.h"
#include "sim/public_cloud.h"
#include "sim/tcp_line.h"
#include "sim/unit_rsa.h"

#include <algorithm>

namespace provost::sim {

namespace {

using namespace std::chrono_literals;
namespace e = cloud_error;

constexpr auto kJoin = 2200ms;
constexpr auto kDhcp = 800ms;
constexpr auto kRetryJoin = 10000ms;
constexpr auto kDialLatency = 120ms;
constexpr auto kKeyArithmetic = 350ms; ///< one private RSA operation of the unit
constexpr auto kKeyGeneration = 4000ms;
constexpr auto kBurst = 250ms;
constexpr auto kForEver = std::chrono::hours(24);
constexpr unsigned k070 = 200;
constexpr std::uint16_t kUdpPort = 5684;
constexpr std::string_view kUdpCloud = "$id.udp.particle.io";

} // namespace

void Firmware::goOnline()
{
    Connects connects{};
    {
        const MutexLock lock(m_board->mutex);
        connects = m_board->application().connects;
        if (m_board->safeMode)
            m_board->show({LedColour::Magenta, LedPattern::Breathe, 4000});
        else if (connects == Connects::Never)
            m_board->show({LedColour::White, LedPattern::Breathe, 4000});
        else if (connects == Connects::RadioOnly)
            m_board->show({LedColour::Blue, LedPattern::Breathe, 4000});
    }
    const bool joins = connects == Connects::Network || connects == Connects::Cloud;
    if (joins && !joinNetwork())
        return;
    if (connects != Connects::Cloud) {
        pause(kForEver);
        return;
    }
    prepareKeys();
    if (!interrupted())
        connectCloud();
}

bool Firmware::joinNetwork()
{
    bool joins = false;
    bool cellular = false;
    {
        const MutexLock lock(m_board->mutex);
        if (!m_board->joinedNetwork.empty())
            return true;
        const auto known = m_board->credentials();
        const BenchNetwork& around = *m_board->network;
        cellular = m_board->profile.radio == Radio::Cellular;
        joins = cellular || (known && m_board->hears(known->ssid) &&
                             (around.security == 0 ||
                              sameOctets(known->password.reveal(), around.password.reveal())));
        m_board->show({LedColour::Green, LedPattern::Blink, 200});
    }
    if (!pause(m_board->pace.work(kJoin)))
        return false;
    if (!joins) {
        pause(m_board->pace.patience(kRetryJoin, 100ms));
        return false;
    }
    setLed(LedColour::Green, LedPattern::Blink, 100);
    if (!pause(m_board->pace.work(kDhcp)))
        return false;
    const MutexLock lock(m_board->mutex);
    if (m_board->lostNetwork)
        return false;
    m_board->joinedNetwork = cellular ? std::string("cellular") : m_board->network->ssid;
    m_board->say(concat("net: joined ", m_board->joinedNetwork));
    m_board->show({LedColour::Green, LedPattern::Breathe, 4000});
    return true;
}

void Firmware::prepareKeys()
{
    const KeyFields& keys = m_board->profile.keys;
    bool blank = false;
    {
        const MutexLock lock(m_board->mutex);
        blank = octet(m_board->keyField(keys.privateKey)[0]) == 0xFF;
    }
    if (blank && m_board->profile.makesOwnKey) {
        setLed(LedColour::White, LedPattern::Blink, 200);
        const auto key = generateOnDevice();
        if (!key || !pause(m_board->pace.work(kKeyGeneration)))
            return;
        const MutexLock lock(m_board->mutex);
        m_board->writeDct(dct::kPrivateKey, key->reveal());
        m_board->say("system: made a device key");
    }
    if (keys.publicKey.size == 0)
        return;
    // The public slot follows the private one whenever the server key is read (3.6).
    const MutexLock lock(m_board->mutex);
    const Bytes derived = pastedPublicKey(m_board->store.read(dct::kPrivateKey, 612));
    if (!sameOctets(m_board->store.read(dct::kPublicKey, derived.size()), derived))
        m_board->writeDct(dct::kPublicKey, derived);
}

void Firmware::connectCloud()
{
    setLed(LedColour::Cyan, LedPattern::Blink, 200);
    ServerRecord record;
    const bool udp = overUdp();
    const auto ip = route(record);
    int error = -20;
    m_reached = false;
    if (!udp && ip && pause(m_board->pace.work(kDialLatency)))
        error = talk(*ip, record.port);
    if (error == e::kInterrupted || interrupted())
        return;
    {
        const MutexLock lock(m_board->mutex);
        m_board->lastCloudError = error;
        m_board->say(concat("[system] WARN: Cloud handshake failed, code=", error));
    }
    showFailure(error);
    backOff();
}

bool Firmware::overUdp() const
{
    const MutexLock lock(m_board->mutex);
    return m_board->profile.transportByte &&
           octet(m_board->store.read(dct::kTransport, 1)[0]) != 0; // 3.3: 00 is TCP
}

std::optional<std::uint32_t> Firmware::route(ServerRecord& record)
{
    const MutexLock lock(m_board->mutex);
    if (m_board->profile.transportByte && octet(m_board->store.read(dct::kTransport, 1)[0]) != 0) {
        record = readServerRecord(
            m_board->store.read(dct::kAlternateServerAddress, dct::kServerAddressSize), kUdpPort);
        if (record.kind == ServerRecord::Kind::None) {
            record.kind = ServerRecord::Kind::Domain;
            record.domain = kUdpCloud;
            record.port = kUdpPort;
        }
        // DTLS is not reduced to bytes (particle-devices 12): the unit gets as far as the name.
        m_board->say("cloud: DTLS over UDP, which no bench offers");
        return resolve(record);
    }
    record =
        readServerRecord(m_board->keyField(m_board->profile.keys.serverAddress), kPublicCloudPort);
    if (record.kind == ServerRecord::Kind::None) {
        if ((blankFields() & BlankAddress) != 0)
            m_board->say("Public Server Address was blank, restoring.");
        else
            m_board->say(concat("Read Server Address = type:", unsigned{record.type},
                                ",defaulting to ", kPublicCloudHost));
        record.kind = ServerRecord::Kind::Domain;
        record.domain = kPublicCloudHost;
        record.port = kPublicCloudPort;
    }
    if ((blankFields() & BlankKey) != 0)
        m_board->say("Public Server Key was blank, restoring.");
    return resolve(record);
}

unsigned Firmware::blankFields() const
{
    if (m_board->systemVersion < k070)
        return 0;
    const KeyFields& keys = m_board->profile.keys;
    const bool noKey = octet(m_board->keyField(keys.serverKey)[0]) == 0xFF;
    const bool noAddress = octet(m_board->keyField(keys.serverAddress)[0]) == 0xFF;
    return (noKey ? BlankKey : 0U) | (noAddress ? BlankAddress : 0U);
}

std::optional<std::uint32_t> Firmware::resolve(const ServerRecord& record)
{
    std::string where = ipv4Text(record.ip);
    std::optional<std::uint32_t> ip = record.ip;
    if (record.kind == ServerRecord::Kind::Domain) {
        where = record.domain;
        const auto& hosts = m_board->network->hosts;
        auto found = hosts.find(where); // a bench may know the name as it stands in the record
        if (const auto at = where.find("$id"); at != std::string::npos)
            where.replace(at, 3, m_board->idText());
        if (found == hosts.end())
            found = hosts.find(where);
        ip = found == hosts.end() ? parseIpv4(where) : parseIpv4(found->second);
    }
    if (ip && *ip >> 24 == 127)
        return ip;
    m_board->say(concat("net: no route to ", where));
    m_board->escapes.push_back(concat("dialled ", where, ":", record.port));
    return std::nullopt;
}

CloudIdentity Firmware::identity() const
{
    const MutexLock lock(m_board->mutex);
    const BoardProfile& board = m_board->profile;
    CloudIdentity who{.deviceId = m_board->deviceId,
                      .privateSlot =
                          UnitSecret(m_board->keyField(board.keys.privateKey).first(612)),
                      .serverSlot = copyOf(m_board->keyField(board.keys.serverKey)),
                      .platformId = board.platform,
                      .productId = board.platform,
                      .systemVersion = m_board->systemVersion,
                      .safeMode = m_board->safeMode,
                      .miscounts = m_board->miscounts,
                      .moduleReport = m_board->report()};
    who.lightSsl = m_board->systemVersion >= board.lightSslSince;
    who.claimCode = m_board->claimCode();
    who.keyErrors = blankFields();
    if ((who.keyErrors & BlankKey) != 0)
        who.serverSlot = publicCloudKey();
    return who;
}

int Firmware::talk(std::uint32_t ip, std::uint16_t port)
{
    {
        const MutexLock lock(m_board->mutex);
        ++m_board->cloudAttempts;
    }
    TcpLine line([this] { return interrupted(); });
    if (const int error = line.connect(ip, port, cloudPatience(m_board->pace, true).connect)) {
        const MutexLock lock(m_board->mutex);
        m_board->say(concat("connection to ", ipv4Text(ip), ":", port, " failed: ", error));
        return error;
    }
    m_reached = true;
    setLed(LedColour::Cyan, LedPattern::Blink, 100);
    if (!pause(m_board->pace.work(kKeyArithmetic)))
        return e::kInterrupted;
    CloudClient client(line, identity(), m_board->pace, [this](const std::string& text) {
        const MutexLock lock(m_board->mutex);
        m_board->say(text);
    });
    if (const int error = client.handshake())
        return error;
    return client.session([this] {
        const MutexLock lock(m_board->mutex);
        ++m_board->cloudSessions;
        m_board->lastCloudError = 0;
        m_board->claimShown();
        m_board->show(
            {m_board->safeMode ? LedColour::Magenta : LedColour::Cyan, LedPattern::Breathe, 4000});
        m_failures = 0;
    });
}

void Firmware::showFailure(int error)
{
    auto shown = kBurst;
    if (!m_reached) {
        const int blinks = m_board->network->internet ? 3 : 2;
        const MutexLock lock(m_board->mutex);
        m_board->show({LedColour::Orange, LedPattern::Blink, 500, blinks});
        shown = blinks * 500ms;
    } else if (error == e::kDecryption) {
        setLed(LedColour::Orange, LedPattern::Solid, 0);
    } else if (error == e::kAuthentication) {
        setLed(LedColour::Magenta, LedPattern::Solid, 0);
    } else {
        setLed(LedColour::Red, LedPattern::Solid, 0);
    }
    pause(m_board->pace.work(shown));
}

void Firmware::backOff()
{
    // 1 s for failures 1-5, 2 s for 6-10, doubling every 5, at most 128 s (5.6).
    const int doublings = std::min(m_failures / 5, 7);
    ++m_failures;
    pause(cloudPatience(m_board->pace, true).backOff * (1 << doublings));
}

} // namespace provost::sim
