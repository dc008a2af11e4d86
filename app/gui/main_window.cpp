#include "gui/main_window.h"

#include "gui/header_bar.h"
#include "gui/help_panel.h"
#include "gui/line_screen.h"
#include "gui/no_data_veil.h"
#include "gui/scan_field.h"
#include "gui/tile_grid.h"
#include "gui/unit_screen.h"
#include "gui/units_screen.h"

#include <QApplication>
#include <QHBoxLayout>
#include <QPainter>
#include <QShortcut>
#include <QStackedWidget>
#include <QVBoxLayout>

namespace provost::gui {

namespace {

/// Below this the design's sizes leave too little room for what they frame.
constexpr QSize kRoomy{1600, 900};

std::shared_ptr<const Clock> clockOr(std::shared_ptr<const Clock> given)
{
    return given ? std::move(given) : std::make_shared<SystemClock>();
}

} // namespace

MainWindow::MainWindow(StationCommands& commands, EngineBridge& bridge, WindowOptions options,
                       QWidget* parent)
    : QWidget(parent), m_commands(commands),
      m_models(commands, bridge, clockOr(std::move(options.clock)), options.staleAfter),
      m_scanner(*this, std::move(options.scanner))
{
    setWindowTitle(m_models.station().simulated() ? tr("Provost \u2014 SIMULATED") : tr("Provost"));
    setMinimumSize(1024, 680);
    setFont(m_theme.sans(18));
    setStyleSheet(m_theme.styleSheet());
    makeLayout();
    makeKeys();
    qApp->installEventFilter(&m_scanner);
    connect(&m_scanner, &ScannerFilter::scanned, this, &MainWindow::scanned);
    connect(&m_models, &ModelSet::ticked, m_header, &HeaderBar::tick);
    resize(1920, 1080);
    choose(Screen::Line);
}

MainWindow::~MainWindow() = default;

void MainWindow::makeLayout()
{
    m_header = new HeaderBar(m_theme, m_models.station(), this);
    m_rail = new Rail(m_theme, this);
    m_screens = new QStackedWidget(this);
    m_line = new LineScreen(m_theme, m_models, m_screens);
    m_unit = new UnitScreen(m_theme, m_models.run(), m_screens);
    m_units = new UnitsScreen(m_theme, m_models, m_screens);
    for (QWidget* screen : {static_cast<QWidget*>(m_line), static_cast<QWidget*>(m_unit),
                            static_cast<QWidget*>(m_units)})
        m_screens->addWidget(screen);
    m_help = new HelpPanel(m_theme, this);
    m_help->hide();
    m_veil = new NoDataVeil(m_theme, m_models.liveness(), *this);

    auto* below = new QHBoxLayout;
    below->setSpacing(0);
    below->addWidget(m_rail);
    below->addWidget(m_screens, 1);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_header);
    layout->addLayout(below, 1);

    connect(m_rail, &Rail::chosen, this, &MainWindow::choose);
    connect(m_line, &LineScreen::opened, this, &MainWindow::openSlot);
    connect(m_line, &LineScreen::switchConfirmed, this,
            [this](SlotId slot, bool on) { m_commands.switchSlot(slot, on); });
    connect(m_line, &LineScreen::startAllAsked, this, &MainWindow::startAll);
    connect(m_line, &LineScreen::stopAsked, this, [this] { m_commands.stopAll(); });
    connect(m_line, &LineScreen::helpAsked, this, &MainWindow::toggleHelp);
    connect(m_units, &UnitsScreen::opened, this, &MainWindow::openUnit);
    connect(m_unit, &UnitScreen::backAsked, this, &MainWindow::back);
    connect(m_help, &HelpPanel::closeAsked, this, &MainWindow::toggleHelp);
}

void MainWindow::makeKeys()
{
    const auto key = [this](Qt::Key which, auto&& action) {
        auto* shortcut = new QShortcut(QKeySequence(which), this);
        shortcut->setAutoRepeat(false);
        connect(shortcut, &QShortcut::activated, this, action);
    };
    key(Qt::Key_F1, [this] { startAll(); });
    key(Qt::Key_F2, [this] { m_commands.stopAll(); });
    key(Qt::Key_F4, [this] { toggleHelp(); });
    key(Qt::Key_Escape, [this] {
        if (helpShown())
            toggleHelp();
        else if (!m_line->dismissQuestion())
            back();
    });
}

void MainWindow::startAll()
{
    if (!m_models.liveness().stale()) // nothing begins on what may be untrue
        m_commands.startAll();
}

void MainWindow::choose(Screen screen)
{
    m_models.run().leave();
    m_origin = screen == Screen::Units ? Screen::Units : Screen::Line;
    m_rail->setCurrent(m_origin);
    if (m_origin == Screen::Units) {
        m_screens->setCurrentWidget(m_units);
        m_units->enter();
    } else {
        m_screens->setCurrentWidget(m_line);
        m_line->scanField().setFocus();
    }
}

void MainWindow::openSlot(SlotId slot)
{
    m_models.run().followSlot(slot);
    showUnitScreen();
}

void MainWindow::openUnit(const QString& deviceId)
{
    if (m_models.run().showUnit(deviceId))
        showUnitScreen();
}

void MainWindow::showUnitScreen()
{
    m_unit->setOrigin(m_origin == Screen::Units ? tr("Back to Units") : tr("Back to Line"));
    m_screens->setCurrentWidget(m_unit);
    m_unit->setFocus();
    m_unit->enter();
}

void MainWindow::back()
{
    if (currentScreen() == m_unit)
        choose(m_origin);
}

void MainWindow::toggleHelp()
{
    m_help->setVisible(!m_help->isVisible());
    placeHelp();
}

bool MainWindow::helpShown() const
{
    return m_help->isVisible();
}

QWidget* MainWindow::currentScreen() const
{
    return m_screens->currentWidget();
}

void MainWindow::scanned(const QString& code)
{
    const bool stops = code == QStringLiteral("CMD:STOP");
    if (m_models.liveness().stale() && !stops)
        return;
    const bool command = code.startsWith(QStringLiteral("CMD:"));
    if (currentScreen() == m_units && !command) {
        m_units->scan(code);
        return;
    }
    // Whatever a scan does or refuses is shown on the Line.
    m_models.scans().scan(code);
    choose(Screen::Line);
}

void MainWindow::placeHelp()
{
    const QSize wanted = m_help->sizeHint();
    const int bottom = height() - (m_compact ? 80 : 104) - 18;
    const int top = std::max(m_header->height() + 12, bottom - wanted.height());
    m_help->setGeometry(width() - wanted.width() - 24, top, wanted.width(), wanted.height());
    m_help->raise();
}

void MainWindow::resizeEvent(QResizeEvent*)
{
    m_compact = width() < kRoomy.width() || height() < kRoomy.height();
    m_header->setCompact(m_compact);
    m_rail->setCompact(m_compact);
    m_line->setCompact(m_compact);
    m_unit->setCompact(m_compact);
    m_units->setCompact(m_compact);
    m_help->setCompact(m_compact);
    placeHelp();
    m_veil->resized();
}

void MainWindow::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.fillRect(rect(), m_theme.bg);
}

} // namespace provost::gui
