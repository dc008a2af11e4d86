// One slot at arm's length.
#pragma once

#include "gui/theme.h"
#include "models/slot_model.h"

#include <QAbstractButton>
#include <QPersistentModelIndex>

namespace provost::gui {

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

/// A row of SlotModel as a tile. Clicked: the operator wants to see the unit.
class SlotTile final : public QAbstractButton {
    Q_OBJECT

public:
    SlotTile(const Theme& theme, const QModelIndex& index, QWidget* parent = nullptr);
    /// Looks at the row again; repaints only what reads differently.
    void refresh();
    const TileFace& face() const { return m_face; }
    QSize sizeHint() const override { return {434, 426}; }

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    const Theme& m_theme;
    QPersistentModelIndex m_index;
    TileFace m_face;
};

} // namespace provost::gui
