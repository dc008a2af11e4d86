#include "sim_unicorn/unicorn_core.h"

#include "sim/page_memory.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <unicorn/unicorn.h>

namespace provost::sim {

namespace {

constexpr std::uint32_t kPeripherals = 0x40000000;
constexpr std::size_t kPeripheralBytes = 0x10000000;
constexpr std::uint32_t kPrivate = 0xE0000000;
constexpr std::size_t kPrivateBytes = 0x100000;

void must(uc_err error, const char* what)
{
    if (error != UC_ERR_OK)
        throw std::runtime_error(std::string(what) + ": " + uc_strerror(error));
}

class UnicornCore final : public CoreExecutor {
public:
    UnicornCore(std::span<const CoreMemory> memories, CoreBus& bus);
    ~UnicornCore() override { uc_close(m_uc); }
    UnicornCore(const UnicornCore&) = delete;
    UnicornCore& operator=(const UnicornCore&) = delete;

    std::uint32_t readRegister(unsigned number) const override;
    void writeRegister(unsigned number, std::uint32_t value) override;
    CoreRun run(std::uint64_t most) override;
    void yield() override { m_leave = true; }
    void memoryChanged(std::uint32_t address, std::size_t size) override;

private:
    /// The emulator stores into a read-only page whatever it is told: it gets a copy, which is
    /// made to agree with the chip's bytes again before anything reads it.
    struct Copy {
        std::uint32_t base = 0;
        ByteView truth{};
        PageMemory pages;
        void take(std::uint32_t address, std::size_t size)
        {
            const std::size_t at = address - base;
            size = std::min(size, truth.size() - at);
            std::copy_n(truth.begin() + static_cast<std::ptrdiff_t>(at), size,
                        pages.span().begin() + static_cast<std::ptrdiff_t>(at));
        }
        bool holds(std::uint64_t address) const
        {
            return address >= base && address - base < truth.size();
        }
    };
    struct Dirty {
        std::uint32_t address = 0;
        unsigned size = 0;
    };

    void map(const CoreMemory& memory);
    void addHook(int type, void* callback);
    void restore();
    std::uint64_t busLoad(std::uint32_t address, unsigned size);
    void busStore(std::uint32_t address, unsigned size, std::uint32_t value);
    void fault()
    {
        m_fault = true;
        m_leave = true;
    }
    bool isBreakpoint(std::uint32_t address) const;
    void settleAtBreakpoint();

    static UnicornCore& self(void* user) { return *static_cast<UnicornCore*>(user); }
    static std::uint64_t loadPeripheral(uc_engine*, std::uint64_t offset, unsigned size, void* user)
    {
        return self(user).busLoad(static_cast<std::uint32_t>(kPeripherals + offset), size);
    }
    static void storePeripheral(uc_engine*, std::uint64_t offset, unsigned size,
                                std::uint64_t value, void* user)
    {
        self(user).busStore(static_cast<std::uint32_t>(kPeripherals + offset), size,
                            static_cast<std::uint32_t>(value));
    }
    static std::uint64_t loadPrivate(uc_engine*, std::uint64_t offset, unsigned size, void* user)
    {
        return self(user).busLoad(static_cast<std::uint32_t>(kPrivate + offset), size);
    }
    static void storePrivate(uc_engine*, std::uint64_t offset, unsigned size, std::uint64_t value,
                             void* user)
    {
        self(user).busStore(static_cast<std::uint32_t>(kPrivate + offset), size,
                            static_cast<std::uint32_t>(value));
    }
    static bool onProtectedStore(uc_engine*, uc_mem_type, std::uint64_t address, int size,
                                 std::int64_t value, void* user)
    {
        UnicornCore& core = self(user);
        core.m_dirty.push_back({static_cast<std::uint32_t>(address), static_cast<unsigned>(size)});
        core.busStore(static_cast<std::uint32_t>(address), static_cast<unsigned>(size),
                      static_cast<std::uint32_t>(value));
        return true;
    }
    static void onRead(uc_engine*, uc_mem_type, std::uint64_t, int, std::int64_t, void* user)
    {
        self(user).restore();
    }
    static void onBlock(uc_engine* uc, std::uint64_t, std::uint32_t size, void* user)
    {
        UnicornCore& core = self(user);
        core.restore();
        core.m_executed += size / 2;
        // Stopped anywhere else than at the start of a block, the emulator forgets how far it was
        // in it and executes its first instructions twice.
        if (core.m_executed >= core.m_budget || core.m_leave)
            uc_emu_stop(uc);
    }
    static void onInterrupt(uc_engine* uc, std::uint32_t, void* user)
    {
        self(user).m_interrupt = true;
        uc_emu_stop(uc);
    }

    CoreBus& m_bus;
    uc_engine* m_uc = nullptr;
    std::vector<Copy> m_copies{};
    std::vector<Dirty> m_dirty{};
    std::uint64_t m_executed = 0;
    std::uint64_t m_budget = 0;
    bool m_fault = false;
    bool m_interrupt = false;
    bool m_leave = false; ///< at the next block
};

UnicornCore::UnicornCore(std::span<const CoreMemory> memories, CoreBus& bus) : m_bus(bus)
{
    const auto mode = static_cast<uc_mode>(UC_MODE_THUMB | UC_MODE_MCLASS);
    must(uc_open(UC_ARCH_ARM, mode, &m_uc), "open the emulator");
    must(uc_ctl_set_cpu_model(m_uc, UC_CPU_ARM_CORTEX_M3), "choose a Cortex-M3");
    m_copies.reserve(memories.size());
    for (const CoreMemory& memory : memories)
        map(memory);
    must(uc_mmio_map(m_uc, kPeripherals, kPeripheralBytes, loadPeripheral, this, storePeripheral,
                     this),
         "map the peripherals");
    must(uc_mmio_map(m_uc, kPrivate, kPrivateBytes, loadPrivate, this, storePrivate, this),
         "map the private peripherals");
    addHook(UC_HOOK_MEM_WRITE_PROT, reinterpret_cast<void*>(onProtectedStore));
    addHook(UC_HOOK_BLOCK, reinterpret_cast<void*>(onBlock));
    addHook(UC_HOOK_INTR, reinterpret_cast<void*>(onInterrupt));
}

void UnicornCore::map(const CoreMemory& memory)
{
    if (memory.writable) {
        must(uc_mem_map_ptr(m_uc, memory.base, memory.bytes.size(), UC_PROT_ALL,
                            memory.bytes.data()),
             "map SRAM");
        return;
    }
    Copy& copy = m_copies.emplace_back(Copy{.base = memory.base,
                                            .truth = memory.bytes,
                                            .pages = {memory.bytes.size(), std::byte{0xFF}}});
    copy.take(memory.base, memory.bytes.size());
    must(uc_mem_map_ptr(m_uc, memory.base, memory.bytes.size(), UC_PROT_READ | UC_PROT_EXEC,
                        copy.pages.span().data()),
         "map flash");
    uc_hook hook = 0;
    must(uc_hook_add(m_uc, &hook, UC_HOOK_MEM_READ, reinterpret_cast<void*>(onRead), this,
                     memory.base, memory.base + memory.bytes.size() - 1),
         "watch reads of flash");
}

void UnicornCore::addHook(int type, void* callback)
{
    uc_hook hook = 0;
    must(uc_hook_add(m_uc, &hook, type, callback, this, std::uint64_t{1}, std::uint64_t{0}),
         "watch the core");
}

void UnicornCore::restore()
{
    for (const Dirty& dirty : m_dirty)
        for (Copy& copy : m_copies)
            if (copy.holds(dirty.address))
                copy.take(dirty.address, dirty.size);
    m_dirty.clear();
}

std::uint64_t UnicornCore::busLoad(std::uint32_t address, unsigned size)
{
    const auto value = m_bus.coreLoad(address, size);
    if (!value)
        fault();
    return value.value_or(0) & (size == 4 ? 0xFFFFFFFFU : (1U << (8 * size)) - 1);
}

void UnicornCore::busStore(std::uint32_t address, unsigned size, std::uint32_t value)
{
    const std::uint32_t bits = size == 4 ? 0xFFFFFFFFU : (1U << (8 * size)) - 1;
    if (!m_bus.coreStore(address, size, value & bits))
        fault();
}

constexpr std::array<int, 19> kRegisters{
    UC_ARM_REG_R0,  UC_ARM_REG_R1,   UC_ARM_REG_R2,  UC_ARM_REG_R3, UC_ARM_REG_R4,
    UC_ARM_REG_R5,  UC_ARM_REG_R6,   UC_ARM_REG_R7,  UC_ARM_REG_R8, UC_ARM_REG_R9,
    UC_ARM_REG_R10, UC_ARM_REG_R11,  UC_ARM_REG_R12, UC_ARM_REG_SP, UC_ARM_REG_LR,
    UC_ARM_REG_PC,  UC_ARM_REG_XPSR, UC_ARM_REG_MSP, UC_ARM_REG_PSP};
/// PRIMASK, BASEPRI, FAULTMASK, CONTROL from bit 0 on.
constexpr std::array<int, 4> kSpecial{UC_ARM_REG_PRIMASK, UC_ARM_REG_BASEPRI, UC_ARM_REG_FAULTMASK,
                                      UC_ARM_REG_CONTROL};
constexpr unsigned kSpecialNumber = 20;
constexpr unsigned kStatusNumber = 16;
constexpr std::uint32_t kThumb = 0x01000000;

std::uint32_t UnicornCore::readRegister(unsigned number) const
{
    std::uint32_t value = 0;
    if (number == kSpecialNumber) {
        for (std::size_t i = 0; i < kSpecial.size(); ++i) {
            std::uint32_t part = 0;
            uc_reg_read(m_uc, kSpecial.at(i), &part);
            value |= (part & 0xFF) << (8 * i);
        }
    } else if (number < kRegisters.size()) {
        uc_reg_read(m_uc, kRegisters.at(number), &value);
    }
    return number == kStatusNumber ? value | kThumb : value;
}

void UnicornCore::writeRegister(unsigned number, std::uint32_t value)
{
    if (number == kSpecialNumber) {
        for (std::size_t i = 0; i < kSpecial.size(); ++i) {
            const std::uint32_t part = value >> (8 * i) & 0xFF;
            uc_reg_write(m_uc, kSpecial.at(i), &part);
        }
    } else if (number < kRegisters.size()) {
        // A PC is written with bit 0 clear; the emulator takes that bit for the instruction set.
        const std::uint32_t wanted = number == 15 ? value | 1 : value;
        uc_reg_write(m_uc, kRegisters.at(number), &wanted);
    }
}

CoreRun UnicornCore::run(std::uint64_t most)
{
    m_executed = 0;
    m_budget = most == 1 ? UINT64_MAX : most; // a single step is counted by the emulator
    m_fault = m_interrupt = m_leave = false;
    const std::uint32_t from = readRegister(15);
    const uc_err ended = uc_emu_start(m_uc, from | 1, 0xFFFFFFFF, 0, most == 1 ? 1 : 0);
    restore();
    CoreRun outcome{.why = CoreStop::Budget,
                    .instructions = std::max<std::uint64_t>(m_executed, 1)};
    if (ended != UC_ERR_OK || m_fault) {
        outcome.why = CoreStop::Fault;
    } else if (m_interrupt) {
        settleAtBreakpoint();
        outcome.why = isBreakpoint(readRegister(15)) ? CoreStop::Breakpoint : CoreStop::Fault;
    }
    return outcome;
}

bool UnicornCore::isBreakpoint(std::uint32_t address) const
{
    std::uint8_t code[2]{};
    return uc_mem_read(m_uc, address, code, sizeof code) == UC_ERR_OK && code[1] == 0xBE;
}

/// The emulator stops at or behind the BKPT, depending on how it got there.
void UnicornCore::settleAtBreakpoint()
{
    const std::uint32_t address = readRegister(15);
    if (!isBreakpoint(address) && isBreakpoint(address - 2))
        writeRegister(15, address - 2);
}

void UnicornCore::memoryChanged(std::uint32_t address, std::size_t size)
{
    for (Copy& copy : m_copies)
        if (copy.holds(address))
            copy.take(address, size);
    // Code that was there is remembered in translated form.
    uc_ctl_remove_cache(m_uc, std::uint64_t{address}, std::uint64_t{address} + size);
}

} // namespace

CoreExecutorMaker unicornCores()
{
    return [](std::span<const CoreMemory> memories, CoreBus& bus) -> std::unique_ptr<CoreExecutor> {
        return std::make_unique<UnicornCore>(memories, bus);
    };
}

} // namespace provost::sim
