// Where the source tree keeps what a test reads.
#pragma once

#include <QString>

namespace provost::test {

inline QString catalogFolder()
{
    return QStringLiteral(PROVOST_SOURCE_DIR "/firmware-images/catalog");
}

} // namespace provost::test
