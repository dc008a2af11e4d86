// The arrows of one live handshake as rows.
#pragma once

#include "store/record.h"

#include <QAbstractListModel>

namespace provost {

/// In the order of time. Rows are only added while one run is shown.
class HandshakeModel final : public QAbstractListModel {
    Q_OBJECT

public:
    enum Role {
        FromDeviceRole = Qt::UserRole + 1, ///< bool: the arrow points to the station
        WhatRole,
        DetailRole, ///< "256 bytes · +243 ms · ID matches the label"
        FailedRole,
    };

    explicit HandshakeModel(QObject* parent = nullptr);

    int rowCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QHash<int, QByteArray> roleNames() const override;

    void show(RunId run, const std::vector<HandshakeArrow>& arrows);

private:
    std::vector<HandshakeArrow> m_arrows;
    RunId m_run{};
};

} // namespace provost
