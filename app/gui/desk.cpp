#include "gui/desk.h"

#include <QGuiApplication>

namespace provost::gui {

Result<std::unique_ptr<Desk>> Desk::open(const HostOptions& host, DeskOptions options)
{
    auto opened = TRY(Host::create(host));
    return std::unique_ptr<Desk>(new Desk(std::move(opened), std::move(options)));
}

Desk::Desk(std::unique_ptr<Host> host, DeskOptions options)
    : m_host(std::move(host)), m_heartbeat(m_host->events(), m_host->clock(), [this] {
          for (const auto slot : m_host->slots())
              static_cast<void>(m_host->engine().busy(slot));
      })
{
    options.window.staleAfter = options.staleAfter;
    m_host->events().add(m_bridge);
    m_commands = std::make_unique<HostCommands>(*m_host, options.pace);
    m_window = std::make_unique<MainWindow>(*m_commands, m_bridge, std::move(options.window));
    // A locked screen, another user's session: nobody is at the line, no key waits.
    QObject::connect(qGuiApp, &QGuiApplication::applicationStateChanged, m_window.get(),
                     [this](Qt::ApplicationState state) {
                         if (state != Qt::ApplicationActive)
                             m_host->wipeKeys();
                     });
}

Desk::~Desk()
{
    m_heartbeat.stop();
    m_host->engine().abortAll();
    m_window.reset();
    m_commands.reset();
    m_host->events().remove(m_bridge);
}

void Desk::watch()
{
    m_heartbeat.start();
    m_host->watchSlots();
}

} // namespace provost::gui
