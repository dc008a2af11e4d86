// HttpProvisioningClient: what the account of the station sees and does (particle-devices 9).
#include "cloud/event_stream_p.h"
#include "cloud/http_client_p.h"
#include "cloud/registry.h"
#include "cloud/request_gate_p.h"
#include "core/text.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QUrl>
#include <algorithm>

namespace provost {

namespace {
constexpr std::size_t kClaimCodeBytes = 63; // particle-devices 9
} // namespace

Result<std::string> HttpProvisioningClient::claimCode(const OpContext& op)
{
    const std::string attempt = concat("get a claim code at ", m_config.baseUrl);
    const Answer answer = TRY(
        exchange({.attempt = attempt, .path = "/v1/device_claims", .verb = HttpVerb::Post}, op));
    if (answer.status < 200 || answer.status > 299)
        return httpRefusal(attempt, answer.status, answer.body);
    std::string code = QJsonDocument::fromJson(answer.body)
                           .object()
                           .value(QLatin1String("claim_code"))
                           .toString()
                           .toStdString();
    if (code.size() == kClaimCodeBytes)
        return code;
    return fail(Errc::InvalidData, Blame::Cloud,
                concat(attempt, ": the answer holds a code of ", code.size(),
                       " characters, units show ", kClaimCodeBytes),
                answer.status);
}

Result<ImportOutcome> HttpProvisioningClient::importIntoProduct(const std::string& product,
                                                                const UnitIdentity& unit,
                                                                const OpContext& op)
{
    const std::string id = TRY(checkedDeviceId(unit.deviceId));
    const std::string attempt =
        concat("import ", id, " into product ", product, " at ", m_config.baseUrl);
    const std::string path =
        concat("/v1/products/",
               QUrl::toPercentEncoding(QString::fromStdString(product)).toStdString(), "/devices");
    const Answer answer = TRY(exchange(
        {.attempt = attempt, .path = path, .verb = HttpVerb::Post, .form = concat("id=", id)}, op));
    if (answer.status < 200 || answer.status > 299)
        return httpRefusal(attempt, answer.status, answer.body);
    const auto object = QJsonDocument::fromJson(answer.body).object();
    const auto lists = [&](const char* member) {
        const auto ids = object.value(QLatin1String(member)).toArray();
        return std::any_of(ids.begin(), ids.end(), [&](const QJsonValue& each) {
            return each.toString().toLower().toStdString() == id;
        });
    };
    if (lists("invalidDeviceIds"))
        return ImportOutcome::Refused;
    if (lists("nonmemberDeviceIds"))
        return ImportOutcome::Foreign;
    const bool added =
        lists("updatedDeviceIds") || object.value(QLatin1String("updated")).toInt() > 0;
    return added ? ImportOutcome::Added : ImportOutcome::Already;
}

Result<DeviceState> HttpProvisioningClient::deviceState(const UnitIdentity& unit,
                                                        const OpContext& op)
{
    const std::string id = TRY(checkedDeviceId(unit.deviceId));
    const std::string attempt = concat("look for ", id, " at ", m_config.baseUrl);
    const Answer answer =
        TRY(exchange({.attempt = attempt, .path = concat("/v1/devices/", id)}, op));
    if (answer.status == 404)
        return fail(Errc::NotFound, Blame::Cloud,
                    concat(attempt, ": the cloud does not know this unit"), answer.status);
    if (answer.status != 200)
        return httpRefusal(attempt, answer.status, answer.body);
    const auto object = QJsonDocument::fromJson(answer.body).object();
    const auto numberOf = [&](const char* member) {
        const auto value = object.value(QLatin1String(member));
        return value.isDouble() ? std::optional(value.toInt()) : std::nullopt;
    };
    const auto claimed = object.value(QLatin1String("claimed"));
    return DeviceState{.online = object.value(QLatin1String("online")).toBool() ||
                                 object.value(QLatin1String("connected")).toBool(),
                       .claimed = claimed.isBool() ? std::optional(claimed.toBool()) : std::nullopt,
                       .platformId = numberOf("platform_id"),
                       .productId = numberOf("product_id")};
}

Result<> HttpProvisioningClient::unclaim(const UnitIdentity& unit, const OpContext& op)
{
    const auto before = TRY(deviceState(unit, op));
    if (before.claimed == false)
        return {};
    const std::string attempt = concat("unclaim ", unit.deviceId, " at ", m_config.baseUrl);
    const Answer answer = TRY(exchange({.attempt = attempt,
                                        .path = concat("/v1/devices/", unit.deviceId),
                                        .verb = HttpVerb::Delete},
                                       op));
    if (answer.status < 200 || answer.status > 299)
        return httpRefusal(attempt, answer.status, answer.body);
    const auto after = deviceState(unit, op);
    if (!after && after.error().native == 403)
        return fail(Errc::NotFound, Blame::Cloud,
                    concat(attempt, ": done, and the cloud shows the unit to this account no more"),
                    403);
    if (!after)
        return Unexpected(after.error());
    if (after->claimed.value_or(false))
        return fail(
            Errc::Mismatch, Blame::Cloud,
            concat(attempt, ": the cloud answered ", answer.status, " and still calls it claimed"),
            answer.status);
    return {};
}

Result<std::optional<bool>> HttpProvisioningClient::ping(const UnitIdentity& unit,
                                                         const OpContext& op)
{
    const std::string id = TRY(checkedDeviceId(unit.deviceId));
    const std::string attempt = concat("ping ", id, " at ", m_config.baseUrl);
    const Answer answer = TRY(exchange(
        {.attempt = attempt, .path = concat("/v1/devices/", id, "/ping"), .verb = HttpVerb::Put},
        op));
    if (answer.status == 408) // particle-devices 9: the unit did not answer
        return std::optional(false);
    const bool noSuchCall = answer.status == 404 || answer.status == 405 || answer.status == 501;
    if (answer.status >= 300 && !noSuchCall)
        return httpRefusal(attempt, answer.status, answer.body);
    // What it says is not documented: only a word about "online" is one.
    const auto online =
        QJsonDocument::fromJson(answer.body).object().value(QLatin1String("online"));
    const bool says = !noSuchCall && online.isBool();
    return says ? std::optional(online.toBool()) : std::nullopt;
}

Result<std::unique_ptr<CloudEvents>> HttpProvisioningClient::events(const UnitIdentity& unit,
                                                                    const OpContext& op)
{
    const std::string id = TRY(checkedDeviceId(unit.deviceId));
    const std::string attempt = concat("listen to the events of ", id, " at ", m_config.baseUrl);
    const Request request{.attempt = attempt, .path = concat("/v1/devices/", id, "/events")};
    TRY(m_gate->pass(attempt, op));
    auto stream = std::make_unique<EventStream>(attempt, m_config.token.clone(),
                                                [this, request](const WipedHeader& authorization) {
                                                    return messageFor(request, authorization);
                                                });
    const auto opened = stream->opened(op.within(m_config.answerWithin));
    m_gate->answered(opened ? 200 : opened.error().native.value_or(0), {}, op.clock);
    TRY(Result<>(opened));
    return std::unique_ptr<CloudEvents>(std::move(stream));
}

} // namespace provost
