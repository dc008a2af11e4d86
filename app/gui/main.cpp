// The desktop program of the station.
#include "core/text.h"
#include "gui/host_commands.h"
#include "gui/main_window.h"
#include "models/engine_bridge.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QSocketNotifier>
#include <csignal>
#include <iostream>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

using namespace provost;

namespace {

QCommandLineOption valued(const char* name, const char* help, const char* value)
{
    return {QString::fromLatin1(name), QString::fromLatin1(help), QString::fromLatin1(value)};
}

/// SIGINT and SIGTERM as a readable descriptor; both are blocked for every thread from here on.
int stopSignals()
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

HostOptions optionsFrom(const QCoreApplication& application)
{
    QCommandLineParser parser;
    parser.setApplicationDescription("Production test station for connected devices");
    parser.addHelpOption();
    parser.addVersionOption();
    const auto simulate = valued("simulate", "Virtual bench, id or path.", "bench");
    const auto station = valued("station", "The station's file.", "station.toml");
    const auto plan = valued("plan", "Plan by id or path.", "plan");
    const auto speed = valued("speed", "Of the bench: instant, demo or timed.", "speed");
    const auto database = valued("db", "Database, else the state folder.", "file");
    parser.addOptions({simulate, station, plan, speed, database});
    parser.process(application);
    HostOptions options;
    options.bench = parser.value(simulate).toStdString();
    if (parser.isSet(station))
        options.station = parser.value(station).toStdString();
    if (parser.isSet(plan))
        options.plan = parser.value(plan).toStdString();
    if (parser.isSet(database))
        options.database = parser.value(database).toStdString();
    if (parser.value(speed) == "instant")
        options.speed = sim::Speed::Instant;
    else if (parser.value(speed) == "timed")
        options.speed = sim::Speed::Timed;
    else if (parser.value(speed) == "demo")
        options.speed = sim::Speed::Demo;
    return options;
}

} // namespace

int main(int argc, char** argv)
{
    const int signals = stopSignals(); // before the first thread
    const QApplication application(argc, argv);
    QApplication::setApplicationName("provost-station");
    QApplication::setApplicationVersion(PROVOST_VERSION);
    auto host = Host::create(optionsFrom(application));
    if (!host) {
        std::cerr << "provost-station: " << describe(host.error()) << std::endl;
        return host.error().code == Errc::InvalidArgument ? 64 : 2;
    }
    std::cerr << "database: " << (*host)->database().string() << std::endl;
    EngineBridge bridge;
    (*host)->events().add(bridge);
    int result = 0;
    {
        gui::HostCommands commands(**host);
        gui::MainWindow window(commands, bridge);
        const QSocketNotifier stopped(signals, QSocketNotifier::Read);
        QObject::connect(&stopped, &QSocketNotifier::activated, &window,
                         [] { QApplication::quit(); });
        window.showMaximized();
        if ((*host)->bench() != nullptr)
            commands.startAll();
        result = QApplication::exec();
        (*host)->engine().abortAll();
    }
    (*host)->events().remove(bridge);
    return result;
}
