// Nothing is registered but units that this station has met.
#pragma once

#include "engine/ports.h"
#include "store/journal.h"

namespace provost {

/// The cause of what the guard refuses.
inline constexpr std::string_view kNeverIdentified = "C012";

/// A client whose registrations leave only for a device id that was read from the wire in a run on
/// record, with the route it was read by. A typed or guessed id would lock somebody else's unit
/// out of its cloud. Thread-safe as `client` is.
class RegistrationGuard final : public ProvisioningClient {
public:
    /// Both must outlive it.
    RegistrationGuard(Journal& journal, ProvisioningClient& client)
        : m_journal(journal), m_client(client)
    {
    }
    /// Besides the errors of the interface:
    /// @returns InvalidArgument (C012)  no run on record has read this id; nothing was sent
    Result<Registration> registerUnit(const UnitIdentity& unit, ByteView publicKeyDer,
                                      std::string_view idempotencyKey,
                                      const OpContext& op) override;
    Result<std::optional<RegisteredKey>> registeredKey(const UnitIdentity& unit,
                                                       const OpContext& op) override;

private:
    Journal& m_journal;
    ProvisioningClient& m_client;
};

} // namespace provost
