#include "sim/cloud_client.h"

#include "core/text.h"
#include "sim/octets.h"
#include "sim/unit_rsa.h"

#include <algorithm>

namespace provost::sim {

namespace {

using namespace std::chrono_literals;
namespace e = cloud_error;

// 5.6
constexpr auto kConnectWatchdog = 8000ms;
constexpr auto kFirstBackOff = 1000ms;
constexpr auto kLeastBackOff = 20ms;
constexpr auto kBlocking = 20000ms;
constexpr auto kHelloWait = 2000ms;
constexpr auto kHelloWaitLightSsl = 4000ms;
constexpr auto kPingIdle = 15000ms;
constexpr auto kPingWait = 10000ms;
/// Peers on a loaded machine get this much at any speed.
constexpr auto kLeastPatience = 2000ms;

constexpr std::size_t kLargestFrame = 800; // 5.2
constexpr unsigned kCoreProtocol = 1213;   // log category from 1.2 on (5.7)

std::string category(unsigned systemVersion, bool lightSsl)
{
    if (systemVersion >= kCoreProtocol)
        return "comm.CoreProtocol.handshake";
    if (lightSsl)
        return "comm.lightssl.handshake";
    return systemVersion >= 102 ? "comm.sparkprotocol.handshake" : "handshake";
}

enum CoapType : std::uint8_t { Confirmable = 0, NonConfirmable = 1, Acknowledgement = 2 };

CoapType typeOf(ByteView message)
{
    return static_cast<CoapType>((octet(message[0]) >> 4) & 3);
}

/// First character of the first Uri-Path option, 0 where there is none.
char pathOf(ByteView message)
{
    const std::size_t at = 4 + (octet(message[0]) & 0x0F);
    if (message.size() < at + 2 || (octet(message[at]) >> 4) != 11)
        return '\0';
    return static_cast<char>(octet(message[at + 1]));
}

} // namespace

CloudClient::CloudClient(CloudLine& line, CloudIdentity identity, Pace pace, Log log)
    : m_line(line), m_identity(std::move(identity)), m_pace(pace),
      m_patience(cloudPatience(pace, m_identity.lightSsl)), m_log(std::move(log))
{
}

CloudPatience cloudPatience(const Pace& pace, bool lightSsl)
{
    const auto hello = lightSsl ? kHelloWaitLightSsl : kHelloWait;
    return {.connect = pace.patience(kConnectWatchdog, kLeastPatience),
            .blocking = pace.patience(kBlocking, kLeastPatience),
            .hello = pace.patience(hello, kLeastPatience),
            .backOff =
                std::max<std::chrono::microseconds>(pace.work(kFirstBackOff), kLeastBackOff)};
}

void CloudClient::note(const std::string& text) const
{
    if (m_log)
        m_log(concat(category(m_identity.systemVersion, m_identity.lightSsl), ": ", text));
}

int CloudClient::handshake()
{
    note("Started: Receive nonce");
    Bytes nonce(40);
    if (const int error = m_line.receive(nonce, m_patience.blocking)) {
        note(concat("Could not receive nonce: ", error));
        return error;
    }
    return receiveKey(nonce);
}

int CloudClient::receiveKey(ByteView nonce)
{
    note("Encrypting handshake nonce");
    Bytes plain = copyOf(nonce);
    Fields(plain).raw(m_identity.deviceId).raw(pastedPublicKey(m_identity.privateSlot.reveal()));
    const auto sealed = encryptToServer(m_identity.serverSlot, plain);
    if (!sealed) {
        note(concat("RSA encrypt error ", e::kEncryption));
        return e::kEncryption;
    }
    note("Sending encrypted nonce");
    if (const int error = m_line.send(*sealed))
        return error;
    note("Receive key");
    Bytes key(384);
    if (const int error = m_line.receive(key, m_patience.blocking)) {
        note(concat("Unable to receive key ", error));
        return error;
    }
    note("Setting key");
    if (const int error = setKey(ByteView(key).first(128), ByteView(key).subspan(128))) {
        note(concat("Could not set key, ", error));
        return error;
    }
    return hello();
}

int CloudClient::setKey(ByteView credentialsCipher, ByteView signature)
{
    const UnitKeyNumbers numbers = readKeySlot(m_identity.privateSlot.reveal());
    const auto credentials = unitDecrypt(numbers, credentialsCipher);
    if (!credentials || credentials->size() != 40)
        return e::kDecryption;
    const Bytes mac = unitHmacSha1(credentials->reveal(), credentialsCipher);
    const auto signedMac = recoverFromServer(m_identity.serverSlot, signature);
    if (!signedMac || !sameOctets(*signedMac, mac))
        return e::kAuthentication;
    const ByteView bytes = credentials->reveal();
    m_key = copyOf(bytes.first(16));
    m_sendIv = copyOf(bytes.subspan(16, 16));
    m_receiveIv = m_sendIv;
    const ByteView salt = bytes.subspan(32);
    m_id = m_identity.lightSsl ? le16At(salt) : be16At(salt);
    m_token = octet(salt[2]);
    return e::kNone;
}

int CloudClient::hello()
{
    note("Sending HELLO message");
    Bytes message;
    Fields out(message);
    out.u8(0x50).u8(0x02).be16(nextId()).u8(0xB1).text("h").u8(0xFF);
    out.be16(m_identity.productId).be16(m_identity.firmwareVersion).u8(0);
    out.u8(m_identity.helloFlags).be16(m_identity.platformId);
    if (const int error = sendMessage(message))
        return error;
    note("Receiving HELLO response");
    const auto until = std::chrono::steady_clock::now() + m_patience.hello;
    while (true) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            until - std::chrono::steady_clock::now());
        Bytes reply;
        const int error = left.count() <= 0 ? e::kMessageTimeout : receiveMessage(reply, left);
        if (error != 0) {
            note("Could not receive HELLO response");
            return error == e::kTimedOut ? e::kMessageTimeout : error;
        }
        const bool isHello = reply.size() >= 6 && typeOf(reply) <= NonConfirmable &&
                             octet(reply[1]) == 0x02 && pathOf(reply) == 'h';
        if (isHello)
            break;
    }
    note("Completed");
    return e::kNone;
}

std::uint16_t CloudClient::nextId()
{
    m_id = static_cast<std::uint16_t>(m_id + (m_identity.miscounts ? 2 : 1));
    return m_id;
}

int CloudClient::sendMessage(ByteView plain)
{
    const std::size_t padding = 16 - plain.size() % 16;
    Bytes padded = copyOf(plain);
    padded.insert(padded.end(), padding, static_cast<std::byte>(padding));
    const Bytes cipher = unitAesEncrypt(m_key, m_sendIv, padded);
    m_sendIv = copyOf(ByteView(cipher).first(16));
    Bytes frame;
    Fields(frame).be16(static_cast<unsigned>(cipher.size())).raw(cipher);
    return m_line.send(frame);
}

int CloudClient::receiveMessage(Bytes& plain, std::chrono::milliseconds patience)
{
    Bytes head(2);
    if (const int error = m_line.receive(head, patience))
        return error;
    const std::size_t length = be16At(head);
    if (length == 0 || length > kLargestFrame || length % 16 != 0)
        return e::kMalformed;
    Bytes cipher(length);
    if (const int error = m_line.receive(cipher, m_patience.blocking))
        return error;
    plain = unitAesDecrypt(m_key, m_receiveIv, cipher);
    m_receiveIv = copyOf(ByteView(cipher).first(16));
    const std::size_t padding = plain.empty() ? 0 : octet(plain.back());
    if (padding < 1 || padding > 16)
        return e::kMalformed;
    plain.resize(plain.size() - padding);
    return plain.size() < 4 ? e::kMalformed : e::kNone;
}

int CloudClient::sendEvent(std::string_view name, std::string_view data, bool acknowledged)
{
    Bytes message;
    Fields out(message);
    out.u8(acknowledged ? 0x40 : 0x50).u8(0x02).be16(nextId()).u8(0xB1).text("E");
    if (name.size() < 13)
        out.u8(static_cast<unsigned>(name.size()));
    else
        out.u8(0x0D).u8(static_cast<unsigned>(name.size() - 13));
    out.text(name);
    if (!data.empty())
        out.u8(0xFF).text(data.substr(0, 255));
    return sendMessage(message);
}

int CloudClient::startupBurst()
{
    struct Event {
        std::string_view name;
        std::string_view data;
        bool wanted;
    };
    const std::string keyErrors = concat(m_identity.keyErrors);
    const std::array events{
        Event{"spark/device/claim/code", m_identity.claimCode, !m_identity.claimCode.empty()},
        Event{"spark/hardware/max_binary", "262144", true},
        Event{"spark/hardware/ota_chunk_size", "512", true},
        Event{"spark/device/safemode", "", m_identity.safeMode},
        Event{"spark/device/last_reset", "power_down", m_identity.systemVersion >= 102},
        Event{"spark/device/key/error", keyErrors, m_identity.keyErrors != 0},
    };
    for (const Event& event : events) {
        if (!event.wanted)
            continue;
        if (const int error = sendEvent(event.name, event.data, false))
            return error;
    }
    Bytes time;
    Fields(time).u8(0x41).u8(0x01).be16(nextId()).u8(++m_token).u8(0xB1).text("t");
    return sendMessage(time);
}

int CloudClient::answer(ByteView message)
{
    const std::uint16_t id = be16At(message, 2);
    const std::uint8_t code = octet(message[1]);
    const std::size_t tokenLength = octet(message[0]) & 0x0F;
    if (typeOf(message) != Confirmable || message.size() < 4 + tokenLength)
        return e::kNone;
    Bytes reply;
    Fields out(reply);
    if (code == 0x01 && pathOf(message) == 'd') {
        out.u8(0x60 | static_cast<unsigned>(tokenLength)).u8(0x45).be16(id);
        out.raw(message.subspan(4, tokenLength)).u8(0xFF);
        const std::string text = concat("{\"f\":[],\"v\":{},", m_identity.moduleReport, "}");
        // One frame must hold it (5.2).
        out.text(text.size() + 40 <= kLargestFrame ? text : std::string("{\"f\":[],\"v\":{}}"));
    } else {
        out.u8(0x60).u8(0x00).be16(id);
    }
    return sendMessage(reply);
}

int CloudClient::session(const std::function<void()>& onStarted)
{
    if (const int error = startupBurst())
        return error;
    if (onStarted)
        onStarted();
    const auto idle = m_pace.patience(kPingIdle, 500ms);
    const auto pingWait = m_pace.patience(kPingWait, kLeastPatience);
    bool pinged = false;
    while (true) {
        const int readable = m_line.waitReadable(pinged ? pingWait : idle);
        if (readable < 0)
            return readable;
        if (readable == 0 && pinged)
            return e::kPingTimeout;
        if (readable == 0) {
            Bytes ping;
            Fields(ping).u8(0x40).u8(0x00).be16(nextId());
            if (const int error = sendMessage(ping))
                return error;
            pinged = true;
            continue;
        }
        Bytes message;
        if (const int error = receiveMessage(message, m_patience.blocking))
            return error;
        pinged = false;
        if (const int error = answer(message))
            return error;
    }
}

} // namespace provost::sim
