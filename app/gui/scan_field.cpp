#include "gui/scan_field.h"

#include "gui/icons.h"
#include "gui/paint.h"

#include <QFontMetricsF>
#include <QPainter>

namespace provost::gui {

namespace {

constexpr int kIconRoom = 62;

} // namespace

ScanField::ScanField(const Theme& theme, ScanRouter& scans, QWidget* parent)
    : QLineEdit(parent), m_theme(theme), m_scans(scans)
{
    setObjectName(QStringLiteral("scanField"));
    setAccessibleName(tr("Label to start a slot with"));
    setTextMargins(kIconRoom - 16, 0, 0, 0);
    setCompact(false);
    connect(this, &QLineEdit::returnPressed, this, [this] {
        const QString typed = text().trimmed();
        clear();
        if (!typed.isEmpty())
            m_scans.scan(typed);
    });
    connect(&m_scans, &ScanRouter::changed, this, &ScanField::refresh);
    refresh();
}

void ScanField::setCompact(bool compact)
{
    m_compact = compact;
    setFont(m_theme.sans(compact ? 18 : 24));
    setFixedHeight(compact ? 54 : 64);
    setStyleSheet(QStringLiteral("QLineEdit, QLineEdit:focus { border: 3px solid %1; "
                                 "border-radius: %2px; padding: 0 12px; font-size: %3px; }")
                      .arg((m_scans.notice().isEmpty() ? m_theme.focus : m_theme.attn).name())
                      .arg(m_theme.r)
                      .arg(compact ? 18 : 24));
}

void ScanField::refresh()
{
    setCompact(m_compact);
    setAccessibleDescription(m_scans.notice().isEmpty() ? m_scans.prompt() : m_scans.notice());
    update();
}

void ScanField::paintEvent(QPaintEvent* event)
{
    QLineEdit::paintEvent(event);
    QPainter painter(this);
    const bool alert = !m_scans.notice().isEmpty();
    const double side = m_compact ? 28 : 34;
    const QRectF icon(16, (height() - side) / 2, side, side);
    drawIcon(painter, alert ? Icon::Warning : Icon::Barcode, icon,
             alert ? m_theme.attn : m_theme.ink3, 2.4);
    if (!text().isEmpty())
        return;
    // Our own placeholder: the standard one is too pale to be read at arm's length.
    painter.setFont(font());
    painter.setPen(alert ? m_theme.attn : m_theme.ink3);
    const QRectF area(kIconRoom + 5, 0, width() - kIconRoom - 19, height()); // beside the caret
    const QString said = alert ? m_scans.notice() : m_scans.prompt();
    painter.drawText(area, Qt::AlignLeft | Qt::AlignVCenter,
                     QFontMetricsF(font()).elidedText(said, Qt::ElideRight, area.width()));
}

} // namespace provost::gui
