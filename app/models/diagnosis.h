// What a verdict means for whoever reads it: what is so, how that is known, what to do.
#pragma once

#include "models/run_state.h"

#include <QString>
#include <QStringList>

namespace provost {

struct Diagnosis {
    Verdict verdict = Verdict::NotRun;
    QString heading{};      ///< "What is wrong", "What was proved"
    QString title{};        ///< the fact, one sentence; empty where it passed
    QStringList evidence{}; ///< how it is known; for PASS: what was proved, one line each
    QString advice{};       ///< the one thing to do; empty where it passed
};

/// Only of what the run holds; a run that goes on has none.
Diagnosis diagnose(const RunState& run);

} // namespace provost
