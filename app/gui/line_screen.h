// The screen of the line: a tile per slot, and the footer to start and stop them.
#pragma once

#include "gui/theme.h"
#include "models/model_set.h"

#include <QWidget>

namespace provost::gui {

class ActionButton;
class CountersStrip;
class ScanField;
class TileGrid;

class LineScreen final : public QWidget {
    Q_OBJECT

public:
    LineScreen(const Theme& theme, ModelSet& models, QWidget* parent = nullptr);
    void setCompact(bool compact);
    TileGrid& tiles() { return *m_tiles; }
    ScanField& scanField() { return *m_scan; }
    /// Takes back a question that stands in a tile. @returns false where there was none
    bool dismissQuestion();

Q_SIGNALS:
    void opened(provost::SlotId slot);
    void switchConfirmed(provost::SlotId slot, bool on);
    void startAllAsked();
    void stopAsked();
    void helpAsked();

private:
    QWidget* makeFooter(ModelSet& models);
    void askToSwitch(SlotId slot);

    const Theme& m_theme;
    ModelSet& m_models;
    TileGrid* m_tiles;
    QWidget* m_footer = nullptr;
    ScanField* m_scan = nullptr;
    ActionButton* m_start = nullptr;
    ActionButton* m_stop = nullptr;
    ActionButton* m_help = nullptr;
    CountersStrip* m_counters = nullptr;
};

} // namespace provost::gui
