// The server's half of one connection, without a line.
#pragma once

#include "protocol/handshake_p.h"

#include <utility>

namespace provost::handshake {

/// Each `take…` and `prepare…` says whether the connection goes on.
class ServerSession {
public:
    ServerSession(ServerMaterial material, const RsaPrivateKey& serverKey, KeyDirectory& keys,
                  const Clock& clock, std::function<void(const HandshakeMessage&)> onProgress,
                  SessionWishes wishes = {})
        : m_material(std::move(material)), m_serverKey(serverKey), m_keys(keys), m_clock(clock),
          m_onProgress(std::move(onProgress)), m_wishes(std::move(wishes)),
          m_recorder(clock, m_onProgress), m_cipher(m_material.credentials.reveal())
    {
    }
    ServerSession(const ServerSession&) = delete;
    ServerSession& operator=(const ServerSession&) = delete;

    Bytes start();
    Bytes startWithout(const Error& why);
    void sent();
    void notSent(LineEnd end);
    std::size_t wanted() const;
    bool isHeavy() const
    {
        return m_awaited == Awaited::Reply ||
               (m_wishes.staysOpen && m_awaited == Awaited::SessionFrame && m_frameBytes != 0);
    }
    bool hasPassed() const { return m_passed; }
    Bytes take(ByteView bytes, Clock::Steady arrivedAt);
    void ended(LineEnd end, ByteView partial);
    bool isOver() const { return m_over; }
    bool isLast() const { return m_outgoing && m_outgoing->last; }
    int step() const { return m_step; }
    std::optional<Clock::Steady> leaveAt() const { return m_leaveAt; }
    HandshakeReport finish() { return m_recorder.finish(); }

private:
    enum class Awaited : std::uint8_t { Reply, HelloFrame, SessionFrame };
    /// What was given out to be sent, until it is known how that ended.
    struct Outgoing {
        HandshakeMessage record{};
        std::string_view causeIfStalled{};
        std::string_view causeIfNot{};
        bool last = false; ///< nothing is awaited behind it
    };

    bool refuse(std::string_view cause, HandshakeMessage message);
    bool hasFittingKey();
    void takeReply(ByteView reply, Clock::Steady arrivedAt);
    void noReply(LineEnd end, ByteView partial);
    bool openReply(ByteView reply);
    bool identify(ByteView plain);
    std::optional<RsaPublicKey> offeredKey(ByteView der);
    bool choosePublicKey(ByteView offeredDer);
    bool prepareCredentials();
    bool takeFramePiece(ByteView bytes);
    bool takeFrame(const Incoming& frame);
    bool takeHello(const Incoming& frame);
    bool noHello(const Incoming& frame);
    bool checkHello(const HelloInfo& hello, HandshakeMessage& message);
    bool takeMessage(const Incoming& frame);
    bool take(const CoapMessage& message, std::size_t wireBytes);
    bool takeFurther(const Incoming& frame);
    void pass();
    void tellEvent(const CoapMessage& message) const;
    bool answer(const CoapMessage& message);
    bool prepare(ByteView message, HandshakeStage stage, std::string_view what);

    ServerMaterial m_material;
    const RsaPrivateKey& m_serverKey;
    KeyDirectory& m_keys;
    const Clock& m_clock;
    std::function<void(const HandshakeMessage&)> m_onProgress;
    SessionWishes m_wishes;
    Recorder m_recorder;
    SessionCipher m_cipher;
    Awaited m_awaited = Awaited::Reply;
    int m_step = 0;
    bool m_over = false;
    bool m_passed = false; ///< and the session stays open
    std::optional<Clock::Steady> m_leaveAt{};
    std::size_t m_frameBytes = 0; ///< of the frame whose length was read; 0: none
    Bytes m_wire{};               ///< what the current call gives out
    std::optional<Outgoing> m_outgoing{};
    HandshakeMessage m_reply{.stage = HandshakeStage::DeviceReply, .fromDevice = true};
    std::optional<RsaPublicKey> m_publicKey{};
    bool m_keyKnownToFit = false; ///< the unit offered the very key that message 3 is sealed to
    bool m_keyKnownToDiffer = false;
    std::uint16_t m_lastDeviceId = 0;
};

} // namespace provost::handshake
