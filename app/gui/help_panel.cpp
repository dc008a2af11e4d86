#include "gui/help_panel.h"

#include "gui/action_button.h"
#include "gui/paint.h"

#include <QFontMetricsF>
#include <QPainter>

namespace provost::gui {

namespace {

constexpr int kPad = 26;
constexpr double kColumn = 158;

} // namespace

HelpPanel::HelpPanel(const Theme& theme, QWidget* parent)
    : QWidget(parent), m_theme(theme),
      m_close(new ActionButton(theme, tr("Close"), QStringLiteral("F4"), ActionButton::Rank::Normal,
                               this))
{
    m_close->setTextSize(17);
    connect(m_close, &ActionButton::clicked, this, &HelpPanel::closeAsked);
    resize(sizeHint());
}

std::vector<HelpPanel::Line> HelpPanel::keys() const
{
    return {{tr("Scan"), tr("starts the slot that the field below names")},
            {QStringLiteral("F1"), tr("starts every slot with a unit")},
            {QStringLiteral("F2"), tr("stops what runs, at the next safe point")},
            {QStringLiteral("F3"), tr("switches the chosen tile's slot off or on")},
            {QStringLiteral("F4"), tr("shows and hides this help")},
            {QStringLiteral("CMD:START"), tr("this barcode does what F1 does")},
            {QStringLiteral("CMD:STOP"), tr("this barcode does what F2 does")},
            {tr("Tile"), tr("touch: its unit, step by step; hold: slot off, on")}};
}

std::vector<std::pair<SlotState, QString>> HelpPanel::states() const
{
    return {{SlotState::Pass, tr("done: remove the unit")},
            {SlotState::Hold, tr("good, a confirmation is awaited: HOLD tray")},
            {SlotState::Fail, tr("the unit is at fault: red bin")},
            {SlotState::Check, tr("not judged: do what the tile says")},
            {SlotState::Stopped, tr("an operator stopped it: remove the unit")}};
}

void HelpPanel::setCompact(bool compact)
{
    m_keyRow = compact ? 32 : 38;
    m_stateRow = compact ? 37 : 44;
    update();
}

QSize HelpPanel::sizeHint() const
{
    const double height = kPad + 46 + 14 + m_keyRow * static_cast<double>(keys().size()) + 50 +
                          m_stateRow * static_cast<double>(states().size()) + 48 + 16;
    return {620, static_cast<int>(height)};
}

void HelpPanel::resizeEvent(QResizeEvent*)
{
    m_close->resize(m_close->sizeHint());
    m_close->move(width() - m_close->width() - kPad, kPad - 6);
}

double HelpPanel::drawHeading(QPainter& painter, double top, const QString& text) const
{
    painter.setFont(m_theme.sans(20, QFont::Bold));
    painter.setPen(m_theme.ink);
    painter.drawText(QRectF(kPad, top, width() - 2 * kPad, 40), Qt::AlignLeft | Qt::AlignVCenter,
                     text);
    return top + 50;
}

void HelpPanel::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(m_theme.ink3, 1.5));
    painter.setBrush(m_theme.surface);
    painter.drawRoundedRect(QRectF(rect()).adjusted(1, 1, -1, -1), m_theme.r, m_theme.r);

    double top = drawHeading(painter, kPad - 2, tr("Help"));
    for (const auto& line : keys()) {
        const QFont mono = m_theme.mono(15, QFont::Medium);
        const QRectF cap(kPad + 0.5, top + (m_keyRow - 26) / 2 + 0.5,
                         QFontMetricsF(mono).horizontalAdvance(line.key) + 18, 26);
        painter.setPen(QPen(m_theme.line, 1));
        painter.setBrush(m_theme.surface2);
        painter.drawRoundedRect(cap, 5, 5);
        painter.setFont(mono);
        painter.setPen(m_theme.ink2);
        painter.drawText(cap, Qt::AlignCenter, line.key);
        painter.setFont(m_theme.sans(18));
        painter.setPen(m_theme.ink);
        painter.drawText(QRectF(kPad + kColumn, top, width() - kPad - kColumn, m_keyRow),
                         Qt::AlignLeft | Qt::AlignVCenter, line.text);
        top += m_keyRow;
    }
    top = drawHeading(painter, top + 8, tr("What a tile says"));
    for (const auto& [state, text] : states()) {
        drawBadge(painter, {kPad, top + m_stateRow / 2 - 14}, state, shownName(state),
                  m_theme.sans(16, QFont::Bold), m_theme);
        painter.setFont(m_theme.sans(18));
        painter.setPen(m_theme.ink);
        painter.drawText(QRectF(kPad + kColumn, top, width() - kPad - kColumn, m_stateRow),
                         Qt::AlignLeft | Qt::AlignVCenter, text);
        top += m_stateRow;
    }
    painter.setFont(m_theme.sans(17, QFont::DemiBold));
    painter.setPen(m_theme.attn);
    painter.drawText(QRectF(kPad, top + 4, width() - 2 * kPad, 40),
                     Qt::AlignLeft | Qt::AlignVCenter,
                     tr("While a tile says DO NOT UNPLUG, leave unit and cable alone."));
}

} // namespace provost::gui
