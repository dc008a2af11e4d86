// A one-slot virtual bench and a host that speaks raw transfers to it.
#pragma once

// Qt's keyword macro would eat Bench::slots().
#ifndef QT_NO_KEYWORDS
#define QT_NO_KEYWORDS
#endif

#include "support/patience.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "sim/bench.h"
#include "support/must.h"

#include <QTest>
#include <stdexcept>
#include <thread>

namespace provost::test {

inline std::string benchText(std::string_view unit, std::string_view hosts = "",
                             std::string_view speed = "instant")
{
    return concat("[bench]\nname = \"rig\"\nspeed = \"", speed,
                  "\"\nfactor = 20\nmode_button = true\n[network]\nssid = \"plant\"\n"
                  "password = \"line-four\"\nsecurity = 3\n",
                  hosts, "[[slot]]\nnumber = 1\n[[slot.unit]]\n", unit, "\n");
}

constexpr UsbId kCdc{.vendor = 0x2B04, .product = 0xC006};
constexpr UsbId kDfu{.vendor = 0x2B04, .product = 0xD006};

class Rig {
public:
    explicit Rig(const std::string& toml) : m_bench(must(sim::Bench::parse(toml, "rig.toml")))
    {
        m_unit = must(m_bench->insertNext(1)).value();
    }
    sim::Bench& bench() { return *m_bench; }
    sim::VirtualBoard& board() { return *m_bench->board(1); }
    const sim::InsertedUnit& unit() const { return m_unit; }
    UsbPortPath port() const { return m_bench->slots().front().port; }

    OpContext op(std::chrono::milliseconds span = kHangGuard) const
    {
        return {.clock = m_clock, .deadline = {m_clock.now() + span}};
    }
    UsbDeviceInfo waitFor(UsbId id)
    {
        return must(m_bench->usb().waitFor(port(), std::span(&id, 1), op()));
    }
    std::unique_ptr<UsbDevice> open(UsbId id)
    {
        auto device = must(m_bench->usb().open(waitFor(id)));
        must(device->claim(0));
        return device;
    }
    /// 14400 baud, then the bootloader.
    std::unique_ptr<UsbDevice> openDfu()
    {
        const UsbDeviceInfo now = must(m_bench->usb().waitFor(port(), {}, op()));
        if (now.id == board().profile().cdc.id)
            setBaud(14400);
        return open(board().profile().dfu.id);
    }
    void setBaud(std::uint32_t baud)
    {
        const auto device = must(m_bench->usb().open(waitFor(board().profile().cdc.id)));
        Bytes coding;
        ByteWriter(coding).le32(baud).u8(0).u8(0).u8(8);
        must(device->controlOut({.requestType = 0x21, .request = 0x20}, coding, op()));
    }
    /// True as soon as `condition` holds.
    template <class Condition>
    bool until(Condition condition)
    {
        const auto end = std::chrono::steady_clock::now() + kHangGuard;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > end)
                return false;
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        return true;
    }

private:
    SystemClock m_clock;
    std::unique_ptr<sim::Bench> m_bench;
    sim::InsertedUnit m_unit;
};

/// DFU requests of one open device, as DFU 1.1 spells them.
class RawDfu {
public:
    struct Status {
        int status = -1;
        unsigned poll = 0;
        int state = -1;
    };
    RawDfu(Rig& rig, UsbDevice& device) : m_rig(rig), m_device(device) {}

    Result<> download(std::uint16_t block, ByteView data)
    {
        return m_device.controlOut({.requestType = 0x21, .request = 1, .value = block}, data,
                                   m_rig.op());
    }
    Result<Bytes> upload(std::uint16_t block, std::size_t size) { return in(2, block, size); }
    Result<Status> status()
    {
        const Bytes answer = TRY(in(3, 0, 6));
        return Status{u8(answer[0]), readLe16(answer, 1), u8(answer[4])};
    }
    int state() { return u8(must(in(5, 0, 1))[0]); }
    void clearStatus() { must(out(4)); }
    void abort() { must(out(6)); }
    void alternate(std::uint8_t number) { must(m_device.selectAlternate(0, number)); }

    /// DNLOAD, GETSTATUS (4), GETSTATUS (5): success, or which answer came.
    Result<> carryOut(std::uint16_t block, ByteView data)
    {
        TRY(download(block, data));
        const Status busy = TRY(status());
        if (busy.state != 4)
            return fail(Errc::Protocol, Blame::Unit, concat("state ", busy.state, ", not busy"));
        std::this_thread::sleep_for(std::chrono::milliseconds(busy.poll));
        const Status done = TRY(status());
        if (done.state != 5 || done.status != 0)
            return fail(Errc::Protocol, Blame::Unit, concat("state ", done.state));
        return {};
    }
    Result<> command(std::uint8_t code, std::uint32_t address)
    {
        Bytes bytes;
        ByteWriter(bytes).u8(code).le32(address);
        return carryOut(0, bytes);
    }
    Result<> write(std::uint32_t address, ByteView data)
    {
        TRY(command(0x21, address));
        return carryOut(2, data);
    }
    Bytes read(std::uint32_t address, std::size_t size)
    {
        must(command(0x21, address));
        abort();
        Bytes bytes = must(upload(2, size));
        abort();
        return bytes;
    }
    Status leave()
    {
        must(download(2, {}));
        return must(status());
    }

private:
    Result<Bytes> in(std::uint8_t request, std::uint16_t value, std::size_t size)
    {
        Bytes bytes(size);
        bytes.resize(TRY(m_device.controlIn(
            {.requestType = 0xA1, .request = request, .value = value}, bytes, m_rig.op())));
        return bytes;
    }
    Result<> out(std::uint8_t request)
    {
        return m_device.controlOut({.requestType = 0x21, .request = request}, {}, m_rig.op());
    }
    Rig& m_rig;
    UsbDevice& m_device;
};

/// The serial console of the unit in listening mode.
class RawConsole {
public:
    explicit RawConsole(Rig& rig) : m_rig(rig)
    {
        rig.waitFor(rig.board().profile().cdc.id);
        m_port = must(rig.bench().serial().open("sim:rig#1"));
    }
    void send(std::string_view text) { must(m_port->writeAll(viewOf(text), m_rig.op())); }
    void send(ByteView bytes) { must(m_port->writeAll(bytes, m_rig.op())); }
    std::string readUntil(std::string_view end)
    {
        std::string text;
        while (text.size() < end.size() || text.substr(text.size() - end.size()) != end)
            text += readSome(1);
        return text;
    }
    std::string command(char key, std::string_view end)
    {
        send(std::string_view(&key, 1));
        return readUntil(end);
    }
    std::string readSome(std::size_t most)
    {
        Bytes bytes(most);
        const std::size_t got = must(m_port->readSome(bytes, m_rig.op()));
        return toText(ByteView(bytes).first(got));
    }
    /// One byte or -1 within `span`.
    int answer(std::chrono::milliseconds span)
    {
        Bytes bytes(1);
        const auto got = m_port->readSome(bytes, m_rig.op(span));
        return got ? u8(bytes[0]) : -1;
    }
    SerialPort& port() { return *m_port; }

private:
    Rig& m_rig;
    std::unique_ptr<SerialPort> m_port;
};

} // namespace provost::test
