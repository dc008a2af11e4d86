#include "models/diagnosis.h"

#include "models/display_text.h"

#include <QCoreApplication>
#include <QLocale>
#include <QRegularExpression>

#include <algorithm>

namespace provost {

namespace {

class Words {
    Q_DECLARE_TR_FUNCTIONS(Diagnosis)

public:
    static QString heading(Verdict verdict)
    {
        switch (verdict) {
        case Verdict::Pass:
            return tr("What was proved");
        case Verdict::Hold:
            return tr("What it waits for");
        case Verdict::Aborted:
            return tr("Why it stopped");
        case Verdict::Error:
            return tr("What to check");
        default:
            return tr("What is wrong");
        }
    }

    static QString steps(const RunState& run)
    {
        const auto passed = std::ranges::count_if(run.steps, [](const StepState& step) {
            return step.stage == StepStage::Done && step.record.verdict == Verdict::Pass;
        });
        const auto repeated = std::ranges::count_if(
            run.steps, [](const StepState& step) { return step.record.attempt > 1; });
        QString line = passed == 1 ? tr("1 step passed") : tr("%1 steps passed").arg(passed);
        if (repeated > 0)
            line += tr(", %1 after another try").arg(repeated);
        return line;
    }

    static QString measurements(int count)
    {
        return count == 1 ? tr("1 measured value within its limits")
                          : tr("%1 measured values within their limits").arg(count);
    }

    static QString identity(const UnitIdentity& unit)
    {
        const QString given =
            tr("The unit itself gave its ID %1").arg(display::text(unit.deviceId));
        if (unit.serial.empty())
            return given;
        return unit.serial == unit.deviceId
                   ? tr("%1, as on its label").arg(given)
                   : tr("%1, label %2").arg(given, display::text(unit.serial));
    }

    static QString handshake(const std::vector<HandshakeArrow>& arrows)
    {
        return tr("Live handshake: %1 messages, none refused, complete after %2 ms")
            .arg(arrows.size())
            .arg(QLocale().toString(arrows.back().atMs, 'f', 0));
    }

    static QString record(RunId run)
    {
        return tr("Record %1 is on disk and was read back").arg(QLocale::c().toString(run.value));
    }

    static QString failedStep(const StepState& step)
    {
        if (step.record.attempt > 1)
            return tr("Step \u201c%1\u201d, try %2")
                .arg(display::text(step.name), QLocale().toString(step.record.attempt));
        return tr("Step \u201c%1\u201d").arg(display::text(step.name));
    }
};

bool limited(const Measurement& measurement)
{
    return measurement.limit.min || measurement.limit.max;
}

QStringList proofs(const RunState& run)
{
    QStringList lines{Words::steps(run)};
    int within = 0;
    for (const auto& step : run.steps)
        within += static_cast<int>(
            std::ranges::count_if(step.record.measurements, [](const Measurement& measurement) {
                return limited(measurement) && measurement.verdict == Verdict::Pass;
            }));
    if (within > 0)
        lines << Words::measurements(within);
    if (!run.unit.deviceId.empty())
        lines << Words::identity(run.unit);
    if (!run.handshake.empty() &&
        std::ranges::none_of(run.handshake, [](const auto& arrow) { return arrow.failed; }))
        lines << Words::handshake(run.handshake);
    if (run.id.value > 0)
        lines << Words::record(run.id);
    return lines;
}

/// The try that gave the run its verdict: the last of the worst.
const StepState* decidingStep(const RunState& run)
{
    const StepState* worst = nullptr;
    for (const auto& step : run.steps) {
        if (step.stage == StepStage::Done && step.record.verdict > Verdict::Pass &&
            (!worst || step.record.verdict >= worst->record.verdict))
            worst = &step;
    }
    return worst;
}

QStringList evidenceOf(const RunState& run)
{
    QStringList lines;
    const StepState* step = decidingStep(run);
    const std::string& error = run.error.empty() && step ? step->record.error : run.error;
    bool saidAlready = false; // the note says no more than the error does
    if (step) {
        const std::string& note = step->record.note;
        saidAlready = error.find(note) != std::string::npos;
        const std::string& what = saidAlready ? error : note;
        QString line = Words::failedStep(*step);
        if (!what.empty())
            line += QStringLiteral(": ") + display::text(what);
        lines << line;
        for (const auto& measurement : step->record.measurements) {
            // What may be missing is no evidence.
            const bool missing = limited(measurement) && !measurement.value;
            if (measurement.verdict == Verdict::Fail ||
                (missing && step->record.verdict == Verdict::Fail && step->record.cause == "F501"))
                lines << display::measurement(measurement);
        }
    }
    for (const auto& arrow : run.handshake) {
        if (arrow.failed)
            lines << QStringList{display::text(arrow.what), display::text(arrow.note)}
                         .filter(QRegularExpression(QStringLiteral(".")))
                         .join(display::separator());
    }
    if (!error.empty() && !saidAlready)
        lines << display::text(error);
    return lines;
}

} // namespace

Diagnosis diagnose(const RunState& run)
{
    if (!run.finished)
        return {};
    Diagnosis diagnosis{.verdict = run.verdict, .heading = Words::heading(run.verdict)};
    if (run.verdict == Verdict::Pass) {
        diagnosis.evidence = proofs(run);
        return diagnosis;
    }
    const std::string cause = run.cause.empty() ? std::string("C999") : run.cause;
    diagnosis.title = display::causeTitle(cause);
    diagnosis.advice = display::causeAction(cause);
    diagnosis.evidence = evidenceOf(run);
    return diagnosis;
}

} // namespace provost
