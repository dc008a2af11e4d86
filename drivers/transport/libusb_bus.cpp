#include "transport/libusb_bus.h"

#include "transport/usb_sysfs_p.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "transport/libusb_context_p.h"

#include <algorithm>
#include <cstring>
#include <stop_token>

namespace provost {

namespace {

// Without udevd there are no plug events: look again by ourselves.
constexpr std::chrono::milliseconds kLookAgain{100};
// libusb's Linux back end refuses more (protocol sheet 6.1).
constexpr std::size_t kMaxControlBytes = 4096;
constexpr unsigned kDescriptorTimeoutMs = 1000;

/// Bytes handed to libusb: they may be key material, so they are wiped when they go.
class TransferBuffer {
public:
    explicit TransferBuffer(std::size_t size) : m_bytes(size) {}
    ~TransferBuffer() { ::explicit_bzero(m_bytes.data(), m_bytes.size()); }
    TransferBuffer(const TransferBuffer&) = delete;
    TransferBuffer& operator=(const TransferBuffer&) = delete;
    unsigned char* data() { return m_bytes.data(); }
    int size() const { return static_cast<int>(m_bytes.size()); }

private:
    std::vector<unsigned char> m_bytes;
};

struct TransferDeleter {
    void operator()(libusb_transfer* transfer) const { libusb_free_transfer(transfer); }
};

/// One asynchronous transfer that the caller waits for.
class Transfer {
public:
    Transfer() : m_transfer(libusb_alloc_transfer(0)) {}
    libusb_transfer* get() { return m_transfer.get(); }
    void* user() { return this; }

    static void LIBUSB_CALL onDone(libusb_transfer* transfer)
    {
        auto& self = *static_cast<Transfer*>(transfer->user_data);
        const MutexLock lock(self.m_mutex);
        self.m_done = true;
        self.m_wake.notify_all();
    }

    /// Submits and waits. @returns the bytes moved
    Result<std::size_t> run(const std::string& attempt, const OpContext& op)
    {
        ENSURE(m_transfer != nullptr);
        if (auto ready = op.checkpoint(); !ready)
            return Unexpected(inFrame(std::move(ready).error(), attempt));
        if (const int code = libusb_submit_transfer(get()); code != LIBUSB_SUCCESS)
            return libusbError(code, attempt);
        const bool inTime = wait(op);
        return outcome(attempt, inTime, op);
    }

private:
    bool wait(const OpContext& op)
    {
        const std::stop_callback onStop(op.stop, [this] { libusb_cancel_transfer(get()); });
        const auto done = [this]() PROVOST_REQUIRES(m_mutex) { return m_done; };
        MutexLock lock(m_mutex);
        const bool inTime = m_wake.wait_for(lock, op.remaining(), done);
        if (!inTime) {
            lock.unlock();
            libusb_cancel_transfer(get());
            lock.lock();
            // libusb completes a cancelled transfer always; its memory is in use until then.
            m_wake.wait(lock, done);
        }
        return inTime;
    }

    Result<std::size_t> outcome(const std::string& attempt, bool inTime, const OpContext& op)
    {
        const auto moved = static_cast<std::size_t>(std::max(get()->actual_length, 0));
        switch (get()->status) {
        case LIBUSB_TRANSFER_COMPLETED:
            return moved;
        case LIBUSB_TRANSFER_STALL:
            return libusbError(LIBUSB_ERROR_PIPE, attempt);
        case LIBUSB_TRANSFER_NO_DEVICE:
            return libusbError(LIBUSB_ERROR_NO_DEVICE, attempt);
        case LIBUSB_TRANSFER_OVERFLOW:
            return libusbError(LIBUSB_ERROR_OVERFLOW, attempt);
        case LIBUSB_TRANSFER_TIMED_OUT:
            return libusbError(LIBUSB_ERROR_TIMEOUT, attempt);
        case LIBUSB_TRANSFER_CANCELLED:
            if (op.stop.stop_requested())
                return fail(Errc::Cancelled, Blame::Operator, concat(attempt, ": stopped"));
            if (!inTime)
                return libusbError(LIBUSB_ERROR_TIMEOUT, attempt);
            // Linux completes the transfers of an unplugged device like this, too.
            return libusbError(LIBUSB_ERROR_NO_DEVICE, attempt);
        default:
            return libusbError(LIBUSB_ERROR_IO, attempt);
        }
    }

    std::unique_ptr<libusb_transfer, TransferDeleter> m_transfer;
    Mutex m_mutex;
    std::condition_variable_any m_wake;
    bool m_done PROVOST_GUARDED_BY(m_mutex) = false;
};

std::string nameOf(const ControlSetup& setup, std::size_t size)
{
    return concat((setup.requestType & 0x80) != 0 ? "control read " : "control write ",
                  hex16(static_cast<std::uint16_t>((setup.requestType << 8) | setup.request)),
                  " value ", hex16(setup.value), " index ", hex16(setup.index), " length ", size);
}

} // namespace

class LibusbBus::Device final : public UsbDevice {
public:
    // The context goes last: closing the handle needs its event thread.
    Device(std::shared_ptr<Context> context, LibusbHandle handle, UsbDeviceInfo info)
        : m_context(std::move(context)), m_handle(std::move(handle)), m_info(std::move(info))
    {
        libusb_set_auto_detach_kernel_driver(m_handle.get(), 1);
    }

    const UsbDeviceInfo& info() const override { return m_info; }
    Result<Bytes> descriptor(std::uint8_t type, std::uint8_t index) override;
    Result<> claim(std::uint8_t number) override
    {
        return done(libusb_claim_interface(m_handle.get(), number),
                    concat("claim interface ", number + 0));
    }
    Result<> selectAlternate(std::uint8_t number, std::uint8_t alternate) override
    {
        // For a device that has left, libusb 1.0.26 unlocks here a mutex that it never locked, and
        // aborts the program when the handle is closed. This question is answered properly.
        if (libusb_kernel_driver_active(m_handle.get(), number) == LIBUSB_ERROR_NO_DEVICE)
            return done(LIBUSB_ERROR_NO_DEVICE,
                        concat("select alternate ", alternate + 0, " of interface ", number + 0));
        return done(libusb_set_interface_alt_setting(m_handle.get(), number, alternate),
                    concat("select alternate ", alternate + 0, " of interface ", number + 0));
    }
    Result<std::size_t> controlIn(ControlSetup setup, ByteSpan to, const OpContext& op) override;
    Result<> controlOut(ControlSetup setup, ByteView data, const OpContext& op) override;
    Result<std::size_t> bulkIn(std::uint8_t endpoint, ByteSpan to, const OpContext& op) override;
    Result<> bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op) override;
    Result<> reset() override { return done(libusb_reset_device(m_handle.get()), "reset"); }

private:
    Result<> done(int code, std::string_view attempt) const
    {
        if (code == LIBUSB_SUCCESS)
            return {};
        return libusbError(code, concat(attempt, " of ", toText(m_info.port)));
    }
    Result<std::size_t> control(ControlSetup setup, TransferBuffer& buffer, const OpContext& op);
    Result<std::size_t> bulk(std::uint8_t endpoint, TransferBuffer& buffer, const OpContext& op);
    Result<Bytes> rawDescriptor(std::uint8_t type, std::uint8_t index, std::size_t size);

    std::shared_ptr<Context> m_context;
    LibusbHandle m_handle;
    UsbDeviceInfo m_info;
};

Result<Bytes> LibusbBus::Device::descriptor(std::uint8_t type, std::uint8_t index)
{
    if (type != LIBUSB_DT_CONFIG)
        return rawDescriptor(type, index, 255);
    // wTotalLength first: some devices answer a longer request with garbage behind the end.
    const Bytes head = TRY(rawDescriptor(type, index, 9));
    if (head.size() < 4)
        return fail(Errc::Protocol, Blame::Unit,
                    concat("read configuration descriptor of ", toText(m_info.port), ": ",
                           head.size(), " bytes"));
    return rawDescriptor(type, index, std::max<std::size_t>(readLe16(head, 2), 9));
}

Result<Bytes> LibusbBus::Device::rawDescriptor(std::uint8_t type, std::uint8_t index,
                                               std::size_t size)
{
    std::vector<unsigned char> raw(std::min(size, kMaxControlBytes));
    const int count = libusb_control_transfer(
        m_handle.get(), LIBUSB_ENDPOINT_IN, LIBUSB_REQUEST_GET_DESCRIPTOR,
        static_cast<std::uint16_t>((type << 8) | index),
        type == LIBUSB_DT_STRING && index != 0 ? kEnglish : std::uint16_t{0}, raw.data(),
        static_cast<std::uint16_t>(raw.size()), kDescriptorTimeoutMs);
    if (count < 0)
        return libusbError(count, concat("read descriptor ", type + 0, "/", index + 0, " of ",
                                         toText(m_info.port)));
    raw.resize(static_cast<std::size_t>(count));
    return toBytes(std::as_bytes(std::span(raw)));
}

Result<std::size_t> LibusbBus::Device::control(ControlSetup setup, TransferBuffer& buffer,
                                               const OpContext& op)
{
    const auto size = static_cast<std::size_t>(buffer.size()) - LIBUSB_CONTROL_SETUP_SIZE;
    libusb_fill_control_setup(buffer.data(), setup.requestType, setup.request, setup.value,
                              setup.index, static_cast<std::uint16_t>(size));
    Transfer transfer;
    libusb_fill_control_transfer(transfer.get(), m_handle.get(), buffer.data(), &Transfer::onDone,
                                 transfer.user(), 0);
    return transfer.run(concat(nameOf(setup, size), " of ", toText(m_info.port)), op);
}

Result<std::size_t> LibusbBus::Device::controlIn(ControlSetup setup, ByteSpan to,
                                                 const OpContext& op)
{
    ENSURE(to.size() <= kMaxControlBytes && (setup.requestType & 0x80) != 0);
    TransferBuffer buffer(LIBUSB_CONTROL_SETUP_SIZE + to.size());
    const std::size_t count = std::min(TRY(control(setup, buffer, op)), to.size());
    std::memcpy(to.data(), buffer.data() + LIBUSB_CONTROL_SETUP_SIZE, count);
    return count;
}

Result<> LibusbBus::Device::controlOut(ControlSetup setup, ByteView data, const OpContext& op)
{
    ENSURE(data.size() <= kMaxControlBytes && (setup.requestType & 0x80) == 0);
    TransferBuffer buffer(LIBUSB_CONTROL_SETUP_SIZE + data.size());
    if (!data.empty())
        std::memcpy(buffer.data() + LIBUSB_CONTROL_SETUP_SIZE, data.data(), data.size());
    TRY(control(setup, buffer, op));
    return {};
}

Result<std::size_t> LibusbBus::Device::bulk(std::uint8_t endpoint, TransferBuffer& buffer,
                                            const OpContext& op)
{
    Transfer transfer;
    libusb_fill_bulk_transfer(transfer.get(), m_handle.get(), endpoint, buffer.data(),
                              buffer.size(), &Transfer::onDone, transfer.user(), 0);
    auto moved = transfer.run(concat("bulk transfer of ", buffer.size(), " bytes on endpoint ",
                                     endpoint + 0, " of ", toText(m_info.port)),
                              op);
    // Unlike endpoint 0, a bulk endpoint stays halted until it is told otherwise.
    if (!moved && moved.error().code == Errc::Protocol)
        libusb_clear_halt(m_handle.get(), endpoint);
    return moved;
}

Result<std::size_t> LibusbBus::Device::bulkIn(std::uint8_t endpoint, ByteSpan to,
                                              const OpContext& op)
{
    TransferBuffer buffer(to.size());
    const std::size_t count = TRY(bulk(endpoint, buffer, op));
    std::memcpy(to.data(), buffer.data(), count);
    return count;
}

Result<> LibusbBus::Device::bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op)
{
    TransferBuffer buffer(data.size());
    if (!data.empty())
        std::memcpy(buffer.data(), data.data(), data.size());
    const std::size_t moved = TRY(bulk(endpoint, buffer, op));
    if (moved != data.size())
        return fail(Errc::Io, Blame::Fixture,
                    concat("bulk write on endpoint ", endpoint + 0, " of ", toText(m_info.port),
                           ": ", moved, " of ", data.size(), " bytes went out"));
    return {};
}

Result<std::unique_ptr<LibusbBus>> LibusbBus::create()
{
    auto context = std::make_shared<Context>();
    TRY(context->start());
    return std::unique_ptr<LibusbBus>(new LibusbBus(std::move(context)));
}

LibusbBus::LibusbBus(std::shared_ptr<Context> context) : m_context(std::move(context)) {}

LibusbBus::~LibusbBus() = default;

Result<UsbPortPath> LibusbBus::portPath(std::string_view busAndPorts)
{
    auto path = sysfs::portOfName(busAndPorts);
    if (!path)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("USB port \"", busAndPorts, "\": must be like 1-2.3, bus and ports"));
    return std::move(*path);
}

Result<std::vector<UsbDeviceInfo>> LibusbBus::enumerate()
{
    return m_context->enumerate();
}

Result<std::unique_ptr<UsbDevice>> LibusbBus::open(const UsbDeviceInfo& which)
{
    auto handle = TRY(m_context->open(which));
    return std::make_unique<Device>(m_context, std::move(handle), which);
}

Result<UsbDeviceInfo> LibusbBus::waitFor(const UsbPortPath& port, std::span<const UsbId> anyOf,
                                         const OpContext& op)
{
    while (true) {
        if (auto ready = op.checkpoint(); !ready)
            return Unexpected(
                inFrame(std::move(ready).error(), concat("wait for a device at ", toText(port))));
        const std::uint64_t seen = m_context->generation();
        const auto present = TRY(m_context->enumerate());
        for (const auto& info : present) {
            const bool wanted = anyOf.empty() || std::ranges::find(anyOf, info.id) != anyOf.end();
            if (info.port == port && wanted)
                return info;
        }
        m_context->waitForChange(seen, std::min(op.remaining(), kLookAgain), op.stop);
    }
}

} // namespace provost
