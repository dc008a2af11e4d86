// A small DfuSe device that misbehaves as it is told, and DfuDevice in virtual time in front of it
// (protocol sheet 1.8).
#pragma once

#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/dfu_device.h"

#include <map>

namespace provost::test {

using namespace std::chrono_literals;

inline constexpr std::string_view kPhotonFlashLayout =
    "@Internal Flash   /0x08000000/03*016Ka,01*016Kg,01*064Kg,07*128Kg";
inline constexpr std::string_view kPhotonDctLayout = "@DCT Flash   /0x00000000/01*016Kg";
inline constexpr std::string_view kCoreFlashLayout =
    "@Internal Flash  /0x08000000/20*001Ka,108*001Kg";

enum class DfuFault { None, Stall, Vanish, Silence, Cancel };

struct DfuBehaviour {
    std::uint8_t state = 2;
    std::uint8_t status = 0;
    std::uint16_t transferSize = 4096;
    std::uint16_t version = 0x011A;
    std::uint8_t interfaceProtocol = 2;
    bool functionalInConfiguration = true;
    std::vector<std::string> alternates{std::string(kPhotonFlashLayout),
                                        std::string(kPhotonDctLayout)};
    std::chrono::milliseconds poll{0};
    int busyAnswers = 1;                  ///< dfuDNBUSY so often before the work is done
    std::size_t shortStatus = 6;          ///< bytes of GETSTATUS
    std::uint8_t failWith = 0;            ///< bStatus of the next command or block
    bool stallsStatusOfWork = false;      ///< F205: the only sign of a refused block
    std::uint32_t memoryEnd = 0xFFFFFFFF; ///< UPLOAD ends there
    DfuFault leaveFault = DfuFault::None;
    std::uint8_t stateAfterLeave = 5;
    std::uint8_t attributes = 0x0B;
    UsbId id{0x2b04, 0xd006};
    int stallsWhileBusy = 0; ///< GETSTATUS behind the first busy answer
};

/// What the test looks at afterwards; outlives the device.
struct DfuLog {
    struct Entry {
        char kind = '?'; ///< D, U, S, C, A
        std::uint16_t value = 0;
        Bytes data{};
        std::size_t asked = 0;
        bool sensitive = false;
    };
    std::vector<Entry> entries{};
    int transfers = 0;
    int resets = 0;
    int claims = 0;
    std::vector<int> selected{};
    std::vector<std::uint32_t> erased{};
    std::map<std::uint32_t, std::byte> memory{};
    std::vector<std::string> violations{};
    int faultAt = -1; ///< number of the transfer that fails
    DfuFault fault = DfuFault::None;

    std::string kinds() const
    {
        std::string text;
        for (const auto& entry : entries)
            text.push_back(entry.kind);
        return text;
    }
};

class ScriptedDfu final : public UsbDevice {
public:
    ScriptedDfu(DfuBehaviour behaviour, DfuLog& log, const VirtualClock& clock)
        : m_is(std::move(behaviour)), m_log(log), m_clock(clock)
    {
        m_info.id = m_is.id;
    }
    const UsbDeviceInfo& info() const override { return m_info; }
    Result<Bytes> descriptor(std::uint8_t type, std::uint8_t index) override;
    Result<> claim(std::uint8_t) override
    {
        ++m_log.claims;
        return {};
    }
    Result<> selectAlternate(std::uint8_t, std::uint8_t alternate) override
    {
        m_log.selected.push_back(alternate);
        return {};
    }
    Result<std::size_t> controlIn(ControlSetup setup, ByteSpan to, const OpContext& op) override;
    Result<> controlOut(ControlSetup setup, ByteView data, const OpContext& op) override;
    Result<std::size_t> bulkIn(std::uint8_t, ByteSpan, const OpContext&) override
    {
        return fail(Errc::Unsupported, Blame::Software, "no bulk");
    }
    Result<> bulkOut(std::uint8_t, ByteView, const OpContext&) override
    {
        return fail(Errc::Unsupported, Blame::Software, "no bulk");
    }
    Result<> reset() override
    {
        ++m_log.resets;
        m_is.state = 2;
        m_is.status = 0;
        return {};
    }

private:
    Unexpected broken(DfuFault fault, const OpContext& op) const;
    Result<> enter(const OpContext& op);
    Unexpected stall()
    {
        m_is.state = 10;
        m_is.status = 0x0F;
        return fail(Errc::Protocol, Blame::Unit, "stalled");
    }
    Result<std::size_t> status(ByteSpan to, const OpContext& op);
    Result<std::size_t> upload(std::uint16_t block, ByteSpan to);
    void work();

    DfuBehaviour m_is;
    DfuLog& m_log;
    const VirtualClock& m_clock;
    UsbDeviceInfo m_info{};
    Clock::Steady m_notBefore{};
    std::uint16_t m_block = 0;
    Bytes m_pending{};
    bool m_isWorkPending = false;
    int m_busyLeft = 0;
    std::uint32_t m_pointer = 0;
    bool m_left = false;
};

inline Result<Bytes> ScriptedDfu::descriptor(std::uint8_t type, std::uint8_t index)
{
    Bytes functional;
    ByteWriter(functional)
        .u8(9)
        .u8(0x21)
        .u8(m_is.attributes)
        .le16(255)
        .le16(m_is.transferSize)
        .le16(m_is.version);
    Bytes bytes;
    if (type == 1) {
        ByteWriter(bytes).u8(18).u8(1).fill(5, std::byte{0}).u8(64).fill(10, std::byte{0});
    } else if (type == 2) {
        ByteWriter(bytes).u8(9).u8(2).fill(7, std::byte{0});
        for (unsigned i = 0; i < m_is.alternates.size(); ++i)
            ByteWriter(bytes)
                .u8(9)
                .u8(4)
                .u8(0)
                .u8(i)
                .u8(0)
                .u8(0xFE)
                .u8(1)
                .u8(m_is.interfaceProtocol)
                .u8(4 + i);
        if (m_is.functionalInConfiguration)
            ByteWriter(bytes).raw(functional);
    } else if (type == 3) {
        const std::string& text = m_is.alternates.at(index - 4U);
        ByteWriter writer(bytes);
        writer.u8(static_cast<unsigned>(2 + 2 * text.size())).u8(3);
        for (const char c : text)
            writer.u8(static_cast<unsigned char>(c)).u8(0);
    } else if (type == 0x21) {
        bytes = functional;
    }
    return bytes;
}

inline Unexpected ScriptedDfu::broken(DfuFault fault, const OpContext& op) const
{
    switch (fault) {
    case DfuFault::Vanish:
        return fail(Errc::Disconnected, Blame::Fixture, "gone");
    case DfuFault::Cancel:
        return fail(Errc::Cancelled, Blame::Operator, "stopped");
    case DfuFault::Silence:
        static_cast<void>(m_clock.sleepUntil(op.deadline.at, {}));
        return fail(Errc::Timeout, Blame::Fixture, "silent");
    default:
        return fail(Errc::Protocol, Blame::Unit, "stalled");
    }
}

inline Result<> ScriptedDfu::enter(const OpContext& op)
{
    const int number = m_log.transfers++;
    if (number == m_log.faultAt)
        return broken(m_log.fault, op);
    if (m_left && m_is.leaveFault != DfuFault::None)
        return broken(m_is.leaveFault, op);
    return op.checkpoint();
}

inline Result<std::size_t> ScriptedDfu::controlIn(ControlSetup setup, ByteSpan to,
                                                  const OpContext& op)
{
    TRY(enter(op));
    const bool isStatus = setup.request == 3;
    m_log.entries.push_back({.kind = isStatus ? 'S' : 'U',
                             .value = setup.value,
                             .asked = to.size(),
                             .sensitive = op.sensitive});
    return isStatus ? status(to, op) : upload(setup.value, to);
}

inline Result<std::size_t> ScriptedDfu::status(ByteSpan to, const OpContext&)
{
    if (m_clock.now() < m_notBefore)
        m_log.violations.emplace_back("GETSTATUS before the poll time");
    auto poll = 0ms;
    if (m_is.state == 3 && m_isWorkPending) {
        if (m_busyLeft < m_is.busyAnswers && m_is.stallsWhileBusy > 0) {
            --m_is.stallsWhileBusy;
            return fail(Errc::Protocol, Blame::Unit, "stalled");
        }
        if (m_is.stallsStatusOfWork) {
            m_isWorkPending = false;
            return fail(Errc::Protocol, Blame::Unit, "stalled");
        }
        if (m_is.failWith != 0) {
            m_is.state = 10;
            m_is.status = std::exchange(m_is.failWith, std::uint8_t{0});
        } else if (m_busyLeft-- > 0) {
            m_is.state = 4;
            poll = m_is.poll;
        } else {
            work();
            m_is.state = 5;
        }
    }
    m_notBefore = m_clock.now() + poll;
    Bytes raw;
    ByteWriter(raw)
        .u8(m_is.status)
        .u8(static_cast<unsigned>(poll.count()))
        .le16(static_cast<unsigned>(poll.count() >> 8))
        .u8(m_is.state)
        .u8(0);
    if (m_is.state == 4)
        m_is.state = 3;
    raw.resize(m_is.shortStatus);
    std::copy(raw.begin(), raw.end(), to.begin());
    return raw.size();
}

inline void ScriptedDfu::work()
{
    m_isWorkPending = false;
    if (m_block == 0) {
        if (m_pending.size() != 5) {
            m_log.violations.emplace_back("a command that is not 5 bytes long");
            return;
        }
        const std::uint32_t address = readLe32(m_pending, 1);
        if (u8(m_pending[0]) == 0x21)
            m_pointer = address;
        else
            m_log.erased.push_back(address);
        return;
    }
    const std::uint32_t at = m_pointer + (m_block - 2U) * m_is.transferSize;
    for (std::uint32_t i = 0; i < m_pending.size(); ++i)
        m_log.memory[at + i] = m_pending[i];
}

inline Result<std::size_t> ScriptedDfu::upload(std::uint16_t block, ByteSpan to)
{
    if ((m_is.state != 2 && m_is.state != 9) || block < 2 || to.size() > m_is.transferSize)
        return stall();
    const std::uint32_t at = m_pointer + (block - 2U) * m_is.transferSize;
    std::size_t count = 0;
    for (; count < to.size() && at + count < m_is.memoryEnd; ++count) {
        const auto byte = m_log.memory.find(at + static_cast<std::uint32_t>(count));
        to[count] = byte == m_log.memory.end() ? std::byte{0xFF} : byte->second;
    }
    m_is.state = count == to.size() ? 9 : 2;
    return count;
}

inline Result<> ScriptedDfu::controlOut(ControlSetup setup, ByteView data, const OpContext& op)
{
    TRY(enter(op));
    constexpr std::string_view kKinds = "XD??C?A";
    m_log.entries.push_back({.kind = kKinds.at(setup.request),
                             .value = setup.value,
                             .data = toBytes(data),
                             .sensitive = op.sensitive});
    if (setup.request == 0)
        return {};
    if (setup.request == 4) {
        // Only dfuERROR knows CLRSTATUS; elsewhere these boot loaders make an error of it.
        const bool wasError = m_is.state == 10;
        m_is.state = wasError ? 2 : 10;
        m_is.status = wasError ? 0 : 0x0E;
        return {};
    }
    if (setup.request == 6) {
        if (m_is.state != 10)
            m_is.state = 2;
        return {};
    }
    if (m_is.state != 2 && m_is.state != 5)
        return stall();
    if (data.empty()) {
        m_left = true;
        m_is.state = m_is.stateAfterLeave;
        return {};
    }
    if (data.size() > m_is.transferSize)
        m_log.violations.emplace_back("a block larger than wTransferSize");
    m_block = setup.value;
    m_pending = toBytes(data);
    m_isWorkPending = true;
    m_busyLeft = m_is.busyAnswers;
    m_is.state = 3;
    return {};
}

inline Bytes dfuPattern(std::size_t size)
{
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>((i * 31 + i / 251) & 0xFF);
    return bytes;
}

struct DfuBench {
    explicit DfuBench(DfuBehaviour behaviour = {})
    {
        opened = DfuDevice::open(std::make_unique<ScriptedDfu>(behaviour, log, clock), op());
    }
    OpContext op(std::chrono::milliseconds limit = 600s) const
    {
        return {.clock = clock, .deadline = {clock.now() + limit}};
    }
    DfuDevice& dfu() { return *opened; }
    Bytes memoryAt(std::uint32_t address, std::size_t size) const
    {
        Bytes bytes;
        for (std::size_t i = 0; i < size; ++i)
            bytes.push_back(log.memory.at(address + static_cast<std::uint32_t>(i)));
        return bytes;
    }

    VirtualClock clock;
    DfuLog log;
    Result<DfuDevice> opened = fail(Errc::Internal, Blame::Software, "not opened");
};

} // namespace provost::test
