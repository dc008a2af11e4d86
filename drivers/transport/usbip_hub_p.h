// Everything that one USB/IP server exports: who is plugged in where, and which devices this
// process has imported.
#pragma once

#include "transport/usbip_link_p.h"

#include <functional>

namespace provost {

struct UsbIpDevice {
    UsbDeviceInfo info{};
    bool serialPort = false; ///< a CDC-ACM function
};

/// Shared by bus, ports and their handles. Thread-safe.
class UsbIpHub : public std::enable_shared_from_this<UsbIpHub> {
public:
    explicit UsbIpHub(UsbIpServerName server, std::function<bool(const UsbId&)> mayImport = {})
        : m_server(std::move(server)), m_mayImport(std::move(mayImport))
    {
    }
    const UsbIpServerName& server() const { return m_server; }

    /// Every device, imported ones included even where the server hides them.
    Result<std::vector<UsbIpDevice>> list(const OpContext& op);
    /// The device at `port`, if it is one of `anyOf` (empty: any).
    Result<std::optional<UsbDeviceInfo>> look(const UsbPortPath& port, std::span<const UsbId> anyOf,
                                              const OpContext& op);
    /// The link of that incarnation, imported now or earlier.
    /// @returns Disconnected  it has left; Busy  another client keeps it
    Result<std::shared_ptr<UsbIpLink>> acquire(const UsbPortPath& port, std::uint32_t incarnation,
                                               const OpContext& op);

private:
    /// One bus id and who sits there.
    struct Seat {
        std::string busId{};
        usbip::DeviceRecord record{};
        std::uint32_t incarnation = 0;
        bool present = false;
        bool serialPort = false;
        bool simulated = false;
        std::optional<std::string> serial{}; ///< known once imported
        Clock::Steady askAgain{};            ///< not before, for the serial
        std::uint64_t asOf = 0;              ///< the ticket of what is known
        bool importing = false;
        std::weak_ptr<UsbIpLink> link{};
        std::shared_ptr<std::atomic<bool>> lost{}; ///< of that link
        Clock::Steady released{};
        bool left() const { return !present || (lost && lost->load()); }
        bool imported() const { return !link.expired() && !left(); }
    };

    Result<> refresh(const OpContext& op);
    void sight(Seat& seat, const usbip::DeviceRecord& record, bool simulated)
        PROVOST_REQUIRES(m_mutex);
    void miss(Seat& seat) PROVOST_REQUIRES(m_mutex);
    UsbDeviceInfo infoOf(const UsbPortPath& port, const Seat& seat) const PROVOST_REQUIRES(m_mutex);
    Result<> learnSerial(const UsbPortPath& port, std::chrono::milliseconds patience,
                         const OpContext& op);
    Result<std::shared_ptr<UsbIpLink>> acquire(const UsbPortPath& port,
                                               std::optional<std::uint32_t> incarnation,
                                               std::chrono::milliseconds patience,
                                               const OpContext& op);
    /// The link, or nothing: the caller is to import.
    Result<std::shared_ptr<UsbIpLink>>
    reserve(const UsbPortPath& port, std::optional<std::uint32_t> incarnation, const OpContext& op);
    /// @param patience  with a device in use, which may be on its way back from its last user
    Result<std::shared_ptr<UsbIpLink>> importAs(const UsbPortPath& port,
                                                std::shared_ptr<std::atomic<bool>> lost,
                                                std::chrono::milliseconds patience,
                                                const OpContext& op);
    void releasing(const UsbPortPath& port);
    UsbPortPath portOf(const std::string& busId) const;
    std::string busIdOf(const UsbPortPath& port) const;
    Unexpected gone(const UsbPortPath& port) const;

    const UsbIpServerName m_server;
    const std::function<bool(const UsbId&)> m_mayImport; ///< for its serial; empty: anything
    Mutex m_mutex;
    std::condition_variable_any m_imported;
    std::map<UsbPortPath, Seat> m_seats PROVOST_GUARDED_BY(m_mutex){};
    std::uint64_t m_ticket PROVOST_GUARDED_BY(m_mutex) = 0;
    /// The server leaves out of its list what is imported.
    bool m_hidesImported PROVOST_GUARDED_BY(m_mutex) = false;
};

} // namespace provost
