#include "gui/no_data_veil.h"

#include "gui/icons.h"
#include "gui/paint.h"
#include "models/display_text.h"

#include <QFontMetricsF>
#include <QMouseEvent>
#include <QPainter>
#include <QTimer>

namespace provost::gui {

namespace {

constexpr double kBoxWidth = 720;
constexpr double kPad = 36;
constexpr double kTitleHeight = 72;
constexpr double kLineHeight = 32;

} // namespace

NoDataVeil::NoDataVeil(const Theme& theme, const Liveness& liveness, QWidget& window)
    : QWidget(&window), m_theme(theme), m_liveness(liveness), m_window(window)
{
    hide();
    connect(&liveness, &Liveness::changed, this, &NoDataVeil::refresh);
}

void NoDataVeil::refresh()
{
    if (!m_liveness.stale()) {
        hide();
        m_picture = {};
        return;
    }
    setAccessibleName(tr("NO DATA"));
    if (isHidden())
        cover();
    update();
}

void NoDataVeil::resized()
{
    setGeometry(m_window.rect());
    QTimer::singleShot(0, this, [this] {
        if (m_liveness.stale())
            cover();
    });
}

void NoDataVeil::cover()
{
    hide(); // it is not part of the picture
    const QPixmap seen = m_window.grab();
    m_picture = seen.toImage().convertToFormat(QImage::Format_Grayscale8);
    m_picture.setDevicePixelRatio(seen.devicePixelRatio());
    setGeometry(m_window.rect());
    show();
    raise();
}

void NoDataVeil::mousePressEvent(QMouseEvent* event)
{
    event->accept();
}

void NoDataVeil::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.drawImage(0, 0, m_picture);
    painter.fillRect(rect(), withAlpha(Qt::gray, 0.45));

    const double room = kBoxWidth - 2 * kPad;
    const QFont font = m_theme.sans(22);
    const auto lines = wrapped(
        tr("The station has been silent for %1. What is shown may no longer be true: leave units "
           "and cables alone and call whoever keeps the station. F2 still asks every run to stop.")
            .arg(display::unbroken(display::wholeSeconds(m_liveness.silentSeconds()))),
        font, room, 5);
    QRectF box(0, 0, kBoxWidth,
               kPad + kTitleHeight + 24 + kLineHeight * static_cast<double>(lines.size()) + kPad);
    box.moveCenter(QRectF(rect()).center());
    painter.setPen(QPen(m_theme.ink, 3));
    painter.setBrush(m_theme.surface);
    painter.drawRoundedRect(box, m_theme.r, m_theme.r);

    const QRectF title = box.adjusted(kPad, kPad, -kPad, 0);
    drawIcon(painter, Icon::Warning, QRectF(title.topLeft(), QSizeF(kTitleHeight, kTitleHeight)),
             m_theme.ink, 2.2);
    painter.setPen(m_theme.ink);
    painter.setFont(m_theme.sans(kTitleHeight, QFont::Bold));
    painter.drawText(QRectF(title.left() + kTitleHeight + 24, title.top(), room, kTitleHeight),
                     Qt::AlignLeft | Qt::AlignVCenter, tr("NO DATA"));
    painter.setFont(font);
    drawLines(painter, QRectF(title.left(), title.top() + kTitleHeight + 24, room, 0), lines,
              kLineHeight);
}

} // namespace provost::gui
