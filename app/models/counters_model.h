// The figures of the footer.
#pragma once

#include "store/record.h"

#include <QObject>
#include <QString>

#include <optional>

namespace provost {

/// What is not known reads as an em dash: no yield before a unit was judged.
class CountersModel final : public QObject {
    Q_OBJECT

public:
    explicit CountersModel(QObject* parent = nullptr);

    void show(const ShiftCounts& counts);

    QString passed() const;
    QString failed() const;
    QString firstPassYield() const;
    QString unitsPerHour() const;
    /// False while there is no failure: nothing to be drawn in red.
    bool anyFailed() const;

Q_SIGNALS:
    void changed();

private:
    std::optional<ShiftCounts> m_counts;
};

} // namespace provost
