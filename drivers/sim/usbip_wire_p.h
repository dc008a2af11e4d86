// The records of USB/IP 1.1.1 (protocol sheet 5); everything is big endian but the setup packet.
#pragma once

#include "sim/usb_adapter.h"

#include <string>

namespace provost::sim::usbip {

constexpr std::uint16_t kVersion = 0x0111;
constexpr std::uint16_t kRequestList = 0x8005;
constexpr std::uint16_t kReplyList = 0x0005;
constexpr std::uint16_t kRequestImport = 0x8003;
constexpr std::uint16_t kReplyImport = 0x0003;

constexpr std::size_t kOperationBytes = 8;
constexpr std::size_t kBusIdBytes = 32;
constexpr std::size_t kHeaderBytes = 48;

enum class ImportStatus : std::uint32_t { Ok = 0, Busy = 2, NoDevice = 4 };

constexpr std::uint32_t kSubmit = 1;
constexpr std::uint32_t kUnlink = 2;
constexpr std::uint32_t kSubmitted = 3;
constexpr std::uint32_t kUnlinked = 4;
constexpr std::uint32_t kShortNotOk = 0x0001; ///< transfer flag

// Negative Linux error numbers, whatever system this runs on.
constexpr std::int32_t kStall = -32;        // EPIPE
constexpr std::int32_t kBusError = -71;     // EPROTO
constexpr std::int32_t kUnlinkedNow = -104; // ECONNRESET
constexpr std::int32_t kTooShort = -121;    // EREMOTEIO

/// A CMD_SUBMIT or CMD_UNLINK without the data behind it.
struct Command {
    std::uint32_t code = 0;
    std::uint32_t sequence = 0;
    bool in = false;
    std::uint8_t endpoint = 0; ///< number without direction
    std::uint32_t flags = 0;   ///< CMD_UNLINK: the sequence number to cancel
    std::uint32_t length = 0;
    std::uint32_t packets = 0;
    UsbSetup setup{};
    std::size_t dataBytes() const { return code == kSubmit && !in ? length : 0; }
    bool isochronous() const { return packets != 0 && packets != 0xFFFFFFFF; }
};
/// @param header  kHeaderBytes
Command readCommand(ByteView header);

void appendSubmitted(Bytes& to, std::uint32_t sequence, std::int32_t status,
                     std::uint32_t actualLength, ByteView data);
void appendUnlinked(Bytes& to, std::uint32_t sequence, std::int32_t status);
void appendOperation(Bytes& to, std::uint16_t code, std::uint32_t status);

/// One device as lists and import replies show it.
struct Record {
    std::string busId{};
    std::uint32_t deviceNumber = 0;
    Bytes device{};        ///< its descriptor
    Bytes configuration{}; ///< descriptor with everything behind it
};
void appendRecord(Bytes& to, const Record& record);
/// Class, subclass and protocol of each interface's first alternate.
void appendInterfaces(Bytes& to, const Record& record);

} // namespace provost::sim::usbip
