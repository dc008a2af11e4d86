#include "models/unit_model.h"

#include "models/display_text.h"

#include <QLocale>

namespace provost {

namespace {

int verdictOf(const std::string& state)
{
    for (const auto& [word, verdict] : {std::pair{"pass", Verdict::Pass},
                                        {"released", Verdict::Pass},
                                        {"hold", Verdict::Hold},
                                        {"fail", Verdict::Fail},
                                        {"aborted", Verdict::Aborted},
                                        {"error", Verdict::Error}}) {
        if (state == word)
            return static_cast<int>(verdict);
    }
    return -1;
}

} // namespace

UnitModel::UnitModel(QObject* parent) : QAbstractTableModel(parent) {}

int UnitModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_rows.size());
}

int UnitModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : kColumns;
}

QVariant UnitModel::data(const QModelIndex& index, int role) const
{
    if (!checkIndex(index, CheckIndexOption::IndexIsValid))
        return {};
    const UnitRow& unit = m_rows[static_cast<std::size_t>(index.row())];
    switch (role) {
    case Qt::DisplayRole:
        return shown(unit, index.column());
    case DeviceIdRole:
        return display::text(unit.deviceId);
    case SearchRole:
        return display::text(unit.deviceId + ' ' + unit.label + ' ' + unit.keyFingerprint + ' ' +
                             unit.state + ' ' + unit.lastCause);
    case StateRole:
        return verdictOf(unit.state);
    case InspectRole:
        return unit.state == "inspect";
    case CauseRole:
        return display::text(unit.lastCause);
    case SimulatedRole:
        return unit.simulated;
    case SortRole:
        if (index.column() == RunsColumn)
            return unit.runs;
        return index.column() == SeenColumn ? QVariant(display::text(unit.lastSeenUtc))
                                            : shown(unit, index.column());
    default:
        return {};
    }
}

QVariant UnitModel::shown(const UnitRow& unit, int column) const
{
    switch (column) {
    case StateColumn: {
        const int verdict = verdictOf(unit.state);
        return verdict >= 0 ? display::verdict(static_cast<Verdict>(verdict))
                            : display::text(unit.state).toUpper();
    }
    case IdColumn:
        return display::text(unit.deviceId);
    case LabelColumn:
        return unit.label.empty() ? display::unknown() : display::text(unit.label);
    case KeyColumn:
        return unit.keyFingerprint.empty()
                   ? display::unknown()
                   : display::shortFingerprint(display::text(unit.keyFingerprint));
    case SeenColumn:
        return display::dayAndTime(unit.lastSeenUtc);
    case RunsColumn:
        return QLocale().toString(unit.runs);
    default:
        return {};
    }
}

QVariant UnitModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (role == Qt::TextAlignmentRole && section == RunsColumn)
        return static_cast<int>(Qt::AlignRight | Qt::AlignVCenter);
    if (orientation != Qt::Horizontal || role != Qt::DisplayRole)
        return QAbstractTableModel::headerData(section, orientation, role);
    switch (section) {
    case StateColumn:
        return tr("State");
    case IdColumn:
        return tr("Device ID");
    case LabelColumn:
        return tr("Label");
    case KeyColumn:
        return tr("Key fingerprint");
    case SeenColumn:
        return tr("Last seen");
    case RunsColumn:
        return tr("Runs");
    default:
        return {};
    }
}

void UnitModel::show(std::vector<UnitRow> rows)
{
    beginResetModel();
    m_rows = std::move(rows);
    endResetModel();
}

const UnitRow* UnitModel::row(int row) const
{
    return row >= 0 && row < rowCount() ? &m_rows[static_cast<std::size_t>(row)] : nullptr;
}

UnitSearch::UnitSearch(UnitModel& units, QObject* parent)
    : QSortFilterProxyModel(parent), m_units(units)
{
    setFilterRole(UnitModel::SearchRole);
    setFilterCaseSensitivity(Qt::CaseInsensitive);
    setSortRole(UnitModel::SortRole);
    setSourceModel(&m_units);
}

void UnitSearch::search(const QString& text)
{
    m_searched = text.trimmed();
    setFilterFixedString(m_searched);
}

QString UnitSearch::exactMatch(const QString& text) const
{
    QString found;
    for (int row = 0; row < m_units.rowCount(); ++row) {
        const UnitRow& unit = *m_units.row(row);
        const bool hit = text.compare(display::text(unit.deviceId), Qt::CaseInsensitive) == 0 ||
                         (!unit.label.empty() &&
                          text.compare(display::text(unit.label), Qt::CaseInsensitive) == 0);
        if (hit && !found.isEmpty())
            return {};
        if (hit)
            found = display::text(unit.deviceId);
    }
    return found;
}

} // namespace provost
