#include "gui/card.h"

#include "gui/paint.h"

#include <QPainter>

namespace provost::gui {

Card::Card(const Theme& theme, QWidget* parent) : QWidget(parent), m_theme(theme) {}

void Card::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    drawCard(painter, QRectF(rect()), m_theme);
}

} // namespace provost::gui
