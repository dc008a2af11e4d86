#include "gui/handshake_view.h"

#include "gui/icons.h"
#include "gui/paint.h"

#include <QFontMetricsF>
#include <QPainter>

#include <algorithm>
#include <cmath>

namespace provost::gui {

namespace {

constexpr double kEmptyHeight = 104;

} // namespace

HandshakeView::HandshakeView(const Theme& theme, HandshakeModel& model, QWidget* parent)
    : QWidget(parent), m_theme(theme), m_model(model)
{
    connect(&m_model, &HandshakeModel::modelReset, this, &HandshakeView::refresh);
    connect(&m_model, &HandshakeModel::rowsInserted, this, &HandshakeView::refresh);
    connect(&m_model, &HandshakeModel::dataChanged, this, qOverload<>(&QWidget::update));
}

void HandshakeView::setEmptyText(const QString& title, const QString& advice)
{
    if (m_emptyTitle == title && m_emptyAdvice == advice)
        return;
    m_emptyTitle = title;
    m_emptyAdvice = advice;
    update();
}

void HandshakeView::refresh()
{
    claimHeight();
    // A scroll area gives more room by itself, less only where its widget shrank.
    if (height() > minimumHeight())
        resize(width(), minimumHeight());
    update();
}

void HandshakeView::claimHeight()
{
    setMinimumHeight(static_cast<int>(std::ceil(compose(nullptr))));
}

void HandshakeView::resizeEvent(QResizeEvent*)
{
    claimHeight();
}

double HandshakeView::margin() const
{
    return width() > 800 ? 120 : 64;
}

void HandshakeView::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    if (m_model.rowCount() == 0) {
        drawEmpty(painter, QRectF(rect()), m_theme, m_emptyTitle, m_emptyAdvice);
        return;
    }
    compose(&painter);
    drawHeads(painter);
}

void HandshakeView::keepHeadsAt(int top)
{
    m_headsAt = top;
    update();
}

void HandshakeView::drawHeads(QPainter& painter) const
{
    painter.fillRect(QRect(0, m_headsAt, width(), kHeadHeight), m_theme.surface);
    painter.setFont(m_theme.sans(18, QFont::DemiBold));
    painter.setPen(m_theme.ink);
    const QRectF device(margin() - 60, m_headsAt, 120, 24);
    const QRectF station(width() - margin() - 60, m_headsAt, 120, 24);
    painter.drawText(device, Qt::AlignCenter, tr("Device"));
    painter.drawText(station, Qt::AlignCenter, tr("Station"));
}

double HandshakeView::compose(QPainter* painter) const
{
    if (m_model.rowCount() == 0)
        return kEmptyHeight;
    if (painter) {
        const double lineHeight = height() - kHeadHeight;
        painter->fillRect(QRectF(margin() - 1, kHeadHeight, 2, lineHeight), m_theme.line);
        painter->fillRect(QRectF(width() - margin() - 1, kHeadHeight, 2, lineHeight), m_theme.line);
    }
    double top = kHeadHeight + 14;
    for (int row = 0; row < m_model.rowCount(); ++row)
        top = composeArrow(painter, m_model.index(row), top);
    return top;
}

double HandshakeView::failedArrow() const
{
    double top = kHeadHeight + 14;
    for (int row = 0; row < m_model.rowCount(); ++row) {
        top = composeArrow(nullptr, m_model.index(row), top);
        if (m_model.index(row).data(HandshakeModel::FailedRole).toBool())
            return top;
    }
    return 0;
}

double HandshakeView::composeArrow(QPainter* painter, const QModelIndex& index, double top) const
{
    const bool wide = width() > 800;
    const double whatHeight = wide ? 24 : 21;
    const double detailHeight = wide ? 20 : 18;
    const double between = wide ? 30 : 18;
    const double left = margin() + 16;
    const double room = width() - 2 * left;
    const bool failed = index.data(HandshakeModel::FailedRole).toBool();
    const QFont whatFont = m_theme.sans(wide ? 18 : 16, failed ? QFont::DemiBold : QFont::Normal);
    const QFont detailFont = m_theme.sans(wide ? 15 : 14);
    const auto what =
        balanced(index.data(HandshakeModel::WhatRole).toString(), whatFont, room - 40, 2);
    const auto detail =
        balanced(index.data(HandshakeModel::DetailRole).toString(), detailFont, room, 3);
    const double y = top + whatHeight * static_cast<double>(what.size()) +
                     detailHeight * static_cast<double>(detail.size()) + 8;
    if (!painter)
        return y + between;

    const QColor colour = failed ? m_theme.fail : m_theme.run;
    const auto centred = [&](const QStringList& lines, const QFont& font, double height,
                             const QColor& ink) {
        painter->setFont(font);
        painter->setPen(ink);
        for (const auto& line : lines) {
            painter->drawText(QRectF(left, top, room, height), Qt::AlignCenter, line);
            top += height;
        }
    };
    if (failed && !what.isEmpty()) {
        // A cross beside the word: red alone is not seen by everybody.
        const double half = QFontMetricsF(whatFont).horizontalAdvance(what.front()) / 2;
        drawIcon(*painter, Icon::Cross,
                 QRectF(left + room / 2 - half - 26, top + whatHeight / 2 - 8, 16, 16), colour,
                 3.4);
    }
    centred(what, whatFont, whatHeight, failed ? m_theme.fail : m_theme.ink);
    centred(detail, detailFont, detailHeight, failed ? m_theme.fail : m_theme.ink2);
    drawArrow(*painter, y, index.data(HandshakeModel::FromDeviceRole).toBool(), colour);
    return y + between;
}

void HandshakeView::drawArrow(QPainter& painter, double y, bool toStation,
                              const QColor& colour) const
{
    const double left = margin() + 9;
    const double right = width() - margin() - 9;
    painter.fillRect(QRectF(left, y - 1.5, right - left, 3), colour);
    const double tip = toStation ? right + 3 : left - 3;
    const double back = toStation ? tip - 12 : tip + 12;
    QPainterPath head;
    head.moveTo(tip, y);
    head.lineTo(back, y - 7);
    head.lineTo(back, y + 7);
    head.closeSubpath();
    painter.fillPath(head, colour);
}

} // namespace provost::gui
