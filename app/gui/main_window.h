// The window of the station: header, rail, screens, keys and scanner.
#pragma once

#include "gui/rail.h"
#include "gui/scanner_filter.h"
#include "gui/theme.h"
#include "models/model_set.h"

#include <QWidget>

class QStackedWidget;

namespace provost::gui {

class HeaderBar;
class HelpPanel;
class NoDataVeil;
class LineScreen;
class UnitScreen;
class UnitsScreen;

struct WindowOptions {
    ScannerSettings scanner{};
    std::shared_ptr<const Clock> clock{};   ///< none: the system's
    std::chrono::milliseconds staleAfter{}; ///< without a Heartbeat; 0: none is promised
};

/// `commands` and `bridge` outlive it. One per application: it listens to the keyboard of all of
/// its windows.
class MainWindow final : public QWidget {
    Q_OBJECT

public:
    MainWindow(StationCommands& commands, EngineBridge& bridge, WindowOptions options = {},
               QWidget* parent = nullptr);
    ~MainWindow() override;

    /// What the rail does.
    void choose(Screen screen);
    void openSlot(SlotId slot);
    void openUnit(const QString& deviceId);
    void back();
    void toggleHelp();
    ModelSet& models() { return m_models; }
    QWidget* currentScreen() const;
    bool helpShown() const;

protected:
    void resizeEvent(QResizeEvent* event) override;
    void paintEvent(QPaintEvent* event) override;

private:
    void makeLayout();
    void makeKeys();
    void startAll();
    void scanned(const QString& code);
    void showUnitScreen();
    void placeHelp();

    Theme m_theme;
    StationCommands& m_commands;
    ModelSet m_models;
    ScannerFilter m_scanner;
    HeaderBar* m_header = nullptr;
    Rail* m_rail = nullptr;
    QStackedWidget* m_screens = nullptr;
    LineScreen* m_line = nullptr;
    UnitScreen* m_unit = nullptr;
    UnitsScreen* m_units = nullptr;
    HelpPanel* m_help = nullptr;
    NoDataVeil* m_veil = nullptr;
    Screen m_origin = Screen::Line;
    bool m_compact = false;
};

} // namespace provost::gui
