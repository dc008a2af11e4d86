// The factories behind registerAllSteps(), and what several steps do alike.
#pragma once

#include "crypto/key_pool.h"
#include "engine/network_witness.h"
#include "engine/step.h"
#include "steps/key_proof.h"

namespace provost {

using MadeStep = Result<std::unique_ptr<Step>>;

MadeStep makeIdentifyStep(const StepSpec& spec);
MadeStep makeInspectStep(const StepSpec& spec);
MadeStep makeClearCredentialsStep(const StepSpec& spec);
MadeStep makeBackupDctStep(const StepSpec& spec);
MadeStep makeFlashImageStep(const StepSpec& spec);
MadeStep makeRestartStep(const StepSpec& spec);
MadeStep makeUpdateBootloaderStep(const StepSpec& spec);
/// @param pool  null: each key is made when it is needed
MadeStep makeDeviceKeyStep(std::shared_ptr<KeyPool> pool, const StepSpec& spec);
MadeStep makeServerKeyStep(const StepSpec& spec);
MadeStep makeProveKeysStep(const StepSpec& spec);
MadeStep makeRegisterStep(const StepSpec& spec);
MadeStep makeGiveCredentialsStep(const StepSpec& spec);
MadeStep makeLiveHandshakeStep(const StepSpec& spec);
MadeStep makeSerialTesterStep(const StepSpec& spec);
MadeStep makeClaimCodeStep(const StepSpec& spec);
MadeStep makeCloudContactStep(const StepSpec& spec);
MadeStep makeShippingStateStep(const StepSpec& spec);
MadeStep makeLeaveUnitSafeStep(const StepSpec& spec);

/// The step, which besides measures how often DFU repeated something in it: not where the unit was
/// reached by no DFU at all.
MadeStep withDfuRetries(MadeStep step);
constexpr std::string_view kDfuRetries = "dfu_retries";

/// What the journal calls the effects that are announced; `inspect` judges each by its payload.
constexpr std::string_view kBootloaderEffect = "write-bootloader"; ///< "502 to 1006"
constexpr std::string_view kKeyEffect = "burn-device-key";         ///< fingerprint
/// Slots of the DCT: "offset size hex-SHA-256".
constexpr std::string_view kPublicKeyEffect = "write-public-key";
constexpr std::string_view kServerKeyEffect = "write-server-key";
constexpr std::string_view kShippingKeyEffect = "write-shipping-server-key";
constexpr std::string_view kWifiPartEffect = "write-wifi-part"; ///< "clear", "give"
constexpr std::string_view kTransportEffect = "write-transport";
constexpr std::string_view kClaimEffect = "clear-claim";

/// Who is to blame for a unit that does not come to the test network.
struct Silence {
    std::string_view cause;
    Blame blame;
    std::string_view why;
};
/// Only a network that is known to work makes a silent unit a bad one (F404).
Silence judgeSilence(NetworkWitness::Standing standing);

/// The image of a role and release, refused where it is a demo image and the unit is real.
Result<std::shared_ptr<const FlashImage>> imageFor(StepContext& context, std::string_view role,
                                                   std::string_view version);

/// The DCT copy that the unit works with: the one that is marked so. Cut off between the last two
/// bytes of a write, both are (particle-devices 3.1 leaves open which counts then): it is the one
/// that the unit's own reader shows. nullopt: neither is marked, or the reader shows neither.
Result<std::optional<int>> countingCopy(StepContext& context, const DctSnapshot& dct,
                                        const OpContext& op);
/// "DCT copy 1 counts, copy 2 half-written"
std::string describeCopies(const DctSnapshot& dct, std::optional<int> counts);

/// Announces one slot, writes it in one go (`outer` shielded, DO NOT UNPLUG), reads it back and
/// settles. `bytes` are public: their digest is journalled.
/// @returns Mismatch with `cause`
Result<> writeSlot(StepContext& context, DctMemory& table, std::uint32_t offset, ByteView bytes,
                   std::string_view effect, std::string_view cause, const OpContext& outer);

/// A write of the table that is begun anew where it fails (repeatWrite()); counted in the facts.
Result<> repeatOnTable(StepContext& context, DctMemory& table, const OpContext& op,
                       const std::function<Result<>()>& write);
/// Measures `write_repeats` of a step that writes slots, however it ends.
class MeasuredRepeats {
public:
    explicit MeasuredRepeats(StepContext& context)
        : m_context(context), m_before(context.facts().slotRepeats)
    {
    }
    ~MeasuredRepeats()
    {
        m_context.measure("write_repeats", m_context.facts().slotRepeats - m_before, "");
    }
    MeasuredRepeats(const MeasuredRepeats&) = delete;
    MeasuredRepeats& operator=(const MeasuredRepeats&) = delete;

private:
    StepContext& m_context;
    const int m_before;
};

/// On platforms with a choice: the RSA handshake over TCP, and the proof that it stands there.
Result<> chooseTcp(StepContext& context, DctMemory& table, const OpContext& op);
Result<> proveTransport(StepContext& context, DctMemory& table, const OpContext& op);

/// `settle` where the outcome is known. An intent whose effect nobody saw end stays open, so that
/// the next run inspects the unit before it does anything else.
Result<> settleIfKnown(StepContext& context, std::string_view effect, const Result<>& outcome);

/// As UnitUnderTest::clearCredentials(), announced where the station does it itself.
Result<std::string> clearCredentials(StepContext& context, const OpContext& op);
/// Does `write`, which changes the Wi-Fi part of the table by SWD; announces and settles it where
/// the unit has no firmware to ask.
Result<> changeWifiPart(StepContext& context, std::string_view what,
                        const std::function<Result<>()>& write);

/// Writes server key and address record of the station's endpoint, or the product's own; read back.
/// @returns what was written, for people
Result<std::string> writeServerKey(StepContext& context, bool ofProduct, const OpContext& op);

/// The shipped modules, by the unit's own report. @returns Mismatch (F120)
Result<> checkModules(StepContext& context, const ModuleReport& report);

/// Gives the unit the credentials of the test network.
Result<> giveTestCredentials(StepContext& context, const OpContext& op);

/// Reads the keys that are ON the unit, and the server's, and compares them with the record and
/// with what was written. @returns the public key; Mismatch (F201, F214 to F216)
Result<RsaPublicKey> proveKeysOnUnit(StepContext& context, const OpContext& op);

/// Blanks claim code and claimed mark where the unit has them; announced and read back.
/// @returns whether there was anything
Result<bool> clearClaim(StepContext& context, DctMemory& table, const OpContext& op);

/// Takes over a key that was just made (record: birth); what was held before is destroyed.
Result<> beginCustody(StepContext& context, BurnKey key);
/// The unit proved `fingerprint`: records it; a key that is held is wrapped to the escrow key where
/// there is one, then destroyed.
Result<> settleCustody(StepContext& context, const std::string& fingerprint);
/// Destroys what is held, if anything is, and records it.
Result<> endCustody(StepContext& context, std::string_view why);

/// Success where there is no finding; else the first cause, with every difference named.
Result<> refuse(const std::vector<ProofFinding>& findings);

Error unitError(Errc code, std::string message, std::string_view cause);

std::string shortFingerprint(std::string_view fingerprint); ///< a7:20:…:c4

} // namespace provost
