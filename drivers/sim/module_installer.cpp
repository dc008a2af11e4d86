#include "sim/module_installer.h"

#include "core/byte_io.h"
#include "core/text.h"
#include "sim/stock.h"

#include <algorithm>

namespace provost::sim {

namespace {

constexpr std::uint16_t kPending = 0xABCD;
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
        if (readLe16(board.store.read(slotOffset(slot), kSlotSize)) == kPending)
            continue;
        Bytes entry;
        ByteWriter(entry)
            .le16(kPending)
            .u8(0)
            .u8(0)
            .le32(region::kReceived.address)
            .le32(module.start)
            .le32(module.fileSize())
            .u8(0)
            .u8(module.function)
            .le16(0xFFFF);
        board.writeDct(slotOffset(slot), entry);
        return;
    }
}

bool copyModule(BoardState& board, std::uint32_t from, std::uint32_t to, std::uint32_t length)
{
    if (!FlashMemory::contains(from, length) || !FlashMemory::contains(to, length))
        return false;
    const Bytes content = toBytes(board.flash.view(from, length));
    const auto module = readModule(content);
    const auto home = module ? homeOf(*module) : std::nullopt;
    const bool fits =
        module && module->intact && home && home->address == to && length <= home->size;
    return fits && board.flash.eraseRange(to, length) && board.flash.program(to, content);
}

} // namespace

bool FlashReceiveArea::prepare(std::uint32_t size)
{
    if (size > region::kReceived.size)
        return false;
    const std::uint32_t end = region::kReceived.address + std::max(size, 1U);
    for (std::uint32_t at = region::kReceived.address; at < end;) {
        const auto sector = FlashMemory::sectorAt(at);
        m_board.flash.erase(at);
        m_owed += m_board.pace.work(sector->eraseTime);
        at = sector->address + sector->size;
    }
    return true;
}

bool FlashReceiveArea::store(std::uint32_t offset, ByteView bytes)
{
    const bool fits =
        offset <= region::kReceived.size && bytes.size() <= region::kReceived.size - offset;
    if (!fits || !m_board.flash.program(region::kReceived.address + offset, bytes))
        return false;
    m_owed += m_board.pace.work(FlashMemory::programTime(bytes.size()));
    return true;
}

unsigned FlashReceiveArea::invalid()
{
    const unsigned passed = passedChecks(m_board.flash, moduleIn(m_board.flash, region::kReceived));
    // What the module asks of others may still be on its way: only what it is itself counts.
    return (check::kAll ^ passed) & ~check::kDependencies;
}

void installReceived(BoardState& board)
{
    const auto module = moduleIn(board.flash, region::kReceived);
    if (!module || !homeOf(*module))
        return;
    if (!isBootloader(*module)) {
        queuePending(board, *module);
        return;
    }
    constexpr unsigned kNeeded = check::kIntegrity | check::kRange | check::kPlatform;
    if ((passedChecks(board.flash, module) & kNeeded) == kNeeded)
        writeBootloader(board,
                        toBytes(board.flash.view(region::kReceived.address, module->fileSize())));
}

void applyPendingModules(BoardState& board)
{
    for (std::uint32_t slot = 1; slot < kSlots; ++slot) {
        const Bytes entry = toBytes(board.store.read(slotOffset(slot), kSlotSize));
        if (readLe16(entry) != kPending)
            continue;
        const bool copied =
            copyModule(board, readLe32(entry, 4), readLe32(entry, 8), readLe32(entry, 12));
        board.say(concat("bootloader: pending module for ", hex32(readLe32(entry, 8)),
                         copied ? " copied" : " not valid, left out"));
        const Bytes blank(kSlotSize, std::byte{0xFF});
        board.writeDct(slotOffset(slot), blank);
    }
}

bool applyOtaFlag(BoardState& board)
{
    const bool asked =
        board.systemVersion >= kOtaFlagSince && u8(board.store.read(dct::kOtaFlag, 1)[0]) == 0xA5;
    if (!asked)
        return false;
    const Bytes blank(1, std::byte{0xFF});
    board.writeDct(dct::kOtaFlag, blank);
    const auto module = moduleIn(board.flash, region::kReceived);
    if (!module || !module->intact || !homeOf(*module)) {
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
    const auto installed = moduleIn(board.flash, region::kBootloader);
    const unsigned version = installed ? installed->version : 0;
    if (version >= 11 && version < 100)
        return;
    board.say(concat("system: replacing bootloader ", version, " by 11"));
    writeBootloader(board, embeddedBootloader());
}

bool writeBootloader(BoardState& board, ByteView module)
{
    board.flash.protectBootloader(false);
    const bool written = board.flash.erase(region::kBootloader.address) &&
                         board.flash.program(region::kBootloader.address, module);
    board.flash.protectBootloader(true);
    board.say(written ? "system: bootloader written" : "system: bootloader not written");
    return written;
}

} // namespace provost::sim
