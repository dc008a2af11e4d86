// The client's side of USB/IP: one imported device and its transfers (protocol sheet 5).
#pragma once

#include "core/bytes.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace provost::bridge {

struct ServerAddress {
    std::string host{};
    std::string port{};
};

using SetupPacket = std::array<std::byte, 8>;
SetupPacket setupPacket(unsigned requestType, unsigned request, unsigned value, unsigned index,
                        unsigned length = 0);

struct Outcome {
    int status = 0; ///< negative error number
    std::uint32_t actualLength = 0;
    Bytes data{};
};
using Completion = std::function<void(Outcome)>;

/// Thread-safe. Completions run on the connection's thread; each is called once, with -ESHUTDOWN
/// when the device has gone.
class UsbIpConnection {
public:
    /// Null: nobody there, or the device is not given away at the moment.
    static std::unique_ptr<UsbIpConnection> import(const ServerAddress& server,
                                                   const std::string& busId);
    ~UsbIpConnection();
    UsbIpConnection(const UsbIpConnection&) = delete;
    UsbIpConnection& operator=(const UsbIpConnection&) = delete;

    /// 1 low, 2 full, 3 high.
    std::uint32_t speed() const { return m_speed; }
    bool gone() const { return m_gone; }

    /// @returns a number for unlink()
    std::uint32_t control(const SetupPacket& setup, ByteView out, Completion done);
    std::uint32_t bulkIn(unsigned endpoint, std::uint32_t most, Completion done);
    std::uint32_t bulkOut(unsigned endpoint, ByteView out, Completion done);
    /// The transfer ends with -ENOENT, or as it would have if its answer is under way.
    void unlink(std::uint32_t transfer);

    /// Waits. Nothing: refused, or no answer in time.
    std::optional<Bytes> request(const SetupPacket& setup);
    /// Ends the connection as if the device had gone. Returns when no completion runs any more.
    void stop();

private:
    struct Pending {
        bool in = false;
        Completion done{};
    };
    struct Submission {
        bool in = false;
        unsigned endpoint = 0;
        std::uint32_t length = 0;
        SetupPacket setup{};
    };
    UsbIpConnection(int socket, std::uint32_t deviceId, std::uint32_t speed);
    void close();
    std::uint32_t submit(const Submission& what, ByteView out, Completion done);
    void receiveAnswers();
    bool receiveAnswer();
    bool finishSubmitted(ByteView header);
    void finishUnlinked(ByteView header);
    std::optional<Pending> takePending(std::uint32_t transfer);

    const int m_socket;
    const std::uint32_t m_deviceId;
    const std::uint32_t m_speed;
    std::atomic<bool> m_gone{false};
    std::mutex m_mutex;
    std::uint32_t m_sequence = 0;                       ///< guarded by m_mutex
    std::map<std::uint32_t, Pending> m_pending{};       ///< guarded by m_mutex
    std::map<std::uint32_t, std::uint32_t> m_unlinks{}; ///< guarded by m_mutex; own number, victim
    std::thread m_thread;
};

} // namespace provost::bridge
