// How values read on the screens: numbers, times, ids and verdicts in the operator's language.
#pragma once

#include "store/record.h"

#include <QString>

namespace provost::display {

/// An em dash: not known. Never confused with 0.
QString unknown();
QString text(const std::string& utf8);
/// Between the parts of one line; a line breaks behind it, never before.
QString separator();
/// `41.8 s`, from a minute on `1 min 12 s`.
QString seconds(double value);
/// `26 s`: whole seconds, for what is still counting.
QString wholeSeconds(double value);
/// With as many decimals as it takes, at most two.
QString number(double value);
/// `98.3%`
QString percent(double fraction, int decimals);
/// The first `digits` characters and an ellipsis; short ids stay whole.
QString shortId(const QString& id, int digits = 12);
/// `a7:20:5c:…:c4`, as people compare keys.
QString shortFingerprint(const QString& hex);
/// `≥ 40`, `3.2 … 3.4`; empty where there is no limit.
QString limit(const Limit& limit);
/// `throughput 61.2 KiB/s (limit ≥ 40)`; says so where nothing was measured.
/// What stands in the brackets stays in one line.
QString measurement(const Measurement& measurement);
/// PASS, HOLD, FAIL, STOPPED, CHECK; READY where nothing was judged.
QString verdict(Verdict verdict);
/// Title and action of a cause; empty for an empty id.
QString causeTitle(const std::string& id);
QString causeAction(const std::string& id);
/// `Put in …` as it reads behind a cause id: `put in …`. Words in capitals stay.
QString continued(const QString& sentence);
/// Local time of a stored UTC time: `14:31:07`, empty where it cannot be read.
QString clockTime(const std::string& isoUtc);
/// `14:31` today, else `2 Nov 14:31`, with the year where it is another one.
QString dayAndTime(const std::string& isoUtc);
/// The same with seconds where it is today.
QString startTime(const std::string& isoUtc);
/// `text` that no line break may cut.
QString unbroken(QString text);

} // namespace provost::display
