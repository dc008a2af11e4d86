#include "gui/slot_question.h"

#include "gui/action_button.h"
#include "gui/paint.h"

#include <QEvent>
#include <QFontMetricsF>
#include <QMouseEvent>
#include <QPainter>

#include <algorithm>

namespace provost::gui {

namespace {

constexpr int kBetween = 8;
constexpr int kWidest = 340;

} // namespace

SlotQuestion::SlotQuestion(const Theme& theme, int slot, bool on, QWidget* tile)
    : QWidget(tile), m_theme(theme),
      m_text(on ? tr("Switch slot %1 on?").arg(slot) : tr("Switch slot %1 off?").arg(slot)),
      m_yes(new ActionButton(theme, on ? tr("Switch on") : tr("Switch off"), {},
                             ActionButton::Rank::Primary, this)),
      m_no(new ActionButton(theme, on ? tr("Leave off") : tr("Leave on"), {},
                            ActionButton::Rank::Normal, this))
{
    m_yes->setObjectName(QStringLiteral("switch-yes"));
    m_no->setObjectName(QStringLiteral("switch-no"));
    connect(m_no, &ActionButton::clicked, this, &SlotQuestion::dismiss);
    connect(m_yes, &ActionButton::clicked, this, [this] {
        Q_EMIT confirmed();
        dismiss();
    });
    tile->installEventFilter(this);
    resize(tile->size());
    show();
    m_no->setFocus(); // Enter by mistake changes nothing
}

void SlotQuestion::dismiss()
{
    hide();
    deleteLater();
}

bool SlotQuestion::eventFilter(QObject* tile, QEvent* event)
{
    if (event->type() == QEvent::Resize)
        resize(parentWidget()->size());
    return QWidget::eventFilter(tile, event);
}

void SlotQuestion::mousePressEvent(QMouseEvent* event)
{
    event->accept(); // the tile below is not pressed
}

void SlotQuestion::resizeEvent(QResizeEvent*)
{
    const int pad = height() < 230 ? 10 : 20;
    const int size = height() < 230 ? 17 : 21;
    const int wide = std::min(width() - 2 * pad, kWidest);
    int bottom = height() - pad;
    for (auto* button : {m_no, m_yes}) {
        button->setTextSize(size);
        const int tall = std::max(m_theme.touch, button->sizeHint().height());
        button->setGeometry((width() - wide) / 2, bottom - tall, wide, tall);
        bottom -= tall + kBetween;
    }
}

void SlotQuestion::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(m_theme.run, 2));
    painter.setBrush(m_theme.surface);
    painter.drawRoundedRect(QRectF(rect()).adjusted(1, 1, -1, -1), m_theme.r, m_theme.r);
    const QRectF area(10, 6, width() - 20, m_yes->y() - 10);
    const QFont wanted = m_theme.sans(height() < 230 ? 18 : 26, QFont::DemiBold);
    const double lineHeight = wanted.pixelSize() * 1.25;
    const int most = std::max(1, static_cast<int>(area.height() / lineHeight));
    const auto lines = balanced(m_text, squeezed(wanted, m_text, area.width()), area.width(), most);
    painter.setFont(squeezed(wanted, m_text, area.width()));
    painter.setPen(m_theme.ink);
    const double tall = lineHeight * static_cast<double>(lines.size());
    drawLines(painter, QRectF(area.left(), area.center().y() - tall / 2, area.width(), tall), lines,
              lineHeight);
}

} // namespace provost::gui
