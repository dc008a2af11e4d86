// What a batch of key injection hands over: who has which public key, signed by the station.
#pragma once

#include "crypto/signing_key.h"
#include "store/key_batch.h"

#include <filesystem>

namespace provost {

/// A public key and whose it is.
struct ManifestUnit {
    std::string deviceId{}; ///< empty in a batch of files
    std::string label{};
    std::string
        file{}; ///< of the private key, as it was asked to be kept; empty: it is on the unit
    std::string outcome{}; ///< injected, kept, made
    bool held = false;
    std::string fingerprint{};
    Bytes publicDer{};
    std::int64_t run = 0;
    std::string finishedUtc{};
};
struct ManifestReject {
    std::string deviceId{};
    std::string outcome{}; ///< refused, failed, open
    std::string cause{};
    std::int64_t run = 0;
};
struct KeyManifest {
    std::string batch{};
    std::string platform{};
    std::string plan{};
    std::string planDigest{};
    std::string station{};
    std::string begunUtc{};
    int wanted = 0;
    bool simulated = false;
    bool training = false;
    std::vector<ManifestUnit> units{};
    std::vector<ManifestReject> rejects{};
};

/// @returns Corrupt  two units have one key: nothing of that kind may be signed
Result<KeyManifest> manifestOf(const KeyBatch& batch, const std::vector<BatchUnit>& units);

/// manifest.csv and manifest.json, each with its detached signature (.sig, 64 bytes, Ed25519), and
/// the station's public key. Replaces what is there; the JSON comes last and names the digest of
/// the CSV.
Result<> writeManifest(const std::filesystem::path& folder, const KeyManifest& manifest,
                       const SigningKey& key);

struct VerifiedManifest {
    std::string batch{};
    std::string signer{}; ///< fingerprint of the key
    int units = 0;
};
/// @returns Mismatch     a signature, the digest, a count or a fingerprint is wrong; or a key is
///                       there twice
///          InvalidData  no manifest of this program
Result<VerifiedManifest> verifyManifest(const std::filesystem::path& folder,
                                        const VerifyingKey& key);

} // namespace provost
