#include "cloud/server_key_p.h"

#include "core/byte_io.h"
#include "core/durable_file.h"
#include "core/text.h"
#include "crypto/key_file.h"
#include "crypto/secret_file.h"

#include <sys/stat.h>

namespace provost {

namespace {

constexpr int kServerKeyBits = 2048; // particle-devices 4.1
constexpr std::size_t kLargestKeyFile = 16 * 1024;
constexpr mode_t kPrivateMode = 0600;
constexpr mode_t kPublicMode = 0644;

} // namespace

Result<RsaPrivateKey> readServerKey(const std::filesystem::path& file,
                                    const SecretBytes& passphrase)
{
    const auto content = readSecretFile(file, kLargestKeyFile);
    if (!content)
        return Unexpected(inFrame(content.error(), "read the server key"));
    const auto der = unwrapKeyFile(content->reveal(), passphrase);
    if (!der && der.error().code == Errc::Denied)
        return fail(Errc::Denied, Blame::Operator,
                    concat("read the server key ", file.string(),
                           passphrase.empty()
                               ? ": it is under a passphrase; name the file that holds it"
                               : ": it is under another passphrase; name the right file"));
    auto key = RsaPrivateKey::fromBytes(der ? der->reveal() : ByteView());
    if (!key)
        return fail(Errc::InvalidData, Blame::Station,
                    concat("read the server key ", file.string(), ": no RSA private key"));
    if (const int bits = key->publicKey().bits(); bits != kServerKeyBits)
        return fail(Errc::InvalidData, Blame::Station,
                    concat("read the server key ", file.string(), ": ", bits,
                           " bits, units expect ", kServerKeyBits));
    return key;
}

Result<RsaPrivateKey> readOrMakeServerKey(const std::filesystem::path& folder,
                                          const SecretBytes& passphrase)
{
    const auto file = folder / "server-key.pem";
    auto kept = readServerKey(file, passphrase);
    if (kept)
        ::chmod(file.c_str(), kPrivateMode); // a copy made by hand may be open to all
    if (kept && !passphrase.empty() && readServerKey(file, {}))
        TRY(keepPrivateKey(file, kept->toClearPem(), passphrase));
    if (kept || kept.error().code != Errc::NotFound)
        return kept;
    RsaPrivateKey made = TRY(RsaPrivateKey::generate(kServerKeyBits));
    // Public part first: a folder with it alone makes a new key at the next start.
    TRY(writeDurably(folder / "server-key.pub.pem", viewOf(made.publicKey().toPem()), kPublicMode));
    TRY(keepPrivateKey(file, made.toClearPem(), passphrase));
    return made;
}

} // namespace provost
