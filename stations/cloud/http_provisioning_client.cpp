#include "cloud/http_client_p.h"
#include "cloud/registry.h"
#include "cloud/request_gate_p.h"
#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/ec_key.h"

#include <QEventLoop>
#include <QJsonDocument>
#include <QJsonObject>
#include <QNetworkAccessManager>
#include <QNetworkReply>
#include <QNetworkRequest>
#include <QSslCertificate>
#include <QSslConfiguration>
#include <QTimer>
#include <QUrl>
#include <algorithm>
#include <memory>

namespace provost {

namespace {

using namespace std::chrono_literals;

/// How often stop and deadline are looked at.
constexpr auto kCheckEvery = 20ms;
/// An answer of the cloud is a few hundred bytes; a page of some portal may be anything.
constexpr qint64 kLargestAnswer = 64LL * 1024;
constexpr std::size_t kQuotedBytes = 120;

/// What of an answer goes into a message: one line, printable, short.
std::string quoted(const QByteArray& body)
{
    std::string text;
    for (const char c : body.left(static_cast<qsizetype>(kQuotedBytes)))
        text.push_back(c >= 0x20 && c < 0x7F ? c : ' ');
    return std::string(trimmed(text));
}

bool isLoopbackHost(const QString& host)
{
    return host == QLatin1String("localhost") || host == QLatin1String("::1") ||
           host.startsWith(QLatin1String("127."));
}

/// Empty where the text is no public key.
Bytes publicDerOf(const std::string& text)
{
    if (const auto rsa = RsaPublicKey::fromText(viewOf(text)))
        return rsa->toDer();
    if (const auto ec = EcPublicKey::fromText(viewOf(text)))
        return ec->toDer();
    return {};
}

bool isPage(const QByteArray& body)
{
    return body.trimmed().startsWith('<');
}

/// Of a page: another server's, where any other status may come from a portal on the way.
bool saysNotThere(int status)
{
    return status == 404 || status == 405 || status == 410;
}

bool saysError(const QByteArray& body)
{
    const auto object = QJsonDocument::fromJson(body).object();
    return object.contains(QLatin1String("error")) ||
           object.value(QLatin1String("ok")) == QJsonValue(false);
}

/// A token at fault names itself, whatever the status: older clouds answer 400 (particle-devices
/// 9).
bool saysInvalidToken(const QByteArray& body)
{
    const auto object = QJsonDocument::fromJson(body).object();
    return object.value(QLatin1String("error")) == QJsonValue(QLatin1String("invalid_token"));
}

/// Our own cloud knows the call and has no key: another thing than a cloud without the call.
bool saysNoKey(const QByteArray& body)
{
    const auto object = QJsonDocument::fromJson(body).object();
    return object.value(QLatin1String("error")) == QJsonValue(QLatin1String("no_key"));
}

/// How a cloud refuses the key of a unit to a token that is good: locked, or of another owner
/// (particle-devices 9 and 4.5).
bool saysPermissionDenied(const QByteArray& body)
{
    return body.toLower().contains("permission denied");
}

std::string formBody(const std::string& deviceId, const std::string& pem, Clock::Utc now)
{
    const auto encoded = [](std::string_view text) {
        return QUrl::toPercentEncoding(
                   QString::fromUtf8(text.data(), static_cast<qsizetype>(text.size())))
            .toStdString();
    };
    const auto epochMs = now.time_since_epoch().count();
    return concat("deviceID=", deviceId, "&publicKey=", encoded(pem), "&order=manual_", epochMs,
                  "&filename=cli&algorithm=rsa");
}

} // namespace

namespace {

/// One request in the calling thread: runs a local event loop until the answer is whole, the
/// operation ends, or too much comes.
class Exchange {
public:
    explicit Exchange(const OpContext& op) : m_op(op)
    {
        m_manager.setAutoDeleteReplies(false);
        QObject::connect(&m_check, &QTimer::timeout, &m_loop, [this] { check(); });
    }

    /// The reply, finished; the error is that of the operation.
    Result<QNetworkReply*> run(const QNetworkRequest& request, HttpVerb verb,
                               const QByteArray& form)
    {
        TRY(m_op.checkpoint());
        m_reply.reset(begin(request, verb, form));
        QObject::connect(m_reply.get(), &QNetworkReply::finished, &m_loop, &QEventLoop::quit);
        m_check.start(kCheckEvery);
        if (!m_reply->isFinished())
            m_loop.exec();
        m_check.stop();
        if (!m_ended)
            return Unexpected(std::move(m_ended).error());
        return m_reply.get();
    }

private:
    QNetworkReply* begin(const QNetworkRequest& request, HttpVerb verb, const QByteArray& form)
    {
        switch (verb) {
        case HttpVerb::Post:
            return m_manager.post(request, form);
        case HttpVerb::Put:
            return m_manager.put(request, form);
        case HttpVerb::Delete:
            return m_manager.deleteResource(request);
        case HttpVerb::Get:
            break;
        }
        return m_manager.get(request);
    }
    void check()
    {
        m_ended = m_op.checkpoint();
        if (!m_ended || m_reply->bytesAvailable() > kLargestAnswer)
            m_reply->abort(); // emits finished
    }

    const OpContext& m_op;
    QEventLoop m_loop{};
    QTimer m_check{};
    QNetworkAccessManager m_manager{};
    Result<> m_ended{};
    std::unique_ptr<QNetworkReply> m_reply{};
};

Unexpected unavailable(const std::string& attempt, std::string_view why, int status)
{
    return fail(Errc::Unavailable, Blame::Cloud, concat(attempt, ": ", why), status);
}

/// 400, 409 and 422 are about what was sent; 403 where it says so. Every other 4xx is about the
/// address: whatever answers there has no such call.
bool isAboutTheKey(int status, const QByteArray& body)
{
    return status == 400 || status == 409 || status == 422 ||
           (status == 403 && saysPermissionDenied(body));
}

} // namespace

Unexpected httpRefusal(const std::string& attempt, int status, const QByteArray& body)
{
    const std::string text = concat(attempt, ": HTTP ", status, " ", quoted(body));
    if (status == 401 || saysInvalidToken(body))
        return fail(Errc::Denied, Blame::Cloud, text, status);
    if (status == 409) // our own cloud: the registration is older than the one on file
        return fail(Errc::Denied, Blame::Station, text, status);
    if (status == 429 || status == 408 || status >= 500 || status < 400)
        return fail(Errc::Unavailable, Blame::Cloud, text, status);
    if (isAboutTheKey(status, body))
        return fail(Errc::InvalidData, Blame::Cloud, text, status);
    if (status == 403)
        return fail(Errc::Denied, Blame::Cloud, text, status);
    return fail(Errc::NotFound, Blame::Station,
                concat(text, "; no such call there, correct the address of the cloud (url in "
                             "[cloud] of the station file)"),
                status);
}

Result<> trustOwnAuthority(QNetworkRequest& message, const std::filesystem::path& file,
                           const std::string& attempt)
{
    if (file.empty())
        return {};
    const auto certificates =
        QSslCertificate::fromPath(QString::fromStdString(file.string()), QSsl::Pem);
    if (certificates.isEmpty())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat(attempt, ": ", file.string(), " holds no PEM certificate"));
    QSslConfiguration tls = QSslConfiguration::defaultConfiguration();
    tls.addCaCertificates(certificates);
    message.setSslConfiguration(tls);
    return {};
}

HttpProvisioningClient::HttpProvisioningClient(HttpClientConfig config)
    : m_config(std::move(config)), m_gate(std::make_unique<RequestGate>(RequestGate::Limits{
                                       .perSecond = m_config.requestsPerSecond,
                                       .burst = std::max(1.0, 2 * m_config.requestsPerSecond)}))
{
    while (m_config.baseUrl.ends_with('/'))
        m_config.baseUrl.pop_back();
}

HttpProvisioningClient::~HttpProvisioningClient() = default;

Result<> HttpProvisioningClient::checkTransport(const std::string& attempt) const
{
    const QUrl url(QString::fromStdString(m_config.baseUrl), QUrl::StrictMode);
    const bool plain = url.scheme() == QLatin1String("http");
    if (!url.isValid() || url.host().isEmpty() ||
        (!plain && url.scheme() != QLatin1String("https")))
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat(attempt, ": ", m_config.baseUrl, " is no http or https address"));
    if (plain && !m_config.token.empty() && !m_config.allowPlainHttp && !isLoopbackHost(url.host()))
        return fail(
            Errc::InvalidArgument, Blame::Operator,
            concat(attempt, ": the token would go to ", url.host().toStdString(), " unencrypted"));
    return {};
}

Result<QNetworkRequest> HttpProvisioningClient::messageFor(const Request& request,
                                                           const WipedHeader& authorization) const
{
    TRY(checkTransport(request.attempt));
    QNetworkRequest message(QUrl(QString::fromStdString(concat(m_config.baseUrl, request.path))));
    // A redirect would carry the token to whoever sent it.
    message.setAttribute(QNetworkRequest::RedirectPolicyAttribute,
                         QNetworkRequest::ManualRedirectPolicy);
    message.setRawHeader("Accept", "application/json");
    if (request.verb == HttpVerb::Post || request.verb == HttpVerb::Put)
        message.setHeader(QNetworkRequest::ContentTypeHeader,
                          QByteArray("application/x-www-form-urlencoded"));
    if (!request.idempotencyKey.empty())
        message.setRawHeader("Idempotency-Key", httpBytes(request.idempotencyKey));
    if (!m_config.token.empty())
        message.setRawHeader("Authorization", authorization.value());
    TRY(trustOwnAuthority(message, m_config.caFile, request.attempt));
    return message;
}

Result<HttpProvisioningClient::Answer> HttpProvisioningClient::exchange(const Request& request,
                                                                        const OpContext& op) const
{
    WipedHeader authorization(m_config.token);
    const QNetworkRequest message = TRY(messageFor(request, authorization));
    TRY(m_gate->pass(request.attempt, op));
    const OpContext inner = op.within(m_config.answerWithin);
    const auto from = op.clock.now();
    Exchange exchange(inner);
    const auto reply = exchange.run(message, request.verb, httpBytes(request.form));
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(op.clock.now() - from);
    if (!reply && reply.error().code == Errc::Timeout)
        return unavailable(request.attempt, concat("no answer within ", took.count(), " ms"), 0);
    if (!reply)
        return Unexpected(inFrame(reply.error(), request.attempt));
    const QVariant status = (*reply)->attribute(QNetworkRequest::HttpStatusCodeAttribute);
    const QByteArray retryAfter = (*reply)->rawHeader("Retry-After");
    const QByteArray body = (*reply)->read(kLargestAnswer);
    // What is wrong with one key says nothing of the station's rights.
    const bool ofTheStation = !isAboutTheKey(status.toInt(), body);
    m_gate->answered(
        ofTheStation ? status.toInt() : 0,
        parseRetryAfter({retryAfter.constData(), static_cast<std::size_t>(retryAfter.size())},
                        op.clock.utcNow()),
        op.clock);
    if (!status.isValid())
        return unavailable(request.attempt, (*reply)->errorString().toStdString(), 0);
    // A connection that broke inside the answer leaves the status of its first line.
    const bool whole = (*reply)->error() == QNetworkReply::NoError || status.toInt() >= 400;
    if (!whole)
        return unavailable(request.attempt, (*reply)->errorString().toStdString(), 0);
    if (isPage(body) && !saysNotThere(status.toInt()))
        return unavailable(
            request.attempt,
            concat("a web page came instead of the cloud's answer, HTTP ", status.toInt()),
            status.toInt());
    return Answer{.status = status.toInt(), .body = body, .took = took};
}

Result<Registration> HttpProvisioningClient::registerUnit(const UnitIdentity& unit,
                                                          ByteView publicKeyDer,
                                                          std::string_view idempotencyKey,
                                                          const OpContext& op)
{
    const std::string id = TRY(checkedDeviceId(unit.deviceId));
    const RsaPublicKey key = TRY(RsaPublicKey::fromDer(publicKeyDer));
    const std::string attempt = concat("register ", id, " at ", m_config.baseUrl);
    const Request request{.attempt = attempt,
                          .path = concat("/v1/provisioning/", id),
                          .verb = HttpVerb::Post,
                          .form = formBody(id, key.toPem(), op.clock.utcNow()),
                          .idempotencyKey = std::string(idempotencyKey)};
    const Answer answer = TRY(exchange(request, op));
    if (answer.status < 200 || answer.status > 299)
        return httpRefusal(attempt, answer.status, answer.body);
    // Seen in the field: success reported although the body said "Permission Denied" (4.5).
    if (saysInvalidToken(answer.body))
        return fail(Errc::Denied, Blame::Cloud, concat(attempt, ": ", quoted(answer.body)),
                    answer.status);
    if (saysPermissionDenied(answer.body) || saysError(answer.body))
        return fail(Errc::InvalidData, Blame::Cloud, concat(attempt, ": ", quoted(answer.body)),
                    answer.status);
    return Registration{.cloudId = id, .httpStatus = answer.status};
}

Result<std::optional<RegisteredKey>> HttpProvisioningClient::registeredKey(const UnitIdentity& unit,
                                                                           const OpContext& op)
{
    const std::string id = TRY(checkedDeviceId(unit.deviceId));
    const std::string attempt = concat("read the key of ", id, " at ", m_config.baseUrl);
    const Request request{.attempt = attempt, .path = concat("/v1/provisioning/", id)};
    const Answer answer = TRY(exchange(request, op));
    if (answer.status == 404 && saysNoKey(answer.body))
        return std::optional(RegisteredKey{.deviceId = id});
    // The public cloud has no such call: whatever it says instead, it cannot say the key.
    const bool noSuchCall = answer.status == 400 || answer.status == 404 || answer.status == 405 ||
                            answer.status == 501;
    if (noSuchCall && !saysInvalidToken(answer.body))
        return std::optional<RegisteredKey>{};
    if (answer.status != 200)
        return httpRefusal(attempt, answer.status, answer.body);
    const auto object = QJsonDocument::fromJson(answer.body).object();
    const auto textOf = [&](const char* member) {
        return object.value(QLatin1String(member)).toString().toStdString();
    };
    const std::string text = textOf("publicKey");
    if (text.empty())
        return std::optional<RegisteredKey>{};
    Bytes der = publicDerOf(text);
    if (der.empty())
        return fail(Errc::InvalidData, Blame::Cloud,
                    concat(attempt, ": the answer holds no RSA or P-256 public key"),
                    answer.status);
    return std::optional(RegisteredKey{.deviceId = textOf("deviceID"),
                                       .algorithm = textOf("algorithm"),
                                       .fingerprint = textOf("fingerprint"),
                                       .publicDer = std::move(der)});
}

Result<std::chrono::milliseconds> HttpProvisioningClient::probe(const OpContext& op)
{
    const std::string attempt = concat("reach ", m_config.baseUrl);
    const Answer answer = TRY(exchange({.attempt = attempt, .path = "/v1/devices/none"}, op));
    if (answer.status == 401 || answer.status == 403 || answer.status == 429 ||
        answer.status >= 500)
        return httpRefusal(attempt, answer.status, answer.body);
    return answer.took;
}

} // namespace provost
