// USB DFU 1.1 with the ST DfuSe extension (AN3156), on one claimed interface.
#pragma once

#include "core/memory.h"
#include "crypto/secret_bytes.h"
#include "transport/usb.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace provost {

/// One memory of the device: an alternate setting of its DFU interface.
struct DfuAlternate {
    std::uint8_t number = 0;
    std::string name{};                 ///< between '@' and the first '/', trimmed
    std::vector<MemoryRegion> layout{}; ///< from the name string; empty where it has none
};

struct DfuAttributes {
    bool canDownload = false;
    bool canUpload = false;
    bool manifestationTolerant = false;
    bool willDetach = false;
    std::uint16_t detachTimeoutMs = 0;
    std::uint16_t transferSize = 0; ///< bytes a block
    std::uint16_t version = 0;      ///< 0x011A: DfuSe
};

/// Parses an alternate's name string with the tolerances of the protocol sheet, 1.5.
/// @returns InvalidData  not of the form, or a region beyond 32 bits
Result<std::vector<MemoryRegion>> parseMemoryLayout(std::string_view nameString);

class DfuDevice {
public:
    /// Claims the DFU interface and brings it to dfuIDLE (CLRSTATUS, ABORT or waits, at most 5
    /// rounds). @returns Unsupported  no DFU-mode interface, or not DfuSe
    static Result<DfuDevice> open(std::unique_ptr<UsbDevice> usb, const OpContext& op);
    /// What the device says about its memories: descriptors are read, nothing is claimed or sent.
    /// @returns Unsupported  no DFU-mode interface, or not DfuSe
    static Result<std::vector<DfuAlternate>> describe(UsbDevice& usb, const OpContext& op);
    /// Sends a board with a run-time DFU interface to DFU mode: DETACH, and a USB reset where it
    /// does not detach by itself. Its return under the same port path is the caller's proof.
    /// @returns Unsupported  no such interface; Protocol  refused
    static Result<> detach(std::unique_ptr<UsbDevice> usb, const OpContext& op);
    DfuDevice(DfuDevice&&) noexcept;
    DfuDevice& operator=(DfuDevice&&) noexcept;
    ~DfuDevice();

    const UsbDeviceInfo& usb() const;
    const DfuAttributes& attributes() const;
    std::span<const DfuAlternate> alternates() const;
    /// Every later call works on this memory; alternate 0 is selected at first.
    Result<> select(std::uint8_t alternate, const OpContext& op);
    std::span<const MemoryRegion> layout() const; ///< of the selected memory
    /// Since open(): errors and stalls that had to be cleared, requests that had to be repeated,
    /// sessions that were renewed.
    /// Data blocks are never sent twice: a write that failed is the caller's to begin anew.
    int repeats() const;
    /// The selected memory once more, as select() does: what a failed transfer left behind is read
    /// and cleared.
    Result<> renew(const OpContext& op);

    /// Erases every sector that intersects [address, address + size): whole sectors go.
    /// @returns Protected  a sector is not erasable by the layout (nothing was sent) or refused
    Result<> erase(std::uint32_t address, std::uint32_t size, const OpContext& op);
    /// Writes one run of bytes; does not erase, does not verify.
    Result<> download(const MemoryBlock& block, const OpContext& op);
    /// Reads exactly `size` bytes, never asking for more.
    Result<Bytes> upload(std::uint32_t address, std::uint32_t size, const OpContext& op);
    /// As upload, for key slots: lands in wiped memory and implies op.withSecrets().
    Result<SecretBytes> uploadSecret(std::uint32_t address, std::uint32_t size,
                                     const OpContext& op);
    Result<> downloadSecret(std::uint32_t address, const SecretBytes& bytes, const OpContext& op);
    /// Starts the firmware. The board vanishing is success; re-enumeration is the caller's proof.
    Result<> leave(std::uint32_t entry, const OpContext& op);

private:
    struct Impl;
    explicit DfuDevice(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

} // namespace provost
