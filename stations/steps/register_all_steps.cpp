#include "steps/register_all_steps.h"

#include "steps/steps_p.h"

namespace provost {

namespace {

/// A step whose way to the unit is DFU, where it has one.
void addOverDfu(StepRegistry& registry, const std::string& id, StepRegistry::Factory make,
                StepTraits traits = {})
{
    traits.measurements.emplace_back(kDfuRetries);
    registry.add(
        id, [make = std::move(make)](const StepSpec& spec) { return withDfuRetries(make(spec)); },
        std::move(traits));
}

} // namespace

void registerAllSteps(StepRegistry& registry, std::shared_ptr<KeyPool> pool)
{
    registry.add("identify", makeIdentifyStep, {.parameters = {"label"}, .measurements = {}});
    registry.add("inspect", makeInspectStep);
    registry.add("clear-credentials", makeClearCredentialsStep);
    addOverDfu(registry, "backup-dct", makeBackupDctStep);
    addOverDfu(registry, "flash-image", makeFlashImageStep,
               {.parameters = {"role", "version", "segment"}, .measurements = {"rate_kib_s"}});
    registry.add("restart", makeRestartStep);
    registry.add(
        "update-bootloader", makeUpdateBootloaderStep,
        {.parameters = {"role", "version"}, .measurements = {"rate_kib_s", "ymodem_retries"}});
    addOverDfu(
        registry, "device-key",
        [pool = std::move(pool)](const StepSpec& spec) { return makeDeviceKeyStep(pool, spec); },
        {.parameters = {"keyed"}, .measurements = {}});
    addOverDfu(registry, "server-key", makeServerKeyStep,
               {.parameters = {"endpoint"}, .measurements = {}});
    addOverDfu(registry, "prove-keys", makeProveKeysStep);
    registry.add("register", makeRegisterStep);
    registry.add("give-credentials", makeGiveCredentialsStep);
    registry.add("serial-tester", makeSerialTesterStep,
                 {.parameters = {}, .measurements = {"rssi_dbm"}});
    registry.add("live-handshake", makeLiveHandshakeStep,
                 {.parameters = {}, .measurements = {"join_s", "join_attempts", "handshake_ms"}});
    addOverDfu(registry, "claim-code", makeClaimCodeStep);
    addOverDfu(
        registry, "cloud-contact", makeCloudContactStep,
        {.parameters = {"dwell_s", "rounds"}, .measurements = {"online_s", "contact_rounds"}});
    addOverDfu(registry, "shipping-state", makeShippingStateStep);
    registry.add("leave-unit-safe", makeLeaveUnitSafeStep);
}

} // namespace provost
