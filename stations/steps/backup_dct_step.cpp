// Reads both physical DCT sectors before the first write. On disk they exist sealed to the escrow
// certificate or as fingerprints only: they hold the unit's private key and passwords. A unit that
// was left in the middle of a write is inspected here, before anything else is written.
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/unit_key.h"
#include "image/module_info.h"
#include "steps/steps_p.h"

#include <cstring>

namespace provost {

namespace {

/// 20261103T143107250Z: without the colons that file systems dislike.
std::string fileStamp(Clock::Utc when)
{
    std::string text = isoUtc(when);
    std::erase_if(text, [](char c) { return c == '-' || c == ':' || c == '.'; });
    return text;
}

class BackupDctStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        const auto& layout = context.plan().platform.dct;
        const auto dct = TRY(context.unit().readDct(context.op()));
        const auto current = dct.current();
        TRY(sameChip(context, dct, current));

        std::string kept = "fingerprints kept";
        if (!context.station().escrowCertificate.empty()) {
            TRY(seal(context, dct));
            kept = "sealed to the escrow certificate";
        }
        std::string fingerprint = "none";
        if (current) {
            const auto reading = readAsUnit(dct.field(*current, layout.privateKey));
            if (reading.readable)
                fingerprint = reading.publicKey->fingerprint();
        }
        TRY(context.journal().note(
            context.run(), "backup",
            concat(digests(dct), "current=", current ? *current + 1 : 0, " key=", fingerprint)));
        const auto found = TRY(inspectIfNeeded(context, current, fingerprint));
        context.note(concat(dct.copies(), " × ", layout.sectorSize / 1024,
                            " KiB read before any write · ", kept, found));
        return {};
    }

private:
    static std::string digests(const DctSnapshot& dct)
    {
        std::string text;
        for (int copy = 0; copy < dct.copies(); ++copy)
            text += concat("copy", copy + 1, "=", sha256Hex(dct.sector(copy)), " ");
        return text;
    }

    static Result<> sameChip(StepContext& context, const DctSnapshot& dct,
                             std::optional<int> current)
    {
        const auto& chipId = context.plan().platform.dct.chipId;
        if (!current || chipId.size == 0)
            return {};
        const ByteView chip = dct.field(*current, chipId);
        const std::string id = toHex(chip);
        const bool zeros = id.find_first_not_of('0') == std::string::npos;
        if (allFf(chip) || zeros || id == context.facts().id.deviceId)
            return {};
        return Unexpected(unitError(Errc::Mismatch,
                                    concat("compare the chip id in the DCT (", id,
                                           ") with the unit that was identified (",
                                           context.facts().id.deviceId, ")"),
                                    "C016"));
    }

    /// Reads back what an interrupted write may have left: the configuration memory is here
    /// already, the bootloader follows.
    static Result<std::string> inspectIfNeeded(StepContext& context, std::optional<int> current,
                                               const std::string& fingerprint)
    {
        const auto& deviceId = context.facts().id.deviceId;
        if (!TRY(context.journal().needsInspection(deviceId)))
            return std::string{};
        if (!current)
            return Unexpected(unitError(Errc::InvalidData,
                                        "inspect the unit: neither DCT copy is marked as the "
                                        "current one, or both are",
                                        "F122"));
        const auto segment = TRY(context.plan().platform.segment("bootloader"));
        auto* device = TRY(context.unit().dfu(context.op()));
        TRY(device->select(segment.alternate, context.op()));
        const Bytes bytes = TRY(device->upload(segment.address, segment.size, context.op()));
        const auto bootloader = parseModule(bytes);
        if (!bootloader || !bootloader->crcOk())
            return Unexpected(unitError(Errc::InvalidData,
                                        "inspect the unit: its bootloader is damaged", "F121"));
        TRY(context.journal().note(context.run(), "inspection",
                                   concat("bootloader=", bootloader->version,
                                          " current=", *current + 1, " key=", fingerprint)));
        TRY(context.journal().clearInspection(context.run(), deviceId));
        return concat(" · inspected: bootloader ", bootloader->version, ", key ",
                      shortFingerprint(fingerprint));
    }

    static Result<> seal(StepContext& context, const DctSnapshot& dct)
    {
        const std::size_t size = dct.sector(0).size();
        SecretBytes all(size * static_cast<std::size_t>(dct.copies()));
        for (int copy = 0; copy < dct.copies(); ++copy)
            std::memcpy(all.writable().data() + size * static_cast<std::size_t>(copy),
                        dct.sector(copy).data(), size);
        const auto sealed =
            TRY(sealToCertificate(context.station().escrowCertificate, all.reveal()));
        return writeNewFile(concat(context.station().backupFolder, "/", context.facts().id.deviceId,
                                   "-", fileStamp(context.op().clock.utcNow()), "-dct.cms"),
                            sealed, 0600);
    }
};

} // namespace

MadeStep makeBackupDctStep(const StepSpec&)
{
    return std::make_unique<BackupDctStep>();
}

} // namespace provost
