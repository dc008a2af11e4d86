// The tiles of all slots, in as many columns as suit their number.
#pragma once

#include "gui/slot_tile.h"

#include <QWidget>

#include <vector>

class QGridLayout;

namespace provost::gui {

class TileGrid final : public QWidget {
    Q_OBJECT

public:
    TileGrid(const Theme& theme, SlotModel& model, QWidget* parent = nullptr);
    /// 1 to 24 slots: rows of equal length, tiles wider than tall.
    static int columnsFor(int count);
    SlotTile* tile(int row) const;
    void setSpacing(int outer, int between);

Q_SIGNALS:
    void opened(provost::SlotId slot);
    /// The operator wants to switch the slot off or on; ask first.
    void switchAsked(provost::SlotId slot);
    void switchConfirmed(provost::SlotId slot, bool on);

private:
    void rebuild();
    void refresh(const QModelIndex& first, const QModelIndex& last);

    const Theme& m_theme;
    SlotModel& m_model;
    QGridLayout* m_layout;
    std::vector<SlotTile*> m_tiles;
};

} // namespace provost::gui
