// The drivers' speed beside programs that nobody here wrote, on the same path in the same run. Ends
// with 1 where a ratio misses its aim.
#include "bench/ratios.h"

#include <benchmark/benchmark.h>
#include <csignal>

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN); // lrzsz may close its end first
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 64;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return provost::test::printRatios() ? 0 : 1;
}
