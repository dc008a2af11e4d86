// What the firmware of the probe does with its commands (protocol sheet 2.3 to 2.5).
#include "sim/octets.h"
#include "sim/stlink_function.h"

namespace provost::sim {

namespace {

enum Mode : std::uint8_t { kDfu = 0, kMassStorage = 1, kDebug = 2 };

// 2.5
constexpr std::uint8_t kOk = 0x80;
constexpr std::uint8_t kNoDevice = 0x05;
constexpr std::uint8_t kNoIdcode = 0x09;
constexpr std::uint8_t kAlignment = 0x0A;
constexpr std::uint8_t kPowerUpFailed = 0x0B;
constexpr std::uint8_t kApFault = 0x11;
constexpr std::uint8_t kDpFault = 0x15;
constexpr std::uint8_t kBadAp = 0x1D;
constexpr std::uint8_t kNoFrequency = 0x41;
constexpr std::uint8_t kUnknown = 0x42;
constexpr std::uint8_t kFault = 0x81;

constexpr std::size_t kBuffer = 6144;
constexpr std::uint32_t kReference = 1488;

struct Divisor {
    std::uint16_t value;
    unsigned kilohertz;
};
constexpr Divisor kDivisors[] = {{0, 4000}, {1, 1800}, {2, 1200}, {3, 950},  {5, 650},  {7, 480},
                                 {9, 400},  {10, 360}, {15, 240}, {25, 150}, {31, 125}, {40, 100},
                                 {79, 50},  {158, 25}, {265, 15}, {798, 5}};
constexpr unsigned kV3Frequencies[] = {24000, 8000, 3300, 1000, 200, 50, 5};

std::uint32_t debugId(const StLinkIdentity& identity)
{
    const unsigned generation = identity.model == StLinkModel::V3 ? 3 : 2;
    if (generation == 3)
        return generation << 12; // "ask FB"
    return generation << 12 | identity.jtagVersion << 6 | identity.otherVersion;
}

} // namespace

void StLinkFunction::execute(const Command& command)
{
    const std::uint8_t first = octet(command[0]);
    if (first == 0xF2)
        debugCommand(command);
    else
        topLevel(command);
}

void StLinkFunction::topLevel(const Command& command)
{
    Bytes bytes;
    Fields out(bytes);
    switch (octet(command[0])) {
    case 0xF1:
        out.be16(debugId(m_identity)).le16(0x0483).le16(product());
        break;
    case 0xFB:
        if (!isV3())
            return;
        out.u8(3).u8(0).u8(m_identity.jtagVersion).u8(m_identity.otherVersion).u8(0);
        out.fill(3, std::byte{0}).le16(0x0483).le16(product());
        break;
    case 0xF5:
        out.u8(m_mode).u8(0);
        break;
    case 0xF7:
        if (m_mode == kDfu)
            return;
        out.le32(kReference);
        out.le32(static_cast<std::uint32_t>(m_chip->voltage() * kReference / 2.4 + 0.5));
        break;
    case 0xF3:
        if (command[1] == std::byte{7} && m_mode == kDfu)
            m_mode = kMassStorage;
        return;
    default:
        return;
    }
    reply(std::move(bytes));
}

/// 0: the wires are there and something answers.
std::uint8_t StLinkFunction::link() const
{
    if (!m_wiring.connected)
        return kNoDevice;
    if (!m_chip->powered())
        return kPowerUpFailed;
    // Firmware that has not run since reset has not taken the pins yet.
    const auto state = m_chip->debug().state();
    const bool firmwareRan =
        state == CortexDebug::State::Running || state == CortexDebug::State::Lockup;
    if (!m_chip->debugPortAnswers() || (m_wiring.pinsReused && firmwareRan))
        return kNoIdcode;
    return 0;
}

void StLinkFunction::debugCommand(const Command& command)
{
    if (m_mode == kDfu)
        return; // the boot loader knows other things
    if (setUpCommand(command))
        return;
    if (m_mode != kDebug) {
        status(kUnknown);
        return;
    }
    if (!coreCommand(command) && !dapCommand(command) && !memoryCommand(command))
        status(kUnknown);
}

/// Commands that need no target.
bool StLinkFunction::setUpCommand(const Command& command)
{
    const std::uint8_t code = octet(command[1]);
    if (code == 0x3B || code == 0x3E)
        return false;
    if (code == 0x21) {
        m_mode = kMassStorage;
        return true;
    }
    if (code == 0x30) {
        enter(command);
        return true;
    }
    if (code == 0x3C) {
        driveReset(octet(command[2]));
        return true;
    }
    if (code == 0x43 && !isV3() && m_identity.jtagVersion >= 22) {
        divisor(le16At(command, 2));
        return true;
    }
    if (code == 0x61 && isV3()) {
        setFrequency(le32At(command, 4));
        return true;
    }
    if (code == 0x62 && isV3()) {
        frequencies();
        return true;
    }
    return false;
}

void StLinkFunction::enter(const Command& command)
{
    const std::uint8_t fault = injected(0x30);
    const std::uint8_t trouble = fault != 0 ? fault : link();
    if (command[2] != std::byte{0xA3}) {
        status(kUnknown); // JTAG is not wired here
        return;
    }
    if (trouble == 0) {
        m_mode = kDebug;
        m_port.reset();
    }
    m_accessStatus = kOk;
    status(trouble == 0 ? kOk : trouble);
}

void StLinkFunction::driveReset(std::uint8_t how)
{
    if (const std::uint8_t fault = injected(0x3C)) {
        status(fault);
        return;
    }
    if (m_wiring.resetWired && m_wiring.connected) {
        if (how != 1)
            m_chip->holdReset();
        if (how != 0)
            m_chip->releaseReset();
    }
    status(kOk);
}

void StLinkFunction::divisor(std::uint16_t value)
{
    const auto found = std::find_if(std::begin(kDivisors), std::end(kDivisors),
                                    [value](const Divisor& each) { return each.value == value; });
    if (found == std::end(kDivisors)) {
        status(kNoFrequency);
        return;
    }
    m_kilohertz = found->kilohertz;
    status(kOk);
}

void StLinkFunction::frequencies()
{
    Bytes bytes;
    Fields out(bytes);
    out.le32(kOk).le32(0).le32(std::size(kV3Frequencies));
    for (const unsigned each : kV3Frequencies)
        out.le32(each);
    bytes.resize(52);
    reply(std::move(bytes));
}

void StLinkFunction::setFrequency(std::uint32_t kilohertz)
{
    const bool known = std::find(std::begin(kV3Frequencies), std::end(kV3Frequencies), kilohertz) !=
                       std::end(kV3Frequencies);
    if (known)
        m_kilohertz = kilohertz;
    statusAndWord(known ? kOk : kNoFrequency, m_kilohertz);
}

/// Registers, resets, status.
bool StLinkFunction::coreCommand(const Command& command)
{
    constexpr std::uint8_t kCodes[] = {0x22, 0x31, 0x32, 0x33, 0x34, 0x3A, 0x3B, 0x3E, 0x4B, 0x4C};
    const std::uint8_t code = octet(command[1]);
    if (std::find(std::begin(kCodes), std::end(kCodes), code) == std::end(kCodes))
        return false;
    const std::uint8_t fault = injected(code);
    const std::uint8_t trouble = fault != 0 ? fault : link();
    const bool halted = m_chip->debug().state() == CortexDebug::State::Halted;
    Bytes bytes;
    Fields out(bytes);
    switch (code) {
    case 0x22:
        out.le32(trouble == 0 ? m_chip->profile().dpidr : 0);
        break;
    case 0x31:
        out.le32(trouble == 0 ? kOk : trouble);
        out.le32(trouble == 0 ? m_chip->profile().dpidr : 0).le32(0);
        break;
    case 0x32:
        if (trouble == 0)
            m_chip->systemReset();
        status(trouble == 0 ? kOk : trouble);
        return true;
    case 0x33:
        statusAndWord(trouble != 0 ? trouble
                      : halted     ? kOk
                                   : kFault,
                      halted && trouble == 0 ? m_chip->debug().readRegister(octet(command[2])) : 0);
        return true;
    case 0x34:
        if (halted && trouble == 0)
            m_chip->debug().writeRegister(octet(command[2]), le32At(command, 3));
        status(trouble != 0 ? trouble : halted ? kOk : kFault);
        return true;
    case 0x3A:
        out.le32(trouble != 0 ? trouble : halted ? kOk : kFault);
        for (unsigned number = 0; number < 21; ++number)
            out.le32(halted && trouble == 0 && number != 19 ? m_chip->debug().readRegister(number)
                                                            : 0);
        break;
    case 0x3B:
        status(std::exchange(m_accessStatus, kOk));
        return true;
    case 0x3E:
        if (m_identity.jtagVersion < 15 && !isV3())
            return false;
        out.le32(std::exchange(m_accessStatus, kOk)).le32(std::exchange(m_faultAddress, 0)).le32(0);
        break;
    case 0x4B:
    case 0x4C:
        status(trouble != 0 ? trouble : command[2] == std::byte{0} ? kOk : kBadAp);
        return true;
    default:
        return false;
    }
    reply(std::move(bytes));
    return true;
}

/// Raw registers, from V2J24 on.
bool StLinkFunction::dapCommand(const Command& command)
{
    const std::uint8_t code = octet(command[1]);
    if ((code != 0x45 && code != 0x46) || (!isV3() && m_identity.jtagVersion < 24))
        return false;
    const std::uint8_t fault = injected(code);
    const std::uint8_t trouble = fault != 0 ? fault : link();
    const std::uint16_t port = le16At(command, 2);
    const std::uint16_t reg = le16At(command, 4);
    const bool there = port == 0 || port == DebugPort::kDp;
    const std::uint8_t refusal = !there ? kBadAp : port == 0 ? kApFault : kDpFault;
    if (code == 0x45) {
        const auto word =
            trouble == 0 ? m_port.read(*m_chip, port, reg) : std::optional<std::uint32_t>();
        statusAndWord(trouble != 0 ? trouble : word ? kOk : refusal, word.value_or(0));
    } else {
        const bool done = trouble == 0 && m_port.write(*m_chip, port, reg, le32At(command, 6));
        status(trouble != 0 ? trouble : done ? kOk : refusal);
    }
    spend(4);
    return true;
}

bool StLinkFunction::memoryCommand(const Command& command)
{
    const std::uint8_t code = octet(command[1]);
    const std::uint32_t address = le32At(command, 2);
    const std::size_t size = le16At(command, 6);
    const bool halfWords = isV3() || m_identity.jtagVersion >= 26;
    switch (code) {
    case 0x36: {
        const std::uint8_t fault = injected(code);
        const std::uint8_t wrong = fault != 0 ? fault : checkAccess(address, 4, 4, false);
        const auto word = wrong == 0 ? m_chip->read(address, 4, 4) : std::nullopt;
        statusAndWord(wrong != 0 ? wrong : word ? kOk : kApFault, word ? le32At(*word) : 0);
        spend(4);
        return true;
    }
    case 0x35: {
        const std::uint8_t fault = injected(code);
        const std::uint8_t wrong = fault != 0 ? fault : checkAccess(address, 4, 4, false);
        const bool done = wrong == 0 && m_chip->write(address, ByteView(command).subspan(6, 4), 4);
        status(wrong != 0 ? wrong : done ? kOk : kApFault);
        spend(4);
        return true;
    }
    case 0x07:
        readMemory(address, size, 4);
        return true;
    case 0x0C:
        readMemory(address, size, 1);
        return true;
    case 0x47:
        if (halfWords)
            readMemory(address, size, 2);
        return halfWords;
    case 0x08:
    case 0x0D:
    case 0x48: {
        const unsigned width = code == 0x08 ? 4 : code == 0x0D ? 1 : 2;
        if (width == 2 && !halfWords)
            return false;
        m_pending =
            PendingWrite{.address = address, .size = size, .width = width, .fault = injected(code)};
        return true;
    }
    default:
        return false;
    }
}

std::uint8_t StLinkFunction::checkAccess(std::uint32_t address, std::size_t size, unsigned width,
                                         bool write) const
{
    if (const std::uint8_t trouble = link())
        return trouble;
    // What is read lies in the probe's buffer first; what is written streams through it, 32 KiB at
    // once when st-flash programs.
    const std::size_t bytes = isV3() && m_identity.jtagVersion >= 6 ? 512 : 64;
    const std::size_t most = width == 1 ? bytes : write ? 0xFFFF : kBuffer;
    if (address % width != 0 || size % width != 0 || size > most)
        return kAlignment;
    return 0;
}

void StLinkFunction::readMemory(std::uint32_t address, std::size_t size, unsigned width)
{
    const std::uint8_t code = width == 4 ? 0x07 : width == 2 ? 0x47 : 0x0C;
    std::uint8_t fault = injected(code);
    if (fault == 0)
        fault = checkAccess(address, size, width, false);
    m_accesses.push_back(
        {.width = width, .address = address, .size = static_cast<std::uint32_t>(size)});
    auto bytes = fault == 0 ? m_chip->read(address, size, width) : std::nullopt;
    if (fault == 0 && !bytes)
        fault = kApFault;
    note(fault, address);
    // Without a status in it: after a fault it is rubbish of the right length.
    Bytes answer = bytes ? std::move(*bytes) : Bytes(size, std::byte{0xA5});
    if (width == 1 && size == 1)
        answer.push_back(std::byte{0});
    reply(std::move(answer));
    spend(size);
}

void StLinkFunction::finishWrite()
{
    const PendingWrite write = *std::exchange(m_pending, std::nullopt);
    std::uint8_t fault =
        write.fault != 0 ? write.fault : checkAccess(write.address, write.size, write.width, true);
    m_accesses.push_back({.write = true,
                          .width = write.width,
                          .address = write.address,
                          .size = static_cast<std::uint32_t>(write.size)});
    if (fault == 0 &&
        !m_chip->write(write.address, ByteView(write.data).first(write.size), write.width))
        fault = kApFault;
    note(fault, write.address);
    spend(write.size);
}

} // namespace provost::sim
