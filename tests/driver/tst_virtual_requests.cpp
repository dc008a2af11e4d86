// Queued control requests of the virtual boards beyond identity and keys (particle-devices 1.3).
#include "support/photon_facts.h"
#include "support/test_program.h"
#include "virtual_rig.h"

#include "sim/protobuf.h"
#include "sim/stock.h"

#include <QJsonDocument>
#include <QJsonObject>

using namespace provost;
using namespace provost::test;

namespace {

constexpr int kNotSupportedCode = -120;
constexpr int kNotFoundCode = -170;
constexpr int kTooLargeCode = -190;
constexpr int kInvalidStateCode = -210;
constexpr int kInvalidArgumentCode = -270;
constexpr int kOutOfRangeCode = -290;
const std::string kRequestUnit = "stock = \"1.5.2\"\ncredentials = \"foreign\"";

/// varint fields from number 1 on.
Bytes numbers(std::initializer_list<std::uint64_t> values)
{
    Bytes message;
    std::uint32_t field = 0;
    for (const std::uint64_t value : values)
        sim::putVarintField(message, ++field, value);
    return message;
}

Bytes dataField(std::uint32_t field, ByteView data, Bytes before = {})
{
    sim::putBytesField(before, field, data);
    return before;
}

Bytes newApplication()
{
    return sim::buildModule({.start = photon::kUserPart,
                             .length = 0x1800,
                             .version = 33,
                             .function = sim::ModuleFunction::UserPart,
                             .index = 1});
}

/// START and all DATA of a firmware update.
void sendUpdate(RawControl& control, ByteView file)
{
    const auto started = control.queued(250, numbers({file.size()}));
    QCOMPARE(started.first, 0);
    const std::uint64_t chunk = (*sim::readProtobuf(started.second))[1].number;
    QCOMPARE(chunk, std::uint64_t{1024});
    for (std::size_t at = 0; at < file.size(); at += chunk)
        QCOMPARE(control
                     .queued(253, dataField(1, file.subspan(at, std::min<std::size_t>(
                                                                    chunk, file.size() - at))))
                     .first,
                 0);
}

class TstVirtualRequests : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void diagnostics_areOneJsonObject()
    {
        Rig rig(benchText(kRequestUnit));
        RawControl control(rig);
        const auto [result, reply] = control.queued(100, {});
        QCOMPARE(result, 0);
        const std::string text = toText(reply);
        const auto json = QJsonDocument::fromJson(QByteArray::fromStdString(text));
        QVERIFY2(json.isObject(), text.c_str());
        QVERIFY(json.object().contains("sys:uptime"));
        // Some of the values cannot be asked for.
        QCOMPARE(control.queued(100, numbers({1})).first, kNotSupportedCode);
    }

    void antenna_isKeptInTheTable_data()
    {
        QTest::addColumn<quint64>("wanted");
        QTest::addColumn<int>("stored");
        QTest::newRow("internal") << quint64{1} << 0;
        QTest::newRow("external") << quint64{2} << 1;
        QTest::newRow("automatic") << quint64{3} << 3;
    }
    void antenna_isKeptInTheTable()
    {
        QFETCH(quint64, wanted);
        QFETCH(int, stored);
        Rig rig(benchText(kRequestUnit));
        RawControl control(rig);
        QCOMPARE(control.queued(111, {}).second, numbers({1}));
        QCOMPARE(control.queued(110, numbers({wanted})).first, 0);
        QCOMPARE(control.queued(111, {}).second, numbers({wanted}));
        const Bytes table = rig.board().physicalDct(rig.board().currentDct());
        QCOMPARE(int(u8(table[0x1D7C + 2976])), stored);
        QCOMPARE(control.queued(110, numbers({0})).first, kInvalidArgumentCode);
    }

    void scan_hearsTheNetworkOfTheBench()
    {
        Rig rig(benchText(kRequestUnit));
        RawControl control(rig);
        const auto [result, reply] = control.queued(112, {});
        QCOMPARE(result, 0);
        const auto list = (*sim::readProtobuf(reply))[1].bytes;
        const auto point = (*sim::readProtobuf(list))[1].bytes;
        auto fields = *sim::readProtobuf(point);
        QCOMPARE(toText(fields[1].bytes), std::string("plant"));
        QCOMPARE(fields[2].bytes.size(), std::size_t{6});
        QCOMPARE(fields[3].number, std::uint64_t{3});
        QVERIFY(static_cast<std::int64_t>(fields[7].number) < 0);
    }

    void wifiRequests_areNotThoseOfACellularBoard()
    {
        Rig rig(benchText("platform = \"electron\"\nstock = \"1.5.2\""));
        RawControl control(rig);
        for (std::uint16_t type = 110; type <= 115; ++type)
            QCOMPARE(control.queued(type, {}).first, kNotSupportedCode);
    }

    void serverProtocol_isAChoiceOfTheElectronOnly()
    {
        Rig rig(benchText(kRequestUnit));
        RawControl photonControl(rig);
        QCOMPARE(photonControl.queued(223, {}).second, numbers({1}));
        QVERIFY(photonControl.queued(222, numbers({2})).first < 0);
        QCOMPARE(photonControl.queued(222, numbers({3})).first, kNotSupportedCode);

        Rig cellular(benchText("platform = \"electron\"\nstock = \"1.5.2\""));
        RawControl control(cellular);
        QCOMPARE(control.queued(223, {}).second, numbers({2}));
        QCOMPARE(control.queued(222, numbers({1})).first, 0);
        QCOMPARE(control.queued(223, {}).second, numbers({1}));
        const Bytes table = cellular.board().physicalDct(cellular.board().currentDct());
        QCOMPARE(int(u8(table[8 + 2977])), 0);
    }

    void update_installsTheApplicationBehindTheRestart()
    {
        Rig rig(benchText(kRequestUnit));
        const Bytes file = newApplication();
        {
            RawControl control(rig);
            sendUpdate(control, file);
            QCOMPARE(control.queued(251, numbers({1})).first, 0); // only looks at it
            QVERIFY(rig.board().readFlash(photon::kUserPart, file.size()) != file);
            QCOMPARE(control.queued(251, {}).first, 0);
        }
        QVERIFY(rig.until(
            [&] { return rig.board().readFlash(photon::kUserPart, file.size()) == file; }));
    }

    void update_refusesWhatIsNotInOrder()
    {
        Rig rig(benchText(kRequestUnit));
        RawControl control(rig);
        const Bytes some(100, std::byte{0x11});
        QCOMPARE(control.queued(253, dataField(1, some)).first, kInvalidStateCode);
        QCOMPARE(control.queued(251, {}).first, kInvalidStateCode);
        QCOMPARE(control.queued(250, numbers({0x40001})).first, kTooLargeCode);
        QCOMPARE(control.queued(250, numbers({99})).first, 0);
        QCOMPARE(control.queued(253, dataField(1, some)).first, kOutOfRangeCode);
        QCOMPARE(control.queued(253, dataField(1, some)).first, kInvalidStateCode); // it is over
        QCOMPARE(control.queued(250, numbers({200})).first, 0);
        QCOMPARE(control.queued(253, dataField(1, some)).first, 0);
        QCOMPARE(control.queued(251, {}).first, kInvalidStateCode); // half of it
        QCOMPARE(control.queued(250, numbers({100})).first, 0);
        QCOMPARE(control.queued(252, {}).first, 0);
        QCOMPARE(control.queued(251, {}).first, kInvalidStateCode);
        Bytes damaged = newApplication();
        damaged[500] ^= std::byte{1};
        sendUpdate(control, damaged);
        QVERIFY(control.queued(251, {}).first < 0);
    }

    void storage_isDescribedSectionBySection()
    {
        Rig rig(benchText(kRequestUnit));
        RawControl control(rig);
        const auto [result, reply] = control.queued(260, {});
        QCOMPARE(result, 0);
        const auto storage = (*sim::readProtobuf(reply))[1].bytes;
        auto fields = *sim::readProtobuf(storage);
        QCOMPARE(fields[1].number, std::uint64_t{1}); // internal flash
        // The last of the sections: the table, readable and writable.
        auto last = *sim::readProtobuf(fields[3].bytes);
        QCOMPARE(last[1].number, std::uint64_t{4});
        QCOMPARE(last[2].number, std::uint64_t{8391});
        QCOMPARE(last[3].number, std::uint64_t{3});
    }

    void sections_areReadAsTheyLieInFlash()
    {
        Rig rig(benchText(kRequestUnit));
        RawControl control(rig);
        // Bootloader, parts 1 and 2, user part, receive area, factory image, table.
        const auto user = control.queued(261, numbers({0, 3, 16, 64}));
        QCOMPARE(user.first, 0);
        QVERIFY(equalBytes((*sim::readProtobuf(user.second))[1].bytes,
                           rig.board().readFlash(photon::kUserPart + 16, 64)));
        const auto table = control.queued(261, numbers({0, 6, 2466, 17}));
        QCOMPARE(toText((*sim::readProtobuf(table.second))[1].bytes.subspan(2, 15)),
                 std::string("device.spark.io"));
        QCOMPARE(control.queued(261, numbers({0, 7, 0, 1})).first, kNotFoundCode);
        QCOMPARE(control.queued(261, numbers({1, 0, 0, 1})).first, kNotFoundCode);
        QCOMPARE(control.queued(261, numbers({0, 3, 0x20000, 1})).first, kOutOfRangeCode);
        QCOMPARE(control.queued(261, numbers({0, 3, 0, 0})).first, kOutOfRangeCode);
    }

    void factorySection_takesAnImageThatMODERestores()
    {
        Rig rig(benchText(kRequestUnit));
        RawControl control(rig);
        const Bytes image = newApplication();
        QVERIFY(control.queued(264, numbers({0, 5})).first < 0); // nothing in it
        QCOMPARE(control.queued(263, numbers({0, 5})).first, 0);
        for (std::size_t at = 0; at < image.size(); at += 1024)
            QCOMPARE(
                control
                    .queued(262, dataField(4,
                                           ByteView(image).subspan(
                                               at, std::min<std::size_t>(1024, image.size() - at)),
                                           numbers({0, 5, at})))
                    .first,
                0);
        QCOMPARE(control.queued(264, numbers({0, 5})).second, numbers({image.size()}));
        // Modules that run are not written by request.
        QCOMPARE(control.queued(262, dataField(4, image, numbers({0, 3, 0}))).first,
                 kNotSupportedCode);
        QCOMPARE(control.queued(263, numbers({0, 0})).first, kNotSupportedCode);
        rig.board().resetHoldingMode(std::chrono::milliseconds(7000));
        QVERIFY(rig.until(
            [&] { return rig.board().readFlash(photon::kUserPart, image.size()) == image; }));
    }

    void logRequest_isHandedToAnApplicationThatHasNoAnswer()
    {
        Rig rig(benchText(kRequestUnit));
        RawControl control(rig);
        must(control.out(0x50, 80, toBytes("{\"cmd\":\"enumHandlers\"}")));
        QVERIFY(!control.in(0x50, 0, 80, 64));
        QVERIFY(!control.out(0x50, 80, Bytes(513)));
    }
};

} // namespace

PROVOST_TEST("virtual_requests", TstVirtualRequests)
#include "tst_virtual_requests.moc"
