#include "models/display_text.h"

#include "engine/causes.h"

#include <QCoreApplication>
#include <QDateTime>
#include <QLocale>

#include <algorithm>
#include <cmath>

namespace provost::display {

namespace {

QString tr(const char* source)
{
    return QCoreApplication::translate("display", source);
}

QString numberWith(double value, int decimals)
{
    QLocale locale;
    locale.setNumberOptions(QLocale::OmitGroupSeparator);
    return locale.toString(value, 'f', decimals);
}

int mostDecimals(double value)
{
    const double size = std::abs(value);
    return size >= 1000 ? 0 : size >= 100 ? 1 : 2;
}

/// A value that broke its limit must not read as if it kept it: more decimals until it does not.
QString numberBeside(double value, const Limit& limit)
{
    const bool low = limit.min && value < *limit.min;
    const bool high = limit.max && value > *limit.max;
    if (!low && !high)
        return number(value);
    for (int decimals = mostDecimals(value); decimals <= 9; ++decimals) {
        const double scale = std::pow(10.0, decimals);
        const double shown = std::round(value * scale) / scale;
        if ((low && shown < *limit.min) || (high && shown > *limit.max))
            return decimals == mostDecimals(value) ? number(value) : numberWith(value, decimals);
    }
    return numberWith(value, 9);
}

QString valueText(const Measurement& measurement)
{
    struct Reader {
        const Limit& limit;
        QString operator()(double value) const { return numberBeside(value, limit); }
        QString operator()(const std::string& value) const { return text(value); }
        QString operator()(bool value) const { return value ? tr("yes") : tr("no"); }
    };
    return std::visit(Reader{measurement.limit}, *measurement.value);
}

QDateTime localTime(const std::string& isoUtc)
{
    auto time = QDateTime::fromString(text(isoUtc), Qt::ISODateWithMs);
    if (time.timeSpec() == Qt::LocalTime)
        time.setTimeSpec(Qt::UTC);
    return time.toLocalTime();
}

} // namespace

QString unknown()
{
    return QStringLiteral("\u2014");
}

QString text(const std::string& utf8)
{
    return QString::fromStdString(utf8);
}

QString separator()
{
    return QStringLiteral("\u00a0\u00b7 ");
}

QString seconds(double value)
{
    if (value >= 59.95)
        return wholeSeconds(value);
    return tr("%1 s").arg(QLocale().toString(value, 'f', 1));
}

QString wholeSeconds(double value)
{
    const auto whole = static_cast<qint64>(std::llround(std::max(0.0, value)));
    if (whole < 60)
        return tr("%1 s").arg(QLocale().toString(whole));
    return tr("%1 min %2 s").arg(QLocale().toString(whole / 60), QLocale().toString(whole % 60));
}

QString number(double value)
{
    const double size = std::abs(value);
    const int most = mostDecimals(value);
    for (int decimals = 0; decimals < most; ++decimals) {
        const double scale = std::pow(10.0, decimals);
        if (std::abs(value * scale - std::round(value * scale)) < 1e-9 * std::max(1.0, size))
            return numberWith(value, decimals);
    }
    return numberWith(value, most);
}

QString percent(double fraction, int decimals)
{
    return tr("%1%").arg(QLocale().toString(fraction * 100, 'f', decimals));
}

QString shortId(const QString& id, int digits)
{
    return id.size() > digits + 1 ? id.left(digits) + QStringLiteral("\u2026") : id;
}

QString shortFingerprint(const QString& hex)
{
    if (hex.size() < 10)
        return hex;
    return QStringLiteral("%1:%2:%3:\u2026:%4")
        .arg(hex.mid(0, 2), hex.mid(2, 2), hex.mid(4, 2), hex.right(2));
}

QString limit(const Limit& limit)
{
    if (limit.min && limit.max)
        return QStringLiteral("%1 \u2026 %2").arg(number(*limit.min), number(*limit.max));
    if (limit.min)
        return QStringLiteral("\u2265\u00a0%1").arg(number(*limit.min));
    if (limit.max)
        return QStringLiteral("\u2264\u00a0%1").arg(number(*limit.max));
    return {};
}

QString measurement(const Measurement& measurement)
{
    QString line = text(measurement.name);
    // Names in records end in their unit, which stands behind the value here: join_s, rate_kib_s.
    const QString suffix = u'_' + text(measurement.limit.unit).toLower().replace(u'/', u'_');
    if (!measurement.limit.unit.empty() && line.endsWith(suffix))
        line.chop(suffix.size());
    line.replace(u'-', u' ').replace(u'_', u' ');
    line += u' ';
    line += measurement.value ? valueText(measurement) : tr("was not measured");
    if (measurement.value && !measurement.limit.unit.empty())
        line += u'\u00a0' + text(measurement.limit.unit);
    QString bounds = limit(measurement.limit);
    if (bounds.isEmpty())
        return line;
    if (!measurement.value && !measurement.limit.unit.empty())
        bounds += u'\u00a0' + text(measurement.limit.unit);
    line += u' ' + tr("(limit\u00a0%1)").arg(bounds);
    return line;
}

QString verdict(Verdict verdict)
{
    switch (verdict) {
    case Verdict::NotRun:
        return tr("READY");
    case Verdict::Pass:
        return tr("PASS");
    case Verdict::Hold:
        return tr("HOLD");
    case Verdict::Fail:
        return tr("FAIL");
    case Verdict::Aborted:
        return tr("STOPPED");
    case Verdict::Error:
        return tr("CHECK");
    }
    return tr("CHECK");
}

QString causeTitle(const std::string& id)
{
    if (id.empty())
        return {};
    const auto title = causeById(id).title;
    return QString::fromUtf8(title.data(), static_cast<qsizetype>(title.size()));
}

QString causeAction(const std::string& id)
{
    if (id.empty())
        return {};
    const auto action = causeById(id).action;
    return QString::fromUtf8(action.data(), static_cast<qsizetype>(action.size()));
}

QString continued(const QString& sentence)
{
    if (sentence.size() < 2 || !sentence[1].isLower())
        return sentence;
    return QLocale().toLower(sentence.left(1)) + sentence.mid(1);
}

QString clockTime(const std::string& isoUtc)
{
    const auto time = localTime(isoUtc);
    return time.isValid() ? QLocale().toString(time.time(), QStringLiteral("HH:mm:ss")) : QString();
}

QString startTime(const std::string& isoUtc)
{
    const bool today = localTime(isoUtc).date() == QDate::currentDate();
    return today ? clockTime(isoUtc) : dayAndTime(isoUtc);
}

QString unbroken(QString text)
{
    return text.replace(u' ', QChar(0xa0));
}

QString dayAndTime(const std::string& isoUtc)
{
    const auto time = localTime(isoUtc);
    if (!time.isValid())
        return {};
    const QString clock = QLocale().toString(time.time(), QStringLiteral("HH:mm"));
    const QDate today = QDate::currentDate();
    if (time.date() == today)
        return clock;
    const auto form =
        time.date().year() == today.year() ? QStringLiteral("d MMM") : QStringLiteral("d MMM yyyy");
    return QLocale().toString(time.date(), form) + u' ' + clock;
}

} // namespace provost::display
