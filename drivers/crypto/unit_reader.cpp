#include "crypto/unit_reader_p.h"

#include "core/byte_io.h"
#include "crypto/digest.h"

#include <algorithm>

namespace provost {

namespace {

constexpr std::size_t kPrimeBytes = kUnitModulusBytes / 2;
constexpr std::size_t kReach = 640;             // the widest walk ends at byte 611
constexpr std::size_t kModulusLengthAt = 9;     // 30 82 LL LL 02 01 00 02 81 >81<
constexpr std::size_t kAnnouncedModulusAt = 11; // particle-devices 4.1
constexpr std::size_t kModulusStride = 135;     // 128 + 02 03 01 00 01 + 02 81
constexpr std::size_t kExponentStride = 129;    // 128 + 02
constexpr std::size_t kPrimeStride = 65;        // 64 + 02
constexpr unsigned long kReaderExponent = 65537;

/// Stands on a length byte; looks at its lowest bit only.
class StrideReader {
public:
    explicit StrideReader(ByteView slot) : m_slot(slot) {}
    ByteView take(std::size_t width)
    {
        if ((u8(m_slot[m_at]) & 1) != 0)
            ++m_at;
        ++m_at;
        return m_slot.subspan(m_at, width);
    }
    void advance(std::size_t stride) { m_at += stride; }

private:
    ByteView m_slot;
    std::size_t m_at = kModulusLengthAt;
};

Number numberFrom(ByteView digits)
{
    Number number = secretNumber();
    if (number &&
        BN_bin2bn(opensslBytes(digits), static_cast<int>(digits.size()), number.get()) == nullptr)
        number.reset();
    return number;
}

/// base^exponent mod prime, without branches on the exponent. False for an even "prime".
bool power(BIGNUM* to, const BIGNUM* base, const BIGNUM* exponent, const BIGNUM* prime,
           BN_CTX* context)
{
    if (!BN_is_odd(prime) || BN_is_one(prime))
        return false;
    const Number reduced = secretNumber();
    const Montgomery montgomery(BN_MONT_CTX_new());
    return reduced && montgomery && BN_MONT_CTX_set(montgomery.get(), prime, context) == 1 &&
           BN_nnmod(reduced.get(), base, prime, context) == 1 &&
           BN_mod_exp_mont_consttime(to, reduced.get(), exponent, prime, context,
                                     montgomery.get()) == 1;
}

/// m = m2 + q·((m1 − m2)·qInv mod p)
bool recombine(const UnitNumbers& key, BIGNUM* m1, const BIGNUM* m2, BN_CTX* context)
{
    return BN_mod_sub(m1, m1, m2, key.p.get(), context) == 1 &&
           BN_mod_mul(m1, m1, key.qInv.get(), key.p.get(), context) == 1 &&
           BN_mul(m1, m1, key.q.get(), context) == 1 && BN_add(m1, m1, m2) == 1;
}

} // namespace

Result<UnitNumbers> readStrides(ByteView slot)
{
    SecretBytes flash(kReach);
    const ByteSpan to = flash.writable();
    std::ranges::fill(to, std::byte{0xFF});
    std::copy_n(slot.begin(), std::min(slot.size(), to.size()), to.begin());
    StrideReader reader(flash.reveal());
    UnitNumbers numbers;
    numbers.announced = toBytes(flash.reveal().subspan(kAnnouncedModulusAt, kUnitModulusBytes));
    numbers.n = numberFrom(reader.take(kUnitModulusBytes));
    reader.advance(kModulusStride);
    reader.take(kUnitModulusBytes); // D: read, never used, the unit computes with the CRT numbers
    reader.advance(kExponentStride);
    for (Number* number : {&numbers.p, &numbers.q, &numbers.dP, &numbers.dQ, &numbers.qInv}) {
        *number = numberFrom(reader.take(kPrimeBytes));
        reader.advance(kPrimeStride);
    }
    if (!numbers.n || !numbers.p || !numbers.q || !numbers.dP || !numbers.dQ || !numbers.qInv)
        return opensslFailure(Errc::Internal, Blame::Station, "read a key slot as the unit does");
    return numbers;
}

Result<SecretBytes> unitRawDecrypt(const UnitNumbers& numbers, ByteView cipher)
{
    const BnContext context(BN_CTX_secure_new());
    const Number c = numberFrom(cipher);
    const Number m1 = secretNumber();
    const Number m2 = secretNumber();
    if (!context || !c || !m1 || !m2)
        return opensslFailure(Errc::Internal, Blame::Station,
                              "open a cipher text as the unit does");
    SecretBytes block(kUnitModulusBytes);
    const bool opened =
        cipher.size() == kUnitModulusBytes && BN_cmp(c.get(), numbers.n.get()) < 0 &&
        power(m1.get(), c.get(), numbers.dP.get(), numbers.p.get(), context.get()) &&
        power(m2.get(), c.get(), numbers.dQ.get(), numbers.q.get(), context.get()) &&
        recombine(numbers, m1.get(), m2.get(), context.get()) &&
        BN_bn2binpad(m1.get(), opensslBytes(block.writable()),
                     static_cast<int>(kUnitModulusBytes)) > 0;
    if (!opened)
        return opensslFailure(Errc::InvalidData, Blame::Unit,
                              concat("open ", cipher.size(), " bytes as the unit does"));
    return block;
}

Result<bool> opensTrialCipher(const UnitNumbers& numbers)
{
    // Nothing here is secret: a text at random and the public half.
    const BnContext context(BN_CTX_new());
    const Number modulus(BN_bin2bn(opensslBytes(ByteView(numbers.announced)),
                                   static_cast<int>(numbers.announced.size()), nullptr));
    const Number message(BN_new());
    const Number exponent(BN_new());
    const Number sealed(BN_new());
    if (!context || !modulus || !message || !exponent || !sealed ||
        BN_set_word(exponent.get(), kReaderExponent) != 1)
        return opensslFailure(Errc::Internal, Blame::Station, "make a trial cipher text");
    if (!BN_is_odd(modulus.get()))
        return false;
    const Bytes block = TRY(randomBytes(kUnitModulusBytes));
    Bytes cipher(kUnitModulusBytes);
    const bool made = BN_bin2bn(opensslBytes(ByteView(block)), static_cast<int>(block.size()),
                                message.get()) != nullptr &&
                      BN_nnmod(message.get(), message.get(), modulus.get(), context.get()) == 1;
    Bytes wanted(kUnitModulusBytes);
    if (!made ||
        BN_bn2binpad(message.get(), opensslBytes(ByteSpan(wanted)),
                     static_cast<int>(wanted.size())) < 0 ||
        BN_mod_exp(sealed.get(), message.get(), exponent.get(), modulus.get(), context.get()) !=
            1 ||
        BN_bn2binpad(sealed.get(), opensslBytes(ByteSpan(cipher)),
                     static_cast<int>(cipher.size())) < 0)
        return opensslFailure(Errc::Internal, Blame::Station, "make a trial cipher text");
    const auto opened = unitRawDecrypt(numbers, cipher);
    return opened && equalBytes(opened->reveal(), wanted);
}

} // namespace provost
