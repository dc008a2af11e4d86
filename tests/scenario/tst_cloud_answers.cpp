// Every answer that clouds are known to give, byte for byte as tests/data/cloud-answers.json has
// it, and what the client makes of it. `source` is the section of particle-devices.
#include "cloud/http_provisioning_client.h"
#include "cloud_bench.h"
#include "core/byte_io.h"
#include "steps/registration_cause.h"
#include "support/test_program.h"

#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTcpServer>
#include <QTcpSocket>
#include <QTest>

#include <set>
#include <thread>

namespace provost::test {

namespace {

constexpr int kWireMs = 60000;

/// Answers with these very bytes; a GET that only prepares the call gets what lets it go on.
class RawCloud {
public:
    RawCloud() { QVERIFY(m_server.listen(QHostAddress::LocalHost)); }
    std::string url() const { return concat("http://127.0.0.1:", m_server.serverPort()); }

    void answerOne(int status, const QByteArray& body, bool looksFirst)
    {
        QVERIFY(m_server.waitForNewConnection(kWireMs));
        const std::unique_ptr<QTcpSocket> socket(m_server.nextPendingConnection());
        QByteArray head;
        while (!head.contains("\r\n\r\n") && socket->waitForReadyRead(kWireMs))
            head += socket->readAll();
        const bool looks = looksFirst && head.startsWith("GET ");
        const QByteArray said = looks ? QByteArray(R"({"claimed":true})") : body;
        socket->write("HTTP/1.1 " + QByteArray::number(looks ? 200 : status) +
                      " Said\r\nContent-Length: " + QByteArray::number(said.size()) +
                      "\r\nConnection: close\r\n\r\n" + said);
        socket->disconnectFromHost();
        if (socket->state() != QAbstractSocket::UnconnectedState)
            socket->waitForDisconnected(kWireMs);
        if (looks)
            answerOne(status, body, false);
    }

private:
    QTcpServer m_server{};
};

/// In one word, and the error where there is one.
struct Understood {
    std::string word{};
    std::optional<Error> error{};
};

template <class T, class Word>
Understood wordOf(const Result<T>& result, Word word)
{
    if (!result)
        return {.word = std::string(name(result.error().code)), .error = result.error()};
    return {.word = std::string(word(*result))};
}

std::string_view importWord(ImportOutcome outcome)
{
    constexpr std::array<std::string_view, 4> kWords{"added", "already", "foreign", "refused"};
    return kWords.at(static_cast<std::size_t>(outcome));
}

Understood call(HttpProvisioningClient& cloud, const QString& what, const Unit& unit)
{
    const auto op = within(kHangGuard);
    if (what == "register")
        return wordOf(cloud.registerUnit(unit.identity(), unit.publicDer(), "run-1", op),
                      [](const auto&) { return "ok"; });
    if (what == "key")
        return wordOf(cloud.registeredKey(unit.identity(), op),
                      [](const auto& key) { return key ? "key" : "none"; });
    if (what == "device")
        return wordOf(cloud.deviceState(unit.identity(), op), [](const auto&) { return "ok"; });
    if (what == "import")
        return wordOf(cloud.importIntoProduct("p", unit.identity(), op), importWord);
    if (what == "claim-code")
        return wordOf(cloud.claimCode(op), [](const auto&) { return "ok"; });
    if (what == "ping")
        return wordOf(cloud.ping(unit.identity(), op), [](const auto& online) {
            return !online ? "none" : *online ? "online" : "offline";
        });
    const auto done = cloud.unclaim(unit.identity(), op);
    if (!done)
        return {.word = std::string(name(done.error().code)), .error = done.error()};
    return {.word = "ok"};
}

class TstCloudAnswers : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void answer_isUnderstood_data();
    void answer_isUnderstood();
    void table_namesEveryDocumentedError();

private:
    static QJsonArray rows()
    {
        QFile file(PROVOST_TEST_DATA "/cloud-answers.json");
        return file.open(QIODevice::ReadOnly) ? QJsonDocument::fromJson(file.readAll()).array()
                                              : QJsonArray();
    }
    Unit m_unit{};
};

void TstCloudAnswers::answer_isUnderstood_data()
{
    QTest::addColumn<QJsonObject>("row");
    for (const auto& each : rows())
        QTest::newRow(qPrintable(each.toObject()["name"].toString())) << each.toObject();
}

void TstCloudAnswers::answer_isUnderstood()
{
    QFETCH(QJsonObject, row);
    const QString what = row["call"].toString();
    const int status = row["status"].toInt();
    RawCloud wire;
    HttpProvisioningClient cloud({.baseUrl = wire.url(), .answerWithin = kHangGuard});
    Understood understood;
    std::jthread caller([&] { understood = call(cloud, what, m_unit); });
    wire.answerOne(status, row["body"].toString().toUtf8(), what == "unclaim");
    caller.join();
    const std::string text = understood.error ? describe(*understood.error) : understood.word;
    QVERIFY2(understood.word == row["expect"].toString().toStdString(), text.c_str());
    if (!understood.error)
        return;
    QCOMPARE(understood.error->native.value_or(-1), status);
    const std::string cause = row["cause"].toString().toStdString();
    if (what == "register")
        QCOMPARE(std::string(causeOfRefusedRegistration(*understood.error)), cause);
}

void TstCloudAnswers::table_namesEveryDocumentedError()
{
    std::set<QString> bodies;
    std::set<int> statuses;
    for (const auto& each : rows()) {
        bodies.insert(each.toObject()["body"].toString());
        statuses.insert(each.toObject()["status"].toInt());
    }
    for (const char* words :
         {"No deviceID provided", "No key provided", "Key error ", "Permission Denied",
          "Oops, I couldn't find that core", "invalid_token", "Timed out.", "mfa_required",
          "existingDeviceIds", "nonmemberDeviceIds", "invalidDeviceIds"})
        QVERIFY2(
            std::ranges::any_of(bodies, [&](const QString& body) { return body.contains(words); }),
            words);
    QCOMPARE(statuses, (std::set<int>{200, 400, 401, 403, 404, 408, 429}));
}

} // namespace

} // namespace provost::test

PROVOST_TEST("cloud_answers", provost::test::TstCloudAnswers)
#include "tst_cloud_answers.moc"
