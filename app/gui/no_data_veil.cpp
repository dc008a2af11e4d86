#include "gui/no_data_veil.h"

#include "gui/icons.h"
#include "gui/paint.h"
#include "models/display_text.h"

#include <QFontMetricsF>
#include <QMouseEvent>
#include <QPainter>

namespace provost::gui {

namespace {

constexpr QSizeF kBox{720, 300};

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

void NoDataVeil::cover()
{
    if (!m_liveness.stale())
        return;
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

    QRectF box({0, 0}, kBox);
    box.moveCenter(QRectF(rect()).center());
    painter.setPen(QPen(m_theme.ink, 3));
    painter.setBrush(m_theme.surface);
    painter.drawRoundedRect(box, m_theme.r, m_theme.r);
    const double pad = 36;
    const double room = box.width() - 2 * pad;
    drawIcon(painter, Icon::Warning, QRectF(box.left() + pad, box.top() + 36, 72, 72), m_theme.ink,
             2.2);
    painter.setPen(m_theme.ink);
    painter.setFont(m_theme.sans(76, QFont::Bold));
    painter.drawText(QRectF(box.left() + pad + 96, box.top() + 28, room - 96, 88),
                     Qt::AlignLeft | Qt::AlignVCenter, tr("NO DATA"));
    const QFont font = m_theme.sans(22);
    const QString text =
        tr("The station has been silent for %1. What is shown may no longer be true: leave units "
           "and cables alone and call whoever keeps the station. F2 still asks every run to stop.")
            .arg(display::unbroken(display::wholeSeconds(m_liveness.silentSeconds())));
    painter.setFont(font);
    drawLines(painter, QRectF(box.left() + pad, box.top() + 136, room, 0),
              wrapped(text, font, room, 5), 32);
}

} // namespace provost::gui
