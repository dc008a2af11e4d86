#include "acm_tty.h"

#include "core/byte_io.h"

#include <asm/termbits.h> // termios2; not together with <termios.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace provost::bridge {

namespace {

constexpr int kLookMs = 1; ///< for settings, which raise no event
constexpr int kIdleLookMs = 5;
constexpr int kMostWrites = 8; ///< then the terminal's user has to wait
constexpr std::uint32_t kReadBytes = 512;
constexpr unsigned kFreshRate = 9600;

constexpr std::uint8_t kInterfaceDescriptor = 4;
constexpr std::uint8_t kEndpointDescriptor = 5;
constexpr std::uint8_t kCommunicationClass = 2;
constexpr std::uint8_t kAcmSubclass = 2;
constexpr std::uint8_t kDataClass = 10;

constexpr unsigned kSetLineCoding = 0x20;
constexpr unsigned kSetControlLineState = 0x22;
constexpr unsigned kToInterface = 0x21;

/// The preloaded library refuses terminal requests of this very process.
long terminalRequest(int fd, unsigned long request, void* argument = nullptr)
{
    return ::syscall(SYS_ioctl, fd, request, argument);
}

void startRaw(int master)
{
    termios2 settings{};
    settings.c_cflag = B9600 | CS8 | CREAD | HUPCL | CLOCAL;
    settings.c_ispeed = settings.c_ospeed = kFreshRate;
    settings.c_cc[VMIN] = 1;
    terminalRequest(master, TCSETS2, &settings);
}

} // namespace

std::optional<AcmFunction> findAcm(ByteView configuration)
{
    AcmFunction function;
    bool control = false;
    std::uint8_t interfaceClass = 0;
    for (std::size_t at = 0; at + 3 < configuration.size() && u8(configuration[at]) != 0;
         at += u8(configuration[at])) {
        const ByteView item = configuration.subspan(at);
        const std::uint8_t type = u8(item[1]);
        if (type == kInterfaceDescriptor && item.size() >= 9) {
            interfaceClass = u8(item[5]);
            if (interfaceClass == kCommunicationClass && u8(item[6]) == kAcmSubclass && !control) {
                function.controlInterface = u8(item[2]);
                control = true;
            }
        }
        if (type == kEndpointDescriptor && interfaceClass == kDataClass) {
            const unsigned address = u8(item[2]);
            ((address & 0x80) != 0 ? function.endpointIn : function.endpointOut) = address & 0x0F;
        }
    }
    if (!control || function.endpointIn == 0 || function.endpointOut == 0)
        return std::nullopt;
    return function;
}

std::unique_ptr<AcmTty> AcmTty::create(std::shared_ptr<UsbIpConnection> connection,
                                       const AcmFunction& function)
{
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    int locked = 0;
    unsigned number = 0;
    if (master < 0 || terminalRequest(master, TIOCSPTLCK, &locked) != 0 ||
        terminalRequest(master, TIOCGPTN, &number) != 0) {
        ::close(master);
        return nullptr;
    }
    const std::string terminal = "/dev/pts/" + std::to_string(number);
    startRaw(master);
    // Only once it has been opened and closed does the master tell whether it is in use.
    ::close(::open(terminal.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    return std::unique_ptr<AcmTty>(new AcmTty(std::move(connection), function, master, terminal));
}

AcmTty::AcmTty(std::shared_ptr<UsbIpConnection> connection, const AcmFunction& function, int master,
               std::string terminal)
    : m_connection(std::move(connection)), m_function(function), m_master(master),
      m_terminal(std::move(terminal)), m_handler(umockdev_ioctl_base_new()),
      m_thread([this](const std::stop_token& stop) { run(stop); })
{
    g_signal_connect(m_handler, "handle-ioctl", G_CALLBACK(onIoctl), this);
}

AcmTty::~AcmTty()
{
    hangUp();
}

void AcmTty::hangUp()
{
    m_thread.request_stop();
    if (m_thread.joinable())
        m_thread.join();
    if (m_master >= 0)
        ::close(std::exchange(m_master, -1));
}

gboolean AcmTty::onIoctl(UMockdevIoctlBase*, UMockdevIoctlClient* client, gpointer self)
{
    const gulong request = umockdev_ioctl_client_get_request(client);
    constexpr long kLetTheTerminalAnswer = -100;
    switch (request) {
    case TIOCMGET:
    case TIOCMBIS:
    case TIOCMBIC:
    case TIOCMSET:
        static_cast<AcmTty*>(self)->answerModemLines(client, request);
        break;
    case TIOCEXCL:
    case TIOCNXCL:
        // On a pseudo-terminal the lock would outlive its owner.
        umockdev_ioctl_client_complete(client, 0, 0);
        break;
    default:
        umockdev_ioctl_client_complete(client, kLetTheTerminalAnswer, 0);
    }
    return TRUE;
}

void AcmTty::answerModemLines(UMockdevIoctlClient* client, gulong request)
{
    UMockdevIoctlData* const memory =
        umockdev_ioctl_data_resolve(umockdev_ioctl_client_get_arg(client), 0, sizeof(int), nullptr);
    int value = 0;
    std::memcpy(&value, memory->data, sizeof value);
    const int lines = m_lines;
    if (request == TIOCMGET) {
        value = lines | TIOCM_CTS | TIOCM_DSR | TIOCM_CAR;
        std::memcpy(memory->data, &value, sizeof value);
    } else if (request == TIOCMBIS) {
        setLines(lines | value);
    } else {
        setLines(request == TIOCMBIC ? lines & ~value : value);
    }
    umockdev_ioctl_client_complete(client, 0, 0);
    g_object_unref(memory);
}

void AcmTty::setLines(int lines)
{
    m_lines = lines;
    const unsigned value =
        ((lines & TIOCM_DTR) != 0 ? 1U : 0U) | ((lines & TIOCM_RTS) != 0 ? 2U : 0U);
    m_connection->control(
        setupPacket(kToInterface, kSetControlLineState, value, m_function.controlInterface), {},
        [](const Outcome&) {});
}

void AcmTty::run(const std::stop_token& stop)
{
    while (!stop.stop_requested() && !m_connection->gone()) {
        const bool used = inUse();
        pollfd fds{.fd = used ? m_master : -1, .events = POLLIN, .revents = 0};
        ::poll(&fds, 1, used ? kLookMs : kIdleLookMs);
        followUse(used);
        followSettings();
        sendToDevice();
        if (used)
            receiveFromDevice();
    }
}

bool AcmTty::inUse() const
{
    pollfd fds{.fd = m_master, .events = POLLIN, .revents = 0};
    return ::poll(&fds, 1, 0) >= 0 && (fds.revents & POLLHUP) == 0;
}

void AcmTty::followUse(bool inUse)
{
    if (inUse == std::exchange(m_wasInUse, inUse))
        return;
    if (inUse)
        return setLines(m_lines | TIOCM_DTR | TIOCM_RTS);
    if ((m_settings.flags & HUPCL) != 0)
        setLines(m_lines & ~(TIOCM_DTR | TIOCM_RTS));
    const std::scoped_lock lock(m_traffic->mutex);
    m_traffic->received.clear();
    if (m_traffic->reading)
        m_connection->unlink(m_traffic->read);
}

void AcmTty::followSettings()
{
    termios2 now{};
    if (terminalRequest(m_master, TCGETS2, &now) != 0 || now.c_ospeed == 0)
        return;
    const LineSettings settings{.rate = now.c_ospeed, .flags = now.c_cflag};
    if (settings == std::exchange(m_settings, settings))
        return;
    const unsigned parity =
        (now.c_cflag & PARENB) == 0 ? 0U : ((now.c_cflag & PARODD) != 0 ? 1U : 2U);
    Bytes coding;
    ByteWriter(coding)
        .le32(settings.rate)
        .u8((now.c_cflag & CSTOPB) != 0 ? 2 : 0)
        .u8(parity)
        .u8(5 + ((now.c_cflag & CSIZE) >> 4));
    m_connection->control(setupPacket(kToInterface, kSetLineCoding, 0, m_function.controlInterface,
                                      static_cast<unsigned>(coding.size())),
                          coding, [](const Outcome&) {});
}

void AcmTty::sendToDevice()
{
    {
        const std::scoped_lock lock(m_traffic->mutex);
        if (m_traffic->writing >= kMostWrites)
            return;
    }
    std::byte buffer[512];
    const ssize_t count = ::read(m_master, buffer, sizeof buffer);
    if (count <= 0)
        return;
    {
        const std::scoped_lock lock(m_traffic->mutex);
        ++m_traffic->writing;
    }
    m_connection->bulkOut(m_function.endpointOut,
                          ByteView(buffer).first(static_cast<std::size_t>(count)),
                          [traffic = m_traffic](const Outcome&) {
                              const std::scoped_lock lock(traffic->mutex);
                              --traffic->writing;
                          });
}

void AcmTty::receiveFromDevice()
{
    std::unique_lock lock(m_traffic->mutex);
    Bytes& received = m_traffic->received;
    if (!received.empty()) {
        const ssize_t count = ::write(m_master, received.data(), received.size());
        if (count > 0)
            received.erase(received.begin(), received.begin() + count);
    }
    if (m_traffic->reading || !received.empty())
        return;
    m_traffic->reading = true;
    lock.unlock();
    const std::uint32_t read = m_connection->bulkIn(
        m_function.endpointIn, kReadBytes, [traffic = m_traffic](const Outcome& outcome) {
            const std::scoped_lock completing(traffic->mutex);
            traffic->received.insert(traffic->received.end(), outcome.data.begin(),
                                     outcome.data.end());
            traffic->reading = false;
        });
    lock.lock();
    m_traffic->read = read;
}

} // namespace provost::bridge
