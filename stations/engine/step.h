// A step: one act on one unit. It knows only its parameters and its context.
#pragma once

#include "device/unit_under_test.h"
#include "engine/events.h"
#include "engine/plan.h"
#include "engine/ports.h"
#include "image/image_catalog.h"
#include "store/journal.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace provost {

class CloudView;
class NetworkWitness;

/// A private key between its birth and its destruction.
struct HeldKey {
    std::string fingerprint{};
    SecretBytes privateDer{}; ///< empty: none is held
};

/// What is known of the key that the cloud holds.
enum class CloudProof : std::uint8_t {
    None,
    Accepted, ///< 2xx for this fingerprint; this cloud cannot return keys
    Equal,    ///< it returned the key, and it is the unit's
};

/// What the steps of one run learn about its unit and hand on to each other.
struct UnitFacts {
    UnitIdentification id{};
    std::string label{};
    std::string keyFingerprint{};      ///< of the key that the run kept or burnt
    HeldKey held{};                    ///< of a key that was made in this run, until its proof
    std::string keySlotDigest{};       ///< hex SHA-256 of the whole private slot then
    std::vector<Bytes> formerModuli{}; ///< of keys that lay in the DCT before the first write
    Bytes serverSlot{};                ///< as it was written for the test endpoint
    Bytes publicKeyDer{};              ///< derived from what is ON the unit
    CloudProof cloudProof = CloudProof::None;
    bool registered = false;    ///< 2xx seen in this run
    bool handshakeSeen = false; ///< passed, with the key that was read back
    std::string claimCode{};    ///< given to the unit, and not seen redeemed yet
    bool shippingStateProved = false;
    int slotRepeats = 0;               ///< slots of the table that were written anew, in this run
    bool credentialsGiven = false;     ///< test credentials may be on the unit
    std::vector<OutboxEntry> outbox{}; ///< inserted with a HOLD verdict
};

/// All a step may touch. Owned and used by one slot's thread.
class StepContext {
public:
    virtual ~StepContext() = default;
    virtual const OpContext& op() const = 0;
    virtual RunId run() const = 0;
    virtual SlotId slot() const = 0;
    virtual const TestPlan& plan() const = 0;
    virtual const StationSettings& station() const = 0;
    virtual UnitFacts& facts() = 0;
    virtual UnitUnderTest& unit() = 0;
    virtual ImageCatalog& images() = 0;
    virtual Journal& journal() = 0;
    virtual ProvisioningClient& cloud() = 0;
    virtual CloudView& view() = 0;
    virtual HandshakeServer& handshakes() = 0;
    virtual NetworkWitness& network() = 0;

    /// Binds unit and run in the journal and tells the screens.
    virtual Result<> identified(const UnitIdentity& unit, std::string_view route) = 0;
    /// Limit: from the plan. A limit named there and never measured makes the step fail.
    /// @param unit  of a value without limit; a limit brings its own
    virtual void measure(std::string_view name, double value, std::string_view unit) = 0;
    virtual void measure(std::string_view name, std::string value) = 0;
    /// Was to be measured and the unit does not report it: no value, never 0.
    virtual void notMeasured(std::string_view name) = 0;
    /// What people read beside the step: "502 → 1006 by YModem".
    virtual void note(std::string text) = 0;
    /// Shown at once. Thread-safe: comes from the thread of the connection.
    virtual void handshakeArrow(std::uint64_t connection, const HandshakeMessage& message) = 0;

    /// Announces an irreversible effect (on disk when it returns) and lights DO NOT UNPLUG.
    virtual Result<> intend(std::string_view effect, std::string_view payload) = 0;
    virtual Result<> settle(std::string_view effect, Verdict verdict) = 0;
    /// Lights DO NOT UNPLUG by itself, or puts it out: for what the unit writes for us.
    virtual void critical(bool on, std::string_view what) = 0;
    /// Waits for the operator's answer; the time that he takes is not the step's.
    /// @returns the reply of one of `choices`; Timeout (C090)  none came
    virtual Result<std::string> ask(std::string_view promptId, std::string_view text,
                                    std::vector<PromptChoice> choices) = 0;
};

class Step {
public:
    virtual ~Step() = default;
    virtual Result<> run(StepContext& context) = 0;
};

/// What a plan may say about a step.
struct StepTraits {
    std::vector<std::string> parameters{};
    std::vector<std::string> measurements{}; ///< besides "seconds", which every step has
};

class StepRegistry {
public:
    using Factory = std::function<Result<std::unique_ptr<Step>>(const StepSpec&)>;
    void add(std::string id, Factory factory, StepTraits traits = {});
    bool has(std::string_view id) const;
    /// @returns InvalidArgument  no such step, it knows no such parameter or measurement, or a
    ///                           parameter is wrong (file:line:column)
    Result<std::unique_ptr<Step>> make(const StepSpec& spec) const;

private:
    struct Entry {
        Factory factory{};
        StepTraits traits{};
    };
    std::map<std::string, Entry, std::less<>> m_entries;
};

} // namespace provost
