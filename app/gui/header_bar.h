// Plan, cloud, database, station and time, along the top.
#pragma once

#include "gui/theme.h"
#include "models/station_model.h"

#include <QWidget>

namespace provost::gui {

class HeaderBar final : public QWidget {
    Q_OBJECT

public:
    HeaderBar(const Theme& theme, StationModel& station, QWidget* parent = nullptr);
    void setCompact(bool compact);
    /// Looks at the clock again.
    void tick();

protected:
    void paintEvent(QPaintEvent* event) override;
    bool event(QEvent* event) override;

private:
    void refresh();
    QString shownText(const StationModel::Pill& pill) const;
    double pillWidth(const StationModel::Pill& pill) const;
    void drawPill(QPainter& painter, const QRectF& box, const StationModel::Pill& pill) const;
    double drawMark(QPainter& painter, double right) const;

    const Theme& m_theme;
    StationModel& m_station;
    QString m_time;
    std::vector<StationModel::Pill> m_pills;
    std::vector<QRectF> m_pillBoxes;
    QRectF m_planBox;
    bool m_compact = false;
};

} // namespace provost::gui
