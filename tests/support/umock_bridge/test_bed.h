// The fake /sys and /dev in which the devices appear.
#pragma once

#include "acm_tty.h"
#include "usbfs_node.h"

#include <optional>
#include <vector>

namespace provost::bridge {

/// Everything that the programs below see. Used by one thread.
class TestBed {
public:
    /// Null, with a reason on stderr: not below umockdev-wrapper.
    static std::unique_ptr<TestBed> create();
    ~TestBed();
    TestBed(const TestBed&) = delete;
    TestBed& operator=(const TestBed&) = delete;

    /// Plugs in or takes out what the server gives for `busId` now.
    /// @returns whether a device is there
    bool refresh(const ServerAddress& server, const std::string& busId);

private:
    struct Descriptors {
        Bytes device{};
        Bytes configuration{};
        std::string manufacturer{};
        std::string product{};
        std::string serial{};
    };
    struct Plugged {
        std::shared_ptr<UsbIpConnection> connection{};
        std::unique_ptr<UsbfsNode> node{};
        std::string path{}; ///< below /sys
        std::unique_ptr<AcmTty> tty{};
        std::string ttyNode{};
        std::string interfacePath{};
    };

    explicit TestBed(UMockdevTestbed* bed);
    static std::optional<Descriptors> enumerate(UsbIpConnection& connection);
    bool plug(std::shared_ptr<UsbIpConnection> connection, const std::string& busId);
    void plugTty(Plugged& device, const Descriptors& descriptors, const std::string& busId);
    void unplug(Plugged& device);
    void unplugTty(Plugged& device);
    std::string fileOf(const std::string& node) const;
    bool add(const std::string& description);
    void attach(const std::string& node, UMockdevIoctlBase* handler);
    void announce(const std::string& path, const char* action);

    UMockdevTestbed* const m_bed;
    unsigned m_nextNumber = 2; ///< 1 is the root hub
    std::map<std::string, Plugged> m_plugged{};
    // Programs may have them open still.
    std::vector<std::unique_ptr<UsbfsNode>> m_left{};
    std::vector<std::unique_ptr<AcmTty>> m_leftTtys{};
};

} // namespace provost::bridge
