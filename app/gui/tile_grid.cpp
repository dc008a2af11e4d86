#include "gui/tile_grid.h"

#include <QGridLayout>

#include <cmath>

namespace provost::gui {

TileGrid::TileGrid(const Theme& theme, SlotModel& model, QWidget* parent)
    : QWidget(parent), m_theme(theme), m_model(model), m_layout(new QGridLayout(this))
{
    setSpacing(18, theme.gap);
    connect(&m_model, &SlotModel::dataChanged, this, &TileGrid::refresh);
    connect(&m_model, &SlotModel::rowsInserted, this, &TileGrid::rebuild);
    connect(&m_model, &SlotModel::modelReset, this, &TileGrid::rebuild);
    rebuild();
}

int TileGrid::columnsFor(int count)
{
    if (count <= 3)
        return std::max(1, count);
    if (count == 4)
        return 2;
    if (count <= 6)
        return 3;
    if (count <= 12)
        return 4;
    return count <= 15 ? 5 : 6;
}

SlotTile* TileGrid::tile(int row) const
{
    return row >= 0 && row < static_cast<int>(m_tiles.size())
               ? m_tiles[static_cast<std::size_t>(row)]
               : nullptr;
}

void TileGrid::setSpacing(int outer, int between)
{
    m_layout->setContentsMargins(outer, outer, outer, outer);
    m_layout->setSpacing(between);
}

void TileGrid::rebuild()
{
    for (auto* tile : m_tiles)
        delete tile;
    m_tiles.clear();
    const int count = m_model.rowCount();
    const int columns = columnsFor(count);
    for (int row = 0; row < count; ++row) {
        const QModelIndex index = m_model.index(row);
        auto* tile = new SlotTile(m_theme, index, this);
        tile->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Ignored);
        const SlotId slot{index.data(SlotModel::NumberRole).toInt()};
        connect(tile, &SlotTile::clicked, this, [this, slot] { Q_EMIT opened(slot); });
        connect(tile, &SlotTile::switchAsked, this, [this, slot] { Q_EMIT switchAsked(slot); });
        connect(tile, &SlotTile::switchConfirmed, this,
                [this, slot](bool on) { Q_EMIT switchConfirmed(slot, on); });
        m_layout->addWidget(tile, row / columns, row % columns);
        m_tiles.push_back(tile);
    }
    for (int column = 0; column < m_layout->columnCount(); ++column)
        m_layout->setColumnStretch(column, column < columns ? 1 : 0);
    for (int row = 0; row < m_layout->rowCount(); ++row)
        m_layout->setRowStretch(row, row * columns < count ? 1 : 0);
}

void TileGrid::refresh(const QModelIndex& first, const QModelIndex& last)
{
    for (int row = first.row(); row <= last.row(); ++row) {
        if (auto* shown = tile(row))
            shown->refresh();
    }
}

} // namespace provost::gui
