// Which comings and goings on the bus mean that a unit has left its nest.
#include "host/slot_watcher.h"
#include "support/recording_sink.h"
#include "support/test_program.h"

#include <QTest>

#include <set>

using namespace provost;
using namespace provost::test;
using namespace std::chrono_literals;

namespace {

constexpr UsbId kDfu{.vendor = 0x2B04, .product = 0xD006};
constexpr UsbId kFirmware{.vendor = 0x2B04, .product = 0xC006};
constexpr UsbId kMouse{.vendor = 0x046D, .product = 0xC077};
const std::string kOne = "2b0014000447373030323331";
const std::string kOther = "3a0021000447343138333038";

UsbPortPath portOf(int slot)
{
    return {.controller = "usb1", .ports = {static_cast<std::uint8_t>(slot)}};
}

/// What is plugged in, as the test says.
class PluggedBus final : public UsbBus {
public:
    std::vector<UsbDeviceInfo> devices{};
    bool broken = false;

    void plug(int slot, UsbId id, std::string serial)
    {
        unplug(slot);
        devices.push_back({.port = portOf(slot), .id = id, .serial = std::move(serial)});
    }
    void unplug(int slot)
    {
        std::erase_if(devices, [&](const auto& each) { return each.port == portOf(slot); });
    }
    Result<std::vector<UsbDeviceInfo>> enumerate() override
    {
        if (broken)
            return fail(Errc::Io, Blame::Station, "enumerate: broken");
        return devices;
    }
    Result<std::unique_ptr<UsbDevice>> open(const UsbDeviceInfo&) override
    {
        return fail(Errc::Unsupported, Blame::Software, "a watcher opens nothing");
    }
    Result<UsbDeviceInfo> waitFor(const UsbPortPath&, std::span<const UsbId>,
                                  const OpContext&) override
    {
        return fail(Errc::Unsupported, Blame::Software, "a watcher waits for nothing");
    }
};

class TstSlotWatcher : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init();
    void emptyNest_saysNothing();
    void unitTakenOut_isSaidOnceAfterAWhile();
    void reEnumeration_isNoRemoval();
    void changeOfMode_isNoRemoval();
    void swap_isSeenWithoutAPause();
    void foreignDevice_isNoUnit();
    void twoUnits_leaveAtOnce();
    void runningUnit_isLeftToItsRun();
    void unitGoneDuringItsRun_isSaidAfterIt();
    void brokenBus_saysNothing();
    void thread_looksByItself();

private:
    /// Looks, then lets time pass.
    void looks(std::chrono::milliseconds span = 500ms)
    {
        m_watcher->look();
        m_clock.advance(span);
    }
    std::vector<int> removed()
    {
        std::vector<int> slots;
        for (const auto& event : m_sink->all<UnitRemoved>())
            slots.push_back(event.slot.value);
        return slots;
    }
    SlotWatcherConfig config()
    {
        return {.ports = {{SlotId{1}, portOf(1)}, {SlotId{2}, portOf(2)}},
                .units = {kDfu, kFirmware},
                .busy = [this](SlotId slot) { return m_busy.contains(slot); }};
    }

    VirtualClock m_clock;
    PluggedBus m_bus;
    std::set<SlotId> m_busy;
    std::unique_ptr<RecordingSink> m_sink;
    std::unique_ptr<SlotWatcher> m_watcher;
};

void TstSlotWatcher::init()
{
    m_bus = {};
    m_busy.clear();
    m_sink = std::make_unique<RecordingSink>();
    m_watcher = std::make_unique<SlotWatcher>(m_bus, *m_sink, m_clock, config());
}

void TstSlotWatcher::emptyNest_saysNothing()
{
    for (int i = 0; i < 10; ++i)
        looks();
    m_bus.plug(1, kFirmware, kOne); // to plug in is no event: a scan or F1 starts the run
    for (int i = 0; i < 10; ++i)
        looks();
    QVERIFY(m_sink->events().empty());
}

void TstSlotWatcher::unitTakenOut_isSaidOnceAfterAWhile()
{
    m_bus.plug(1, kFirmware, kOne);
    looks();
    m_bus.unplug(1);
    looks();
    looks();
    QVERIFY(removed().empty()); // 1.0 s
    looks();
    QCOMPARE(removed(), std::vector<int>{1}); // 1.5 s
    for (int i = 0; i < 5; ++i)
        looks();
    QCOMPARE(removed().size(), std::size_t{1});
    m_bus.plug(1, kFirmware, kOther);
    looks();
    m_bus.unplug(1);
    looks(SlotWatcher::kGoneFor);
    looks();
    QCOMPARE(removed().size(), std::size_t{2}); // the next one as well
}

void TstSlotWatcher::reEnumeration_isNoRemoval()
{
    m_bus.plug(1, kFirmware, kOne);
    for (int i = 0; i < 5; ++i) {
        looks();
        m_bus.unplug(1);
        looks();
        looks(SlotWatcher::kGoneFor - 1001ms);
        m_bus.plug(1, kFirmware, kOne);
    }
    looks();
    QVERIFY(removed().empty());
}

void TstSlotWatcher::changeOfMode_isNoRemoval()
{
    m_bus.plug(1, kDfu, "00000000050C"); // constant on old bootloaders
    looks();
    m_bus.plug(1, kFirmware, kOne);
    looks();
    m_bus.plug(1, kDfu, "00000000050C");
    looks();
    QVERIFY(removed().empty());
}

void TstSlotWatcher::swap_isSeenWithoutAPause()
{
    m_bus.plug(1, kFirmware, kOne);
    looks();
    m_bus.plug(1, kFirmware, kOther);
    looks();
    QCOMPARE(removed(), std::vector<int>{1});
    looks();
    QCOMPARE(removed().size(), std::size_t{1});
}

void TstSlotWatcher::foreignDevice_isNoUnit()
{
    m_bus.plug(1, kMouse, "");
    looks(SlotWatcher::kGoneFor);
    looks();
    QVERIFY(removed().empty());
    m_bus.plug(1, kFirmware, kOne);
    looks();
    m_bus.plug(1, kMouse, ""); // in the unit's place
    looks(SlotWatcher::kGoneFor);
    looks();
    QCOMPARE(removed(), std::vector<int>{1});
    // On a port that is no slot's.
    m_bus.plug(7, kFirmware, kOther);
    looks();
    m_bus.unplug(7);
    looks(SlotWatcher::kGoneFor);
    looks();
    QCOMPARE(removed().size(), std::size_t{1});
}

void TstSlotWatcher::twoUnits_leaveAtOnce()
{
    m_bus.plug(1, kFirmware, kOne);
    m_bus.plug(2, kFirmware, kOther);
    looks();
    m_bus.devices.clear();
    looks(SlotWatcher::kGoneFor);
    looks();
    QCOMPARE(removed(), (std::vector<int>{1, 2}));
    // They change places: each nest has another unit.
    m_bus.plug(1, kFirmware, kOne);
    m_bus.plug(2, kFirmware, kOther);
    looks();
    m_bus.plug(1, kFirmware, kOther);
    m_bus.plug(2, kFirmware, kOne);
    looks();
    QCOMPARE(removed(), (std::vector<int>{1, 2, 1, 2}));
}

void TstSlotWatcher::runningUnit_isLeftToItsRun()
{
    m_bus.plug(1, kFirmware, "Photon"); // a constant serial, as 0.4.9 has
    looks();
    m_busy.insert(SlotId{1});
    m_bus.unplug(1);
    for (int i = 0; i < 10; ++i)
        looks();
    m_bus.plug(1, kFirmware, kOne); // the run gave it firmware with a serial of its own
    looks();
    m_busy.clear();
    looks();
    looks();
    QVERIFY(removed().empty());
}

void TstSlotWatcher::unitGoneDuringItsRun_isSaidAfterIt()
{
    m_busy.insert(SlotId{1});
    looks();
    m_busy.clear();
    looks();
    QVERIFY(removed().empty());
    looks(SlotWatcher::kGoneFor);
    looks();
    QCOMPARE(removed(), std::vector<int>{1});
}

void TstSlotWatcher::brokenBus_saysNothing()
{
    m_bus.plug(1, kFirmware, kOne);
    looks();
    m_bus.broken = true;
    for (int i = 0; i < 10; ++i)
        looks();
    m_bus.broken = false;
    looks();
    QVERIFY(removed().empty());
}

void TstSlotWatcher::thread_looksByItself()
{
    // The virtual clock does not sleep: it looks as fast as it can.
    m_bus.plug(1, kFirmware, kOne);
    m_watcher->look();
    m_bus.unplug(1);
    m_watcher->start();
    QVERIFY(m_sink->waitFor<UnitRemoved>(20s, [](const auto&) { return true; }));
    m_watcher.reset(); // ends its thread
}

} // namespace

PROVOST_TEST("slot_watcher", TstSlotWatcher)
#include "tst_slot_watcher.moc"
