// What becomes of a private key that was made for a unit: it stays in wiped memory until the unit
// has proved it, is wrapped to the escrow key where the station has one, and is destroyed. Each of
// it is a record.
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/digest.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

/// Only the holder of the escrow key opens it; the file is read back before it counts.
Result<> wrapToEscrow(StepContext& context, const HeldKey& held)
{
    const Bytes& certificate = context.station().escrowCertificate;
    const auto sealed = TRY(sealToCertificate(certificate, held.privateDer.reveal()));
    const std::string name =
        concat(context.facts().id.deviceId, "-", held.fingerprint.substr(0, 16), "-key.cms");
    const std::filesystem::path file = std::filesystem::path(context.station().backupFolder) / name;
    TRY(writeNewFile(file, sealed, 0600));
    const Bytes readBack = TRY(readFile(file));
    if (readBack != sealed)
        return fail(
            Errc::Corrupt, Blame::Station,
            concat("read back the escrowed key ", file.string(), ": it is not what was written"));
    return context.journal().recordCustody(context.run(), held.fingerprint, CustodyEvent::Escrow,
                                           concat("CMS envelope ", name,
                                                  " sha256=", sha256Hex(sealed),
                                                  " certificate=", sha256Hex(certificate)));
}

} // namespace

Result<> beginCustody(StepContext& context, BurnKey key)
{
    // A key of an earlier attempt that was never proved ends here.
    TRY(endCustody(context, "another key was made in its place"));
    TRY(context.journal().recordCustody(context.run(), key.fingerprint, CustodyEvent::Birth,
                                        concat("made at ", context.station().name,
                                               key.maker.empty() ? "" : ", in ", key.maker,
                                               ", tried with the reader of the unit")));
    context.facts().held = {.fingerprint = std::move(key.fingerprint),
                            .privateDer = std::move(key.privateDer)};
    return {};
}

Result<> endCustody(StepContext& context, std::string_view why)
{
    HeldKey held = std::exchange(context.facts().held, HeldKey{});
    if (held.privateDer.empty())
        return {};
    held.privateDer = SecretBytes(); // wiped first: the record must not come before the deed
    return context.journal().recordCustody(context.run(), held.fingerprint,
                                           CustodyEvent::Destruction,
                                           concat("wiped in memory: ", why));
}

Result<> settleCustody(StepContext& context, const std::string& fingerprint)
{
    TRY(context.journal().recordCustody(context.run(), fingerprint, CustodyEvent::Proof,
                                        "derived from what was read back on the unit, equal to "
                                        "the record and to the public slot"));
    const HeldKey& held = context.facts().held;
    if (held.privateDer.empty())
        return {}; // kept from an earlier run: its private part is on the unit alone
    if (held.fingerprint != fingerprint)
        return endCustody(context, "another key was proved on the unit");
    if (context.station().escrowCertificate.empty())
        return endCustody(context, "proved, and this station keeps no escrow");
    TRY(wrapToEscrow(context, held));
    return endCustody(context, "proved and escrowed");
}

} // namespace provost
