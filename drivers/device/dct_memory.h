// The application DCT of a unit, whatever carries it (particle-devices 3.3).
#pragma once

#include "device/dct.h"
#include "device/memory_target.h"
#include "protocol/dfu_device.h"

namespace provost {

/// Offsets and sizes are those of the application DCT, bytes. Reads the copy that counts; a write
/// goes to the other copy, which counts from then on (Plain: in place).
class DctMemory {
public:
    virtual ~DctMemory() = default;
    virtual Result<SecretBytes> readSecret(std::uint32_t offset, std::uint32_t size,
                                           const OpContext& op) = 0;
    virtual Result<> writeSecret(std::uint32_t offset, const SecretBytes& bytes,
                                 const OpContext& op) = 0;
    /// Starts over behind a write that failed; nothing where there is no session.
    virtual Result<> renew(const OpContext&) { return {}; }
    /// What may be seen by everybody.
    Result<Bytes> read(std::uint32_t offset, std::uint32_t size, const OpContext& op);
};

/// Through the memory of the bootloader's DFU that shows it (1.5).
class DfuDct final : public DctMemory {
public:
    /// Selects that memory. `device` must outlive it and keep the selection.
    /// @returns InvalidData (F122)  it reads zeros: the bootloader found no DCT code (3.4)
    static Result<std::unique_ptr<DfuDct>> open(DfuDevice& device, const DctLayout& layout,
                                                const OpContext& op);
    Result<SecretBytes> readSecret(std::uint32_t offset, std::uint32_t size,
                                   const OpContext& op) override;
    Result<> writeSecret(std::uint32_t offset, const SecretBytes& bytes,
                         const OpContext& op) override;
    Result<> renew(const OpContext& op) override { return m_device.renew(op); }

private:
    DfuDct(DfuDevice& device, DctFormat format) : m_device(device), m_format(format) {}
    DfuDevice& m_device;
    const DctFormat m_format;
};

/// In the sectors themselves, through flash that is written directly: a debug probe (11).
///
/// A write changes the other copy, proves it by read-back and marks it before it takes the mark
/// from the old one, so that a cut at any time leaves one copy that counts. Errors besides those of
/// `flash`: InvalidData (F122) no copy counts or both are marked; Denied (C063) the table carries
/// the version trailer of 0.7.0 and later, see patch(); Unsupported: a platform whose table lies
/// where a probe does not reach; Mismatch (F214) the sector does not hold what was written.
class ProbeDct final : public DctMemory {
public:
    /// `flash` must outlive it.
    ProbeDct(MemoryTarget& flash, const DctLayout& layout) : m_flash(flash), m_layout(layout) {}
    Result<DctSnapshot> snapshot(const OpContext& op);
    Result<SecretBytes> readSecret(std::uint32_t offset, std::uint32_t size,
                                   const OpContext& op) override;
    Result<> writeSecret(std::uint32_t offset, const SecretBytes& bytes,
                         const OpContext& op) override;
    /// As writeSecret, at an offset of the sector. Refused where the trailer's CRC would have to be
    /// made anew: its range is not published (3.1). Such a table can be restored whole only.
    Result<> patch(std::uint32_t sectorOffset, const SecretBytes& bytes, const OpContext& op);
    /// Both sectors together, as they were once read: trailers stay good. What counts on the unit
    /// is left alone until its successor is written and marked, if need be in the other sector
    /// first: a cut at any time leaves a copy that counts, the old one or the new one.
    /// @param sectors  copy 1, then copy 2
    /// @returns InvalidData  no copy of them, or more than one, would count
    Result<> restore(const SecretBytes& sectors, const OpContext& op);

private:
    Result<int> current(const DctSnapshot& dct) const;
    Result<> check(std::uint32_t sectorOffset, std::size_t size) const;
    Result<> writeOther(int copy, const SecretBytes& image, const OpContext& outer);
    Result<> writeAndMark(int copy, ByteView sector, bool counts, const OpContext& op);
    Result<> discard(int copy, const OpContext& op);
    Result<> mark(int copy, std::uint32_t at, ByteView bytes, const OpContext& op);
    SecretBytes patched(ByteView sector, std::uint32_t at, ByteView bytes) const;

    MemoryTarget& m_flash;
    const DctLayout m_layout;
};

} // namespace provost
