#include "gui/line_screen.h"

#include "gui/action_button.h"
#include "gui/counters_strip.h"
#include "gui/scan_field.h"
#include "gui/tile_grid.h"

#include <QHBoxLayout>
#include <QPainter>
#include <QVBoxLayout>

namespace provost::gui {

namespace {

/// The white strip below the tiles.
class Footer final : public QWidget {
public:
    Footer(const Theme& theme, QWidget* parent) : QWidget(parent), m_theme(theme) {}

protected:
    void paintEvent(QPaintEvent*) override
    {
        QPainter painter(this);
        painter.fillRect(rect(), m_theme.surface);
        painter.fillRect(QRect(0, 0, width(), 1), m_theme.line);
    }

private:
    const Theme& m_theme;
};

} // namespace

LineScreen::LineScreen(const Theme& theme, ModelSet& models, QWidget* parent)
    : QWidget(parent), m_theme(theme), m_models(models),
      m_tiles(new TileGrid(theme, models.slotModel(), this))
{
    m_footer = makeFooter(models);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_tiles, 1);
    layout->addWidget(m_footer);
    connect(m_tiles, &TileGrid::opened, this, &LineScreen::opened);
    connect(m_tiles, &TileGrid::switchAsked, this, &LineScreen::askToSwitch);
    connect(m_tiles, &TileGrid::switchConfirmed, this, &LineScreen::switchConfirmed);
    setCompact(false);
}

void LineScreen::askToSwitch(SlotId slot)
{
    dismissQuestion(); // one at a time
    const auto& slots = m_models.slotModel();
    const SlotState state = slots.stateOf(slot);
    if (state == SlotState::Running || state == SlotState::Stopping) {
        m_models.scans().warn(
            tr("Slot %1 works: stop it before it is switched off").arg(slot.value));
        return;
    }
    const QModelIndex index = slots.indexOf(slot);
    if (auto* tile = m_tiles->tile(index.row()))
        tile->askToSwitch(index.data(SlotModel::SwitchedOffRole).toBool());
}

bool LineScreen::dismissQuestion()
{
    bool stood = false;
    for (int row = 0; m_tiles->tile(row) != nullptr; ++row)
        stood = m_tiles->tile(row)->dismissQuestion() || stood;
    return stood;
}

QWidget* LineScreen::makeFooter(ModelSet& models)
{
    auto* footer = new Footer(m_theme, this);
    m_scan = new ScanField(m_theme, models.scans(), footer);
    m_start = new ActionButton(m_theme, tr("Start all"), QStringLiteral("F1"),
                               ActionButton::Rank::Primary, footer);
    m_stop = new ActionButton(m_theme, tr("Stop"), QStringLiteral("F2"), ActionButton::Rank::Normal,
                              footer);
    m_help = new ActionButton(m_theme, tr("Help"), QStringLiteral("F4"), ActionButton::Rank::Normal,
                              footer);
    m_counters = new CountersStrip(m_theme, models.counters(), footer);
    connect(m_start, &ActionButton::clicked, this, &LineScreen::startAllAsked);
    connect(m_stop, &ActionButton::clicked, this, &LineScreen::stopAsked);
    connect(m_help, &ActionButton::clicked, this, &LineScreen::helpAsked);
    auto* layout = new QHBoxLayout(footer);
    layout->setContentsMargins(24, 1, 24, 0);
    layout->addWidget(m_scan, 1);
    layout->addWidget(m_start);
    layout->addWidget(m_stop);
    layout->addWidget(m_help);
    layout->addStretch(0);
    layout->addWidget(m_counters);
    return footer;
}

void LineScreen::setCompact(bool compact)
{
    m_tiles->setSpacing(compact ? 12 : 18, compact ? 10 : m_theme.gap);
    m_footer->setFixedHeight(compact ? 80 : 104);
    m_footer->layout()->setSpacing(compact ? 10 : 20);
    m_footer->layout()->setContentsMargins(compact ? 12 : 24, 1, compact ? 16 : 24, 0);
    m_scan->setCompact(compact);
    m_scan->setMaximumWidth(compact ? 440 : 640);
    m_scan->setMinimumWidth(220);
    for (auto* button : {m_start, m_stop, m_help})
        button->setTextSize(compact ? 18 : 22);
    m_counters->setCompact(compact);
}

} // namespace provost::gui
