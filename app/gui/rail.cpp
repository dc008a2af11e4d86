#include "gui/rail.h"

#include <QPainter>
#include <QVBoxLayout>

namespace provost::gui {

RailButton::RailButton(const Theme& theme, Icon icon, const QString& text, QWidget* parent)
    : QAbstractButton(parent), m_theme(theme), m_icon(icon)
{
    setText(text);
    setCheckable(true);
    setFocusPolicy(Qt::TabFocus);
    setFixedHeight(72);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
}

void RailButton::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    const bool on = isChecked();
    if (on) {
        painter.fillRect(rect(), m_theme.runBg);
        painter.fillRect(QRect(0, 0, 4, height()), m_theme.run);
    } else if (isDown()) {
        painter.fillRect(rect(), m_theme.surface2);
    }
    const QColor ink = on ? m_theme.run : isEnabled() ? m_theme.ink2 : m_theme.ink3;
    const double centre = 4 + (width() - 4) / 2.0;
    drawIcon(painter, m_icon, QRectF(centre - 13, 13, 26, 26),
             isEnabled() ? ink : withAlpha(ink, 0.65), 1.8);
    painter.setFont(m_theme.sans(13, on ? QFont::DemiBold : QFont::Normal));
    painter.setPen(ink);
    painter.drawText(QRectF(4, 43, width() - 4, 18), Qt::AlignCenter, text());
    if (hasFocus()) {
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setPen(QPen(m_theme.focus, 2));
        painter.drawRoundedRect(QRectF(rect()).adjusted(6, 3, -4, -3), 6, 6);
    }
}

Rail::Rail(const Theme& theme, QWidget* parent) : QWidget(parent), m_theme(theme)
{
    struct Entry {
        Screen screen;
        Icon icon;
        QString text;
        bool exists;
    };
    const Entry entries[] = {{Screen::Line, Icon::Line, tr("Line"), true},
                             {Screen::Rework, Icon::Rework, tr("Rework"), false},
                             {Screen::Keys, Icon::Keys, tr("Keys"), false},
                             {Screen::Units, Icon::Units, tr("Units"), true},
                             {Screen::Images, Icon::Images, tr("Images"), false},
                             {Screen::Yield, Icon::Yield, tr("Yield"), false},
                             {Screen::Station, Icon::Station, tr("Station"), false}};
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 14, 1, 14);
    layout->setSpacing(4);
    for (const auto& entry : entries) {
        auto* button = new RailButton(theme, entry.icon, entry.text, this);
        button->setEnabled(entry.exists);
        if (!entry.exists)
            button->setAccessibleDescription(tr("This screen does not exist yet"));
        connect(button, &RailButton::clicked, this,
                [this, screen = entry.screen] { Q_EMIT chosen(screen); });
        layout->addWidget(button);
        m_buttons.push_back(button);
    }
    layout->addStretch(1);
    setCompact(false);
}

void Rail::setCurrent(Screen screen)
{
    for (std::size_t i = 0; i < m_buttons.size(); ++i)
        m_buttons[i]->setChecked(i == static_cast<std::size_t>(screen));
}

void Rail::setCompact(bool compact)
{
    setFixedWidth(compact ? 88 : 104);
}

RailButton* Rail::button(Screen screen) const
{
    return m_buttons[static_cast<std::size_t>(screen)];
}

void Rail::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.fillRect(rect(), m_theme.surface);
    painter.fillRect(QRect(width() - 1, 0, 1, height()), m_theme.line);
}

} // namespace provost::gui
