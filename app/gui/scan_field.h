// Where labels arrive: from the scanner, or typed.
#pragma once

#include "gui/theme.h"
#include "models/scan_router.h"

#include <QLineEdit>

namespace provost::gui {

/// Shows what the next scan does, or why the last one did nothing.
class ScanField final : public QLineEdit {
    Q_OBJECT

public:
    ScanField(const Theme& theme, ScanRouter& scans, QWidget* parent = nullptr);
    void setCompact(bool compact);

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    void refresh();

    const Theme& m_theme;
    ScanRouter& m_scans;
    bool m_compact = false;
};

} // namespace provost::gui
