#include "cloud/rest_api_p.h"

#include "cloud/rest_answers_p.h"
#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/digest.h"

#include <QByteArray>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QUrlQuery>
#include <charconv>

namespace provost {

namespace {

constexpr int kUnitKeyBits = 1024; // particle-devices 4.1
constexpr std::size_t kTokenBytes = 20;
constexpr int kTokenLifeSeconds = 7776000; // 90 days, as the public cloud says

/// A JSON document that is one text; the texts in use hold nothing to be escaped.
HttpAnswer jsonText(int status, std::string_view text)
{
    return {.status = status, .body = concat("\"", text, "\"")};
}

/// What of our own went wrong is for the log of this side, not for the client.
HttpAnswer failed(const Error& why)
{
    return rest::error(why.code == Errc::Denied ? 403 : 500,
                       why.code == Errc::Denied ? "Permission Denied" : "server_error");
}

void takeForm(std::string_view text, std::map<std::string, std::string>& fields)
{
    // application/x-www-form-urlencoded: `+` is a space (QUrlQuery leaves it alone).
    const QUrlQuery query(rest::toQt(text).replace(QLatin1Char('+'), QLatin1String("%20")));
    for (const auto& [key, value] : query.queryItems(QUrl::FullyDecoded))
        fields[key.toStdString()] = value.toStdString();
}

/// Query first, then the body, whose fields count where both have one. False: not readable.
bool takeFields(const HttpRequest& request, std::map<std::string, std::string>& fields)
{
    takeForm(request.query, fields);
    if (lowerCase(request.contentType).starts_with("application/json")) {
        const auto document = QJsonDocument::fromJson(QByteArray::fromStdString(request.body));
        if (!document.isObject())
            return request.body.empty();
        const QJsonObject object = document.object();
        for (auto item = object.begin(); item != object.end(); ++item) {
            if (item->isString())
                fields[item.key().toStdString()] = item->toString().toStdString();
        }
        return true;
    }
    takeForm(request.body, fields);
    return true;
}

std::string fieldOf(const std::map<std::string, std::string>& fields, const std::string& name)
{
    const auto found = fields.find(name);
    return found == fields.end() ? std::string{} : found->second;
}

Result<RsaPublicKey> unitKeyOf(const std::string& pem)
{
    // By content alone the reader would take DER as well; the call is for PEM text.
    if (trimmed(pem).find("-----BEGIN PUBLIC KEY-----") != 0)
        return fail(Errc::InvalidData, Blame::Cloud, "not a PEM public key");
    auto key = RsaPublicKey::fromText(viewOf(pem));
    if (!key)
        return fail(Errc::InvalidData, Blame::Cloud, "not an RSA public key");
    if (key->bits() != kUnitKeyBits)
        return fail(Errc::InvalidData, Blame::Cloud,
                    concat("a unit's key has ", kUnitKeyBits, " bits, this one ", key->bits()));
    return key;
}

/// `manual_1732206123456`, as the tools send it: when the registration was sent.
std::optional<std::int64_t> orderOf(std::string_view text)
{
    constexpr std::string_view kManual = "manual_";
    std::int64_t order = 0;
    if (!text.starts_with(kManual))
        return std::nullopt;
    text.remove_prefix(kManual.size());
    const auto read = std::from_chars(text.data(), text.data() + text.size(), order);
    return read.ec == std::errc{} && read.ptr == text.data() + text.size() ? std::optional(order)
                                                                           : std::nullopt;
}

/// The id behind `prefix`; nullopt where the path is another one.
std::optional<std::string> idBehind(std::string_view path, std::string_view prefix)
{
    if (!path.starts_with(prefix))
        return std::nullopt;
    path.remove_prefix(prefix.size());
    if (path.ends_with('/'))
        path.remove_suffix(1);
    return path.empty() || path.find('/') != std::string_view::npos
               ? std::nullopt
               : std::optional<std::string>(path);
}

} // namespace

RestApi::RestApi(Registry& registry, SecretBytes token, Registry::WhenLocked whenLocked,
                 PresenceOf presenceOf, KeyChanged keyChanged, Claims& claims, EventFeed& feed)
    : m_registry(registry), m_token(std::move(token)), m_whenLocked(whenLocked),
      m_presenceOf(std::move(presenceOf)), m_keyChanged(std::move(keyChanged)), m_claims(claims),
      m_feed(feed)
{
}

HttpAnswer RestApi::handle(const HttpRequest& request)
{
    Fields fields;
    const bool readable = takeFields(request, fields);
    if (request.path.starts_with("/v1/") && !authorized(request, fields)) {
        HttpAnswer answer =
            rest::error(401, "invalid_token", "The access token provided is invalid or missing.");
        answer.headers.emplace_back("WWW-Authenticate", "Bearer");
        return answer;
    }
    if (!readable)
        return rest::error(400, "invalid_request", "the body is no JSON object");
    return route(request, fields);
}

HttpAnswer RestApi::route(const HttpRequest& request, const Fields& fields)
{
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (auto answer = account(request, fields))
        return *std::move(answer);
    if (const auto id = idBehind(request.path, "/v1/provisioning/")) {
        if (request.method == "POST")
            return provision(*id, fields);
        return reads ? keyOnFile(*id) : rest::notAllowed("GET, POST");
    }
    if (const auto id = idBehind(request.path, "/v1/devices/")) {
        if (request.method == "DELETE")
            return unclaimDevice(*id);
        if (request.method == "PUT")
            return changeDevice(*id, fields);
        return reads ? device(*id) : rest::notAllowed("GET, PUT, DELETE");
    }
    if (request.path == "/oauth/token")
        return request.method == "POST" ? issueToken(fields) : rest::notAllowed("POST");
    return rest::error(404, "not_found", "no such address");
}

// The answers of spark-server, word for word (particle-devices 9), in the order of its checks.
HttpAnswer RestApi::provision(const std::string& pathId, const Fields& fields)
{
    const std::string bodyId = fieldOf(fields, "deviceID");
    if (bodyId.empty())
        return rest::error(400, "No deviceID provided");
    const auto id = checkedDeviceId(bodyId);
    const auto addressed = checkedDeviceId(pathId);
    if (!id || !addressed)
        return rest::error(400, "Invalid deviceID", "a device id has 24 hexadecimal digits");
    if (*id != *addressed)
        return rest::error(400, "Invalid deviceID", "address and body name different devices");
    const std::string pem = fieldOf(fields, "publicKey");
    if (pem.empty())
        return rest::error(400, "No key provided");
    const std::string algorithm = fieldOf(fields, "algorithm");
    if (!algorithm.empty() && algorithm != "rsa")
        return rest::error(400, "Key error Error: only rsa keys can be used here");
    const auto key = unitKeyOf(pem);
    if (!key)
        return rest::error(400, concat("Key error Error: ", key.error().message));
    const auto stored = m_registry.put(*id, *key, m_whenLocked, orderOf(fieldOf(fields, "order")));
    if (!stored && stored.error().code == Errc::Mismatch)
        return rest::error(409, "stale_registration", stored.error().message);
    if (stored && *stored != Registry::Outcome::Unchanged && m_keyChanged)
        m_keyChanged(*id, key->fingerprint());
    return stored ? jsonText(200, "Success!") : failed(stored.error());
}

HttpAnswer RestApi::keyOnFile(const std::string& pathId)
{
    const auto id = checkedDeviceId(pathId);
    if (!id)
        return rest::error(400, "Invalid deviceID", "a device id has 24 hexadecimal digits");
    const auto key = m_registry.find(*id);
    const auto locked = m_registry.isLocked(*id);
    if (!key || !locked)
        return failed(key ? locked.error() : key.error());
    if (!*key)
        return rest::error(404, "no_key", "no key is on file for this device ID");
    return rest::json(200, {{"deviceID", rest::toQt(*id)},
                            {"publicKey", rest::toQt((*key)->toPem())},
                            {"algorithm", "rsa"},
                            {"fingerprint", rest::toQt((*key)->fingerprint())},
                            {"locked", *locked}});
}

HttpAnswer RestApi::device(const std::string& pathId)
{
    constexpr std::string_view kUnknown = "Oops, I couldn't find that core";
    const auto id = checkedDeviceId(pathId);
    if (!id)
        return jsonText(404, kUnknown);
    const auto key = m_registry.find(*id);
    if (!key)
        return failed(key.error());
    const UnitPresence presence = m_presenceOf(*id);
    if (!*key && !presence.lastHandshake)
        return jsonText(404, kUnknown);
    const std::string name = m_claims.nameOf(*id).value_or("");
    const auto number = [](const std::optional<int>& value) {
        return value ? QJsonValue(*value) : QJsonValue();
    };
    const QJsonValue handshakeAt = presence.lastHandshake
                                       ? QJsonValue(rest::toQt(isoUtc(*presence.lastHandshake)))
                                       : QJsonValue();
    return rest::json(200, {{"id", rest::toQt(*id)},
                            {"name", name.empty() ? QJsonValue() : QJsonValue(rest::toQt(name))},
                            {"claimed", m_claims.isClaimed(*id).value_or(false)},
                            {"last_app", QJsonValue()},
                            {"last_heard", handshakeAt},
                            {"last_handshake_at", handshakeAt},
                            {"online", presence.connected},
                            {"connected", presence.connected},
                            {"platform_id", number(presence.platformId)},
                            {"product_id", number(presence.productId)},
                            {"functions", QJsonArray()},
                            {"variables", QJsonObject()}});
}

// There are no accounts: whoever knows the token of this site may ask for it in the way the tools
// do.
HttpAnswer RestApi::issueToken(const Fields& fields)
{
    if (fieldOf(fields, "grant_type") != "password")
        return rest::error(400, "unsupported_grant_type", "only the password grant is offered");
    std::string token = fieldOf(fields, "password");
    if (!m_token.empty() && !isToken(token))
        return rest::error(400, "invalid_grant", "user name or password is wrong");
    if (m_token.empty()) {
        const auto random = randomBytes(kTokenBytes);
        if (!random)
            return failed(random.error());
        token = toHex(*random);
    }
    return rest::json(200, {{"access_token", rest::toQt(token)},
                            {"token_type", "bearer"},
                            {"expires_in", kTokenLifeSeconds},
                            {"refresh_token", QJsonValue()}});
}

bool RestApi::authorized(const HttpRequest& request, const Fields& fields) const
{
    if (m_token.empty())
        return true;
    const std::string_view header = request.authorization;
    if (lowerCase(header.substr(0, 7)) == "bearer ")
        return isToken(trimmed(header.substr(7)));
    return isToken(fieldOf(fields, "access_token"));
}

bool RestApi::isToken(std::string_view offered) const
{
    // Digests are compared: how long it takes says nothing about the token.
    return !m_token.empty() && sha256(viewOf(offered)) == sha256(m_token.reveal());
}

} // namespace provost
