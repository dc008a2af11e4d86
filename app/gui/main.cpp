// The desktop program of the station.
#include "core/text.h"
#include "crypto/secret_bytes.h"
#include "gui/desk.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QScreen>
#include <QSocketNotifier>
#include <csignal>
#include <iostream>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

using namespace provost;

namespace {

const QString kSimulate = QStringLiteral("simulate");
const QString kStation = QStringLiteral("station");
const QString kPlan = QStringLiteral("plan");
const QString kSpeed = QStringLiteral("speed");
const QString kDatabase = QStringLiteral("db");
const QString kTraining = QStringLiteral("training");

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

/// @returns InvalidArgument  what is wrong in the command line
Result<HostOptions> optionsFrom(const QCommandLineParser& parser)
{
    HostOptions options;
    options.operatorAnswers = true;
    options.training = parser.isSet(kTraining);
    options.bench = parser.value(kSimulate).toStdString();
    if (parser.isSet(kStation))
        options.station = parser.value(kStation).toStdString();
    if (parser.isSet(kPlan))
        options.plan = parser.value(kPlan).toStdString();
    options.database = parser.value(kDatabase).toStdString();
    if (!parser.isSet(kSpeed))
        return options;
    options.speed = TRY(speedNamed(parser.value(kSpeed).toStdString()));
    if (options.bench.empty())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    "--speed: only a virtual bench has one; name it with --simulate");
    return options;
}

/// Every option once and with a value, nothing besides.
Result<> checkForm(const QCommandLineParser& parser)
{
    for (const auto& name : {kSimulate, kStation, kPlan, kSpeed, kDatabase}) {
        const auto values = parser.values(name);
        if (values.size() > 1)
            return fail(Errc::InvalidArgument, Blame::Operator,
                        concat("--", name.toStdString(), ": it is there ", values.size(),
                               " times, once is enough"));
        if (!values.isEmpty() && values.first().isEmpty())
            return fail(Errc::InvalidArgument, Blame::Operator,
                        concat("--", name.toStdString(), ": its value is empty"));
    }
    if (!parser.positionalArguments().isEmpty())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("\"", parser.positionalArguments().first().toStdString(),
                           "\": provost-station takes options only"));
    return {};
}

/// @returns InvalidArgument; does not return for --help and --version
Result<HostOptions> readCommandLine()
{
    QCommandLineParser parser;
    parser.setApplicationDescription("Production test station for connected devices");
    const auto help = parser.addHelpOption();
    const auto version = parser.addVersionOption();
    parser.addOptions({{kSimulate, "Virtual bench, id or path.", "bench"},
                       {kStation, "The station's file.", "station.toml"},
                       {kPlan, "Plan by id or path.", "plan"},
                       {kSpeed, "Of the bench: instant, demo or timed.", "speed"},
                       {kDatabase, "Database, else the state folder.", "file"},
                       {kTraining, "Run although this computer cannot protect keys."}});
    if (!parser.parse(QCoreApplication::arguments()))
        return fail(Errc::InvalidArgument, Blame::Operator, parser.errorText().toStdString());
    if (parser.isSet(version))
        parser.showVersion();
    if (parser.isSet(help) || parser.isSet("help-all"))
        parser.showHelp();
    TRY(checkForm(parser));
    return optionsFrom(parser);
}

/// The exit code: those of `provost`.
int refused(const Error& error)
{
    std::cerr << "provost-station: " << describe(error) << std::endl;
    if (error.code == Errc::InvalidArgument) {
        std::cerr << "provost-station --help shows the options" << std::endl;
        return 64;
    }
    return error.code == Errc::Denied || error.code == Errc::Protected ? 4 : 2;
}

/// What was tried in order to reach a display.
std::string displaysTried()
{
    for (const char* variable : {"QT_QPA_PLATFORM", "WAYLAND_DISPLAY", "DISPLAY"})
        if (!qEnvironmentVariableIsEmpty(variable))
            return concat(variable, "=", qgetenv(variable).toStdString(), " cannot be opened");
    return "neither DISPLAY nor WAYLAND_DISPLAY is set";
}

/// Qt talks over several lines and aborts where no display lets it in; a station says it in a
/// sentence. A mistake in the command line is one wherever there is a display, and comes first.
void whileDisplayOpens(QtMsgType type, const QMessageLogContext& /*where*/, const QString& message)
{
    if (type == QtCriticalMsg)
        std::cerr << "provost-station: " << message.toStdString() << std::endl;
    if (type != QtFatalMsg)
        return;
    if (const auto options = readCommandLine(); !options)
        _exit(refused(options.error()));
    std::cerr << "provost-station: there is no display here (" << displaysTried()
              << "); provost run does the same without one" << std::endl;
    _exit(2);
}

} // namespace

int main(int argc, char** argv)
{
    keepMemoryPrivate();
    QCoreApplication::setApplicationName("provost-station");
    QCoreApplication::setApplicationVersion(PROVOST_VERSION);
    const int signals = stopSignals(); // before the first thread
    const auto usual = qInstallMessageHandler(whileDisplayOpens);
    const QApplication application(argc, argv);
    qInstallMessageHandler(usual);
    const auto options = readCommandLine();
    if (!options)
        return refused(options.error());
    auto opened = gui::Desk::open(*options);
    if (!opened)
        return refused(opened.error());
    gui::Desk& desk = **opened;
    std::cerr << "database: " << desk.host().database().string() << std::endl;
    for (const auto& each : desk.host().overridden())
        std::cerr << "TRAINING, keys are not protected: " << each << std::endl;
    const QSocketNotifier stopped(signals, QSocketNotifier::Read);
    QObject::connect(&stopped, &QSocketNotifier::activated, &desk.window(),
                     [] { QApplication::quit(); });
    desk.watch();
    // A kiosk has no window manager that would do it.
    desk.window().setGeometry(QGuiApplication::primaryScreen()->availableGeometry());
    desk.window().showMaximized();
    if (desk.host().bench() != nullptr)
        desk.commands().startAll();
    return QApplication::exec();
}
