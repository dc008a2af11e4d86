// One unit: its verdict, its steps, its handshake, and what that means.
#pragma once

#include "gui/theme.h"
#include "models/run_model.h"

#include <QWidget>

class QHBoxLayout;
class QLabel;
class QListView;
class QScrollArea;

namespace provost::gui {

class ActionButton;
class DiagnosisCard;
class HandshakeView;
class RunHeader;

class UnitScreen final : public QWidget {
    Q_OBJECT

public:
    UnitScreen(const Theme& theme, RunModel& run, QWidget* parent = nullptr);
    void setCompact(bool compact);
    /// Where Back leads, as the button says it.
    void setOrigin(const QString& name);
    /// Call when another run is shown: scrolls to what decides it.
    void enter();

Q_SIGNALS:
    void backAsked();

protected:
    void resizeEvent(QResizeEvent* event) override;
    void paintEvent(QPaintEvent* event) override;

private:
    QWidget* makeTopRow();
    QWidget* makeStepsCard();
    QWidget* makeHandshakeCard();
    QWidget* makePromptCard();
    void refresh();
    void refreshHistory();
    void refreshPrompt();
    void lookAtWhatMatters();
    void showStep(int row);

    const Theme& m_theme;
    RunModel& m_run;
    ActionButton* m_back = nullptr;
    QLabel* m_place = nullptr;
    QHBoxLayout* m_chips = nullptr;
    std::vector<std::pair<std::int64_t, bool>> m_shownChips;
    RunHeader* m_header = nullptr;
    QListView* m_steps = nullptr;
    QWidget* m_stepsCard = nullptr;
    HandshakeView* m_handshake = nullptr;
    QScrollArea* m_handshakeArea = nullptr;
    std::pair<std::int64_t, int> m_lookedAt{}; ///< run and row scrolled to last
    QWidget* m_promptCard = nullptr;
    QLabel* m_promptText = nullptr;
    QHBoxLayout* m_choices = nullptr;
    std::vector<PromptChoice> m_shownChoices;
    DiagnosisCard* m_diagnosis = nullptr;
};

} // namespace provost::gui
