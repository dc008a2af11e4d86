// What the firmware of a unit takes and tells by queued control requests, from 0.8.0 on
// (particle-devices 1.3): keys and server without DFU, claim, Wi-Fi, modules.
#pragma once

#include "crypto/secret_bytes.h"
#include "protocol/control_requests.h"
#include "protocol/listening_console.h"
#include "protocol/module_report.h"

#include <string>

namespace provost {

struct ServerEndpoint {
    std::string host{};
    std::uint16_t port = 0; ///< 0: the protocol's default
    bool operator==(const ServerEndpoint&) const = default;
};

/// Every function returns Unsupported where the firmware has no such request, Denied where it
/// refuses. Keys and addresses are those of the RSA handshake over TCP.
class UnitSettings {
public:
    /// `usb` must outlive it.
    explicit UnitSettings(UsbDevice& usb) : m_requests(usb) {}

    Result<std::string> deviceId(const OpContext& op); ///< 20; 24 lower-case hex digits
    Result<ModuleReport> modules(const OpContext& op); ///< 90
    /// 113. @returns InvalidArgument  SSID not of 1 to 32 bytes, password of more than 64
    Result<> setWifi(std::string_view ssid, const SecretBytes& password, WifiSecurity security,
                     const OpContext& op);
    /// 200. @returns InvalidArgument  not of 63 characters
    Result<> setClaimCode(std::string_view code, const OpContext& op);
    Result<bool> claimed(const OpContext& op); ///< 201
    /// 210 with key 1. @param der  at most the slot's 1216 bytes
    Result<> setDeviceKey(const SecretBytes& der, const OpContext& op);
    Result<SecretBytes> deviceKey(const OpContext& op); ///< 211: the slot, FF or old bytes behind
    Result<Bytes> serverKey(const OpContext& op);       ///< 211: the slot
    /// 210 with key 3, which erases the address record, then 220: the order cannot be turned.
    /// @returns InvalidArgument  no key; a host that is empty or longer than 64 bytes
    Result<> setServer(ByteView keyDer, const ServerEndpoint& server, const OpContext& op);
    /// 221. @returns NotFound  no valid record
    Result<ServerEndpoint> server(const OpContext& op);

private:
    Result<Bytes> readKey(std::uint64_t type, const OpContext& op);
    ControlRequests m_requests;
};

} // namespace provost
