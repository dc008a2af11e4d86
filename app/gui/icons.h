// The pictograms of the design, drawn from their SVG paths.
#pragma once

#include "models/slot_model.h"

#include <QColor>
#include <QPainterPath>
#include <QRectF>

class QPainter;

namespace provost::gui {

enum class Icon : std::uint8_t {
    Line,
    Rework,
    Keys,
    Units,
    Images,
    Yield,
    Station,
    Check,
    Pause,
    Cross,
    Warning,
    Square,
    Power,
    Slot,
    Plug,
    Back,
    Question,
    Barcode,
    Dot,
    Arrow,
};

/// Outline in a box of 24 × 24.
QPainterPath outline(Icon icon);
/// The shape that goes with a state's word; nothing for those that show a number instead.
std::optional<Icon> iconOf(SlotState state);
/// Strokes `icon` into `box`; `weight` in units of the 24 × 24 box, as in the design.
void drawIcon(QPainter& painter, Icon icon, const QRectF& box, const QColor& colour,
              double weight = 1.8);
/// Commands M L H V A C Z, absolute and relative, as SVG 1.1 §8.3 has them.
QPainterPath parseSvgPath(std::string_view text);

} // namespace provost::gui
