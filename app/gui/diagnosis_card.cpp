#include "gui/diagnosis_card.h"

#include "gui/icons.h"
#include "gui/paint.h"

#include <QFontMetricsF>
#include <QPainter>

#include <algorithm>
#include <cmath>

namespace provost::gui {

namespace {

constexpr double kPadX = 26;
constexpr double kPadY = 20;
constexpr double kTitleHeight = 28;
constexpr double kLineHeight = 25;

QColor toneOf(Verdict verdict, const Theme& theme)
{
    switch (verdict) {
    case Verdict::Fail:
        return theme.fail;
    case Verdict::Hold:
        return theme.hold;
    case Verdict::Error:
        return theme.attn;
    case Verdict::Pass:
        return theme.pass;
    default:
        return theme.ink2;
    }
}

QColor fillOf(Verdict verdict, const Theme& theme)
{
    if (verdict == Verdict::Fail)
        return theme.failBg;
    if (verdict == Verdict::Error)
        return theme.attnBg;
    return verdict == Verdict::Hold ? withAlpha(theme.hold, 0.08) : theme.surface2;
}

} // namespace

DiagnosisCard::DiagnosisCard(const Theme& theme, QWidget* parent) : QWidget(parent), m_theme(theme)
{
}

void DiagnosisCard::show(const Diagnosis& diagnosis)
{
    m_diagnosis = diagnosis;
    setVisible(!m_diagnosis.heading.isEmpty());
    setFixedHeight(static_cast<int>(std::ceil(compose(nullptr))));
    setAccessibleName(m_diagnosis.heading);
    setAccessibleDescription(m_diagnosis.title + u' ' + m_diagnosis.advice);
    update();
}

void DiagnosisCard::resizeEvent(QResizeEvent*)
{
    setFixedHeight(static_cast<int>(std::ceil(compose(nullptr))));
}

void DiagnosisCard::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    drawCard(painter, QRectF(rect()), m_theme);
    compose(&painter);
}

double DiagnosisCard::compose(QPainter* painter) const
{
    if (painter) {
        painter->setFont(m_theme.sans(20, QFont::Bold));
        painter->setPen(m_theme.ink);
        painter->drawText(QRectF(kPadX, kPadY, width() - 2 * kPadX, 26),
                          Qt::AlignLeft | Qt::AlignVCenter, m_diagnosis.heading);
    }
    const double top = kPadY + 26 + 12;
    const double bottom = m_diagnosis.verdict == Verdict::Pass ? composeProofs(painter, top)
                                                               : composeBox(painter, top);
    return bottom + kPadY;
}

double DiagnosisCard::composeProofs(QPainter* painter, double top) const
{
    const bool narrow = width() < 800;
    const QFont font = m_theme.sans(narrow ? 16 : 18);
    const double lineHeight = narrow ? 22 : kTitleHeight;
    for (const auto& proof : m_diagnosis.evidence) {
        const auto lines = wrapped(proof, font, width() - 2 * kPadX - 34, 2);
        if (painter) {
            drawIcon(*painter, Icon::Check, QRectF(kPadX, top + lineHeight / 2 - 9, 18, 18),
                     m_theme.pass, 3.2);
            painter->setFont(font);
            painter->setPen(m_theme.ink);
            drawLines(*painter, QRectF(kPadX + 34, top, 0, 0), lines, lineHeight);
        }
        top += lineHeight * static_cast<double>(lines.size()) + 4;
    }
    return top;
}

double DiagnosisCard::composeBox(QPainter* painter, double top) const
{
    const double left = kPadX + 24;
    const double room = width() - left - kPadX - 18;
    const QFont bold = m_theme.sans(19, QFont::Bold);
    const QFont plain = m_theme.sans(17);
    const auto title = wrapped(m_diagnosis.title, bold, room, 2);
    QStringList evidence;
    for (const auto& line : m_diagnosis.evidence)
        evidence << wrapped(line, plain, room, 3);
    const QString todo =
        m_diagnosis.advice.isEmpty() ? QString() : tr("Do this: %1").arg(m_diagnosis.advice);
    const auto advice = wrapped(todo, bold, room, 2);

    const double height = 32 + kTitleHeight * static_cast<double>(title.size() + advice.size()) +
                          kLineHeight * static_cast<double>(evidence.size()) +
                          (advice.isEmpty() ? 0 : 8);
    if (!painter)
        return top + height;
    const QRectF box(kPadX, top, width() - 2 * kPadX, height);
    painter->setPen(Qt::NoPen);
    painter->setBrush(fillOf(m_diagnosis.verdict, m_theme));
    painter->drawRoundedRect(box, 6, 6);
    painter->save();
    painter->setClipRect(QRectF(box.left(), box.top(), 5, box.height()));
    painter->setBrush(toneOf(m_diagnosis.verdict, m_theme));
    painter->drawRoundedRect(box, 6, 6);
    painter->restore();

    double line = top + 16;
    painter->setFont(bold);
    painter->setPen(m_theme.ink);
    line += drawLines(*painter, QRectF(left, line, room, 0), title, kTitleHeight);
    painter->setFont(plain);
    line += drawLines(*painter, QRectF(left, line, room, 0), evidence, kLineHeight);
    painter->setFont(bold);
    painter->setPen(toneOf(m_diagnosis.verdict, m_theme));
    drawLines(*painter, QRectF(left, line + 8, room, 0), advice, kTitleHeight);
    return top + height;
}

} // namespace provost::gui
