// A USB/IP server that a test directs: well-behaved until it is told otherwise.
#pragma once

#include "core/byte_io.h"

#include <arpa/inet.h>
#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace provost::test {

/// Four endpoints behind one vendor interface; no serial number.
struct ScriptedDevice {
    std::string path = "/sys/devices/pci0000:00/usb1/1-1";
    std::string busId = "1-1";
    std::uint32_t number = 5;
    std::uint16_t vendor = 0x1D50;
    std::uint16_t product = 0x607F;

    Bytes deviceDescriptor() const
    {
        Bytes bytes;
        ByteWriter(bytes).u8(18).u8(1).le16(0x0200).fill(3, std::byte{0}).u8(64);
        ByteWriter(bytes).le16(vendor).le16(product).le16(0x0100).fill(3, std::byte{0}).u8(1);
        return bytes;
    }
    static Bytes configurationDescriptor()
    {
        Bytes bytes;
        ByteWriter(bytes).u8(9).u8(2).le16(18).u8(1).u8(1).u8(0).u8(0x80).u8(50);
        ByteWriter(bytes).u8(9).u8(4).u8(0).u8(0).u8(0).u8(0xFF).fill(3, std::byte{0});
        return bytes;
    }
    Bytes record() const
    {
        Bytes bytes;
        ByteWriter(bytes).text(path).fill(256 - path.size(), std::byte{0});
        ByteWriter(bytes).text(busId).fill(32 - busId.size(), std::byte{0});
        ByteWriter(bytes).be32(1).be32(number).be32(2).be16(vendor).be16(product).be16(0x0100);
        ByteWriter(bytes).fill(3, std::byte{0}).u8(1).u8(1).u8(1);
        return bytes;
    }
    Bytes listEntry() const
    {
        Bytes bytes = record();
        ByteWriter(bytes).u8(0xFF).fill(3, std::byte{0});
        return bytes;
    }
};

/// A header that the client sent in the transfer phase.
struct ScriptedCommand {
    std::uint32_t code = 0;
    std::uint32_t sequence = 0;
    bool in = false;
    std::uint32_t endpoint = 0;
    std::uint32_t victim = 0; ///< CMD_UNLINK
    std::uint32_t length = 0;
    std::uint8_t requestType = 0;
    std::uint8_t request = 0;
    std::uint16_t value = 0;
};

/// One connection, on a thread of its own. A client that has gone ends the script by an exception.
class ScriptedConnection {
public:
    struct Ended {};
    ScriptedConnection(int fd, const std::atomic<bool>& over) : m_fd(fd), m_over(over) {}
    ~ScriptedConnection() { ::close(m_fd); }
    ScriptedConnection(const ScriptedConnection&) = delete;
    ScriptedConnection& operator=(const ScriptedConnection&) = delete;

    Bytes read(std::size_t count) const
    {
        Bytes bytes(count);
        for (std::size_t have = 0; have < count;) {
            waitForInput();
            const ssize_t got = ::recv(m_fd, bytes.data() + have, count - have, 0);
            if (got <= 0)
                throw Ended{};
            have += static_cast<std::size_t>(got);
        }
        return bytes;
    }
    void write(ByteView bytes) const
    {
        if (::send(m_fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0)
            throw Ended{};
    }
    /// Says nothing until the client goes or the test ends.
    [[noreturn]] void beSilent() const
    {
        while (true)
            read(1);
    }
    ScriptedCommand command() const
    {
        const Bytes raw = read(48);
        ScriptedCommand command{.code = readBe32(raw),
                                .sequence = readBe32(raw, 4),
                                .in = readBe32(raw, 12) != 0,
                                .endpoint = readBe32(raw, 16),
                                .victim = readBe32(raw, 20),
                                .length = readBe32(raw, 24),
                                .requestType = u8(raw[40]),
                                .request = u8(raw[41]),
                                .value = readLe16(raw, 42)};
        if (command.code == 1 && !command.in)
            read(command.length);
        return command;
    }
    void answer(std::uint32_t kind, std::uint32_t sequence, std::int32_t status,
                std::uint32_t actual, ByteView data = {}) const
    {
        Bytes bytes;
        ByteWriter(bytes).be32(kind).be32(sequence).fill(12, std::byte{0});
        ByteWriter(bytes).be32(static_cast<std::uint32_t>(status)).be32(actual);
        ByteWriter(bytes).fill(20, std::byte{0}).raw(data);
        write(bytes);
    }
    void submitted(const ScriptedCommand& command, ByteView data) const
    {
        answer(3, command.sequence, 0, static_cast<std::uint32_t>(data.size()), data);
    }

private:
    void waitForInput() const
    {
        pollfd item{.fd = m_fd, .events = POLLIN, .revents = 0};
        while (::poll(&item, 1, 10) == 0)
            if (m_over)
                throw Ended{};
    }
    const int m_fd;
    const std::atomic<bool>& m_over;
};

class ScriptedUsbIpServer {
public:
    using Reply = std::function<void(const ScriptedConnection&)>;
    /// True: it has dealt with the command.
    using OnCommand = std::function<bool(const ScriptedConnection&, const ScriptedCommand&)>;

    ScriptedDevice device{};
    /// Instead of the list, of the reply to an import, and of transfers.
    Reply onList{};
    Reply onImport{};
    OnCommand onCommand{};
    std::atomic<int> imports = 0;

    ScriptedUsbIpServer() : m_listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = static_cast<sockaddr*>(static_cast<void*>(&address));
        if (::bind(m_listener, generic, size) != 0 || ::listen(m_listener, 16) != 0 ||
            ::getsockname(m_listener, generic, &size) != 0)
            std::abort();
        m_port = ntohs(address.sin_port);
        m_thread = std::thread([this] { acceptClients(); });
    }
    ~ScriptedUsbIpServer()
    {
        m_over = true;
        m_thread.join();
        for (auto& client : m_clients)
            client.join();
        ::close(m_listener);
    }
    ScriptedUsbIpServer(const ScriptedUsbIpServer&) = delete;
    ScriptedUsbIpServer& operator=(const ScriptedUsbIpServer&) = delete;
    std::uint16_t port() const { return m_port; }

    static Bytes operation(std::uint16_t code, std::uint32_t status)
    {
        Bytes bytes;
        ByteWriter(bytes).be16(0x0111).be16(code).be32(status);
        return bytes;
    }
    Bytes goodList() const
    {
        Bytes bytes = operation(0x0005, 0);
        ByteWriter(bytes).be32(1).raw(device.listEntry());
        return bytes;
    }
    Bytes goodImport() const
    {
        Bytes bytes = operation(0x0003, 0);
        ByteWriter(bytes).raw(device.record());
        return bytes;
    }

private:
    void acceptClients()
    {
        pollfd item{.fd = m_listener, .events = POLLIN, .revents = 0};
        while (!m_over) {
            if (::poll(&item, 1, 10) <= 0)
                continue;
            const int fd = ::accept(m_listener, nullptr, nullptr);
            m_clients.emplace_back([this, fd] {
                const ScriptedConnection client(fd, m_over);
                try {
                    serve(client);
                } catch (const ScriptedConnection::Ended&) {
                }
            });
        }
    }
    void serve(const ScriptedConnection& client)
    {
        if (readBe16(client.read(8), 2) == 0x8005) {
            if (onList)
                return onList(client);
            return client.write(goodList());
        }
        client.read(32);
        ++imports;
        if (onImport)
            return onImport(client);
        client.write(goodImport());
        while (true)
            obey(client, client.command());
    }
    void obey(const ScriptedConnection& client, const ScriptedCommand& command) const
    {
        if (onCommand && onCommand(client, command))
            return;
        if (command.code == 2)
            return client.answer(4, command.sequence, -104, 0);
        Bytes data;
        if (command.request == 6 && command.value == 0x0100)
            data = device.deviceDescriptor();
        if (command.request == 6 && command.value == 0x0200)
            data = ScriptedDevice::configurationDescriptor();
        data.resize(std::min<std::size_t>(data.size(), command.length));
        client.submitted(command, data);
    }

    const int m_listener;
    std::uint16_t m_port = 0;
    std::atomic<bool> m_over = false;
    std::list<std::thread> m_clients{};
    std::thread m_thread{};
};

} // namespace provost::test
