// What a plan and the station's network have to have in common before a station starts.
#include "core/byte_io.h"
#include "host/network_fit.h"
#include "support/test_program.h"

#include <QTest>

namespace provost::test {

using namespace std::chrono_literals;

namespace {

TestPlan lineOf(std::chrono::milliseconds timeout)
{
    TestPlan plan;
    plan.steps.push_back({.use = "live-handshake", .name = "Live handshake", .timeout = timeout});
    return plan;
}

TestNetwork networkWith(std::string_view password)
{
    TestNetwork network{.ssid = "Plant"};
    network.password = SecretBytes(viewOf(password));
    return network;
}

std::string causeOfStart(const TestPlan& plan, const TestNetwork& network)
{
    const auto checked = checkNetwork(plan, network);
    return checked ? std::string("none") : checked.error().cause;
}

} // namespace

class TstNetworkFit : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void passwordThatCannotBeTold_isRefusedWhereItIsGiven();
    void slowerNetwork_isRefused();
};

void TstNetworkFit::passwordThatCannotBeTold_isRefusedWhereItIsGiven()
{
    auto plan = lineOf(83s);
    QCOMPARE(causeOfStart(plan, networkWith("virtual-plant")), std::string("none"));
    QCOMPARE(causeOfStart(plan, networkWith("virtual")), std::string("C042"));
    plan.platform.network = Network::Cellular;
    QCOMPARE(causeOfStart(plan, networkWith("virtual")), std::string("none"));
    plan.platform.network = Network::Wifi;
    plan.kind = PlanKind::KeyInjection;
    QCOMPARE(causeOfStart(plan, networkWith("virtual")), std::string("none"));
}

void TstNetworkFit::slowerNetwork_isRefused()
{
    auto network = networkWith("virtual-plant");
    QCOMPARE(causeOfStart(lineOf(82s), network), std::string("C042"));
    network.joinLimit = 20s;
    QCOMPARE(causeOfStart(lineOf(73s), network), std::string("none"));
    network.waits.connect = 9s;
    QCOMPARE(causeOfStart(lineOf(73s), network), std::string("C042"));
}

} // namespace provost::test

PROVOST_TEST("network_fit", provost::test::TstNetworkFit)
#include "tst_network_fit.moc"
