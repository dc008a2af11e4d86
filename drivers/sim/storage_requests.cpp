#include "sim/storage_requests.h"

#include "sim/module_installer.h"
#include "sim/octets.h"
#include "sim/protobuf.h"

namespace provost::sim {

namespace {

namespace ce = control_error;

constexpr std::uint32_t kChunk = 1024;
constexpr std::uint64_t kInternalFlash = 1;

enum SectionFlag : std::uint32_t {
    CanRead = 1,
    CanWrite = 2,
    CanClear = 4,
    CanGetSize = 8,
    NeedsClear = 16
};

/// Kinds of firmware modules as these requests count them.
std::uint64_t moduleType(ModuleFunction function)
{
    switch (function) {
    case ModuleFunction::Bootloader:
        return 1;
    case ModuleFunction::SystemPart:
        return 2;
    case ModuleFunction::UserPart:
        return 3;
    case ModuleFunction::Monolithic:
        return 4;
    default:
        return 0;
    }
}

} // namespace

ControlOutcome StorageRequests::run(std::uint16_t type, ByteView payload)
{
    switch (type) {
    case 250:
        return startUpdate(payload);
    case 251:
        return finishUpdate(payload);
    case 252:
        m_update.reset();
        return {};
    case 253:
        return storeUpdate(payload);
    case 260:
        return describe();
    default:
        break;
    }
    auto fields = readProtobuf(payload);
    if (!fields)
        return {.result = ce::kBadData};
    const auto all = sections();
    const std::uint64_t index = (*fields)[2].number;
    if ((*fields)[1].number != 0 || index >= all.size()) // there is one storage
        return {.result = ce::kNotFound};
    const Section& section = all[static_cast<std::size_t>(index)];
    switch (type) {
    case 261:
        return read(section, (*fields)[3].number, (*fields)[4].number);
    case 262:
        return write(section, (*fields)[3].number, (*fields)[4].bytes);
    case 263:
        return clear(section);
    case 264:
        return contentSize(section);
    default:
        return {.result = ce::kNotSupported};
    }
}

ControlOutcome StorageRequests::startUpdate(ByteView payload)
{
    m_update.reset();
    auto fields = readProtobuf(payload);
    if (!fields)
        return {.result = ce::kBadData};
    const std::uint64_t size = (*fields)[1].number;
    if (size == 0 || size > m_board.profile.received.size)
        return {.result = ce::kTooLarge};
    FlashReceiveArea area(m_board);
    if (!area.prepare(static_cast<std::uint32_t>(size)))
        return {.result = ce::kUnknown};
    m_update = Update{.size = static_cast<std::uint32_t>(size)};
    m_board.show({LedColour::Magenta, LedPattern::Blink, 100});
    ControlOutcome outcome;
    putVarintField(outcome.reply, 1, kChunk);
    return outcome;
}

ControlOutcome StorageRequests::storeUpdate(ByteView payload)
{
    auto fields = readProtobuf(payload);
    if (!fields)
        return {.result = ce::kBadData};
    if (!m_update)
        return {.result = ce::kInvalidState};
    const ByteView data = (*fields)[1].bytes;
    FlashReceiveArea area(m_board);
    const bool fits = !data.empty() && data.size() <= m_update->size - m_update->stored;
    if (!fits || !area.store(m_update->stored, data)) {
        m_update.reset();
        return {.result = fits ? ce::kUnknown : ce::kOutOfRange};
    }
    m_update->stored += static_cast<std::uint32_t>(data.size());
    return {};
}

ControlOutcome StorageRequests::finishUpdate(ByteView payload)
{
    auto fields = readProtobuf(payload);
    if (!fields)
        return {.result = ce::kBadData};
    if (!m_update)
        return {.result = ce::kInvalidState};
    const bool onlyChecks = (*fields)[1].number != 0;
    const bool complete = m_update->stored == m_update->size;
    const bool valid = complete && FlashReceiveArea(m_board).invalid() == 0;
    if (!valid) {
        m_update.reset();
        return {.result = complete ? ce::kUnknown : ce::kInvalidState};
    }
    if (onlyChecks)
        return {};
    m_update.reset();
    installReceived(m_board);
    m_board.askRestart(BootTarget::Normal);
    return {};
}

/// Modules, receive area, factory image, table: the order of the sheets' release, EEPROM left out.
std::vector<StorageRequests::Section> StorageRequests::sections() const
{
    std::vector<Section> all;
    for (const ModuleRegion& region : m_board.profile.regions)
        if (region.location == 'm')
            all.push_back({Section::Kind::Firmware, region});
    all.push_back({Section::Kind::Received, m_board.profile.received});
    for (const ModuleRegion& region : m_board.profile.regions)
        if (region.location == 'f')
            all.push_back({Section::Kind::Factory, region});
    all.push_back({Section::Kind::Config, {.size = m_board.usableDct()}});
    return all;
}

ControlOutcome StorageRequests::describe() const
{
    Bytes storage;
    putVarintField(storage, 1, kInternalFlash);
    for (const Section& section : sections()) {
        std::uint32_t flags = CanRead;
        flags |= section.kind == Section::Kind::Config ? CanWrite : CanGetSize;
        if (section.kind == Section::Kind::Factory)
            flags |= CanWrite | CanClear | NeedsClear;
        Bytes entry;
        putVarintField(entry, 1, static_cast<std::uint64_t>(section.kind));
        putVarintField(entry, 2, section.region.size);
        putVarintField(entry, 3, flags);
        if (section.kind == Section::Kind::Firmware) {
            Bytes module;
            putVarintField(module, 1, moduleType(section.region.function));
            const bool counted = section.region.function == ModuleFunction::SystemPart;
            if (counted)
                putVarintField(module, 2, section.region.index);
            putBytesField(entry, 4, module);
        }
        putBytesField(storage, 3, entry);
    }
    ControlOutcome outcome;
    putBytesField(outcome.reply, 1, storage);
    return outcome;
}

ControlOutcome StorageRequests::read(const Section& section, std::uint64_t offset,
                                     std::uint64_t size) const
{
    const std::uint32_t whole = section.region.size;
    if (size == 0 || offset > whole || size > whole - offset || size > 0xFF00)
        return {.result = ce::kOutOfRange};
    const auto at = static_cast<std::uint32_t>(offset);
    const auto count = static_cast<std::size_t>(size);
    ControlOutcome outcome;
    putBytesField(outcome.reply, 1,
                  section.kind == Section::Kind::Config
                      ? m_board.store.read(at, count)
                      : m_board.flash.view(section.region.address + at, count));
    return outcome;
}

ControlOutcome StorageRequests::write(const Section& section, std::uint64_t offset, ByteView data)
{
    const bool config = section.kind == Section::Kind::Config;
    if (!config && section.kind != Section::Kind::Factory)
        return {.result = ce::kNotSupported};
    const std::uint32_t whole = section.region.size;
    if (data.empty() || offset > whole || data.size() > whole - offset)
        return {.result = ce::kOutOfRange};
    const auto at = static_cast<std::uint32_t>(offset);
    const bool written = config ? m_board.writeDct(at, data)
                                : m_board.flash.program(section.region.address + at, data);
    return {.result = written ? 0 : ce::kUnknown};
}

ControlOutcome StorageRequests::clear(const Section& section)
{
    if (section.kind != Section::Kind::Factory)
        return {.result = ce::kNotSupported};
    const bool erased = m_board.flash.eraseRange(section.region.address, section.region.size);
    return {.result = erased ? 0 : ce::kUnknown};
}

/// Of the module in it, CRC included.
ControlOutcome StorageRequests::contentSize(const Section& section) const
{
    if (section.kind == Section::Kind::Config)
        return {.result = ce::kNotSupported};
    const auto module = moduleIn(m_board.profile, m_board.flash, section.region);
    if (!module || !module->intact)
        return {.result = ce::kBadData};
    ControlOutcome outcome;
    putVarintField(outcome.reply, 1, module->fileSize());
    return outcome;
}

} // namespace provost::sim
