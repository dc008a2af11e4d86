// Writes one image, placed by its header, sector by sector, and proves it.
#include "core/text.h"
#include "crypto/digest.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

class FlashImageStep final : public Step {
public:
    FlashImageStep(std::string role, std::string version, std::string segment)
        : m_role(std::move(role)), m_version(std::move(version)), m_segment(std::move(segment))
    {
    }

    Result<> run(StepContext& context) override
    {
        const auto& op = context.op();
        const auto image = TRY(imageFor(context, m_role, m_version));
        const auto segment = TRY(context.plan().platform.segment(m_segment));
        auto* memory = TRY(context.unit().memory(segment.alternate, op));

        const auto began = op.clock.now();
        ProgramOutcome total;
        int repeats = 0;
        for (std::size_t i = 0; i < image->blocks.size(); ++i) {
            const auto& block = image->blocks[i];
            if (block.address < segment.address ||
                block.address + block.bytes.size() > segment.address + segment.size)
                return Unexpected(
                    Error{.code = Errc::InvalidData,
                          .blame = Blame::Operator,
                          .message = concat("place ", image->fileName, " at ", hex32(block.address),
                                            ": outside of ", m_segment),
                          .frames = {},
                          .native = {},
                          .cause = "C040"});
            const int before = memory->repeats();
            auto written = memory->write(block, op.part(i, image->blocks.size()));
            repeats += memory->repeats() - before;
            if (!written) {
                context.measure("write_repeats", repeats, "");
                return Unexpected(std::move(written).error());
            }
            const auto part = *written;
            total.written += part.written;
            total.skipped += part.skipped;
            total.sectors += part.sectors;
            total.sectorsSkipped += part.sectorsSkipped;
        }
        context.measure("write_repeats", repeats, "");
        report(context, *image, total,
               std::chrono::duration<double>(op.clock.now() - began).count());
        return context.journal().recordImage(context.run(),
                                             {.role = image->role,
                                              .version = image->version,
                                              .sha256 = toHex(image->sha256),
                                              .moduleVersion = image->module.version});
    }

private:
    static void report(StepContext& context, const FlashImage& image, const ProgramOutcome& total,
                       double seconds)
    {
        const auto kib = (total.written + total.skipped + 512) / 1024;
        std::string text = concat(image.version, " · ", kib, " KiB");
        if (total.written > 0 && seconds > 0) {
            context.measure("rate_kib_s", total.written / 1024.0 / seconds, "KiB/s");
        } else {
            context.notMeasured("rate_kib_s");
        }
        if (total.sectorsSkipped > 0)
            text += concat(" · ", total.sectorsSkipped, " of ",
                           total.sectorsSkipped + total.sectors, " sectors held it already");
        context.note(text);
    }

    std::string m_role;
    std::string m_version;
    std::string m_segment;
};

} // namespace

MadeStep makeFlashImageStep(const StepSpec& spec)
{
    auto role = TRY(spec.text("role"));
    auto version = TRY(spec.text("version"));
    const std::string segment = spec.textOr("segment", role);
    return std::make_unique<FlashImageStep>(std::move(role), std::move(version), segment);
}

} // namespace provost
