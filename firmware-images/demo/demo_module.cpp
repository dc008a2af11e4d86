#include "demo/demo_module.h"

#include "core/byte_io.h"
#include "core/crc.h"
#include "crypto/digest.h"

namespace provost::demo {

namespace {

// particle-devices 6.1, 6.2
constexpr std::uint32_t kHeaderBytes = 24;
constexpr std::uint32_t kSuffixBytes = 40;
constexpr std::uint32_t kShaBytes = 32;
constexpr std::uint32_t kCrcBytes = 4;

/// SplitMix64: short, well spread, the same everywhere.
class Generator {
public:
    explicit Generator(std::uint64_t seed) : m_state(seed) {}
    std::uint64_t next()
    {
        m_state += 0x9E3779B97F4A7C15u;
        std::uint64_t mixed = m_state;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
        return mixed ^ (mixed >> 31);
    }

private:
    std::uint64_t m_state = 0;
};

std::uint64_t seedOf(const ModulePlan& plan)
{
    return (std::uint64_t{plan.platformId} << 48) | (std::uint64_t{plan.function} << 40) |
           (std::uint64_t{plan.index} << 32) | plan.version;
}

/// Stack pointer, then handlers: odd addresses (Thumb) inside the module.
void writeVectorTable(ByteWriter& to, const ModulePlan& plan, Generator& random)
{
    const std::uint32_t firstCode =
        plan.vectorTableBytes + kHeaderBytes + static_cast<std::uint32_t>(kMark.size());
    const std::uint32_t room = plan.fileSize - kCrcBytes - kSuffixBytes - firstCode;
    to.le32(plan.stackTop);
    for (std::uint32_t at = 4; at < plan.vectorTableBytes; at += 4) {
        const auto handler =
            room == 0 ? 0 : static_cast<std::uint32_t>(random.next() % room) & ~std::uint32_t{1};
        to.le32(plan.start + firstCode + handler + 1);
    }
}

void writeHeader(ByteWriter& to, const ModulePlan& plan)
{
    to.le32(plan.start).le32(plan.start + plan.fileSize - kCrcBytes);
    to.u8(0).u8(0).le16(plan.version).le16(plan.platformId).u8(plan.function).u8(plan.index);
    for (const Requirement& each : plan.requirements)
        to.u8(each.function).u8(each.index).le16(each.version);
}

} // namespace

std::uint32_t smallestFileSize(const ModulePlan& plan)
{
    return plan.vectorTableBytes + kHeaderBytes + static_cast<std::uint32_t>(kMark.size()) +
           kSuffixBytes + kCrcBytes;
}

Bytes buildModule(const ModulePlan& plan)
{
    Generator random(seedOf(plan));
    Bytes file;
    file.reserve(plan.fileSize);
    ByteWriter to(file);
    if (plan.vectorTableBytes != 0)
        writeVectorTable(to, plan, random);
    writeHeader(to, plan);
    to.text(kMark);
    while (file.size() < plan.fileSize - kCrcBytes - kSuffixBytes)
        to.le32(static_cast<std::uint32_t>(random.next() >> 32));

    to.le16(plan.productId).le16(plan.productVersion).le16(0);
    static_assert(kSuffixBytes == 2 + 2 + 2 + kShaBytes + 2);
    const Sha256 digest = sha256(file);
    to.raw(digest).le16(kSuffixBytes);
    to.be32(crc32(file));
    return file;
}

} // namespace provost::demo
