// Memory and core of the target through an ST-Link (protocol sheet 2.4, 3.1).
#include "core/byte_io.h"
#include "core/text.h"
#include "crypto/secret_bytes.h"
#include "protocol/stlink_probe_p.h"

#include <algorithm>

namespace provost {

namespace {

using namespace std::chrono_literals;

// ADIv5 guarantees the address counter inside 1 KiB; a Cortex-M3 or M4 counts 4 KiB (OpenOCD).
constexpr std::uint32_t kCounterBlock = 1024;
constexpr std::uint32_t kCortexCounterBlock = 4096;
constexpr std::uint32_t kLongestByteAccess = 64;
constexpr std::uint32_t kLongestByteAccessV3 = 512; // from V3J6 on
constexpr auto kHaltLimit = 1s;
constexpr auto kCorePoll = 1ms;

// FLASH_OPTCR of an STM32F2 (PM0059): CC in its second byte is read protection level 2, which
// closes the debug port for ever. The same bits lie once more in the bit-band alias
// (PM0056, 2.2.5).
constexpr std::uint32_t kGuardedOptions = 0x40023C14;
constexpr std::uint32_t kGuardedAlias = 0x42000000 + (kGuardedOptions - 0x40000000) * 32;
constexpr std::uint32_t kGuardedAliasBytes = 32 * 4;
constexpr std::uint32_t kClosedForEver = 0xCC;
// ADIv5, C2.2 and B2.2
constexpr std::uint16_t kLastRegister = 0xFC;
constexpr std::uint16_t kTransferAddress = 0x04, kDataReadWrite = 0x0C, kBankedData = 0x10;
constexpr std::uint16_t kBankedEnd = 0x20, kDapSelect = 0x08;

bool countsFourKib(std::uint32_t cpuid)
{
    const std::uint32_t part = cpuid >> 4 & 0xFFF;
    return part == 0xC23 || part == 0xC24;
}

std::string access(std::string_view verb, std::size_t size, std::uint32_t address)
{
    return concat(verb, ' ', size, " bytes at ", hex32(address));
}

bool meets(std::uint32_t address, std::size_t size, std::uint32_t begin, std::uint32_t length)
{
    return address < begin + length && begin < std::uint64_t{address} + size;
}

bool isOptionWord(std::uint32_t address, std::size_t size)
{
    return meets(address, size, kGuardedOptions, 4) ||
           meets(address, size, kGuardedAlias, kGuardedAliasBytes);
}

Unexpected refusedLevelTwo(std::string what)
{
    return fail(
        Errc::Denied, Blame::Operator,
        concat(std::move(what),
               ": read protection level 2 could come of it, which closes the debug port of "
               "an STM32F2 for ever; set write protection by the option bytes' own command"));
}

/// The option word takes whole words only, none of them with level 2; its alias takes nothing.
Result<> checkStores(std::uint32_t address, ByteView bytes, unsigned width)
{
    const std::size_t size = bytes.size();
    if (!isOptionWord(address, size))
        return {};
    const bool whole = width == 4 && address % 4 == 0 && address <= kGuardedOptions &&
                       !meets(address, size, kGuardedAlias, kGuardedAliasBytes);
    if (whole && (readLe32(bytes, kGuardedOptions - address) >> 8 & 0xFF) != kClosedForEver)
        return {};
    return refusedLevelTwo(concat("write ", size, " bytes at ", hex32(address)));
}

std::string dapAccess(std::string_view verb, std::uint16_t port, std::uint16_t reg)
{
    const bool debugPort = port == StLinkProbe::kDebugPort;
    return concat(verb, " register ", hex16(reg), " of ",
                  debugPort ? "the debug port" : "access port ",
                  debugPort ? std::string() : concat(port));
}

} // namespace

/// Reading it clears it.
Result<std::uint8_t> StLinkProbe::Impl::accessStatus(const OpContext& op)
{
    const Bytes reply = TRY(link.ask(StLinkCommand::debug(0x3E), 12, op));
    return u8(reply[0]);
}

/// The longest access that may start at `address`, and its width.
std::uint32_t StLinkProbe::Impl::pieceAt(std::uint32_t address, std::uint32_t left,
                                         unsigned& width) const
{
    const std::uint32_t block = countsFourKib(target.cpuid) ? kCortexCounterBlock : kCounterBlock;
    const std::uint32_t toBlock = block - address % block;
    if (address % 4 == 0 && left >= 4) {
        width = 4;
        return std::min(left, toBlock) & ~3U;
    }
    // Head up to the next word, or the tail behind the last one.
    width = 1;
    const std::uint32_t toWord = address % 4 == 0 ? left : 4 - address % 4;
    return std::min({left, toWord, longestByteAccess()});
}

std::uint32_t StLinkProbe::Impl::longestByteAccess() const
{
    return version.generation == 3 && version.jtag >= 6 ? kLongestByteAccessV3 : kLongestByteAccess;
}

Result<> StLinkProbe::Impl::readPiece(std::uint32_t address, ByteSpan to, unsigned width,
                                      const OpContext& op)
{
    const StLinkCommand command = StLinkCommand::debug(width == 4 ? 0x07 : 0x0C)
                                      .le32(address)
                                      .le16(static_cast<unsigned>(to.size()));
    // One byte comes with a companion (2.4).
    const std::size_t expected = width == 1 && to.size() == 1 ? 2 : to.size();
    StLinkPatience patience;
    while (true) {
        Bytes bytes = TRY(link.ask(command, expected, op));
        std::copy_n(bytes.begin(), to.size(), to.begin());
        if (op.sensitive)
            wipe(bytes);
        const std::uint8_t status = TRY(accessStatus(op));
        const StLinkVerdict verdict = stlinkVerdict(status);
        if (verdict == StLinkVerdict::Fine)
            return {};
        if (verdict == StLinkVerdict::Failed || !patience.left())
            return stlinkFailure(status, access("read", to.size(), address));
        TRY(patience.wait(op));
    }
}

Result<> StLinkProbe::Impl::writePiece(std::uint32_t address, ByteView bytes, unsigned width,
                                       const OpContext& op)
{
    const std::uint8_t code = width == 4 ? 0x08 : width == 2 ? 0x48 : 0x0D;
    const StLinkCommand command =
        StLinkCommand::debug(code).le32(address).le16(static_cast<unsigned>(bytes.size()));
    StLinkPatience patience;
    while (true) {
        TRY(link.send(command, bytes, op));
        const std::uint8_t status = TRY(accessStatus(op));
        const StLinkVerdict verdict = stlinkVerdict(status);
        if (verdict == StLinkVerdict::Fine)
            return {};
        if (verdict == StLinkVerdict::Failed || !patience.left())
            return stlinkFailure(status, access("write", bytes.size(), address));
        TRY(patience.wait(op));
    }
}

Result<Bytes> StLinkProbe::read(std::uint32_t address, std::uint32_t size, const OpContext& op)
{
    Bytes bytes(size);
    std::uint32_t done = 0;
    while (done < size) {
        unsigned width = 0;
        const std::uint32_t count = m_impl->pieceAt(address + done, size - done, width);
        TRY(m_impl->readPiece(address + done, ByteSpan(bytes).subspan(done, count), width, op));
        done += count;
        op.progress.advance(done, size);
    }
    return bytes;
}

Result<> StLinkProbe::write(std::uint32_t address, ByteView bytes, const OpContext& op)
{
    const auto size = static_cast<std::uint32_t>(bytes.size());
    for (std::uint32_t done = 0; done < size;) { // all of it, before the first byte goes
        unsigned width = 0;
        const std::uint32_t count = m_impl->pieceAt(address + done, size - done, width);
        TRY(checkStores(address + done, bytes.subspan(done, count), width));
        done += count;
    }
    std::uint32_t done = 0;
    while (done < size) {
        unsigned width = 0;
        const std::uint32_t count = m_impl->pieceAt(address + done, size - done, width);
        TRY(m_impl->writePiece(address + done, bytes.subspan(done, count), width, op));
        done += count;
        op.progress.advance(done, size);
    }
    return {};
}

Result<> StLinkProbe::writeUnits(std::uint32_t address, ByteView bytes, unsigned width,
                                 const OpContext& op)
{
    ENSURE((width == 1 || width == 2 || width == 4) && address % width == 0 &&
           bytes.size() % width == 0);
    TRY(checkStores(address, bytes, width));
    const auto size = static_cast<std::uint32_t>(bytes.size());
    const std::uint32_t most = width == 1 ? m_impl->longestByteAccess() : kCounterBlock;
    for (std::uint32_t done = 0; done < size;) {
        const std::uint32_t room = kCounterBlock - (address + done) % kCounterBlock;
        const std::uint32_t count = std::min({size - done, room, most});
        TRY(m_impl->writePiece(address + done, bytes.subspan(done, count), width, op));
        done += count;
    }
    return {};
}

Result<std::uint32_t> StLinkProbe::readDap(std::uint16_t port, std::uint16_t reg,
                                           const OpContext& op)
{
    const Bytes reply = TRY(m_impl->link.askStatus(StLinkCommand::debug(0x45).le16(port).le16(reg),
                                                   8, dapAccess("read", port, reg), op));
    return readLe32(reply, 4);
}

/// Where a data register leads is asked of the access port itself, each time: its address counts on
/// by itself, and every access to memory moves it.
Result<> StLinkProbe::Impl::checkDapWrite(std::uint16_t port, std::uint16_t reg,
                                          std::uint32_t value, const OpContext& op)
{
    const std::string what = dapAccess(concat("write ", hex32(value), " to"), port, reg);
    if (reg > kLastRegister || reg % 4 != 0)
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat(what, ": registers are multiples of 4 up to ", hex16(kLastRegister)));
    if (port == kDebugPort && (reg & 0xF) == kDapSelect)
        return fail(Errc::Denied, Blame::Operator,
                    concat(what, ": the probe selects access port and bank by itself"));
    const bool banked = reg >= kBankedData && reg < kBankedEnd;
    if (port == kDebugPort || (reg != kDataReadWrite && !banked))
        return {};
    const Bytes reply =
        TRY(link.askStatus(StLinkCommand::debug(0x45).le16(port).le16(kTransferAddress), 8,
                           dapAccess("read", port, kTransferAddress), op));
    const std::uint32_t address = readLe32(reply, 4);
    const std::uint32_t word =
        banked ? (address & ~0xFU) + (reg & 0xFU) : address & ~std::uint32_t{3};
    return isOptionWord(word, 4) ? refusedLevelTwo(what) : Result<>{};
}

Result<> StLinkProbe::writeDap(std::uint16_t port, std::uint16_t reg, std::uint32_t value,
                               const OpContext& op)
{
    TRY(m_impl->checkDapWrite(port, reg, value, op));
    TRY(m_impl->link.askStatus(StLinkCommand::debug(0x46).le16(port).le16(reg).le32(value), 2,
                               dapAccess("write", port, reg), op));
    return {};
}

Result<std::uint32_t> StLinkProbe::Impl::readWord(std::uint32_t address, const OpContext& op)
{
    const Bytes reply = TRY(link.askStatus(StLinkCommand::debug(0x36).le32(address), 8,
                                           concat("read the word at ", hex32(address)), op));
    return readLe32(reply, 4);
}

Result<> StLinkProbe::Impl::writeWord(std::uint32_t address, std::uint32_t value,
                                      const OpContext& op)
{
    Bytes bytes(4);
    writeLe32(bytes, 0, value);
    TRY(checkStores(address, bytes, 4));
    TRY(link.askStatus(StLinkCommand::debug(0x35).le32(address).le32(value), 2,
                       concat("write ", hex32(value), " to ", hex32(address)), op));
    return {};
}

Result<> StLinkProbe::Impl::pollCore(std::uint32_t mask, std::uint32_t wanted,
                                     const std::string& what, const OpContext& op)
{
    while (true) {
        const std::uint32_t status = TRY(readWord(kDhcsr, op));
        if ((status & mask) == wanted)
            return {};
        if (auto waited = op.sleepFor(kCorePoll); !waited)
            return Unexpected(
                inFrame(std::move(waited).error(), concat(what, ", DHCSR is ", hex32(status))));
    }
}

Result<std::uint32_t> StLinkProbe::readWord(std::uint32_t address, const OpContext& op)
{
    return m_impl->readWord(address, op);
}

Result<> StLinkProbe::writeWord(std::uint32_t address, std::uint32_t value, const OpContext& op)
{
    return m_impl->writeWord(address, value, op);
}

Result<std::uint32_t> StLinkProbe::readRegister(CoreRegister which, const OpContext& op)
{
    const auto number = static_cast<unsigned>(which);
    const Bytes reply = TRY(m_impl->link.askStatus(StLinkCommand::debug(0x33).u8(number), 8,
                                                   concat("read core register ", number), op));
    return readLe32(reply, 4);
}

Result<> StLinkProbe::writeRegister(CoreRegister which, std::uint32_t value, const OpContext& op)
{
    const auto number = static_cast<unsigned>(which);
    TRY(m_impl->link.askStatus(StLinkCommand::debug(0x34).u8(number).le32(value), 2,
                               concat("write core register ", number), op));
    return {};
}

Result<CoreStatus> StLinkProbe::coreStatus(const OpContext& op)
{
    const std::uint32_t status = TRY(m_impl->readWord(kDhcsr, op));
    return CoreStatus{.halted = (status & kHalted) != 0,
                      .lockedUp = (status & kLockedUp) != 0,
                      .wasReset = (status & kWasReset) != 0};
}

Result<> StLinkProbe::halt(const OpContext& op)
{
    TRY(m_impl->writeWord(kDhcsr, kDebugKey | kDebugEnable | kHalt, op));
    return m_impl->pollCore(kHalted, kHalted, "halt the core", op.within(kHaltLimit));
}

Result<> StLinkProbe::run(bool maskInterrupts, const OpContext& op)
{
    TRY(m_impl->writeWord(kDfsr, 0x1F, op)); // what it halted for last time is history
    const std::uint32_t mask = maskInterrupts ? kMaskInterrupts : 0;
    // C_MASKINTS may change only while the core is halted (3.1).
    TRY(m_impl->writeWord(kDhcsr, kDebugKey | kDebugEnable | kHalt | mask, op));
    return m_impl->writeWord(kDhcsr, kDebugKey | kDebugEnable | mask, op);
}

Result<> StLinkProbe::step(const OpContext& op)
{
    const std::uint32_t quiet = kDebugKey | kDebugEnable | kMaskInterrupts;
    TRY(m_impl->writeWord(kDhcsr, quiet | kHalt, op));
    TRY(m_impl->writeWord(kDhcsr, quiet | kStep, op));
    return m_impl->pollCore(kHalted, kHalted, "step the core", op.within(kHaltLimit));
}

Result<> StLinkProbe::waitForHalt(std::chrono::milliseconds poll, const OpContext& op)
{
    while (true) {
        const CoreStatus status = TRY(coreStatus(op));
        if (status.wasReset)
            return fail(Errc::Io, Blame::Unit,
                        "wait for the core to halt: the target was reset meanwhile, by a watchdog "
                        "or its supply; check the supply and start over");
        if (status.lockedUp)
            return fail(Errc::Io, Blame::Unit,
                        "wait for the core to halt: it has locked up after a fault");
        if (status.halted)
            return {};
        if (auto waited = op.sleepFor(poll); !waited)
            return Unexpected(
                inFrame(std::move(waited).error(), "wait for the core to halt: it runs on"));
    }
}

Result<> StLinkProbe::reset(const OpContext& op)
{
    TRY(m_impl->writeWord(kDemcr, 0, op));
    TRY(m_impl->writeWord(kDhcsr, kDebugKey | kDebugEnable, op));
    TRY(m_impl->link.askStatus(StLinkCommand::debug(0x32), 2, "reset the target", op));
    return {};
}

Result<> StLinkProbe::resetAndHalt(const OpContext& op)
{
    TRY(halt(op));
    TRY(m_impl->writeWord(kDemcr, kCatchReset, op));
    TRY(m_impl->writeWord(kAircr, kRequestReset, op));
    TRY(m_impl->pollCore(kHalted, kHalted, "halt behind reset", op.within(kHaltLimit)));
    TRY(m_impl->writeWord(kDemcr, 0, op));
    // S_RESET_ST has been seen: the next one is an accident.
    TRY(m_impl->readWord(kDhcsr, op));
    return {};
}

} // namespace provost
