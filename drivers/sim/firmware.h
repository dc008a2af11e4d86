// The main loop of a board: bootloader, system firmware, listening, network and cloud. Runs on the
// board's own thread.
#pragma once

#include "sim/board_state.h"
#include "sim/cloud_client.h"
#include "sim/network_address.h"

namespace provost::sim {

/// What MODE, held during a reset, has come to (8); in the order in which time brings it.
enum class HeldMode : std::uint8_t { Released, SafeMode, Dfu, Restore, FullReset };

class Firmware {
public:
    explicit Firmware(std::shared_ptr<BoardState> board) : m_board(std::move(board)) {}
    /// Returns when stop is requested.
    void run(std::stop_token stop);

private:
    enum BlankField : unsigned { BlankKey = 1, BlankAddress = 4 };
    enum class Boot : std::uint8_t { Dead, Again, Dfu, System };

    void waitForPower();
    Boot bootloader(BootTarget& target);
    bool startBootloader();
    HeldMode watchMode();
    bool restoreFactory(HeldMode held);
    void installPending();
    void runDfu();
    /// The system's own start-up; false: it restarts at once.
    bool startSystem(BootTarget target);
    bool chainMet() const;
    void runSystem();
    void listen();
    void showCleared(MutexLock& lock);
    void letAnswersOut();
    void showCrash();
    void serveConsole(bool receiverOnly);
    void runConsole(bool receiverOnly);
    void runTester();
    bool testerAnswers() const; ///< caller holds the mutex
    void goOnline();
    bool joinNetwork();
    bool overUdp() const; ///< takes the mutex
    void prepareKeys();
    void connectCloud();
    std::optional<std::uint32_t> route(ServerRecord& record);
    std::optional<std::uint32_t> resolve(const ServerRecord& record);
    /// From 0.7.0 on a blank field is replaced by the public cloud's, built in, and reported; in
    /// the numbers of `spark/device/key/error` (3.6). Caller holds the mutex.
    unsigned blankFields() const;
    CloudIdentity identity() const;
    int talk(std::uint32_t ip, std::uint16_t port);
    void showFailure(int error);
    void backOff();

    /// False: interrupted by a restart, power or (outside listening) a wish to listen.
    bool pause(std::chrono::microseconds span);
    bool interrupted() const; ///< takes the mutex
    bool mustLeave() const;   ///< caller holds the mutex: restart, crash, no power, stop
    bool mustTurn() const;    ///< caller holds the mutex: what goes on on the network must end
    bool mustListen() const;  ///< caller holds the mutex
    bool powerWasCut() const; ///< caller holds the mutex: at any time since the boot
    void setLed(LedColour colour, LedPattern pattern, int periodMs);

    const std::shared_ptr<BoardState> m_board;
    std::stop_token m_stop{};
    unsigned m_cutsBeforeBoot = 0;
    int m_failures = 0;
    bool m_reached = false; ///< a server took the last connection
};

} // namespace provost::sim
