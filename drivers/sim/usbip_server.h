// Serves the ports of a bench over USB/IP 1.1.1, to programs that know nothing of this one.
#pragma once

#include "core/result.h"
#include "sim/usb_adapter.h"

#include <memory>
#include <string>

namespace provost::sim {

struct UsbIpAddress {
    std::string host = "127.0.0.1"; ///< a literal address; anything beyond loopback must be named
    std::uint16_t port = 0;         ///< 0: any free one
};

/// The first port has the bus id `1-1`, the next one `1-2`. The list shows whatever is plugged in
/// at the moment. A unit that re-enumerates ends its connection: the client imports again.
/// Thread-safe.
class UsbIpServer {
public:
    /// @returns InvalidArgument  no such address; Busy  the port is taken; Denied
    static Result<std::unique_ptr<UsbIpServer>> start(VirtualPorts ports, Pace pace,
                                                      const UsbIpAddress& at = {});
    /// Ends every connection.
    ~UsbIpServer();
    UsbIpServer(const UsbIpServer&) = delete;
    UsbIpServer& operator=(const UsbIpServer&) = delete;

    /// The TCP port it listens on.
    std::uint16_t port() const;
    /// @param index  0 is the first port of the bench
    static std::string busId(std::size_t index);

private:
    class Listener;
    explicit UsbIpServer(std::unique_ptr<Listener> listener);
    std::unique_ptr<Listener> m_listener;
};

} // namespace provost::sim
