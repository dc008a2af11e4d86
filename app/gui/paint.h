// Small helpers of painting that several widgets share.
#pragma once

#include "gui/theme.h"

#include <QFont>
#include <QPainter>
#include <QRectF>
#include <QString>

namespace provost::gui {

/// Digits of one width, so that a counting number does not tremble: Inter's own are proportional.
double tabularWidth(const QString& text, const QFont& font);
/// @param baseline  where the text begins, on its baseline
void drawTabular(QPainter& painter, QPointF baseline, const QString& text);

/// `font`, smaller where `text` would not fit into `width`; never below `least` pixels.
QFont fitted(QFont font, const QString& text, double width, int least = 11);

/// `font` down to seven eighths where that saves `text` from a second line.
QFont squeezed(const QFont& font, const QString& text, double width);
/// `given` in at most `lines` lines of `width`; the last one ends in an ellipsis where more
/// remains.
QStringList wrapped(const QString& given, const QFont& font, double width, int lines);
/// The same, its lines about equally long: no word alone on the last one.
QStringList balanced(const QString& text, const QFont& font, double width, int lines);
/// The lines, one below the other, from `top`. @returns the height they took
double drawLines(QPainter& painter, const QRectF& area, const QStringList& lines,
                 double lineHeight);

/// A white card of the design.
void drawCard(QPainter& painter, const QRectF& area, const Theme& theme);
/// An icon above two lines, in the middle: what an empty table says.
void drawEmpty(QPainter& painter, const QRectF& area, const Theme& theme, const QString& title,
               const QString& advice);

/// A rounded word on colour: FAIL. @returns its size
QSizeF badgeSize(const QString& word, const QFont& font, bool withIcon);
void drawBadge(QPainter& painter, QPointF topLeft, SlotState state, const QString& word,
               const QFont& font, const Theme& theme);

} // namespace provost::gui
