#include "gui/action_button.h"

#include <QFontMetricsF>
#include <QPainter>

#include <cmath>

namespace provost::gui {

ActionButton::ActionButton(const Theme& theme, const QString& text, const QString& key, Rank rank,
                           QWidget* parent)
    : QAbstractButton(parent), m_theme(theme), m_key(key), m_rank(rank)
{
    setText(text);
    setFocusPolicy(Qt::TabFocus);
    setTextSize(m_textSize);
}

void ActionButton::setTextSize(int pixels)
{
    m_textSize = pixels;
    setFont(m_theme.sans(pixels, QFont::DemiBold));
    updateGeometry();
    update();
}

void ActionButton::setLeadingIcon(Icon icon)
{
    m_leading = icon;
    updateGeometry();
}

QFont ActionButton::keyFont() const
{
    return m_theme.mono(std::max(12.0, m_textSize * 0.68), QFont::Medium);
}

double ActionButton::keyWidth() const
{
    return m_key.isEmpty() ? 0 : QFontMetricsF(keyFont()).horizontalAdvance(m_key) + 16;
}

QSize ActionButton::sizeHint() const
{
    const QFont textFont = m_theme.sans(m_textSize, QFont::DemiBold);
    double width = QFontMetricsF(textFont).horizontalAdvance(text()) + m_textSize * 2.7;
    if (!m_key.isEmpty())
        width += keyWidth() + 12;
    if (m_leading)
        width += m_textSize;
    const int height = std::max(m_theme.touch, static_cast<int>(m_textSize * 2.9));
    return {static_cast<int>(std::ceil(width)), height};
}

void ActionButton::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const bool primary = m_rank == Rank::Primary;
    QColor fill = primary ? m_theme.run : m_theme.surface2;
    if (isDown())
        fill = fill.darker(108);
    const QRectF box = QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5);
    painter.setPen(QPen(primary ? m_theme.run : m_theme.line, 1));
    painter.setBrush(fill);
    painter.drawRoundedRect(box, m_theme.r, m_theme.r);
    if (hasFocus()) {
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(primary ? QColor(Qt::white) : m_theme.focus, 2));
        painter.drawRoundedRect(box.adjusted(3, 3, -3, -3), m_theme.r - 3, m_theme.r - 3);
    }

    const QFont textFont = m_theme.sans(m_textSize, QFont::DemiBold);
    const double textWidth = QFontMetricsF(textFont).horizontalAdvance(text());
    const double iconSide = m_leading ? m_textSize : 0;
    const double keyRoom = m_key.isEmpty() ? 0 : keyWidth() + 12;
    double left = (width() - textWidth - keyRoom - iconSide) / 2;
    const QColor ink = primary ? QColor(Qt::white) : m_theme.ink;
    if (m_leading) {
        drawIcon(painter, *m_leading,
                 QRectF(left - 3, (height() - iconSide) / 2, iconSide, iconSide), ink, 2.4);
        left += iconSide;
    }
    painter.setFont(textFont);
    painter.setPen(ink);
    painter.drawText(QRectF(left, 0, textWidth + 2, height()), Qt::AlignLeft | Qt::AlignVCenter,
                     text());
    if (m_key.isEmpty())
        return;
    const double keyHeight = std::round(m_textSize * 1.18);
    const QRectF cap(std::round(left + textWidth + 12) + 0.5,
                     std::round((height() - keyHeight) / 2) + 0.5, keyWidth(), keyHeight);
    painter.setPen(QPen(primary ? QColor(Qt::white) : m_theme.line, 1));
    painter.setBrush(Qt::white);
    painter.drawRoundedRect(cap, 5, 5);
    painter.setFont(keyFont());
    painter.setPen(primary ? m_theme.run : m_theme.ink2);
    painter.drawText(cap, Qt::AlignCenter, m_key);
}

} // namespace provost::gui
