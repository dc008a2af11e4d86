// Tier 2: the bench behind a real Linux kernel. Debian's own, with usbfs, cdc_acm, udevd and the
// tty layer as they are, has the devices of provost-bench plugged into its virtual host controller.
#include "guest/guest.h"
#include "support/bench_process.h"
#include "support/test_program.h"

#include "core/text.h"
#include "support/must.h"
#include "support/photon_facts.h"

#include <QElapsedTimer>
#include <QRegularExpression>

using namespace provost;
using namespace provost::test;

namespace {

constexpr const char* kGuestUnitId = "300041000c47343233323032";
constexpr const char* kUserPlace = "0x080A0000";

constexpr auto kGuestBench = R"(
[bench]
name = "guest"
speed = "instant"

[network]
ssid = "plant"
password = "line-four"
security = 3

[[slot]]
number = 1
[[slot.unit]]
stock = "1.5.2"
device_id = "300041000c47343233323032"

[[slot]]
number = 2
[[slot.unit]]
platform = "core"
stock = "empty"
)";

/// The first unit loses its cable once, half-way through its application.
constexpr auto kPulledBench = R"(
[bench]
name = "pulled"
speed = "instant"

[network]
ssid = "plant"
password = "line-four"
security = 3

[[slot]]
number = 1
[[slot.unit]]
stock = "1.5.2"
[[slot.unit.fault]]
kind = "unplug"
percent = 50
of = "user"
[[slot.unit]]
stock = "1.5.2"
[[slot.unit]]
stock = "1.5.2"
)";

constexpr int kPulledPort = 4; // of the guest's; those before it are provost-bench's

class TstGuest : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void cdcAcm_carriesTheListeningConsole();
    void hotPlug_isSeenWhenTheUnitComesBackAsDfu();
    void dfuUtil_listsWritesAndReads();
    void ourDriver_doesTheSameOverLibusb();
    void ourDriver_writesTheCore();
    void leaving_bringsTheTerminalBack();
    void unplugInMidTransfer_isAnErrorAndTheNextSessionWorks();
    void unplugOfAnOpenTerminal_isAnErrorAndTheNextUnitIsFound();
    void cleanupTestCase();

private:
    ProgramEnd run(const QString& command) { return m_guest->run(command); }
    QString address(int port) const { return QStringLiteral("usb:%1-%2").arg(m_bus).arg(port + 1); }
    QString present(int port, const char* product) const;
    QString absent(int port) const;
    bool bringToDfu();

    QElapsedTimer m_since{};
    int m_bus = 0;
    std::unique_ptr<BenchProcess> m_bench{};
    std::unique_ptr<Guest> m_guest{};
    std::unique_ptr<ServedBench> m_pulled{}; ///< whose cables the test pulls
};

#define GUEST_OK(command)                                                                          \
    do {                                                                                           \
        const ProgramEnd done = run(command);                                                      \
        QVERIFY2(done.exitCode == 0, qPrintable(done.output));                                     \
    } while (false)

void TstGuest::initTestCase()
{
    m_since.start();
    m_bench = std::make_unique<BenchProcess>(kGuestBench);
    m_guest = std::make_unique<Guest>(QStringList{PROVOST_PROGRAM, "dfu-util"});
    qInfo("boot after %.1f s, of which the guest's own %.1f s",
          static_cast<double>(m_since.elapsed()) / 1000,
          static_cast<double>(m_guest->bootTime().count()) / 1000);
    const auto hubs = run("cat /sys/devices/platform/vhci_hcd.0/usb*/busnum | sort -n | head -n 1");
    m_bus = hubs.output.trimmed().toInt();
    QVERIFY2(m_bus > 0, qPrintable(hubs.output));
    m_guest->plugIn(m_bench->usbIpPort(), 0, {"1-1", "1-2"});
    m_pulled = std::make_unique<ServedBench>(kPulledBench);
    m_guest->plugIn(m_pulled->usbIpPort(), kPulledPort, {"1-1"});
}

/// A command that succeeds once a device with this product id is plugged into the port.
QString TstGuest::present(int port, const char* product) const
{
    return QStringLiteral("grep -qx %1 /sys/bus/usb/devices/%2-%3/idProduct")
        .arg(product)
        .arg(m_bus)
        .arg(port + 1);
}

QString TstGuest::absent(int port) const
{
    return QStringLiteral("! test -e /sys/bus/usb/devices/%1-%2").arg(m_bus).arg(port + 1);
}

/// By our own program, wherever the unit is.
bool TstGuest::bringToDfu()
{
    const auto read = run("rm -f /tmp/one && provost dfu read " + address(0) +
                          " --alt 0 --address 080a0000 --length 1 -o /tmp/one");
    if (read.exitCode != 0)
        qWarning().noquote() << read.output;
    return read.exitCode == 0;
}

void TstGuest::cdcAcm_carriesTheListeningConsole()
{
    m_guest->until("test -c /dev/ttyACM0");
    const auto told = run("provost serial identify /dev/ttyACM0 --json");
    QVERIFY2(told.exitCode == 0, qPrintable(told.output));
    QVERIFY2(told.output.contains(kGuestUnitId), qPrintable(told.output));
    // The same without a line of ours: the letter i into the terminal.
    const auto raw = run("stty -F /dev/ttyACM0 raw -echo; exec 3<>/dev/ttyACM0; printf i >&3; "
                         "while read -r line <&3; do echo \"$line\"; case $line in *" +
                         QString(kGuestUnitId) + "*) exit 0;; esac; done; exit 1");
    QVERIFY2(raw.exitCode == 0, qPrintable(raw.output));
}

void TstGuest::hotPlug_isSeenWhenTheUnitComesBackAsDfu()
{
    m_guest->until(present(0, "c006"));
    GUEST_OK("udevadm monitor --udev -p -s usb/usb_device >/tmp/events 2>&1 & echo $! >/tmp/pid");
    m_guest->until("grep -q 'monitor will print' /tmp/events");
    QVERIFY(bringToDfu());
    QVERIFY(run(present(0, "d006")).exitCode == 0);
    m_guest->until("grep -q ^PRODUCT=2b04/d006 /tmp/events");
    GUEST_OK("kill $(cat /tmp/pid)");
    const QString events = run("grep -E '^(ACTION|PRODUCT)' /tmp/events").output;
    QVERIFY2(events.contains("ACTION=remove\nPRODUCT=2b04/c006"), qPrintable(events));
    QVERIFY2(events.contains("ACTION=add\nPRODUCT=2b04/d006"), qPrintable(events));
}

void TstGuest::dfuUtil_listsWritesAndReads()
{
    QVERIFY(bringToDfu());
    const auto listed = run("dfu-util -l -d ,2b04:d006");
    QVERIFY2(listed.exitCode == 0, qPrintable(listed.output));
    const QStringList found =
        listed.output.split('\n').filter(QRegularExpression("^Found DFU: \\[2b04:d006\\]"));
    QCOMPARE(found.size(), 2);
    QVERIFY2(listed.output.contains(QStringLiteral("serial=\"%1\"").arg(kGuestUnitId)),
             qPrintable(listed.output));
    GUEST_OK("dd if=/dev/urandom of=/tmp/theirs bs=10001 count=1");
    GUEST_OK(QStringLiteral("dfu-util -d ,2b04:d006 -a 0 -s %1 -D /tmp/theirs").arg(kUserPlace));
    GUEST_OK(QStringLiteral("rm -f /tmp/back; dfu-util -d ,2b04:d006 -a 0 -s %1:10001 -U /tmp/back")
                 .arg(kUserPlace));
    GUEST_OK("cmp /tmp/theirs /tmp/back");
}

void TstGuest::ourDriver_doesTheSameOverLibusb()
{
    QVERIFY(bringToDfu());
    const auto listed = run("provost dfu list --json");
    QVERIFY2(listed.exitCode == 0, qPrintable(listed.output));
    QVERIFY2(listed.output.contains(kGuestUnitId) && listed.output.contains(address(0)),
             qPrintable(listed.output));
    GUEST_OK("dd if=/dev/urandom of=/tmp/ours bs=20001 count=1");
    GUEST_OK("provost dfu write " + address(0) + " /tmp/ours --alt 0 --address 080a0000");
    GUEST_OK("rm -f /tmp/back; provost dfu read " + address(0) +
             " --alt 0 --address 080a0000 --length 20001 -o /tmp/back");
    GUEST_OK("cmp /tmp/ours /tmp/back");
    // What nobody here wrote finds the same.
    GUEST_OK(QStringLiteral("rm -f /tmp/back; dfu-util -d ,2b04:d006 -a 0 -s %1:20001 -U /tmp/back")
                 .arg(kUserPlace));
    GUEST_OK("cmp /tmp/ours /tmp/back");
}

void TstGuest::ourDriver_writesTheCore()
{
    m_guest->until(present(1, "607f"));
    GUEST_OK("dd if=/dev/urandom of=/tmp/core bs=3000 count=1");
    GUEST_OK("provost dfu write " + address(1) + " /tmp/core --alt 0 --address 08006000");
    GUEST_OK("rm -f /tmp/back; dfu-util -d ,1d50:607f -a 0 -s 0x08006000:3000 -U /tmp/back");
    GUEST_OK("cmp /tmp/core /tmp/back");
}

void TstGuest::leaving_bringsTheTerminalBack()
{
    QVERIFY(bringToDfu());
    QVERIFY(run("test -c /dev/ttyACM0").exitCode != 0);
    // Its exit status tells whether the unit was still there for the last GETSTATUS.
    const auto left = run("dd if=/dev/zero of=/tmp/zero bs=64 count=1 2>/dev/null; dfu-util -d "
                          ",2b04:d006 -a 0 -s 0x080C0000:leave -D /tmp/zero");
    QVERIFY2(left.output.contains("Submitting leave request"), qPrintable(left.output));
    m_guest->until(present(0, "c006"));
    m_guest->until("test -c /dev/ttyACM0");
    const auto told = run("provost serial identify /dev/ttyACM0 --json");
    QVERIFY2(told.exitCode == 0 && told.output.contains(kGuestUnitId), qPrintable(told.output));
}

void TstGuest::unplugInMidTransfer_isAnErrorAndTheNextSessionWorks()
{
    constexpr int kPort = kPulledPort;
    m_pulled->insertUnit(1, kPhotonFirmware);
    m_guest->until(present(kPort, "c006"));
    // Random bytes would now and then be the header of a module of another size.
    GUEST_OK(
        "dd if=/dev/zero of=/tmp/pulled bs=64 count=1; yes pulled | head -c 59936 >>/tmp/pulled");
    // Half of the module, not of the file: 64 KiB of 128.
    GUEST_OK("cat /tmp/pulled /tmp/pulled >/tmp/long");
    const QString write = "timeout 100 provost dfu write " + address(kPort) +
                          " /tmp/long --alt 0 --address 080a0000 --json";
    const auto pulled = run(write);
    qInfo().noquote() << pulled.output;
    QCOMPARE(pulled.exitCode, 2);
    QVERIFY2(pulled.output.contains("\"disconnected\""), qPrintable(pulled.output));
    m_guest->until(absent(kPort));
    must(m_pulled->bench().setPower(1, true));
    m_guest->until(present(kPort, "c006"));
    const auto again = run(write);
    QVERIFY2(again.exitCode == 0, qPrintable(again.output));
    GUEST_OK("rm -f /tmp/back; provost dfu read " + address(kPort) +
             " --alt 0 --address 080a0000 --length 120000 -o /tmp/back");
    GUEST_OK("cmp /tmp/long /tmp/back");
}

void TstGuest::unplugOfAnOpenTerminal_isAnErrorAndTheNextUnitIsFound()
{
    must(m_pulled->bench().removeUnit(1));
    m_guest->until(absent(kPulledPort));
    m_pulled->insertUnit(1, kPhotonFirmware);
    const QString terminal =
        QStringLiteral("/sys/bus/usb/devices/%1-%2:1.0/tty/").arg(m_bus).arg(kPulledPort + 1);
    const QString name = m_guest->until("ls " + terminal).output.trimmed();
    m_guest->until("test -c /dev/" + name);
    // Waits a minute for a receiver that asks; the unit's does not.
    GUEST_OK("provost ymodem send /tmp/pulled --port /dev/" + name +
             " --json >/tmp/sent 2>&1 & echo $! >/tmp/pid");
    m_guest->until("ls -l /proc/$(cat /tmp/pid)/fd | grep -q /dev/" + name);
    must(m_pulled->bench().removeUnit(1));
    m_guest->until("! kill -0 $(cat /tmp/pid)");
    const auto sent = run("cat /tmp/sent");
    QVERIFY2(sent.output.contains("\"disconnected\""), qPrintable(sent.output));
    const auto id = must(m_pulled->bench().insertNext(1)).value().deviceId;
    const QString next = m_guest->until("ls " + terminal).output.trimmed();
    m_guest->until("test -c /dev/" + next);
    const auto told = run("provost serial identify /dev/" + next + " --json");
    QVERIFY2(told.exitCode == 0 && told.output.contains(QString::fromStdString(id)),
             qPrintable(told.output));
}

void TstGuest::cleanupTestCase()
{
    m_pulled.reset();
    if (m_guest && QTest::currentTestFailed())
        qInfo().noquote() << m_guest->console().right(4000);
    qInfo("the whole stage took %.1f s", static_cast<double>(m_since.elapsed()) / 1000);
    m_guest.reset();
    if (m_bench)
        QCOMPARE(m_bench->stop(), 0);
}

} // namespace

PROVOST_TEST("guest", TstGuest)
#include "tst_guest.moc"
