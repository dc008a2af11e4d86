// Verdict, id and cause of the shown run, above its steps.
#pragma once

#include "gui/theme.h"
#include "models/run_model.h"

#include <QWidget>

namespace provost::gui {

class RunHeader final : public QWidget {
    Q_OBJECT

public:
    RunHeader(const Theme& theme, RunModel& run, QWidget* parent = nullptr);
    void refresh();

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;

private:
    /// Paints where `painter` is given, measures always. @returns the height it takes
    double compose(QPainter* painter) const;
    double composeTop(QPainter* painter) const;
    double composeProgress(QPainter* painter, double top) const;

    const Theme& m_theme;
    RunModel& m_run;
};

} // namespace provost::gui
