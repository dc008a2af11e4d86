// The desktop program of the station.
#include "core/text.h"
#include "crypto/secret_bytes.h"
#include "gui/host_commands.h"
#include "gui/main_window.h"
#include "models/engine_bridge.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QSocketNotifier>
#include <algorithm>
#include <csignal>
#include <iostream>
#include <pthread.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
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
    const QCommandLineOption training("training",
                                      "Run although this computer cannot protect keys.");
    parser.addOptions({simulate, station, plan, speed, database, training});
    parser.process(application);
    HostOptions options;
    options.bench = parser.value(simulate).toStdString();
    options.training = parser.isSet(training);
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

/// Qt aborts where it finds no display; a station says it in a sentence.
bool displayIsThere()
{
    const auto named = [](const char* variable) {
        const QByteArray value = qgetenv(variable);
        return value.isEmpty() ? std::string() : value.toStdString();
    };
    if (!named("QT_QPA_PLATFORM").empty() || !named("WAYLAND_DISPLAY").empty())
        return true;
    const std::string display = named("DISPLAY");
    if (display.empty() || display.front() != ':')
        return !display.empty(); // another host's: only trying tells
    const std::string number = display.substr(1, display.find('.') - 1);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = "/tmp/.X11-unix/X" + number;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool there = connect(probe, reinterpret_cast<const sockaddr*>(&address), // NOLINT: POSIX
                               sizeof address) == 0;
    close(probe);
    return there;
}

int main(int argc, char** argv)
{
    keepMemoryPrivate();
    const auto asks = [argc, argv](std::string_view word) {
        return std::find(argv + 1, argv + argc, word) != argv + argc;
    };
    if (!displayIsThere()) {
        if (!asks("--help") && !asks("-h") && !asks("--version") && !asks("-v")) {
            std::cerr << "provost-station: there is no display here; provost run does the same "
                         "without one"
                      << std::endl;
            return 2;
        }
        qputenv("QT_QPA_PLATFORM", "offscreen");
    }
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
    for (const auto& each : (*host)->overridden())
        std::cerr << "TRAINING, keys are not protected: " << each << std::endl;
    EngineBridge bridge;
    (*host)->events().add(bridge);
    int result = 0;
    {
        gui::HostCommands commands(**host);
        gui::MainWindow window(commands, bridge);
        // A locked screen, another user's session: nobody is at the line, no key waits.
        QObject::connect(&application, &QApplication::applicationStateChanged, &window,
                         [&host](Qt::ApplicationState state) {
                             if (state != Qt::ApplicationActive)
                                 (*host)->wipeKeys();
                         });
        const QSocketNotifier stopped(signals, QSocketNotifier::Read);
        QObject::connect(&stopped, &QSocketNotifier::activated, &window,
                         [] { QApplication::quit(); });
        (*host)->watchSlots();
        window.showMaximized();
        if ((*host)->bench() != nullptr)
            commands.startAll();
        result = QApplication::exec();
        (*host)->engine().abortAll();
    }
    (*host)->events().remove(bridge);
    return result;
}
