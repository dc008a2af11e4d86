#include "sim/firmware.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "sim/cdc_function.h"
#include "sim/dfu_function.h"
#include "sim/module_installer.h"
#include "sim/serial_tester.h"
#include "sim/setup_console.h"

#include <algorithm>

namespace provost::sim {

namespace {

using namespace std::chrono_literals;

constexpr auto kBootloaderStart = 300ms;
constexpr auto kSystemStart = 900ms;
constexpr auto kLeaveDelay = 500ms; ///< 1.5: the board resets about 500 ms behind the last answer
constexpr auto kReplugDelay = 200ms;
constexpr auto kForEver = 24h;
constexpr unsigned kTesterByApplication = 13; // 0.5.0
constexpr auto kDrain = 500ms;                ///< for the last words before a restart

} // namespace

bool Firmware::mustLeave() const
{
    return m_board->restart.has_value() || powerWasCut() || m_stop.stop_requested();
}

bool Firmware::powerWasCut() const
{
    return !m_board->powered || m_board->powerCuts != m_cutsBeforeBoot;
}

bool Firmware::interrupted() const
{
    const MutexLock lock(m_board->mutex);
    return mustLeave() || m_board->listening || m_board->startReceiver;
}

bool Firmware::pause(std::chrono::microseconds span)
{
    MutexLock lock(m_board->mutex);
    const auto until = std::chrono::steady_clock::now() + span;
    return !m_board->changed.wait_until(lock, m_stop, until, [this] {
        return mustLeave() || m_board->listening || m_board->startReceiver;
    });
}

void Firmware::setLed(LedColour colour, LedPattern pattern, int periodMs)
{
    const MutexLock lock(m_board->mutex);
    m_board->show({colour, pattern, periodMs});
}

void Firmware::run(std::stop_token stop)
{
    m_stop = stop;
    BootTarget target = BootTarget::Normal;
    while (!stop.stop_requested()) {
        waitForPower();
        if (stop.stop_requested())
            break;
        switch (bootloader(target)) {
        case Boot::Dead:
            waitForPower();
            break;
        case Boot::Dfu:
            runDfu();
            break;
        case Boot::System:
            if (startSystem(target))
                runSystem();
            break;
        }
        m_board->detach();
        const MutexLock lock(m_board->mutex);
        target = powerWasCut() ? BootTarget::Normal : m_board->restart.value_or(BootTarget::Normal);
    }
    m_board->detach();
}

void Firmware::waitForPower()
{
    MutexLock lock(m_board->mutex);
    if (m_board->powered && m_board->mode != BoardMode::Off)
        return;
    m_board->show({});
    m_board->mode = BoardMode::Off;
    m_board->changed.wait(lock, m_stop, [this] { return m_board->powered; });
    m_board->mode = BoardMode::Booting;
}

Firmware::Boot Firmware::bootloader(BootTarget target)
{
    Boot next = Boot::System;
    {
        const MutexLock lock(m_board->mutex);
        BoardState& board = *m_board;
        m_cutsBeforeBoot = board.powerCuts;
        board.restart.reset();
        board.flash.regainSupply();
        if (board.external)
            board.external->regainSupply();
        board.replug = false;
        board.listening = target == BootTarget::SafeListening;
        board.startReceiver = false;
        board.consoleRuns = false;
        board.received.clear();
        board.toHost.clear();
        board.joinedNetwork.clear();
        board.pins.clear();
        board.mode = BoardMode::Booting;
        board.show({});
        if (!runnable(board.profile, board.flash, board.profile.bootloader())) {
            board.say("no valid bootloader: the board does not start");
            board.mode = BoardMode::Off;
            board.powered = false;
            return Boot::Dead;
        }
        applyPendingModules(board);
        if (target == BootTarget::Dfu || !systemRuns(board.profile, board.flash))
            next = Boot::Dfu;
        const auto system = board.system();
        board.systemVersion = system ? system->version : 0;
    }
    MutexLock lock(m_board->mutex);
    const auto until = std::chrono::steady_clock::now() + m_board->pace.work(kBootloaderStart);
    m_board->changed.wait_until(lock, m_stop, until, [this] { return powerWasCut(); });
    return !powerWasCut() || m_stop.stop_requested() ? next : Boot::Dead;
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

/// Caller holds the mutex. Every module that runs finds the others that it needs (6.4).
bool Firmware::chainMet() const
{
    const BoardState& board = *m_board;
    return std::all_of(
        board.profile.regions.begin(), board.profile.regions.end(), [&](const ModuleRegion& each) {
            const bool counts = each.location == 'm' && each.function != ModuleFunction::Bootloader;
            const auto module = runnable(board.profile, board.flash, each);
            return !counts || (module && dependenciesMet(board.profile, board.flash, *module));
        });
}

bool Firmware::startSystem(BootTarget target)
{
    std::shared_ptr<CdcFunction> function;
    {
        MutexLock lock(m_board->mutex);
        BoardState& board = *m_board;
        board.flash.protectBootloader(true); // at every start (2.4)
        restoreEmbeddedBootloader(board);
        if (applyOtaFlag(board)) {
            board.restart = BootTarget::Normal;
            return false;
        }
        board.safeMode =
            !chainMet() || target == BootTarget::SafeMode || target == BootTarget::SafeListening;
        if (board.safeMode)
            board.show({LedColour::Magenta, LedPattern::Breathe, 4000});
        const auto until = std::chrono::steady_clock::now() + board.pace.work(kSystemStart);
        board.changed.wait_until(lock, m_stop, until, [this] { return mustLeave(); });
        if (mustLeave())
            return true;
        board.listening = board.listening || board.lacksNetwork();
        board.mode = board.listening  ? BoardMode::Listening
                     : board.safeMode ? BoardMode::SafeMode
                                      : BoardMode::Application;
        function = std::make_shared<CdcFunction>(m_board);
    }
    m_failures = 0;
    m_board->attach(function);
    return true;
}

void Firmware::runSystem()
{
    while (true) {
        bool listening = false;
        bool receiver = false;
        {
            const MutexLock lock(m_board->mutex);
            if (mustLeave())
                return;
            listening = m_board->listening || m_board->lacksNetwork();
            receiver = std::exchange(m_board->startReceiver, false);
        }
        if (receiver)
            serveConsole(true);
        else if (listening)
            listen();
        else
            goOnline();
    }
}

void Firmware::listen()
{
    {
        const MutexLock lock(m_board->mutex);
        m_board->listening = true;
        m_board->mode = BoardMode::Listening;
        m_board->joinedNetwork.clear();
        m_board->show({LedColour::Blue, LedPattern::Blink, 500});
    }
    serveConsole(false);
    const MutexLock lock(m_board->mutex);
    if (mustLeave())
        return;
    m_board->mode = m_board->safeMode ? BoardMode::SafeMode : BoardMode::Application;
    m_failures = 0;
}

void Firmware::serveConsole(bool receiverOnly)
{
    if (m_board->usb)
        runConsole(receiverOnly);
    else
        runTester();
    const MutexLock lock(m_board->mutex);
    m_board->consoleRuns = false;
    m_board->received.clear();
}

/// Serial1 of a board without USB: always up to 0.4.9, later where the application wants it (7.6).
void Firmware::runTester()
{
    MutexLock lock(m_board->mutex);
    BoardState& board = *m_board;
    SerialTester tester(board);
    board.consoleRuns = board.systemVersion < kTesterByApplication || board.serialTester;
    while (board.listening) {
        board.changed.wait(lock, m_stop, [&] {
            return !board.received.empty() || mustLeave() || !board.listening;
        });
        tester.feed(std::exchange(board.received, {}));
        const Bytes output = tester.takeOutput();
        if (!output.empty())
            board.print(toText(output));
        if (!mustLeave())
            continue;
        const auto drained = std::chrono::steady_clock::now() + kDrain;
        board.changed.wait_until(lock, m_stop, drained,
                                 [&] { return board.toHost.empty() || !board.powered; });
        return;
    }
}

void Firmware::runConsole(bool receiverOnly)
{
    MutexLock lock(m_board->mutex);
    BoardState& board = *m_board;
    SetupConsole console(board);
    board.consoleRuns = true;
    if (receiverOnly)
        console.startReceiver(std::chrono::steady_clock::now());
    const auto idle = [&] {
        return board.received.empty() && !mustLeave() && (receiverOnly || board.listening);
    };
    while (true) {
        const auto until = console.deadline().value_or(std::chrono::steady_clock::now() + kForEver);
        board.changed.wait_until(lock, m_stop, until, [&] { return !idle(); });
        if (mustLeave()) {
            const auto drained = std::chrono::steady_clock::now() + kDrain;
            board.changed.wait_until(lock, m_stop, drained, [&] {
                return board.toHost.empty() || powerWasCut() || board.restart == BootTarget::Dfu;
            });
            return;
        }
        console.feed(std::exchange(board.received, {}), std::chrono::steady_clock::now());
        console.tick(std::chrono::steady_clock::now());
        const auto ready = std::chrono::steady_clock::now() + console.takeOwed();
        board.changed.wait_until(lock, m_stop, ready, [&] { return powerWasCut(); });
        const Bytes output = console.takeOutput();
        if (!output.empty())
            board.print(toText(output));
        if (receiverOnly ? !console.receiving() : !board.listening)
            return;
    }
}

} // namespace provost::sim
