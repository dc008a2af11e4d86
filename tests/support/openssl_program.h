// The reference implementation as a peer: fed through pipes, so that keys touch no disk and no
// argument list.
#pragma once

#include "core/byte_io.h"

#include <QByteArray>
#include <QProcess>
#include <QStringList>

namespace provost::test {

inline QByteArray toQt(ByteView bytes)
{
    return {reinterpret_cast<const char*>(bytes.data()), static_cast<qsizetype>(bytes.size())};
}
inline Bytes fromQt(const QByteArray& bytes)
{
    return toBytes(std::string_view(bytes.data(), static_cast<std::size_t>(bytes.size())));
}

struct OpensslEnd {
    int exitCode = -1;
    QByteArray out{};
};
inline OpensslEnd runOpenssl(const QStringList& arguments, ByteView input = {})
{
    constexpr int kPatience = 30'000;
    QProcess process;
    process.start("openssl", arguments);
    process.write(toQt(input));
    process.closeWriteChannel();
    if (!process.waitForFinished(kPatience))
        return {};
    return {.exitCode = process.exitStatus() == QProcess::NormalExit ? process.exitCode() : -1,
            .out = process.readAllStandardOutput()};
}

} // namespace provost::test
