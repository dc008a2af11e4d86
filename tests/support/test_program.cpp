// <program> <test> [Qt Test's arguments]: runs one class; without a name, lists what there is.
#include "support/test_program.h"

#include <cstdio>
#include <map>

#ifdef QT_WIDGETS_LIB
#include <QApplication>
using Application = QApplication;
#else
#include <QCoreApplication>
using Application = QCoreApplication;
#endif

namespace provost::test {
namespace {

std::map<std::string_view, TestEntry::Run>& entries()
{
    static std::map<std::string_view, TestEntry::Run> all;
    return all;
}

} // namespace

TestEntry::TestEntry(std::string_view name, Run run)
{
    entries().emplace(name, run);
}

static int runNamed(int argc, char** argv)
{
    const auto found = argc > 1 ? entries().find(argv[1]) : entries().end();
    if (found == entries().end()) {
        std::fputs("name one of these tests:\n", stderr);
        for (const auto& [name, run] : entries())
            std::fprintf(stderr, "  %.*s\n", static_cast<int>(name.size()), name.data());
        return 2;
    }
    argv[1] = argv[0];
    QCoreApplication::setAttribute(Qt::AA_Use96Dpi);
    Application application(--argc, ++argv);
    return found->second(argc, argv);
}

} // namespace provost::test

int main(int argc, char** argv)
{
    return provost::test::runNamed(argc, argv);
}
