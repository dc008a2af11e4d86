// RestApi: the calls about the site's account, and the event stream (particle-devices 9).
#include "cloud/rest_api_p.h"

#include "core/text.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <charconv>

namespace provost {

namespace {

QString accountText(std::string_view text)
{
    return QString::fromUtf8(text.data(), static_cast<qsizetype>(text.size()));
}

template <class Json>
HttpAnswer accountJson(int status, const Json& value)
{
    return {.status = status,
            .body = QJsonDocument(value).toJson(QJsonDocument::Compact).toStdString()};
}

HttpAnswer accountError(int status, std::string_view word, std::string_view description = {})
{
    QJsonObject object{{"error", accountText(word)}};
    if (!description.empty())
        object.insert("error_description", accountText(description));
    return accountJson(status, object);
}

HttpAnswer onlyBy(std::string_view method)
{
    HttpAnswer answer = accountError(405, "method_not_allowed", concat("allowed: ", method));
    answer.headers.emplace_back("Allow", std::string(method));
    return answer;
}

std::string fieldIn(const std::map<std::string, std::string>& fields, const std::string& name)
{
    const auto found = fields.find(name);
    return found == fields.end() ? std::string{} : found->second;
}

/// What stands between two ends of a path, without a slash.
std::optional<std::string> between(std::string_view path, std::string_view front,
                                   std::string_view back)
{
    if (!path.starts_with(front) || !path.ends_with(back) ||
        path.size() <= front.size() + back.size())
        return std::nullopt;
    const auto middle = path.substr(front.size(), path.size() - front.size() - back.size());
    return middle.find('/') == std::string_view::npos ? std::optional<std::string>(middle)
                                                      : std::nullopt;
}

} // namespace

std::optional<HttpAnswer> RestApi::account(const HttpRequest& request, const Fields& fields)
{
    const std::string& path = request.path;
    const bool gets = request.method == "GET";
    const bool posts = request.method == "POST";
    if (path == "/v1/devices")
        return gets ? devices() : posts ? claimDevice(fields) : onlyBy("GET, POST");
    if (path == "/v1/device_claims")
        return posts ? claimCode() : onlyBy("POST");
    if (between(path, "/v1/products/", "/devices"))
        return posts ? import(fields) : onlyBy("POST");
    if (const auto id = between(path, "/v1/devices/", "/ping"))
        return request.method == "PUT" ? ping(*id) : onlyBy("PUT");
    if (path == "/v1/devices/events" || path == "/v1/events" ||
        between(path, "/v1/products/", "/events"))
        return gets ? events({}) : onlyBy("GET");
    if (const auto id = between(path, "/v1/devices/", "/events"))
        return gets ? events({.deviceId = lowerCase(*id)}) : onlyBy("GET");
    constexpr std::string_view kPrefix = "/v1/events/";
    if (path.starts_with(kPrefix))
        return gets ? events({.prefix = path.substr(kPrefix.size())}) : onlyBy("GET");
    return std::nullopt;
}

HttpAnswer RestApi::devices()
{
    const auto ids = m_registry.list();
    if (!ids)
        return accountError(500, "server_error");
    QJsonArray all;
    for (const std::string& id : *ids) {
        const HttpAnswer one = device(id);
        if (one.status == 200)
            all.append(QJsonDocument::fromJson(QByteArray::fromStdString(one.body)).object());
    }
    return accountJson(200, all);
}

HttpAnswer RestApi::claimDevice(const Fields& fields)
{
    const auto id = checkedDeviceId(fieldIn(fields, "id"));
    if (!id)
        return accountError(400, "Invalid deviceID", "a device id has 24 hexadecimal digits");
    const auto key = m_registry.find(*id);
    if (!key || !*key)
        return accountError(404, "not_found", "no such device");
    if (!m_claims.claim(*id))
        return accountError(500, "server_error");
    return accountJson(
        200, QJsonObject{{"ok", true}, {"deviceID", accountText(*id)}, {"claimed", true}});
}

HttpAnswer RestApi::unclaimDevice(const std::string& pathId)
{
    const auto id = checkedDeviceId(pathId);
    const auto claimed = id ? m_claims.isClaimed(*id) : Result<bool>(false);
    if (!claimed || !*claimed)
        return accountError(403, "Permission Denied", "it is not a device of this account");
    if (!m_claims.release(*id))
        return accountError(500, "server_error");
    return accountJson(200, QJsonObject{{"ok", true}});
}

HttpAnswer RestApi::claimCode()
{
    const auto code = m_claims.newCode();
    if (!code)
        return accountError(500, "server_error");
    return accountJson(
        200, QJsonObject{{"claim_code", accountText(*code)}, {"device_ids", QJsonArray()}});
}

HttpAnswer RestApi::ping(const std::string& pathId)
{
    const auto id = checkedDeviceId(pathId);
    if (!id)
        return accountError(404, "not_found", "no such device");
    return accountJson(200, QJsonObject{{"online", m_presenceOf(*id).connected}, {"ok", true}});
}

/// Products are names here: who has a key belongs to each of them.
HttpAnswer RestApi::import(const Fields& fields)
{
    QJsonArray updated;
    QJsonArray invalid;
    const auto id = checkedDeviceId(fieldIn(fields, "id"));
    const auto key = id ? m_registry.find(*id) : Result<std::optional<RsaPublicKey>>(std::nullopt);
    if (key && *key)
        updated.append(accountText(*id));
    else
        invalid.append(accountText(fieldIn(fields, "id")));
    return accountJson(200, QJsonObject{{"updated", updated.size()},
                                        {"updatedDeviceIds", updated},
                                        {"existingDeviceIds", QJsonArray()},
                                        {"nonmemberDeviceIds", QJsonArray()},
                                        {"invalidDeviceIds", invalid}});
}

HttpAnswer RestApi::events(EventFilter filter)
{
    HttpAnswer answer{.contentType = "text/event-stream"};
    answer.stream = [&feed = m_feed, filter = std::move(filter)](const HttpAnswer::Write& write,
                                                                 const std::stop_token& stop) {
        const auto wanted = [&](const PublishedEvent& event) {
            return (filter.deviceId.empty() || event.deviceId == filter.deviceId) &&
                   event.name.starts_with(filter.prefix);
        };
        if (!feed.stream(wanted, write, stop))
            write(":too many listeners\n\n");
    };
    return answer;
}

} // namespace provost
