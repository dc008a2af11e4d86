// Keeps devices of a USB/IP server plugged into the kernel's virtual host controller (vhci_hcd):
//
//   vhci-attach ADDRESS PORT FIRST BUSID…
//
// Port FIRST of the controller for the first bus id, the next one for the next. A device that
// leaves ends its connection; it is imported again as soon as the server has it. Runs until it is
// killed; what is plugged in stays.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <netinet/tcp.h>
#include <sstream>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

constexpr const char* kController = "/sys/devices/platform/vhci_hcd.0/";
constexpr int kUsage = 64;

// Protocol sheet 5.1.
constexpr std::size_t kBusIdBytes = 32;
constexpr std::size_t kReplyBytes = 8;
constexpr std::size_t kRecordBytes = 312;
constexpr std::size_t kBusNumberAt = 288;
constexpr int kFreePort = 4;

class Socket {
public:
    explicit Socket(int descriptor) : m_descriptor(descriptor) {}
    ~Socket()
    {
        if (m_descriptor >= 0)
            ::close(m_descriptor);
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    int get() const { return m_descriptor; }

private:
    int m_descriptor;
};

std::uint32_t be32(const unsigned char* at)
{
    return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 |
           at[3];
}

bool receive(int from, unsigned char* to, std::size_t size)
{
    return ::recv(from, to, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

bool connectTo(const Socket& socket, const sockaddr_in& server)
{
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return socket.get() >= 0 &&
           ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&server), sizeof server) == 0;
}

bool plugIn(const sockaddr_in& server, const std::string& busId, int port)
{
    const Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!connectTo(socket, server))
        return false;
    std::array<unsigned char, kReplyBytes + kBusIdBytes> request{0x01, 0x11, 0x80, 0x03};
    std::memcpy(request.data() + kReplyBytes, busId.data(),
                std::min(busId.size(), kBusIdBytes - 1));
    std::array<unsigned char, kReplyBytes> reply{};
    std::array<unsigned char, kRecordBytes> record{};
    const bool imported = ::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) ==
                              static_cast<ssize_t>(request.size()) &&
                          receive(socket.get(), reply.data(), reply.size()) &&
                          be32(reply.data() + 4) == 0 &&
                          receive(socket.get(), record.data(), record.size());
    if (!imported)
        return false;
    const unsigned char* const numbers = record.data() + kBusNumberAt;
    const std::uint32_t device = be32(numbers) << 16 | be32(numbers + 4);
    // The kernel keeps the connection beyond the end of this descriptor.
    std::ofstream attach(std::string(kController) + "attach");
    attach << port << ' ' << socket.get() << ' ' << device << ' ' << be32(numbers + 8)
           << std::flush;
    return attach.good();
}

bool isFree(int wanted)
{
    std::ifstream status(std::string(kController) + "status");
    std::string line;
    std::getline(status, line); // names of the columns
    while (std::getline(status, line)) {
        std::istringstream columns(line);
        std::string hub;
        int port = -1;
        int state = 0;
        if (columns >> hub >> port >> state && port == wanted)
            return state == kFreePort;
    }
    return false;
}

} // namespace

int main(int argc, char** argv)
{
    sockaddr_in server{};
    server.sin_family = AF_INET;
    if (argc < 5 || ::inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) {
        std::fputs("usage: vhci-attach ADDRESS PORT FIRST BUSID...\n", stderr);
        return kUsage;
    }
    server.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
    const std::vector<std::string> busIds(argv + 4, argv + argc);
    const int first = std::atoi(argv[3]);
    while (true) {
        for (std::size_t i = 0; i < busIds.size(); ++i)
            if (const int port = first + static_cast<int>(i); isFree(port))
                plugIn(server, busIds[i], port);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}
