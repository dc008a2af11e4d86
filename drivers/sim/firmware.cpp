#include "sim/firmware.h"

#include "core/text.h"
#include "sim/cdc_function.h"
#include "sim/module_installer.h"
#include "sim/octets.h"
#include "sim/serial_tester.h"
#include "sim/setup_console.h"

#include <algorithm>

namespace provost::sim {

namespace {

using namespace std::chrono_literals;

constexpr auto kSystemStart = 900ms;
constexpr auto kNoDeadline = 24h;
constexpr auto kFlicker = 1250ms;
// 8: 3×150/100, 3×300/100, 3×150/100, pause 900; then each of the code's blinks.
constexpr auto kSos = 3 * 250ms + 3 * 400ms + 3 * 250ms + 900ms;
constexpr auto kCodeBlink = 600ms;
constexpr int kCrashShown = 2;
constexpr unsigned kTesterByApplication = 13; // 0.5.0
constexpr auto kDrain = 500ms;                ///< for the last words before a restart

} // namespace

bool Firmware::mustLeave() const
{
    return m_board->restart.has_value() || m_board->crashCode != 0 || powerWasCut() ||
           m_stop.stop_requested();
}

/// An application that asks for no network needs none.
bool Firmware::mustListen() const
{
    const Connects connects = m_board->application().connects;
    const bool wantsNetwork = connects == Connects::Network || connects == Connects::Cloud;
    return m_board->listening || (wantsNetwork && m_board->lacksNetwork());
}

bool Firmware::powerWasCut() const
{
    return !m_board->mayRun() || m_board->interruptions() != m_cutsBeforeBoot;
}

bool Firmware::interrupted() const
{
    const MutexLock lock(m_board->mutex);
    return mustTurn();
}

bool Firmware::mustTurn() const
{
    return mustLeave() || m_board->listening || m_board->startReceiver || m_board->lostNetwork;
}

bool Firmware::pause(std::chrono::microseconds span)
{
    MutexLock lock(m_board->mutex);
    const auto until = std::chrono::steady_clock::now() + span;
    return !m_board->changed.wait_until(lock, m_stop, until, [this] { return mustTurn(); });
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
        case Boot::Again:
            break;
        case Boot::Dfu:
            runDfu();
            break;
        case Boot::System:
            if (startSystem(target))
                runSystem();
            break;
        }
        letAnswersOut();
        m_board->detach();
        showCrash();
        const MutexLock lock(m_board->mutex);
        target = powerWasCut() ? BootTarget::Normal : m_board->restart.value_or(BootTarget::Normal);
    }
    m_board->detach();
}

void Firmware::waitForPower()
{
    MutexLock lock(m_board->mutex);
    if (m_board->mayRun() && m_board->mode != BoardMode::Off)
        return;
    m_board->show({});
    m_board->mode = BoardMode::Off;
    m_board->changed.wait(lock, m_stop, [this] { return m_board->mayRun(); });
    m_board->mode = BoardMode::Booting;
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
        if (std::exchange(board.clearAtStart, false))
            board.clearCredentials();
        board.listening = target == BootTarget::SafeListening;
        board.safeMode =
            !chainMet() || target == BootTarget::SafeMode || target == BootTarget::SafeListening;
        if (board.safeMode)
            board.show({LedColour::Magenta, LedPattern::Breathe, 4000});
        const auto until = std::chrono::steady_clock::now() + board.pace.work(kSystemStart);
        board.changed.wait_until(lock, m_stop, until, [this] { return mustLeave(); });
        if (mustLeave())
            return true;
        board.crashCode = board.application().crashCode;
        if (mustLeave())
            return true;
        board.listening = mustListen();
        board.mode = board.listening  ? BoardMode::Listening
                     : board.safeMode ? BoardMode::SafeMode
                                      : BoardMode::Application;
        // Who sees it listening may speak at once.
        board.consoleRuns = board.listening && testerAnswers();
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
            listening = mustListen();
            receiver = std::exchange(m_board->startReceiver, false);
            m_board->lostNetwork = false; // looked at by mustListen()
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
        m_board->consoleRuns = m_board->consoleRuns || testerAnswers();
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

/// Fast blue for MODE held 10 s, then red where the credentials could not be cleared (8).
void Firmware::showCleared(MutexLock& lock)
{
    BoardState& board = *m_board;
    const auto cleared = std::exchange(board.cleared, std::nullopt);
    if (!cleared)
        return;
    const auto flickers = [&](LedColour colour) {
        board.show({colour, LedPattern::Blink, 100});
        const auto until = std::chrono::steady_clock::now() + board.pace.work(kFlicker);
        board.changed.wait_until(lock, m_stop, until, [this] { return mustLeave(); });
    };
    flickers(LedColour::Blue);
    if (!*cleared)
        flickers(LedColour::Red);
    board.show({LedColour::Blue, LedPattern::Blink, 500});
}

/// Who asked for the restart by a queued request hears that it was taken, where he asks soon.
void Firmware::letAnswersOut()
{
    MutexLock lock(m_board->mutex);
    const auto until = std::chrono::steady_clock::now() + kDrain;
    m_board->changed.wait_until(lock, m_stop, until,
                                [this] { return !m_board->owesAnswer || powerWasCut(); });
}

/// SOS and the code, twice; then the board starts anew (8).
void Firmware::showCrash()
{
    MutexLock lock(m_board->mutex);
    BoardState& board = *m_board;
    const std::uint8_t code = std::exchange(board.crashCode, 0);
    if (code == 0 || powerWasCut())
        return;
    board.mode = BoardMode::Crashed;
    board.say(concat("crash, code ", unsigned{code}));
    board.show({LedColour::Red, LedPattern::Sos, 0, code});
    const auto until = std::chrono::steady_clock::now() +
                       board.pace.work(kCrashShown * (kSos + code * kCodeBlink));
    board.changed.wait_until(lock, m_stop, until,
                             [&] { return board.restart.has_value() || powerWasCut(); });
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

bool Firmware::testerAnswers() const
{
    return !m_board->usb &&
           (m_board->systemVersion < kTesterByApplication || m_board->serialTester);
}

/// Serial1 of a board without USB: always up to 0.4.9, later where the application wants it (7.6).
void Firmware::runTester()
{
    MutexLock lock(m_board->mutex);
    BoardState& board = *m_board;
    SerialTester tester(board);
    board.consoleRuns = testerAnswers();
    while (board.listening) {
        showCleared(lock);
        board.changed.wait(lock, m_stop, [&] {
            return !board.received.empty() || mustLeave() || !board.listening || board.cleared;
        });
        tester.feed(std::exchange(board.received, {}));
        const Bytes output = tester.takeOutput();
        if (!output.empty())
            board.print(textOf(output));
        if (!mustLeave())
            continue;
        const auto drained = std::chrono::steady_clock::now() + kDrain;
        board.changed.wait_until(lock, m_stop, drained,
                                 [&] { return board.toHost.empty() || !board.mayRun(); });
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
        return board.received.empty() && !mustLeave() && !board.cleared &&
               (receiverOnly || board.listening);
    };
    while (true) {
        showCleared(lock);
        const auto until =
            console.deadline().value_or(std::chrono::steady_clock::now() + kNoDeadline);
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
            board.print(textOf(output));
        if (receiverOnly ? !console.receiving() : !board.listening)
            return;
    }
}

} // namespace provost::sim
