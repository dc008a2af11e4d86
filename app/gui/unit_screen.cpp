#include "gui/unit_screen.h"

#include "gui/action_button.h"
#include "gui/card.h"
#include "gui/diagnosis_card.h"
#include "gui/handshake_view.h"
#include "gui/paint.h"
#include "gui/run_header.h"
#include "gui/scroll_fade.h"
#include "gui/step_delegate.h"
#include "models/display_text.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QListView>
#include <QPainter>
#include <QScrollArea>
#include <QScrollBar>
#include <QTimer>
#include <QVBoxLayout>

namespace provost::gui {

namespace {

constexpr int kMostChips = 4;

QLabel* label(const QString& text, const QFont& font, const QColor& ink, QWidget* parent)
{
    auto* made = new QLabel(text, parent);
    made->setFont(font);
    made->setStyleSheet(QStringLiteral("color: %1;").arg(ink.name()));
    made->setTextFormat(Qt::PlainText);
    return made;
}

void emptied(QHBoxLayout& layout)
{
    while (auto* item = layout.takeAt(0)) {
        // The button that was just clicked may be among them.
        if (auto* widget = item->widget()) {
            widget->hide();
            widget->deleteLater();
        }
        delete item;
    }
}

} // namespace

UnitScreen::UnitScreen(const Theme& theme, RunModel& run, QWidget* parent)
    : QWidget(parent), m_theme(theme), m_run(run)
{
    auto* right = new QVBoxLayout;
    right->setSpacing(theme.gap + 4);
    auto* handshake = makeHandshakeCard();
    right->addWidget(handshake, 1);
    right->addWidget(makePromptCard());
    m_diagnosis = new DiagnosisCard(theme, this);
    right->addWidget(m_diagnosis);

    auto* columns = new QHBoxLayout;
    columns->setSpacing(theme.gap + 4);
    columns->addWidget(makeStepsCard());
    columns->addLayout(right, 1);

    auto* layout = new QVBoxLayout(this);
    layout->setSpacing(12);
    layout->addWidget(makeTopRow());
    layout->addLayout(columns, 1);
    connect(&m_run, &RunModel::changed, this, &UnitScreen::refresh);
    setCompact(false);
    refresh();
}

QWidget* UnitScreen::makeTopRow()
{
    auto* row = new QWidget(this);
    m_back = new ActionButton(m_theme, tr("Back"), QStringLiteral("Esc"),
                              ActionButton::Rank::Normal, row);
    m_back->setObjectName(QStringLiteral("back"));
    m_back->setLeadingIcon(Icon::Back);
    m_back->setTextSize(18);
    connect(m_back, &ActionButton::clicked, this, &UnitScreen::backAsked);
    m_place = label({}, m_theme.sans(18), m_theme.ink2, row);
    m_chips = new QHBoxLayout;
    m_chips->setSpacing(8);
    auto* layout = new QHBoxLayout(row);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(18);
    layout->addWidget(m_back);
    layout->addWidget(m_place);
    layout->addStretch(1);
    layout->addLayout(m_chips);
    return row;
}

QWidget* UnitScreen::makeStepsCard()
{
    m_stepsCard = new Card(m_theme, this);
    m_header = new RunHeader(m_theme, m_run, m_stepsCard);
    m_steps = new QListView(m_stepsCard);
    m_steps->setObjectName(QStringLiteral("steps"));
    m_steps->setModel(&m_run.steps());
    m_steps->setItemDelegate(new StepDelegate(m_theme, m_steps));
    m_steps->setSelectionMode(QAbstractItemView::NoSelection);
    m_steps->setFocusPolicy(Qt::NoFocus);
    m_steps->setResizeMode(QListView::Adjust);
    m_steps->setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
    m_steps->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_steps->setFrameShape(QFrame::NoFrame);
    new ScrollFade(m_theme, *m_steps);
    auto* layout = new QVBoxLayout(m_stepsCard);
    layout->setContentsMargins(26, 22, 26, 18);
    layout->setSpacing(8);
    layout->addWidget(m_header);
    layout->addWidget(m_steps, 1);
    return m_stepsCard;
}

QWidget* UnitScreen::makeHandshakeCard()
{
    auto* card = new Card(m_theme, this);
    auto* title = label(tr("Live handshake"), m_theme.sans(20, QFont::Bold), m_theme.ink, card);
    m_handshake = new HandshakeView(m_theme, m_run.handshake(), card);
    m_handshakeArea = new QScrollArea(card);
    auto* area = m_handshakeArea;
    area->setWidgetResizable(true);
    area->setFrameShape(QFrame::NoFrame);
    area->setFocusPolicy(Qt::NoFocus);
    area->setWidget(m_handshake);
    area->viewport()->setAutoFillBackground(false);
    m_handshake->setAutoFillBackground(false);
    connect(area->verticalScrollBar(), &QScrollBar::valueChanged, m_handshake,
            &HandshakeView::keepHeadsAt);
    new ScrollFade(m_theme, *area, HandshakeView::kHeadHeight);
    auto* layout = new QVBoxLayout(card);
    layout->setContentsMargins(26, 20, 26, 14);
    layout->setSpacing(10);
    layout->addWidget(title);
    layout->addWidget(area, 1);
    return card;
}

QWidget* UnitScreen::makePromptCard()
{
    m_promptCard = new Card(m_theme, this);
    m_promptText = label({}, m_theme.sans(22, QFont::DemiBold), m_theme.ink, m_promptCard);
    m_promptText->setWordWrap(true);
    m_choices = new QHBoxLayout;
    m_choices->setSpacing(12);
    auto* layout = new QVBoxLayout(m_promptCard);
    layout->setContentsMargins(26, 20, 26, 20);
    layout->setSpacing(14);
    layout->addWidget(m_promptText);
    layout->addLayout(m_choices);
    m_promptCard->hide();
    return m_promptCard;
}

void UnitScreen::setCompact(bool compact)
{
    const int outer = compact ? 12 : 18;
    layout()->setContentsMargins(outer, compact ? 10 : 14, outer, outer);
    m_stepsCard->setFixedWidth(compact ? 480 : 620);
    m_stepsCard->layout()->setContentsMargins(compact ? 18 : 26, compact ? 16 : 22,
                                              compact ? 18 : 26, 18);
}

void UnitScreen::setOrigin(const QString& name)
{
    m_back->setText(name);
    m_back->setTextSize(18);
}

void UnitScreen::refresh()
{
    const RunState* run = m_run.run();
    QStringList place;
    if (run ? run->slot.value > 0 : m_run.slot().has_value())
        place << tr("Slot %1").arg(run ? run->slot.value : m_run.slot()->value);
    if (run && run->id.value > 0)
        place << tr("run %1").arg(run->id.value);
    if (run && !run->planId.empty())
        place << tr("plan %1, rev %2").arg(display::text(run->planId)).arg(run->planRevision);
    if (run && run->simulated)
        place << tr("simulated");
    m_place->setText(place.join(display::separator()));
    m_header->refresh();
    m_diagnosis->show(m_run.diagnosis());
    if (!run)
        m_handshake->setEmptyText(
            tr("No unit in this slot"),
            tr("What a unit and the station say to each other appears here."));
    else if (run->finished)
        m_handshake->setEmptyText(tr("No handshake in this run"),
                                  tr("The run ended before the unit dialled the station."));
    else
        m_handshake->setEmptyText(tr("No handshake yet"),
                                  tr("It appears here, message by message."));
    refreshPrompt();
    refreshHistory();
    lookAtWhatMatters();
}

void UnitScreen::enter()
{
    m_lookedAt = {};
    lookAtWhatMatters();
}

void UnitScreen::lookAtWhatMatters()
{
    const RunState* run = m_run.run();
    const int row = m_run.steps().rowThatMatters();
    const std::pair<std::int64_t, int> now{run ? run->id.value : 0, row};
    if (now == m_lookedAt || !isVisible())
        return; // whoever scrolled elsewhere stays there
    m_lookedAt = now;
    // Later: the heights of rows and arrows are laid out first.
    QTimer::singleShot(0, this, [this, row] {
        showStep(row);
        const double failedAt = m_handshake->failedArrow();
        m_handshakeArea->verticalScrollBar()->setValue(0);
        if (failedAt > 0)
            m_handshakeArea->ensureVisible(0, static_cast<int>(failedAt), 0, 24);
    });
}

void UnitScreen::showStep(int row)
{
    m_steps->scrollToTop();
    if (row < 0)
        return;
    const auto index = m_run.steps().index(row);
    m_steps->scrollTo(index, QAbstractItemView::EnsureVisible);
    // Clear of the fading edge, where something follows.
    const int below = m_steps->viewport()->height() - m_steps->visualRect(index).bottom();
    auto* bar = m_steps->verticalScrollBar();
    if (below < ScrollFade::kHeight)
        bar->setValue(bar->value() + ScrollFade::kHeight - below);
}

void UnitScreen::refreshPrompt()
{
    const RunState* run = m_run.run();
    const bool asked = run && !run->promptText.empty();
    m_promptText->setText(asked ? display::text(run->promptText) : QString());
    m_promptCard->setVisible(asked);
    std::vector<PromptChoice> wanted;
    if (asked)
        wanted = run->promptChoices;
    if (wanted == m_shownChoices)
        return;
    m_shownChoices = std::move(wanted);
    emptied(*m_choices);
    for (const auto& choice : m_shownChoices) {
        const auto rank =
            m_choices->isEmpty() ? ActionButton::Rank::Primary : ActionButton::Rank::Normal;
        auto* button =
            new ActionButton(m_theme, display::text(choice.title), {}, rank, m_promptCard);
        button->setObjectName(QStringLiteral("choice-") + display::text(choice.reply));
        button->setTextSize(19);
        connect(button, &ActionButton::clicked, this,
                [this, reply = display::text(choice.reply)] { m_run.answer(reply); });
        m_choices->addWidget(button);
    }
    m_choices->addStretch(1);
}

void UnitScreen::refreshHistory()
{
    // Other runs of the unit, newest first; one run alone needs no choice.
    const RunState* run = m_run.run();
    std::vector<std::pair<std::int64_t, bool>> wanted;
    for (const auto& record : m_run.history()) {
        if (m_run.history().size() > 1 && wanted.size() < kMostChips)
            wanted.emplace_back(record.id.value, run && record.id == run->id);
    }
    if (wanted == m_shownChips)
        return;
    m_shownChips = wanted;
    emptied(*m_chips);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const auto& record = m_run.history()[i];
        const QString word = record.finishedUtc.empty() && record.verdict == Verdict::NotRun
                                 ? shownName(SlotState::Running)
                                 : shownName(stateOf(record.verdict));
        auto* chip = new ActionButton(
            m_theme, display::dayAndTime(record.startedUtc) + display::separator() + word, {},
            wanted[i].second ? ActionButton::Rank::Primary : ActionButton::Rank::Normal, this);
        chip->setTextSize(16);
        connect(chip, &ActionButton::clicked, this, [this, id = record.id] { m_run.showRun(id); });
        m_chips->addWidget(chip);
    }
}

void UnitScreen::resizeEvent(QResizeEvent*)
{
    enter(); // what was in sight may be so no longer
}

void UnitScreen::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.fillRect(rect(), m_theme.bg);
}

} // namespace provost::gui
