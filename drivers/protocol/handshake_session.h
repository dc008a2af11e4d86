// The TCP handshake of particle-devices 5, both halves, over any byte stream.
#pragma once

#include "crypto/rsa_key.h"
#include "transport/serial.h"

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace provost {

enum class HandshakeStage : std::uint8_t { Nonce, DeviceReply, Credentials, Hello, Session };
std::string_view name(HandshakeStage stage); ///< nonce, device-reply, credentials, hello, session

enum class MessageIdOrder : std::uint8_t { BigEndian, LittleEndian }; ///< 5.3

/// One arrow of the picture that the operator sees.
struct HandshakeMessage {
    HandshakeStage stage{};
    bool fromDevice = false;
    std::string what{};    ///< "nonce, device ID and public key, sealed to the server key"
    std::size_t bytes = 0; ///< on the wire
    double atMs = 0;       ///< since the connection was accepted
    std::string note{};    ///< "offered key is not the registered one"
    bool failed = false;
};

struct HelloInfo {
    std::uint16_t messageId = 0;
    std::uint16_t productId = 0;
    std::uint16_t firmwareVersion = 0;
    std::uint8_t flags = 0;
    std::optional<std::uint16_t> platformId{};
};

/// What one connection showed, whether it ended well or not.
struct HandshakeReport {
    bool passed = false;
    HandshakeStage stage = HandshakeStage::Nonce; ///< how far it came
    std::string deviceId{};                       ///< once known
    /// Empty: passed. Both halves: timeout, cancelled, wrong-device-key, no-hello, bad-hello,
    /// bad-message. Server: silent-unit, not-a-unit, short-reply, wrong-server-key, wrong-nonce,
    /// unknown-device, key-not-registered, locked-key, bad-message-counter, no-further-message,
    /// server-failed. Device: unreadable-device-key, unusable-server-key, silent-server,
    /// server-hung-up, wrong-server-signature, no-ping-answer, captive-portal, and without a
    /// connection connection-refused, no-answer.
    std::string cause{};
    std::string advice{};                ///< what to do, one sentence
    std::vector<std::string> evidence{}; ///< one fact a line, of which the cause follows
    std::string offeredKeyFingerprint{}; ///< of message 2, where it opened
    std::optional<HelloInfo> hello{};
    std::optional<MessageIdOrder> idOrder{};
    double totalMs = 0;
    std::vector<HandshakeMessage> messages{};
};

/// AES-128-CBC framing with its running IVs (5.2) and the counters of 5.3.
class SessionCipher {
public:
    /// @param credentials  40 bytes: key 16, IV 16, salt 8
    explicit SessionCipher(ByteView credentials);
    SessionCipher(const SessionCipher&) = default;
    SessionCipher& operator=(const SessionCipher&) = default;
    ~SessionCipher();
    /// Length-prefixed frame ready for the wire.
    Result<Bytes> seal(ByteView message);
    /// @param cipherText  one frame without its length
    Result<Bytes> open(ByteView cipherText);
    std::array<std::byte, 8> salt() const { return m_salt; }

private:
    std::array<std::byte, 16> m_key{};
    std::array<std::byte, 16> m_sendIv{};
    std::array<std::byte, 16> m_receiveIv{};
    std::array<std::byte, 8> m_salt{};
};

/// Answers who may connect. Called from the session's thread.
class KeyDirectory {
public:
    virtual ~KeyDirectory() = default;
    /// The public key on file for a device id (24 lower-case hex digits), if any.
    virtual std::optional<RsaPublicKey> find(const std::string& deviceId) = 0;
    /// The offered key differs from the locked one: refuse with -19 instead of answering. Also
    /// asked where find() has no key: true says that the id is known and only its key is missing.
    virtual bool refuses(const std::string& deviceId, const RsaPublicKey& offered) = 0;
};

struct ServerTimeouts {
    std::chrono::milliseconds step{30000}; ///< 5.6
    std::chrono::milliseconds whole{120000};
};

/// The server's half for one accepted connection: runs the handshake, then the session until
/// the end-of-line criterion of 5.5 (Hello both ways and one further device message with the
/// expected id), answering pings and time requests.
/// @param onProgress  called after each message, from the same thread
HandshakeReport serveHandshake(ByteStream& line, const RsaPrivateKey& serverKey, KeyDirectory& keys,
                               ServerTimeouts timeouts, const OpContext& op,
                               const std::function<void(const HandshakeMessage&)>& onProgress = {});

struct DeviceIdentity {
    std::array<std::byte, 12> deviceId{};
    SecretBytes privateSlot{}; ///< DER at its start, read with the unit's own reader
    Bytes serverKeySlot{};     ///< DER at its start
    std::uint16_t platformId = 6;
    std::uint16_t productId = 6;
    std::uint16_t firmwareVersion = 0xFFFF;
    MessageIdOrder idOrder = MessageIdOrder::LittleEndian;
    std::uint8_t helloFlags = 0; ///< 5.4
    bool sendsPublicKey = true;  ///< false: Core before 0.4.0, 52 bytes and no platform id
};
/// The device's half, for `handshake dial`: what the unit would do, up to one ping answered.
HandshakeReport dialHandshake(ByteStream& line, const DeviceIdentity& device, const OpContext& op);
/// What such a dial has to report where no connection came about.
/// @param why  of the attempt to connect
HandshakeReport notConnected(const DeviceIdentity& device, const Error& why,
                             std::chrono::milliseconds took);

/// Pieces both halves are made of; the vectors test them one by one.
namespace handshake {
Bytes replyPlaintext(ByteView nonce, ByteView deviceId, ByteView publicKeyDer);
/// The 256-byte signature over message 3's cipher text.
Result<Bytes> signCredentials(const RsaPrivateKey& serverKey, ByteView credentials,
                              ByteView cipherText);
/// @returns InvalidData  AUTHENTICATION_ERROR on the unit
Result<> checkCredentials(const RsaPublicKey& serverKey, ByteView credentials, ByteView cipherText,
                          ByteView signature);
Bytes deviceHello(const HelloInfo& hello);
Bytes serverHello(std::uint16_t messageId);
Bytes ping(std::uint16_t messageId);
Bytes acknowledgement(std::uint16_t messageId);
Result<HelloInfo> parseDeviceHello(ByteView message);
std::uint16_t firstMessageId(ByteView salt, MessageIdOrder order);
} // namespace handshake

} // namespace provost
