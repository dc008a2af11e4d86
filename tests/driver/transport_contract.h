// What the two halves of the transport contract share.
#pragma once

#include "support/patience.h"
#include "support/served_bench.h"

#include "core/byte_io.h"
#include "core/text.h"

#include <QTest>

#include <functional>

namespace provost::test {

constexpr auto kStopLimit = std::chrono::milliseconds(250); ///< from the request to the return

/// What the contract runs against: a unit that stays in its bootloader and one in listening mode.
struct ContractRig {
    UsbBus& usb;
    SerialPorts& serial;
    UsbPortPath dfuPort{};
    UsbPortPath cdcPort{};
    int dfuSlot = 1;
    int cdcSlot = 2;
    std::function<Result<>(const std::string&)> hands{}; ///< commands of bench_control.h
};

std::unique_ptr<QObject> makeUsbContract(const ContractRig& rig);
std::unique_ptr<QObject> makeSerialContract(const ContractRig& rig);

template <class T>
QByteArray problem(const Result<T>& result)
{
    return result ? QByteArray("succeeded") : QByteArray::fromStdString(describe(result.error()));
}

#define VERIFY_OK(attempt)                                                                         \
    do {                                                                                           \
        const auto& verified = (attempt);                                                          \
        QVERIFY2(verified.has_value(), (#attempt ": " + problem(verified)).constData());           \
    } while (false)
#define VERIFY_FAILS(attempt, expected)                                                            \
    do {                                                                                           \
        const auto& verified = (attempt);                                                          \
        QVERIFY2(!verified.has_value() && verified.error().code == (expected),                     \
                 (#attempt " should be " #expected ": " + problem(verified)).constData());         \
    } while (false)

/// The words that both halves speak.
class ContractSuite : public QObject {
public:
    explicit ContractSuite(const ContractRig& rig) : m_rig(rig) {}

protected:
    OpContext op(std::chrono::milliseconds span = kHangGuard, std::stop_token stop = {}) const
    {
        return {.clock = m_clock, .stop = std::move(stop), .deadline = {m_clock.now() + span}};
    }
    Result<UsbDeviceInfo> waitFor(const UsbPortPath& port, UsbId id)
    {
        return m_rig.usb.waitFor(port, std::span(&id, 1), op());
    }
    Result<> setPower(int slot, bool on)
    {
        return m_rig.hands(concat("power ", slot, on ? " on" : " off"));
    }
    /// Both units are there, and so is the serial port.
    void plugInBoth()
    {
        VERIFY_OK(setPower(m_rig.dfuSlot, true));
        VERIFY_OK(setPower(m_rig.cdcSlot, true));
        VERIFY_OK(waitFor(m_rig.dfuPort, kPhotonDfu));
        VERIFY_OK(waitFor(m_rig.cdcPort, kPhotonFirmware));
        QTRY_VERIFY(!serialPath().empty());
    }
    bool listed(const UsbPortPath& port)
    {
        const auto devices = m_rig.usb.enumerate();
        return devices && std::any_of(devices->begin(), devices->end(),
                                      [&](const auto& each) { return each.port == port; });
    }
    /// A pending transfer may end before the system has taken the device off its lists: what plugs
    /// in again before that would meet the one that is leaving.
    void awaitLeaving(const UsbPortPath& port)
    {
        QTRY_VERIFY(!listed(port));
        QTRY_VERIFY(port != m_rig.cdcPort || serialPath().empty());
    }
    /// Empty: there is none at present.
    std::string serialPath()
    {
        if (const auto ports = m_rig.serial.enumerate())
            for (const SerialPortInfo& each : *ports)
                if (each.usb == m_rig.cdcPort)
                    return each.path;
        return {};
    }

    const SystemClock m_clock{};
    const ContractRig m_rig;
};

} // namespace provost::test
