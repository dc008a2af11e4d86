// The bootloader by YModem in listening mode, proved by the module report after the restart. Only
// the running system can replace it (particle-devices 2.4).
#include "core/byte_io.h"
#include "core/text.h"
#include "image/module_info.h"
#include "protocol/listening_console.h"
#include "steps/steps_p.h"

namespace provost {

using namespace std::chrono_literals;

namespace {

constexpr auto kSendBudget = 150s; // the receiver's erase pause alone may take 70 s (7.5)
constexpr auto kReturnBudget = 40s;

class UpdateBootloaderStep final : public Step {
public:
    UpdateBootloaderStep(std::string role, std::string version)
        : m_role(std::move(role)), m_version(std::move(version))
    {
    }

    Result<> run(StepContext& context) override
    {
        const auto& op = context.op();
        const auto image = TRY(imageFor(context, m_role, m_version));
        const int wanted = image->module.version;
        if (!context.unit().hasUsb())
            return writeByProbe(context, *image);
        TRY(context.unit().bringTo(UnitMode::Listening, op));
        const int before = TRY(installed(context, op));
        if (before == wanted && TRY(holdsSameBytes(context, *image))) {
            context.note(concat(wanted, " is installed already"));
            context.notMeasured("rate_kib_s");
            context.notMeasured("ymodem_retries");
            return record(context, *image);
        }
        TRY(context.unit().bringTo(UnitMode::Listening, op));
        TRY(op.checkpoint());
        TRY(context.intend(kBootloaderEffect, concat(before, " to ", wanted)));
        const auto sent = sendAndProve(context, *image, before);
        TRY(settleIfKnown(context, kBootloaderEffect, sent));
        TRY(Result<>(sent));
        context.note(concat(before, " → ", wanted, " by YModem, proved by module report"));
        return record(context, *image);
    }

private:
    /// Where no running system is asked (particle-devices 2.4 b): the protection is lifted for the
    /// write and put back.
    static Result<> writeByProbe(StepContext& context, const FlashImage& image)
    {
        const auto segment = TRY(context.plan().platform.segment("bootloader"));
        context.notMeasured("rate_kib_s");
        if (TRY(holdsSameBytes(context, image))) {
            context.note(concat(image.module.version, " is installed already"));
            return record(context, image);
        }
        auto* memory = TRY(context.unit().memory(segment.alternate, context.op()));
        const Bytes present = TRY(memory->read(segment.address, segment.size, context.op()));
        const auto before = parseModule(present);
        const std::string from =
            before && before->crcOk() ? concat(before->version) : std::string("none");
        TRY(context.op().checkpoint());
        TRY(context.intend(kBootloaderEffect, concat(from, " to ", image.module.version)));
        const OpContext op = context.op().shielded(kSendBudget);
        const auto written = writeBlocks(*memory, image, op);
        TRY(settleIfKnown(context, kBootloaderEffect, written));
        TRY(Result<>(written));
        context.note(concat(from, " → ", image.module.version, " by SWD, proved by its sum"));
        return record(context, image);
    }

    static Result<> writeBlocks(MemoryTarget& memory, const FlashImage& image, const OpContext& op)
    {
        for (const MemoryBlock& block : image.blocks)
            TRY(memory.write(block, op));
        return {};
    }

    /// The same version number may be another build.
    static Result<bool> holdsSameBytes(StepContext& context, const FlashImage& image)
    {
        auto* memory = TRY(context.unit().memory(0, context.op()));
        const auto size = static_cast<std::uint32_t>(image.module.moduleSize);
        const Bytes found = TRY(memory->read(image.module.start, size, context.op()));
        return equalBytes(found, ByteView(image.file).first(size));
    }

    static Result<int> installed(StepContext& context, const OpContext& op)
    {
        auto line = TRY(context.unit().openConsole(op));
        ListeningConsole console(*line);
        const auto report = TRY(console.modules(op));
        const auto* module = report.find(reportLetter(ModuleFunction::Bootloader));
        if (module == nullptr)
            return Unexpected(unitError(Errc::InvalidData,
                                        "read the module report: it names no bootloader", "F120"));
        return module->version;
    }

    /// Once begun it can time out but not be stopped: a half-written bootloader bricks the unit.
    static Result<> sendAndProve(StepContext& context, const FlashImage& image, int before)
    {
        const OpContext op = context.op().shielded(kSendBudget);
        auto sent = send(context, image, op);
        if (!sent && sent.error().code == Errc::Denied)
            return Unexpected(withCause(std::move(sent).error(), "F121"));
        TRY(std::move(sent));
        const int after = TRY(installed(context, op.shielded(kReturnBudget)));
        if (after == image.module.version)
            return {};
        return Unexpected(
            unitError(Errc::Mismatch,
                      concat("update the bootloader from ", before, " to ", image.module.version,
                             ": the module report says ", after),
                      "F121"));
    }

    static Result<> send(StepContext& context, const FlashImage& image, const OpContext& op)
    {
        auto& unit = context.unit();
        const auto before = unit.incarnation(op);
        {
            auto line = TRY(unit.openConsole(op));
            ListeningConsole console(*line);
            const ByteView module(image.file.data(), image.module.moduleSize);
            const auto began = op.clock.now();
            const auto delivered = console.sendModule(image.fileName, module, op.phase({}, 0, 0.8));
            context.measure("ymodem_retries", console.retries(), "");
            TRY(Result<>(delivered));
            const std::chrono::duration<double> took = op.clock.now() - began;
            if (took.count() > 0)
                context.measure("rate_kib_s",
                                static_cast<double>(module.size()) / 1024 / took.count(), "KiB/s");
        }
        const OpContext back = op.shielded(kReturnBudget);
        TRY(unit.waitForNewIncarnation(before, back));
        TRY(unit.waitForFirmware(back));
        return unit.bringTo(UnitMode::Listening, back);
    }

    static Result<> record(StepContext& context, const FlashImage& image)
    {
        return context.journal().recordImage(context.run(),
                                             {.role = image.role,
                                              .version = image.version,
                                              .sha256 = toHex(image.sha256),
                                              .moduleVersion = image.module.version});
    }

    std::string m_role;
    std::string m_version;
};

} // namespace

MadeStep makeUpdateBootloaderStep(const StepSpec& spec)
{
    auto version = TRY(spec.text("version"));
    return std::make_unique<UpdateBootloaderStep>(spec.textOr("role", "bootloader"),
                                                  std::move(version));
}

} // namespace provost
