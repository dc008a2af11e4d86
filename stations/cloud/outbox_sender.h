// Tells the cloud what it could not be told during a run.
#pragma once

#include "engine/events.h"
#include "engine/ports.h"
#include "store/journal.h"

#include <chrono>
#include <functional>
#include <memory>

namespace provost {

struct OutboxSenderConfig {
    std::chrono::milliseconds firstPause{1000}; ///< after the first failure; doubles from there
    std::chrono::milliseconds longestPause{60000};
    double jitter = 0.2;                         ///< of each pause, either way, 0 to 0.5
    std::chrono::milliseconds lookEvery{2000};   ///< for rows that nobody announced with wake()
    std::chrono::milliseconds sendWithin{15000}; ///< for one row
    /// After a 2xx the key is read back where the cloud can say it: only an equal one is a
    /// confirmation.
    bool readBack = true;
    /// Measures the cloud's delay while nothing waits; empty: no measuring.
    std::function<Result<std::chrono::milliseconds>(const OpContext&)> probe{};
    std::chrono::milliseconds probeEvery{10000};
};

/// Sends the waiting registrations of the journal, oldest first, in a thread of its own.
///
/// Before each send the row's key must be the unit's latest proved one. Where a newer one was
/// proved, the row is marked superseded; where a newer one is journalled and not proved yet, or the
/// row's own key is not, it is left: nobody knows yet which one the unit holds. Where the key is on
/// record for another unit too, both are withdrawn and nothing is sent for either. What the cloud
/// confirmed is settled in the journal, and the unit that waited for it leaves HOLD.
///
/// While the cloud is away or refuses the station, everything waits and is tried again after
/// 1 s, 2 s, 4 s … 60 s. A key that the cloud refuses waits the longest pause and holds up nobody
/// else.
///
/// Posts StationNotice: "cloud" ("Cloud 3 ms", "Cloud away", "Cloud HTTP 503", "Cloud refuses this
/// station"), "outbox" ("2 waiting", "nothing waiting").
///
/// Thread-safe. Its thread ends within 50 ms of the destructor's call; what is on its way then is
/// sent again at the next start: registering twice is registering once.
class OutboxSender {
public:
    /// All must outlive the sender.
    OutboxSender(Journal& journal, ProvisioningClient& client, EventSink& events,
                 const Clock& clock, OutboxSenderConfig config = {});
    ~OutboxSender();
    /// There is a new row, or a reason to try at once.
    void wake();

private:
    class Worker;
    std::unique_ptr<Worker> m_worker;
};

} // namespace provost
