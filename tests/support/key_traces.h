// Looks for traces of private keys: any run of 16 bytes of a private number, as bytes in either
// order, as hexadecimal digits, or in base64.
#pragma once

#include "core/byte_io.h"

#include <QByteArray>
#include <QDirIterator>
#include <QFile>

#include <array>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <unordered_map>
#include <vector>

namespace provost::test {

class KeyTraces {
public:
    static constexpr std::size_t kRun = 16;

    /// @param key  RSA-1024 in the full-width form of 611 bytes
    void add(ByteView key)
    {
        for (const auto& number : kPrivate) {
            const Bytes forward = toBytes(key.subspan(number.from, number.size));
            addRuns(forward, number.name);
            addRuns(Bytes(forward.rbegin(), forward.rend()), number.name);
            addTexts(forward, number.name);
        }
    }
    /// Any private bytes, 17 of them at least.
    void addSecret(ByteView secret, const char* name)
    {
        addRuns(toBytes(secret), name);
        addTexts(toBytes(secret), name);
    }
    bool empty() const { return m_runs.empty(); }

    /// The name of the first number of which a trace is in `memory`; empty where none is.
    std::string in(ByteView memory) const
    {
        for (std::size_t at = 0; at + kRun <= memory.size(); ++at) {
            std::uint64_t head = 0;
            std::memcpy(&head, memory.data() + at, sizeof head);
            const auto [first, last] = m_runs.equal_range(head);
            for (auto found = first; found != last; ++found) {
                const auto& bytes = found->second.bytes;
                if (at + bytes.size() <= memory.size() &&
                    equalBytes(memory.subspan(at, bytes.size()), bytes))
                    return found->second.name;
            }
        }
        return {};
    }
    std::string in(const QByteArray& text) const
    {
        return in(
            std::as_bytes(std::span(text.constData(), static_cast<std::size_t>(text.size()))));
    }

private:
    struct Number {
        const char* name;
        std::size_t from;
        std::size_t size;
    };
    /// Where the private numbers stand in the full-width form (particle-devices 4.1).
    static constexpr std::array kPrivate{Number{"D", 148, 128}, Number{"P", 279, 64},
                                         Number{"Q", 346, 64},  Number{"dP", 413, 64},
                                         Number{"dQ", 480, 64}, Number{"qInv", 547, 64}};
    struct Run {
        Bytes bytes{};
        const char* name = "";
    };

    void addRun(ByteView run, const char* name)
    {
        std::uint64_t head = 0;
        std::memcpy(&head, run.data(), sizeof head);
        m_runs.emplace(head, Run{toBytes(run), name});
    }
    void addRuns(const Bytes& bytes, const char* name)
    {
        for (std::size_t at = 0; at + kRun <= bytes.size(); ++at)
            addRun(ByteView(bytes).subspan(at, kRun), name);
    }
    /// Base64 of a longer text shows, wherever the number begins in it, each group of three bytes
    /// as the same four characters: fifteen of any seventeen bytes.
    void addTexts(const Bytes& bytes, const char* name)
    {
        constexpr std::size_t kGroups = 15;
        for (std::size_t at = 0; at + kRun <= bytes.size(); ++at) {
            const QByteArray run(reinterpret_cast<const char*>(bytes.data() + at), kRun);
            for (const auto& text :
                 {run.toHex(), run.toHex().toUpper(), run.first(kGroups).toBase64()})
                addRun(std::as_bytes(
                           std::span(text.constData(), static_cast<std::size_t>(text.size()))),
                       name);
        }
    }

    std::unordered_multimap<std::uint64_t, Run> m_runs{};
};

/// The writable memory of a process, region by region; what was found, one text each.
inline std::vector<std::string> residueIn(qint64 process, const KeyTraces& wanted,
                                          std::size_t& bytesRead)
{
    constexpr std::size_t kLargestRegion = std::size_t{1} << 30; // beyond: shadow of a sanitizer
    std::vector<std::string> found;
    const QString folder = QString("/proc/%1/").arg(process);
    QFile maps(folder + "maps");
    const int memory = ::open(qPrintable(folder + "mem"), O_RDONLY | O_CLOEXEC);
    if (!maps.open(QIODevice::ReadOnly) || memory < 0)
        return {"the memory cannot be read"};
    for (const auto& line : maps.readAll().split('\n')) {
        const auto words = line.simplified().split(' ');
        if (words.size() < 2 || !words[1].startsWith("rw"))
            continue;
        const auto ends = words[0].split('-');
        const auto from = ends[0].toULongLong(nullptr, 16);
        const auto size = ends[1].toULongLong(nullptr, 16) - from;
        if (size > kLargestRegion)
            continue;
        Bytes region(size);
        const auto got = ::pread(memory, region.data(), size, static_cast<off_t>(from));
        if (got <= 0) // guard pages
            continue;
        region.resize(static_cast<std::size_t>(got));
        bytesRead += region.size();
        const auto name = wanted.in(region);
        if (!name.empty())
            found.push_back(name + " in " + line.simplified().toStdString());
    }
    ::close(memory);
    return found;
}

/// Every file below a folder.
inline std::vector<std::string> tracesBelow(const QString& folder, const KeyTraces& wanted,
                                            int& filesRead)
{
    std::vector<std::string> found;
    QDirIterator files(folder, QDir::Files | QDir::Hidden | QDir::System,
                       QDirIterator::Subdirectories);
    while (files.hasNext()) {
        QFile file(files.next());
        if (!file.open(QIODevice::ReadOnly))
            continue;
        ++filesRead;
        const auto name = wanted.in(file.readAll());
        if (!name.empty())
            found.push_back(name + " in " + file.fileName().toStdString());
    }
    return found;
}

} // namespace provost::test
