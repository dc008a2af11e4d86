// One slot at arm's length.
#pragma once

#include "gui/theme.h"
#include "models/slot_model.h"

#include <QAbstractButton>
#include <QPersistentModelIndex>
#include <QPointer>
#include <QTimer>

namespace provost::gui {

class SlotQuestion;

/// What a tile shows; nothing else decides how it looks.
struct TileFace {
    int number = 0;
    SlotState state = SlotState::Ready;
    QString word{};
    QString unit{};
    QString headline{};
    QString detail{};
    QString prompt{};
    int percent = 0;
    int permille = 0;
    bool critical = false;
    bool simulated = false;
    bool operator==(const TileFace&) const = default;
};
TileFace faceOf(const QModelIndex& index);

/// A row of SlotModel as a tile. Clicked: the operator wants to see the unit. Held down, F3 or the
/// context menu's key or button: the slot is to be switched off or on.
class SlotTile final : public QAbstractButton {
    Q_OBJECT

public:
    SlotTile(const Theme& theme, const QModelIndex& index, QWidget* parent = nullptr);
    /// Looks at the row again; repaints only what reads differently.
    void refresh();
    const TileFace& face() const { return m_face; }
    QSize sizeHint() const override { return {434, 426}; }

    /// Asks in the tile; again replaces the question. See SlotQuestion.
    void askToSwitch(bool on);
    /// A question that stands is taken back. @returns false where there was none
    bool dismissQuestion();

Q_SIGNALS:
    void switchAsked();
    void switchConfirmed(bool on);

protected:
    void paintEvent(QPaintEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void contextMenuEvent(QContextMenuEvent* event) override;

private:
    const Theme& m_theme;
    QPersistentModelIndex m_index;
    TileFace m_face;
    QTimer m_held;
    QPointer<SlotQuestion> m_question;
};

} // namespace provost::gui
