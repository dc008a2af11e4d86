// The visual language of the station: names and values of design/tokens.css.
#pragma once

#include "models/slot_model.h"

#include <QColor>
#include <QFont>
#include <QString>

namespace provost::gui {

/// Sizes are pixels at 96 dpi; Qt scales them where the screen asks for it.
struct Theme {
    QColor bg{0xEE, 0xF0, 0xF2};
    QColor surface{0xFF, 0xFF, 0xFF};
    QColor surface2{0xF6, 0xF7, 0xF9};
    QColor line{0xD5, 0xD9, 0xDE};
    QColor ink{0x15, 0x19, 0x1E};
    QColor ink2{0x4B, 0x55, 0x61};
    QColor ink3{0x7A, 0x85, 0x92};
    QColor idle{0x6B, 0x76, 0x83};
    QColor run{0x0B, 0x5F, 0xD0};
    QColor runBg{0xE7, 0xF0, 0xFD};
    QColor pass{0x15, 0x74, 0x3A};
    QColor fail{0xC1, 0x1F, 0x2E};
    QColor failBg{0xFC, 0xEC, 0xEE}; ///< of the box that says what is wrong
    QColor hold{0x54, 0x39, 0x8F};
    QColor attn{0xA8, 0x5B, 0x00};
    QColor attnBg{0xFF, 0xF3, 0xDF};
    QColor focus{0x0B, 0x5F, 0xD0};
    int r = 10;
    int gap = 14;
    int touch = 46; ///< 12 mm

    /// Inter; the system's sans serif where it is not installed.
    QFont sans(double pixels, QFont::Weight weight = QFont::Normal) const;
    /// JetBrains Mono: ids, keys, key caps.
    QFont mono(double pixels, QFont::Weight weight = QFont::Normal) const;
    QColor colourOf(SlotState state) const;
    /// For the few standard widgets: line edits, tables, scroll bars.
    QString styleSheet() const;
};

/// `colour` seen through: alpha 0 to 1.
QColor withAlpha(QColor colour, double alpha);

} // namespace provost::gui
