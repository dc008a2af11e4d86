// Serves the serial ports of a bench as pseudo-terminals, to programs that know nothing of this
// one.
#pragma once

#include "core/result.h"
#include "transport/serial.h"

#include <memory>
#include <string>
#include <vector>

namespace provost::sim {

struct PtySlot {
    int number = 1;
    std::string port{}; ///< as SerialPorts::open() takes it; may be absent at times
};

/// DIR/slotN leads to a terminal that stays while the unit behind it comes and goes. A program that
/// opens it opens the unit's port, with DTR; setting a rate on it sends the unit that rate. A new
/// port starts raw at 9600: so does this one when its last user closes it, and when the unit
/// leaves. What is written while no port is there is lost.
class PtyServer {
public:
    /// @param ports  outlives the server
    /// @param directory  made if it is not there; stale links in it are replaced
    /// @returns InvalidArgument  DIR/slotN exists and is no link; Denied; Io
    static Result<std::unique_ptr<PtyServer>> start(SerialPorts& ports, std::vector<PtySlot> slots,
                                                    const std::string& directory);
    /// Closes the terminals and removes its links.
    ~PtyServer();
    PtyServer(const PtyServer&) = delete;
    PtyServer& operator=(const PtyServer&) = delete;

    /// DIR/slotN.
    static std::string linkOf(const std::string& directory, int slot);

private:
    class Slot;
    explicit PtyServer(std::vector<std::unique_ptr<Slot>> slots);
    std::vector<std::unique_ptr<Slot>> m_slots;
};

} // namespace provost::sim
