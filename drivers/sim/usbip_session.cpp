#include "sim/usbip_session_p.h"

#include "sim/octets.h"
#include "sim/usbip_server.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <thread>

namespace provost::sim {

namespace {

using namespace std::chrono_literals;
using Time = std::chrono::steady_clock;

constexpr auto kOperationPatience = 10s; ///< from connecting to a complete request
constexpr auto kLingerPatience = 250ms;
constexpr auto kLongWait = 1h;
constexpr std::size_t kMostBytes = std::size_t{1} << 20; ///< of one transfer
constexpr std::size_t kMostPending = 4096;
/// Beside the interfaces that in-process hosts claim.
constexpr int kWholeDevice = -2;

constexpr std::uint8_t kGetDescriptor = 6;
constexpr std::uint8_t kSetConfiguration = 9;

} // namespace

UsbIpSession::UsbIpSession(UniqueFd socket, const VirtualPorts& ports, Pace pace)
    : m_socket(std::move(socket)), m_ports(ports), m_pace(pace)
{
}

UsbIpSession::~UsbIpSession()
{
    if (m_port)
        m_port->release(this);
}

void UsbIpSession::run(std::stop_token stop)
{
    m_stop = std::move(stop);
    const std::stop_callback onStop(m_stop, [this] { m_wake.raise(); });
    if (!receiveExactly(usbip::kOperationBytes, Time::now() + kOperationPatience))
        return;
    answerOperation();
    if (m_port)
        serveDevice();
    flush();
    if (m_port)
        m_port->release(this);
    linger();
}

void UsbIpSession::answerOperation()
{
    const Bytes header = take(usbip::kOperationBytes);
    if (be16At(header) != usbip::kVersion)
        return;
    const std::uint16_t code = be16At(header, 2);
    if (code == usbip::kRequestList)
        list();
    else if (code == usbip::kRequestImport)
        import();
}

void UsbIpSession::list()
{
    Bytes devices;
    std::uint32_t count = 0;
    for (std::size_t index = 0; index < m_ports.size(); ++index) {
        const VirtualPort::Occupant occupant = m_ports[index]->current();
        if (!occupant.function)
            continue;
        const usbip::Record device = record(index, occupant);
        usbip::appendRecord(devices, device);
        usbip::appendInterfaces(devices, device);
        ++count;
    }
    usbip::appendOperation(m_out, usbip::kReplyList, 0);
    Fields(m_out).be32(count).raw(devices);
}

void UsbIpSession::import()
{
    if (!receiveExactly(usbip::kBusIdBytes, Time::now() + kOperationPatience))
        return;
    std::string wanted = textOf(take(usbip::kBusIdBytes));
    wanted.resize(std::min(wanted.size(), wanted.find('\0')));
    const auto refuse = [this](usbip::ImportStatus status) {
        usbip::appendOperation(m_out, usbip::kReplyImport, static_cast<std::uint32_t>(status));
    };
    std::size_t index = 0;
    while (index < m_ports.size() && UsbIpServer::busId(index) != wanted)
        ++index;
    if (index == m_ports.size())
        return refuse(usbip::ImportStatus::NoDevice);
    const auto port = m_ports[index];
    VirtualPort::Occupant occupant = port->current();
    if (!occupant.function)
        return refuse(usbip::ImportStatus::NoDevice);
    if (!port->claim(occupant.incarnation, kWholeDevice, this))
        return refuse(usbip::ImportStatus::Busy);
    m_port = port;
    m_occupant = std::move(occupant);
    m_occupant.function->busReset(); // the host's first act, which USB/IP does not transmit
    usbip::appendOperation(m_out, usbip::kReplyImport, 0);
    usbip::appendRecord(m_out, record(index, m_occupant));
}

usbip::Record UsbIpSession::record(std::size_t index, const VirtualPort::Occupant& occupant) const
{
    // Differs for neighbours and from one enumeration to the next; 0 and 1 are host and hub.
    const auto number = 2 + index + m_ports.size() * (occupant.incarnation % 1000);
    return {.busId = UsbIpServer::busId(index),
            .deviceNumber = static_cast<std::uint32_t>(number),
            .device = occupant.function->deviceDescriptor(),
            .configuration = occupant.function->configurationDescriptor()};
}

void UsbIpSession::serveDevice()
{
    std::uint64_t seen = m_port->changes();
    const std::jthread watcher([this, seen](const std::stop_token& stop) mutable {
        while (!stop.stop_requested()) {
            if (m_port->waitForChange(seen, Time::now() + kLongWait, stop)) {
                seen = m_port->changes();
                m_wake.raise();
            }
        }
    });
    while (present() && takeCommands()) {
        m_nextLook = Time::now() + kLongWait;
        serveTransfers();
        if (!pump(m_nextLook))
            return;
    }
}

bool UsbIpSession::present() const
{
    const VirtualPort::Occupant now = m_port->current();
    return now.function && now.incarnation == m_occupant.incarnation;
}

/// False: the client does not speak the protocol.
bool UsbIpSession::takeCommands()
{
    while (m_in.size() >= usbip::kHeaderBytes) {
        const usbip::Command command = usbip::readCommand(m_in);
        if (command.length > kMostBytes ||
            (command.code == usbip::kSubmit && command.isochronous()))
            return false;
        if (m_in.size() < usbip::kHeaderBytes + command.dataBytes())
            return true;
        take(usbip::kHeaderBytes);
        if (!accept(command, take(command.dataBytes())))
            return false;
    }
    return true;
}

bool UsbIpSession::accept(const usbip::Command& command, ByteView data)
{
    if (command.code == usbip::kUnlink) {
        unlink(command);
        return true;
    }
    if (command.code != usbip::kSubmit)
        return false;
    // Both directions of endpoint 0 are one pipe.
    const int address = command.endpoint | (command.in && command.endpoint != 0 ? 0x80 : 0);
    auto& queue = m_queues[address];
    if (queue.size() >= kMostPending)
        return false;
    queue.push_back({.command = command, .data = copyOf(data)});
    return true;
}

void UsbIpSession::unlink(const usbip::Command& command)
{
    const std::uint32_t victim = command.flags;
    std::size_t removed = 0;
    for (auto& [address, queue] : m_queues)
        removed += std::erase_if(queue, [victim](const Transfer& transfer) {
            return transfer.command.sequence == victim;
        });
    usbip::appendUnlinked(m_out, command.sequence, removed > 0 ? usbip::kUnlinkedNow : 0);
}

void UsbIpSession::serveTransfers()
{
    for (auto& [address, queue] : m_queues)
        while (!queue.empty() && serveFirst(queue) == Step::Done)
            queue.pop_front();
}

UsbIpSession::Step UsbIpSession::serveFirst(std::deque<Transfer>& queue)
{
    if (m_lineFree > Time::now()) {
        waitUntil(m_lineFree);
        return Step::Wait;
    }
    Transfer& first = queue.front();
    auto answer = attempt(first);
    if (!answer)
        return Step::Wait;
    finish(first, std::move(*answer));
    return Step::Done;
}

/// Nothing: not yet.
std::optional<UsbIpSession::Answer> UsbIpSession::attempt(Transfer& transfer)
{
    if (!present() || transfer.lost)
        return std::nullopt;
    if (transfer.command.endpoint == 0)
        return control(transfer);
    return bulk(transfer);
}

std::optional<UsbIpSession::Answer> UsbIpSession::bulk(Transfer& transfer)
{
    const usbip::Command& command = transfer.command;
    std::optional<Answer> answer;
    if (!command.in && !std::exchange(transfer.begun, true) && !transfer.data.empty() &&
        meetsFault(transfer, FaultPipe::Bulk, answer))
        return answer;
    UsbReply reply =
        command.in ? m_occupant.function->bulkIn(static_cast<std::uint8_t>(command.endpoint | 0x80),
                                                 command.length)
                   : m_occupant.function->bulkOut(command.endpoint, transfer.data);
    if (reply.kind == UsbReply::Kind::Stall)
        return Answer{.status = usbip::kStall};
    if (reply.kind == UsbReply::Kind::Nak) {
        if (reply.notBefore != SteadyTime{})
            waitUntil(reply.notBefore);
        return std::nullopt;
    }
    if (command.in && !reply.data.empty() && meetsFault(transfer, FaultPipe::Bulk, answer))
        return answer;
    return damaged(transfer, std::move(reply.data));
}

/// As the transfer's fault leaves it.
UsbIpSession::Answer UsbIpSession::damaged(const Transfer& transfer, Bytes data)
{
    if (transfer.halved)
        data.resize(data.size() / 2);
    if (transfer.flipped)
        flipOneBit(data);
    return Answer{.data = std::move(data)};
}

std::optional<UsbIpSession::Answer> UsbIpSession::control(Transfer& transfer)
{
    const UsbSetup& setup = transfer.command.setup;
    if (!transfer.begun) {
        transfer.begun = true;
        if (setup.isIn() != transfer.command.in && transfer.command.length > 0)
            return Answer{.status = usbip::kBusError};
        noteReset(setup);
        std::optional<Answer> answer;
        if (meetsFault(transfer, FaultPipe::Control, answer))
            return answer;
    }
    UsbReply reply = m_occupant.function->control(setup, transfer.data);
    if (reply.kind == UsbReply::Kind::Stall)
        return Answer{.status = usbip::kStall};
    if (reply.kind == UsbReply::Kind::Nak) {
        if (reply.notBefore != SteadyTime{})
            waitUntil(reply.notBefore);
        return std::nullopt;
    }
    return damaged(transfer, std::move(reply.data));
}

/// True: the transfer does not reach the device.
bool UsbIpSession::meetsFault(Transfer& transfer, FaultPipe pipe, std::optional<Answer>& answer)
{
    const auto fault = m_port->countTransfer(pipe);
    if (!fault)
        return false;
    switch (*fault) {
    case FaultKind::Stall:
        answer = Answer{.status = usbip::kStall};
        return true;
    case FaultKind::Timeout:
        transfer.lost = true;
        return true;
    case FaultKind::Short:
        transfer.halved = transfer.command.in;
        if (!transfer.command.in)
            answer = Answer{.status = usbip::kBusError};
        return !transfer.command.in;
    case FaultKind::BitFlip:
        transfer.flipped = transfer.command.in;
        if (!transfer.command.in)
            flipOneBit(transfer.data);
        return false;
    case FaultKind::Unplug:
        return true;
    }
    return false;
}

/// A bus reset is not transmitted; what a host does behind one is (protocol sheet 5.2).
void UsbIpSession::noteReset(const UsbSetup& setup)
{
    if (setup.requestType == 0x80 && setup.request == kGetDescriptor && setup.value == 0x0100)
        m_deviceDescriptorRead = true;
    if (setup.requestType == 0x00 && setup.request == kSetConfiguration &&
        std::exchange(m_deviceDescriptorRead, false))
        m_occupant.function->busReset();
}

void UsbIpSession::finish(const Transfer& transfer, Answer answer)
{
    const usbip::Command& command = transfer.command;
    std::size_t actual = 0;
    if (command.in) {
        // More than was asked for would make the client's kernel drop the whole port.
        answer.data.resize(std::min<std::size_t>(answer.data.size(), command.length));
        actual = answer.data.size();
        if (answer.status == 0 && actual < command.length &&
            (command.flags & usbip::kShortNotOk) != 0)
            answer.status = usbip::kTooShort;
    } else {
        answer.data.clear();
        actual = answer.status == 0 ? transfer.data.size() : 0;
    }
    usbip::appendSubmitted(m_out, command.sequence, answer.status,
                           static_cast<std::uint32_t>(actual), answer.data);
    // Three stages of one packet each at full speed, then about 1 MB/s.
    m_owed += m_pace.usbTime(command.endpoint == 0, actual);
    if (m_owed >= 2ms)
        m_lineFree = Time::now() + std::exchange(m_owed, 0us);
}

/// Waits for the client, the port or `until`, and moves bytes. False: it is over.
bool UsbIpSession::pump(SteadyTime until)
{
    if (!flushSome() || m_stop.stop_requested())
        return false;
    const short events = static_cast<short>(POLLIN | (m_out.empty() ? 0 : POLLOUT));
    pollfd fds[] = {{.fd = m_socket.get(), .events = events, .revents = 0},
                    {.fd = m_wake.fd(), .events = POLLIN, .revents = 0}};
    const auto left = std::max<std::chrono::nanoseconds>(until - Time::now(), 0ns);
    const auto whole = std::chrono::floor<std::chrono::seconds>(left);
    const timespec limit{.tv_sec = whole.count(), .tv_nsec = (left - whole).count()};
    if (::ppoll(fds, 2, &limit, nullptr) < 0 && errno != EINTR)
        return false;
    m_wake.clear();
    if (m_stop.stop_requested())
        return false;
    return (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0 || receiveSome();
}

bool UsbIpSession::receiveExactly(std::size_t count, SteadyTime until)
{
    while (m_in.size() < count)
        if (Time::now() >= until || !pump(until))
            return false;
    return true;
}

bool UsbIpSession::receiveSome()
{
    std::byte buffer[16384];
    const ssize_t count = ::recv(m_socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR;
    m_in.insert(m_in.end(), buffer, buffer + count);
    return count > 0;
}

bool UsbIpSession::flushSome()
{
    if (m_out.empty())
        return true;
    const ssize_t count =
        ::send(m_socket.get(), m_out.data(), m_out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR;
    m_out.erase(m_out.begin(), m_out.begin() + count);
    return true;
}

void UsbIpSession::flush()
{
    const auto until = Time::now() + kLingerPatience;
    while (!m_out.empty() && Time::now() < until && pump(until)) {
    }
}

/// Closing over unread commands would make TCP throw away the answers under way.
void UsbIpSession::linger()
{
    ::shutdown(m_socket.get(), SHUT_WR);
    const auto until = Time::now() + kLingerPatience;
    while (Time::now() < until && pump(until))
        m_in.clear();
}

Bytes UsbIpSession::take(std::size_t count)
{
    const auto end = m_in.begin() + static_cast<std::ptrdiff_t>(count);
    Bytes taken(m_in.begin(), end);
    m_in.erase(m_in.begin(), end);
    return taken;
}

} // namespace provost::sim
