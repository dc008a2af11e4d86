#include "host/access_point.h"

#include "transport/tcp_stream.h"

#include <cerrno>

namespace provost {

NetworkWitness::Probe accessPointProbe(std::string host, std::uint16_t port)
{
    return [host = std::move(host), port](const OpContext& op) -> Result<bool> {
        constexpr std::chrono::milliseconds kAnswerLimit{2000};
        const auto line = TcpStream::connect(host, port, op.within(kAnswerLimit));
        if (!line && line.error().code == Errc::Cancelled)
            return Unexpected(line.error());
        return line || line.error().native == ECONNREFUSED;
    };
}

} // namespace provost
