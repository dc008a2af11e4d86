#include "sim/probe_bench.h"

#include "core/text.h"
#include "sim/bench_table_p.h"

#include <fstream>
#include <sstream>

namespace provost::sim {

namespace {

struct ProbeFile {
    std::string name{};
    Pace pace{.speed = Speed::Demo, .factor = 10};
    std::vector<ProbeSupply> probes{};
};

Result<ProbeFile> readProbeFile(const toml::table& root, std::string_view origin)
{
    ProbeFile file;
    const toml::table* table = root["bench"].as_table();
    if (table == nullptr)
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(origin, ":1:1: [bench] name: a text is needed"));
    BenchTable bench(*table, "bench", origin);
    TRY(bench.take("name", file.name));
    if (file.name.empty())
        return bench.wrong(bench.find("name"), "name: a text is needed");
    TRY(bench.word("speed", kBenchSpeeds, file.pace.speed));
    file.pace.factor = std::max(root["bench"]["factor"].value_or(10.0), 1.0);
    file.probes = TRY(readProbes(root, origin));
    // Those of slots are the affair of the bench that has the slots.
    std::erase_if(file.probes, [](const ProbeSupply& probe) { return probe.slot != 0; });
    return file;
}

Result<ProbeFile> parseProbes(std::string_view toml, std::string_view origin)
{
    try {
        return readProbeFile(toml::parse(toml, origin), origin);
    } catch (const toml::parse_error& error) {
        const auto& at = error.source().begin;
        return fail(Errc::InvalidData, Blame::Operator,
                    concat(origin, ':', at.line, ':', at.column, ": ", error.description()));
    }
}

} // namespace

ProbeBench::ProbeBench(const std::string& name, Pace pace, std::vector<ProbeSupply> probes,
                       const CoreExecutorMaker& makeCore)
    : m_pace(pace), m_probes(std::move(probes)), m_plugged(name, pace, m_probes, makeCore),
      m_usb(m_plugged.ports, pace)
{
}

Result<std::unique_ptr<ProbeBench>> ProbeBench::load(const std::filesystem::path& file,
                                                     const CoreExecutorMaker& makeCore,
                                                     std::optional<Speed> speed)
{
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    if (!in || !(text << in.rdbuf()))
        return fail(Errc::NotFound, Blame::Operator,
                    concat("read the bench ", file.string(), ": not there or not readable"));
    return parse(text.str(), file.string(), makeCore, speed);
}

Result<std::unique_ptr<ProbeBench>> ProbeBench::parse(std::string_view toml,
                                                      std::string_view origin,
                                                      const CoreExecutorMaker& makeCore,
                                                      std::optional<Speed> speed)
{
    ProbeFile file = TRY(parseProbes(toml, origin));
    file.pace.speed = speed.value_or(file.pace.speed);
    return std::unique_ptr<ProbeBench>(
        new ProbeBench(file.name, file.pace, std::move(file.probes), makeCore));
}

} // namespace provost::sim
