// The requests of DFU 1.1 and what to do about every answer (protocol sheet 1.2 to 1.4, 1.8).
#pragma once

#include "transport/usb.h"

#include <string>
#include <string_view>

namespace provost {

enum class DfuState : std::uint8_t {
    AppIdle = 0,
    AppDetach = 1,
    Idle = 2,
    DownloadSync = 3,
    DownloadBusy = 4,
    DownloadIdle = 5,
    ManifestSync = 6,
    Manifest = 7,
    ManifestWaitReset = 8,
    UploadIdle = 9,
    Error = 10,
};

struct DfuStatus {
    std::uint8_t status = 0;           ///< bStatus, 0: OK
    std::chrono::milliseconds poll{0}; ///< bwPollTimeout as said
    DfuState state{};
};

/// `errVERIFY` for 7.
std::string_view dfuStatusName(std::uint8_t status);

/// `usb` must outlive it.
class DfuRequests {
public:
    DfuRequests(UsbDevice& usb, std::uint8_t interface);

    /// CLRSTATUS, ABORT or waits until dfuIDLE, at most 5 rounds.
    Result<> makeIdle(const OpContext& op);
    Result<> abort(const OpContext& op);
    Result<> setAddress(std::uint32_t address, const OpContext& op);
    Result<> erase(std::uint32_t address, const OpContext& op);
    /// Data of block k >= 2, and the polls behind it until dfuDNLOAD-IDLE.
    Result<> write(std::uint16_t block, ByteView data, const std::string& what,
                   const OpContext& op);
    /// Fills `to`; fewer bytes are an error.
    Result<> read(std::uint16_t block, ByteSpan to, const std::string& what, const OpContext& op);
    /// Zero-length DNLOAD and the GETSTATUS that starts it.
    Result<> leave(const OpContext& op);
    /// How often something was repeated or cleared so far: an error that was left behind, a stall
    /// or a state without way out on the way to dfuIDLE, a GETSTATUS that came too early. Not
    /// counted: the error in which a Core starts (particle-devices 1.5).
    int repeats() const { return m_repeats; }
    /// Of a run-time interface: the board is to come back in DFU mode within `window`.
    Result<> detach(std::chrono::milliseconds window, const OpContext& op);

private:
    enum class Request : std::uint8_t {
        Detach = 0,
        Download = 1,
        Upload = 2,
        GetStatus = 3,
        ClearStatus = 4,
        Abort = 6,
    };
    Result<DfuStatus> getStatus(const OpContext& op);
    Result<> out(Request request, std::uint16_t value, ByteView data, const OpContext& op);
    Result<> idleRound(const DfuStatus& status, const OpContext& op);
    Result<> command(std::byte code, std::uint32_t address, const std::string& what,
                     const OpContext& op);
    Result<> transact(std::uint16_t block, ByteView data, const std::string& what,
                      std::chrono::milliseconds longest, const OpContext& op);
    Result<> pollUntilDone(const std::string& what, std::chrono::milliseconds longest,
                           const OpContext& op);
    Unexpected refused(Error error, const std::string& what, const OpContext& op);
    Unexpected silent(Error error, const std::string& what, const OpContext& op);

    UsbDevice& m_usb;
    std::uint8_t m_interface;
    bool m_stallsWhenPolledEarly;
    int m_repeats = 0;
};

} // namespace provost
