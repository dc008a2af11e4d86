// The edge of a scrolled area: what goes on beyond it fades, rather than being cut through.
#pragma once

#include "gui/theme.h"

#include <QWidget>

class QAbstractScrollArea;

namespace provost::gui {

/// Lies over the viewport of `area`, which owns it, and lets every event through.
class ScrollFade final : public QWidget {
    Q_OBJECT

public:
    static constexpr int kHeight = 28; ///< of what is not seen well at either end

    /// @param head  pixels at the top that stay where they are
    ScrollFade(const Theme& theme, QAbstractScrollArea& area, int head = 0);

protected:
    void paintEvent(QPaintEvent* event) override;
    bool eventFilter(QObject* viewport, QEvent* event) override;

private:
    void cover();

    const Theme& m_theme;
    QAbstractScrollArea& m_area;
    int m_head;
};

} // namespace provost::gui
