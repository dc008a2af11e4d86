// The desktop put together: host, what the screens ask of it, what they hear from it, the window.
#pragma once

#include "gui/host_commands.h"
#include "gui/main_window.h"
#include "host/heartbeat.h"
#include "models/engine_bridge.h"

#include <memory>

namespace provost::gui {

struct DeskOptions {
    BenchPace pace{};
    WindowOptions window{}; ///< its `staleAfter` is the one below
    /// A screen without a beat for so long says NO DATA, a fifth of a second later at the latest.
    std::chrono::milliseconds staleAfter{1500};
};

/// What `provost-station` is behind its command line. One per application, in its GUI thread.
class Desk {
public:
    /// The errors of Host::create(). Nothing runs and nothing is shown yet.
    static Result<std::unique_ptr<Desk>> open(const HostOptions& host, DeskOptions options = {});
    /// Stops every run and waits for its verdict.
    ~Desk();
    Desk(const Desk&) = delete;
    Desk& operator=(const Desk&) = delete;

    Host& host() { return *m_host; }
    HostCommands& commands() { return *m_commands; }
    MainWindow& window() { return *m_window; }
    /// From here on the tiles say which slots are off; units that leave their nests are seen.
    void watch();

private:
    Desk(std::unique_ptr<Host> host, DeskOptions options);

    std::unique_ptr<Host> m_host;
    HeartbeatSender m_heartbeat;
    EngineBridge m_bridge;
    std::unique_ptr<HostCommands> m_commands;
    std::unique_ptr<MainWindow> m_window;
};

} // namespace provost::gui
