#include "models/handshake_model.h"

#include "models/display_text.h"

#include <QLocale>

#include <cmath>

namespace provost {

HandshakeModel::HandshakeModel(QObject* parent) : QAbstractListModel(parent) {}

int HandshakeModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_arrows.size());
}

QVariant HandshakeModel::data(const QModelIndex& index, int role) const
{
    if (!checkIndex(index, CheckIndexOption::IndexIsValid))
        return {};
    const HandshakeArrow& arrow = m_arrows[static_cast<std::size_t>(index.row())];
    switch (role) {
    case Qt::DisplayRole:
    case WhatRole:
        return display::text(arrow.what);
    case FromDeviceRole:
        return arrow.fromDevice;
    case FailedRole:
        return arrow.failed;
    case DetailRole: {
        QStringList parts;
        if (arrow.bytes > 0) // nothing was sent where a message stayed out
            parts << tr("%1 bytes").arg(QLocale().toString(static_cast<qint64>(arrow.bytes)));
        parts << tr("+%1 ms").arg(
            QLocale().toString(static_cast<qint64>(std::llround(arrow.atMs))));
        if (!arrow.note.empty())
            parts << display::text(arrow.note);
        return parts.join(display::separator());
    }
    default:
        return {};
    }
}

QHash<int, QByteArray> HandshakeModel::roleNames() const
{
    return {{FromDeviceRole, "fromDevice"},
            {WhatRole, "what"},
            {DetailRole, "detail"},
            {FailedRole, "failed"}};
}

void HandshakeModel::show(RunId run, const std::vector<HandshakeArrow>& arrows)
{
    const auto count = static_cast<int>(m_arrows.size());
    const auto wanted = static_cast<int>(arrows.size());
    if (run != m_run || wanted < count) {
        beginResetModel();
        m_arrows = arrows;
        m_run = run;
        endResetModel();
        return;
    }
    if (wanted > count) {
        beginInsertRows({}, count, wanted - 1);
        m_arrows = arrows;
        endInsertRows();
        return;
    }
    m_arrows = arrows;
    if (count > 0)
        Q_EMIT dataChanged(index(0), index(count - 1));
}

} // namespace provost
