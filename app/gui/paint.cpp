#include "gui/paint.h"

#include "gui/icons.h"
#include "models/display_text.h"

#include <QFontMetricsF>
#include <QTextLayout>

#include <algorithm>
#include <cmath>

namespace provost::gui {

namespace {

double digitWidth(const QFontMetricsF& metrics)
{
    // As wide as Inter's own tabular figures: between the mean and the widest.
    double sum = 0;
    double widest = 0;
    for (char16_t digit = u'0'; digit <= u'9'; ++digit) {
        const double width = metrics.horizontalAdvance(QChar(digit));
        sum += width;
        widest = std::max(widest, width);
    }
    return (sum / 10 + widest) / 2;
}

/// Digits one by one, everything between them in one piece.
template <class Visitor>
void eachPiece(const QString& text, Visitor&& visit)
{
    qsizetype from = 0;
    while (from < text.size()) {
        qsizetype to = from;
        const bool digit = text[from].isDigit();
        while (to < text.size() && !digit && !text[to].isDigit())
            ++to;
        to = digit ? from + 1 : to;
        visit(text.mid(from, to - from), digit);
        from = to;
    }
}

} // namespace

double tabularWidth(const QString& text, const QFont& font)
{
    const QFontMetricsF metrics(font);
    const double digit = digitWidth(metrics);
    double width = 0;
    eachPiece(text, [&](const QString& piece, bool isDigit) {
        width += isDigit ? digit : metrics.horizontalAdvance(piece);
    });
    return width;
}

void drawTabular(QPainter& painter, QPointF baseline, const QString& text)
{
    const QFontMetricsF metrics(painter.font());
    const double digit = digitWidth(metrics);
    eachPiece(text, [&](const QString& piece, bool isDigit) {
        const double own = metrics.horizontalAdvance(piece);
        const double cell = isDigit ? digit : own;
        painter.drawText(baseline + QPointF((cell - own) / 2, 0), piece);
        baseline.rx() += cell;
    });
}

QFont fitted(QFont font, const QString& text, double width, int least)
{
    const double own = tabularWidth(text, font);
    if (own > width && own > 0) {
        const double scaled = font.pixelSize() * width / own;
        font.setPixelSize(std::max(least, static_cast<int>(std::floor(scaled))));
    }
    return font;
}

QFont squeezed(const QFont& font, const QString& text, double width)
{
    constexpr double kLeast = 0.87;
    const QFont smaller = fitted(font, text, width, 12);
    const bool helps = smaller.pixelSize() >= font.pixelSize() * kLeast &&
                       QFontMetricsF(smaller).horizontalAdvance(text) <= width;
    return helps ? smaller : font;
}

QStringList wrapped(const QString& given, const QFont& font, double width, int lines)
{
    if (given.isEmpty())
        return {};
    // A line never begins with the dot between two parts.
    const QString text = QString(given).replace(QStringLiteral(" \u00b7 "), display::separator());
    QTextLayout layout(text, font);
    QTextOption option;
    option.setWrapMode(QTextOption::WrapAtWordBoundaryOrAnywhere);
    layout.setTextOption(option);
    QStringList found;
    layout.beginLayout();
    while (true) {
        QTextLine line = layout.createLine();
        if (!line.isValid())
            break;
        line.setLineWidth(width);
        if (found.size() + 1 == lines) {
            // The last line takes what remains and says so where it does not fit.
            const QString rest = text.mid(line.textStart());
            found << QFontMetricsF(font).elidedText(rest, Qt::ElideRight, width);
            break;
        }
        found << text.mid(line.textStart(), line.textLength()).trimmed();
    }
    layout.endLayout();
    return found;
}

QStringList balanced(const QString& text, const QFont& font, double width, int lines)
{
    QStringList best = wrapped(text, font, width, lines);
    const bool cut = best.join(QString()).endsWith(QChar(0x2026)) && !text.endsWith(QChar(0x2026));
    if (best.size() < 2 || cut)
        return best;
    for (double narrower = width * 0.95; narrower > width * 0.4; narrower -= width * 0.05) {
        // One line more than allowed shows whether it still fits.
        const QStringList tried = wrapped(text, font, narrower, lines + 1);
        if (tried.size() != best.size())
            break;
        best = tried;
    }
    return best;
}

double drawLines(QPainter& painter, const QRectF& area, const QStringList& lines, double lineHeight)
{
    const QFontMetricsF metrics(painter.font());
    double top = area.top();
    for (const auto& line : lines) {
        const double baseline = top + (lineHeight - metrics.height()) / 2 + metrics.ascent();
        painter.drawText(QPointF(area.left(), baseline), line);
        top += lineHeight;
    }
    return top - area.top();
}

void drawCard(QPainter& painter, const QRectF& area, const Theme& theme)
{
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(theme.line, 1));
    painter.setBrush(theme.surface);
    painter.drawRoundedRect(area.adjusted(0.5, 0.5, -0.5, -0.5), theme.r, theme.r);
    painter.restore();
}

void drawEmpty(QPainter& painter, const QRectF& area, const Theme& theme, const QString& title,
               const QString& advice)
{
    painter.save();
    const double centre = area.center().y();
    painter.setFont(theme.sans(22, QFont::DemiBold));
    painter.setPen(theme.ink2);
    painter.drawText(QRectF(area.left(), centre - 40, area.width(), 36), Qt::AlignCenter, title);
    painter.setFont(theme.sans(17));
    painter.setPen(theme.ink2);
    painter.drawText(QRectF(area.left() + 24, centre + 2, area.width() - 48, 60),
                     Qt::AlignHCenter | Qt::AlignTop | Qt::TextWordWrap, advice);
    painter.restore();
}

QSizeF badgeSize(const QString& word, const QFont& font, bool withIcon)
{
    const QFontMetricsF metrics(font);
    const double size = font.pixelSize();
    const double icon = withIcon ? size * 0.9 + size * 0.3 : 0;
    return {std::ceil(metrics.horizontalAdvance(word) + icon + size * 1.33),
            std::ceil(size * 1.75)};
}

void drawBadge(QPainter& painter, QPointF topLeft, SlotState state, const QString& word,
               const QFont& font, const Theme& theme)
{
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    const auto icon = iconOf(state);
    const QRectF box(topLeft, badgeSize(word, font, icon.has_value()));
    const QColor colour = theme.colourOf(state);
    const bool quiet = state == SlotState::Ready || state == SlotState::Off;
    painter.setPen(Qt::NoPen);
    painter.setBrush(quiet ? theme.surface2 : colour);
    painter.drawRoundedRect(box, 8, 8);
    const QColor ink = quiet ? theme.ink2 : QColor(Qt::white);
    const double size = font.pixelSize();
    double left = box.left() + size * 0.66;
    if (icon) {
        drawIcon(painter, *icon,
                 QRectF(left, box.center().y() - size * 0.45, size * 0.9, size * 0.9), ink, 3.4);
        left += size * 1.2;
    }
    painter.setFont(font);
    painter.setPen(ink);
    painter.drawText(QRectF(left, box.top(), box.right() - left, box.height()),
                     Qt::AlignLeft | Qt::AlignVCenter, word);
    painter.restore();
}

} // namespace provost::gui
