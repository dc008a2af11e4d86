// Reads both physical DCT sectors before the first write. On disk they exist sealed to the escrow
// certificate or as fingerprints only: they hold the unit's private key and passwords.
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "crypto/unit_key.h"
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
        const auto current = TRY(countingCopy(context, dct, context.op()));
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
        context.note(concat(dct.copies(), " × ", layout.sectorSize / 1024,
                            " KiB read before any write · ", kept));
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
