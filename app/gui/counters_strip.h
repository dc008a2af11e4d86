// The figures of the shift, at the right end of the footer.
#pragma once

#include "gui/theme.h"
#include "models/counters_model.h"

#include <QWidget>

namespace provost::gui {

class CountersStrip final : public QWidget {
    Q_OBJECT

public:
    CountersStrip(const Theme& theme, CountersModel& counters, QWidget* parent = nullptr);
    /// Smaller figures where the screen is narrow.
    void setCompact(bool compact);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override { return sizeHint(); }

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    struct Figure {
        QString value;
        QString name;
        bool alarming = false;
    };
    std::vector<Figure> figures() const;
    double widthOf(const Figure& figure) const;
    QFont valueFont() const;
    QFont nameFont() const;

    const Theme& m_theme;
    CountersModel& m_counters;
    bool m_compact = false;
};

} // namespace provost::gui
