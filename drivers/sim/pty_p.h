// The master side of a pseudo-terminal.
#pragma once

#include "core/bytes.h"
#include "core/result.h"
#include "sim/posix_p.h"

#include <string>

namespace provost::sim {

class PtyMaster {
public:
    /// Raw, 9600 bit/s.
    static Result<PtyMaster> open();
    const std::string& slavePath() const { return m_slavePath; }
    int fd() const { return m_fd.get(); }
    /// Whether any program has the slave open.
    bool inUse() const;
    int rate() const;
    /// As a port is that nobody has used yet.
    void freshen();
    /// A user of the slave may have locked it (TIOCEXCL), which outlives him here.
    /// False: it stays locked.
    bool unlock();
    /// 0: nothing there.
    std::size_t read(ByteSpan to);
    /// As much as the slave's user leaves room for.
    std::size_t write(ByteView data);

private:
    PtyMaster(UniqueFd fd, std::string slavePath);
    UniqueFd m_fd;
    std::string m_slavePath;
};

} // namespace provost::sim
