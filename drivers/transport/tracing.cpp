#include "transport/tracing.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "transport/trace_requests_p.h"

#include <algorithm>

namespace provost {

namespace {

/// Writes one entry; the time runs from its construction.
class Note {
public:
    Note(TraceRing& ring, std::uint32_t session, std::string request, bool secret = false)
        : m_ring(ring), m_entry{.start = ring.elapsed(),
                                .session = session,
                                .request = std::move(request),
                                .secret = secret}
    {
    }
    Note& sent(ByteView data)
    {
        m_entry.sent = data.size();
        if (!m_entry.secret)
            m_entry.out = toBytes(data);
        return *this;
    }
    Note& received(ByteView data)
    {
        m_entry.received = data.size();
        if (!m_entry.secret)
            m_entry.in = toBytes(data);
        return *this;
    }
    template <class T>
    void end(const Result<T>& result)
    {
        if (!result)
            m_entry.failure = TraceFailure{.code = result.error().code,
                                           .blame = result.error().blame,
                                           .native = result.error().native};
        m_entry.took = m_ring.elapsed() - m_entry.start;
        m_ring.add(std::move(m_entry));
    }

private:
    TraceRing& m_ring;
    TraceEntry m_entry;
};

/// A read into `to`, whose result is the number of bytes.
template <class Read>
Result<std::size_t> traceRead(Note note, ByteSpan to, Read read)
{
    auto count = read();
    if (count)
        note.received(to.first(std::min(*count, to.size())));
    note.end(count);
    return count;
}

template <class Act>
Result<> traced(Note note, Act act)
{
    auto done = act();
    note.end(done);
    return done;
}

class TracingSerialPort final : public SerialPort {
public:
    TracingSerialPort(std::unique_ptr<SerialPort> inner, std::shared_ptr<TraceRing> ring,
                      std::string_view name)
        : m_port(*inner), m_ring(ring), m_stream(std::move(inner), std::move(ring), name)
    {
    }
    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        return m_stream.readSome(to, op);
    }
    Result<> writeAll(ByteView data, const OpContext& op) override
    {
        return m_stream.writeAll(data, op);
    }
    Result<> discardInput() override { return m_stream.discardInput(); }
    Result<> setBaud(int bitsPerSecond) override
    {
        return traced(Note(*m_ring, m_stream.session(), concat("baud ", bitsPerSecond)),
                      [&] { return m_port.setBaud(bitsPerSecond); });
    }
    Result<> setDtr(bool asserted) override
    {
        return traced(Note(*m_ring, m_stream.session(), concat("dtr ", asserted ? 1 : 0)),
                      [&] { return m_port.setDtr(asserted); });
    }

private:
    SerialPort& m_port; ///< m_stream owns it
    const std::shared_ptr<TraceRing> m_ring;
    TracingStream m_stream;
};

} // namespace

TracingUsbDevice::TracingUsbDevice(std::unique_ptr<UsbDevice> inner,
                                   std::shared_ptr<TraceRing> ring)
    : m_inner(std::move(inner)), m_ring(std::move(ring)), m_session(m_ring->beginSession())
{
    Note(*m_ring, m_session, trace::openUsb(m_inner->info())).end(Result<>());
}

TracingUsbDevice::~TracingUsbDevice()
{
    Note(*m_ring, m_session, std::string(trace::kClose)).end(Result<>());
}

Result<Bytes> TracingUsbDevice::descriptor(std::uint8_t type, std::uint8_t index)
{
    Note note(*m_ring, m_session, trace::descriptor(type, index));
    auto bytes = m_inner->descriptor(type, index);
    if (bytes)
        note.received(*bytes);
    note.end(bytes);
    return bytes;
}

Result<> TracingUsbDevice::claim(std::uint8_t number)
{
    return traced(Note(*m_ring, m_session, trace::claim(number)),
                  [&] { return m_inner->claim(number); });
}

Result<> TracingUsbDevice::selectAlternate(std::uint8_t number, std::uint8_t alternate)
{
    return traced(Note(*m_ring, m_session, trace::alternate(number, alternate)),
                  [&] { return m_inner->selectAlternate(number, alternate); });
}

Result<std::size_t> TracingUsbDevice::controlIn(ControlSetup setup, ByteSpan to,
                                                const OpContext& op)
{
    return traceRead(Note(*m_ring, m_session, trace::controlIn(setup, to.size()), op.sensitive), to,
                     [&] { return m_inner->controlIn(setup, to, op); });
}

Result<> TracingUsbDevice::controlOut(ControlSetup setup, ByteView data, const OpContext& op)
{
    return traced(Note(*m_ring, m_session, trace::controlOut(setup), op.sensitive).sent(data),
                  [&] { return m_inner->controlOut(setup, data, op); });
}

Result<std::size_t> TracingUsbDevice::bulkIn(std::uint8_t endpoint, ByteSpan to,
                                             const OpContext& op)
{
    return traceRead(Note(*m_ring, m_session, trace::bulkIn(endpoint, to.size()), op.sensitive), to,
                     [&] { return m_inner->bulkIn(endpoint, to, op); });
}

Result<> TracingUsbDevice::bulkOut(std::uint8_t endpoint, ByteView data, const OpContext& op)
{
    return traced(Note(*m_ring, m_session, trace::bulkOut(endpoint), op.sensitive).sent(data),
                  [&] { return m_inner->bulkOut(endpoint, data, op); });
}

Result<> TracingUsbDevice::reset()
{
    return traced(Note(*m_ring, m_session, std::string(trace::kReset)),
                  [&] { return m_inner->reset(); });
}

TracingUsbBus::TracingUsbBus(UsbBus& inner, std::shared_ptr<TraceRing> ring)
    : m_inner(inner), m_ring(std::move(ring))
{
}

Result<std::unique_ptr<UsbDevice>> TracingUsbBus::open(const UsbDeviceInfo& which)
{
    Note note(*m_ring, 0, concat("open ", trace::word(toText(which.port))));
    auto device = m_inner.open(which);
    if (!device) {
        note.end(device);
        return device;
    }
    return std::make_unique<TracingUsbDevice>(std::move(*device), m_ring);
}

Result<UsbDeviceInfo> TracingUsbBus::waitFor(const UsbPortPath& port, std::span<const UsbId> anyOf,
                                             const OpContext& op)
{
    std::string request = concat("wait ", trace::word(toText(port)));
    for (const UsbId& id : anyOf)
        request += concat(" ", hex16(id.vendor), hex16(id.product));
    Note note(*m_ring, 0, std::move(request));
    auto found = m_inner.waitFor(port, anyOf, op);
    if (found) {
        Bytes who;
        ByteWriter(who).be16(found->id.vendor).be16(found->id.product).be32(found->incarnation);
        note.received(who);
    }
    note.end(found);
    return found;
}

TracingStream::TracingStream(std::unique_ptr<ByteStream> inner, std::shared_ptr<TraceRing> ring,
                             std::string_view name)
    : m_inner(std::move(inner)), m_ring(std::move(ring)), m_session(m_ring->beginSession())
{
    Note(*m_ring, m_session, concat("open-stream ", trace::word(name))).end(Result<>());
}

TracingStream::~TracingStream()
{
    Note(*m_ring, m_session, std::string(trace::kClose)).end(Result<>());
}

Result<std::size_t> TracingStream::readSome(ByteSpan to, const OpContext& op)
{
    return traceRead(Note(*m_ring, m_session, concat("read ", to.size()), op.sensitive), to,
                     [&] { return m_inner->readSome(to, op); });
}

Result<> TracingStream::writeAll(ByteView data, const OpContext& op)
{
    return traced(Note(*m_ring, m_session, "write", op.sensitive).sent(data),
                  [&] { return m_inner->writeAll(data, op); });
}

Result<> TracingStream::discardInput()
{
    return traced(Note(*m_ring, m_session, "discard"), [&] { return m_inner->discardInput(); });
}

TracingSerialPorts::TracingSerialPorts(SerialPorts& inner, std::shared_ptr<TraceRing> ring)
    : m_inner(inner), m_ring(std::move(ring))
{
}

Result<std::unique_ptr<SerialPort>> TracingSerialPorts::open(const std::string& path)
{
    Note note(*m_ring, 0, concat("open ", trace::word(path)));
    auto port = m_inner.open(path);
    if (!port) {
        note.end(port);
        return port;
    }
    return std::make_unique<TracingSerialPort>(std::move(*port), m_ring, path);
}

} // namespace provost
