// One device imported from a USB/IP server: this process plays its host.
#pragma once

#include "core/mutex.h"
#include "transport/fd_io_p.h"
#include "transport/usb_chapter9_p.h"
#include "transport/usbip_wire_p.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <thread>

namespace provost {

inline constexpr std::chrono::seconds kUsbIpRequestLimit{1};

/// `usbip:HOST:PORT`, with brackets around a literal IPv6 address.
struct UsbIpServerName {
    std::string host{};
    std::uint16_t port = 0;
    std::string text() const;
};

/// A virtual bench on this computer stands behind it; `peer` as TcpStream::peer().
bool servedByOurBench(const usbip::DeviceRecord& record, const std::string& peer);

/// Shared by whoever uses the device in this process; the import ends with the last of them.
/// Thread-safe.
class UsbIpLink {
public:
    struct Transfer {
        bool in = false;
        std::uint8_t endpoint = 0;   ///< number without direction
        ControlSetup setup{};        ///< endpoint 0 only
        ByteView out{};              ///< valid during submit() only
        std::size_t most = 0;        ///< IN: bytes wanted
        const void* owner = nullptr; ///< whose cancelOwned() ends it
    };
    struct Outcome {
        enum class End : std::uint8_t { Answered, Unlinked, Lost };
        End end = End::Lost;
        std::int32_t status = 0; ///< Answered: 0 or a negative Linux error number
        std::size_t moved = 0;
        WipedBytes data{}; ///< IN
    };
    /// Called once, on the link's own thread or within submit(); must not wait.
    using Done = std::function<void(Outcome&&)>;

    /// Imports the device and gives it its configuration. `lost` becomes true when the server ends
    /// the connection: the device has left.
    /// @returns Busy, Disconnected, Io, Protocol, Unavailable, Timeout, Cancelled
    static Result<std::shared_ptr<UsbIpLink>> import(const UsbIpServerName& server,
                                                     const std::string& busId,
                                                     std::shared_ptr<std::atomic<bool>> lost,
                                                     const OpContext& op);
    ~UsbIpLink();
    UsbIpLink(const UsbIpLink&) = delete;
    UsbIpLink& operator=(const UsbIpLink&) = delete;

    const usbip::DeviceRecord& record() const { return m_record; }
    const Bytes& configuration() const { return m_configuration; }
    const std::string& serial() const { return m_serial; }
    /// A virtual bench of this computer serves it.
    bool simulated() const { return m_simulated; }
    /// Disconnected as soon as the device has left.
    Result<> present() const;

    /// One transfer, unlinked at the deadline or on stop. @returns the bytes moved
    Result<std::size_t> run(const Transfer& transfer, ByteSpan to, const OpContext& op);
    /// One transfer that nobody waits for. @returns its number
    std::uint32_t submit(const Transfer& transfer, Done done);
    /// Asks the server to unlink it; no effect on a transfer that has ended.
    void cancel(std::uint32_t sequence);
    void cancelOwned(const void* owner);

    Result<> claim(std::uint8_t interface, const void* owner);
    void release(const void* owner);
    Result<> selectAlternate(std::uint8_t interface, std::uint8_t alternate, const OpContext& op);
    Result<> reset(const OpContext& op);

private:
    struct Pending {
        Done done{}; ///< empty: nobody is interested any more
        bool in = false;
        std::size_t length = 0;
        const void* owner = nullptr;
        bool unlinked = false; ///< CMD_UNLINK was sent
    };
    /// Data of an IN transfer on its way.
    struct Arrival {
        Done done{};
        Outcome outcome{};
        std::size_t have = 0;
    };
    /// Wakes the thread out of poll().
    class Wake {
    public:
        Wake();
        ~Wake();
        Wake(const Wake&) = delete;
        Wake& operator=(const Wake&) = delete;
        int fd() const { return m_fd; }
        void raise() const;
        void clear() const;

    private:
        int m_fd = -1;
    };

    UsbIpLink(int socket, std::string name, usbip::DeviceRecord record, bool simulated,
              std::shared_ptr<std::atomic<bool>> lost);

    // What a host does with a device that arrives.
    Result<> enumerate(const OpContext& op);
    Result<Bytes> standardDescriptor(std::uint8_t type, std::uint8_t index, std::size_t size,
                                     const OpContext& op);
    Result<> standardRequest(const ControlSetup& setup, const OpContext& op);

    Result<std::size_t> conclude(const Transfer& transfer, const std::optional<Outcome>& outcome,
                                 ByteSpan to, const OpContext& op) const;
    Unexpected lossOf(const std::string& attempt) const;
    std::uint32_t nextSequence() PROVOST_REQUIRES(m_mutex);
    void unlink(std::uint32_t sequence, Pending& victim) PROVOST_REQUIRES(m_mutex);
    void send(WipedBytes frame) PROVOST_REQUIRES(m_mutex);

    // On the link's own thread.
    void serve(const std::stop_token& stop);
    void sendQueued();
    Result<> receive();
    ByteSpan wanted();
    Result<> accept(std::size_t count);
    Result<> acceptHeader();
    Result<> submitted(const usbip::Answer& answer);
    Result<> unlinked(const usbip::Answer& answer);
    void lose(Error error);

    const std::string m_name; ///< usbip:HOST:PORT/BUSID
    const usbip::DeviceRecord m_record;
    const bool m_simulated;
    const std::shared_ptr<std::atomic<bool>> m_lost;
    Bytes m_configuration{};
    std::string m_serial{};

    const FdIo m_socket;
    const Wake m_wake;
    std::array<std::byte, usbip::kHeaderBytes> m_header{}; ///< of the thread, as the next two
    std::size_t m_headerBytes = 0;
    std::optional<Arrival> m_arrival{};

    mutable Mutex m_mutex;
    std::map<std::uint32_t, Pending> m_pending PROVOST_GUARDED_BY(m_mutex){};
    /// CMD_UNLINK by its own number: the number of its victim.
    std::map<std::uint32_t, std::uint32_t> m_unlinks PROVOST_GUARDED_BY(m_mutex){};
    std::deque<WipedBytes> m_out PROVOST_GUARDED_BY(m_mutex){};
    std::uint32_t m_sequence PROVOST_GUARDED_BY(m_mutex) = 0;
    std::optional<Error> m_loss PROVOST_GUARDED_BY(m_mutex){};
    std::map<std::uint8_t, const void*> m_claims PROVOST_GUARDED_BY(m_mutex){};
    std::map<std::uint8_t, std::uint8_t> m_alternates PROVOST_GUARDED_BY(m_mutex){};
    std::jthread m_thread; ///< last: it uses the others
};

} // namespace provost
