// Makes keys as a station does, hands them to its parent through a pipe, destroys them, says so and
// waits: whoever may read its memory then looks for what is left.
//
//   key_holder [CERT.pem]   stdout: 3 × 611 bytes of private key, then "D"; ends with stdin
#include "core/file_io.h"
#include "crypto/key_file.h"
#include "crypto/key_pool.h"
#include "crypto/rsa_key.h"

#include <unistd.h>

namespace {

using namespace provost;

constexpr int kKeys = 3;

/// Straight from where the key lies: no buffer of ours or of the library is between.
bool hand(ByteView bytes)
{
    while (!bytes.empty()) {
        const auto written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (written <= 0)
            return false;
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return true;
}

/// Everything that a run does with a key but the transfer.
Result<> use(const BurnKey& key, const KeyRules& rules, ByteView certificate)
{
    const auto reading = readAsUnit(key.privateDer.reveal(), rules);
    if (!reading.readable)
        return fail(Errc::Internal, Blame::Software, reading.reason);
    const auto again = TRY(reencodeForUnit(key.privateDer.reveal(), rules));
    const auto whole = TRY(RsaPrivateKey::fromBytes(again.privateDer.reveal()));
    TRY(whole.toEncryptedPem(SecretBytes(ByteView(key.publicDer).first(16))));
    if (!certificate.empty())
        TRY(sealToCertificate(certificate, key.privateDer.reveal()));
    return {};
}

} // namespace

int main(int argc, char** argv)
{
    if (!setUpSecureHeap())
        return 3;
    const auto rules = keyRulesOf(6).value();
    const Bytes certificate = argc > 1 ? readFile(argv[1]).value_or(Bytes()) : Bytes();
    {
        KeyPool pool({.rules = rules, .size = 2, .onChange = {}});
        for (int i = 0; i < kKeys; ++i) {
            const auto key = pool.take(rules);
            if (!key || !use(*key, rules, certificate) || !hand(key->privateDer.reveal()))
                return 1;
        }
    }
    char byte = 'D';
    if (::write(STDOUT_FILENO, &byte, 1) != 1)
        return 1;
    while (::read(STDIN_FILENO, &byte, 1) > 0) {
    }
    return 0;
}
