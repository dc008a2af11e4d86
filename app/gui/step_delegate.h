// One step of the list: mark, name, what it left behind, seconds.
#pragma once

#include "gui/theme.h"

#include <QStyledItemDelegate>

namespace provost::gui {

class StepDelegate final : public QStyledItemDelegate {
    Q_OBJECT

public:
    explicit StepDelegate(const Theme& theme, QObject* parent = nullptr);
    void paint(QPainter* painter, const QStyleOptionViewItem& option,
               const QModelIndex& index) const override;
    QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override;

private:
    const Theme& m_theme;
};

} // namespace provost::gui
