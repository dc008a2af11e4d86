// CMS envelopes: the one form in which key material may leave the station.
#include "crypto/openssl_p.h"
#include "crypto/rsa_key.h"

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace provost {

namespace {

using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Envelope = std::unique_ptr<CMS_ContentInfo, Freed<CMS_ContentInfo_free>>;

struct StackDeleter {
    void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};
using CertificateStack = std::unique_ptr<STACK_OF(X509), StackDeleter>;

Bio readingFrom(ByteView bytes)
{
    return Bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

} // namespace

Result<Bytes> sealToCertificate(ByteView certificatePem, ByteView plain)
{
    const Bio pem = readingFrom(certificatePem);
    // A passphrase is never asked for: certificates have none.
    const auto noPassPhrase = [](char*, int, int, void*) { return -1; };
    const Certificate certificate(pem ? PEM_read_bio_X509(pem.get(), nullptr, noPassPhrase, nullptr)
                                      : nullptr);
    if (!certificate)
        return opensslFailure(Errc::InvalidData, Blame::Operator, "read a certificate in PEM");
    const CertificateStack recipients(sk_X509_new_null());
    if (!recipients || sk_X509_push(recipients.get(), certificate.get()) < 1)
        return opensslFailure(Errc::Internal, Blame::Station, "name the recipient of an envelope");
    // Written straight into the chain of the envelope: CMS_encrypt() given a source would copy the
    // plain text through buffers that it does not wipe.
    const Envelope envelope(
        CMS_encrypt(recipients.get(), nullptr, EVP_aes_256_cbc(), CMS_BINARY | CMS_PARTIAL));
    const Bio chain(envelope ? CMS_dataInit(envelope.get(), nullptr) : nullptr);
    const Bio out(BIO_new(BIO_s_mem()));
    const int size = static_cast<int>(plain.size());
    if (!chain || !out || BIO_write(chain.get(), plain.data(), size) != size ||
        BIO_flush(chain.get()) != 1 || CMS_dataFinal(envelope.get(), chain.get()) != 1 ||
        i2d_CMS_bio(out.get(), envelope.get()) != 1)
        return opensslFailure(Errc::InvalidData, Blame::Operator,
                              concat("seal ", plain.size(), " bytes to a certificate"));
    char* memory = nullptr;
    const long length = BIO_get_mem_data(out.get(), &memory);
    const auto* first = reinterpret_cast<const std::byte*>(memory);
    return Bytes(first, first + length);
}

} // namespace provost
