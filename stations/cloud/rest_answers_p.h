// Answers in the form that every REST call gives.
#pragma once

#include "cloud/http_message.h"
#include "core/text.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QString>

#include <string_view>

namespace provost::rest {

inline QString toQt(std::string_view text)
{
    return QString::fromUtf8(text.data(), static_cast<qsizetype>(text.size()));
}

inline HttpAnswer json(int status, const QJsonDocument& document)
{
    return {.status = status, .body = document.toJson(QJsonDocument::Compact).toStdString()};
}
inline HttpAnswer json(int status, const QJsonObject& object)
{
    return json(status, QJsonDocument(object));
}
inline HttpAnswer json(int status, const QJsonArray& array)
{
    return json(status, QJsonDocument(array));
}

inline HttpAnswer error(int status, std::string_view word, std::string_view description = {})
{
    QJsonObject object{{"error", toQt(word)}};
    if (!description.empty())
        object.insert("error_description", toQt(description));
    return json(status, object);
}

inline HttpAnswer notAllowed(std::string_view allowed)
{
    HttpAnswer answer = error(405, "method_not_allowed", concat("allowed: ", allowed));
    answer.headers.emplace_back("Allow", std::string(allowed));
    return answer;
}

} // namespace provost::rest
