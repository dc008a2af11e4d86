// The emulated core by itself: what it must not do twice, and what it must see at once.
#include "core/byte_io.h"
#include "sim/page_memory.h"
#include "sim_unicorn/unicorn_core.h"
#include "support/test_program.h"

using namespace provost;

namespace {

constexpr std::uint32_t kRam = 0x20000000;
constexpr std::uint32_t kFlash = 0x08000000;
constexpr std::uint32_t kDevice = 0x40000000;

/// Answers every load of its register with "busy" for a while, asking the core to leave each time.
class SlowDevice final : public sim::CoreBus {
public:
    std::optional<std::uint32_t> coreLoad(std::uint32_t address, unsigned) override
    {
        if (address >= kDevice + 0x1000)
            return std::nullopt;
        if (++loads % 3 == 0)
            return 0;
        core->yield();
        return 1;
    }
    bool coreStore(std::uint32_t address, unsigned bytes, std::uint32_t value) override
    {
        stores.push_back({address, bytes, value});
        return address < kDevice + 0x1000;
    }
    struct Store {
        std::uint32_t address = 0;
        unsigned bytes = 0;
        std::uint32_t value = 0;
    };
    sim::CoreExecutor* core = nullptr;
    unsigned loads = 0;
    std::vector<Store> stores{};
};

struct CoreRig {
    CoreRig()
    {
        const sim::CoreMemory memories[] = {{.base = kFlash, .bytes = flash.span()},
                                            {.base = kRam, .bytes = ram.span(), .writable = true}};
        core = sim::unicornCores()(memories, device);
        device.core = core.get();
    }
    void load(std::initializer_list<unsigned> code)
    {
        std::size_t at = 0;
        for (const unsigned word : code)
            writeLe16(ram.span(), 2 * at++, static_cast<std::uint16_t>(word));
        core->memoryChanged(kRam, 2 * at);
        core->writeRegister(15, kRam);
    }
    sim::CoreStop runToTheEnd()
    {
        sim::CoreRun ran;
        for (int i = 0; i < 100'000 && ran.why == sim::CoreStop::Budget; ++i)
            ran = core->run(budget);
        return ran.why;
    }
    SlowDevice device{};
    sim::PageMemory flash{0x1000, std::byte{0xFF}};
    sim::PageMemory ram{0x1000, std::byte{0}};
    std::unique_ptr<sim::CoreExecutor> core{};
    std::uint64_t budget = 1'000'000;
};

class TstVirtualCore : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void leavingInTheMiddle_repeatsNothing_data()
    {
        QTest::addColumn<int>("budget");
        QTest::newRow("by yield") << 1'000'000;
        QTest::newRow("by budget, too") << 7;
    }
    void leavingInTheMiddle_repeatsNothing()
    {
        QFETCH(int, budget);
        CoreRig rig;
        rig.budget = static_cast<std::uint64_t>(budget);
        // loop: str r2,[r1]; adds r0,#1; wait: ldr r3,[r4]; lsls r3,#31; bne wait;
        //       subs r2,#1; bne loop; bkpt
        rig.load({0x600A, 0x3001, 0x6823, 0x07DB, 0xD1FC, 0x3A01, 0xD1F8, 0xBE00});
        rig.core->writeRegister(1, kFlash + 0x10);
        rig.core->writeRegister(2, 100);
        rig.core->writeRegister(4, kDevice);
        QCOMPARE(rig.runToTheEnd(), sim::CoreStop::Breakpoint);
        QCOMPARE(rig.core->readRegister(0), 100U);
        QCOMPARE(rig.device.stores.size(), std::size_t{100});
        QCOMPARE(rig.device.stores.back().value, 1U);
        QCOMPARE(rig.core->readRegister(15), kRam + 14);
    }

    void storesIntoFlash_changeWhatTheChipSaysOnly()
    {
        CoreRig rig;
        // str r0,[r1]; ldr r2,[r1]; bkpt
        rig.load({0x6008, 0x680A, 0xBE00});
        rig.core->writeRegister(0, 0x12345678);
        rig.core->writeRegister(1, kFlash + 0x20);
        QCOMPARE(rig.runToTheEnd(), sim::CoreStop::Breakpoint);
        QCOMPARE(rig.device.stores.size(), std::size_t{1});
        QCOMPARE(rig.core->readRegister(2), 0xFFFFFFFFU); // the chip did not take it
    }

    void busFaults_endInAFault()
    {
        CoreRig rig;
        rig.load({0x6808, 0xE7FE}); // ldr r0,[r1]; b .
        rig.core->writeRegister(1, kDevice + 0x1000);
        QCOMPARE(rig.runToTheEnd(), sim::CoreStop::Fault);
        rig.load({0xE7FE});
        rig.core->writeRegister(15, 0x70000000);
        QCOMPARE(rig.runToTheEnd(), sim::CoreStop::Fault);
    }

    void oneInstruction_isOneInstruction()
    {
        CoreRig rig;
        rig.load({0x3001, 0x3001, 0xE7FC}); // adds, adds, back
        for (unsigned i = 1; i <= 4; ++i) {
            QCOMPARE(rig.core->run(1).why, sim::CoreStop::Budget);
            QCOMPARE(rig.core->readRegister(0), i < 3 ? i : i - 1);
        }
    }

    void registers_keepWhatTheyAreGiven()
    {
        CoreRig rig;
        for (unsigned number = 0; number <= 14; ++number)
            rig.core->writeRegister(number, 0x1000 + 4 * number);
        for (unsigned number = 0; number <= 14; ++number)
            QCOMPARE(rig.core->readRegister(number), 0x1000 + 4 * number);
        rig.core->writeRegister(15, kRam + 6);
        QCOMPARE(rig.core->readRegister(15), kRam + 6);
    }
};

} // namespace

PROVOST_TEST("virtual_core", TstVirtualCore)
#include "tst_virtual_core.moc"
