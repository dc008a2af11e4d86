// A white card of the design that holds a layout.
#pragma once

#include "gui/theme.h"

#include <QWidget>

namespace provost::gui {

class Card final : public QWidget {
    Q_OBJECT

public:
    explicit Card(const Theme& theme, QWidget* parent = nullptr);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    const Theme& m_theme;
};

} // namespace provost::gui
