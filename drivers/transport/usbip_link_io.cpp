// UsbIpLink: its thread, and what it reads and writes.
#include "core/byte_io.h"
#include "core/text.h"
#include "transport/usbip_link_p.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace provost {

namespace {

// So many transfers given up and never answered: nobody is at home there.
constexpr std::ptrdiff_t kMostForgotten = 64;

Unexpected violation(const std::string& name, const std::string& what)
{
    return fail(Errc::Io, Blame::Fixture,
                concat("the USB/IP server of ", name, " breaks the protocol: ", what));
}

} // namespace

UsbIpLink::Wake::Wake() : m_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

UsbIpLink::Wake::~Wake()
{
    ::close(m_fd);
}

void UsbIpLink::Wake::raise() const
{
    static_cast<void>(::eventfd_write(m_fd, 1));
}

void UsbIpLink::Wake::clear() const
{
    eventfd_t count = 0;
    static_cast<void>(::eventfd_read(m_fd, &count));
}

std::uint32_t UsbIpLink::nextSequence()
{
    do
        ++m_sequence;
    while (m_sequence == 0 || m_pending.contains(m_sequence) || m_unlinks.contains(m_sequence));
    return m_sequence;
}

std::uint32_t UsbIpLink::submit(const Transfer& transfer, Done done)
{
    {
        const MutexLock lock(m_mutex);
        if (!m_loss) {
            const std::uint32_t sequence = nextSequence();
            const std::size_t length = transfer.in ? transfer.most : transfer.out.size();
            m_pending[sequence] = {.done = std::move(done),
                                   .in = transfer.in,
                                   .length = length,
                                   .owner = transfer.owner};
            send(usbip::submitFrame({.sequence = sequence,
                                     .device = (m_record.bus << 16) | m_record.number,
                                     .in = transfer.in,
                                     .endpoint = transfer.endpoint,
                                     .setup = transfer.setup,
                                     .length = length},
                                    transfer.in ? ByteView() : transfer.out));
            return sequence;
        }
    }
    done({});
    return 0;
}

void UsbIpLink::cancel(std::uint32_t sequence)
{
    const MutexLock lock(m_mutex);
    if (const auto victim = m_pending.find(sequence); victim != m_pending.end())
        unlink(sequence, victim->second);
}

void UsbIpLink::cancelOwned(const void* owner)
{
    const MutexLock lock(m_mutex);
    for (auto& [sequence, each] : m_pending)
        if (each.owner == owner)
            unlink(sequence, each);
}

void UsbIpLink::unlink(std::uint32_t sequence, Pending& victim)
{
    if (m_loss || std::exchange(victim.unlinked, true))
        return;
    const auto forgotten = std::count_if(m_pending.begin(), m_pending.end(),
                                         [](const auto& each) { return each.second.unlinked; });
    if (forgotten > kMostForgotten) {
        m_loss = violation(m_name, concat(forgotten, " transfers without an answer")).value();
        ::shutdown(m_socket.fd(), SHUT_RDWR);
        return;
    }
    const std::uint32_t own = nextSequence();
    m_unlinks[own] = sequence;
    send(usbip::unlinkFrame(own, (m_record.bus << 16) | m_record.number, sequence));
}

/// Never waits: what the socket does not take now is left to the thread.
void UsbIpLink::send(WipedBytes frame)
{
    std::size_t sent = 0;
    if (m_out.empty()) {
        const ssize_t count =
            ::send(m_socket.fd(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        sent = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    }
    if (sent == frame.size())
        return;
    m_out.emplace_back(frame.begin() + static_cast<std::ptrdiff_t>(sent), frame.end());
    m_wake.raise();
}

void UsbIpLink::serve(const std::stop_token& stop)
{
    while (!stop.stop_requested()) {
        short events = POLLIN;
        {
            const MutexLock lock(m_mutex);
            if (!m_out.empty())
                events |= POLLOUT;
        }
        pollfd fds[] = {{.fd = m_socket.fd(), .events = events, .revents = 0},
                        {.fd = m_wake.fd(), .events = POLLIN, .revents = 0}};
        if (::poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        m_wake.clear();
        if ((fds[0].revents & POLLOUT) != 0)
            sendQueued();
        if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0)
            continue;
        if (auto received = receive(); !received) {
            *m_lost = true;
            return lose(std::move(received).error());
        }
    }
    lose({.code = Errc::Disconnected, .message = concat(m_name, " was closed")});
}

void UsbIpLink::sendQueued()
{
    const MutexLock lock(m_mutex);
    while (!m_out.empty()) {
        WipedBytes& first = m_out.front();
        const ssize_t count =
            ::send(m_socket.fd(), first.data(), first.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0)
            return; // not yet, or the socket is broken, which receive() reports
        if (static_cast<std::size_t>(count) == first.size())
            m_out.pop_front();
        else
            first = WipedBytes(first.begin() + count, first.end());
    }
}

Result<> UsbIpLink::receive()
{
    while (true) {
        const ByteSpan to = wanted();
        const ssize_t count = ::recv(m_socket.fd(), to.data(), to.size(), MSG_DONTWAIT);
        if (count > 0) {
            TRY(accept(static_cast<std::size_t>(count)));
            continue;
        }
        if (count == 0)
            return fail(Errc::Disconnected, Blame::Fixture,
                        concat(m_name, " has left the bus: the server closed the connection"));
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN)
            return {};
        // Whatever ended the connection, the device is out of reach.
        return fail(Errc::Disconnected, Blame::Fixture,
                    concat("read from ", m_name, ": ", systemMessage(errno)), errno);
    }
}

/// Where the next bytes go; never empty.
ByteSpan UsbIpLink::wanted()
{
    if (m_arrival)
        return ByteSpan(m_arrival->outcome.data).subspan(m_arrival->have);
    return ByteSpan(m_header).subspan(m_headerBytes);
}

Result<> UsbIpLink::accept(std::size_t count)
{
    if (!m_arrival) {
        m_headerBytes += count;
        return m_headerBytes == m_header.size() ? acceptHeader() : Result<>();
    }
    m_arrival->have += count;
    if (m_arrival->have < m_arrival->outcome.data.size())
        return {};
    Arrival arrival = std::move(*m_arrival);
    m_arrival.reset();
    if (arrival.done)
        arrival.done(std::move(arrival.outcome));
    return {};
}

Result<> UsbIpLink::acceptHeader()
{
    m_headerBytes = 0;
    const usbip::Answer answer = usbip::readAnswer(m_header);
    switch (answer.kind) {
    case usbip::Answer::Kind::Submitted:
        return submitted(answer);
    case usbip::Answer::Kind::Unlinked:
        return unlinked(answer);
    case usbip::Answer::Kind::Unknown:
        break;
    }
    return violation(m_name, concat("an answer of kind ", answer.code));
}

Result<> UsbIpLink::submitted(const usbip::Answer& answer)
{
    Pending pending;
    {
        const MutexLock lock(m_mutex);
        const auto found = m_pending.find(answer.sequence);
        if (found == m_pending.end())
            return violation(m_name, concat("an answer to transfer ", answer.sequence,
                                            ", which is not under way"));
        if (answer.actual > found->second.length)
            return violation(m_name, concat(answer.actual, " bytes in answer to a transfer of ",
                                            found->second.length));
        pending = std::move(found->second);
        m_pending.erase(found);
    }
    Outcome outcome{.end = Outcome::End::Answered,
                    .status = answer.status,
                    .moved = answer.actual,
                    .data = WipedBytes(pending.in ? answer.actual : 0)};
    if (!outcome.data.empty())
        m_arrival = Arrival{.done = std::move(pending.done), .outcome = std::move(outcome)};
    else if (pending.done)
        pending.done(std::move(outcome));
    return {};
}

Result<> UsbIpLink::unlinked(const usbip::Answer& answer)
{
    Done done;
    {
        const MutexLock lock(m_mutex);
        const auto unlink = m_unlinks.find(answer.sequence);
        if (unlink == m_unlinks.end())
            return violation(m_name, concat("an answer to unlink ", answer.sequence,
                                            ", which is not under way"));
        const auto victim = m_pending.find(unlink->second);
        m_unlinks.erase(unlink);
        if (victim == m_pending.end())
            return {}; // its answer was faster
        done = std::exchange(victim->second.done, {});
        // Status 0 says that the answer is under way: it is still to be read.
        if (answer.status != 0)
            m_pending.erase(victim);
    }
    if (done)
        done({.end = Outcome::End::Unlinked});
    return {};
}

/// The end of the link: every transfer under way fails.
void UsbIpLink::lose(Error error)
{
    std::map<std::uint32_t, Pending> pending;
    std::optional<Arrival> arrival;
    {
        const MutexLock lock(m_mutex);
        if (!m_loss)
            m_loss = std::move(error);
        pending.swap(m_pending);
        m_unlinks.clear();
        m_out.clear();
    }
    arrival.swap(m_arrival);
    ::shutdown(m_socket.fd(), SHUT_RDWR);
    if (arrival && arrival->done)
        arrival->done({});
    for (const auto& [sequence, each] : pending)
        if (each.done)
            each.done({});
}

} // namespace provost
