// What a scanned barcode does.
#pragma once

#include "models/slot_model.h"
#include "models/station_commands.h"

#include <QObject>
#include <QString>

namespace provost {

/// A label starts the next free slot; `CMD:START` and `CMD:STOP` act on all of them. A label whose
/// unit sits in a slot already never starts a second one.
class ScanRouter final : public QObject {
    Q_OBJECT

public:
    enum class Outcome : std::uint8_t { Started, StartedAll, StoppedAll, Refused };

    ScanRouter(SlotModel& slots, StationCommands& commands, std::shared_ptr<const Clock> clock,
               QObject* parent = nullptr);

    Outcome scan(const QString& text);
    /// "Scan a label to start slot 7", or why none can start.
    QString prompt() const;
    /// Something else that went wrong when a start was asked for: shown as a refusal.
    void warn(const QString& what);
    /// Why the last scan did nothing; empty after some seconds.
    QString notice() const { return m_notice; }
    void tick();

Q_SIGNALS:
    void changed();

private:
    Outcome start(SlotId slot, const std::string& label);
    Outcome refuse(const QString& why);

    SlotModel& m_slots;
    StationCommands& m_commands;
    std::shared_ptr<const Clock> m_clock;
    QString m_notice;
    Clock::Steady m_noticeSince{};
};

} // namespace provost
