// Loaders in the target's SRAM: a ring for programming, a sum for verifying (protocol sheet 3.2).
#include "core/byte_io.h"
#include "core/crc.h"
#include "core/text.h"
#include "crypto/secret_bytes.h"
#include "protocol/loaders/loader_words_p.h"
#include "protocol/stm32_flash.h"
#include "protocol/stm32_flash_p.h"

#include <algorithm>

namespace provost {

namespace {

using namespace std::chrono_literals;

// SRAM while a loader runs. The ring starts where a 4 KiB block does, so that every piece of it is
// one access of the probe. 20 KiB, what an F103 has, are enough.
constexpr std::uint32_t kCodeAt = stm32::kSramBase;
constexpr std::uint32_t kBlockAt = stm32::kSramBase + 0x100;
constexpr std::uint32_t kRingAt = stm32::kSramBase + 0x1000;
constexpr std::uint32_t kRingEnd = kRingAt + 0x4000;
// While it sums, nothing is in the ring.
constexpr std::uint32_t kTableAt = kRingAt;
constexpr std::uint32_t kSumsAt = kTableAt + 0x1000;
constexpr std::uint32_t kPieceBytes = 0x1000;
constexpr std::uint32_t kBytesLeftAt = kBlockAt + 0x04;
constexpr std::uint32_t kReadPointerAt = kBlockAt + 0x08;
constexpr std::uint32_t kWritePointerAt = kBlockAt + 0x0C;
constexpr std::uint32_t kStatusAt = kBlockAt + 0x10;
constexpr std::uint32_t kThumbState = 0x01000000;

constexpr std::uint32_t kBlankRun = 1024; // shorter ones are not worth another start
constexpr auto kFirstPoll = 1ms;
/// Half-words of an F103 take 70 us at most, words of an F205 100 us (DS5319, DS6329).
constexpr auto kSlowestByte = 100us;
/// Six cycles a byte at 8 MHz, and room.
constexpr auto kSlowestSum = 4us;
/// What one look at the debug port alone sums or programs, so that a stop is heard soon.
constexpr std::uint32_t kPortPiece = 0x4000;
constexpr auto kLoaderFloor = 2s;

bool isBlank(ByteView bytes)
{
    return std::all_of(bytes.begin(), bytes.end(),
                       [](std::byte each) { return each == std::byte{0xFF}; });
}

/// What is left of a block when its blank stretches are taken out.
std::vector<Stm32Flash::Run> runsOf(std::uint32_t address, ByteView bytes)
{
    std::vector<Stm32Flash::Run> runs;
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t count = std::min<std::size_t>(kBlankRun, bytes.size() - at);
        const bool blank = isBlank(bytes.subspan(at, count));
        const auto from = static_cast<std::uint32_t>(address + at);
        if (!blank && !runs.empty() && runs.back().address + runs.back().bytes.size() == from)
            runs.back().bytes =
                bytes.subspan(at - runs.back().bytes.size(), runs.back().bytes.size() + count);
        else if (!blank)
            runs.push_back({.address = from, .bytes = bytes.subspan(at, count)});
        at += count;
    }
    return runs;
}

std::chrono::milliseconds longest(std::size_t bytes, std::chrono::microseconds each)
{
    return kLoaderFloor + std::chrono::duration_cast<std::chrono::milliseconds>(
                              static_cast<std::int64_t>(bytes) * each);
}

} // namespace

/// Loads, sets up and starts; the core runs when it returns.
Result<> Stm32Flash::startLoader(std::span<const std::uint16_t> code,
                                 std::span<const std::uint32_t> block, const OpContext& op)
{
    Bytes words;
    for (const std::uint16_t word : code)
        ByteWriter(words).le16(word);
    words.resize((words.size() + 3) & ~std::size_t{3});
    TRY(m_probe->write(kCodeAt, words, op));
    Bytes parameters;
    for (const std::uint32_t word : block)
        ByteWriter(parameters).le32(word);
    TRY(m_probe->write(kBlockAt, parameters, op));
    TRY(m_probe->writeRegister(CoreRegister::R0, kBlockAt, op));
    TRY(m_probe->writeRegister(CoreRegister::Sp, kBlockAt, op));
    TRY(m_probe->writeRegister(CoreRegister::Pc, kCodeAt, op));
    TRY(m_probe->writeRegister(CoreRegister::Xpsr, kThumbState, op));
    return m_probe->run(true, op);
}

Result<> Stm32Flash::program(const MemoryBlock& block, const OpContext& op)
{
    TRY(cut(block.address, block.bytes)); // inside of flash, all of it
    // Stores have a width: what is added at both ends is FF, which programs nothing.
    const std::uint32_t head = block.address % m_width;
    Bytes padded(head, std::byte{0xFF});
    padded.insert(padded.end(), block.bytes.begin(), block.bytes.end());
    padded.resize((padded.size() + m_width - 1) / m_width * m_width, std::byte{0xFF});
    const auto runs = runsOf(block.address - head, padded);
    auto done = programRuns(runs, op);
    if (op.sensitive)
        wipe(padded);
    return done;
}

Result<> Stm32Flash::programRuns(std::span<const Run> runs, const OpContext& op)
{
    TRY(unlock(op));
    for (std::size_t i = 0; i < runs.size(); ++i) {
        auto done = programRun(runs[i].address, runs[i].bytes, op.part(i, runs.size()));
        if (!done) {
            // The core must not go on programming what nobody watches any more.
            static_cast<void>(m_probe->halt(op.shielded(kLoaderFloor)));
            return Unexpected(
                inFrame(std::move(done).error(), concat("program ", runs[i].bytes.size(),
                                                        " bytes at ", hex32(runs[i].address))));
        }
    }
    return lock(op);
}

/// A core that locks up in front of the first byte executes no loader; the port does its work.
Result<bool> Stm32Flash::coreRefuses(const OpContext& op)
{
    const CoreStatus status = TRY(m_probe->coreStatus(op));
    if (!status.lockedUp)
        return false;
    TRY(m_probe->halt(op));
    m_coreRuns = false;
    return true;
}

Result<> Stm32Flash::programRun(std::uint32_t address, ByteView bytes, const OpContext& op)
{
    if (!m_coreRuns || bytes.size() <= m_width)
        return programByPort(address, bytes, op);
    const auto& bits = isF1() ? stm32::kF1Bits : stm32::kF2Bits;
    const OpContext limited = op.within(longest(bytes.size(), kSlowestByte));
    const std::uint32_t block[] = {address,
                                   static_cast<std::uint32_t>(bytes.size()),
                                   kRingAt,
                                   kRingAt,
                                   0,
                                   kRingAt,
                                   kRingEnd,
                                   m_controller,
                                   stm32::kProgram | m_size,
                                   m_width,
                                   bits.busy,
                                   bits.errors};
    TRY(startLoader(kFlashFifoCode, block, limited));
    const auto fed = feed(bytes, limited);
    const auto halted = fed ? m_probe->waitForHalt(kFirstPoll, limited) : fed;
    const auto left = m_probe->readWord(kBytesLeftAt, limited);
    if (!halted && left && *left == bytes.size() && TRY(coreRefuses(limited)))
        return programByPort(address, bytes, op);
    TRY(Result<>(halted));
    if (TRY(Result<std::uint32_t>(left)) == 0)
        return {};
    const std::uint32_t status = TRY(m_probe->readWord(kStatusAt, limited));
    return refusedWork(status,
                       concat("program flash at ",
                              hex32(address + static_cast<std::uint32_t>(bytes.size()) - *left)));
}

/// Stores of the debug port straight into flash: the bus waits for a flash that is busy.
Result<> Stm32Flash::programByPort(std::uint32_t address, ByteView bytes, const OpContext& op)
{
    const std::uint32_t control = m_controller + stm32::kControl;
    TRY(m_probe->writeWord(control, stm32::kProgram | m_size, op));
    for (std::size_t at = 0; at < bytes.size(); at += kPortPiece) {
        TRY(op.checkpoint());
        const auto from = static_cast<std::uint32_t>(address + at);
        const ByteView piece =
            bytes.subspan(at, std::min<std::size_t>(kPortPiece, bytes.size() - at));
        TRY(m_probe->writeUnits(from, piece, m_width, op));
        TRY(waitWhileBusy(concat("program flash from ", hex32(from)), op));
        op.progress.advance(at + piece.size(), bytes.size());
    }
    return m_probe->writeWord(control, 0, op);
}

/// Keeps the ring full until everything is in it, or the loader has stopped by itself.
Result<> Stm32Flash::feed(ByteView bytes, const OpContext& op)
{
    std::uint32_t write = kRingAt;
    for (std::size_t sent = 0; sent < bytes.size();) {
        const std::uint32_t read = TRY(m_probe->readWord(kReadPointerAt, op));
        if (read < kRingAt || read >= kRingEnd)
            return fail(Errc::Io, Blame::Unit,
                        concat("feed the loader: its read pointer is ", hex32(read),
                               "; something else runs on the target"));
        // One store's room stays free, or a full ring would look like an empty one.
        const std::uint32_t free =
            (read >= write + m_width ? read - write : kRingEnd - kRingAt + read - write) - m_width;
        const auto count = static_cast<std::uint32_t>(
            std::min<std::size_t>({kPieceBytes, kRingEnd - write, bytes.size() - sent}));
        if (free < count) {
            const CoreStatus status = TRY(m_probe->coreStatus(op));
            if (status.halted || status.lockedUp)
                return {};
            TRY(op.sleepFor(kFirstPoll));
            continue;
        }
        TRY(m_probe->write(write, bytes.subspan(sent, count),
                           {.clock = op.clock,
                            .progress = {},
                            .stop = op.stop,
                            .deadline = op.deadline,
                            .sensitive = op.sensitive}));
        write = write + count == kRingEnd ? kRingAt : write + count;
        TRY(m_probe->writeWord(kWritePointerAt, write, op));
        sent += count;
        op.progress.advance(sent, bytes.size());
    }
    return {};
}

Result<std::vector<std::uint32_t>> Stm32Flash::crcs(std::uint32_t address, std::uint32_t size,
                                                    std::uint32_t count, const OpContext& op)
{
    ENSURE(size > 0 && count > 0 && count <= (kRingEnd - kSumsAt) / 4);
    if (!m_coreRuns)
        return crcsByPort(address, size, count, op);
    const OpContext limited = op.within(longest(std::size_t{size} * count, kSlowestSum));
    const std::uint32_t block[] = {address, size, kTableAt, kSumsAt, count};
    TRY(startLoader(kCrc32Code, block, limited));
    if (auto halted = m_probe->waitForHalt(kFirstPoll, limited); !halted) {
        if (TRY(coreRefuses(op.shielded(kLoaderFloor))))
            return crcsByPort(address, size, count, op);
        static_cast<void>(m_probe->halt(op.shielded(kLoaderFloor)));
        return Unexpected(inFrame(std::move(halted).error(),
                                  concat("sum ", std::size_t{size} * count, " bytes at ",
                                         hex32(address), " on the target")));
    }
    const Bytes sums = TRY(m_probe->read(kSumsAt, count * 4, limited));
    std::vector<std::uint32_t> words;
    for (std::size_t i = 0; i < count; ++i)
        words.push_back(readLe32(sums, 4 * i));
    return words;
}

Result<std::vector<std::uint32_t>> Stm32Flash::crcsByPort(std::uint32_t address, std::uint32_t size,
                                                          std::uint32_t count, const OpContext& op)
{
    std::vector<std::uint32_t> sums;
    for (std::uint32_t i = 0; i < count; ++i) {
        Bytes bytes = TRY(m_probe->read(address + i * size, size, op.part(i, count)));
        sums.push_back(crc32(bytes));
        if (op.sensitive)
            wipe(bytes);
    }
    return sums;
}

} // namespace provost
