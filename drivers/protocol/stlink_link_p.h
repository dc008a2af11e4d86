// Commands and replies of an ST-Link on its two bulk endpoints (protocol sheet 2.2, 2.5).
#pragma once

#include "transport/usb.h"

#include <array>
#include <string>

namespace provost {

/// One command: 16 bytes, zero padded.
class StLinkCommand {
public:
    explicit StLinkCommand(std::uint8_t first) { put(first); }
    static StLinkCommand debug(std::uint8_t code) { return StLinkCommand(0xF2).u8(code); }
    StLinkCommand u8(unsigned value) const
    {
        StLinkCommand next = *this;
        next.put(value);
        return next;
    }
    StLinkCommand le16(unsigned value) const { return u8(value & 0xFF).u8(value >> 8 & 0xFF); }
    StLinkCommand le32(std::uint32_t value) const { return le16(value & 0xFFFF).le16(value >> 16); }
    ByteView bytes() const { return m_bytes; }
    /// `F2 36`.
    std::string name() const;

private:
    void put(unsigned value) { m_bytes.at(m_size++) = static_cast<std::byte>(value & 0xFF); }
    std::array<std::byte, 16> m_bytes{};
    std::size_t m_size = 0;
};

/// What the probe says about the access before, by the table of 2.5.
enum class StLinkVerdict : std::uint8_t {
    Fine,
    Wait, ///< the target was busy: the same access may be tried again
    Failed,
};
StLinkVerdict stlinkVerdict(std::uint8_t status);
/// The error that `status` means; `what` was attempted.
Unexpected stlinkFailure(std::uint8_t status, const std::string& what);

/// Owned and used by one thread.
class StLinkLink {
public:
    /// Claims interface 0. @returns Unsupported  its endpoints are not those of an ST-Link
    static Result<StLinkLink> open(std::unique_ptr<UsbDevice> usb);

    const UsbDeviceInfo& info() const { return m_usb->info(); }
    UsbDevice& usb() { return *m_usb; }
    /// A command without data.
    Result<> tell(const StLinkCommand& command, const OpContext& op);
    /// Exactly `size` bytes come back, or it is an error.
    Result<Bytes> ask(const StLinkCommand& command, std::size_t size, const OpContext& op);
    /// As ask(); the first byte is a status. A target that is busy is asked again.
    Result<Bytes> askStatus(const StLinkCommand& command, std::size_t size, const std::string& what,
                            const OpContext& op);
    /// A command with its data.
    Result<> send(const StLinkCommand& command, ByteView data, const OpContext& op);
    /// Takes what nobody fetched, so that it is not read as the next answer.
    Result<> drain(const OpContext& op);

private:
    StLinkLink(std::unique_ptr<UsbDevice> usb, std::uint8_t out, std::uint8_t in)
        : m_usb(std::move(usb)), m_out(out), m_in(in)
    {
    }
    Result<> begin(const StLinkCommand& command, const OpContext& op);
    Unexpected broken(Error error, const StLinkCommand& command);

    std::unique_ptr<UsbDevice> m_usb;
    std::uint8_t m_out = 0;
    std::uint8_t m_in = 0;
    bool m_unsure = true; ///< an answer may lie in the probe
};

/// Waits that grow between two tries of what ended in WAIT: 1, 2, 4 .. ms, eight times.
class StLinkPatience {
public:
    /// False: used up.
    bool left() const { return m_tries < kMost; }
    Result<> wait(const OpContext& op)
    {
        return op.sleepFor(std::chrono::milliseconds(1U << m_tries++));
    }

private:
    static constexpr unsigned kMost = 8; // OpenOCD's number; stlink tries three times
    unsigned m_tries = 0;
};

} // namespace provost
