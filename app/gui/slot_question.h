// Asks in a tile whether its slot is to be switched off, or on again.
#pragma once

#include "gui/theme.h"

#include <QWidget>

namespace provost::gui {

class ActionButton;

/// Covers the tile that is its parent until it is answered; deletes itself then.
class SlotQuestion final : public QWidget {
    Q_OBJECT

public:
    /// @param on  what the slot would become
    SlotQuestion(const Theme& theme, int slot, bool on, QWidget* tile);

public Q_SLOTS:
    /// Nothing is switched.
    void dismiss();

Q_SIGNALS:
    void confirmed();

protected:
    void resizeEvent(QResizeEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    bool eventFilter(QObject* tile, QEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;

private:
    const Theme& m_theme;
    const QString m_text;
    ActionButton* m_yes;
    ActionButton* m_no;
};

} // namespace provost::gui
