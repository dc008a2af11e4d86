// Tells the cloud about unit and public key; 2xx demanded. A cloud that is away or busy leaves the
// unit on HOLD: the registration is queued with the verdict, every local proof goes on.
#include "core/byte_io.h"
#include "core/text.h"
#include "steps/registration_cause.h"
#include "steps/steps_p.h"

namespace provost {

namespace {

class RegisterStep final : public Step {
public:
    Result<> run(StepContext& context) override
    {
        auto& facts = context.facts();
        const auto key = TRY(RsaPublicKey::fromDer(facts.publicKeyDer));
        const UnitIdentity identity{.serial = facts.label, .deviceId = facts.id.deviceId};
        TRY(searchTwin(context, identity));
        const std::string idempotencyKey =
            concat("registration:", identity.deviceId, ":", key.fingerprint());
        auto answer = context.cloud().registerUnit(identity, facts.publicKeyDer, idempotencyKey,
                                                   context.op());
        if (!answer)
            return refused(context, key, idempotencyKey, std::move(answer).error());
        const bool lost = TRY(compareWithCloud(context, identity, key));
        if (lost)
            return waits(context, key, idempotencyKey, keyIsLost(identity, answer->httpStatus));
        facts.registered = true; // a 2xx alone, of a cloud that holds another key, is worth nothing
        TRY(context.journal().setKeyState(context.run(), key.fingerprint(), "registered"));
        context.note(concat("cloud answered ", answer->httpStatus, " · ",
                            shortFingerprint(key.fingerprint())));
        return {};
    }

private:
    /// Two units with one key cannot be told apart by any cloud: both stay on HOLD until each has a
    /// new one. The search is by the key's number, over all that were ever on record.
    static Result<> searchTwin(StepContext& context, const UnitIdentity& identity)
    {
        const auto twins = TRY(context.journal().withdrawTwins(context.run(), identity.deviceId,
                                                               context.facts().publicKeyDer));
        std::string others;
        for (const auto& twin : twins)
            others += (others.empty() ? "" : ", ") + twin;
        if (others.empty())
            return {};
        context.note("not registered: the same key is on record for another unit");
        return Unexpected(
            unitError(Errc::Mismatch,
                      concat("register the key of ", identity.deviceId, ": unit ", others,
                             " has the same one; run both again, each gets a new key then"),
                      "H320"));
    }

    static Result<> refused(StepContext& context, const RsaPublicKey& key,
                            const std::string& idempotencyKey, struct Error error)
    {
        if (error.code == Errc::Cancelled)
            return Unexpected(std::move(error));
        const auto cause = causeOfRefusedRegistration(error);
        if (cause.empty())
            return Unexpected(std::move(error));
        if (!cause.starts_with('H'))
            return Unexpected(withCause(std::move(error), cause));
        return waits(context, key, idempotencyKey, withCause(std::move(error), cause));
    }

    /// Queued with the verdict; the outbox reads the key back before it calls it confirmed.
    static Result<> waits(StepContext& context, const RsaPublicKey& key,
                          const std::string& idempotencyKey, struct Error why)
    {
        context.facts().outbox.push_back({.kind = "registration",
                                          .idempotencyKey = idempotencyKey,
                                          .deviceId = context.facts().id.deviceId,
                                          .payload = key.toPem(),
                                          .state = "waiting",
                                          .run = context.run()});
        context.note("registration is queued");
        return Unexpected(std::move(why));
    }

    static struct Error keyIsLost(const UnitIdentity& identity, int httpStatus)
    {
        return {.code = Errc::Mismatch,
                .blame = Blame::Cloud,
                .message = concat("read the key of ", identity.deviceId,
                                  " back from the cloud: it answered ", httpStatus,
                                  " and holds no key for the unit; it is told again"),
                .frames = {},
                .native = {},
                .cause = "H312"};
    }

    /// The third way of the proof. A cloud that cannot return keys is never called equal: what
    /// it is worth is a 2xx for this fingerprint, and the handshake that follows.
    /// @returns true  the cloud says that it holds no key
    static Result<bool> compareWithCloud(StepContext& context, const UnitIdentity& identity,
                                         const RsaPublicKey& key)
    {
        auto& facts = context.facts();
        const auto rules = TRY(keyRulesOf(context.plan().platform.id, KeyTransport::Tcp));
        const auto held = context.cloud().registeredKey(identity, context.op());
        if (!held && held.error().code == Errc::Cancelled)
            return Unexpected(held.error());
        if (!held || !held->has_value()) {
            facts.cloudProof = CloudProof::Accepted;
            if (!held)
                context.notMeasured("cloud_key"); // it took the key and then did not say which
            else
                context.measure("cloud_key", concat("2xx for this fingerprint ",
                                                    shortFingerprint(key.fingerprint())));
            return false;
        }
        if ((*held)->publicDer.empty())
            return true;
        TRY(refuse(compareCloudWithUnit(**held, identity.deviceId, facts.publicKeyDer, rules)));
        facts.cloudProof = CloudProof::Equal;
        context.measure("cloud_key", "equal");
        return false;
    }
};

} // namespace

std::string_view causeOfRefusedRegistration(const Error& error)
{
    switch (error.code) {
    case Errc::InvalidData:
        return "F220";
    case Errc::Denied:
        return "C080";
    case Errc::NotFound:
        return "C082";
    case Errc::Unavailable:
    case Errc::Timeout:
        return error.native.value_or(0) == 0 ? "H310" : "H311";
    default:
        return {};
    }
}

MadeStep makeRegisterStep(const StepSpec&)
{
    return std::make_unique<RegisterStep>();
}

} // namespace provost
