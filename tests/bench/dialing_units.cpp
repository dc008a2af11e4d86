#include "dialing_units.h"

#include "core/byte_io.h"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace provost::test {

namespace {

// particle-devices 5.1, 5.2
constexpr std::size_t kNonce = 40;
constexpr std::size_t kSealedCredentials = 128;
constexpr std::size_t kCredentialsMessage = kSealedCredentials + 256;
constexpr std::uint16_t kProduct = 6;
constexpr std::size_t kReadAtOnce = 1024;

int connectTo(std::uint16_t port)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const void* const generic = &address;
    if (fd < 0 || ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        ::connect(fd, static_cast<const sockaddr*>(generic), sizeof address) != 0)
        return -1;
    return fd;
}

} // namespace

/// One unit; each step takes what it waits for from what came, and answers.
class DialingUnitLine {
public:
    DialingUnitLine(const DialingUnit& unit, int fd) : m_unit(unit), m_fd(fd) {}
    ~DialingUnitLine() { hangUp(); }
    DialingUnitLine(DialingUnitLine&& other) noexcept
        : m_unit(other.m_unit), m_fd(std::exchange(other.m_fd, -1))
    {
    }
    DialingUnitLine& operator=(DialingUnitLine&&) = delete;
    int fd() const { return m_fd; }
    bool passed() const { return m_passed; }

    /// False: it is through, or something is wrong, and the line is closed.
    bool readOn(const RsaPublicKey& server)
    {
        std::array<std::byte, kReadAtOnce> piece{};
        const ssize_t count = ::recv(m_fd, piece.data(), piece.size(), MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (count > 0)
            ByteWriter(m_came).raw(ByteView(piece).first(static_cast<std::size_t>(count)));
        bool goesOn = count > 0;
        while (goesOn && !m_passed && m_came.size() >= wanted())
            goesOn = step(server);
        if (goesOn && !m_passed)
            return true;
        hangUp();
        return false;
    }

private:
    enum class Awaited : std::uint8_t { Nonce, Credentials, Hello, PingAnswer };

    std::size_t wanted() const
    {
        if (m_awaited == Awaited::Nonce)
            return kNonce;
        if (m_awaited == Awaited::Credentials)
            return kCredentialsMessage;
        return m_came.size() < 2 ? 2 : 2 + std::size_t{readBe16(m_came)};
    }

    bool step(const RsaPublicKey& server)
    {
        const Bytes message(m_came.begin(), m_came.begin() + static_cast<ssize_t>(wanted()));
        m_came.erase(m_came.begin(), m_came.begin() + std::ssize(message));
        switch (std::exchange(m_awaited, static_cast<Awaited>(static_cast<int>(m_awaited) + 1))) {
        case Awaited::Nonce:
            return reply(message, server);
        case Awaited::Credentials:
            return sayHello(message, server);
        case Awaited::Hello:
            return ping(message);
        case Awaited::PingAnswer:
            m_passed = m_cipher->open(ByteView(message).subspan(2)).has_value();
            return m_passed;
        }
        return false;
    }

    bool reply(ByteView nonce, const RsaPublicKey& server)
    {
        const auto sealed = server.encrypt(
            handshake::replyPlaintext(nonce, m_unit.deviceId, m_unit.key->publicKey().toDer()));
        return sealed && send(*sealed);
    }

    bool sayHello(ByteView message, const RsaPublicKey& server)
    {
        const auto credentials = m_unit.key->decrypt(message.first(kSealedCredentials));
        if (!credentials || !handshake::checkCredentials(server, credentials->reveal(),
                                                         message.first(kSealedCredentials),
                                                         message.subspan(kSealedCredentials)))
            return false;
        m_cipher.emplace(credentials->reveal());
        m_id = handshake::firstMessageId(m_cipher->salt(), MessageIdOrder::LittleEndian);
        const auto hello = m_cipher->seal(handshake::deviceHello(
            {.messageId = m_id, .productId = kProduct, .platformId = kProduct}));
        return hello && send(*hello);
    }

    bool ping(ByteView hello)
    {
        const auto opened = m_cipher->open(hello.subspan(2));
        const auto frame = m_cipher->seal(handshake::ping(static_cast<std::uint16_t>(m_id + 1)));
        return opened && frame && send(*frame);
    }

    bool send(const Bytes& bytes) const
    {
        return ::send(m_fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == std::ssize(bytes);
    }

    void hangUp()
    {
        if (m_fd >= 0)
            ::close(std::exchange(m_fd, -1));
    }

    const DialingUnit& m_unit;
    int m_fd;
    Awaited m_awaited = Awaited::Nonce;
    Bytes m_came{};
    std::optional<SessionCipher> m_cipher{};
    std::uint16_t m_id = 0;
    bool m_passed = false;
};

struct DialingUnits::Impl {
    std::vector<DialingUnit> units{};
    std::vector<DialingUnitLine> lines{};
    RsaPublicKey server;
    int poll = ::epoll_create1(EPOLL_CLOEXEC);
};

DialingUnits::DialingUnits(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}

DialingUnits::~DialingUnits()
{
    ::close(m_impl->poll);
}

std::unique_ptr<DialingUnits> DialingUnits::connect(const std::vector<DialingUnit>& units,
                                                    std::uint16_t port, const RsaPublicKey& server)
{
    std::unique_ptr<Impl> impl(new Impl{.units = units, .server = server});
    impl->lines.reserve(units.size());
    for (const DialingUnit& unit : impl->units) {
        const int fd = connectTo(port);
        if (fd < 0)
            return nullptr;
        impl->lines.emplace_back(unit, fd);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = impl->lines.size() - 1;
        ::epoll_ctl(impl->poll, EPOLL_CTL_ADD, fd, &event);
    }
    return std::unique_ptr<DialingUnits>(new DialingUnits(std::move(impl)));
}

std::size_t DialingUnits::finish()
{
    std::array<epoll_event, 64> events{};
    std::size_t open = m_impl->lines.size();
    while (open > 0) {
        const int count =
            ::epoll_wait(m_impl->poll, events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < count; ++i)
            open -=
                m_impl->lines[events[static_cast<std::size_t>(i)].data.u64].readOn(m_impl->server)
                    ? 0
                    : 1;
    }
    std::size_t passed = 0;
    for (const DialingUnitLine& line : m_impl->lines)
        passed += line.passed() ? 1 : 0;
    return passed;
}

} // namespace provost::test
