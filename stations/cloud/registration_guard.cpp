#include "cloud/registration_guard.h"

#include "core/text.h"

namespace provost {

Result<Registration> RegistrationGuard::registerUnit(const UnitIdentity& unit,
                                                     ByteView publicKeyDer,
                                                     std::string_view idempotencyKey,
                                                     const OpContext& op)
{
    const auto route = TRY(m_journal.wireRouteOf(unit.deviceId));
    if (!route)
        return Unexpected(withCause(
            Error{.code = Errc::InvalidArgument,
                  .blame = Blame::Software,
                  .message = concat("register ", unit.deviceId,
                                    ": no run on record has read this id from a unit; run the unit "
                                    "through a plan that identifies it"),
                  .frames = {},
                  .native = {},
                  .cause = {}},
            kNeverIdentified));
    return m_client.registerUnit(unit, publicKeyDer, idempotencyKey, op);
}

Result<std::optional<RegisteredKey>> RegistrationGuard::registeredKey(const UnitIdentity& unit,
                                                                      const OpContext& op)
{
    return m_client.registeredKey(unit, op);
}

} // namespace provost
