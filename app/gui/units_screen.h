// Every unit on record, to be searched by scanning or typing.
#pragma once

#include "gui/theme.h"
#include "models/model_set.h"

#include <QWidget>

class QLabel;
class QLineEdit;
class QTableView;

namespace provost::gui {

class UnitsScreen final : public QWidget {
    Q_OBJECT

public:
    UnitsScreen(const Theme& theme, ModelSet& models, QWidget* parent = nullptr);
    void setCompact(bool compact);
    /// A label or id from the scanner: opens the unit, or shows what comes near.
    void scan(const QString& text);
    /// Reads the table again and puts the cursor into the search.
    void enter();

Q_SIGNALS:
    void opened(const QString& deviceId);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    void makeTable();
    void refreshCount();
    void open(const QModelIndex& index);

    const Theme& m_theme;
    ModelSet& m_models;
    QLineEdit* m_search;
    QLabel* m_count;
    QTableView* m_table;
};

} // namespace provost::gui
