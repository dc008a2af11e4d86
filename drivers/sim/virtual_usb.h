// Virtual devices as a USB host meets them. A device is written once, as a VirtualUsbFunction; the
// adapters of usb_adapter.h and a USB/IP server carry it to whoever plays the host.
#pragma once

#include "core/bytes.h"
#include "core/mutex.h"
#include "transport/usb.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace provost::sim {

using SteadyTime = std::chrono::steady_clock::time_point;

/// The eight bytes of a setup packet.
struct UsbSetup {
    std::uint8_t requestType = 0;
    std::uint8_t request = 0;
    std::uint16_t value = 0;
    std::uint16_t index = 0;
    std::uint16_t length = 0;
    bool isIn() const { return (requestType & 0x80) != 0; }
};

/// What a device does with one transfer.
struct UsbReply {
    enum class Kind : std::uint8_t {
        Data,  ///< done; IN: `data`, never longer than asked
        Stall, ///< refused
        Nak,   ///< nothing happened yet: try again at `notBefore` or when the port reports a change
    };
    Kind kind = Kind::Data;
    Bytes data{};
    SteadyTime notBefore{};

    static UsbReply stall() { return {.kind = Kind::Stall}; }
    static UsbReply nak(SteadyTime when = {}) { return {.kind = Kind::Nak, .notBefore = when}; }
    static UsbReply with(Bytes bytes) { return {.data = std::move(bytes)}; }
};

/// One device on the bus, from its enumeration until it leaves. Thread-safe; nothing here waits.
class VirtualUsbFunction {
public:
    virtual ~VirtualUsbFunction() = default;
    virtual Bytes deviceDescriptor() const = 0;
    virtual Bytes configurationDescriptor() const = 0;
    /// Raw string descriptor (0: languages); empty where there is none.
    virtual Bytes stringDescriptor(std::uint8_t index) const = 0;
    /// Any request on endpoint 0, standard ones included.
    virtual UsbReply control(const UsbSetup& setup, ByteView data) = 0;
    virtual UsbReply bulkOut(std::uint8_t endpoint, ByteView data) = 0;
    virtual UsbReply bulkIn(std::uint8_t endpoint, std::size_t most) = 0;
    /// A bus reset: back to the state after plug-in, without leaving the bus.
    virtual void busReset() = 0;
};

/// The standard requests of USB 2.0, chapter 9; derived classes add their class and vendor ones.
class Chapter9Function : public VirtualUsbFunction {
public:
    UsbReply control(const UsbSetup& setup, ByteView data) final;
    UsbReply bulkOut(std::uint8_t endpoint, ByteView data) override;
    UsbReply bulkIn(std::uint8_t endpoint, std::size_t most) override;
    void busReset() override;

protected:
    virtual UsbReply classRequest(const UsbSetup& setup, ByteView data) = 0;
    virtual UsbReply vendorRequest(const UsbSetup& setup, ByteView data) = 0;
    /// Called before anything else: the device is at work and answers nothing until then.
    virtual std::optional<SteadyTime> busyUntil() const { return std::nullopt; }
    virtual Bytes otherDescriptor(std::uint8_t type, std::uint8_t index) const;
    virtual bool alternateSelected(std::uint8_t interface, std::uint8_t alternate) = 0;
    std::uint8_t alternateOf(std::uint8_t interface) const;

private:
    UsbReply standardRequest(const UsbSetup& setup);
    UsbReply getDescriptor(const UsbSetup& setup) const;
    mutable Mutex m_standardMutex;
    std::uint8_t m_configuration PROVOST_GUARDED_BY(m_standardMutex) = 0;
    std::map<std::uint8_t, std::uint8_t> m_alternates PROVOST_GUARDED_BY(m_standardMutex){};
};

/// Raw descriptor of UTF-16 code units made of ASCII text.
Bytes stringDescriptorOf(std::string_view text);
UsbId idOf(const VirtualUsbFunction& function);
/// The text of a string descriptor, trailing NULs cut.
std::string textOfString(ByteView descriptor);

/// Which transfers of a port are counted. A bulk transfer counts when it carries data: an IN that
/// finds nothing to fetch is none.
enum class FaultPipe : std::uint8_t { Control, Bulk };

/// What to do to one transfer instead of carrying it out properly.
enum class FaultKind : std::uint8_t {
    Stall,   ///< refused without reaching the device; bulk IN: what was to be fetched is lost
    Timeout, ///< never answered; reported at once, without the wait
    Short,   ///< IN: half of the data; OUT: broken off with a bus error
    BitFlip, ///< one bit arrives wrong, in either direction
    Unplug,  ///< the cable comes out: the unit loses power until it is given back
};

/// In the middle; nothing where there are no bytes.
void flipOneBit(Bytes& bytes);

/// One place where a device can be plugged in. Thread-safe.
class VirtualPort {
public:
    struct Occupant {
        std::shared_ptr<VirtualUsbFunction> function{}; ///< null: nothing plugged in
        std::uint32_t incarnation = 0;
    };

    explicit VirtualPort(UsbPortPath path) : m_path(std::move(path)) {}
    const UsbPortPath& path() const { return m_path; }

    void attach(std::shared_ptr<VirtualUsbFunction> function);
    /// @param incarnation  whom; nothing happens where another one is there by now
    void detach(std::optional<std::uint32_t> incarnation = {});
    Occupant current() const;

    /// Counts every change: plugged, gone, and data that became available.
    std::uint64_t changes() const;
    void reportChange();
    /// False if nothing changed behind `since` until `deadline` or until `stop`.
    bool waitForChange(std::uint64_t since, SteadyTime deadline, std::stop_token stop) const;

    /// Lets the `nth` (1 = next) transfer of this port go wrong.
    void failTransfer(std::uint32_t nth, FaultKind kind, FaultPipe pipe = FaultPipe::Control);
    /// Forgets what has not happened yet.
    void clearFaults();
    /// Counts one transfer; the fault that is due, if any. Unplug has happened then.
    std::optional<FaultKind> countTransfer(FaultPipe pipe);
    void onUnplug(std::function<void()> handler);

    /// Exclusive use of one interface (or of the serial port, kSerialInterface) by `owner`.
    bool claim(std::uint32_t incarnation, int interface, const void* owner);
    void release(const void* owner);
    static constexpr int kSerialInterface = -1;

private:
    struct Fault {
        std::uint32_t left = 0;
        FaultKind kind{};
        FaultPipe pipe{};
    };
    struct Claim {
        std::uint32_t incarnation = 0;
        const void* owner = nullptr;
    };
    const UsbPortPath m_path;
    mutable Mutex m_mutex;
    mutable std::condition_variable_any m_changed;
    Occupant m_current PROVOST_GUARDED_BY(m_mutex){};
    std::uint64_t m_changes PROVOST_GUARDED_BY(m_mutex) = 0;
    std::vector<Fault> m_faults PROVOST_GUARDED_BY(m_mutex){};
    std::map<int, Claim> m_claims PROVOST_GUARDED_BY(m_mutex){};
    std::function<void()> m_onUnplug PROVOST_GUARDED_BY(m_mutex){};
};

} // namespace provost::sim
