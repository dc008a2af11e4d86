// The factories behind registerAllSteps(), and what several steps do alike.
#pragma once

#include "engine/step.h"

namespace provost {

using MadeStep = Result<std::unique_ptr<Step>>;

MadeStep makeIdentifyStep(const StepSpec& spec);
MadeStep makeClearCredentialsStep(const StepSpec& spec);
MadeStep makeBackupDctStep(const StepSpec& spec);
MadeStep makeFlashImageStep(const StepSpec& spec);
MadeStep makeRestartStep(const StepSpec& spec);
MadeStep makeUpdateBootloaderStep(const StepSpec& spec);
MadeStep makeDeviceKeyStep(const StepSpec& spec);
MadeStep makeServerKeyStep(const StepSpec& spec);
MadeStep makeProveKeysStep(const StepSpec& spec);
MadeStep makeRegisterStep(const StepSpec& spec);
MadeStep makeGiveCredentialsStep(const StepSpec& spec);
MadeStep makeLiveHandshakeStep(const StepSpec& spec);
MadeStep makeShippingStateStep(const StepSpec& spec);
MadeStep makeLeaveUnitSafeStep(const StepSpec& spec);

/// The image of a role and release, refused where it is a demo image and the unit is real.
Result<std::shared_ptr<const FlashImage>> imageFor(StepContext& context, std::string_view role,
                                                   std::string_view version);

/// The application DCT's memory of the present DFU session, selected.
/// @returns InvalidData (F122)  it reads zeros: the bootloader found no DCT code (3.4)
Result<DfuDevice*> openDct(StepContext& context, const OpContext& op);

/// Writes one slot in one go (`outer` shielded, DO NOT UNPLUG) and reads it back.
/// @returns Mismatch with `cause`
Result<> writeSlot(StepContext& context, DfuDevice& device, std::uint32_t offset, ByteView bytes,
                   std::string_view what, std::string_view cause, const OpContext& outer);

/// Writes into the memory that openDct() selected, erasing first where that memory wants it.
Result<> putSecret(StepContext& context, DfuDevice& device, std::uint32_t offset,
                   const SecretBytes& bytes, const OpContext& op);

/// On platforms with a choice: the RSA handshake over TCP, and the proof that it stands there.
Result<> chooseTcp(StepContext& context, DfuDevice& device, const OpContext& op);
Result<> proveTransport(StepContext& context, DfuDevice& device, const OpContext& op);

/// `settle` where the outcome is known. An intent whose effect nobody saw end stays open, so that
/// the next run inspects the unit before it does anything else.
Result<> settleIfKnown(StepContext& context, std::string_view effect, const Result<>& outcome);

/// Clears stored Wi-Fi credentials of the running unit by the route that its firmware has.
/// @returns the route ("USB request", "MODE button"); Unsupported (C060)  it has none here
Result<std::string> clearCredentials(StepContext& context, const OpContext& op);

Error unitError(Errc code, std::string message, std::string_view cause);

std::string shortFingerprint(std::string_view fingerprint); ///< a7:20:…:c4

} // namespace provost
