// The module parser stays inside its input, whatever that is, and reads what was written.
#include "core/byte_io.h"
#include "demo/demo_module.h"
#include "image/module_info.h"
#include "support/test_program.h"

#include <QTest>
#include <rapidcheck.h>

using namespace provost;

namespace {

/// What every accepted file keeps, damaged or not.
bool staysInside(const ModuleInfo& module, std::size_t fileBytes)
{
    return module.moduleSize <= fileBytes && module.end > module.start &&
           module.moduleSize == std::size_t{module.end} - module.start + 4 &&
           module.headerOffset + 24 + module.suffixSize + 4 <= module.moduleSize &&
           module.dependencies.size() <= 2 &&
           module.product.has_value() == (module.suffixSize == 40);
}

/// Parses a copy that ends exactly where its heap block ends, for the address sanitizer.
Result<ModuleInfo> parseExactly(ByteView content)
{
    const auto block = std::make_unique<std::byte[]>(content.size());
    std::copy(content.begin(), content.end(), block.get());
    return parseModule(ByteView(block.get(), content.size()));
}

Bytes randomBytes(std::size_t largest)
{
    const auto size = *rc::gen::inRange<std::size_t>(0, largest);
    const auto raw =
        *rc::gen::container<std::vector<std::uint8_t>>(size, rc::gen::arbitrary<std::uint8_t>());
    Bytes bytes(size);
    std::transform(raw.begin(), raw.end(), bytes.begin(), [](auto b) { return std::byte{b}; });
    return bytes;
}

demo::Requirement randomRequirement()
{
    return {.function = *rc::gen::arbitrary<std::uint8_t>(),
            .index = *rc::gen::arbitrary<std::uint8_t>(),
            .version = *rc::gen::arbitrary<std::uint16_t>()};
}

demo::ModulePlan randomPlan()
{
    demo::ModulePlan plan{
        .start = *rc::gen::inRange<std::uint32_t>(0, 0x1FFFFFFF),
        .version = *rc::gen::arbitrary<std::uint16_t>(),
        .platformId = *rc::gen::element<std::uint16_t>(6, 8, 10),
        .function = *rc::gen::inRange<std::uint8_t>(1, 9),
        .index = *rc::gen::arbitrary<std::uint8_t>(),
        .requirements = {randomRequirement(), randomRequirement()},
        .productId = *rc::gen::arbitrary<std::uint16_t>(),
        .productVersion = *rc::gen::arbitrary<std::uint16_t>(),
        .vectorTableBytes = *rc::gen::arbitrary<bool>() ? 0x184U : 0U,
    };
    plan.fileSize = demo::smallestFileSize(plan) + 4 * *rc::gen::inRange<std::uint32_t>(0, 200);
    return plan;
}

class TstImageProperty : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void parse_staysInsideRandomBytes();
    void parse_staysInsideRandomHeaders();
    void parse_readsWhatWasWritten();
    void parse_detectsAnyChangedByte();
};

void TstImageProperty::parse_staysInsideRandomBytes()
{
    QVERIFY(rc::check("random bytes", [] {
        const Bytes content = randomBytes(2048);
        if (const auto module = parseExactly(content))
            RC_ASSERT(staysInside(*module, content.size()));
    }));
}

void TstImageProperty::parse_staysInsideRandomHeaders()
{
    QVERIFY(rc::check("plausible headers over random bytes", [] {
        Bytes content = randomBytes(2048);
        content.resize(content.size() + 0x21C);
        const auto offset = *rc::gen::element<std::uint32_t>(0, 0x10C, 0x184, 0x200);
        if (offset != 0)
            writeLe32(content, 0, 0x20000000 | (*rc::gen::arbitrary<std::uint32_t>() & 0xFFFC));
        const auto start = *rc::gen::arbitrary<std::uint32_t>();
        const auto around = static_cast<std::uint32_t>(content.size());
        const auto end = start + *rc::gen::inRange<std::uint32_t>(0, around + 8);
        writeLe32(content, offset, start);
        writeLe32(content, offset + 4, end);
        writeLe16(content, offset + 12, *rc::gen::element<std::uint16_t>(0, 6, 8, 10, 12, 99));
        content[offset + 14] = static_cast<std::byte>(*rc::gen::inRange(0, 10));
        if (end - start >= 2 && end - start <= content.size())
            writeLe16(content, end - start - 2, *rc::gen::element<std::uint16_t>(36, 40, 38));
        if (*rc::gen::arbitrary<bool>() && end - start + 4 <= content.size())
            content.resize(end - start + 4);
        const auto module = parseExactly(content);
        if (module)
            RC_ASSERT(staysInside(*module, content.size()));
        RC_CLASSIFY(module.has_value(), "accepted");
    }));
}

void TstImageProperty::parse_readsWhatWasWritten()
{
    QVERIFY(rc::check("decoding undoes encoding", [] {
        const demo::ModulePlan plan = randomPlan();
        const auto module = parseExactly(demo::buildModule(plan));
        RC_ASSERT(module.has_value());
        RC_ASSERT(module->start == plan.start);
        RC_ASSERT(module->end == plan.start + plan.fileSize - 4);
        RC_ASSERT(module->version == plan.version);
        RC_ASSERT(module->platformId == plan.platformId);
        RC_ASSERT(static_cast<std::uint8_t>(module->function) == plan.function);
        RC_ASSERT(module->index == plan.index);
        std::vector<ModuleDependency> wanted;
        for (const demo::Requirement& each : plan.requirements)
            if (each.function != 0)
                wanted.push_back({.function = static_cast<ModuleFunction>(each.function),
                                  .index = each.index,
                                  .version = each.version});
        RC_ASSERT(module->dependencies == wanted);
        RC_ASSERT(module->product->id == plan.productId);
        RC_ASSERT(module->product->version == plan.productVersion);
        RC_ASSERT(module->headerOffset == plan.vectorTableBytes);
        RC_ASSERT(module->crcOk());
        RC_ASSERT(module->sha256Ok);
        RC_ASSERT(module->demo);
    }));
}

void TstImageProperty::parse_detectsAnyChangedByte()
{
    QVERIFY(rc::check("a changed byte is seen", [] {
        Bytes file = demo::buildModule(randomPlan());
        const auto at = *rc::gen::inRange<std::size_t>(0, file.size());
        file[at] ^= static_cast<std::byte>(*rc::gen::inRange(1, 256));
        const auto module = parseExactly(file);
        // Not one expression: rapidcheck captures both sides of || and evaluates them.
        const bool seen = !module || !defects(*module).empty();
        RC_ASSERT(seen);
    }));
}

} // namespace

PROVOST_TEST("image_property", TstImageProperty)
#include "tst_image_property.moc"
