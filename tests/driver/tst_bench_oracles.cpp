// The virtual bench as programs that nobody here wrote find it: dfu-util, openssl, lrzsz.
#include "support/served_bench.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/unit_key.h"
#include "image/dfu_file.h"
#include "sim/modules.h"
#include "sim/stock.h"
#include "support/photon_facts.h"
#include "transport/libserialport_ports.h"
#include "transport/termios_port.h"

#include <QFile>
#include <QRandomGenerator>
#include <QRegularExpression>
#include <QTest>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kUserAddress = 0x080A0000;

constexpr auto kBench = R"(
[bench]
name = "oracles"
speed = "instant"

[network]
ssid = "plant"
password = "line-four"
security = 3

[[slot]]
number = 1
[[slot.unit]]
stock = "1.5.2"
key = "burnt"
count = "endless"

[[slot]]
number = 2
[[slot.unit]]
stock = "0.4.9"
count = "endless"
)";

OpContext within(const Clock& clock, std::chrono::milliseconds span)
{
    return {.clock = clock, .deadline = {clock.now() + span}};
}

Bytes noise(std::size_t size)
{
    Bytes bytes(size);
    for (std::byte& each : bytes)
        each = static_cast<std::byte>(QRandomGenerator::global()->bounded(256));
    return bytes;
}

QByteArray toQt(ByteView bytes)
{
    return QByteArray(reinterpret_cast<const char*>(bytes.data()),
                      static_cast<qsizetype>(bytes.size()));
}

Bytes fromQt(const QByteArray& bytes)
{
    return toBytes(std::as_bytes(std::span(bytes.data(), static_cast<std::size_t>(bytes.size()))));
}

class TstBenchOracles : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init();
    void dfuUtil_listsBothAlternatesExactly();
    void dfuUtil_uploadsTheKeySlotOfTheDct();
    void dfuUtil_uploadsBothDctSectorsAsTheyAre();
    void dfuUtil_downloadsVerifiesAndLeaves();
    void dfuUtil_writesTheFilesThatAreMadeHere();
    void dfuUtil_refusesTheBootloaderRegion();
    void dfuUtil_reportsSectorsBelowTheSystemAsFailed();
    void libserialport_sends14400BaudAndTheUnitEnumeratesAsDfu();
    void openssl_readsThePublicHalfOfABurntKey();
    void sb_installsAUserModule();
    void sb_isRefusedAFileThatIsNoModule();
    void sb_satisfiesTheOldReceiverWithAnyFile();

private:
    ProgramEnd dfuUtil(const QStringList& arguments) const;
    Bytes upload(const QString& alternate, const QString& range) const;
    QString fileWith(const QString& name, ByteView bytes) const;
    QString filePath(const QString& name) const { return m_files.filePath(name); }
    sim::VirtualBoard& board(int slot) { return *m_served->bench().board(slot); }
    std::string askForReceiver(int slot) const;

    QTemporaryDir m_files{};
    std::unique_ptr<ServedBench> m_served{};
};

void TstBenchOracles::init()
{
    m_served = std::make_unique<ServedBench>(kBench);
    m_served->insertUnit(1, kPhotonFirmware);
}

ProgramEnd TstBenchOracles::dfuUtil(const QStringList& arguments) const
{
    return m_served->runAtBench({.program = "dfu-util", .arguments = arguments});
}

Bytes TstBenchOracles::upload(const QString& alternate, const QString& range) const
{
    const QString path = filePath("uploaded.bin");
    QFile::remove(path);
    const ProgramEnd end = dfuUtil({"-d", "2b04:d006", "-a", alternate, "-s", range, "-U", path});
    QFile file(path);
    if (end.exitCode != 0 || !file.open(QIODevice::ReadOnly)) {
        qWarning().noquote() << end.output;
        return {};
    }
    return fromQt(file.readAll());
}

QString TstBenchOracles::fileWith(const QString& name, ByteView bytes) const
{
    QFile file(filePath(name));
    if (!file.open(QIODevice::WriteOnly) || file.write(toQt(bytes)) < 0)
        qWarning() << "cannot write" << file.fileName();
    return file.fileName();
}

void TstBenchOracles::dfuUtil_listsBothAlternatesExactly()
{
    const UsbDeviceInfo unit = m_served->bringToDfu(1);
    const ProgramEnd end = dfuUtil({"-l"});
    QCOMPARE(end.exitCode, 0);
    const QStringList found =
        end.output.split('\n').filter(QRegularExpression("^Found DFU: \\[2b04:d006\\]"));
    QCOMPARE(found.size(), 2);
    const QString serial = QString::fromStdString(unit.serial);
    QCOMPARE(serial, QString::fromStdString(board(1).deviceId()));
    const QString tail = QStringLiteral(", serial=\"%1\"").arg(serial);
    const QString head = "ver=0250, ";
    QVERIFY2(found[0].contains(head) && found[1].contains(head), qPrintable(end.output));
    QVERIFY2(
        found[0].endsWith("path=\"1-1\", alt=1, name=\"@DCT Flash   /0x00000000/01*016Kg\"" + tail),
        qPrintable(end.output));
    QVERIFY2(found[1].endsWith("path=\"1-1\", alt=0, name=\"@Internal Flash   "
                               "/0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg\"" +
                               tail),
             qPrintable(end.output));
}

void TstBenchOracles::dfuUtil_uploadsTheKeySlotOfTheDct()
{
    m_served->bringToDfu(1);
    const Bytes slot =
        upload("1", QStringLiteral("%1:%2").arg(photon::kPrivateKey).arg(photon::kPrivateKeyBytes));
    QCOMPARE(slot.size(), std::size_t{photon::kPrivateKeyBytes});
    const std::size_t inSector = 0x1D7C + photon::kPrivateKey; // particle-devices 3.1
    const Bytes sector = board(1).physicalDct(board(1).currentDct());
    QVERIFY(equalBytes(slot, ByteView(sector).subspan(inSector, photon::kPrivateKeyBytes)));
    QVERIFY(readAsUnit(slot).readable);
}

void TstBenchOracles::dfuUtil_uploadsBothDctSectorsAsTheyAre()
{
    m_served->bringToDfu(1);
    const Bytes sectors = upload("0", "0x08004000:32768");
    Bytes expected = board(1).physicalDct(0);
    const Bytes second = board(1).physicalDct(1);
    expected.insert(expected.end(), second.begin(), second.end());
    QCOMPARE(sectors.size(), expected.size());
    QVERIFY(sectors == expected);
}

void TstBenchOracles::dfuUtil_downloadsVerifiesAndLeaves()
{
    m_served->bringToDfu(1);
    // A user part that the restarted firmware can run, not a multiple of the block.
    const Bytes module = sim::buildModule({.start = kUserAddress,
                                           .length = 70002,
                                           .version = 7,
                                           .function = sim::ModuleFunction::UserPart,
                                           .index = 1});
    const QString file = fileWith("user.bin", module);
    const ProgramEnd written =
        dfuUtil({"-d", "2b04:d006", "-a", "0", "-s", "0x080A0000", "-D", file});
    QVERIFY2(written.exitCode == 0, qPrintable(written.output));
    QVERIFY(board(1).readFlash(kUserAddress, module.size()) == module);
    const Bytes readBack = upload("0", QStringLiteral("0x080A0000:%1").arg(module.size()));
    QVERIFY(readBack == module);
    QCOMPARE(board(1).violations(), std::vector<std::string>());

    const ProgramEnd left =
        dfuUtil({"-d", "2b04:d006", "-a", "0", "-s", "0x080A0000:leave", "-D", file});
    QVERIFY2(left.output.contains("Submitting leave request"), qPrintable(left.output));
    m_served->waitFor(1, kPhotonFirmware);
    QVERIFY(board(1).readFlash(kUserAddress, module.size()) == module);
}

void TstBenchOracles::dfuUtil_writesTheFilesThatAreMadeHere()
{
    m_served->bringToDfu(1);
    const Bytes user = noise(5000);
    const Bytes part = noise(300);
    const DfuSuffix photon{.product = kPhotonDfu.product, .vendor = kPhotonDfu.vendor};
    const QString dfuSe = fileWith(
        "both.dfu", *buildDfuSeFile({{.elements = {{.address = kUserAddress, .bytes = user},
                                                   {.address = 0x08080000, .bytes = part}}}},
                                    photon));
    const auto both = dfuUtil({"-a", "0", "-D", dfuSe});
    QVERIFY2(both.exitCode == 0, qPrintable(both.output));
    QVERIFY(equalBytes(board(1).readFlash(kUserAddress, user.size()), user));
    QVERIFY(equalBytes(board(1).readFlash(0x08080000, part.size()), part));
    // A plain one with a suffix: dfu-util checks it, and leaves it out.
    const QString plain = fileWith("plain.dfu", withDfuSuffix(part, photon));
    const auto one = dfuUtil({"-a", "0", "-s", "0x080a0000", "-D", plain});
    QVERIFY2(one.exitCode == 0, qPrintable(one.output));
    QVERIFY2(!one.output.contains("Invalid DFU suffix"), qPrintable(one.output));
    QVERIFY(equalBytes(board(1).readFlash(kUserAddress, part.size()), part));
}

void TstBenchOracles::dfuUtil_refusesTheBootloaderRegion()
{
    m_served->bringToDfu(1);
    const Bytes before = board(1).readFlash(0x08000000, 0x4000);
    const ProgramEnd end = dfuUtil({"-d", "2b04:d006", "-a", "0", "-s", "0x08000000", "-D",
                                    fileWith("noise.bin", noise(1000))});
    QVERIFY(end.exitCode != 0);
    QVERIFY2(end.output.contains("not writeable") || end.output.contains("can not be erased"),
             qPrintable(end.output));
    QVERIFY(board(1).readFlash(0x08000000, 0x4000) == before);
}

void TstBenchOracles::dfuUtil_reportsSectorsBelowTheSystemAsFailed()
{
    // Advertised as writeable, refused by the board (particle-devices 1.5).
    m_served->bringToDfu(1);
    const Bytes before = board(1).readFlash(0x0800C000, 0x4000);
    const ProgramEnd end = dfuUtil({"-d", "2b04:d006", "-a", "0", "-s", "0x0800C000", "-D",
                                    fileWith("noise.bin", noise(1000))});
    QVERIFY2(end.exitCode != 0, qPrintable(end.output));
    QVERIFY(board(1).readFlash(0x0800C000, 0x4000) == before);
}

void TstBenchOracles::libserialport_sends14400BaudAndTheUnitEnumeratesAsDfu()
{
    const UsbDeviceInfo before = m_served->waitFor(1, kPhotonFirmware);
    const ProgramEnd end =
        m_served->runAtBench({.program = QCoreApplication::applicationFilePath(),
                              .arguments = {"--set-baud", "/dev/ttyACM0", "14400"}});
    QVERIFY2(end.exitCode == 0, qPrintable(end.output));
    const UsbDeviceInfo after = m_served->waitFor(1, kPhotonDfu);
    QVERIFY(after.incarnation != before.incarnation);
}

void TstBenchOracles::openssl_readsThePublicHalfOfABurntKey()
{
    m_served->bringToDfu(1);
    const Bytes slot =
        upload("1", QStringLiteral("%1:%2").arg(photon::kPrivateKey).arg(photon::kPrivateKeyBytes));
    const KeyReading reading = readAsUnit(slot);
    QVERIFY2(reading.publicKey.has_value(), reading.reason.c_str());
    const ProgramEnd end =
        runProgram({.program = "openssl",
                    .arguments = {"rsa", "-inform", "DER", "-in", filePath("uploaded.bin"),
                                  "-pubout", "-outform", "DER", "-out", filePath("public.der")}});
    QVERIFY2(end.exitCode == 0, qPrintable(end.output));
    QFile file(filePath("public.der"));
    QVERIFY(file.open(QIODevice::ReadOnly));
    QCOMPARE(file.readAll(), toQt(reading.publicKey->toDer()));
}

/// Listening mode's `f`; returns what the unit said.
std::string TstBenchOracles::askForReceiver(int slot) const
{
    const SystemClock clock;
    auto port = TermiosPort::open(m_served->terminal(slot).toStdString());
    if (!port)
        return describe(port.error());
    std::string said;
    if (!(*port)->writeAll(viewOf("f"), within(clock, 60s)))
        return said;
    std::byte buffer[256];
    while (said.find("\r\n") == std::string::npos) {
        const auto count = (*port)->readSome(buffer, within(clock, 60s));
        if (!count)
            return said + describe(count.error());
        said += toText(ByteView(buffer).first(*count));
    }
    return said;
}

void TstBenchOracles::sb_installsAUserModule()
{
    const std::string said = askForReceiver(1);
    QVERIFY2(said.find("Waiting for the binary file") != std::string::npos, said.c_str());
    const Bytes module = sim::buildModule({.start = kUserAddress,
                                           .length = 20000,
                                           .version = 9,
                                           .function = sim::ModuleFunction::UserPart,
                                           .index = 1});
    const UsbDeviceInfo before = m_served->waitFor(1, kPhotonFirmware);
    const ProgramEnd end = runProgram({.program = "sb",
                                       .arguments = {"-v", "-k", fileWith("user.bin", module)},
                                       .terminal = m_served->terminal(1)});
    QVERIFY2(end.exitCode == 0, qPrintable(end.output));
    QVERIFY2(end.output.contains("Transfer complete"), qPrintable(end.output));
    // The unit restarts, and its bootloader copies the module to its place.
    QTRY_VERIFY_WITH_TIMEOUT(board(1).readFlash(kUserAddress, module.size()) == module, 60000);
    QVERIFY(m_served->waitFor(1, kPhotonFirmware).incarnation != before.incarnation);
}

void TstBenchOracles::sb_isRefusedAFileThatIsNoModule()
{
    askForReceiver(1);
    const ProgramEnd end =
        runProgram({.program = "sb",
                    .arguments = {"-v", "-v", fileWith("noise.bin", noise(3000))},
                    .terminal = m_served->terminal(1)});
    // The unit answers the closing header by CAN CAN; sb says so but ends with 0 all the same.
    QVERIFY2(end.output.contains("Cancelled"), qPrintable(end.output));
}

void TstBenchOracles::sb_satisfiesTheOldReceiverWithAnyFile()
{
    // Up to 0.6.0 the receiver acknowledges the end before it looks at the file (7.5).
    m_served->insertUnit(2, kPhotonFirmware);
    askForReceiver(2);
    const ProgramEnd end =
        runProgram({.program = "sb",
                    .arguments = {"-v", "-v", fileWith("noise.bin", noise(3000))},
                    .terminal = m_served->terminal(2)});
    QVERIFY2(end.exitCode == 0, qPrintable(end.output));
    QVERIFY2(!end.output.contains("Cancelled"), qPrintable(end.output));
}

/// What runs behind the bridge: this program again, as a user of its own serial driver.
int setBaud(const std::string& path, int rate)
{
    LibserialportPorts ports;
    const auto listed = ports.enumerate();
    const bool found = listed && std::any_of(listed->begin(), listed->end(), [&](const auto& port) {
                           return port.path == path && port.usb.has_value();
                       });
    if (!found) {
        qWarning() << "not listed:" << path.c_str();
        return 2;
    }
    const auto port = ports.open(path);
    if (!port) {
        qWarning() << describe(port.error()).c_str();
        return 3;
    }
    const auto told = (*port)->setBaud(rate);
    if (!told && told.error().code != Errc::Disconnected) {
        qWarning() << describe(told.error()).c_str();
        return 4;
    }
    // The driver learns the rate when it looks; the unit leaves when it has heard.
    const SystemClock clock;
    std::byte ignored[64];
    for (int attempt = 0; attempt < 1000; ++attempt) {
        const auto read = (*port)->readSome(ignored, within(clock, 50ms));
        if (!read && read.error().code == Errc::Disconnected)
            return 0;
    }
    return 5;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc == 4 && std::string_view(argv[1]) == "--set-baud")
        return setBaud(argv[2], std::atoi(argv[3]));
    QCoreApplication application(argc, argv);
    TstBenchOracles test;
    return QTest::qExec(&test, argc, argv);
}

#include "tst_bench_oracles.moc"
