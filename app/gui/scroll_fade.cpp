#include "gui/scroll_fade.h"

#include <QAbstractScrollArea>
#include <QEvent>
#include <QLinearGradient>
#include <QPainter>
#include <QScrollBar>

namespace provost::gui {

ScrollFade::ScrollFade(const Theme& theme, QAbstractScrollArea& area, int head)
    : QWidget(&area), m_theme(theme), m_area(area), m_head(head)
{
    setAttribute(Qt::WA_TransparentForMouseEvents);
    setFocusPolicy(Qt::NoFocus);
    area.viewport()->installEventFilter(this);
    const auto again = [this] { update(); };
    connect(area.verticalScrollBar(), &QScrollBar::valueChanged, this, again);
    connect(area.verticalScrollBar(), &QScrollBar::rangeChanged, this, again);
    cover();
}

void ScrollFade::cover()
{
    setGeometry(m_area.viewport()->geometry());
    raise();
}

bool ScrollFade::eventFilter(QObject* viewport, QEvent* event)
{
    if (event->type() == QEvent::Resize || event->type() == QEvent::Move)
        cover();
    return QWidget::eventFilter(viewport, event);
}

void ScrollFade::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    const auto fade = [&](int from, int to) {
        QLinearGradient gradient(0, from, 0, to);
        gradient.setColorAt(0, m_theme.surface);
        gradient.setColorAt(1, withAlpha(m_theme.surface, 0));
        painter.fillRect(QRect(0, std::min(from, to), width(), kHeight), gradient);
    };
    const auto* bar = m_area.verticalScrollBar();
    if (bar->value() > bar->minimum())
        fade(m_head, m_head + kHeight);
    if (bar->value() < bar->maximum())
        fade(height(), height() - kHeight);
}

} // namespace provost::gui
