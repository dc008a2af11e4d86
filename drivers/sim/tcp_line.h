// A socket as the unit's network processor gives it to the firmware. Dials loopback and nothing
// else.
#pragma once

#include "sim/cloud_client.h"

#include <functional>
#include <string>

namespace provost::sim {

class TcpLine final : public CloudLine {
public:
    /// @param interrupted  asked every few milliseconds while something waits
    explicit TcpLine(std::function<bool()> interrupted) : m_interrupted(std::move(interrupted)) {}
    ~TcpLine() override;
    TcpLine(const TcpLine&) = delete;
    TcpLine& operator=(const TcpLine&) = delete;

    /// 0 or a negative socket error.
    /// @param ipv4  host byte order; must lie in 127.0.0.0/8
    int connect(std::uint32_t ipv4, std::uint16_t port, std::chrono::milliseconds patience);
    int receive(ByteSpan to, std::chrono::milliseconds patience) override;
    int send(ByteView bytes) override;
    int waitReadable(std::chrono::milliseconds patience) override;

private:
    int wait(short events, std::chrono::milliseconds patience);
    const std::function<bool()> m_interrupted;
    int m_socket = -1;
};

} // namespace provost::sim
