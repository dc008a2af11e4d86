// What counts as a leftover of the test network, and which networks leave none that can be told.
#include "core/byte_io.h"
#include "core/text.h"
#include "steps/network_traces.h"
#include "support/test_program.h"

#include <QTest>

namespace provost::test {

class TstNetworkTraces : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void provedParts_areLeftOut();
    void name_countsWithItsLengthOnly();
    void shortPassword_isRefused();
    void impossibleName_isRefused();
};

void TstNetworkTraces::provedParts_areLeftOut()
{
    const Bytes sector = toBytes("0123456789");
    const ByteView all(sector);
    const auto texts = [&](std::vector<ByteView> proved) {
        std::string text;
        for (const auto part : unprovedParts(all, std::move(proved)))
            text += concat("[", toText(part), "]");
        return text;
    };
    QCOMPARE(texts({}), std::string("[0123456789]"));
    QCOMPARE(texts({ByteView()}), std::string("[0123456789]"));
    QCOMPARE(texts({all.subspan(6, 2), ByteView(), all.subspan(2, 3)}), std::string("[01][5][89]"));
    QCOMPARE(texts({all.first(3), all.last(3)}), std::string("[3456]"));
    QCOMPARE(texts({all.subspan(1, 6), all.subspan(2, 2)}), std::string("[0][789]"));
    QCOMPARE(texts({all}), std::string());
}

void TstNetworkTraces::name_countsWithItsLengthOnly()
{
    const std::string name = "Plant";
    QVERIFY(holdsSsid(toBytes("..\x05Plant.."), name));
    QVERIFY(!holdsSsid(toBytes("..Plant.."), name));
    QVERIFY(!holdsSsid(toBytes("..\x06Plants.."), name));
    QVERIFY(!holdsSsid(toBytes("..\x05Plan"), name));
    QVERIFY(!holdsSsid({}, name));
    QVERIFY(!holdsSsid(toBytes("anything"), ""));
}

void TstNetworkTraces::shortPassword_isRefused()
{
    TestNetwork network{.ssid = "e"};
    QVERIFY(checkTraceable(network)); // an open network leaves no password
    network.password = SecretBytes(viewOf("2.3.1.0"));
    const auto refused = checkTraceable(network);
    QVERIFY(!refused);
    QCOMPARE(refused.error().cause, std::string("C042"));
    QVERIFY(refused.error().message.find("7 characters") != std::string::npos);
    QVERIFY(refused.error().message.find("2.3.1") == std::string::npos);
    network.password = SecretBytes(viewOf("2.3.1.0."));
    QVERIFY(checkTraceable(network));
}

void TstNetworkTraces::impossibleName_isRefused()
{
    QVERIFY(!checkTraceable({.ssid = ""}));
    QVERIFY(!checkTraceable({.ssid = std::string(33, 'x')}));
    QVERIFY(checkTraceable({.ssid = std::string(32, 'x')}));
}

} // namespace provost::test

PROVOST_TEST("network_traces", provost::test::TstNetworkTraces)
#include "tst_network_traces.moc"
