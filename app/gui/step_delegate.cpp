#include "gui/step_delegate.h"

#include "gui/icons.h"
#include "gui/paint.h"
#include "models/display_text.h"
#include "models/step_model.h"

#include <QAbstractItemView>
#include <QFontMetricsF>
#include <QPainter>

#include <cmath>

namespace provost::gui {

namespace {

using Mark = StepModel::Mark;

constexpr double kMarkRoom = 42;
constexpr double kTimeRoom = 104;
constexpr double kRightPad = 14;

/// Sizes for a row of that width.
struct Measure {
    double name, line, time, padding, nameHeight, lineHeight;

    explicit Measure(double width)
        : name(width > 500 ? 19 : 17), line(width > 500 ? 16 : 15), time(width > 500 ? 19 : 17),
          padding(width > 500 ? 9 : 6), nameHeight(width > 500 ? 25 : 23),
          lineHeight(width > 500 ? 21 : 19)
    {
    }
};

struct Look {
    Icon icon = Icon::Dot;
    QColor mark;
    QColor name;
    QColor fill{Qt::transparent};
};

Look lookOf(Mark mark, const Theme& theme)
{
    switch (mark) {
    case Mark::Passed:
        return {Icon::Check, theme.pass, theme.ink};
    case Mark::Running:
        return {Icon::Arrow, theme.run, theme.run, theme.runBg};
    case Mark::Held:
        return {Icon::Pause, theme.hold, theme.hold, withAlpha(theme.hold, 0.08)};
    case Mark::Failed:
        return {Icon::Cross, theme.fail, theme.fail, theme.failBg};
    case Mark::Check:
        return {Icon::Warning, theme.attn, theme.attn, theme.attnBg};
    case Mark::Stopped:
        return {Icon::Square, theme.ink2, theme.ink2, theme.surface2};
    case Mark::Waiting:
    case Mark::NotReached:
        break;
    }
    return {Icon::Dot, theme.ink3, theme.ink3};
}

Mark markOf(const QModelIndex& index)
{
    return static_cast<Mark>(index.data(StepModel::MarkRole).toInt());
}

/// The text of a row, cut into lines for a width.
struct Body {
    QStringList quiet;  ///< note and measurements
    QStringList broken; ///< measurements outside their limits

    Body(const QModelIndex& index, double width, const Measure& measure, const Theme& theme)
    {
        if (markOf(index) == Mark::NotReached)
            return; // its note stands where the time would
        QStringList parts{index.data(StepModel::NoteRole).toString()};
        parts << index.data(StepModel::MeasurementsRole).toStringList();
        parts.removeAll(QString());
        const QFont font = theme.sans(measure.line);
        quiet = wrapped(parts.join(display::separator()), font, width, 6);
        for (const auto& line : index.data(StepModel::BrokenRole).toStringList())
            broken << wrapped(line, theme.sans(measure.line, QFont::DemiBold), width, 2);
    }

    double lines() const { return static_cast<double>(quiet.size() + broken.size()); }
};

/// Only the name has the time beside it.
double nameWidth(double rowWidth)
{
    return rowWidth - kMarkRoom - kTimeRoom - 8;
}
double bodyWidth(double rowWidth)
{
    return rowWidth - kMarkRoom - kRightPad;
}

} // namespace

StepDelegate::StepDelegate(const Theme& theme, QObject* parent)
    : QStyledItemDelegate(parent), m_theme(theme)
{
}

QSize StepDelegate::sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const
{
    const auto* view = qobject_cast<const QAbstractItemView*>(option.widget);
    const int width = view ? view->viewport()->width() : option.rect.width();
    const Measure measure(width);
    const Body body(index, bodyWidth(width), measure, m_theme);
    return {width,
            static_cast<int>(std::ceil(measure.nameHeight + body.lines() * measure.lineHeight +
                                       2 * measure.padding + 1))};
}

void StepDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option,
                         const QModelIndex& index) const
{
    const QRectF row(option.rect);
    const Mark mark = markOf(index);
    const Look look = lookOf(mark, m_theme);
    const Measure measure(row.width());
    const Body body(index, bodyWidth(row.width()), measure, m_theme);
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing);
    painter->fillRect(row, look.fill);
    painter->fillRect(QRectF(row.left(), row.bottom() - 1, row.width(), 1), m_theme.line);
    const double middle = row.top() + measure.padding + measure.nameHeight / 2;
    drawIcon(*painter, look.icon, QRectF(row.left() + 9, middle - 9, 18, 18), look.mark, 3.2);

    const double left = row.left() + kMarkRoom;
    const double top = row.top() + measure.padding;
    const double named = nameWidth(row.width());
    const double width = bodyWidth(row.width());
    painter->setFont(m_theme.sans(measure.name, QFont::Bold));
    painter->setPen(look.name);
    painter->drawText(
        QRectF(left, top, named, measure.nameHeight), Qt::AlignLeft | Qt::AlignVCenter,
        QFontMetricsF(painter->font())
            .elidedText(index.data(StepModel::NameRole).toString(), Qt::ElideRight, named));
    painter->setFont(m_theme.sans(measure.line));
    painter->setPen(mark == Mark::Waiting || mark == Mark::NotReached ? m_theme.ink3
                                                                      : m_theme.ink2);
    double below = top + measure.nameHeight;
    below += drawLines(*painter, QRectF(left, below, width, 0), body.quiet, measure.lineHeight);
    painter->setFont(m_theme.sans(measure.line, QFont::DemiBold));
    painter->setPen(m_theme.fail);
    drawLines(*painter, QRectF(left, below, width, 0), body.broken, measure.lineHeight);

    const bool omitted = mark == Mark::NotReached;
    const QString aside =
        index.data(omitted ? StepModel::NoteRole : StepModel::SecondsRole).toString();
    painter->setFont(m_theme.sans(omitted ? measure.line : measure.time));
    painter->setPen(look.name == m_theme.ink3 ? m_theme.ink3 : m_theme.ink);
    const QFontMetricsF metrics(painter->font());
    drawTabular(*painter,
                {row.right() - kRightPad - tabularWidth(aside, painter->font()),
                 top + (measure.nameHeight - metrics.height()) / 2 + metrics.ascent()},
                aside);
    painter->restore();
}

} // namespace provost::gui
