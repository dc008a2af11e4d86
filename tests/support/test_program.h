// One program holds the test classes of a component: linking Qt costs more than compiling.
#pragma once

#include "support/patience.h"

#include <QTest>

#include <string_view>

namespace provost::test {

/// Enters a test class under the name that ctest calls it by. Made at start-up by PROVOST_TEST.
class TestEntry {
public:
    using Run = int (*)(int argc, char** argv);
    TestEntry(std::string_view name, Run run);
};

template <class Test>
int runTest(int argc, char** argv)
{
    Test test;
    return QTest::qExec(&test, argc, argv);
}

} // namespace provost::test

#define PROVOST_JOINED(a, b) a##b
#define PROVOST_ENTRY(number, name, Test)                                                          \
    static const provost::test::TestEntry PROVOST_JOINED(provostTestEntry, number){                \
        name, &provost::test::runTest<Test>};

/// At the end of tst_<name>.cpp, in place of QTEST_GUILESS_MAIN.
#define PROVOST_TEST(name, Test) PROVOST_ENTRY(__COUNTER__, name, Test)
