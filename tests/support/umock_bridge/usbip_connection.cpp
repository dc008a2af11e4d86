#include "usbip_connection.h"

#include "core/byte_io.h"

#include <cerrno>
#include <future>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace provost::bridge {

namespace {

constexpr std::uint16_t kVersion = 0x0111;
constexpr std::uint16_t kRequestImport = 0x8003;
constexpr std::size_t kBusIdBytes = 32;
constexpr std::size_t kReplyBytes = 8;
constexpr std::size_t kRecordBytes = 312;
constexpr std::size_t kHeaderBytes = 48;
constexpr std::uint32_t kSubmit = 1;
constexpr std::uint32_t kUnlink = 2;
constexpr std::uint32_t kSubmitted = 3;
constexpr std::uint32_t kUnlinked = 4;
constexpr std::chrono::seconds kRequestPatience{30};

bool sendAll(int socket, ByteView bytes)
{
    while (!bytes.empty()) {
        const ssize_t count = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count <= 0 && errno != EINTR)
            return false;
        bytes = bytes.subspan(count > 0 ? static_cast<std::size_t>(count) : 0);
    }
    return true;
}

bool receiveAll(int socket, ByteSpan bytes)
{
    while (!bytes.empty()) {
        const ssize_t count = ::recv(socket, bytes.data(), bytes.size(), 0);
        if (count == 0 || (count < 0 && errno != EINTR))
            return false;
        bytes = bytes.subspan(count > 0 ? static_cast<std::size_t>(count) : 0);
    }
    return true;
}

int connectTo(const ServerAddress& server)
{
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    if (::getaddrinfo(server.host.c_str(), server.port.c_str(), &hints, &list) != 0)
        return -1;
    const int fd = ::socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool connected = fd >= 0 && ::connect(fd, list->ai_addr, list->ai_addrlen) == 0;
    ::freeaddrinfo(list);
    if (!connected) {
        ::close(fd);
        return -1;
    }
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

} // namespace

SetupPacket setupPacket(unsigned requestType, unsigned request, unsigned value, unsigned index,
                        unsigned length)
{
    Bytes bytes;
    ByteWriter(bytes).u8(requestType).u8(request).le16(value).le16(index).le16(length);
    SetupPacket setup{};
    std::copy(bytes.begin(), bytes.end(), setup.begin());
    return setup;
}

std::unique_ptr<UsbIpConnection> UsbIpConnection::import(const ServerAddress& server,
                                                         const std::string& busId)
{
    const int socket = connectTo(server);
    if (socket < 0)
        return nullptr;
    Bytes request;
    ByteWriter(request).be16(kVersion).be16(kRequestImport).be32(0).text(busId);
    request.resize(kReplyBytes + kBusIdBytes);
    Bytes reply(kReplyBytes + kRecordBytes);
    const ByteSpan record = ByteSpan(reply).subspan(kReplyBytes);
    if (!sendAll(socket, request) || !receiveAll(socket, ByteSpan(reply).first(kReplyBytes)) ||
        readBe32(reply, 4) != 0 || !receiveAll(socket, record)) {
        ::close(socket);
        return nullptr;
    }
    const std::uint32_t deviceId = readBe32(record, 288) << 16 | readBe32(record, 292);
    return std::unique_ptr<UsbIpConnection>(
        new UsbIpConnection(socket, deviceId, readBe32(record, 296)));
}

UsbIpConnection::UsbIpConnection(int socket, std::uint32_t deviceId, std::uint32_t speed)
    : m_socket(socket), m_deviceId(deviceId), m_speed(speed), m_thread([this] { receiveAnswers(); })
{
}

UsbIpConnection::~UsbIpConnection()
{
    stop();
    ::close(m_socket);
}

void UsbIpConnection::stop()
{
    close();
    if (m_thread.joinable())
        m_thread.join();
}

void UsbIpConnection::close()
{
    ::shutdown(m_socket, SHUT_RDWR);
}

std::uint32_t UsbIpConnection::control(const SetupPacket& setup, ByteView out, Completion done)
{
    return submit({.in = (u8(setup[0]) & 0x80) != 0, .length = readLe16(setup, 6), .setup = setup},
                  out, std::move(done));
}

std::uint32_t UsbIpConnection::bulkIn(unsigned endpoint, std::uint32_t most, Completion done)
{
    return submit({.in = true, .endpoint = endpoint & 0x0F, .length = most}, {}, std::move(done));
}

std::uint32_t UsbIpConnection::bulkOut(unsigned endpoint, ByteView out, Completion done)
{
    return submit({.endpoint = endpoint & 0x0F, .length = static_cast<std::uint32_t>(out.size())},
                  out, std::move(done));
}

std::uint32_t UsbIpConnection::submit(const Submission& what, ByteView out, Completion done)
{
    std::unique_lock lock(m_mutex);
    const std::uint32_t number = ++m_sequence;
    if (m_gone) {
        lock.unlock();
        done({.status = -ESHUTDOWN});
        return number;
    }
    Bytes message;
    ByteWriter writer(message);
    writer.be32(kSubmit).be32(number).be32(m_deviceId).be32(what.in ? 1 : 0).be32(what.endpoint);
    writer.be32(0).be32(what.length).be32(0).be32(0xFFFFFFFF).be32(0).raw(what.setup);
    if (!what.in)
        writer.raw(out.first(what.length));
    m_pending[number] = {.in = what.in, .done = std::move(done)};
    if (!sendAll(m_socket, message))
        close(); // the thread finishes everything that is pending
    return number;
}

void UsbIpConnection::unlink(std::uint32_t transfer)
{
    const std::scoped_lock lock(m_mutex);
    if (!m_pending.contains(transfer))
        return;
    const std::uint32_t number = ++m_sequence;
    Bytes message;
    ByteWriter(message).be32(kUnlink).be32(number).be32(m_deviceId).be32(0).be32(0).be32(transfer);
    message.resize(kHeaderBytes);
    m_unlinks[number] = transfer;
    if (!sendAll(m_socket, message))
        close();
}

std::optional<Bytes> UsbIpConnection::request(const SetupPacket& setup)
{
    const auto promise = std::make_shared<std::promise<Outcome>>();
    auto answer = promise->get_future();
    control(setup, {}, [promise](Outcome outcome) { promise->set_value(std::move(outcome)); });
    if (answer.wait_for(kRequestPatience) != std::future_status::ready)
        return std::nullopt;
    Outcome outcome = answer.get();
    if (outcome.status != 0)
        return std::nullopt;
    return std::move(outcome.data);
}

void UsbIpConnection::receiveAnswers()
{
    while (receiveAnswer()) {
    }
    std::map<std::uint32_t, Pending> orphans;
    {
        const std::scoped_lock lock(m_mutex);
        m_gone = true;
        orphans.swap(m_pending);
    }
    for (auto& [number, pending] : orphans)
        pending.done({.status = -ESHUTDOWN});
}

bool UsbIpConnection::receiveAnswer()
{
    std::array<std::byte, kHeaderBytes> header{};
    if (!receiveAll(m_socket, header))
        return false;
    switch (readBe32(header)) {
    case kSubmitted:
        return finishSubmitted(header);
    case kUnlinked:
        finishUnlinked(header);
        return true;
    default:
        return false;
    }
}

bool UsbIpConnection::finishSubmitted(ByteView header)
{
    auto pending = takePending(readBe32(header, 4));
    if (!pending)
        return false; // an answer to nothing: where the next record begins is unknown
    Outcome outcome{.status = static_cast<int>(readBe32(header, 20)),
                    .actualLength = readBe32(header, 24)};
    outcome.data.resize(pending->in ? outcome.actualLength : 0);
    const bool complete = receiveAll(m_socket, outcome.data);
    if (!complete)
        outcome = {.status = -ESHUTDOWN};
    pending->done(std::move(outcome));
    return complete;
}

void UsbIpConnection::finishUnlinked(ByteView header)
{
    std::uint32_t victim = 0;
    {
        const std::scoped_lock lock(m_mutex);
        victim = m_unlinks[readBe32(header, 4)];
        m_unlinks.erase(readBe32(header, 4));
    }
    if (auto pending = takePending(victim))
        pending->done({.status = -ENOENT});
}

std::optional<UsbIpConnection::Pending> UsbIpConnection::takePending(std::uint32_t transfer)
{
    const std::scoped_lock lock(m_mutex);
    const auto found = m_pending.find(transfer);
    if (found == m_pending.end())
        return std::nullopt;
    Pending pending = std::move(found->second);
    m_pending.erase(found);
    return pending;
}

} // namespace provost::bridge
