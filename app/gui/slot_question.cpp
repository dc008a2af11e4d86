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
constexpr int kWidest = 460;

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
    const bool small = height() < 230;
    const int pad = small ? 10 : 20;
    const int wide = std::min(width() - 2 * pad, kWidest);
    int bottom = height() - pad;
    for (auto* button : {m_no, m_yes}) {
        button->setTextSize(small ? 17 : 21);
        const int tall = std::max(m_theme.touch, button->sizeHint().height());
        button->setGeometry(pad, bottom - tall, wide, tall);
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
    const bool small = height() < 230;
    const double wide = width() - 2.0 * m_yes->x();
    const QFont font = squeezed(m_theme.sans(small ? 18 : 28, QFont::DemiBold), m_text, wide);
    const double lineHeight = font.pixelSize() * 1.25;
    const double gap = small ? 4 : 18;
    const int most = std::max(1, static_cast<int>((m_yes->y() - gap) / lineHeight));
    const auto lines = balanced(m_text, font, wide, most);
    const double tall = lineHeight * static_cast<double>(lines.size());
    painter.setFont(font);
    painter.setPen(m_theme.ink);
    drawLines(painter, QRectF(m_yes->x(), m_yes->y() - gap - tall, wide, tall), lines, lineHeight);
}

} // namespace provost::gui
