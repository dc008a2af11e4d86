// What a handshake says to people: names of messages, and one advice for each cause.
#pragma once

#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/handshake_p.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace provost::handshake {

/// Text, TLS or a constant: what other programs and idle lines send, and RSA never does.
inline bool looksForeign(ByteView bytes)
{
    if (bytes.size() < 4)
        return false;
    const ByteView head = bytes.first(std::min<std::size_t>(bytes.size(), 16));
    const bool text = std::ranges::all_of(
        head, [](std::byte b) { return std::isprint(u8(b)) != 0 || std::isspace(u8(b)) != 0; });
    // A record of TLS: handshake or alert.
    const bool tls = (u8(bytes[0]) == 0x16 || u8(bytes[0]) == 0x15) && u8(bytes[1]) == 0x03;
    const bool constant = std::ranges::all_of(bytes, [&](std::byte b) { return b == bytes[0]; });
    return text || tls || constant;
}

inline std::string printablePath(std::string_view text)
{
    std::string clean;
    for (const char c : text.substr(0, 63)) // 5.5
        clean.push_back(std::isprint(static_cast<unsigned char>(c)) != 0 ? c : '?');
    return clean;
}

/// "16030100": enough to recognise a protocol by.
inline std::string firstBytes(ByteView bytes)
{
    constexpr std::size_t kShown = 8;
    return toHex(bytes.first(std::min(bytes.size(), kShown)));
}

/// Names the messages of a session (particle-devices 5.5), answers by the token of what they
/// answer, those without one by its message id.
class SessionNames {
public:
    std::string nameOf(const CoapMessage& message, bool fromDevice)
    {
        if (message.type == CoapType::Reset)
            return "reset";
        const bool response = message.code >= kFirstResponse;
        if (response || message.type == CoapType::Acknowledgement)
            return answerName(message, fromDevice, response);
        const Request request = requestName(message);
        if (m_open.size() == kMostOpen)
            m_open.erase(m_open.begin());
        m_open.push_back({fromDevice, message.id, message.token, request.answer});
        return request.name;
    }

private:
    static constexpr unsigned kFirstResponse = 0x40; // RFC 7252, section 3
    static constexpr unsigned kFirstError = 0x80;
    static constexpr std::size_t kMostOpen = 64;
    struct Request {
        std::string name{};
        std::string_view answer = "answer";
    };
    struct Open {
        bool fromDevice = false;
        std::uint16_t id = 0;
        Bytes token{};
        std::string_view answer{};
    };

    static Request requestName(const CoapMessage& message)
    {
        if (message.isPing())
            return {"ping", "ping answer"};
        const std::string first = message.path.empty() ? std::string() : message.path.front();
        if (message.code == kCoapPost && (first == "E" || first == "e"))
            return {concat("event ", printablePath(message.path.size() > 1 ? message.path[1]
                                                                           : "without name"))};
        if (message.code == kCoapPost && first == "h")
            return {"hello"};
        if (message.code == kCoapGet && first == "t")
            return {"time request", "time answer"};
        if (message.code == kCoapGet && first == "d")
            return {"describe request", "describe answer"};
        if (message.code == kCoapGet && first == "e")
            return {"subscription"};
        return {"message"};
    }

    std::string answerName(const CoapMessage& message, bool fromDevice, bool response)
    {
        const auto asked = std::ranges::find_if(m_open, [&](const Open& open) {
            return open.fromDevice != fromDevice &&
                   (response ? open.token == message.token : open.id == message.id);
        });
        const bool known = asked != m_open.end();
        const std::string_view answer = known ? asked->answer : "answer";
        const bool empty = message.code == kCoapEmpty;
        if (known && (response || answer == "ping answer"))
            m_open.erase(asked);
        if (empty)
            return answer == "ping answer" ? "ping answer" : "acknowledgement";
        return message.code < kFirstError
                   ? std::string(answer)
                   : concat(answer, ", refused with ", message.code >> 5, ".", message.code & 0x1F);
    }

    std::vector<Open> m_open{}; ///< what was asked and not answered
};

/// Of a message by itself: nothing that was asked is known.
inline std::string wordsFor(const CoapMessage& message)
{
    return SessionNames().nameOf(message, true);
}

struct Advice {
    std::string_view cause{};
    std::string_view words{};
};

// particle-devices 10
inline constexpr std::array kAdvice{
    Advice{"silent-unit", "Check network, firewall and port: the unit connected and said nothing."},
    Advice{"not-a-unit", "Find out what else dials this port: what came is no unit's reply."},
    Advice{"short-reply", "Check the network, then restart the unit: its reply came incomplete."},
    Advice{"timeout", "Check the network: the peer stopped in the middle of a message."},
    Advice{"wrong-server-key", "Burn this server's public key into the unit."},
    Advice{"wrong-nonce", "Look for a relay or an old recording: the reply answers another nonce."},
    Advice{"unknown-device", "Register the unit's public key for this device ID."},
    Advice{"key-not-registered", "Register the unit's own RSA-1024 public key for this device ID."},
    Advice{"locked-key",
           "Send the unit's new public key to the cloud, which has locked the old one."},
    Advice{"wrong-device-key", "Read the key that is in the unit and register its public half."},
    Advice{"no-hello",
           "Look at the flash of the unit: orange, re-encode its key; magenta, burn the "
           "server key."},
    Advice{"bad-hello", "Check the firmware of the unit: its first sealed message is no hello."},
    Advice{"bad-message-counter",
           "Update the firmware of the unit: it counts its messages wrongly."},
    Advice{"bad-message", "Check network and firmware: a message in the session cannot be read."},
    Advice{"no-further-message", "Restart the unit: it said hello and then nothing more."},
    Advice{"cancelled", "Run it again: it was stopped."},
    Advice{"server-failed", "Check server key and random generator of this station."},
    Advice{"unreadable-device-key", "Write the key in the full-width form that the unit can read."},
    Advice{"unusable-server-key", "Give the server's public key, RSA-2048 in DER."},
    Advice{"silent-server", "Check address and port: nothing there speaks the handshake."},
    Advice{"server-hung-up",
           "Check server key and registration: the server read the reply and hung "
           "up, as units see with -19."},
    Advice{"wrong-server-signature", "Burn the public key of the very server that signs: magenta "
                                     "flash, authentication error (8)."},
    Advice{"no-answer", "Check address, port and firewall: nothing answers there."},
    Advice{"connection-refused", "Start the server, or correct address and port: nobody listens."},
    Advice{"captive-portal",
           "Use a network without login page or proxy: something else answered in the server's "
           "place."},
    Advice{"unknown-refusal", "Read the server key and the derived public key on the unit, and "
                              "compare both with the cloud's."},
    Advice{"unregistered-key", "Register the public key that is in the unit for its device ID."},
    Advice{"no-hello-answer", "Check the server: it sent its credentials and answers no hello."},
    Advice{"incomplete-capture",
           "Capture again from before the unit connects, with whole packets (tcpdump -s 0)."},
    Advice{"no-ping-answer", "Check the server: it takes the hello and answers no ping."},
};

inline std::string_view adviceFor(std::string_view cause)
{
    const auto found = std::ranges::find(kAdvice, cause, &Advice::cause);
    return found != kAdvice.end() ? found->words : std::string_view{};
}

} // namespace provost::handshake
