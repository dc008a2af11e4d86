// usbfs for programs whose ioctls arrive through libumockdev: one node of /dev/bus/usb.
#pragma once

#include "usbip_connection.h"

#include <condition_variable>
#include <deque>
#include <list>
#include <umockdev.h>
#include <vector>

namespace provost::bridge {

/// Outlives the programs that have it open. Thread-safe.
class UsbfsNode {
public:
    explicit UsbfsNode(std::shared_ptr<UsbIpConnection> connection);
    ~UsbfsNode();
    UsbfsNode(const UsbfsNode&) = delete;
    UsbfsNode& operator=(const UsbfsNode&) = delete;

    /// What umockdev_testbed_attach_ioctl() wants.
    UMockdevIoctlBase* handler() { return m_handler; }

private:
    using Client = UMockdevIoctlClient;
    struct DataDeleter {
        void operator()(UMockdevIoctlData* data) const { g_object_unref(data); }
    };
    /// A copy of a piece of the client's memory.
    using Memory = std::unique_ptr<UMockdevIoctlData, DataDeleter>;
    struct Urb {
        Memory record{}; ///< usbdevfs_urb
        Memory buffer{};
        gulong address = 0; ///< of the record, in the client
        bool in = false;
        std::size_t headBytes = 0; ///< setup packet in front of the data
        std::uint32_t transfer = 0;
        Outcome outcome{};
    };
    /// One open descriptor.
    struct Opening {
        Client* client = nullptr;
        std::list<std::shared_ptr<Urb>> inFlight{};
        std::deque<std::shared_ptr<Urb>> done{};
        bool reapHeld = false; ///< the client waits in a REAPURBNDELAY
        bool justReaped = false;
        std::chrono::steady_clock::time_point heldUntil{};
    };

    static Memory resolve(UMockdevIoctlData* data, std::size_t offset, std::size_t length);
    static Memory argument(Client* client, std::size_t length);
    static gboolean onIoctl(UMockdevIoctlBase* base, Client* client, gpointer self);
    void keep(const std::stop_token& stop);
    void handle(Client* client);
    void submit(Client* client);
    void start(Client* client, const std::shared_ptr<Urb>& urb);
    void finish(Client* client, const std::shared_ptr<Urb>& urb, Outcome outcome);
    void discard(Client* client);
    void reap(Client* client);
    void deliver(Opening& opening);
    void releaseHeld();
    void claim(Client* client);
    void release(Client* client);
    void forward(Client* client, const SetupPacket& setup);
    void selectAlternate(Client* client);
    void resetDevice(Client* client);
    std::vector<std::uint32_t> forgetClosed();
    Opening& opening(Client* client);
    Opening* find(Client* client);

    const std::shared_ptr<UsbIpConnection> m_connection;
    UMockdevIoctlBase* const m_handler;
    std::mutex m_mutex;
    std::condition_variable_any m_changed;
    std::list<Opening> m_openings{};             ///< guarded by m_mutex
    std::map<std::uint32_t, Client*> m_claims{}; ///< guarded by m_mutex; by interface
    std::jthread m_keeper;                       ///< last: it uses the others
};

} // namespace provost::bridge
