// What runs before the system: MODE during a reset, pending modules, DFU.
#include "sim/dfu_function.h"
#include "sim/firmware.h"
#include "sim/module_installer.h"

#include <array>

namespace provost::sim {

namespace {

using namespace std::chrono_literals;

constexpr auto kBootloaderStart = 300ms;
constexpr auto kLeaveDelay = 500ms; ///< 1.5: the board resets about 500 ms behind the last answer
constexpr auto kReplugDelay = 200ms;
constexpr auto kLooksAtMode = 12000ms; ///< then it goes on, whoever still holds the button

struct HoldStage {
    HeldMode reached{};
    std::chrono::milliseconds at{};
    Led led{};
};
// 8: what MODE does during a reset.
constexpr std::array kHoldStages{
    HoldStage{HeldMode::SafeMode, 1000ms, {LedColour::Magenta, LedPattern::Blink, 200}},
    HoldStage{HeldMode::Dfu, 3000ms, {LedColour::Yellow, LedPattern::Blink, 200}},
    HoldStage{HeldMode::Restore, 6500ms, {LedColour::Green, LedPattern::Blink, 100}},
    HoldStage{HeldMode::FullReset, 10000ms, {LedColour::White, LedPattern::Blink, 100}}};

} // namespace

Firmware::Boot Firmware::bootloader(BootTarget& target)
{
    if (!startBootloader())
        return Boot::Dead;
    HeldMode held = watchMode();
    if (target == BootTarget::FactoryReset && held == HeldMode::Released) {
        held = HeldMode::Restore;
        setLed(LedColour::Green, LedPattern::Blink, 100);
    }
    if (held == HeldMode::SafeMode)
        target = BootTarget::SafeMode;
    else if (held == HeldMode::Dfu)
        target = BootTarget::Dfu;
    const bool restores = held >= HeldMode::Restore;
    if (restores && restoreFactory(held))
        return Boot::Again;
    if (target != BootTarget::Dfu)
        installPending();
    MutexLock lock(m_board->mutex);
    const auto until = std::chrono::steady_clock::now() + m_board->pace.work(kBootloaderStart);
    m_board->changed.wait_until(lock, m_stop, until, [this] { return powerWasCut(); });
    if (powerWasCut() && !m_stop.stop_requested())
        return Boot::Dead;
    const auto system = m_board->system();
    m_board->systemVersion = system ? system->version : 0;
    return target == BootTarget::Dfu || !systemRuns(m_board->profile, m_board->flash)
               ? Boot::Dfu
               : Boot::System;
}

bool Firmware::startBootloader()
{
    const MutexLock lock(m_board->mutex);
    BoardState& board = *m_board;
    m_cutsBeforeBoot = board.interruptions();
    board.restart.reset();
    board.owesAnswer = false;
    board.flash.regainSupply();
    if (board.external)
        board.external->regainSupply();
    board.cleared.reset();
    board.crashCode = 0;
    board.replug = false;
    board.listening = false;
    board.startReceiver = false;
    board.consoleRuns = false;
    board.received.clear();
    board.toHost.clear();
    board.joinedNetwork.clear();
    board.pins.clear();
    board.mode = BoardMode::Booting;
    board.show({});
    if (runnable(board.profile, board.flash, board.profile.bootloader()))
        return true;
    board.say("no valid bootloader: the board does not start");
    board.mode = BoardMode::Off;
    board.dead = true;
    return false;
}

/// Goes through the stages of 8 for as long as MODE is held.
HeldMode Firmware::watchMode()
{
    MutexLock lock(m_board->mutex);
    BoardState& board = *m_board;
    const auto held =
        std::min<std::chrono::milliseconds>(std::exchange(board.modeHeld, 0ms), kLooksAtMode);
    const auto passes = [&](std::chrono::milliseconds span) {
        const auto until = std::chrono::steady_clock::now() + board.pace.work(span);
        board.changed.wait_until(lock, m_stop, until, [this] { return mustLeave(); });
        return !mustLeave();
    };
    HeldMode reached = HeldMode::Released;
    std::chrono::milliseconds passed{0};
    for (const HoldStage& stage : kHoldStages) {
        if (reached == HeldMode::Dfu && !factoryImage(board))
            return reached; // nothing to restore: DFU starts under the finger
        if (held < stage.at)
            break;
        if (!passes(stage.at - passed))
            return HeldMode::Released;
        passed = stage.at;
        reached = stage.reached;
        board.show(stage.led);
    }
    return passes(held - passed) ? reached : HeldMode::Released;
}

/// True: the board restarts with what it was delivered with.
bool Firmware::restoreFactory(HeldMode held)
{
    MutexLock lock(m_board->mutex);
    BoardState& board = *m_board;
    const auto took = copyFactoryImage(board);
    if (!took)
        return false;
    const auto until = std::chrono::steady_clock::now() + board.pace.work(*took);
    board.changed.wait_until(lock, m_stop, until, [this] { return powerWasCut(); });
    board.clearAtStart = board.clearAtStart || held == HeldMode::FullReset;
    return true;
}

void Firmware::installPending()
{
    MutexLock lock(m_board->mutex);
    BoardState& board = *m_board;
    const auto took = applyPendingModules(board);
    if (took == 0us)
        return;
    board.show({LedColour::Magenta, LedPattern::Blink, 100});
    const auto until = std::chrono::steady_clock::now() + board.pace.work(took);
    board.changed.wait_until(lock, m_stop, until, [this] { return powerWasCut(); });
    board.show({});
}

void Firmware::runDfu()
{
    while (true) {
        std::shared_ptr<DfuFunction> function;
        {
            const MutexLock lock(m_board->mutex);
            m_board->replug = false;
            m_board->mode = BoardMode::Dfu;
            m_board->show({LedColour::Yellow, LedPattern::Blink, 200});
            function = std::make_shared<DfuFunction>(m_board);
        }
        m_board->attach(function);
        {
            MutexLock lock(m_board->mutex);
            m_board->changed.wait(lock, m_stop, [this] { return mustLeave() || m_board->replug; });
            const bool left = m_board->restart.has_value() && !powerWasCut();
            const auto until = std::chrono::steady_clock::now() + m_board->pace.work(kLeaveDelay);
            if (left)
                m_board->changed.wait_until(lock, m_stop, until, [this] { return powerWasCut(); });
            if (mustLeave())
                return;
        }
        m_board->detach();
        MutexLock lock(m_board->mutex);
        const auto until = std::chrono::steady_clock::now() + m_board->pace.work(kReplugDelay);
        m_board->changed.wait_until(lock, m_stop, until, [this] { return mustLeave(); });
    }
}

} // namespace provost::sim
