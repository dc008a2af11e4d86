#include "steps/handshake_diagnosis.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "steps/steps_p.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace provost {

namespace {

constexpr std::string_view kDefaultHost = "device.spark.io"; // particle-devices 4.3
constexpr std::uint16_t kDefaultPort = 5683;
constexpr std::size_t kModulusAt = 33; // what firmware takes of the server key (4.1)
constexpr std::size_t kModulusBytes = 256;
constexpr std::size_t kRecordBytes = 68; // up to the end of the port
constexpr unsigned kLastAddressType = 1;

constexpr std::string_view kKeyNotReadable = "F201";
constexpr std::string_view kCloudKeyDiffers = "F221";
constexpr std::string_view kServerKeyDiffers = "F401";
constexpr std::string_view kNotRegistered = "F402";
constexpr std::string_view kBrokenOff = "F403";
constexpr std::string_view kUnknownToCloud = "F407";
constexpr std::string_view kAddressDiffers = "F408";
constexpr std::string_view kNoAddress = "F409";
constexpr std::string_view kReadTheseTwoCause = "F411";
constexpr std::string_view kDeviceKeyChanged = "F412";

/// What the endpoint says about a connection, and what that is worth.
struct EndpointWord {
    std::string_view said{};
    std::string_view cause{};
    bool conclusive = false; ///< needs no read-back
    std::string_view reason{};
};

// -19 alone names no cause (particle-devices 10): the words that are no more than that are not
// conclusive.
constexpr std::array kEndpointWords{
    EndpointWord{"server-failed", "C075", true, "the station's own endpoint failed"},
    EndpointWord{
        "locked-key", "F406", true,
        "the cloud has locked another key for this device ID; send the key that is in the unit to "
        "it"},
    EndpointWord{"unknown-device", kUnknownToCloud, true,
                 "the cloud knows no such device ID; register the unit's public key"},
    EndpointWord{
        "key-not-registered", kNotRegistered, true,
        "the cloud knows the device ID and has no key for it that a unit can use; register the "
        "unit's public key"},
    EndpointWord{
        "registered-key-differs", kCloudKeyDiffers, true,
        "the cloud holds another key for this device ID than was proved on the unit; register the "
        "one that is in the unit"},
    EndpointWord{"bad-message-counter", "F410", true, "the unit counts its messages wrongly"},
    EndpointWord{"wrong-server-key", kServerKeyDiffers, false,
                 "the endpoint could not open the unit's reply"},
    EndpointWord{"wrong-device-key", "F405", false,
                 "the unit hung up behind the session key: it could not open it"},
    EndpointWord{"no-hello", "F405", false, "the unit said no hello behind the session key"},
};

const EndpointWord* wordFor(std::string_view said)
{
    const auto found = std::ranges::find(kEndpointWords, said, &EndpointWord::said);
    return found != kEndpointWords.end() ? &*found : nullptr;
}

class Diagnosis {
public:
    Diagnosis(const HandshakeWanted& wanted, std::string_view said) : m_wanted(wanted), m_said(said)
    {
    }
    std::vector<ProofFinding> of(const std::optional<HandshakeReadBack>& unit)
    {
        const EndpointWord* word = wordFor(m_said);
        if (word != nullptr && word->conclusive)
            add(word->cause, std::string(word->reason));
        if (unit)
            compare(*unit);
        const bool saidSo = says(kNotRegistered) || says(kUnknownToCloud);
        if (m_wanted.cloudHoldsNone && !saidSo)
            add(kNotRegistered, "the cloud holds no key for this unit; register the unit's public "
                                "key again");
        if (m_findings.empty() && !m_said.empty())
            sayWhatIsLeft(word, unit.has_value());
        return std::move(m_findings);
    }

private:
    void add(std::string_view cause, std::string reason)
    {
        m_findings.push_back({.cause = std::string(cause), .reason = std::move(reason)});
    }

    bool says(std::string_view cause) const
    {
        return std::ranges::find(m_findings, cause, &ProofFinding::cause) != m_findings.end();
    }

    /// Along the way of a connection. A unit that dials elsewhere is not the one that was heard.
    void compare(const HandshakeReadBack& unit)
    {
        judgeAddress(unit.serverSlot);
        judgeServerKey(unit.serverSlot);
        judgeDeviceKey(unit.privateSlot);
    }

    bool dialsDefaultCloud() const { return sameAddress(m_wanted.address, m_wanted.defaultCloud); }
    static bool sameAddress(const ServerAddress& a, const ServerAddress& b)
    {
        const auto port = [](const ServerAddress& each) {
            return each.port == 0 ? kDefaultPort : each.port;
        };
        return lowerCase(a.host) == lowerCase(b.host) && port(a) == port(b);
    }

    void judgeServerKey(ByteView slot);
    void judgeDeviceKey(ByteView slot);
    void judgeAddress(ByteView slot);
    void sayWhatIsLeft(const EndpointWord* word, bool readBack);

    const HandshakeWanted& m_wanted;
    const std::string_view m_said;
    std::vector<ProofFinding> m_findings{};
};

/// Nothing of a DCT goes to the screen as it is.
std::string printableAddress(std::string_view host)
{
    std::string clean(host);
    std::ranges::replace_if(
        clean, [](char c) { return std::isprint(static_cast<unsigned char>(c)) == 0; }, '?');
    return clean;
}

void Diagnosis::judgeServerKey(ByteView slot)
{
    const bool restored = m_wanted.rules.restoresServer && dialsDefaultCloud();
    if (slot.empty() || slot.front() == std::byte{0xFF}) {
        if (!restored)
            add(kServerKeyDiffers,
                concat("the server key slot is blank, ",
                       m_wanted.rules.restoresServer
                           ? "so firmware 0.7.0 and later takes the public cloud's key"
                           : "which firmware cannot use",
                       "; burn the server key again"));
        return;
    }
    const ByteView wanted(m_wanted.serverKeyDer);
    constexpr std::size_t kEnd = kModulusAt + kModulusBytes;
    const bool same = slot.size() >= kEnd && wanted.size() >= kEnd &&
                      equalBytes(slot.subspan(kModulusAt, kModulusBytes),
                                 wanted.subspan(kModulusAt, kModulusBytes));
    if (same)
        return;
    const auto reading = readServerAsUnit(slot, m_wanted.rules);
    add(kServerKeyDiffers,
        concat("the server key on the unit (",
               reading.usable ? shortFingerprint(reading.fingerprint) : reading.reason,
               ") is not the endpoint's (", shortFingerprint(sha256Hex(wanted)),
               "); burn the server key again"));
}

void Diagnosis::judgeAddress(ByteView slot)
{
    const std::size_t at = m_wanted.rules.addressAt;
    if (slot.size() < at + kRecordBytes)
        return;
    const ByteView record = slot.subspan(at);
    const std::string wanted = toText(m_wanted.address);
    if (u8(record[0]) > kLastAddressType) {
        if (!dialsDefaultCloud())
            add(kNoAddress,
                concat("the unit has no server address (type:", u8(record[0]),
                       "), so it dials the firmware's default, ", m_wanted.defaultCloud.host,
                       ", instead of ", wanted, "; write key and address together"));
        return;
    }
    const auto found = decodeAddress(record);
    if (!found)
        add(kAddressDiffers, concat("the unit's server address is damaged (type ", u8(record[0]),
                                    ", ", u8(record[1]), " bytes), it must be ", wanted,
                                    "; write key and address together"));
    else if (!sameAddress(*found, m_wanted.address))
        add(kAddressDiffers,
            concat("the unit dials ", printableAddress(toText(*found)), ", the endpoint is ",
                   wanted, "; write key and address together"));
}

void Diagnosis::judgeDeviceKey(ByteView slot)
{
    const auto reading = readAsUnit(slot, m_wanted.rules);
    if (reading.encoding == "blank") {
        add(kDeviceKeyChanged, concat("device key: ", reading.reason, "; burn a key again"));
        return;
    }
    if (!reading.readable) {
        add(kKeyNotReadable,
            concat("the device key is one that the unit cannot read: ", reading.reason,
                   reading.curable ? "; write it in the full-width form" : "; burn a key again"));
        return;
    }
    const std::string onUnit = reading.fingerprint();
    const auto differs = [&](const Bytes& der) { return !der.empty() && sha256Hex(der) != onUnit; };
    const auto shortOf = [](const Bytes& der) { return shortFingerprint(sha256Hex(der)); };
    if (differs(m_wanted.provedKeyDer))
        add(kDeviceKeyChanged,
            concat("the device key on the unit (", shortFingerprint(onUnit),
                   ") is not the one that was proved on it (", shortOf(m_wanted.provedKeyDer),
                   "); run the unit again, its key is then proved and registered anew"));
    else if (differs(m_wanted.registeredKeyDer) && !says(kCloudKeyDiffers))
        add(kCloudKeyDiffers,
            concat("the cloud holds ", shortOf(m_wanted.registeredKeyDer), " for this unit, ",
                   shortFingerprint(onUnit), " is in it; register the key that is in the unit"));
}

void Diagnosis::sayWhatIsLeft(const EndpointWord* word, bool readBack)
{
    if (word == nullptr) {
        add(kBrokenOff, concat("the endpoint saw: ", m_said));
        return;
    }
    if (!readBack) {
        add(kReadTheseTwoCause,
            concat("unknown: ", word->reason,
                   "; read these two on the unit and compare them: the server key and "
                   "the public key that its device key gives"));
        return;
    }
    // A reply that does not open, from a unit with the right key, was changed on its way.
    const bool changed = word->cause == kServerKeyDiffers;
    add(changed ? kBrokenOff : word->cause,
        concat(word->reason, ", though server key, device key and address on the unit are right",
               changed ? "; look for a proxy or a relay between unit and endpoint" : ""));
}

} // namespace

bool namesAKeyFault(std::string_view said)
{
    return wordFor(said) != nullptr;
}

ServerAddress firmwareDefaultCloud()
{
    return {.host = std::string(kDefaultHost), .port = kDefaultPort};
}

std::vector<ProofFinding> diagnoseHandshake(const std::optional<HandshakeReadBack>& unit,
                                            const HandshakeWanted& wanted, std::string_view said)
{
    return Diagnosis(wanted, said).of(unit);
}

} // namespace provost
