#include "protocol/unit_settings.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/control_messages_p.h"
#include "protocol/unit_text_p.h"

namespace provost {

namespace {

// particle-devices 1.3
constexpr std::uint16_t kAskDeviceId = 20;
constexpr std::uint16_t kAskModules = 90;
constexpr std::uint16_t kSetWifi = 113;
constexpr std::uint16_t kSetClaimCode = 200;
constexpr std::uint16_t kAskClaimed = 201;
constexpr std::uint16_t kSetKey = 210;
constexpr std::uint16_t kAskKey = 211;
constexpr std::uint16_t kSetServerAddress = 220;
constexpr std::uint16_t kAskServerAddress = 221;

constexpr std::uint64_t kDevicePrivateKey = 1;
constexpr std::uint64_t kServerPublicKey = 3;
constexpr std::uint64_t kTcpProtocol = 1;
constexpr int kNoSuchRecord = -170; // device-os SYSTEM_ERROR_NOT_FOUND

constexpr std::size_t kClaimCodeBytes = 63;
constexpr std::size_t kPrivateKeySlot = 1216; // 3.3
constexpr std::size_t kServerKeySlot = 768;
constexpr std::size_t kLongestHost = 64; // 4.3: a longer one would run into the port
constexpr std::uint64_t kAes = 1;

Unexpected badSetting(std::string message)
{
    return fail(Errc::InvalidArgument, Blame::Operator, std::move(message));
}

} // namespace

Result<std::string> UnitSettings::deviceId(const OpContext& op)
{
    const Bytes reply = TRY(m_requests.queued(kAskDeviceId, {}, op));
    const auto message = TRY(control::MessageReader::read(reply));
    const std::string id = lowerCase(toText(message.bytes(1)));
    if (id.size() != 24 || !fromHex(id))
        return fail(Errc::InvalidData, Blame::Unit,
                    concat("ask for the device id by request 20: \"", printable(id),
                           "\" is not 24 hexadecimal digits"));
    return id;
}

Result<ModuleReport> UnitSettings::modules(const OpContext& op)
{
    return parseModuleReport(toText(TRY(m_requests.queued(kAskModules, {}, op))));
}

Result<> UnitSettings::setWifi(std::string_view ssid, const SecretBytes& password,
                               WifiSecurity security, const OpContext& op)
{
    if (ssid.empty() || ssid.size() > 32)
        return badSetting(concat("set Wi-Fi credentials by request: an SSID of ", ssid.size(),
                                 " bytes; 1 to 32 are possible"));
    if (password.size() > 64)
        return badSetting("set Wi-Fi credentials by request: the password has more than 64 bytes");
    control::MessageWriter point;
    point.text(1, ssid).number(3, static_cast<std::uint64_t>(security));
    if (security == WifiSecurity::Wpa || security == WifiSecurity::Wpa2)
        point.number(4, kAes);
    const SecretBytes inner = point.withSecret(8, password.reveal());
    const SecretBytes message = control::MessageWriter().withSecret(1, inner.reveal());
    TRY(m_requests.queued(kSetWifi, message.reveal(), op.withSecrets()));
    return {};
}

Result<> UnitSettings::setClaimCode(std::string_view code, const OpContext& op)
{
    if (code.size() != kClaimCodeBytes)
        return badSetting(
            concat("set the claim code by request: it has ", code.size(), " characters, not 63"));
    TRY(m_requests.queued(kSetClaimCode, control::MessageWriter().text(1, code).message(),
                          op.withSecrets()));
    return {};
}

Result<bool> UnitSettings::claimed(const OpContext& op)
{
    const Bytes reply = TRY(m_requests.queued(kAskClaimed, {}, op));
    return TRY(control::MessageReader::read(reply)).number(1) != 0;
}

Result<> UnitSettings::setDeviceKey(const SecretBytes& der, const OpContext& op)
{
    if (der.empty() || der.size() > kPrivateKeySlot)
        return badSetting(concat("set the device key by request: ", der.size(),
                                 " bytes; its slot holds 1 to ", kPrivateKeySlot));
    control::MessageWriter head;
    head.number(1, kDevicePrivateKey);
    TRY(m_requests.queued(kSetKey, head.withSecret(2, der.reveal()).reveal(), op.withSecrets()));
    return {};
}

Result<Bytes> UnitSettings::readKey(std::uint64_t type, const OpContext& op)
{
    return m_requests.queued(kAskKey, control::MessageWriter().number(1, type).message(), op);
}

Result<SecretBytes> UnitSettings::deviceKey(const OpContext& op)
{
    Bytes reply = TRY(readKey(kDevicePrivateKey, op.withSecrets()));
    auto message = control::MessageReader::read(reply);
    SecretBytes key = message ? SecretBytes(message->bytes(1)) : SecretBytes();
    wipe(reply);
    if (!message)
        return Unexpected(std::move(message).error());
    if (key.empty())
        return fail(Errc::InvalidData, Blame::Unit, "ask for the device key: the answer has none");
    return key;
}

Result<Bytes> UnitSettings::serverKey(const OpContext& op)
{
    const Bytes reply = TRY(readKey(kServerPublicKey, op));
    return toBytes(TRY(control::MessageReader::read(reply)).bytes(1));
}

Result<> UnitSettings::setServer(ByteView keyDer, const ServerEndpoint& server, const OpContext& op)
{
    if (keyDer.empty() || keyDer.size() > kServerKeySlot)
        return badSetting(concat("set the server key by request: ", keyDer.size(),
                                 " bytes; its slot holds 1 to ", kServerKeySlot));
    if (server.host.empty() || server.host.size() > kLongestHost)
        return badSetting(concat("set the server address by request: a host of ",
                                 server.host.size(), " bytes; 1 to 64 are possible"));
    TRY(m_requests.queued(
        kSetKey, control::MessageWriter().number(1, kServerPublicKey).bytes(2, keyDer).message(),
        op));
    TRY(m_requests.queued(kSetServerAddress,
                          control::MessageWriter()
                              .number(1, kTcpProtocol)
                              .text(2, server.host)
                              .number(3, server.port)
                              .message(),
                          op));
    return {};
}

Result<ServerEndpoint> UnitSettings::server(const OpContext& op)
{
    auto reply = m_requests.queued(kAskServerAddress,
                                   control::MessageWriter().number(1, kTcpProtocol).message(), op);
    if (!reply && reply.error().native == kNoSuchRecord)
        return fail(Errc::NotFound, Blame::Unit,
                    "ask for the server address by request: the unit has no valid record",
                    kNoSuchRecord);
    const Bytes bytes = TRY(std::move(reply));
    const auto message = TRY(control::MessageReader::read(bytes));
    return ServerEndpoint{.host = toText(message.bytes(1)),
                          .port = static_cast<std::uint16_t>(message.number(2))};
}

} // namespace provost
