// A server's connection that goes wrong at a chosen place.
#pragma once

#include "crypto/rsa_key.h"
#include "protocol/handshake_session.h"

#include <memory>

namespace provost {

/// Takes every byte and lets none out; the caller waits for a peer that never speaks.
std::unique_ptr<ByteStream> makeSilent(std::unique_ptr<ByteStream> line);

/// Ends the connection at `stage`, as VirtualCloud::failConnections() defines it.
std::unique_ptr<ByteStream> makeDropping(std::unique_ptr<ByteStream> line, HandshakeStage stage);

/// Puts the signature of `signer` in the place of the server's. Both must outlive the stream.
std::unique_ptr<ByteStream> makeOtherSigner(std::unique_ptr<ByteStream> line,
                                            const RsaPublicKey& server,
                                            const RsaPrivateKey& signer);

} // namespace provost
