// The demo's line at its own speed: a unit takes as long as people like to watch.
#include "support/command_line.h"
#include "support/patience.h"
#include "support/test_program.h"

using namespace provost::test;

namespace {

using namespace std::chrono_literals;

constexpr auto kShortest = 15s;
constexpr auto kLongest = 40s;

} // namespace

class TstDemoPace : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void unit_takesFromFifteenToFortySeconds();
};

void TstDemoPace::unit_takesFromFifteenToFortySeconds()
{
    // The bench waits for what real boards wait for: nothing makes a run shorter than that, and a
    // busy machine makes some longer.
    std::chrono::milliseconds shortest = kLongest;
    QByteArray failure;
    const bool within = onceWithin(kLongest, [&] {
        const CommandFolder folder;
        const auto ran = folder.json({"run", "--simulate", "photon-line", "--units", "1"});
        if (ran.exitCode != 0)
            failure = ran.err;
        const double seconds = ran.lines().value(0)["seconds"].toDouble();
        const std::chrono::milliseconds took(static_cast<std::int64_t>(seconds * 1000));
        shortest = std::min(shortest, took);
        return took;
    });
    QVERIFY2(failure.isEmpty(), failure);
    QVERIFY2(shortest >= kShortest, QByteArray::number(static_cast<qint64>(shortest.count())));
    QVERIFY2(within, "no unit in less than 40 s");
}

PROVOST_TEST("demo_pace", TstDemoPace)
#include "tst_demo_pace.moc"
