// One USB/IP client: what it asks for, and the transfers of the device it imported.
#pragma once

#include "sim/posix_p.h"
#include "sim/usb_adapter.h"
#include "sim/usbip_wire_p.h"

#include <deque>
#include <map>
#include <stop_token>

namespace provost::sim {

/// Owned and used by one thread; run() is all there is to it.
class UsbIpSession {
public:
    UsbIpSession(UniqueFd socket, const VirtualPorts& ports, Pace pace);
    ~UsbIpSession();
    UsbIpSession(const UsbIpSession&) = delete;
    UsbIpSession& operator=(const UsbIpSession&) = delete;
    /// Returns when the client has gone, its device has left the bus, or `stop` is requested.
    void run(std::stop_token stop);

private:
    struct Transfer {
        usbip::Command command{};
        Bytes data{};
        bool begun = false; ///< counted by the port's list of faults
        bool lost = false;  ///< a fault took the answer: only the client ends it
        bool halved = false;
        bool flipped = false;
    };
    struct Answer {
        std::int32_t status = 0;
        Bytes data{};
    };
    enum class Step : std::uint8_t { Done, Wait };

    // The operation phase.
    void answerOperation();
    void list();
    void import();
    usbip::Record record(std::size_t index, const VirtualPort::Occupant& occupant) const;

    // The transfer phase.
    void serveDevice();
    bool present() const;
    bool takeCommands();
    bool accept(const usbip::Command& command, ByteView data);
    void unlink(const usbip::Command& command);
    void serveTransfers();
    Step serveFirst(std::deque<Transfer>& queue);
    std::optional<Answer> attempt(Transfer& transfer);
    bool meetsFault(Transfer& transfer, FaultPipe pipe, std::optional<Answer>& answer);
    std::optional<Answer> bulk(Transfer& transfer);
    static Answer damaged(const Transfer& transfer, Bytes data);
    std::optional<Answer> control(Transfer& transfer);
    void noteReset(const UsbSetup& setup);
    void finish(const Transfer& transfer, Answer answer);
    void waitUntil(SteadyTime when) { m_nextLook = std::min(m_nextLook, when); }

    // The socket.
    bool pump(SteadyTime until);
    bool receiveExactly(std::size_t count, SteadyTime until);
    bool receiveSome();
    bool flushSome();
    void flush();
    void linger();
    Bytes take(std::size_t count);

    const UniqueFd m_socket;
    const VirtualPorts& m_ports;
    const Pace m_pace;
    const WakeUp m_wake;
    std::stop_token m_stop{};
    Bytes m_in{};
    Bytes m_out{};

    std::shared_ptr<VirtualPort> m_port{};
    VirtualPort::Occupant m_occupant{};
    std::map<int, std::deque<Transfer>> m_queues{}; ///< by endpoint address; each in its order
    SteadyTime m_nextLook{};
    SteadyTime m_lineFree{};
    std::chrono::microseconds m_owed{0};
    bool m_deviceDescriptorRead = false;
};

} // namespace provost::sim
