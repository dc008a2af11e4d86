// The catalogue of firmware files and the rules that a set of them has to keep.
#include "image_samples.h"
#include "support/test_program.h"

#include "core/text.h"
#include "crypto/digest.h"
#include "image/image_catalog.h"
#include "support/photon_facts.h"
#include "support/source_tree.h"

#include <QFileInfo>
#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <functional>
#include <set>
#include <thread>

using namespace provost;

using Images = std::vector<std::shared_ptr<const FlashImage>>;
using Change = std::function<void(Images&)>;
Q_DECLARE_METATYPE(Change)

namespace {

Images demoSet(std::string_view version, std::string_view platform = "photon")
{
    Images images;
    for (const demo::DemoImage& each : demo::demoImages()) {
        if (each.version != version || each.platform != platform)
            continue;
        FlashImage image{.role = each.role, .platform = each.platform, .version = each.version};
        image.file = demo::buildModule(each.plan);
        image.sha256 = sha256(image.file);
        image.module = *parseModule(image.file);
        images.push_back(std::make_shared<const FlashImage>(std::move(image)));
    }
    return images;
}

void alter(Images& images, std::size_t which, const std::function<void(FlashImage&)>& change)
{
    FlashImage image = *images[which];
    change(image);
    image.sha256[0] ^= std::byte{1};
    images[which] = std::make_shared<const FlashImage>(std::move(image));
}

std::string manifestOf(std::string_view platform, std::string_view role, ByteView file,
                       int moduleVersion)
{
    return concat("platform = \"", platform, "\"\nversion = \"1\"\n[[image]]\nrole = \"", role,
                  "\"\nfile = \"x.bin\"\nsha256 = \"", sha256Hex(file),
                  "\"\nmodule_version = ", moduleVersion, "\n");
}

class TstImageCatalog : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void set_ofEachDemoReleaseIsAccepted();
    void set_breakingARuleIsRefused_data();
    void set_breakingARuleIsRefused();
    void set_mayListOneImageTwice();
    void catalog_findsVerifiedImages();
    void catalog_listsItsEntries();
    void catalog_servesSeveralThreads();
    void catalog_namesKnownVersionsWhereOneIsMissing();
    void catalog_reportsFileThatDiffersFromManifest();
    void catalog_reportsMissingFile();
    void catalog_reportsModuleThatDiffersFromManifest_data();
    void catalog_reportsModuleThatDiffersFromManifest();
    void catalog_keepsPaddingOutOfTheFlash();
    void catalog_refusesBadManifest_data();
    void catalog_refusesBadManifest();
    void catalog_refusesFolderWithoutManifests();
    void catalog_refusesSameImageTwice();

private:
    /// Opens a catalogue of one manifest and looks its image up.
    Result<std::shared_ptr<const FlashImage>> findIn(const QTemporaryDir& folder,
                                                     std::string_view manifest, ByteView file);

    QTemporaryDir m_images;
};

void TstImageCatalog::initTestCase()
{
    for (const demo::DemoImage& each : demo::demoImages())
        QVERIFY(save(m_images.filePath(QString::fromStdString(each.fileName)),
                     demo::buildModule(each.plan)));
}

void TstImageCatalog::set_ofEachDemoReleaseIsAccepted()
{
    std::set<std::pair<std::string, std::string>> releases;
    for (const demo::DemoImage& each : demo::demoImages())
        releases.emplace(each.platform, each.version);
    QCOMPARE(releases.size(), std::size_t{6});
    for (const auto& [platform, version] : releases) {
        Images images = demoSet(version, platform);
        const std::uint16_t id = images.front()->module.platformId;
        QCOMPARE(std::string(platformName(id)), platform);
        const auto checked = checkSet(id, images);
        QVERIFY2(checked, checked ? "" : checked.error().message.c_str());
        std::reverse(images.begin(), images.end());
        QVERIFY(checkSet(id, images));
    }
}

void TstImageCatalog::set_breakingARuleIsRefused_data()
{
    QTest::addColumn<Change>("change");
    QTest::addColumn<QString>("reason");
    const auto add = [](const char* tag, Change change, const char* reason) {
        QTest::newRow(tag) << change << QString(reason);
    };
    const auto one = [](std::size_t which, std::function<void(ModuleInfo&)> change) {
        return Change([=](Images& images) {
            alter(images, which, [&](FlashImage& image) { change(image.module); });
        });
    };
    add("empty", [](Images& set) { set.clear(); }, "it is empty");
    add("platform", one(3, [](auto& m) { m.platformId = 8; }), "is made for p1 (platform 8)");
    add("CRC", one(1, [](auto& m) { m.crcStored ^= 1; }), "CRC is");
    add("placeholders", one(1, [](auto& m) { m.placeholders = true; }), "placeholder");
    add("function", one(3, [](auto& m) { m.function = ModuleFunction::RadioStack; }),
        "no known place for radio-stack 1");
    add("index", one(2, [](auto& m) { m.index = 3; }), "no known place for system-part 3");
    add("address", one(3, [](auto& m) { m.start = 0x080C0000; }),
        "starts at 0x080c0000, its place is at 0x080a0000");
    add("size", one(0, [](auto& m) { m.moduleSize = 16385; }), "has 16385 bytes, its place 16384");
    add("dropped header", one(3, [](auto& m) { m.flags = 1; }), "without its header");
    add(
        "two users",
        [](Images& set) {
            set.push_back(set[3]);
            alter(set, 4, [](auto&) {});
        },
        "takes the place of user");
    add("monolithic over parts",
        one(0,
            [](auto& m) {
                m.function = ModuleFunction::Monolithic;
                m.start = 0x08020000;
            }),
        "takes the place of");
    add(
        "system parts of two releases", [](Images& set) { set[1] = demoSet("1.5.2")[1]; },
        "system part 1 is version 1512");
    add(
        "bootloader missing", [](Images& set) { set.erase(set.begin()); },
        "needs bootloader 0 of version 1003 or later, the set has none");
    add(
        "bootloader too old", [](Images& set) { set[0] = demoSet("1.5.2")[0]; },
        "needs bootloader 0 of version 1003 or later, the set has version 502");
    add(
        "part 1 missing", [](Images& set) { set.erase(set.begin() + 1); },
        "needs system-part 1 of version 2302");
    add("user too new", one(3, [](auto& m) { m.dependencies[0].version = 2303; }),
        "needs system-part 2 of version 2303 or later, the set has version 2302");
    add(
        "bootloader too new for an old system",
        [](Images& set) {
            for (const std::size_t part : {std::size_t{1}, std::size_t{2}, std::size_t{3}})
                alter(set, part, [&](FlashImage& image) {
                    image.module.version = 110;
                    image.module.dependencies.clear();
                });
        },
        "bootloader 1006 needs system parts of version 200");
    add("null", [](Images& set) { set[2] = nullptr; }, "image != nullptr");
}

void TstImageCatalog::set_breakingARuleIsRefused()
{
    QFETCH(Change, change);
    QFETCH(QString, reason);
    Images images = demoSet("2.3.1");
    change(images);
    const auto checked = checkSet(test::photon::kPlatform, images);
    QVERIFY(!checked);
    QCOMPARE(checked.error().code, reason.contains("nullptr") ? Errc::Internal : Errc::InvalidData);
    QVERIFY2(contains(checked.error().message, reason.toStdString()),
             checked.error().message.c_str());
}

void TstImageCatalog::set_mayListOneImageTwice()
{
    Images images = demoSet("2.3.1");
    images.push_back(images.back());
    QVERIFY(checkSet(test::photon::kPlatform, images));
}

void TstImageCatalog::catalog_findsVerifiedImages()
{
    const auto catalog = openCatalog(pathOf(test::catalogFolder()), pathOf(m_images.path()));
    QVERIFY2(catalog, catalog ? "" : catalog.error().message.c_str());
    for (const demo::DemoImage& each : demo::demoImages()) {
        const auto image = (*catalog)->find(each.platform, each.role, each.version);
        QVERIFY2(image, image ? "" : describe(image.error()).c_str());
        QCOMPARE((*image)->module.start, each.plan.start);
        QCOMPARE((*image)->fileName, each.fileName);
        QVERIFY((*image)->file == demo::buildModule(each.plan));
        QCOMPARE((*image)->blocks.size(), std::size_t{1});
        QCOMPARE((*image)->blocks[0].address, each.plan.start);
        QVERIFY((*image)->blocks[0].bytes == (*image)->file);
        QCOMPARE(*(*catalog)->find(each.platform, each.role, each.version), *image);
    }
}

void TstImageCatalog::catalog_listsItsEntries()
{
    const auto catalog = openCatalog(pathOf(test::catalogFolder()), "/nowhere");
    QVERIFY(catalog);
    const auto entries = (*catalog)->entries();
    QCOMPARE(entries.size(), demo::demoImages().size());
    QCOMPARE(entries.front().version, std::string("0.7.0"));
    QCOMPARE(entries.front().role, std::string("monolithic"));
    QCOMPARE(entries.back().role, std::string("user"));
    QCOMPARE(entries.back().moduleVersion, std::uint16_t{2});
    QVERIFY(contains(entries.front().origin, "core-0.7.0.toml:5:1"));
}

void TstImageCatalog::catalog_servesSeveralThreads()
{
    const auto catalog = openCatalog(pathOf(test::catalogFolder()), pathOf(m_images.path()));
    QVERIFY(catalog);
    std::array<std::shared_ptr<const FlashImage>, 8> found;
    {
        std::vector<std::jthread> slots_;
        for (auto& each : found)
            slots_.emplace_back([&each, &catalog] {
                each = (*catalog)->find("photon", "system-2", "2.3.1").value_or(nullptr);
            });
    }
    QVERIFY(found[0] != nullptr);
    for (const auto& each : found)
        QCOMPARE(each, found[0]);
}

void TstImageCatalog::catalog_namesKnownVersionsWhereOneIsMissing()
{
    const auto catalog = openCatalog(pathOf(test::catalogFolder()), pathOf(m_images.path()));
    QVERIFY(catalog);
    const auto missing = (*catalog)->find("photon", "user", "3.0.0");
    QCOMPARE(missing.error().code, Errc::NotFound);
    QVERIFY(contains(missing.error().message, "1.5.2, 2.3.1"));
    QCOMPARE((*catalog)->find("argon", "user", "2.3.1").error().code, Errc::NotFound);
}

void TstImageCatalog::catalog_reportsFileThatDiffersFromManifest()
{
    QTemporaryDir folder;
    const auto images = demo::demoImages();
    const auto& user = *std::ranges::find(images, std::string("photon-2.3.1-user-demo.bin"),
                                          &demo::DemoImage::fileName);
    Bytes file = demo::buildModule(user.plan);
    file[5000] ^= std::byte{0x10};
    QVERIFY(save(folder.filePath(QString::fromStdString(user.fileName)), file));
    const auto catalog = openCatalog(pathOf(test::catalogFolder()), pathOf(folder.path()));
    QVERIFY(catalog);
    const auto found = (*catalog)->find("photon", "user", "2.3.1");
    QCOMPARE(found.error().code, Errc::Mismatch);
    QVERIFY(contains(found.error().message, sha256Hex(file)));
    QVERIFY(contains(found.error().message, "photon-2.3.1.toml:23:1"));
}

void TstImageCatalog::catalog_reportsMissingFile()
{
    QTemporaryDir folder;
    const auto catalog = openCatalog(pathOf(test::catalogFolder()), pathOf(folder.path()));
    QVERIFY(catalog);
    QCOMPARE((*catalog)->find("photon", "user", "2.3.1").error().code, Errc::NotFound);
}

void TstImageCatalog::catalog_reportsModuleThatDiffersFromManifest_data()
{
    QTest::addColumn<QString>("platform");
    QTest::addColumn<QString>("role");
    QTest::addColumn<int>("version");
    QTest::addColumn<QString>("reason");
    QTest::newRow("platform") << "p1" << "user" << 3 << "platform is photon (6)";
    QTest::newRow("role") << "photon" << "system-1" << 3 << "role is user-part 1";
    QTest::newRow("version") << "photon" << "user" << 4 << "module version is 3";
}

void TstImageCatalog::catalog_reportsModuleThatDiffersFromManifest()
{
    QFETCH(QString, platform);
    QFETCH(QString, role);
    QFETCH(int, version);
    QFETCH(QString, reason);
    QTemporaryDir folder;
    Bytes file = demo::buildModule(smallUser());
    const auto found =
        findIn(folder, manifestOf(platform.toStdString(), role.toStdString(), file, version), file);
    QCOMPARE(found.error().code, Errc::Mismatch);
    QVERIFY2(contains(found.error().message, reason.toStdString()), found.error().message.c_str());

    // A manifest made from a damaged file does not make the file whole.
    file.back() ^= std::byte{1};
    const auto damaged = findIn(folder, manifestOf("photon", "user", file, 3), file);
    QCOMPARE(damaged.error().code, Errc::InvalidData);
    file.resize(100);
    const auto cut = findIn(folder, manifestOf("photon", "user", file, 3), file);
    QCOMPARE(cut.error().code, Errc::InvalidData);
}

void TstImageCatalog::catalog_keepsPaddingOutOfTheFlash()
{
    QTemporaryDir folder;
    Bytes file = demo::buildModule(smallUser());
    const std::size_t moduleSize = file.size();
    file.resize(16384, std::byte{0xFF});
    const auto found = findIn(folder, manifestOf("photon", "user", file, 3), file);
    QVERIFY(found);
    QCOMPARE((*found)->file.size(), std::size_t{16384});
    QCOMPARE((*found)->blocks[0].bytes.size(), moduleSize);
}

void TstImageCatalog::catalog_refusesBadManifest_data()
{
    QTest::addColumn<QString>("change");
    QTest::addColumn<QString>("replacement");
    QTest::addColumn<QString>("reason");
    const auto add = [](const char* tag, const char* change, const char* to, const char* reason) {
        QTest::newRow(tag) << QString(change) << QString(to) << QString(reason);
    };
    add("unknown key", "version = \"1\"", "version = \"1\"\ncolour = 3", "x.toml:3:1: unknown key");
    add("unknown image key", "role = \"user\"", "role = \"user\"\n  size = 3",
        "x.toml:5:3: unknown");
    add("no TOML", "version = \"1\"", "version = ", "x.toml:2:");
    add("key twice", "version = \"1\"", "version = \"1\"\nversion = \"2\"", "x.toml:3:");
    add("unknown platform", "photon", "neutron", "x.toml:1:12: platform 'neutron'");
    add("platform as number", "\"photon\"", "6", "x.toml:1:12: 'platform' should be a text");
    add("version missing", "version = \"1\"", "", "'version' is missing");
    add("empty version", "version = \"1\"", "version = \"\"", "x.toml:2:11");
    add("no image", "[[image]]", "[other]", "unknown key 'other'");
    add("image no table", "[[image]]", "[image]", "at least one [[image]]");
    add("unknown role", "\"user\"", "\"usr\"", "x.toml:4:8: role 'usr'");
    add("role beyond parts", "\"user\"", "\"system-0\"", "role 'system-0'");
    add("path out", "x.bin", "../x.bin", "x.toml:5:8: file '../x.bin'");
    add("absolute path", "x.bin", "/etc/passwd", "file '/etc/passwd'");
    add("short digest", "sha256 = \"", "sha256 = \"00", "x.toml:6:10: sha256");
    add("version of a module too large", "= 3\n", "= 65536\n", "x.toml:7:18: 'module_version'");
    add("version of a module as text", "= 3\n", "= \"3\"\n", "'module_version' should be");
}

void TstImageCatalog::catalog_refusesBadManifest()
{
    QFETCH(QString, change);
    QFETCH(QString, replacement);
    QFETCH(QString, reason);
    QTemporaryDir folder;
    const Bytes file = demo::buildModule(smallUser());
    const std::string good = manifestOf("photon", "user", file, 3);
    QVERIFY(findIn(folder, good, file));
    const QString bad = QString::fromStdString(good).replace(change, replacement);
    QVERIFY(bad.toStdString() != good);
    const auto found = findIn(folder, bad.toStdString(), file);
    QVERIFY(!found);
    QCOMPARE(found.error().code, Errc::InvalidData);
    QVERIFY2(contains(found.error().message, reason.toStdString()), found.error().message.c_str());
    QVERIFY(found.error().message.starts_with(folder.filePath("x.toml").toStdString()));
}

void TstImageCatalog::catalog_refusesFolderWithoutManifests()
{
    QTemporaryDir folder;
    const auto path = pathOf(folder.path());
    QCOMPARE(openCatalog(path, path).error().code, Errc::NotFound);
    QCOMPARE(openCatalog(path / "none", path).error().code, Errc::NotFound);
}

void TstImageCatalog::catalog_refusesSameImageTwice()
{
    QTemporaryDir folder;
    const Bytes file = demo::buildModule(smallUser());
    const std::string manifest = manifestOf("photon", "user", file, 3);
    QVERIFY(save(folder.filePath("other.toml"), viewOf(manifest)));
    const auto found = findIn(folder, manifest, file);
    QCOMPARE(found.error().code, Errc::InvalidData);
    QVERIFY(contains(found.error().message, "x.toml:3:1: photon user 1 is already in"));
    QVERIFY(contains(found.error().message, "other.toml:3:1"));
}

Result<std::shared_ptr<const FlashImage>>
TstImageCatalog::findIn(const QTemporaryDir& folder, std::string_view manifest, ByteView file)
{
    if (!save(folder.filePath("x.bin"), file) || !save(folder.filePath("x.toml"), viewOf(manifest)))
        return fail(Errc::Io, Blame::Station, "write test files");
    const auto catalog = TRY(openCatalog(pathOf(folder.path()), pathOf(folder.path())));
    const auto entries = catalog->entries();
    return catalog->find(entries[0].platform, entries[0].role, entries[0].version);
}

} // namespace

PROVOST_TEST("image_catalog", TstImageCatalog)
#include "tst_image_catalog.moc"
