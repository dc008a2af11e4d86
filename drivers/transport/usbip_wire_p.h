// The records of USB/IP 1.1.1 as a client sends and reads them (protocol sheet 5). Everything is
// big endian but the setup packet.
#pragma once

#include "transport/serial.h"
#include "transport/wiped_bytes_p.h"

#include <array>

namespace provost::usbip {

constexpr std::size_t kHeaderBytes = 48;

// Negative Linux error numbers, whatever system either end runs on.
constexpr std::int32_t kNoDevice = -19;  // ENODEV
constexpr std::int32_t kStall = -32;     // EPIPE
constexpr std::int32_t kOverflow = -75;  // EOVERFLOW
constexpr std::int32_t kShutdown = -108; // ESHUTDOWN
constexpr std::int32_t kTimedOut = -110; // ETIMEDOUT

struct InterfaceClass {
    std::uint8_t code = 0;
    std::uint8_t subclass = 0;
    std::uint8_t protocol = 0;
};

/// One device as lists and import replies show it.
struct DeviceRecord {
    std::string path{};  ///< any text: sysfs path at the server
    std::string busId{}; ///< "1-2.3"; empty where it is no printable name
    std::uint32_t bus = 0;
    std::uint32_t number = 0;
    UsbId id{};
    std::uint16_t release = 0;
    std::vector<InterfaceClass> interfaces{}; ///< in lists only
    /// The same enumeration of the same device, as far as a record tells.
    bool sameAs(const DeviceRecord& other) const
    {
        return bus == other.bus && number == other.number && id == other.id &&
               release == other.release;
    }
};

/// OP_REQ_DEVLIST on a fresh connection.
/// @returns Protocol  what comes back is no such list; Disconnected, Timeout, Cancelled
Result<std::vector<DeviceRecord>> requestList(ByteStream& server, const OpContext& op);

/// OP_REQ_IMPORT on a fresh connection, which carries transfers afterwards.
/// @returns Busy  in use or not ready; Disconnected  no such device at present; Io  the server
///          reports an error; Protocol  what comes back is no such reply; Timeout, Cancelled
Result<DeviceRecord> requestImport(ByteStream& server, const std::string& busId,
                                   const OpContext& op);

/// A CMD_SUBMIT without the data behind it.
struct Submit {
    std::uint32_t sequence = 0;
    std::uint32_t device = 0; ///< bus << 16 | number
    bool in = false;
    std::uint8_t endpoint = 0; ///< number without direction
    ControlSetup setup{};      ///< endpoint 0 only
    std::size_t length = 0;    ///< of the data stage
};
/// @param data  for an OUT transfer
WipedBytes submitFrame(const Submit& submit, ByteView data);
WipedBytes unlinkFrame(std::uint32_t sequence, std::uint32_t device, std::uint32_t victim);

/// The header of RET_SUBMIT or RET_UNLINK.
struct Answer {
    enum class Kind : std::uint8_t { Submitted, Unlinked, Unknown };
    Kind kind = Kind::Unknown;
    std::uint32_t code = 0;
    std::uint32_t sequence = 0;
    std::int32_t status = 0;
    std::uint32_t actual = 0; ///< RET_SUBMIT: bytes moved
};
/// @param header  kHeaderBytes
Answer readAnswer(ByteView header);

} // namespace provost::usbip
