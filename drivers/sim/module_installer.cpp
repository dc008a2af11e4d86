#include "sim/module_installer.h"

#include "core/text.h"
#include "sim/octets.h"
#include "sim/stock.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::uint16_t kPending = 0xABCD;
constexpr std::uint16_t kFactoryRestore = 0x0FAC;
constexpr std::uint32_t kCoreFactory = 0x20000; ///< of the external flash, 2.3
constexpr std::uint32_t kCoreFactorySize = 0x20000;
constexpr std::size_t kSlotSize = 20;
constexpr std::uint32_t kSlots = 5;
constexpr unsigned kOtaFlagSince = 1102;

std::uint32_t slotOffset(std::uint32_t slot)
{
    return dct::kPendingModules + slot * static_cast<std::uint32_t>(kSlotSize);
}

bool isBootloader(const ModuleInfo& module)
{
    return module.function == static_cast<std::uint8_t>(ModuleFunction::Bootloader);
}

void queuePending(BoardState& board, const ModuleInfo& module)
{
    for (std::uint32_t slot = 1; slot < kSlots; ++slot) { // slot 0 is the factory restore
        if (le16At(board.store.read(slotOffset(slot), kSlotSize)) == kPending)
            continue;
        Bytes entry;
        Fields(entry)
            .le16(kPending)
            .u8(0)
            .u8(0)
            .le32(board.profile.received.address)
            .le32(module.start)
            .le32(module.fileSize())
            .u8(0)
            .u8(module.function)
            .le16(0xFFFF);
        board.writeDct(slotOffset(slot), entry);
        return;
    }
}

std::optional<ModuleInfo> received(const BoardState& board)
{
    return moduleIn(board.profile, board.flash, board.profile.received);
}

/// The module at `content`, where it may run at `to`.
std::optional<ModuleInfo> fitting(const BoardState& board, ByteView content, std::uint32_t to)
{
    auto module = readModule(board.profile, content);
    const auto* const home = module ? homeOf(board.profile, *module) : nullptr;
    const bool fits = home != nullptr && module->intact && home->address == to &&
                      module->start == to && module->fileSize() <= home->size;
    return fits ? module : std::nullopt;
}

/// What erasing and programming of the range takes.
std::chrono::microseconds copyTime(const FlashMemory& flash, std::uint32_t to, std::uint32_t length)
{
    std::chrono::microseconds time = flash.programTime(length);
    for (std::uint32_t at = to; at < to + length;) {
        const auto sector = flash.sectorAt(at);
        time += sector->eraseTime;
        at = sector->address + sector->size;
    }
    return time;
}

std::optional<std::chrono::microseconds> put(FlashMemory& flash, std::uint32_t to, ByteView content)
{
    const auto length = static_cast<std::uint32_t>(content.size());
    if (!flash.contains(to, length) || !flash.eraseRange(to, length) || !flash.program(to, content))
        return std::nullopt;
    return copyTime(flash, to, length);
}

std::optional<std::chrono::microseconds> copyModule(BoardState& board, std::uint32_t from,
                                                    std::uint32_t to, std::uint32_t length)
{
    if (!board.flash.contains(from, length))
        return std::nullopt;
    const Bytes content = copyOf(board.flash.view(from, length));
    return fitting(board, content, to) ? put(board.flash, to, content) : std::nullopt;
}

} // namespace

bool FlashReceiveArea::prepare(std::uint32_t size)
{
    const ModuleRegion& area = m_board.profile.received;
    if (size > area.size)
        return false;
    const std::uint32_t end = area.address + std::max(size, 1U);
    for (std::uint32_t at = area.address; at < end;) {
        const auto sector = m_board.flash.sectorAt(at);
        if (m_board.dipsIn(Eraser::Receiver, m_board.flash, at))
            return false;
        m_board.flash.erase(at);
        m_owed += m_board.pace.work(sector->eraseTime);
        at = sector->address + sector->size;
    }
    return true;
}

bool FlashReceiveArea::store(std::uint32_t offset, ByteView bytes)
{
    const ModuleRegion& area = m_board.profile.received;
    const bool fits = offset <= area.size && bytes.size() <= area.size - offset;
    if (!fits || !m_board.flash.program(area.address + offset, bytes))
        return false;
    m_owed += m_board.pace.work(m_board.flash.programTime(bytes.size()));
    return true;
}

unsigned FlashReceiveArea::invalid()
{
    const unsigned passed = passedChecks(m_board.profile, m_board.flash, received(m_board));
    // What the module asks of others may still be on its way: only what it is itself counts.
    return (check::kAll ^ passed) & ~check::kDependencies;
}

void installReceived(BoardState& board)
{
    const auto module = received(board);
    if (!module || homeOf(board.profile, *module) == nullptr)
        return;
    if (!isBootloader(*module)) {
        queuePending(board, *module);
        return;
    }
    constexpr unsigned kNeeded = check::kIntegrity | check::kRange | check::kPlatform;
    if ((passedChecks(board.profile, board.flash, module) & kNeeded) == kNeeded)
        writeBootloader(
            board, copyOf(board.flash.view(board.profile.received.address, module->fileSize())));
}

std::chrono::microseconds applyPendingModules(BoardState& board)
{
    std::chrono::microseconds took{0};
    if (board.profile.dct == DctFormat::None)
        return took;
    for (std::uint32_t slot = 1; slot < kSlots; ++slot) {
        const Bytes entry = copyOf(board.store.read(slotOffset(slot), kSlotSize));
        if (le16At(entry) != kPending)
            continue;
        const auto copied =
            copyModule(board, le32At(entry, 4), le32At(entry, 8), le32At(entry, 12));
        board.say(concat("bootloader: pending module for ", "0x", hexText(le32At(entry, 8), 8),
                         copied ? " copied" : " not valid, left out"));
        const Bytes blank(kSlotSize, std::byte{0xFF});
        board.writeDct(slotOffset(slot), blank);
        took += copied.value_or(std::chrono::microseconds(0));
    }
    return took;
}

std::optional<FactoryImage> factoryImage(const BoardState& board)
{
    const BoardProfile& profile = board.profile;
    if (profile.dct == DctFormat::None) {
        const ByteView content = board.external->view(kCoreFactory, kCoreFactorySize);
        const auto module = fitting(board, content, profile.systemRegion().address);
        return module ? std::optional(FactoryImage{true, kCoreFactory, *module}) : std::nullopt;
    }
    const ModuleRegion& user = *profile.find(ModuleFunction::UserPart, 1);
    const auto kept = std::find_if(profile.regions.begin(), profile.regions.end(),
                                   [](const ModuleRegion& each) { return each.location == 'f'; });
    std::uint32_t from = kept->address;
    std::uint32_t to = user.address;
    std::uint32_t length = kept->size;
    if (const ByteView slot = board.store.read(slotOffset(0), kSlotSize);
        le16At(slot) == kFactoryRestore) {
        from = le32At(slot, 4);
        to = le32At(slot, 8);
        length = le32At(slot, 12);
    }
    if (!board.flash.contains(from, length))
        return std::nullopt;
    const auto module = fitting(board, board.flash.view(from, length), to);
    const bool runs = module && module->platform == profile.platform;
    return runs ? std::optional(FactoryImage{false, from, *module}) : std::nullopt;
}

std::optional<std::chrono::microseconds> copyFactoryImage(BoardState& board)
{
    const auto image = factoryImage(board);
    if (!image)
        return std::nullopt;
    const FlashMemory& source = image->external ? *board.external : board.flash;
    const Bytes content = copyOf(source.view(image->from, image->module.fileSize()));
    const auto took = put(board.flash, image->module.start, content);
    board.say(took ? "bootloader: factory firmware restored"
                   : "bootloader: factory firmware not restored");
    return took;
}

bool applyOtaFlag(BoardState& board)
{
    const bool asked = board.profile.dct != DctFormat::None &&
                       board.systemVersion >= kOtaFlagSince &&
                       octet(board.store.read(dct::kOtaFlag, 1)[0]) == 0xA5;
    if (!asked)
        return false;
    const Bytes blank(1, std::byte{0xFF});
    board.writeDct(dct::kOtaFlag, blank);
    const auto module = received(board);
    if (!module || !module->intact || homeOf(board.profile, *module) == nullptr) {
        board.say("system: update flag set, no valid module in the receive area");
        return false;
    }
    installReceived(board);
    return true;
}

void restoreEmbeddedBootloader(BoardState& board)
{
    if (board.systemVersion != 109 && board.systemVersion != 110)
        return;
    const auto installed = moduleIn(board.profile, board.flash, board.profile.bootloader());
    const unsigned version = installed ? installed->version : 0;
    if (version >= 11 && version < 100)
        return;
    board.say(concat("system: replacing bootloader ", version, " by 11"));
    writeBootloader(board, embeddedBootloader(board.profile));
}

bool writeBootloader(BoardState& board, ByteView module)
{
    board.flash.protectBootloader(false);
    const std::uint32_t address = board.profile.bootloader().address;
    const bool written = board.flash.erase(address) && board.flash.program(address, module);
    board.flash.protectBootloader(true);
    board.say(written ? "system: bootloader written" : "system: bootloader not written");
    return written;
}

} // namespace provost::sim
