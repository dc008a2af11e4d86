#include "cli/served_bench.h"

#include "cli/bench_program.h"
#include "core/text.h"

#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QTemporaryDir>
#include <csignal>
#include <sys/prctl.h>

namespace provost::cli {

namespace {

using namespace std::chrono_literals;

constexpr auto kBenchLook = 50ms;
constexpr int kBenchEndMs = 5000;

} // namespace

struct ServedBench::Impl {
    QTemporaryDir terminals{};
    QProcess process{};
    std::vector<Probe> probes{};
    std::uint16_t port = 0;

    void take(const QJsonObject& line)
    {
        const QString event = line["event"].toString();
        if (event == "listening")
            port = static_cast<std::uint16_t>(line["port"].toInt());
        if (event != "probe")
            return;
        Probe probe{.number = line["number"].toInt(),
                    .busId = line["busid"].toString().toStdString()};
        if (line["slot"].isDouble())
            probe.slot = line["slot"].toInt();
        probes.push_back(std::move(probe));
    }

    /// Reads its lines until it listens.
    Result<> await(const std::string& file, const OpContext& op)
    {
        while (port == 0) {
            process.waitForReadyRead(static_cast<int>(kBenchLook.count()));
            while (process.canReadLine())
                take(QJsonDocument::fromJson(process.readLine()).object());
            if (port == 0 && process.state() == QProcess::NotRunning)
                return fail(Errc::InvalidData, Blame::Operator,
                            concat("serve the bench ", file, ": ",
                                   process.readAllStandardError().trimmed().toStdString()));
            TRY(op.checkpoint());
        }
        return {};
    }
};

ServedBench::ServedBench(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}

ServedBench::~ServedBench()
{
    m_impl->process.terminate();
    if (!m_impl->process.waitForFinished(kBenchEndMs))
        m_impl->process.kill();
    m_impl->process.waitForFinished(kBenchEndMs);
}

Result<std::unique_ptr<ServedBench>> ServedBench::start(const std::filesystem::path& file,
                                                        const OpContext& op)
{
    const auto program = TRY(benchProgram());
    std::error_code error;
    if (!std::filesystem::exists(file, error))
        return fail(Errc::NotFound, Blame::Operator,
                    concat("serve the bench ", file.string(), ": there is no such file"));
    std::unique_ptr<ServedBench> bench(new ServedBench(std::make_unique<Impl>()));
    QProcess& process = bench->m_impl->process;
    // Signals that this program leaves to one thread are blocked; its child must hear them.
    process.setChildProcessModifier([] {
        sigset_t none;
        sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    });
    process.start(QString::fromStdString(program.string()),
                  {QString::fromStdString(file.string()), "--usbip", "127.0.0.1:0", "--dir",
                   bench->m_impl->terminals.path(), "--json"});
    TRY(bench->m_impl->await(file.string(), op));
    return bench;
}

std::uint16_t ServedBench::port() const
{
    return m_impl->port;
}

const std::vector<ServedBench::Probe>& ServedBench::probes() const
{
    return m_impl->probes;
}

} // namespace provost::cli
