#include "gui/theme.h"

#include <algorithm>
#include <cmath>

namespace provost::gui {

namespace {

QFont sized(const QStringList& families, QFont::StyleHint hint, double pixels, QFont::Weight weight)
{
    QFont font;
    font.setFamilies(families);
    font.setStyleHint(hint);
    font.setPixelSize(std::max(8, static_cast<int>(std::lround(pixels))));
    font.setWeight(weight);
    font.setHintingPreference(QFont::PreferNoHinting);
    return font;
}

} // namespace

QFont Theme::sans(double pixels, QFont::Weight weight) const
{
    return sized(
        {QStringLiteral("Inter"), QStringLiteral("DejaVu Sans"), QStringLiteral("sans-serif")},
        QFont::SansSerif, pixels, weight);
}

QFont Theme::mono(double pixels, QFont::Weight weight) const
{
    return sized({QStringLiteral("JetBrains Mono"), QStringLiteral("DejaVu Sans Mono"),
                  QStringLiteral("monospace")},
                 QFont::Monospace, pixels, weight);
}

QColor Theme::colourOf(SlotState state) const
{
    switch (state) {
    case SlotState::Off:
    case SlotState::Ready:
        return idle;
    case SlotState::Running:
        return run;
    case SlotState::Stopping:
    case SlotState::Check:
        return attn;
    case SlotState::Pass:
        return pass;
    case SlotState::Hold:
        return hold;
    case SlotState::Fail:
        return fail;
    case SlotState::Stopped:
        return ink2;
    }
    return idle;
}

QString Theme::styleSheet() const
{
    return QStringLiteral(R"(
        QWidget { color: %1; font-family: "Inter"; }
        QLineEdit { background: %2; border: 1px solid %3; border-radius: %4px; padding: 0 14px;
                    selection-background-color: %5; selection-color: #FFFFFF; }
        QLineEdit:focus { border: 2px solid %5; padding: 0 13px; }
        QAbstractItemView { background: %2; border: none; outline: none; }
        QHeaderView { background: %2; border: none; }
        QHeaderView::section { background: %2; color: %6; border: none;
                               border-bottom: 1px solid %3; padding: 12px 14px;
                               font-size: 15px; font-weight: 600; }
        QScrollArea { border: none; background: transparent; }
        QScrollBar:vertical { background: transparent; width: 16px; margin: 0; }
        QScrollBar::handle:vertical { background: %3; border-radius: 6px; min-height: 48px;
                                      margin: 2px; }
        QScrollBar:horizontal { background: transparent; height: 16px; margin: 0; }
        QScrollBar::handle:horizontal { background: %3; border-radius: 6px; min-width: 48px;
                                        margin: 2px; }
        QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
        QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
    )")
        .arg(ink.name(), surface.name(), line.name(), QString::number(r), focus.name(),
             ink2.name());
}

QColor withAlpha(QColor colour, double alpha)
{
    colour.setAlphaF(static_cast<float>(alpha));
    return colour;
}

} // namespace provost::gui
