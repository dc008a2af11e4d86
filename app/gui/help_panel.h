// What the keys, barcodes and colours mean. Lies over the screen, blocks nothing.
#pragma once

#include "gui/theme.h"

#include <QWidget>

namespace provost::gui {

class ActionButton;

class HelpPanel final : public QWidget {
    Q_OBJECT

public:
    explicit HelpPanel(const Theme& theme, QWidget* parent = nullptr);
    QSize sizeHint() const override;
    void setCompact(bool compact);

Q_SIGNALS:
    void closeAsked();

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;

private:
    struct Line {
        QString key;
        QString text;
    };
    std::vector<Line> keys() const;
    std::vector<std::pair<SlotState, QString>> states() const;
    double drawHeading(QPainter& painter, double top, const QString& text) const;

    const Theme& m_theme;
    ActionButton* m_close;
    double m_keyRow = 38;
    double m_stateRow = 44;
};

} // namespace provost::gui
