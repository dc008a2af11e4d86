// RestApi: the calls about the site's account, and the event stream (particle-devices 9).
#include "cloud/rest_api_p.h"

#include "cloud/rest_answers_p.h"
#include "core/text.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <charconv>

namespace provost {

namespace {

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
        return gets ? devices() : posts ? claimDevice(fields) : rest::notAllowed("GET, POST");
    if (path == "/v1/device_claims")
        return posts ? claimCode() : rest::notAllowed("POST");
    if (const auto product = between(path, "/v1/products/", "/devices"))
        return posts ? import(*product, fields) : rest::notAllowed("POST");
    if (const auto id = between(path, "/v1/devices/", "/ping"))
        return request.method == "PUT" ? ping(*id) : rest::notAllowed("PUT");
    if (path == "/v1/devices/events" || path == "/v1/events" ||
        between(path, "/v1/products/", "/events"))
        return gets ? events({}) : rest::notAllowed("GET");
    if (const auto id = between(path, "/v1/devices/", "/events"))
        return gets ? events({.deviceId = lowerCase(*id)}) : rest::notAllowed("GET");
    constexpr std::string_view kPrefix = "/v1/events/";
    if (path.starts_with(kPrefix))
        return gets ? events({.prefix = path.substr(kPrefix.size())}) : rest::notAllowed("GET");
    return std::nullopt;
}

HttpAnswer RestApi::devices()
{
    const auto ids = m_registry.list();
    if (!ids)
        return rest::error(500, "server_error");
    QJsonArray all;
    for (const std::string& id : *ids) {
        const HttpAnswer one = device(id);
        if (one.status == 200)
            all.append(QJsonDocument::fromJson(QByteArray::fromStdString(one.body)).object());
    }
    return rest::json(200, all);
}

HttpAnswer RestApi::claimDevice(const Fields& fields)
{
    const auto id = checkedDeviceId(fieldIn(fields, "id"));
    if (!id)
        return rest::error(400, "Invalid deviceID", "a device id has 24 hexadecimal digits");
    const auto key = m_registry.find(*id);
    if (!key || !*key)
        return rest::error(404, "not_found", "no such device");
    if (!m_claims.claim(*id))
        return rest::error(500, "server_error");
    return rest::json(200,
                      QJsonObject{{"ok", true}, {"deviceID", rest::toQt(*id)}, {"claimed", true}});
}

HttpAnswer RestApi::unclaimDevice(const std::string& pathId)
{
    const auto id = checkedDeviceId(pathId);
    const auto claimed = id ? m_claims.isClaimed(*id) : Result<bool>(false);
    if (!claimed || !*claimed)
        return rest::error(403, "Permission Denied", "it is not a device of this account");
    if (!m_claims.release(*id))
        return rest::error(500, "server_error");
    return rest::json(200, QJsonObject{{"ok", true}});
}

HttpAnswer RestApi::claimCode()
{
    const auto code = m_claims.newCode();
    if (!code)
        return rest::error(500, "server_error");
    return rest::json(200,
                      QJsonObject{{"claim_code", rest::toQt(*code)}, {"device_ids", QJsonArray()}});
}

HttpAnswer RestApi::ping(const std::string& pathId)
{
    const auto id = checkedDeviceId(pathId);
    if (!id)
        return rest::error(404, "not_found", "no such device");
    return rest::json(200, QJsonObject{{"online", m_presenceOf(*id).connected}, {"ok", true}});
}

/// Which of the answer's lists the id belongs to. There is one account: what is another product's
/// is nobody's to take.
std::string_view RestApi::importOne(const std::string& product, const std::string& deviceId)
{
    const auto id = checkedDeviceId(deviceId);
    const auto key = id ? m_registry.find(*id) : Result<std::optional<RsaPublicKey>>(std::nullopt);
    if (!key || !*key)
        return "invalidDeviceIds";
    const auto before = m_claims.productOf(*id);
    if (before && *before == product)
        return "existingDeviceIds";
    if (!before || !before->empty())
        return "nonmemberDeviceIds";
    return m_claims.setProduct(*id, product) ? "updatedDeviceIds" : "invalidDeviceIds";
}

/// Products are names here. One id, or a file with one in each line.
HttpAnswer RestApi::import(const std::string& product, const Fields& fields)
{
    QJsonObject answer;
    for (const char* const list :
         {"updatedDeviceIds", "existingDeviceIds", "nonmemberDeviceIds", "invalidDeviceIds"})
        answer.insert(QLatin1String(list), QJsonArray());
    const std::string listed = concat(fieldIn(fields, "id"), "\n", fieldIn(fields, "file"));
    for (const QString& line : rest::toQt(listed).split(QLatin1Char('\n'))) {
        const QString id = line.trimmed();
        if (id.isEmpty())
            continue;
        const auto list = importOne(product, id.toStdString());
        const auto name = QString::fromLatin1(list.data(), static_cast<qsizetype>(list.size()));
        QJsonArray ids = answer.value(name).toArray();
        ids.append(id.toLower());
        answer.insert(name, ids);
    }
    answer.insert(QLatin1String("updated"),
                  answer.value(QLatin1String("updatedDeviceIds")).toArray().size());
    return rest::json(200, answer);
}

HttpAnswer RestApi::changeDevice(const std::string& pathId, const Fields& fields)
{
    const HttpAnswer known = device(pathId);
    if (known.status != 200)
        return known;
    if (fields.contains("name")) {
        const auto named = m_claims.setName(pathId, fieldIn(fields, "name"));
        if (!named && named.error().code == Errc::InvalidArgument)
            return rest::error(400, "invalid_name", "1 to 64 characters");
        return named ? device(pathId) : rest::error(500, "server_error");
    }
    const std::string signal = fieldIn(fields, "signal");
    if (signal != "0" && signal != "1")
        return rest::error(400, "invalid_request", "name, or signal 0 or 1");
    const auto id = checkedDeviceId(pathId);
    if (!id || !m_presenceOf(*id).connected)
        return rest::error(408, "Timed out.");
    return rest::error(501, "not_implemented", "this cloud sends units nothing but answers");
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
