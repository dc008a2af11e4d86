// key_corpus OWN PAIRS DRAWN: own keys must all be readable by their unit; of ordinary openssl keys
// exactly those that break the rule of particle-devices 4.2 must be called unreadable, and every
// one of them must be cured by re-encoding. The full run is `key_corpus 10000 110 2000`; from 100
// primes on, each bad shape (D, dP, dQ, qInv) must be among them.
#include "core/byte_io.h"
#include "crypto/key_file.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace {

using namespace provost;

constexpr std::array kNames{"N", "e", "D", "P", "Q", "dP", "dQ", "qInv"};

/// Splits [0, count) over the processor's cores.
void inParallel(std::size_t count, const std::function<void(std::size_t)>& act)
{
    std::atomic<std::size_t> next{0};
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i)
        threads.emplace_back([&] {
            for (std::size_t at = next++; at < count; at = next++)
                act(at);
        });
}

/// The content lengths of the integers behind the version, by a parser of its own.
std::vector<std::size_t> integerLengths(ByteView der)
{
    std::vector<std::size_t> lengths;
    std::size_t at = 4 + 3; // 30 82 LL LL, 02 01 00
    while (at + 2 <= der.size() && u8(der[at]) == 2) {
        std::size_t length = u8(der[at + 1]);
        at += 2;
        if (length > 0x80) {
            const std::size_t count = length - 0x80;
            length = 0;
            for (std::size_t i = 0; i < count; ++i)
                length = length * 256 + u8(der[at + i]);
            at += count;
        }
        lengths.push_back(length);
        at += length;
    }
    return lengths;
}

/// Rule 4.2 in its own words; the first number at fault, empty where none is.
std::string atFault(ByteView der)
{
    const auto lengths = integerLengths(der);
    if (lengths.size() != kNames.size())
        return "structure";
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        const std::size_t longest = i == 0 || i == 2 ? 129 : i == 1 ? 3 : 65;
        const std::size_t shortest = i == 0 ? 129 : i == 2 ? 128 : i == 1 ? 3 : 64;
        if (lengths[i] < shortest || lengths[i] > longest)
            return kNames[i];
    }
    return {};
}

struct Free {
    void operator()(BIGNUM* n) const { BN_clear_free(n); }
    void operator()(BN_CTX* c) const { BN_CTX_free(c); }
    void operator()(EVP_PKEY* k) const { EVP_PKEY_free(k); }
    void operator()(EVP_PKEY_CTX* c) const { EVP_PKEY_CTX_free(c); }
    void operator()(OSSL_PARAM_BLD* b) const { OSSL_PARAM_BLD_free(b); }
    void operator()(OSSL_PARAM* p) const { OSSL_PARAM_free(p); }
};
using Big = std::unique_ptr<BIGNUM, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;

Bytes derOf(EVP_PKEY* key)
{
    const int size = i2d_PrivateKey(key, nullptr);
    Bytes der(static_cast<std::size_t>(std::max(size, 0)));
    auto* to = reinterpret_cast<unsigned char*>(der.data());
    if (size > 0)
        i2d_PrivateKey(key, &to);
    return der;
}

/// As `openssl genrsa` draws it.
Bytes drawnKey()
{
    return derOf(Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{1024})).get());
}

Big drawnPrime()
{
    const std::unique_ptr<BN_CTX, Free> context(BN_CTX_new());
    const Big e(BN_new());
    const Big rest(BN_new());
    BN_set_word(e.get(), 65537);
    while (true) {
        Big prime(BN_new());
        // Both top bits set, so that every product has 1024 bits.
        if (BN_priv_rand_ex(prime.get(), 512, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD, 0,
                            context.get()) != 1)
            std::abort();
        BN_mod(rest.get(), prime.get(), e.get(), context.get());
        if (!BN_is_one(rest.get()) && BN_check_prime(prime.get(), context.get(), nullptr) == 1)
            return prime;
    }
}

/// dP follows from its prime alone: one in about 220 primes makes it short in all its keys.
Big primeWithShortExponent()
{
    constexpr int kFullBits = 8 * 63; // from here on 64 bytes with room for the sign
    const std::unique_ptr<BN_CTX, Free> context(BN_CTX_new());
    const Big e(BN_new());
    const Big below(BN_new());
    const Big exponent(BN_new());
    BN_set_word(e.get(), 65537);
    while (true) {
        Big prime = drawnPrime();
        BN_sub(below.get(), prime.get(), BN_value_one());
        BN_mod_inverse(exponent.get(), e.get(), below.get(), context.get());
        if (BN_num_bits(exponent.get()) < kFullBits)
            return prime;
    }
}

/// The key of two primes as openssl computes it: d modulo lcm(p-1, q-1), shortest DER.
Bytes keyOf(const BIGNUM* p, const BIGNUM* q)
{
    const std::unique_ptr<BN_CTX, Free> context(BN_CTX_new());
    std::array<Big, 10> number;
    for (auto& each : number)
        each.reset(BN_new());
    auto& [n, e, d, dp, dq, inverse, p1, q1, common, product] = number;
    BN_CTX* c = context.get();
    BN_mul(n.get(), p, q, c);
    BN_set_word(e.get(), 65537);
    BN_sub(p1.get(), p, BN_value_one());
    BN_sub(q1.get(), q, BN_value_one());
    BN_gcd(common.get(), p1.get(), q1.get(), c);
    BN_mul(product.get(), p1.get(), q1.get(), c);
    BN_div(product.get(), nullptr, product.get(), common.get(), c);
    BN_mod_inverse(d.get(), e.get(), product.get(), c);
    BN_mod(dp.get(), d.get(), p1.get(), c);
    BN_mod(dq.get(), d.get(), q1.get(), c);
    BN_mod_inverse(inverse.get(), q, p, c);
    const std::unique_ptr<OSSL_PARAM_BLD, Free> builder(OSSL_PARAM_BLD_new());
    const std::array<std::pair<const char*, const BIGNUM*>, 8> parts{{
        {OSSL_PKEY_PARAM_RSA_N, n.get()},
        {OSSL_PKEY_PARAM_RSA_E, e.get()},
        {OSSL_PKEY_PARAM_RSA_D, d.get()},
        {OSSL_PKEY_PARAM_RSA_FACTOR1, p},
        {OSSL_PKEY_PARAM_RSA_FACTOR2, q},
        {OSSL_PKEY_PARAM_RSA_EXPONENT1, dp.get()},
        {OSSL_PKEY_PARAM_RSA_EXPONENT2, dq.get()},
        {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, inverse.get()},
    }};
    for (const auto& [name, value] : parts)
        OSSL_PARAM_BLD_push_BN(builder.get(), name, value);
    const std::unique_ptr<OSSL_PARAM, Free> params(OSSL_PARAM_BLD_to_param(builder.get()));
    const std::unique_ptr<EVP_PKEY_CTX, Free> maker(
        EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
    EVP_PKEY* key = nullptr;
    EVP_PKEY_fromdata_init(maker.get());
    EVP_PKEY_fromdata(maker.get(), &key, EVP_PKEY_KEYPAIR, params.get());
    return derOf(Key(key).get());
}

struct Tally {
    std::mutex mutex{};
    std::size_t keys = 0;
    std::size_t bad = 0;
    std::size_t missed = 0; ///< breaks the rule, called readable
    std::size_t falseAlarms = 0;
    std::size_t wrongReasons = 0;
    std::size_t notCured = 0;
    std::map<std::string, std::size_t> shapes{};

    bool clean() const { return missed + falseAlarms + wrongReasons + notCured == 0; }
};

void judgeInto(Tally& tally, const Bytes& der, const KeyRules& rules)
{
    const std::string fault = atFault(der);
    const auto reading = judgeKeyFile(der, rules);
    const bool named = fault.empty() || reading.reason.find(" " + fault + " ") != std::string::npos;
    const auto cured = reencodeForUnit(der, rules);
    const std::lock_guard lock(tally.mutex);
    ++tally.keys;
    tally.missed += !fault.empty() && reading.readable ? 1 : 0;
    tally.falseAlarms += fault.empty() && !reading.readable ? 1 : 0;
    tally.wrongReasons += named ? 0 : 1;
    tally.notCured += cured ? 0 : 1;
    if (fault.empty())
        return;
    ++tally.bad;
    ++tally.shapes[fault];
}

bool tell(const char* what, const Tally& tally)
{
    std::printf("%s: %zu keys, %zu unreadable (", what, tally.keys, tally.bad);
    const char* between = "";
    for (const auto& [name, count] : tally.shapes) {
        std::printf("%s%s %zu", between, name.c_str(), count);
        between = ", ";
    }
    std::printf("), missed %zu, false alarms %zu, wrong reasons %zu, not cured %zu\n", tally.missed,
                tally.falseAlarms, tally.wrongReasons, tally.notCured);
    return tally.clean();
}

constexpr std::size_t kEnoughPrimes = 100; ///< for every shape to be expected among their pairs

bool hasEachShape(const Tally& tally)
{
    bool all = true;
    for (const char* const shape : {"D", "dP", "dQ", "qInv"}) {
        const bool there = tally.shapes.contains(shape);
        if (!there)
            std::printf("no key with a short %s among them: nothing is proved of it\n", shape);
        all = all && there;
    }
    return all;
}

bool ownKeys(std::size_t count, const KeyRules& rules)
{
    std::mutex mutex;
    std::set<std::string> fingerprints;
    std::size_t readable = 0;
    const auto began = std::chrono::steady_clock::now();
    inParallel(count, [&](std::size_t) {
        const auto key = generateKeyFor(rules);
        const auto reading = key ? readAsUnit(key->privateDer.reveal(), rules) : KeyReading{};
        const std::lock_guard lock(mutex);
        readable += reading.readable && reading.fingerprint() == key->fingerprint ? 1 : 0;
        fingerprints.insert(reading.fingerprint());
    });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("own keys: %zu of %zu readable, %zu different, %.1f s\n", readable, count,
                fingerprints.size(), took.count());
    return readable == count && fingerprints.size() == count;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc != 4) {
        std::fputs("key_corpus OWN PRIMES DRAWN\n", stderr);
        return 64;
    }
    const auto count = [&](int at) { return std::strtoull(argv[at], nullptr, 10); };
    const KeyRules rules = keyRulesOf(6).value();
    bool good = ownKeys(count(1), rules);

    std::vector<Big> primes(count(2));
    const bool demandsEach = primes.size() >= kEnoughPrimes;
    inParallel(primes.size(), [&](std::size_t i) {
        primes[i] = demandsEach && i == 0 ? primeWithShortExponent() : drawnPrime();
    });
    Tally pairs;
    inParallel(primes.size() * primes.size(), [&](std::size_t at) {
        const auto& p = primes[at / primes.size()];
        const auto& q = primes[at % primes.size()];
        if (BN_cmp(p.get(), q.get()) != 0)
            judgeInto(pairs, keyOf(p.get(), q.get()), rules);
    });
    good = tell("ordinary keys of paired primes", pairs) && good;

    if (demandsEach)
        good = hasEachShape(pairs) && good;

    Tally drawn;
    inParallel(count(3), [&](std::size_t) { judgeInto(drawn, drawnKey(), rules); });
    good = tell("ordinary keys as openssl draws them", drawn) && good;
    // A corpus without a bad key would prove nothing.
    return good && (pairs.bad > 0 || primes.empty()) ? 0 : 1;
}
