#include "usbfs_node.h"

#include "core/byte_io.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <linux/usbdevice_fs.h>
#include <sys/ioctl.h>

namespace provost::bridge {

namespace {

using Clock = std::chrono::steady_clock;

/// The node is a plain file, so a client's poll() never blocks: without a pause in here libusb
/// would spin. Other ioctls of the same client wait meanwhile.
constexpr std::chrono::milliseconds kHold{2};
constexpr std::chrono::milliseconds kLookForClosed{20};
constexpr gssize kControlHead = 8;
constexpr std::uint32_t kCapabilities = USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_NO_PACKET_SIZE_LIM |
                                        USBDEVFS_CAP_REAP_AFTER_DISCONNECT |
                                        USBDEVFS_CAP_BULK_SCATTER_GATHER;

void complete(UMockdevIoctlClient* client, long result, int error)
{
    umockdev_ioctl_client_complete(client, result, error);
}

template <class T>
T valueAt(const UMockdevIoctlData* data, std::size_t offset = 0)
{
    T value{};
    if (data != nullptr)
        std::memcpy(&value, data->data + offset, sizeof value);
    return value;
}

template <class T>
void setValue(UMockdevIoctlData* data, std::size_t offset, T value)
{
    if (data != nullptr)
        std::memcpy(data->data + offset, &value, sizeof value);
}

/// The fields of a usbdevfs_urb that a client fills in.
struct UrbRequest {
    unsigned char type = 0;
    unsigned char endpoint = 0;
    int bufferLength = 0;
};

UrbRequest requestOf(const UMockdevIoctlData* record)
{
    return {.type = valueAt<unsigned char>(record, offsetof(usbdevfs_urb, type)),
            .endpoint = valueAt<unsigned char>(record, offsetof(usbdevfs_urb, endpoint)),
            .bufferLength = valueAt<int>(record, offsetof(usbdevfs_urb, buffer_length))};
}

/// The number or address that the client passed instead of a pointer.
gulong rawArgument(UMockdevIoctlClient* client)
{
    return valueAt<gulong>(umockdev_ioctl_client_get_arg(client));
}

ByteView viewOf(const UMockdevIoctlData* data)
{
    if (data == nullptr)
        return {};
    return std::as_bytes(std::span(data->data, static_cast<std::size_t>(data->data_len)));
}

} // namespace

UsbfsNode::Memory UsbfsNode::resolve(UMockdevIoctlData* data, std::size_t offset,
                                     std::size_t length)
{
    return Memory(umockdev_ioctl_data_resolve(data, offset, length, nullptr));
}

UsbfsNode::Memory UsbfsNode::argument(Client* client, std::size_t length)
{
    return resolve(umockdev_ioctl_client_get_arg(client), 0, length);
}

UsbfsNode::UsbfsNode(std::shared_ptr<UsbIpConnection> connection)
    : m_connection(std::move(connection)), m_handler(umockdev_ioctl_base_new()),
      m_keeper([this](const std::stop_token& stop) { keep(stop); })
{
    g_signal_connect(m_handler, "handle-ioctl", G_CALLBACK(onIoctl), this);
}

UsbfsNode::~UsbfsNode()
{
    m_connection->stop();
    m_keeper.request_stop();
    m_keeper.join();
}

gboolean UsbfsNode::onIoctl(UMockdevIoctlBase*, Client* client, gpointer self)
{
    static_cast<UsbfsNode*>(self)->handle(client);
    return TRUE;
}

/// Answers reaps that were held long enough, and notices who has closed the node.
void UsbfsNode::keep(const std::stop_token& stop)
{
    std::unique_lock lock(m_mutex);
    const auto held = [this] {
        return std::any_of(m_openings.begin(), m_openings.end(),
                           [](const Opening& each) { return each.reapHeld; });
    };
    while (!stop.stop_requested()) {
        if (held())
            m_changed.wait_for(lock, stop, kHold / 2, [] { return false; });
        else
            m_changed.wait_for(lock, stop, kLookForClosed, held);
        releaseHeld();
        const auto transfers = forgetClosed();
        lock.unlock();
        for (const std::uint32_t transfer : transfers)
            m_connection->unlink(transfer);
        lock.lock();
    }
}

void UsbfsNode::handle(Client* client)
{
    const gulong request = umockdev_ioctl_client_get_request(client);
    const bool reaps = request == USBDEVFS_REAPURB || request == USBDEVFS_REAPURBNDELAY;
    if (m_connection->gone() && !reaps && request != USBDEVFS_GET_CAPABILITIES)
        return complete(client, -1, ENODEV);
    switch (request) {
    case USBDEVFS_GET_CAPABILITIES:
        setValue(argument(client, sizeof kCapabilities).get(), 0, kCapabilities);
        return complete(client, 0, 0);
    case USBDEVFS_CLAIMINTERFACE:
    case USBDEVFS_DISCONNECT_CLAIM: // begins with the interface as well
        return claim(client);
    case USBDEVFS_RELEASEINTERFACE:
        return release(client);
    case USBDEVFS_SETINTERFACE:
        return selectAlternate(client);
    case USBDEVFS_SETCONFIGURATION:
        return forward(client,
                       setupPacket(0x00, 9, valueAt<unsigned>(argument(client, 4).get()), 0));
    case USBDEVFS_CLEAR_HALT:
        return forward(client,
                       setupPacket(0x02, 1, 0, valueAt<unsigned>(argument(client, 4).get())));
    case USBDEVFS_RESETEP:
        return complete(client, 0, 0);
    case USBDEVFS_RESET:
        return resetDevice(client);
    case USBDEVFS_SUBMITURB:
        return submit(client);
    case USBDEVFS_DISCARDURB:
        return discard(client);
    case USBDEVFS_REAPURB:
    case USBDEVFS_REAPURBNDELAY:
        return reap(client);
    case USBDEVFS_IOCTL:
    case USBDEVFS_GETDRIVER:
        return complete(client, -1, ENODATA); // no kernel driver holds it
    default:
        return complete(client, -1, ENOTTY);
    }
}

void UsbfsNode::claim(Client* client)
{
    const auto interface = valueAt<std::uint32_t>(argument(client, sizeof(std::uint32_t)).get());
    bool taken = false;
    {
        const std::scoped_lock lock(m_mutex);
        opening(client);
        Client*& owner = m_claims.try_emplace(interface, client).first->second;
        if (umockdev_ioctl_client_get_connected(owner) == FALSE)
            owner = client;
        taken = owner != client;
    }
    complete(client, taken ? -1 : 0, taken ? EBUSY : 0);
}

void UsbfsNode::release(Client* client)
{
    const auto interface = valueAt<std::uint32_t>(argument(client, sizeof(std::uint32_t)).get());
    bool held = false;
    {
        const std::scoped_lock lock(m_mutex);
        const auto found = m_claims.find(interface);
        held = found != m_claims.end() && found->second == client;
        if (held)
            m_claims.erase(found);
    }
    complete(client, held ? 0 : -1, held ? 0 : EINVAL);
}

void UsbfsNode::selectAlternate(Client* client)
{
    const Memory memory = argument(client, sizeof(usbdevfs_setinterface));
    const auto wanted = valueAt<usbdevfs_setinterface>(memory.get());
    forward(client, setupPacket(0x01, 11, wanted.altsetting, wanted.interface));
}

/// A request without data that the kernel makes for its client.
void UsbfsNode::forward(Client* client, const SetupPacket& setup)
{
    g_object_ref(client);
    m_connection->control(setup, {}, [client](const Outcome& outcome) {
        const bool done = outcome.status == 0;
        complete(client, done ? 0 : -1, outcome.status == -ESHUTDOWN ? ENODEV : -outcome.status);
        g_object_unref(client);
    });
}

/// USB/IP does not transmit a reset, but what the kernel does behind one.
void UsbfsNode::resetDevice(Client* client)
{
    g_object_ref(client);
    m_connection->control(setupPacket(0x80, 6, 0x0100, 0, 18), {}, [this, client](const Outcome&) {
        forward(client, setupPacket(0x00, 9, 1, 0));
        g_object_unref(client);
    });
}

void UsbfsNode::submit(Client* client)
{
    auto urb = std::make_shared<Urb>();
    urb->address = rawArgument(client);
    urb->record = argument(client, sizeof(usbdevfs_urb));
    const UrbRequest record = requestOf(urb->record.get());
    if (record.bufferLength > 0)
        urb->buffer = resolve(urb->record.get(), offsetof(usbdevfs_urb, buffer),
                              static_cast<std::size_t>(record.bufferLength));
    const bool control = record.type == USBDEVFS_URB_TYPE_CONTROL;
    if (control && (urb->buffer == nullptr || record.bufferLength < kControlHead))
        return complete(client, -1, EINVAL);
    urb->headBytes = control ? kControlHead : 0;
    urb->in = ((control ? urb->buffer->data[0] : record.endpoint) & 0x80) != 0;
    {
        const std::scoped_lock lock(m_mutex);
        opening(client).inFlight.push_back(urb);
    }
    start(client, urb);
    complete(client, 0, 0);
}

void UsbfsNode::start(Client* client, const std::shared_ptr<Urb>& urb)
{
    const UrbRequest record = requestOf(urb->record.get());
    const ByteView bytes = viewOf(urb->buffer.get());
    auto done = [this, client, urb](Outcome outcome) { finish(client, urb, std::move(outcome)); };
    std::uint32_t transfer = 0;
    if (record.type == USBDEVFS_URB_TYPE_CONTROL) {
        SetupPacket setup{};
        std::copy_n(bytes.begin(), setup.size(), setup.begin());
        transfer = m_connection->control(setup, bytes.subspan(setup.size()), std::move(done));
    } else if (urb->in) {
        transfer = m_connection->bulkIn(record.endpoint, static_cast<std::uint32_t>(bytes.size()),
                                        std::move(done));
    } else {
        transfer = m_connection->bulkOut(record.endpoint, bytes, std::move(done));
    }
    const std::scoped_lock lock(m_mutex);
    urb->transfer = transfer;
}

void UsbfsNode::finish(Client* client, const std::shared_ptr<Urb>& urb, Outcome outcome)
{
    urb->outcome = std::move(outcome);
    const std::scoped_lock lock(m_mutex);
    Opening* const owner = find(client);
    if (owner == nullptr || owner->inFlight.remove(urb) == 0)
        return; // closed meanwhile; another client may have the address now
    owner->done.push_back(urb);
    if (owner->reapHeld)
        deliver(*owner);
}

void UsbfsNode::discard(Client* client)
{
    const gulong address = rawArgument(client);
    std::uint32_t transfer = 0;
    {
        const std::scoped_lock lock(m_mutex);
        for (const auto& urb : opening(client).inFlight)
            if (urb->address == address)
                transfer = urb->transfer;
    }
    if (transfer == 0)
        return complete(client, -1, EINVAL);
    m_connection->unlink(transfer);
    complete(client, 0, 0);
}

void UsbfsNode::reap(Client* client)
{
    argument(client, sizeof(void*)); // loaded here: the answer may come from another thread
    const std::scoped_lock lock(m_mutex);
    Opening& owner = opening(client);
    // libusb reaps until it is told that there is nothing more: told at once behind a success.
    const bool answerNow = !owner.done.empty() || owner.justReaped || m_connection->gone();
    if (answerNow)
        return deliver(owner);
    owner.reapHeld = true;
    owner.heldUntil = Clock::now() + kHold;
    m_changed.notify_all();
}

/// Ends the client's reap. m_mutex is held.
void UsbfsNode::deliver(Opening& owner)
{
    owner.reapHeld = false;
    if (owner.done.empty()) {
        owner.justReaped = false;
        return complete(owner.client, -1, m_connection->gone() ? ENODEV : EAGAIN);
    }
    owner.justReaped = true;
    const std::shared_ptr<Urb> urb = owner.done.front();
    owner.done.pop_front();
    setValue(urb->record.get(), offsetof(usbdevfs_urb, status), urb->outcome.status);
    setValue(urb->record.get(), offsetof(usbdevfs_urb, actual_length),
             static_cast<int>(urb->outcome.actualLength));
    if (urb->in && urb->buffer != nullptr) {
        const auto room = static_cast<std::size_t>(urb->buffer->data_len) - urb->headBytes;
        const Bytes& data = urb->outcome.data;
        if (!data.empty())
            std::memcpy(urb->buffer->data + urb->headBytes, data.data(),
                        std::min(data.size(), room));
    }
    umockdev_ioctl_data_set_ptr(argument(owner.client, sizeof(void*)).get(), 0, urb->record.get());
    complete(owner.client, 0, 0);
}

void UsbfsNode::releaseHeld()
{
    for (Opening& each : m_openings)
        if (each.reapHeld && (Clock::now() >= each.heldUntil || m_connection->gone()))
            deliver(each);
}

UsbfsNode::Opening& UsbfsNode::opening(Client* client)
{
    if (Opening* const known = find(client))
        return *known;
    g_object_ref(client);
    return m_openings.emplace_back(Opening{.client = client});
}

UsbfsNode::Opening* UsbfsNode::find(Client* client)
{
    const auto found =
        std::find_if(m_openings.begin(), m_openings.end(),
                     [client](const Opening& each) { return each.client == client; });
    return found == m_openings.end() ? nullptr : &*found;
}

/// As the kernel does when a descriptor is closed: its claims and transfers end. libumockdev does
/// not say so by itself, and never notices a program that was killed while it waited for an answer.
/// @returns the transfers that are to be unlinked
std::vector<std::uint32_t> UsbfsNode::forgetClosed()
{
    std::vector<std::uint32_t> orphans;
    for (auto each = m_openings.begin(); each != m_openings.end();) {
        Client* const client = each->client;
        if (umockdev_ioctl_client_get_connected(client) != FALSE) {
            ++each;
            continue;
        }
        for (const auto& urb : each->inFlight)
            orphans.push_back(urb->transfer);
        std::erase_if(m_claims, [client](const auto& claim) { return claim.second == client; });
        each = m_openings.erase(each);
        g_object_unref(client);
    }
    return orphans;
}

} // namespace provost::bridge
