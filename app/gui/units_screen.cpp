#include "gui/units_screen.h"

#include "gui/card.h"
#include "gui/paint.h"

#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QPainter>
#include <QStyledItemDelegate>
#include <QTableView>
#include <QVBoxLayout>

namespace provost::gui {

namespace {

constexpr int kRowHeight = 54;

/// A table that says so where it has nothing to show.
class UnitTable final : public QTableView {
public:
    UnitTable(const Theme& theme, UnitSearch& search, QWidget* parent)
        : QTableView(parent), m_theme(theme), m_search(search)
    {
    }

protected:
    void paintEvent(QPaintEvent* event) override
    {
        QTableView::paintEvent(event);
        if (model()->rowCount() > 0)
            return;
        QPainter painter(viewport());
        const bool searching = !m_search.searched().isEmpty();
        drawEmpty(painter, QRectF(viewport()->rect()), m_theme,
                  searching
                      ? UnitsScreen::tr("No unit matches \u201c%1\u201d").arg(m_search.searched())
                      : UnitsScreen::tr("No units yet"),
                  searching ? UnitsScreen::tr("Scan a label, or type part of an ID, label or key.")
                            : UnitsScreen::tr("Every unit that runs here appears in this table."));
    }

private:
    const Theme& m_theme;
    UnitSearch& m_search;
};

class UnitDelegate final : public QStyledItemDelegate {
public:
    UnitDelegate(const Theme& theme, QObject* parent) : QStyledItemDelegate(parent), m_theme(theme)
    {
    }

    void paint(QPainter* painter, const QStyleOptionViewItem& option,
               const QModelIndex& index) const override
    {
        painter->save();
        const QRectF cell(option.rect);
        if (option.state & QStyle::State_Selected)
            painter->fillRect(cell, m_theme.runBg);
        painter->fillRect(QRectF(cell.left(), cell.bottom() - 1, cell.width(), 1), m_theme.line);
        if (index.column() == UnitModel::StateColumn)
            paintState(*painter, cell, index);
        else
            paintText(*painter, cell, index);
        painter->restore();
    }

private:
    void paintState(QPainter& painter, const QRectF& cell, const QModelIndex& index) const
    {
        const QString word = index.data().toString();
        const QFont font = m_theme.sans(15, QFont::Bold);
        const int verdict = index.data(UnitModel::StateRole).toInt();
        if (verdict < 0 && word.isEmpty())
            return;
        // Not judged: somebody has to look at some, others are only new.
        const bool inspect = index.data(UnitModel::InspectRole).toBool();
        const SlotState state = verdict >= 0 ? stateOf(static_cast<Verdict>(verdict))
                                : inspect    ? SlotState::Check
                                             : SlotState::Ready;
        const QSizeF size = badgeSize(word, font, true);
        drawBadge(painter, {cell.left() + 14, cell.center().y() - size.height() / 2}, state, word,
                  font, m_theme);
    }

    void paintText(QPainter& painter, const QRectF& cell, const QModelIndex& index) const
    {
        const bool code = index.column() == UnitModel::IdColumn ||
                          index.column() == UnitModel::KeyColumn ||
                          index.column() == UnitModel::LabelColumn;
        painter.setFont(code ? m_theme.mono(16) : m_theme.sans(17));
        painter.setPen(index.column() == UnitModel::IdColumn ? m_theme.ink : m_theme.ink2);
        QRectF room = cell.adjusted(14, 0, -14, 0);
        if (index.column() == UnitModel::IdColumn &&
            index.data(UnitModel::SimulatedRole).toBool()) {
            const QFont small = m_theme.sans(12, QFont::Bold);
            const QString word = UnitsScreen::tr("SIMULATED");
            const double width = QFontMetricsF(small).horizontalAdvance(word) + 14;
            const double own =
                QFontMetricsF(painter.font()).horizontalAdvance(index.data().toString());
            if (own + width + 12 < room.width()) {
                const QRectF tag(room.left() + own + 12, room.center().y() - 10, width, 20);
                painter.save();
                painter.setRenderHint(QPainter::Antialiasing);
                painter.setPen(Qt::NoPen);
                painter.setBrush(m_theme.attnBg);
                painter.drawRoundedRect(tag, 5, 5);
                painter.setFont(small);
                painter.setPen(m_theme.attn);
                painter.drawText(tag, Qt::AlignCenter, word);
                painter.restore();
            }
        }
        const bool right = index.column() == UnitModel::RunsColumn;
        painter.drawText(room, (right ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter,
                         QFontMetricsF(painter.font())
                             .elidedText(index.data().toString(), Qt::ElideMiddle, room.width()));
    }

    const Theme& m_theme;
};

} // namespace

UnitsScreen::UnitsScreen(const Theme& theme, ModelSet& models, QWidget* parent)
    : QWidget(parent), m_theme(theme), m_models(models), m_search(new QLineEdit(this)),
      m_count(new QLabel(this)), m_table(new UnitTable(theme, models.unitSearch(), this))
{
    m_search->setObjectName(QStringLiteral("unitSearch"));
    m_search->setPlaceholderText(tr("Scan a label, or type part of an ID, label or key"));
    m_search->setFont(theme.sans(20));
    m_search->setMinimumHeight(56);
    m_search->setClearButtonEnabled(true);
    m_count->setFont(theme.sans(17));
    m_count->setStyleSheet(QStringLiteral("color: %1;").arg(theme.ink2.name()));
    connect(m_search, &QLineEdit::textChanged, this, [this](const QString& text) {
        m_models.unitSearch().search(text);
        refreshCount();
        m_table->viewport()->update();
    });
    connect(m_search, &QLineEdit::returnPressed, this, [this] { scan(m_search->text()); });
    makeTable();

    auto* top = new QHBoxLayout;
    top->setSpacing(18);
    top->addWidget(m_search, 1);
    top->addWidget(m_count);
    auto* card = new Card(theme, this);
    auto* inside = new QVBoxLayout(card);
    inside->setContentsMargins(8, 4, 8, 8);
    inside->addWidget(m_table);
    auto* layout = new QVBoxLayout(this);
    layout->setSpacing(theme.gap);
    layout->addLayout(top);
    layout->addWidget(card, 1);
    setCompact(false);
}

void UnitsScreen::makeTable()
{
    m_table->setObjectName(QStringLiteral("units"));
    m_table->setModel(&m_models.unitSearch());
    m_table->setItemDelegate(new UnitDelegate(m_theme, m_table));
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setSelectionMode(QAbstractItemView::SingleSelection);
    m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_table->setShowGrid(false);
    m_table->setSortingEnabled(true);
    m_table->setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
    m_table->setFrameShape(QFrame::NoFrame);
    m_table->setWordWrap(false);
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setDefaultSectionSize(kRowHeight);
    auto* header = m_table->horizontalHeader();
    header->setFixedHeight(50);
    header->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    header->setHighlightSections(false);
    header->setSortIndicator(-1, Qt::AscendingOrder); // as the database gives them: newest first
    header->setSectionResizeMode(UnitModel::IdColumn, QHeaderView::Stretch);
    connect(m_table, &QTableView::clicked, this, &UnitsScreen::open);
    connect(m_table, &QTableView::activated, this, &UnitsScreen::open);
}

void UnitsScreen::setCompact(bool compact)
{
    const int outer = compact ? 12 : 18;
    layout()->setContentsMargins(outer, outer, outer, outer);
    const auto width = [&](UnitModel::Column column, int wide, int narrow) {
        m_table->setColumnWidth(column, compact ? narrow : wide);
    };
    width(UnitModel::StateColumn, 190, 160);
    width(UnitModel::LabelColumn, 320, 170);
    width(UnitModel::KeyColumn, 260, 190);
    width(UnitModel::SeenColumn, 220, 180);
    width(UnitModel::RunsColumn, 110, 80);
}

void UnitsScreen::enter()
{
    m_models.refreshUnits();
    m_table->clearSelection();
    refreshCount();
    m_search->setFocus();
}

void UnitsScreen::scan(const QString& text)
{
    const QString wanted = text.trimmed();
    const QString found = m_models.unitSearch().exactMatch(wanted);
    if (!found.isEmpty()) {
        Q_EMIT opened(found);
        return;
    }
    m_search->setText(wanted);
}

void UnitsScreen::open(const QModelIndex& index)
{
    const QString id = index.data(UnitModel::DeviceIdRole).toString();
    if (!id.isEmpty())
        Q_EMIT opened(id);
}

void UnitsScreen::refreshCount()
{
    const int all = m_models.units().rowCount();
    const int shown = m_models.unitSearch().rowCount();
    const QLocale locale;
    if (all != shown)
        m_count->setText(tr("%1 of %2 units").arg(locale.toString(shown), locale.toString(all)));
    else
        m_count->setText(all == 1 ? tr("1 unit") : tr("%1 units").arg(locale.toString(all)));
}

void UnitsScreen::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.fillRect(rect(), m_theme.bg);
}

} // namespace provost::gui
