#include "cli/bench_program.h"

#include "core/text.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <optional>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace provost::cli {

namespace {

namespace fs = std::filesystem;

/// Of the slave ends of Linux's pseudo-terminals: admin-guide/devices.txt.
constexpr unsigned kPtySlaveMajor = 136;

/// The number of a pseudo-terminal's slave; nullopt: it is something else.
std::optional<unsigned> terminalNumber(const fs::path& terminal)
{
    struct stat found{};
    if (::stat(terminal.c_str(), &found) != 0 || !S_ISCHR(found.st_mode) ||
        major(found.st_rdev) != kPtySlaveMajor)
        return std::nullopt;
    return minor(found.st_rdev);
}

bool sameFile(const fs::path& one, const fs::path& other)
{
    struct stat a{};
    struct stat b{};
    return ::stat(one.c_str(), &a) == 0 && ::stat(other.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/// Terminals of another mount namespace have numbers of their own.
bool sameNamespace(const fs::path& process)
{
    return sameFile(process / "ns/mnt", "/proc/self/ns/mnt");
}

/// Whether the process has the master end open: proc(5), fdinfo, tty-index.
bool holdsMaster(const fs::path& process, unsigned number)
{
    std::error_code error;
    for (fs::directory_iterator each(process / "fdinfo", error), end; !error && each != end;
         each.increment(error)) {
        std::ifstream file(each->path());
        std::string word;
        unsigned index = 0;
        while (file >> word) {
            if (word == "tty-index:" && file >> index && index == number)
                return true;
        }
    }
    return false;
}

bool isProcess(const fs::path& entry)
{
    const std::string name = entry.filename().string();
    return !name.empty() &&
           std::ranges::all_of(name, [](unsigned char c) { return std::isdigit(c) != 0; });
}

} // namespace

Result<fs::path> benchProgram()
{
    std::error_code error;
    const auto own = fs::read_symlink("/proc/self/exe", error);
    const auto program = own.parent_path() / "provost-bench";
    if (error || !fs::exists(program, error))
        return fail(Errc::NotFound, Blame::Station,
                    concat("start ", program.string(),
                           ": it is not there; build or install provost-bench"));
    return program;
}

bool servedByBench(const fs::path& terminal)
{
    const auto number = terminalNumber(terminal);
    const auto program = benchProgram();
    if (!number || !program)
        return false;
    std::error_code error;
    for (fs::directory_iterator each("/proc", error), end; !error && each != end;
         each.increment(error)) {
        if (isProcess(each->path()) && sameFile(each->path() / "exe", *program) &&
            sameNamespace(each->path()) && holdsMaster(each->path(), *number))
            return true;
    }
    return false;
}

} // namespace provost::cli
