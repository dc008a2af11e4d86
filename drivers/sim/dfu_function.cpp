#include "sim/dfu_function.h"

#include "core/text.h"
#include "sim/octets.h"

#include <algorithm>

namespace provost::sim {

namespace {

using namespace std::chrono_literals;

enum State : std::uint8_t {
    Idle = 2,
    DownloadSync = 3,
    DownloadBusy = 4,
    DownloadIdle = 5,
    ManifestSync = 6,
    ManifestWaitReset = 8,
    UploadIdle = 9,
    ErrorState = 10,
    Upset = 15, ///< the Core's answer to UPLOAD of block 1, a bug of its own
};
enum Status : std::uint8_t {
    Ok = 0x00,
    ErrFirmware = 0x0A,
    ErrUnknown = 0x0E,
    ErrStalledPacket = 0x0F
};

constexpr std::uint32_t kDctSpace = 0x4000;
constexpr std::string_view kConstantSerial = "00000000010B";

/// 1.2 for F2 boards. The Core's is the 24 digits of protocol sheet 1.1, with a NUL behind them.
std::string dfuSerial(BootloaderCode code, unsigned version, ByteView id)
{
    if (code == BootloaderCode::F1)
        return upperHex(id) + '\0';
    if (version < 11)
        return std::string(kConstantSerial);
    return version >= 100 ? hexText(id) : upperHex(id);
}

unsigned bootloaderVersion(const BoardState& board)
{
    const auto module = moduleIn(board.profile, board.flash, board.profile.bootloader());
    return module ? module->version : 0;
}

/// 3.4: part 2 from 200 on, and part 1 at the version that part 2 asks for.
bool partsLendDct(const BoardState& board)
{
    const ModuleRegion* const home = board.profile.find(ModuleFunction::SystemPart, 1);
    const auto part1 = home ? runnable(board.profile, board.flash, *home) : std::nullopt;
    const auto part2 = board.system();
    if (!part1 || !part2 || part2->version < 200)
        return false;
    return std::all_of(
        part2->dependencies.begin(), part2->dependencies.end(), [&](const ModuleDependency& each) {
            const bool onPart1 =
                each.function == static_cast<std::uint8_t>(ModuleFunction::SystemPart) &&
                each.index == 1;
            return !onPart1 || part1->version >= each.version;
        });
}

} // namespace

DfuFunction::DfuFunction(std::shared_ptr<BoardState> board)
    : m_board(std::move(board)), m_dfu(m_board->profile.dfu),
      m_version(bootloaderVersion(*m_board)),
      m_serial(m_board->faults.constantSerial
                   ? std::string(kConstantSerial)
                   : dfuSerial(m_dfu.code, m_version, m_board->deviceId)),
      m_borrowsDct(m_board->profile.lentDctCode && m_version >= 100),
      m_dctWorks(!m_borrowsDct || partsLendDct(*m_board)), m_buffer(m_dfu.transferSize)
{
    plugInState();
}

bool DfuFunction::alternateSelected(std::uint8_t interface, std::uint8_t alternate)
{
    return interface == 0 && alternate < m_dfu.memories.size();
}

void DfuFunction::busReset()
{
    Chapter9Function::busReset();
    const MutexLock lock(m_board->mutex);
    plugInState();
}

void DfuFunction::plugInState()
{
    m_state = onF1() ? ErrorState : Idle;
    m_status = onF1() ? ErrFirmware : Ok;
    m_poll = 0;
    m_pointer = m_dfu.firstWritable;
    m_pending.reset();
    m_failed = false;
    m_stuck = false;
}

std::optional<SteadyTime> DfuFunction::busyUntil() const
{
    const MutexLock lock(m_board->mutex);
    return m_busyUntil;
}

UsbReply DfuFunction::classRequest(const UsbSetup& setup, ByteView data)
{
    const MutexLock lock(m_board->mutex);
    switch (setup.request) {
    case 0: // DETACH: disconnects and reconnects at once, whatever was asked (1.7)
        if (onF1())
            return UsbReply::stall();
        m_board->replug = true;
        m_board->notify();
        return {};
    case 1:
        return download(setup, data);
    case 2:
        return upload(setup);
    case 3:
        return getStatus();
    case 4:
        return clearStatus();
    case 5:
        return UsbReply::with(Bytes{std::byte{m_state}});
    case 6:
        return abort();
    default:
        return UsbReply::stall();
    }
}

UsbReply DfuFunction::fault(std::uint8_t status)
{
    m_state = ErrorState;
    m_status = status;
    m_pending.reset();
    return UsbReply::stall();
}

UsbReply DfuFunction::download(const UsbSetup& setup, ByteView data)
{
    const bool ready = m_state == Idle || m_state == DownloadIdle;
    if (data.size() > m_dfu.transferSize)
        m_board->violations.push_back(
            concat("DNLOAD of ", data.size(), " bytes, more than wTransferSize"));
    if (!ready || data.size() != setup.length || data.size() > m_dfu.transferSize)
        return fault(ErrStalledPacket);
    if (data.empty()) {
        m_state = ManifestSync; // leave
        return {};
    }
    m_pending = Pending{.block = setup.value, .data = copyOf(data)};
    std::copy(data.begin(), data.end(), m_buffer.begin());
    m_state = DownloadSync;
    return {};
}

UsbReply DfuFunction::upload(const UsbSetup& setup)
{
    if ((m_state != Idle && m_state != UploadIdle) || setup.length > m_dfu.transferSize)
        return fault(ErrStalledPacket);
    if (setup.length == 0) {
        m_state = Idle;
        return {};
    }
    if (setup.value == 0) {
        m_state = setup.length > 3 ? Idle : UploadIdle;
        return UsbReply::with(*fromHexText("002141"));
    }
    if (setup.value == 1 && onF1()) {
        m_state = Upset;
        return UsbReply::stall();
    }
    if (setup.value == 1)
        return fault(ErrStalledPacket);
    m_state = UploadIdle;
    const auto block = static_cast<std::uint32_t>(setup.value - 2);
    return UsbReply::with(readMemory(m_pointer + block * m_dfu.transferSize, setup.length));
}

Bytes DfuFunction::readMemory(std::uint32_t address, std::size_t size)
{
    ByteView found;
    if (spaceAt(address) == MemorySpace::Dct) {
        // Offset 0 is the application DCT; what follows it in the sector follows it here.
        if (m_dctWorks && address < kDctSpace)
            found = m_board->store.read(address, size);
    } else if (const FlashMemory* const flash = memoryAt(address);
               flash != nullptr && flash->contains(address, size)) {
        found = flash->view(address, size);
    }
    if (!found.empty())
        std::copy(found.begin(), found.end(), m_buffer.begin());
    else if (m_borrowsDct) // 0.7.0 and later clear the buffer, older ones send what was in it
        std::fill(m_buffer.begin(), m_buffer.end(), std::byte{0});
    return copyOf(ByteView(m_buffer).first(size));
}

UsbReply DfuFunction::getStatus()
{
    const auto now = std::chrono::steady_clock::now();
    if (m_stuck)
        return statusBlock(DownloadBusy);
    if (now < m_pollDue) {
        m_board->violations.push_back(
            concat("GETSTATUS in dfuDNBUSY before the announced ", m_poll, " ms had passed"));
        m_pollDue = {};
    }
    if (m_failed) { // the error hook stalled both halves of endpoint 0
        m_failed = false;
        return UsbReply::stall();
    }
    if (m_state == DownloadSync && m_pending) {
        announcePoll();
        const UsbReply answer = statusBlock(DownloadBusy);
        const Pending work = *std::exchange(m_pending, std::nullopt);
        m_failed = !execute(work);
        m_stuck = due(m_board->faults.stuckWork);
        m_pollDue = now + std::chrono::milliseconds(m_poll);
        return answer; // the state reads dfuDNLOAD-SYNC again once the work is done
    }
    if (m_state == DownloadSync) {
        m_state = DownloadIdle;
        if (onF1())
            m_poll = 0;
    } else if (m_state == ManifestSync) {
        m_poll = onF1() ? 0 : m_poll;
        m_state = onF1() ? ManifestWaitReset : Idle;
        m_board->askRestart(BootTarget::Normal);
        return statusBlock(DownloadIdle); // 5, not 7 (1.5)
    }
    return statusBlock(m_state);
}

UsbReply DfuFunction::statusBlock(std::uint8_t shownState) const
{
    Bytes bytes;
    Fields(bytes).u8(m_status).le16(m_poll & 0xFFFF).u8(m_poll >> 16).u8(shownState).u8(0);
    return UsbReply::with(std::move(bytes));
}

void DfuFunction::announcePoll()
{
    const bool erase = m_pending->block == 0 && octet(m_pending->data[0]) == 0x41;
    std::chrono::milliseconds real{m_version >= 100 ? 0 : 50};
    // The Core's looks at where the pointer was before this command (protocol sheet 1.7).
    const MemorySpace space = spaceAt(m_pointer);
    if (onF1())
        real = space == MemorySpace::Internal ? 50ms : erase ? 20ms : 30ms;
    else if (space == MemorySpace::Dct)
        real = erase ? 500ms : 1ms; // the fields are swapped (1.5)
    m_poll = m_board->faults.pollMs.value_or(0);
    if (!m_board->faults.pollMs)
        m_poll = static_cast<std::uint32_t>(
            std::chrono::ceil<std::chrono::milliseconds>(m_board->pace.work(real)).count());
}

UsbReply DfuFunction::clearStatus()
{
    const bool wasError = m_state == ErrorState;
    m_state = wasError ? Idle : ErrorState;
    m_status = wasError ? Ok : ErrUnknown;
    return {};
}

UsbReply DfuFunction::abort()
{
    if (m_state != ErrorState) {
        m_state = Idle;
        m_status = Ok;
        m_pending.reset();
        m_failed = false;
    }
    return {};
}

bool DfuFunction::execute(const Pending& work)
{
    if (work.block == 1)
        return true;
    if (work.block > 1) {
        const std::uint32_t address = m_pointer + (work.block - 2U) * m_dfu.transferSize;
        Bytes data = work.data;
        data.resize((data.size() + 3) / 4 * 4, std::byte{0xFF});
        if (spaceAt(address) == MemorySpace::Dct)
            return writeDct(address, work.data);
        return writeFlash(address, data) || onF1();
    }
    if (work.data.size() != 5)
        return true; // mass erase and unknown commands: accepted, ignored
    const std::uint32_t address = le32At(work.data, 1);
    switch (octet(work.data[0])) {
    case 0x21:
        m_pointer = address;
        return true;
    case 0x41:
        m_pointer = address;
        if (spaceAt(address) == MemorySpace::Dct)
            return true;
        return eraseFlash(address) || onF1(); // the Core never reports a failure
    default:
        return true;
    }
}

/// By the alternate setting; on the Core by the address (protocol sheet 1.7).
MemorySpace DfuFunction::spaceAt(std::uint32_t address) const
{
    if (onF1())
        return (address & 0xFC000000) == 0x08000000 ? MemorySpace::Internal : MemorySpace::External;
    return m_dfu.memories[alternateOf(0)].space;
}

FlashMemory* DfuFunction::memoryAt(std::uint32_t address)
{
    if (spaceAt(address) == MemorySpace::External)
        return m_board->external ? &*m_board->external : nullptr;
    return &m_board->flash;
}

/// Below the first system part F2 boards write nothing, although two sectors are advertised (1.5).
bool DfuFunction::refused(std::uint32_t address) const
{
    return !onF1() && spaceAt(address) == MemorySpace::Internal && address < m_dfu.firstWritable;
}

bool DfuFunction::eraseFlash(std::uint32_t address)
{
    FlashMemory* const flash = memoryAt(address);
    const auto sector = flash ? flash->sectorAt(address) : std::nullopt;
    if (!sector || refused(address))
        return false;
    if (m_board->dipsIn(Eraser::Dfu, *flash, address) || !flash->erase(address))
        return false;
    workFor(sector->eraseTime);
    return true;
}

bool DfuFunction::writeFlash(std::uint32_t address, ByteView data)
{
    FlashMemory* const flash = memoryAt(address);
    if (flash == nullptr || refused(address))
        return false;
    if (cableComesOut(address, data.size())) {
        flash->program(address, data.first(data.size() / 2));
        m_board->pullCable();
        return false;
    }
    if (!flash->program(address, data))
        return false;
    workFor(flash->programTime(data.size()));
    // Version 7 and older write blindly; newer ones read back, up to three times.
    return m_version < 11 || sameOctets(flash->view(address, data.size()), data);
}

bool DfuFunction::writeDct(std::uint32_t offset, ByteView data)
{
    const bool dcd = m_board->profile.dct == DctFormat::Dcd;
    const std::uint32_t limit = dcd            ? dct::kUsableDcd
                                : m_borrowsDct ? dct::kUsable
                                               : dct::kUsableOld;
    if (!m_dctWorks || !m_board->store.write(offset, data, limit))
        return false;
    workFor(250ms + m_board->flash.programTime(kDctSpace));
    return true;
}

/// The size of a module that is being written stands in its header, which comes first.
bool DfuFunction::cableComesOut(std::uint32_t address, std::size_t size) const
{
    const ModuleRegion* const region = m_board->faults.unplugIn;
    if (region == nullptr || spaceAt(address) != MemorySpace::Internal)
        return false;
    const auto module = moduleIn(m_board->profile, m_board->flash, *region);
    const std::uint32_t whole = module ? module->fileSize() : region->size;
    const std::uint32_t place =
        region->address +
        static_cast<std::uint32_t>(std::uint64_t{whole} * m_board->faults.unplugPercent / 100);
    const bool comes = address <= place && place < address + size;
    if (comes)
        m_board->faults.unplugIn = nullptr;
    return comes;
}

bool DfuFunction::due(std::uint32_t& left)
{
    return left != 0 && --left == 0;
}

void DfuFunction::workFor(std::chrono::microseconds real)
{
    m_board->flashTime += real;
    m_busyUntil = std::chrono::steady_clock::now() + m_board->pace.work(real);
}

} // namespace provost::sim
