#include "steps/register_all_steps.h"

#include "steps/steps_p.h"

namespace provost {

void registerAllSteps(StepRegistry& registry, std::shared_ptr<KeyPool> pool)
{
    registry.add("identify", makeIdentifyStep, {.parameters = {"label"}, .measurements = {}});
    registry.add("inspect", makeInspectStep);
    registry.add("clear-credentials", makeClearCredentialsStep);
    registry.add("backup-dct", makeBackupDctStep);
    registry.add("flash-image", makeFlashImageStep,
                 {.parameters = {"role", "version", "segment"}, .measurements = {"rate_kib_s"}});
    registry.add("restart", makeRestartStep);
    registry.add(
        "update-bootloader", makeUpdateBootloaderStep,
        {.parameters = {"role", "version"}, .measurements = {"rate_kib_s", "ymodem_retries"}});
    registry.add(
        "device-key",
        [pool = std::move(pool)](const StepSpec& spec) { return makeDeviceKeyStep(pool, spec); },
        {.parameters = {"keyed"}, .measurements = {}});
    registry.add("server-key", makeServerKeyStep, {.parameters = {"endpoint"}, .measurements = {}});
    registry.add("prove-keys", makeProveKeysStep);
    registry.add("register", makeRegisterStep);
    registry.add("give-credentials", makeGiveCredentialsStep);
    registry.add("serial-tester", makeSerialTesterStep,
                 {.parameters = {}, .measurements = {"rssi_dbm"}});
    registry.add("live-handshake", makeLiveHandshakeStep,
                 {.parameters = {},
                  .measurements = {"join_s", "join_attempts", "handshake_ms", "rssi_dbm"}});
    registry.add("claim-code", makeClaimCodeStep);
    registry.add(
        "cloud-contact", makeCloudContactStep,
        {.parameters = {"dwell_s", "rounds"}, .measurements = {"online_s", "contact_rounds"}});
    registry.add("shipping-state", makeShippingStateStep);
    registry.add("leave-unit-safe", makeLeaveUnitSafeStep);
}

} // namespace provost
