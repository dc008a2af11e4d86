// Every unit on record as a row.
#pragma once

#include "store/record.h"

#include <QAbstractTableModel>
#include <QSortFilterProxyModel>

namespace provost {

/// Newest first, as the database gives them.
class UnitModel final : public QAbstractTableModel {
    Q_OBJECT

public:
    enum Column { StateColumn, IdColumn, LabelColumn, KeyColumn, SeenColumn, RunsColumn, kColumns };
    enum Role {
        DeviceIdRole = Qt::UserRole + 1, ///< whole, on every column
        SearchRole,                      ///< everything a search may hit
        StateRole,                       ///< Verdict as int where the state is one, else -1
        InspectRole,                     ///< bool: its memory must be read before it runs
        CauseRole,
        SimulatedRole,
        SortRole,
    };

    explicit UnitModel(QObject* parent = nullptr);

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

    void show(std::vector<UnitRow> rows);
    const UnitRow* row(int row) const;

private:
    QVariant shown(const UnitRow& unit, int column) const;

    std::vector<UnitRow> m_rows;
};

/// What of it fits the search: device id, label, key, state, cause.
class UnitSearch final : public QSortFilterProxyModel {
    Q_OBJECT

public:
    explicit UnitSearch(UnitModel& units, QObject* parent = nullptr);
    void search(const QString& text);
    QString searched() const { return m_searched; }
    /// The one unit whose id or label is `text`, letter case aside; empty: none or several.
    QString exactMatch(const QString& text) const;

private:
    UnitModel& m_units;
    QString m_searched;
};

} // namespace provost
