// Every slot of the fixture as a row: what its tile says.
#pragma once

#include "models/run_state.h"

#include <QAbstractListModel>

#include <memory>
#include <optional>

namespace provost {

/// What a tile shows, as one word.
enum class SlotState : std::uint8_t {
    Off,
    Ready,
    Running,
    Stopping,
    Pass,
    Hold,
    Fail,
    Stopped,
    Check,
};
/// How a run that ended so is shown; CHECK where it has no verdict.
SlotState stateOf(Verdict verdict);
/// READY, RUNNING, …: the word on the tile.
QString shownName(SlotState state);

/// One row per slot, ordered by number. Verdicts stay until the unit is taken out or the next run
/// starts: none is lost because nobody looked.
class SlotModel final : public QAbstractListModel {
    Q_OBJECT

public:
    enum Role {
        NumberRole = Qt::UserRole + 1,
        StateRole, ///< SlotState as int
        WordRole,  ///< the state as people read it
        UnitRole,  ///< device id, else label; empty: none
        LabelRole,
        RunRole,      ///< qint64, 0: none
        PercentRole,  ///< int, 0 to 100
        FractionRole, ///< double, of the whole run
        HeadlineRole, ///< first line of text: the step, the cause or what to do
        DetailRole,   ///< second line: times, or cause id and action
        CauseRole,    ///< id
        CriticalRole, ///< bool: DO NOT UNPLUG
        CriticalWhatRole,
        PromptRole, ///< the question to the operator, empty: none
        SimulatedRole,
        SwitchedOffRole, ///< bool; a verdict may still be in sight
    };

    SlotModel(const std::vector<SlotId>& slots, bool simulated, std::shared_ptr<const Clock> clock,
              QObject* parent = nullptr);

    int rowCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QHash<int, QByteArray> roleNames() const override;

    void apply(const StationEvent& event);
    /// A start was asked for: until its run begins, or two seconds passed, no other one gets the
    /// slot.
    void claim(SlotId slot, const std::string& label);
    /// The question of that run is answered: the tile asks no longer.
    void answered(RunId run);
    /// Counts the seconds on; call about once a second.
    void tick();

    SlotState stateOf(SlotId slot) const;
    /// The run in the slot, going on or finished; nullptr: none since its unit was taken out.
    const RunState* runIn(SlotId slot) const;
    /// The slot whose unit carries that label, if any.
    std::optional<SlotId> slotWithLabel(const std::string& label) const;
    /// The first slot that a scan may start.
    std::optional<SlotId> nextFree() const;
    /// A unit with its verdict is still in its nest.
    bool anyFinished() const;
    int busyCount() const;
    QModelIndex indexOf(SlotId slot) const;

Q_SIGNALS:
    /// Which slots are free or busy has changed.
    void occupancyChanged();

private:
    struct Entry {
        SlotId id{};
        SlotAvailability availability = SlotAvailability::Ready;
        std::string why{};      ///< it is off; empty: no reason was given
        std::string offBy{};    ///< empty: the station's file
        std::string offSince{}; ///< UTC; empty: not known
        std::optional<RunState> run{};
        bool unitGone = false;  ///< taken out while its run went on
        bool stopAsked = false; ///< before the run had begun
        std::optional<Clock::Steady> claimed{};
        std::string claimedLabel{};
    };

    static SlotState stateOf(const Entry& entry);
    static bool isFree(const Entry& entry);
    QString headline(const Entry& entry) const;
    QString detail(const Entry& entry) const;
    static QString offHeadline(const Entry& entry);
    static QString offDetail(const Entry& entry);
    QString runningDetail(const RunState& run) const;
    const Entry* find(SlotId slot) const;
    /// The row of that slot; a slot nobody named before gets one.
    std::size_t rowFor(SlotId slot);
    bool change(Entry& entry, const StationEvent& event);
    bool applyToRun(Entry& entry, const StationEvent& event);
    void announce(std::size_t row);
    std::string nowUtc() const;

    std::vector<Entry> m_entries;
    bool m_simulated = false;
    std::shared_ptr<const Clock> m_clock;
};

} // namespace provost
