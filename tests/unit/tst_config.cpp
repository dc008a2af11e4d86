// Plans, platforms, shipping states and stations: what is accepted, and where a mistake is shown.
#include "config/load_plan.h"
#include "config/load_station.h"
#include "core/byte_io.h"
#include "core/text.h"
#include "steps/register_all_steps.h"
#include "support/test_program.h"

#include <QTemporaryDir>
#include <QTest>

#include <fstream>

namespace provost {

namespace {

using namespace std::chrono_literals;

std::string readText(const std::filesystem::path& file)
{
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::string replaced(std::string text, const std::string& what, const std::string& with)
{
    const auto at = text.find(what);
    if (at == std::string::npos)
        qFatal("the text has no \"%s\"", what.c_str());
    return text.replace(at, what.size(), with);
}

/// file:LINE of the first line that has `word`, counted by the test itself.
std::string lineOf(const std::string& text, const std::string& word)
{
    const auto at = text.find(word);
    return std::to_string(1 + std::count(text.begin(), text.begin() + static_cast<long>(at), '\n'));
}

} // namespace

class TstConfig : public QObject {
    Q_OBJECT

private:
    std::filesystem::path put(const std::string& name, const std::string& text)
    {
        const auto file = std::filesystem::path(m_folder.path().toStdString()) / name;
        std::ofstream(file, std::ios::binary) << text;
        return file;
    }
    DataFolders folders() const
    {
        const std::filesystem::path source(PROVOST_SOURCE_DIR);
        return {.plans = source / "stations/plans",
                .platforms = source / "stations/platforms",
                .shipping = source / "stations/shipping",
                .manifests = source / "firmware-images/catalog",
                .images = std::filesystem::path(PROVOST_BUILD_DIR) / "images",
                .benches = source / "stations/benches"};
    }
    /// The message with which a changed photon-full is refused; empty: accepted.
    std::string refusal(const std::string& plan)
    {
        const auto loaded =
            loadPlan(put("changed.toml", plan).string(), folders(), m_steps, *m_images);
        return loaded ? std::string{} : loaded.error().message;
    }
    static std::string photonFull()
    {
        return readText(std::filesystem::path(PROVOST_SOURCE_DIR) /
                        "stations/plans/photon-full.toml");
    }

    QTemporaryDir m_folder;
    StepRegistry m_steps;
    std::unique_ptr<ImageCatalog> m_images;

private Q_SLOTS:
    void initTestCase();
    void photonFull_isResolvedCompletely();
    void everyPlatform_hasAPlan();
    void plan_demandsStepsByPlatform();
    void platform_refusesWordsThatItDoesNotKnow_data();
    void platform_refusesWordsThatItDoesNotKnow();
    void cloudPlan_dialsWhereItsStepsListen();
    void digest_followsEveryFileOfThePlan();
    void mistakeInAPlan_isShownWithItsPlace_data();
    void mistakeInAPlan_isShownWithItsPlace();
    void everyStepOfEveryPlan_hasALimitOfItsTime();
    void stepWithoutALimitOfItsTime_isRefused();
    void planWithoutShippingProof_isRefused();
    void missingImage_isRefusedAtLoadTime();
    void planThatDoesNotExist_isNotFound();
    void platform_refusesAFieldOutsideTheTable();
    void platform_refusesWhatIsNoUsbId();
    void shippingState_refusesAnUnknownMode();
    void shippingState_refusesWhatIsNoKey();
    void station_isReadWithItsSecretsFromFiles();
    void token_mayBeACredentialOfTheService();
    void mistakeInAStation_isShownWithItsPlace_data();
    void mistakeInAStation_isShownWithItsPlace();
};

void TstConfig::initTestCase()
{
    registerAllSteps(m_steps);
    m_images = openCatalog(folders().manifests, folders().images).value();
}

void TstConfig::everyPlatform_hasAPlan()
{
    const auto platforms = loadPlatforms(folders().platforms);
    QVERIFY(platforms);
    QCOMPARE(platforms->size(), std::size_t{4});
    for (const auto& platform : *platforms) {
        const auto plan = loadPlan(platform.name + "-full", folders(), m_steps, *m_images);
        QVERIFY2(plan, plan ? "" : plan.error().message.c_str());
        QCOMPARE((*plan)->platform.id, platform.id);
        QVERIFY((*plan)->demo);
    }
    QVERIFY(!loadPlatforms("/nowhere"));
}

void TstConfig::plan_demandsStepsByPlatform()
{
    // What an Electron's plan may leave out, a Photon's may not.
    const auto text = readText(folders().plans / "electron-full.toml");
    const auto electron = loadPlan(put("own.toml", text).string(), folders(), m_steps, *m_images);
    QVERIFY2(electron, electron ? "" : electron.error().message.c_str());
    const auto photon = readText(folders().plans / "photon-full.toml");
    const auto at = photon.find("[[step]]\nuse = \"give-credentials\"");
    const auto without = photon.substr(0, at) + photon.substr(photon.find("[[step]]", at + 1));
    const auto refused =
        loadPlan(put("without.toml", without).string(), folders(), m_steps, *m_images);
    QVERIFY(!refused);
    QVERIFY2(refused.error().message.find("\"give-credentials\" is missing") != std::string::npos,
             refused.error().message.c_str());
}

void TstConfig::cloudPlan_dialsWhereItsStepsListen()
{
    const auto text = readText(folders().plans / "photon-cloud.toml");
    QCOMPARE(refusal(text), std::string());
    const auto refusedWith = [&](const std::string& plan, std::string_view words) {
        const std::string why = refusal(plan);
        return why.find(words) != std::string::npos;
    };
    const std::string product = "endpoint = \"product\"";
    QVERIFY(
        refusedWith(replaced(text, product, "endpoint = \"station\""),
                    "\"cloud-contact\" needs a step \"server-key\" with endpoint = \"product\""));
    QVERIFY(refusedWith(replaced(text, product, "endpoint = \"somewhere\""),
                        "must be \"station\" or \"product\""));
    const std::string name = "name = \"Server key and address\"";
    QVERIFY(
        refusedWith(replaced(photonFull(), name, concat(name, "\n", product)),
                    "\"live-handshake\" needs a step \"server-key\" with endpoint = \"station\""));
    // No probe shows a claim code to anybody.
    const auto serial = readText(folders().plans / "p1-serial1.toml");
    const std::string last = "[[step]]\nuse = \"shipping-state\"";
    QVERIFY(refusedWith(
        replaced(
            serial, last,
            concat(
                "[[step]]\nuse = \"claim-code\"\nmeasure.seconds = { unit = \"s\", max = 60.0 }\n",
                last)),
        "\"claim-code\" needs carrier = \"usb\""));
    QVERIFY(refusedWith(replaced(text, "rounds = 3", "rounds = 0"), "\"rounds\" from 1 to 9"));
}

void TstConfig::platform_refusesWordsThatItDoesNotKnow_data()
{
    QTest::addColumn<QString>("was");
    QTest::addColumn<QString>("is");
    QTest::addColumn<QString>("key");
    QTest::newRow("format") << "format = \"dcd\"" << "format = \"dct\"" << "format";
    QTest::newRow("network") << "network = \"cellular\"" << "network = \"satellite\"" << "network";
    QTest::newRow("transport") << "transport = { offset = 2977" << "transport = { offset = 20000"
                               << "transport";
}

void TstConfig::platform_refusesWordsThatItDoesNotKnow()
{
    QFETCH(QString, was);
    QFETCH(QString, is);
    QFETCH(QString, key);
    const auto text = readText(folders().platforms / "electron.toml");
    const auto loaded =
        loadPlatform(put("platform.toml", replaced(text, was.toStdString(), is.toStdString())));
    QVERIFY(!loaded);
    QVERIFY2(loaded.error().message.starts_with(
                 concat("platform.toml:", lineOf(text, key.toStdString() + " = "), ":")),
             loaded.error().message.c_str());
}

void TstConfig::photonFull_isResolvedCompletely()
{
    const auto plan = loadPlan("photon-full", folders(), m_steps, *m_images);
    QVERIFY2(plan.has_value(), plan ? "" : plan.error().message.c_str());
    QCOMPARE((*plan)->id, std::string("photon-full"));
    QCOMPARE((*plan)->steps.size(), std::size_t{16});
    QCOMPARE((*plan)->teardown.size(), std::size_t{1});
    QVERIFY((*plan)->demo);
    QCOMPARE((*plan)->digest.size(), std::size_t{64});
    // particle-devices 1.1, 3.1, 3.3
    const auto& platform = (*plan)->platform;
    QVERIFY((platform.dfu == UsbId{0x2B04, 0xD006}));
    QVERIFY((platform.firmware == UsbId{0x2B04, 0xC006}));
    QCOMPARE(platform.dct.applicationOffset + platform.dct.privateKey.offset, 0x1D9EU);
    QCOMPARE(platform.dct.applicationOffset + platform.dct.serverKey.offset, 0x259EU);
    QCOMPARE(platform.dct.applicationOffset + platform.dct.serverKey.offset +
                 platform.dct.addressRecord,
             0x271EU);
    QCOMPARE((*plan)->shipping->modules.size(), std::size_t{4});
}

void TstConfig::digest_followsEveryFileOfThePlan()
{
    const auto original = loadPlan("photon-full", folders(), m_steps, *m_images).value()->digest;
    const auto same =
        loadPlan(put("same.toml", photonFull()).string(), folders(), m_steps, *m_images);
    QCOMPARE(same.value()->digest, original);
    const auto longer = loadPlan(put("longer.toml", photonFull() + "# a word\n").string(),
                                 folders(), m_steps, *m_images);
    QVERIFY(longer.value()->digest != original);
}

void TstConfig::mistakeInAPlan_isShownWithItsPlace_data()
{
    QTest::addColumn<QString>("what");
    QTest::addColumn<QString>("with");
    QTest::addColumn<QString>("at");     ///< the mistake stands in the line that has this
    QTest::addColumn<QString>("reason"); ///< part of the message
    const auto row = [](const char* name, const char* what, const char* with, const char* at,
                        const char* reason) {
        QTest::newRow(name) << QString(what) << QString(with) << QString(at) << QString(reason);
    };
    row("not TOML", "revision = 3", "revision = = 3", "revision = =", "");
    row("unknown step", "use = \"restart\"", "use = \"restrat\"", "restrat",
        "no step is called \"restrat\"");
    row("unknown parameter", "role = \"system-1\"", "role = \"system-1\"\nrettries = 2", "rettries",
        "step flash-image knows no \"rettries\"");
    row("unknown key of the plan", "revision = 3", "revision = 3\ncolour = \"red\"", "colour",
        "\"colour\" is not known here");
    row("missing parameter", "role = \"system-2\"\n", "", "Write system part 2", "");
    row("limit without unit", "{ max = 60.0, unit = \"s\" }", "{ max = 60.0 }", "join_s",
        "\"unit\" is missing");
    row("limit without bound", "{ max = 60.0, unit = \"s\" }", "{ unit = \"s\" }", "join_s",
        "a limit needs");
    row("limit upside down", "{ max = 60.0, unit = \"s\" }",
        "{ min = 61.0, max = 60.0, unit = \"s\" }", "join_s", "above");
    row("limit of what is not measured", "measure.join_s", "measure.join_z", "join_z",
        "does not measure \"join_z\"");
    row("handshake cut off", "timeout = \"180s\"", "timeout = \"112s\"", "timeout = \"112s\"",
        "cuts good units off: they may need 113.0 s");
    row("handshake cut off by its limit", "measure.seconds = { unit = \"s\", max = 180.0 }",
        "measure.seconds = { unit = \"s\", max = 112.0 }", "seconds = { unit = \"s\", max = 112.0",
        "cuts good units off");
    row("limit of what no unit reports", "measure.join_s", "measure.rssi_dbm", "rssi_dbm",
        "does not measure \"rssi_dbm\"");
    row("time without unit", "timeout = \"240s\"", "timeout = 240", "timeout = 240",
        "\"timeout\" must be a time");
    row("no registration", "use = \"register\"", "use = \"restart\"",
        "[[step]]\nuse = \"restart\"\nname = \"Register\"",
        "step \"register\" is missing from here on");
    row("no key proof", "use = \"prove-keys\"", "use = \"restart\"",
        "[[step]]\nuse = \"restart\"\nname = \"Prove",
        "step \"prove-keys\" is missing from here on");
    row("no inspection", "use = \"inspect\"", "use = \"restart\"",
        "[[step]]\nuse = \"restart\"\nname = \"Inspect",
        "step \"inspect\" is missing from here on");
    row("a step before the inspection", "use = \"inspect\"",
        "use = \"restart\"\nmeasure.seconds = { unit = \"s\", max = 9.0 }\n[[step]]\nuse = "
        "\"inspect\"",
        "[[step]]\nuse = \"restart\"\nmeasure", "a plan begins with");
    const auto* const seconds = "measure.seconds = { unit = \"s\", max = 240.0 }";
    row("limit of the time without end", seconds, "measure.seconds = { unit = \"s\", min = 0.1 }",
        "min = 0.1", "has no limit of its time");
    row("limit of the time in another unit", seconds,
        "measure.seconds = { unit = \"min\", max = 4.0 }", "\"min\"", "has no limit of its time");
    row("limit of the time that may be missing", seconds,
        "measure.seconds = { unit = \"s\", max = 241.0, optional = true }", "241.0",
        "has no limit of its time");
    row("unknown segment", "role = \"user\"", "role = \"user\"\nsegment = \"usr\"", "usr",
        "find segment usr");
    row("missing image", "version = \"2.3.1\"\ntimeout = \"240s\"",
        "version = \"9.9.9\"\ntimeout = \"240s\"", "9.9.9", "9.9.9");
}

void TstConfig::mistakeInAPlan_isShownWithItsPlace()
{
    QFETCH(const QString, what);
    QFETCH(const QString, with);
    QFETCH(const QString, at);
    QFETCH(const QString, reason);
    const auto text = replaced(photonFull(), what.toStdString(), with.toStdString());
    const auto message = refusal(text);
    QVERIFY2(message.find(reason.toStdString()) != std::string::npos, message.c_str());
    const bool isMissing = with.isEmpty();
    if (isMissing) {
        QVERIFY2(message.starts_with("changed.toml:"), message.c_str());
        return;
    }
    const auto place = concat("changed.toml:", lineOf(text, at.toStdString()), ":");
    QVERIFY2(message.starts_with(place), concat(message, " / wanted ", place).c_str());
}

void TstConfig::everyStepOfEveryPlan_hasALimitOfItsTime()
{
    int plans = 0;
    for (const auto& file : std::filesystem::directory_iterator(folders().plans)) {
        const auto plan = loadPlan(file.path().stem().string(), folders(), m_steps, *m_images);
        QVERIFY2(plan, plan ? "" : plan.error().message.c_str());
        ++plans;
        auto all = (*plan)->steps;
        all.insert(all.end(), (*plan)->teardown.begin(), (*plan)->teardown.end());
        for (const auto& step : all)
            QVERIFY2(step.limits.contains("seconds") && step.limits.at("seconds").max,
                     concat((*plan)->id, ": ", step.name).c_str());
    }
    QVERIFY(plans > 0);
}

void TstConfig::stepWithoutALimitOfItsTime_isRefused()
{
    const std::string key = "measure.seconds";
    const auto whole = photonFull();
    int steps = 0;
    for (auto at = whole.find(key); at != std::string::npos; at = whole.find(key, at + 1)) {
        ++steps;
        const auto text = whole.substr(0, at) + whole.substr(whole.find('\n', at) + 1);
        const auto message = refusal(text);
        const auto table = text.rfind("[[", at);
        const auto place = concat("changed.toml:", lineOf(text, text.substr(table, at - table)));
        QVERIFY2(message.starts_with(place + ":"), concat(message, " / wanted ", place).c_str());
        QVERIFY2(message.find("has no limit of its time") != std::string::npos, message.c_str());
    }
    QCOMPARE(steps, 17);
}

void TstConfig::planWithoutShippingProof_isRefused()
{
    auto text = photonFull();
    text = text.substr(0, text.find("[[step]]\nuse = \"shipping-state\"")) +
           text.substr(text.find("[[teardown]]"));
    const auto message = refusal(text);
    QVERIFY2(message.starts_with("changed.toml:"), message.c_str());
    QVERIFY2(message.find("the last step must prove the shipping state") != std::string::npos,
             message.c_str());
}

void TstConfig::missingImage_isRefusedAtLoadTime()
{
    auto elsewhere = folders();
    elsewhere.images = m_folder.path().toStdString();
    auto images = openCatalog(elsewhere.manifests, elsewhere.images);
    QVERIFY(images);
    const auto plan = loadPlan("photon-full", elsewhere, m_steps, **images);
    QVERIFY(!plan);
    QCOMPARE(plan.error().code, Errc::NotFound);
    QCOMPARE(plan.error().cause, std::string("C040"));
    QVERIFY2(plan.error().message.starts_with("photon-full.toml:"), plan.error().message.c_str());
}

void TstConfig::planThatDoesNotExist_isNotFound()
{
    const auto plan = loadPlan("photon-fool", folders(), m_steps, *m_images);
    QVERIFY(!plan);
    QCOMPARE(plan.error().code, Errc::NotFound);
}

void TstConfig::platform_refusesAFieldOutsideTheTable()
{
    const auto text = readText(folders().platforms / "photon.toml");
    const auto loaded =
        loadPlatform(put("platform.toml", replaced(text, "{ offset = 2852, size = 100 }",
                                                   "{ offset = 8300, size = 100 }")));
    QVERIFY(!loaded);
    QVERIFY2(loaded.error().message.starts_with(
                 concat("platform.toml:", lineOf(text, "pending_modules"), ":")),
             loaded.error().message.c_str());
    const auto gap = loadPlatform(put("gap.toml", replaced(text, "public_key = { offset = 1250",
                                                           "public_key = { offset = 1260")));
    QVERIFY(!gap);
}

void TstConfig::platform_refusesWhatIsNoUsbId()
{
    const auto text = readText(folders().platforms / "photon.toml");
    for (const char* wrong : {"2b04-d006", "2b04:d06", "2b04:xxxx", ""}) {
        const auto loaded = loadPlatform(put("platform.toml", replaced(text, "2b04:d006", wrong)));
        QVERIFY(!loaded);
        QVERIFY2(loaded.error().message.starts_with(
                     concat("platform.toml:", lineOf(text, "dfu = "), ":")),
                 loaded.error().message.c_str());
    }
}

void TstConfig::shippingState_refusesAnUnknownMode()
{
    const auto text = readText(folders().shipping / "photon-demo.toml");
    const auto loaded = loadShippingState(
        put("shipping.toml", replaced(text, "mode = \"listening\"", "mode = \"asleep\"")));
    QVERIFY(!loaded);
    QVERIFY2(loaded.error().message.find("\"mode\" must be") != std::string::npos,
             loaded.error().message.c_str());
}

void TstConfig::shippingState_refusesWhatIsNoKey()
{
    put("no-key.pem", "not a key");
    const auto text = readText(folders().shipping / "photon-demo.toml");
    const auto loaded = loadShippingState(
        put("shipping.toml", replaced(text, "photon-demo-server.pub.pem", "no-key.pem")));
    QVERIFY(!loaded);
}

namespace {

constexpr const char* kStation = R"([station]
name = "Station A"
backup_folder = "/var/lib/provost/backups"

[[slot]]
number = 1
usb = "1-2.3"

[[slot]]
number = 2
usb = "1-2.4"

[network]
ssid = "line"
password_file = "network.secret"
security = 3
join_limit = "20s"
access_point = "192.168.7.2:80"

[handshake]
host = "192.168.7.1"
port = 5683

[cloud]
url = "https://api.example"
token_file = "token.secret"
ca_file = "site-ca.pem"
)";

} // namespace

void TstConfig::station_isReadWithItsSecretsFromFiles()
{
    put("network.secret", "pass word 4711\r\nsecond line\n");
    put("token.secret", "t0ken\n");
    const auto loaded = loadStation(put("station.toml", kStation));
    QVERIFY2(loaded.has_value(), loaded ? "" : loaded.error().message.c_str());
    QCOMPARE(loaded->slots.size(), std::size_t{2});
    QCOMPARE(loaded->slots[1].usb, std::string("1-2.4"));
    QCOMPARE(toText(loaded->settings.network.password.reveal()), std::string("pass word 4711"));
    QCOMPARE(toText(loaded->cloudToken.reveal()), std::string("t0ken"));
    QCOMPARE(loaded->cloudCaFile.filename().string(), std::string("site-ca.pem"));
    QCOMPARE(loaded->settings.network.joinLimit, std::chrono::milliseconds(20s));
    QCOMPARE(loaded->accessPointHost, std::string("192.168.7.2"));
    QCOMPARE(loaded->accessPointPort, std::uint16_t{80});
    QVERIFY(!loaded->cloudIsLocal);
    QCOMPARE(loaded->handshakePort, std::uint16_t{5683});
}

void TstConfig::token_mayBeACredentialOfTheService()
{
    put("network.secret", "x\n");
    put("token.secret", "from the file\n");
    put("cloud-token", "from the service\n");
    const auto text =
        replaced(kStation, "token_file = \"token.secret\"", "token_credential = \"cloud-token\"");
    qunsetenv("CREDENTIALS_DIRECTORY");
    const auto without = loadStation(put("station.toml", text));
    QVERIFY(!without);
    QVERIFY2(without.error().message.find("LoadCredential=cloud-token") != std::string::npos,
             without.error().message.c_str());
    const auto folder = put("station.toml", text).parent_path().string();
    qputenv("CREDENTIALS_DIRECTORY", QByteArray::fromStdString(folder));
    const auto loaded = loadStation(put("station.toml", text));
    const auto both = loadStation(put("both.toml", replaced(text, "token_credential",
                                                            "token_file = \"token.secret\"\n"
                                                            "token_credential")));
    qunsetenv("CREDENTIALS_DIRECTORY");
    QVERIFY2(loaded.has_value(), loaded ? "" : loaded.error().message.c_str());
    QCOMPARE(toText(loaded->cloudToken.reveal()), std::string("from the service"));
    QVERIFY(!both);
    QVERIFY(both.error().message.starts_with("both.toml:"));
}

void TstConfig::mistakeInAStation_isShownWithItsPlace_data()
{
    QTest::addColumn<QString>("what");
    QTest::addColumn<QString>("with");
    QTest::addColumn<QString>("at");
    const auto row = [](const char* name, const char* what, const char* with, const char* at) {
        QTest::newRow(name) << QString(what) << QString(with) << QString(at);
    };
    row("unknown key", "ssid = \"line\"", "ssid = \"line\"\npassword = \"secret\"",
        "password = \"secret\"");
    row("a slot twice", "number = 2", "number = 1", "");
    row("a port twice", "1-2.4", "1-2.3", "");
    row("security out of range", "security = 3", "security = 4", "security = 4");
    row("access point without port", "192.168.7.2:80", "192.168.7.2", "access_point");
    row("access point without host", "192.168.7.2:80", ":80", "access_point");
    row("access point with a bad port", "192.168.7.2:80", "192.168.7.2:0x50", "access_point");
    row("wrong type", "port = 5683", "port = \"5683\"", "port = \"5683\"");
    row("no such secret", "network.secret", "nowhere.secret", "");
}

void TstConfig::mistakeInAStation_isShownWithItsPlace()
{
    QFETCH(const QString, what);
    QFETCH(const QString, with);
    QFETCH(const QString, at);
    put("network.secret", "x\n");
    put("token.secret", "t\n");
    const auto text = replaced(kStation, what.toStdString(), with.toStdString());
    const auto loaded = loadStation(put("station.toml", text));
    QVERIFY(!loaded);
    if (!at.isEmpty())
        QVERIFY2(loaded.error().message.starts_with(
                     concat("station.toml:", lineOf(text, at.toStdString()), ":")),
                 loaded.error().message.c_str());
}

} // namespace provost

PROVOST_TEST("config", provost::TstConfig)
#include "tst_config.moc"
