#include "gui/header_bar.h"

#include "gui/paint.h"

#include <QFontMetricsF>
#include <QHelpEvent>
#include <QLocale>
#include <QPainter>
#include <QTime>
#include <QToolTip>

#include <cmath>

namespace provost::gui {

namespace {

constexpr double kPillHeight = 33;
constexpr double kDot = 10;

} // namespace

HeaderBar::HeaderBar(const Theme& theme, StationModel& station, QWidget* parent)
    : QWidget(parent), m_theme(theme), m_station(station)
{
    setCompact(false);
    connect(&m_station, &StationModel::changed, this, &HeaderBar::refresh);
    refresh();
    tick();
}

void HeaderBar::setCompact(bool compact)
{
    m_compact = compact;
    setFixedHeight(compact ? 62 : 72);
    update();
}

void HeaderBar::refresh()
{
    m_pills = m_station.pills();
    setAccessibleName(m_station.planTitle());
    setAccessibleDescription(m_station.planLine());
    update();
}

void HeaderBar::tick()
{
    const QString now = QLocale().toString(QTime::currentTime(), QStringLiteral("HH:mm"));
    if (now == m_time)
        return;
    m_time = now;
    update();
}

bool HeaderBar::event(QEvent* event)
{
    if (event->type() == QEvent::ToolTip) {
        const auto* help = static_cast<QHelpEvent*>(event);
        for (std::size_t i = 0; i < m_pillBoxes.size() && i < m_pills.size(); ++i) {
            if (m_pillBoxes[i].contains(help->pos()) && !m_pills[i].full.isEmpty()) {
                QToolTip::showText(help->globalPos(), m_pills[i].full, this);
                return true;
            }
        }
        if (m_planBox.contains(help->pos()) && !m_station.planDetail().isEmpty()) {
            QToolTip::showText(help->globalPos(), m_station.planDetail(), this);
            return true;
        }
    }
    return QWidget::event(event);
}

QString HeaderBar::shownText(const StationModel::Pill& pill) const
{
    return m_compact && !pill.brief.isEmpty() ? pill.brief : pill.text;
}

double HeaderBar::pillWidth(const StationModel::Pill& pill) const
{
    const double dot = pill.light == StationModel::Light::None ? 0 : kDot + 8;
    return std::ceil(QFontMetricsF(m_theme.sans(15)).horizontalAdvance(shownText(pill)) + dot + 26);
}

void HeaderBar::drawPill(QPainter& painter, const QRectF& box, const StationModel::Pill& pill) const
{
    painter.setPen(QPen(m_theme.line, 1));
    painter.setBrush(m_theme.surface2);
    painter.drawRoundedRect(box, box.height() / 2, box.height() / 2);
    double left = box.left() + 13;
    if (pill.light != StationModel::Light::None) {
        painter.setPen(Qt::NoPen);
        painter.setBrush(pill.light == StationModel::Light::Good        ? m_theme.pass
                         : pill.light == StationModel::Light::Attention ? m_theme.attn
                                                                        : m_theme.ink3);
        painter.drawEllipse(QRectF(left, box.center().y() - kDot / 2, kDot, kDot));
        left += kDot + 8;
    }
    painter.setFont(m_theme.sans(15));
    painter.setPen(m_theme.ink2);
    painter.drawText(QRectF(left, box.top(), box.right() - left - 10, box.height()),
                     Qt::AlignLeft | Qt::AlignVCenter,
                     QFontMetricsF(painter.font())
                         .elidedText(shownText(pill), Qt::ElideMiddle, box.right() - left - 12));
}

double HeaderBar::drawMark(QPainter& painter, double right) const
{
    QFont font = m_theme.sans(15, QFont::Bold);
    font.setLetterSpacing(QFont::AbsoluteSpacing, 0.8);
    const QString word = m_station.mark();
    const double wide = std::ceil(QFontMetricsF(font).horizontalAdvance(word) + 30);
    const QRectF box(right - wide + 0.5, (height() - kPillHeight) / 2, wide, kPillHeight);
    painter.setPen(Qt::NoPen);
    painter.setBrush(m_theme.attn);
    painter.drawRoundedRect(box, kPillHeight / 2, kPillHeight / 2);
    painter.setFont(font);
    painter.setPen(Qt::white);
    painter.drawText(box, Qt::AlignCenter, word);
    return box.left();
}

void HeaderBar::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.fillRect(rect(), m_theme.surface);
    painter.fillRect(QRect(0, height() - 1, width(), 1), m_theme.line);

    const double gap = m_compact ? 10 : 28;
    double right = width() - 24;
    painter.setFont(m_theme.sans(m_compact ? 15 : 16));
    painter.setPen(m_theme.ink2);
    const double timeWidth = tabularWidth(m_time, painter.font());
    const QFontMetricsF timeMetrics(painter.font());
    drawTabular(painter, {right - timeWidth, (height() + timeMetrics.capHeight()) / 2}, m_time);
    right -= timeWidth + gap;

    m_pillBoxes.assign(m_pills.size(), {});
    for (std::size_t i = m_pills.size(); i-- > 0;) {
        const double wide = std::min(pillWidth(m_pills[i]), width() * 0.2);
        m_pillBoxes[i] = QRectF(std::floor(right - wide) + 0.5,
                                std::floor((height() - kPillHeight) / 2) + 0.5, wide, kPillHeight);
        drawPill(painter, m_pillBoxes[i], m_pills[i]);
        right -= wide + gap;
    }
    if (!m_station.mark().isEmpty())
        right = drawMark(painter, right) - gap;

    const QFont title = m_theme.sans(m_compact ? 20 : 22, QFont::Bold);
    const QFont below = m_theme.sans(m_compact ? 15 : 16);
    const double room = right - 24;
    m_planBox = QRectF(24, 0, room, height());
    const QFontMetricsF titleMetrics(title);
    const QFontMetricsF belowMetrics(below);
    const double total = titleMetrics.height() + belowMetrics.height();
    const double top = (height() - total) / 2;
    painter.setFont(title);
    painter.setPen(m_theme.ink);
    painter.drawText(QPointF(24, top + titleMetrics.ascent()),
                     titleMetrics.elidedText(m_station.planTitle(), Qt::ElideRight, room));
    painter.setFont(below);
    painter.setPen(m_theme.ink2);
    // The digest is there as a whole or not at all.
    const QString whole = m_station.planLine();
    const bool fits = belowMetrics.horizontalAdvance(whole) <= room;
    painter.drawText(
        QPointF(24, top + titleMetrics.height() + belowMetrics.ascent()),
        belowMetrics.elidedText(fits ? whole : m_station.planBrief(), Qt::ElideRight, room));
}

} // namespace provost::gui
