#include "gui/run_header.h"

#include "gui/icons.h"
#include "gui/paint.h"
#include "models/display_text.h"

#include <QFontMetricsF>
#include <QPainter>
#include <QPainterPath>

#include <cmath>

namespace provost::gui {

namespace {

constexpr double kBarHeight = 12;

} // namespace

RunHeader::RunHeader(const Theme& theme, RunModel& run, QWidget* parent)
    : QWidget(parent), m_theme(theme), m_run(run)
{
}

void RunHeader::refresh()
{
    const int height = static_cast<int>(std::ceil(compose(nullptr)));
    if (height != this->height())
        setFixedHeight(height);
    update();
}

void RunHeader::resizeEvent(QResizeEvent*)
{
    refresh();
}

void RunHeader::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    compose(&painter);
}

double RunHeader::composeTop(QPainter* painter) const
{
    const SlotState state = m_run.state();
    const double pixels = width() > 500 ? 24 : 19;
    const QFont badgeFont = m_theme.sans(pixels, QFont::Bold);
    const QString word = shownName(state);
    const QSizeF badge = badgeSize(word, badgeFont, iconOf(state).has_value());
    if (painter)
        drawBadge(*painter, {0, 0}, state, word, badgeFont, m_theme);
    const RunState* run = m_run.run();
    if (!run)
        return badge.height();
    QString id = display::text(run->unit.deviceId);
    if (id.isEmpty())
        id = run->unit.serial.empty() ? display::unknown() : display::text(run->unit.serial);
    const QFont idFont = m_theme.mono(pixels, QFont::Bold);
    const double left = badge.width() + 14;
    const double room = width() - left;
    const bool beside = QFontMetricsF(idFont).horizontalAdvance(id) <= room;
    // An id is never cut here: where it does not fit beside the badge, it goes below.
    const QFont used = beside ? idFont : fitted(idFont, id, width(), 12);
    const QRectF area =
        beside ? QRectF(left, 0, room, badge.height()) : QRectF(0, badge.height() + 6, width(), 32);
    if (painter) {
        painter->setFont(used);
        painter->setPen(m_theme.ink);
        painter->drawText(area, Qt::AlignLeft | Qt::AlignVCenter, id);
    }
    return area.bottom();
}

double RunHeader::composeProgress(QPainter* painter, double top) const
{
    const RunState* run = m_run.run();
    const QString percent = display::percent(std::floor(run->fraction * 100 + 1e-9) / 100, 0);
    const QFont font = m_theme.sans(19, QFont::DemiBold);
    const double numberWidth = tabularWidth(display::percent(1, 0), font) + 14;
    if (painter) {
        const QRectF track(0, top + 8, width() - numberWidth, kBarHeight);
        QPainterPath round;
        round.addRoundedRect(track, kBarHeight / 2, kBarHeight / 2);
        painter->fillPath(round, m_theme.runBg);
        painter->save();
        painter->setClipPath(round);
        painter->fillRect(
            QRectF(track.left(), track.top(), track.width() * run->fraction, kBarHeight),
            m_theme.run);
        painter->restore();
        painter->setFont(font);
        painter->setPen(m_theme.run);
        drawTabular(*painter, {width() - tabularWidth(percent, font), top + 21}, percent);
    }
    top += 30;
    if (!run->critical)
        return top;
    const QString word = tr("DO NOT UNPLUG");
    const QRectF band(0, top + 4, width(), 52);
    if (painter) {
        painter->setPen(Qt::NoPen);
        painter->setBrush(m_theme.attn);
        painter->drawRoundedRect(band, 8, 8);
        drawIcon(*painter, Icon::Warning, QRectF(16, band.center().y() - 14, 28, 28), Qt::white,
                 2.2);
        painter->setFont(m_theme.sans(22, QFont::Bold));
        painter->setPen(Qt::white);
        painter->drawText(band.adjusted(56, 0, -12, 0), Qt::AlignLeft | Qt::AlignVCenter, word);
    }
    return band.bottom() + 6;
}

double RunHeader::compose(QPainter* painter) const
{
    double top = composeTop(painter) + 8;
    const RunState* run = m_run.run();
    const bool underWay = run && !run->finished;
    QString line = m_run.causeLine();
    if (underWay && !m_run.timeLine().isEmpty())
        line = line.isEmpty() ? m_run.timeLine() : m_run.timeLine() + display::separator() + line;
    if (line.isEmpty())
        line = m_run.idleLine();
    const QFont font = m_theme.sans(width() > 500 ? 18 : 17);
    const auto lines = wrapped(line, font, width(), 3);
    if (painter) {
        painter->setFont(font);
        painter->setPen(m_theme.ink2);
        drawLines(*painter, QRectF(0, top, width(), 0), lines, 24);
    }
    top += 24 * static_cast<double>(lines.size()) + 6;
    if (underWay)
        top = composeProgress(painter, top);
    return top + 6;
}

} // namespace provost::gui
