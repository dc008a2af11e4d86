#include "gui/counters_strip.h"

#include "gui/paint.h"

#include <QFontMetricsF>
#include <QPainter>

#include <algorithm>
#include <cmath>

namespace provost::gui {

namespace {

constexpr int kGap = 20;

} // namespace

CountersStrip::CountersStrip(const Theme& theme, CountersModel& counters, QWidget* parent)
    : QWidget(parent), m_theme(theme), m_counters(counters)
{
    connect(&m_counters, &CountersModel::changed, this, [this] {
        updateGeometry();
        update();
    });
}

void CountersStrip::setCompact(bool compact)
{
    if (m_compact == compact)
        return;
    m_compact = compact;
    updateGeometry();
    update();
}

QFont CountersStrip::valueFont() const
{
    return m_theme.sans(m_compact ? 24 : 30, QFont::Bold);
}

QFont CountersStrip::nameFont() const
{
    return m_theme.sans(m_compact ? 13 : 14);
}

std::vector<CountersStrip::Figure> CountersStrip::figures() const
{
    return {{m_counters.passed(), tr("passed today")},
            {m_counters.failed(), tr("failed"), m_counters.anyFailed()},
            {m_counters.firstPassYield(), m_compact ? tr("first pass") : tr("first-pass yield")},
            {m_counters.unitsPerHour(), m_compact ? tr("per hour") : tr("units per hour")}};
}

double CountersStrip::widthOf(const Figure& figure) const
{
    return std::ceil(std::max(tabularWidth(figure.value, valueFont()),
                              QFontMetricsF(nameFont()).horizontalAdvance(figure.name)));
}

QSize CountersStrip::sizeHint() const
{
    double width = 0;
    for (const auto& figure : figures())
        width += widthOf(figure) + kGap;
    return {static_cast<int>(width) - kGap, m_compact ? 52 : 60};
}

void CountersStrip::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    const QFontMetricsF values(valueFont());
    const QFontMetricsF names(nameFont());
    const double total = values.capHeight() + 10 + names.height();
    const double baseline = (height() - total) / 2 + values.capHeight() + 3;
    const auto shown = figures();
    double right = width();
    for (auto figure = shown.rbegin(); figure != shown.rend(); ++figure) {
        painter.setFont(valueFont());
        painter.setPen(figure->alarming ? m_theme.fail : m_theme.ink);
        drawTabular(painter, {right - tabularWidth(figure->value, valueFont()), baseline},
                    figure->value);
        painter.setFont(nameFont());
        painter.setPen(figure->alarming ? m_theme.fail : m_theme.ink2);
        painter.drawText(
            QPointF(right - names.horizontalAdvance(figure->name), baseline + 8 + names.ascent()),
            figure->name);
        right -= widthOf(*figure) + kGap;
    }
}

} // namespace provost::gui
