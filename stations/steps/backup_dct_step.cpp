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

constexpr DctField kChipId{.offset = 3618, .size = 12}; // particle-devices 3.3

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
            concat("copy1=", sha256Hex(dct.sector(0)), " copy2=", sha256Hex(dct.sector(1)),
                   " current=", current ? *current + 1 : 0, " key=", fingerprint)));
        context.note(
            concat("2 × ", layout.sectorSize / 1024, " KiB read before any write · ", kept));
        return {};
    }

private:
    static Result<> sameChip(StepContext& context, const DctSnapshot& dct,
                             std::optional<int> current)
    {
        if (!current)
            return {};
        const ByteView chip = dct.field(*current, kChipId);
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
        SecretBytes both(dct.sector(0).size() * 2);
        std::memcpy(both.writable().data(), dct.sector(0).data(), dct.sector(0).size());
        std::memcpy(both.writable().data() + dct.sector(0).size(), dct.sector(1).data(),
                    dct.sector(1).size());
        const auto sealed =
            TRY(sealToCertificate(context.station().escrowCertificate, both.reveal()));
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
