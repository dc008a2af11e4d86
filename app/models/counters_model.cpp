#include "models/counters_model.h"

#include "models/display_text.h"

#include <QLocale>

#include <cmath>

namespace provost {

namespace {

QString count(int value)
{
    return QLocale().toString(value);
}

} // namespace

CountersModel::CountersModel(QObject* parent) : QObject(parent) {}

void CountersModel::show(const ShiftCounts& counts)
{
    m_counts = counts;
    Q_EMIT changed();
}

QString CountersModel::passed() const
{
    return m_counts ? count(m_counts->pass) : display::unknown();
}

QString CountersModel::failed() const
{
    return m_counts ? count(m_counts->fail) : display::unknown();
}

QString CountersModel::firstPassYield() const
{
    if (!m_counts || m_counts->judgedUnits <= 0)
        return display::unknown();
    const double yield = static_cast<double>(m_counts->firstPass) / m_counts->judgedUnits;
    // Rounding must not call a shift with failures perfect, nor one with passes worthless.
    const double tenths = std::round(yield * 1000) / 1000;
    if (tenths >= 1 && m_counts->firstPass < m_counts->judgedUnits)
        return display::percent(0.999, 1);
    return display::percent(tenths, tenths >= 1 || tenths <= 0 ? 0 : 1);
}

QString CountersModel::unitsPerHour() const
{
    if (!m_counts || (m_counts->pass == 0 && m_counts->unitsPerHour <= 0))
        return display::unknown();
    return QLocale().toString(m_counts->unitsPerHour, 'f', 0);
}

bool CountersModel::anyFailed() const
{
    return m_counts && m_counts->fail > 0;
}

} // namespace provost
