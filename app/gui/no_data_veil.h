// What covers a window whose data are stale: its last picture in grey, and NO DATA.
#pragma once

#include "gui/theme.h"
#include "models/liveness.h"

#include <QImage>
#include <QWidget>

namespace provost::gui {

/// Lies over `window`, which owns it, from the moment its data are stale until they are so no
/// longer. Touches end at it: nothing is started on what may be untrue.
class NoDataVeil final : public QWidget {
    Q_OBJECT

public:
    NoDataVeil(const Theme& theme, const Liveness& liveness, QWidget& window);
    /// The window has another size; what lies in it is laid out later.
    void resized();

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;

private:
    void refresh();
    void cover();

    const Theme& m_theme;
    const Liveness& m_liveness;
    QWidget& m_window;
    QImage m_picture;
};

} // namespace provost::gui
