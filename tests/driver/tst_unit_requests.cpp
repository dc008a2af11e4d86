// UnitSettings against the virtual boards: both readings of particle-devices 1.3 meet.
#include "support/test_program.h"
#include "support/verify.h"
#include "virtual_rig.h"

#include "crypto/rsa_key.h"
#include "protocol/unit_settings.h"
#include "sim/network_address.h"

using namespace provost;
using namespace provost::test;

namespace {

/// A unit that runs, and its door for requests.
struct SettledUnit {
    explicit SettledUnit(const std::string& unit)
        : rig(benchText(unit)),
          usb(must(rig.bench().usb().open(rig.waitFor(rig.board().profile().cdc.id))))
    {
    }
    Bytes table(std::uint32_t offset, std::size_t size)
    {
        const Bytes sector = rig.board().physicalDct(rig.board().currentDct());
        return toBytes(ByteView(sector).subspan(0x1D7C + offset, size));
    }
    Rig rig;
    std::unique_ptr<UsbDevice> usb;
    UnitSettings settings{*usb};
};

const std::string kSettledPhoton = "stock = \"1.5.2\"\ncredentials = \"foreign\"";

class TstUnitRequests : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void identityAndModules_areRead()
    {
        SettledUnit unit(kSettledPhoton);
        QCOMPARE(must(unit.settings.deviceId(unit.rig.op())), unit.rig.unit().deviceId);
        const ModuleReport report = must(unit.settings.modules(unit.rig.op()));
        QCOMPARE(report.platform, 6);
        QVERIFY(report.find('s', 2) != nullptr);
        QCOMPARE(report.find('s', 2)->version, 1512);
    }

    void credentials_letTheUnitJoin()
    {
        SettledUnit unit("stock = \"1.5.2\"");
        const SecretBytes password(viewOf("line-four"));
        VERIFY_OK(unit.settings.setWifi("plant", password, WifiSecurity::Wpa2, unit.rig.op()));
        QVERIFY(unit.rig.board().hasCredentials());
        unit.rig.board().reset();
        QVERIFY(unit.rig.until([&] { return unit.rig.board().joinedNetwork() == "plant"; }));
    }

    void credentials_thatTheUnitCannotSaveAreDenied()
    {
        SettledUnit unit(kSettledPhoton + "\n[[slot.unit.fault]]\nkind = \"locked-credentials\"");
        const SecretBytes password(viewOf("line-four"));
        VERIFY_FAILS(unit.settings.setWifi("plant", password, WifiSecurity::Wpa2, unit.rig.op()),
                     Errc::Denied);
        VERIFY_FAILS(ControlRequests(*unit.usb).clearWifiCredentials(unit.rig.op()), Errc::Denied);
    }

    void claimCode_isKeptUntilTheCloudHasIt()
    {
        SettledUnit unit(kSettledPhoton);
        const std::string code(63, 'c');
        QVERIFY(!must(unit.settings.claimed(unit.rig.op())));
        VERIFY_OK(unit.settings.setClaimCode(code, unit.rig.op()));
        QCOMPARE(toText(unit.table(1762, 63)), code);
        unit.rig.board().pokeDct(1825, toBytes("1"));
        QVERIFY(must(unit.settings.claimed(unit.rig.op())));
    }

    void claimCode_isTakenByTheConsoleToo()
    {
        Rig rig(benchText("stock = \"0.6.3\"")); // before there were queued requests
        rig.waitFor(rig.board().profile().cdc.id);
        const auto line = must(rig.bench().serial().open("sim:rig#1"));
        ListeningConsole console(*line);
        const std::string code(63, 'k');
        VERIFY_FAILS(console.setClaimCode("short", rig.op()), Errc::InvalidArgument);
        VERIFY_OK(console.setClaimCode(code, rig.op()));
        const Bytes sector = rig.board().physicalDct(rig.board().currentDct());
        QCOMPARE(toText(ByteView(sector).subspan(0x1D7C + 1762, 63)), code);
        QCOMPARE(must(console.deviceId(rig.op())), rig.unit().deviceId); // the console goes on
    }

    void deviceKey_comesBackWithItsWholeSlot()
    {
        SettledUnit unit(kSettledPhoton);
        const RsaPrivateKey made = must(RsaPrivateKey::generate(1024));
        const SecretBytes der = made.toPkcs1Der();
        VERIFY_OK(unit.settings.setDeviceKey(der, unit.rig.op()));
        QVERIFY(equalBytes(unit.table(34, der.size()), der.reveal()));
        const SecretBytes slot = must(unit.settings.deviceKey(unit.rig.op()));
        QCOMPARE(slot.size(), std::size_t{1216});
        QVERIFY(equalBytes(slot.reveal().first(der.size()), der.reveal()));
        QCOMPARE(u8(slot.reveal().back()), std::uint8_t{0xFF});
    }

    void server_hasItsAddressBehindTheKey()
    {
        SettledUnit unit(kSettledPhoton);
        QCOMPARE(must(unit.settings.server(unit.rig.op())).host, std::string("device.spark.io"));
        const Bytes key(294, std::byte{0x42});
        const ServerEndpoint wanted{.host = "cloud.example.test", .port = 5699};
        VERIFY_OK(unit.settings.setServer(key, wanted, unit.rig.op()));
        QVERIFY(must(unit.settings.server(unit.rig.op())) == wanted);
        const Bytes slot = must(unit.settings.serverKey(unit.rig.op()));
        QCOMPARE(slot.size(), std::size_t{768});
        QVERIFY(equalBytes(ByteView(slot).first(294), key));
        const auto record = sim::readServerRecord(unit.table(2466, 128), 5683);
        QCOMPARE(record.domain, wanted.host);
        QCOMPARE(record.port, wanted.port);
    }

    void blankAddressRecord_isNotFound()
    {
        SettledUnit unit(kSettledPhoton);
        unit.rig.board().pokeDct(2466, Bytes(68, std::byte{0xFF}));
        VERIFY_FAILS(unit.settings.server(unit.rig.op()), Errc::NotFound);
    }

    void whatDoesNotFit_isNotSent()
    {
        SettledUnit unit(kSettledPhoton);
        const auto op = unit.rig.op();
        const SecretBytes none;
        const SecretBytes longSecret(1217);
        const Bytes key(294);
        VERIFY_FAILS(unit.settings.setWifi("", none, WifiSecurity::Open, op),
                     Errc::InvalidArgument);
        VERIFY_FAILS(unit.settings.setWifi("plant", longSecret, WifiSecurity::Wpa2, op),
                     Errc::InvalidArgument);
        VERIFY_FAILS(unit.settings.setClaimCode("short", op), Errc::InvalidArgument);
        VERIFY_FAILS(unit.settings.setDeviceKey(longSecret, op), Errc::InvalidArgument);
        VERIFY_FAILS(unit.settings.setServer(key, {.host = std::string(65, 'h')}, op),
                     Errc::InvalidArgument);
        VERIFY_FAILS(unit.settings.setServer({}, {.host = "h"}, op), Errc::InvalidArgument);
        QCOMPARE(must(unit.settings.server(op)).host, std::string("device.spark.io"));
    }

    void firmwareBefore08_hasNoneOfThem()
    {
        SettledUnit unit("stock = \"0.6.3\"\ncredentials = \"foreign\"");
        const auto op = unit.rig.op();
        VERIFY_FAILS(unit.settings.deviceId(op), Errc::Unsupported);
        VERIFY_FAILS(unit.settings.modules(op), Errc::Unsupported);
        VERIFY_FAILS(unit.settings.deviceKey(op), Errc::Unsupported);
        VERIFY_FAILS(unit.settings.server(op), Errc::Unsupported);
    }
};

} // namespace

PROVOST_TEST("unit_requests", TstUnitRequests)
#include "tst_unit_requests.moc"
