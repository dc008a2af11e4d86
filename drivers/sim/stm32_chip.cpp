#include "sim/stm32_chip.h"

#include "sim/board_state.h"
#include "sim/octets.h"

namespace provost::sim {

namespace {

using namespace std::chrono_literals;
using Time = std::chrono::steady_clock;

constexpr std::uint64_t kSlice = 50'000;           ///< instructions between two looks at the clock
constexpr std::uint64_t kMostAtOnce = 20 * kSlice; ///< a core that waits need not be emulated long
/// One instruction at some 60 MHz with wait states.
constexpr auto kInstruction = std::chrono::nanoseconds(30);

bool within(std::uint32_t base, std::size_t length, std::uint32_t address, std::size_t size)
{
    return address >= base && address - base <= length && length - (address - base) >= size;
}

} // namespace

Stm32Chip::Stm32Chip(const Stm32Profile& profile, Pace pace, const CoreExecutorMaker& makeCore)
    : Stm32Chip(profile, pace, makeCore, std::make_unique<FlashMemory>(*profile.flash), nullptr)
{
    const std::uint8_t id[] = {0x33, 0xFF, 0x6F, 0x06, 0x4D, 0x50,
                               0x36, 0x30, 0x12, 0x57, 0x08, 0x43};
    setUniqueId(std::as_bytes(std::span(id)));
    m_flash->memory().protectBootloader(false);
    m_flash->agreeOnProtection();
    takeOptions();
}

Stm32Chip::Stm32Chip(std::shared_ptr<BoardState> board, const CoreExecutorMaker& makeCore)
    : Stm32Chip(*board->profile.chip, board->pace, makeCore, nullptr, board)
{
    setUniqueId(m_board->deviceId);
}

Stm32Chip::Stm32Chip(const Stm32Profile& profile, Pace pace, const CoreExecutorMaker& makeCore,
                     std::unique_ptr<FlashMemory> own, std::shared_ptr<BoardState> board)
    : m_profile(profile), m_board(std::move(board)), m_own(std::move(own)),
      m_time{.now = Time::now(), .pace = pace},
      m_flash(makeFlashController(profile, m_board ? m_board->flash : *m_own, m_time)),
      m_sram(profile.sramBytes, std::byte{0}), m_system(profile.systemBytes, std::byte{0xFF}),
      m_debug(profile.cpuid, profile.idcode)
{
    putLe16(m_system.span(), profile.flashSize - profile.systemBase,
            static_cast<std::uint16_t>(profile.flashBytes() / 1024));
    takeOptions();
    const CoreMemory memories[] = {
        {.base = FlashController::kBase, .bytes = m_flash->array()},
        {.base = kSram, .bytes = m_sram.span(), .writable = true},
        {.base = profile.systemBase, .bytes = m_system.span()},
    };
    m_core = makeCore(memories, *this);
    m_debug.setCore(*m_core);
    leaveReset();
}

Stm32Chip::~Stm32Chip() = default;

void Stm32Chip::setUniqueId(ByteView twelveBytes)
{
    std::copy(twelveBytes.begin(), twelveBytes.end(),
              m_system.span().begin() + (m_profile.uniqueId - m_profile.systemBase));
}

void Stm32Chip::pokeFlash(std::uint32_t offset, ByteView bytes)
{
    m_flash->memory().poke(FlashController::kBase + offset, bytes);
    m_core->memoryChanged(FlashController::kBase + offset, bytes.size());
}

/// The option bytes lie among the pages of system memory.
void Stm32Chip::takeOptions()
{
    const ByteView options = m_flash->options();
    const std::size_t at = m_flash->optionsBase() - m_profile.systemBase;
    std::copy(options.begin(), options.end(),
              m_system.span().begin() + static_cast<std::ptrdiff_t>(at));
    if (m_core)
        m_core->memoryChanged(m_flash->optionsBase(), options.size());
}

void Stm32Chip::catchUp()
{
    m_wall = Time::now();
    followBoard();
    // What a board runs from flash is its firmware's affair.
    const bool executes = powered() && (!m_board || !runsFromFlash());
    std::uint64_t left = kMostAtOnce;
    while (executes && m_debug.state() == CortexDebug::State::Running && left > 0) {
        const std::uint64_t ran = m_debug.run(std::min(left, kSlice));
        m_time.now += ran * kInstruction;
        left -= std::min(left, std::max<std::uint64_t>(ran, 1));
        // Where nothing takes time one slice is enough; what is behind the wall comes later.
        if (m_time.pace.speed == Speed::Instant || m_time.now >= m_wall)
            break;
    }
    m_time.now = std::max(m_wall, m_time.now);
    if (m_debug.takeResetRequest())
        systemReset();
}

std::optional<Stm32Chip::Place> Stm32Chip::memoryAt(std::uint32_t address, std::size_t size)
{
    const auto part = [&](std::uint32_t base, ByteSpan all) {
        return all.subspan(address - base, size);
    };
    if (within(kSram, m_profile.sramBytes, address, size))
        return Place{.bytes = part(kSram, m_sram.span()), .sram = true};
    if (within(FlashController::kBase, m_profile.flashBytes(), address, size))
        return Place{.bytes = part(FlashController::kBase, m_flash->array()), .flash = true};
    if (within(0, m_profile.flashBytes(), address, size)) // BOOT0 low: flash is seen at 0, too
        return Place{.bytes = part(0, m_flash->array()), .flash = true};
    if (within(m_profile.systemBase, m_profile.systemBytes, address, size))
        return Place{.bytes = part(m_profile.systemBase, m_system.span())};
    return std::nullopt;
}

std::optional<Bytes> Stm32Chip::read(std::uint32_t address, std::size_t size, unsigned width)
{
    if (!CortexDebug::holds(address) && inReset())
        return std::nullopt; // the bus matrix is in reset as well
    if (const auto place = memoryAt(address, size)) {
        if (place->flash && m_flash->readProtected())
            return std::nullopt;
        return copyOf(place->bytes);
    }
    Bytes bytes;
    for (std::size_t at = 0; at < size; at += width) {
        const auto from = static_cast<std::uint32_t>(address + at);
        const auto word = registerLoad(from);
        if (!word)
            return std::nullopt;
        for (unsigned i = 0; i < width; ++i)
            bytes.push_back(static_cast<std::byte>(*word >> (8 * ((from + i) & 3)) & 0xFF));
    }
    bytes.resize(size);
    return bytes;
}

bool Stm32Chip::write(std::uint32_t address, ByteView bytes, unsigned width)
{
    if (!CortexDebug::holds(address) && inReset())
        return false;
    if (const auto place = memoryAt(address, bytes.size())) {
        if (place->sram) {
            std::copy(bytes.begin(), bytes.end(), place->bytes.begin());
            m_core->memoryChanged(address, bytes.size());
            return true;
        }
        if (place->flash || m_flash->holdsOptions(address))
            return programFlash(address, bytes, width);
        return false;
    }
    for (std::size_t at = 0; at + width <= bytes.size(); at += width) {
        std::uint32_t value = 0;
        for (unsigned i = 0; i < width; ++i)
            value |= std::uint32_t{octet(bytes[at + i])} << (8 * i);
        if (!registerStore(static_cast<std::uint32_t>(address + at), value))
            return false;
    }
    if (m_debug.takeResetRequest())
        systemReset();
    return true;
}

bool Stm32Chip::programFlash(std::uint32_t address, ByteView bytes, unsigned width)
{
    if (address < FlashController::kBase)
        address += FlashController::kBase; // by way of the alias
    for (std::size_t at = 0; at + width <= bytes.size(); at += width) {
        std::uint32_t value = 0;
        for (unsigned i = 0; i < width; ++i)
            value |= std::uint32_t{octet(bytes[at + i])} << (8 * i);
        // The bus waits for a flash that is busy.
        m_time.now = std::max(m_time.now, m_flash->busyUntil());
        if (!m_flash->program(static_cast<std::uint32_t>(address + at), width, value))
            return false;
    }
    m_core->memoryChanged(address, bytes.size());
    takeOptions();
    return true;
}

std::optional<std::uint32_t> Stm32Chip::registerLoad(std::uint32_t address)
{
    if (CortexDebug::holds(address))
        return m_debug.load(address);
    if (isFlashRegister(address))
        return m_flash->load(address - m_profile.flashRegisters);
    if (!isPeripheral(address))
        return std::nullopt;
    const auto found = m_peripherals.find(address & ~3U);
    return found == m_peripherals.end() ? 0 : found->second;
}

bool Stm32Chip::registerStore(std::uint32_t address, std::uint32_t value)
{
    if (CortexDebug::holds(address)) {
        m_debug.store(address, value);
        return true;
    }
    if (isFlashRegister(address)) {
        const bool fine = m_flash->store(address - m_profile.flashRegisters, value);
        flashChanged();
        return fine;
    }
    if (!isPeripheral(address))
        return false;
    m_peripherals[address & ~3U] = value;
    return true;
}

/// Whole sectors may have gone: the core must not see what was there.
void Stm32Chip::flashChanged()
{
    const auto& counters = m_flash->counters();
    const std::uint32_t erases = counters.erases + counters.massErases;
    if (erases != std::exchange(m_seenErases, erases))
        m_core->memoryChanged(FlashController::kBase, m_profile.flashBytes());
    takeOptions();
}

std::optional<std::uint32_t> Stm32Chip::coreLoad(std::uint32_t address, unsigned)
{
    // A core that waits for the flash spends exactly the time the flash needs.
    if (isFlashRegister(address) && m_flash->busy()) {
        m_time.now = std::max(m_time.now, std::min(m_flash->busyUntil(), m_wall));
        if (m_flash->busy())
            m_core->yield();
    }
    const auto word = registerLoad(address);
    return word ? std::optional(*word >> (8 * (address & 3))) : std::nullopt;
}

bool Stm32Chip::coreStore(std::uint32_t address, unsigned bytes, std::uint32_t value)
{
    if (!m_flash->holds(address) && !m_flash->holdsOptions(address))
        return registerStore(address, value);
    m_time.now = std::max(m_time.now, m_flash->busyUntil());
    const bool fine = m_flash->program(address, bytes, value);
    if (m_flash->holdsOptions(address))
        takeOptions();
    return fine;
}

void Stm32Chip::systemReset()
{
    m_flash->systemReset();
    m_peripherals.clear();
    takeOptions();
    if (m_board) {
        m_board->mode = BoardMode::Booting;
        m_board->detach(); // at once: nobody meets the firmware of before
        m_board->askRestart(BootTarget::Normal);
    }
    leaveReset();
}

void Stm32Chip::leaveReset()
{
    std::uint32_t entry = le32At(m_flash->array(), 4);
    // The images of virtual boards are filler: whether one starts is decided by the boot rules.
    if (m_board && runnable(m_board->profile, m_board->flash, m_board->profile.bootloader()))
        entry = FlashController::kBase + m_board->profile.vectorTable + 1;
    m_debug.leaveReset(le32At(m_flash->array(), 0), entry);
    m_taken = m_debug.state() == CortexDebug::State::Halted;
}

void Stm32Chip::holdReset()
{
    m_debug.holdReset();
}

void Stm32Chip::releaseReset()
{
    if (inReset())
        systemReset();
}

void Stm32Chip::powerCycle()
{
    m_debug.powerOn();
    m_flash->systemReset();
    m_peripherals.clear();
    takeOptions();
    leaveReset();
}

void Stm32Chip::setVoltage(double volts)
{
    const bool wasOn = powered();
    m_volts = volts;
    m_flash->setVoltage(volts);
    if (!wasOn && powered())
        powerCycle();
}

/// What happened to the board meanwhile.
void Stm32Chip::followBoard()
{
    if (!m_board)
        return;
    m_flash->agreeOnProtection();
    takeOptions();
    setVoltage(m_board->powered ? 3.3 : 0);
    if (powered() && std::exchange(m_seenCuts, m_board->powerCuts) != m_board->powerCuts)
        powerCycle();
}

/// What the debugger did to the core, as the board feels it.
void Stm32Chip::leadBoard()
{
    if (!m_board)
        return;
    m_flash->agreeOnProtection();
    const auto state = m_debug.state();
    const bool loader = state != CortexDebug::State::InReset && !runsFromFlash();
    if (state == CortexDebug::State::Running && !loader)
        m_taken = false;
    m_taken = m_taken || loader;
    m_board->holdCore(powered() && (inReset() || m_taken));
}

ChipAccess::ChipAccess(Stm32Chip& chip) : m_chip(chip)
{
    if (m_chip.m_board)
        m_chip.m_board->mutex.lock();
}

ChipAccess::~ChipAccess()
{
    m_chip.leadBoard();
    if (m_chip.m_board)
        m_chip.m_board->mutex.unlock();
}

} // namespace provost::sim
