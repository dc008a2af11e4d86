// Every cause that an operator can be told is asserted as an outcome by the test that
// tests/causes.txt names for it.
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "engine/causes.h"
#include "support/test_program.h"

#include <QTest>

#include <filesystem>
#include <map>
#include <regex>
#include <sstream>

namespace provost::test {

namespace {

struct CauseRow {
    std::string id{};
    std::string file{};
    std::string function{};
};

std::string textOfTests(const std::filesystem::path& file)
{
    const auto read = readFile(std::filesystem::path(PROVOST_SOURCE_DIR) / "tests" / file);
    return read ? toText(*read) : std::string();
}

std::vector<CauseRow> causeRows()
{
    std::vector<CauseRow> rows;
    std::istringstream lines(textOfTests("causes.txt"));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        CauseRow row;
        if (!line.starts_with('#') && words >> row.id >> row.file >> row.function)
            rows.push_back(std::move(row));
    }
    return rows;
}

/// What stands between the braces of the test function; empty: there is none of that name.
std::string bodyOf(const std::string& source, const std::string& function)
{
    const std::regex head("\\n( *)void (\\w+::)?" + function + "\\(\\)\\n *\\{");
    std::smatch found;
    if (!std::regex_search(source, found, head))
        return {};
    const auto begin = static_cast<std::size_t>(found.position() + found.length());
    const auto end = source.find("\n" + found[1].str() + "}", begin);
    return source.substr(begin, end - begin);
}

/// "" or what is wrong with the row.
std::string mistakeIn(const CauseRow& row)
{
    const auto source = textOfTests(row.file);
    if (source.find("PROVOST_TEST(") == std::string::npos)
        return "no such test file";
    const auto body = bodyOf(source, row.function);
    if (body.empty())
        return "no such function";
    // Word for word, or by a column that the function compares with the outcome.
    const std::string id = concat('"', row.id, '"');
    const std::regex direct("(VERIFY_RUN|QCOMPARE|QVERIFY2?|demand)\\([^;|]*" + id + "[^;|]*;");
    const std::regex directText("contains\\(" + id + "\\)");
    const std::regex byColumn("((VERIFY_RUN|QCOMPARE)\\([^;|]*[ .>]cause[,.)]|"
                              "QVERIFY2?\\([^;|]*[.>]cause == )[^;|]*;");
    if (std::regex_search(body, direct) || std::regex_search(body, directText))
        return {};
    const bool inTable =
        (body + bodyOf(source, row.function + "_data")).find(id) != std::string::npos;
    if (!inTable)
        return "it does not know this id";
    return std::regex_search(body, byColumn) ? "" : "it compares no outcome with it";
}

} // namespace

class TstCauseTable : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void everyCause_isAssertedByItsTest();
    void tableWithoutTheAssertion_isSeen();
};

void TstCauseTable::everyCause_isAssertedByItsTest()
{
    std::map<std::string, int, std::less<>> tests;
    std::string wrong;
    for (const auto& row : causeRows()) {
        ++tests[row.id];
        const auto mistake = mistakeIn(row);
        if (!mistake.empty())
            wrong += concat(row.id, " ", row.file, " ", row.function, ": ", mistake, "\n");
        if (causeById(row.id).id != row.id)
            wrong += concat(row.id, ": no such cause\n");
    }
    for (const auto& cause : allCauses()) {
        if (tests[std::string(cause.id)] != 1)
            wrong += concat(cause.id, ": one row of tests/causes.txt is needed\n");
    }
    QVERIFY2(wrong.empty(), wrong.c_str());
}

void TstCauseTable::tableWithoutTheAssertion_isSeen()
{
    const std::string faults = "scenario/tst_faults.cpp";
    QCOMPARE(mistakeIn({"C010", faults, "emptySlot_isACheck"}), std::string());
    QCOMPARE(mistakeIn({"C010", "scenario/tst_nothing.cpp", "emptySlot_isACheck"}),
             std::string("no such test file"));
    QCOMPARE(mistakeIn({"C010", faults, "emptySlot_isNothing"}), std::string("no such function"));
    QCOMPARE(mistakeIn({"C011", faults, "emptySlot_isACheck"}),
             std::string("it does not know this id"));
    // One of several is no assertion of one.
    QCOMPARE(mistakeIn({"C014", faults, "brokenTransfer_neverEndsInAFalsePass"}),
             std::string("it compares no outcome with it"));
}

} // namespace provost::test

PROVOST_TEST("cause_table", provost::test::TstCauseTable)
#include "tst_cause_table.moc"
