// What the header says: plan, station, and how cloud and database are doing.
#pragma once

#include "models/station_commands.h"

#include <QObject>
#include <QString>

#include <map>
#include <string>
#include <vector>

namespace provost {

class StationModel final : public QObject {
    Q_OBJECT

public:
    enum class Light : std::uint8_t { None, Unknown, Good, Attention };
    struct Pill {
        Light light = Light::None;
        QString text{};
        QString brief{}; ///< where room is scarce
        QString full{};  ///< for whoever asks: the whole path
        bool operator==(const Pill&) const = default;
    };

    explicit StationModel(StationIdentity identity, QObject* parent = nullptr);

    void apply(const StationEvent& event);

    QString planTitle() const;
    /// Plan, revision and whether it is approved.
    QString planBrief() const;
    /// The same with the beginning of its digest.
    QString planLine() const;
    /// For whoever asks: the whole digest; empty: none.
    QString planDetail() const;
    /// SIMULATED, TRAINING or nothing: what is made here is no product.
    QString mark() const;
    bool simulated() const { return m_identity.simulated; }
    /// From left to right: cloud, database, station, operator.
    std::vector<Pill> pills() const;

Q_SIGNALS:
    void changed();

private:
    Pill cloudPill() const;
    Pill databasePill() const;
    Pill operatorPill() const;

    StationIdentity m_identity;
    std::map<std::string, StationNotice> m_notices;
};

} // namespace provost
