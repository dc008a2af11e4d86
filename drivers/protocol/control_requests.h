// USB vendor control requests of running firmware (particle-devices 1.3): raw from 0.6.0, queued
// from 0.8.0.
#pragma once

#include "transport/usb.h"

#include <string>

namespace provost {

/// `usb` must outlive it.
class ControlRequests {
public:
    explicit ControlRequests(UsbDevice& usb);
    Result<std::string> deviceId(const OpContext& op);      ///< raw 20; 24 lower-case hex digits
    Result<std::string> systemVersion(const OpContext& op); ///< raw 30
    /// Raw 40, 50, 70. The unit leaves the bus (40, 50) while it answers: Disconnected is success.
    Result<> reset(const OpContext& op);
    Result<> enterDfu(const OpContext& op);
    Result<> startListening(const OpContext& op);
    /// Queued 115. @returns Unsupported  the firmware has no queued requests (before 0.8.0)
    Result<> clearWifiCredentials(const OpContext& op);
    /// One queued request: INIT, SEND where there is a payload, CHECK until done, RECV.
    /// @returns Unsupported  the unit stalls or says "not found"; Denied  result is negative
    Result<Bytes> queued(std::uint16_t type, ByteView payload, const OpContext& op);

private:
    UsbDevice& m_usb;
};

} // namespace provost
