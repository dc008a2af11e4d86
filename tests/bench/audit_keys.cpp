// audit_keys COUNT: that many RSA-1024 public keys, among them planted faults, are audited; exactly
// the planted faults must be found. Prints how long it took. The full run is `audit_keys 100000`.
#include "audit/key_audit.h"
#include "crypto/rsa_key.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>

#include <gmp.h>

namespace {

using namespace provost;

constexpr std::size_t kHalf = 64; // bytes of a prime
constexpr std::array<std::byte, 3> kExponent{std::byte{1}, std::byte{0}, std::byte{1}};

struct Prime {
    mpz_t value;
    Prime() { mpz_init(value); }
    ~Prime() { mpz_clear(value); }
    Prime(const Prime&) = delete;
    Prime& operator=(const Prime&) = delete;
};

void inParallel(std::size_t count, const std::function<void(std::size_t, unsigned)>& act)
{
    std::atomic<std::size_t> next{0};
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i)
        threads.emplace_back([&, i] {
            for (std::size_t at = next++; at < count; at = next++)
                act(at, i);
        });
}

/// A prime of 512 bits with both top bits set; the same for the same number.
void drawPrime(mpz_t to, unsigned long number)
{
    gmp_randstate_t random;
    gmp_randinit_mt(random);
    gmp_randseed_ui(random, number + 1);
    mpz_urandomb(to, random, kHalf * 8);
    mpz_setbit(to, kHalf * 8 - 1);
    mpz_setbit(to, kHalf * 8 - 2);
    mpz_nextprime(to, to);
    gmp_randclear(random);
}

Bytes keyOf(const Prime& p, const Prime& q)
{
    Prime n;
    mpz_mul(n.value, p.value, q.value);
    Bytes modulus(2 * kHalf);
    std::size_t written = 0;
    mpz_export(modulus.data(), &written, 1, 1, 1, 0, n.value);
    const auto key = RsaPublicKey::fromNumbers(modulus, kExponent);
    return key && written == modulus.size() ? key->toDer() : Bytes();
}

std::string idOf(std::size_t number)
{
    char text[25];
    std::snprintf(text, sizeof text, "%024zx", number);
    return text;
}

double secondsSince(std::chrono::steady_clock::time_point when)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - when).count();
}

bool isAbout(const AuditFinding& finding, AuditKind kind, std::vector<std::size_t> keys)
{
    return finding.kind == kind && finding.keys == keys;
}

} // namespace

int main(int argc, char** argv)
{
    const std::size_t count = argc == 2 ? std::strtoull(argv[1], nullptr, 10) : 0;
    if (count < 100) {
        std::fputs("audit_keys COUNT (at least 100)\n", stderr);
        return 64;
    }
    auto began = std::chrono::steady_clock::now();
    std::vector<Prime> primes(2 * count);
    inParallel(primes.size(), [&](std::size_t i, unsigned) { drawPrime(primes[i].value, i); });
    // Planted: 10 and 20 share one prime; 30, 40 and 50 are a chain; 60 and 70 are one key.
    mpz_set(primes[20 * 2].value, primes[10 * 2 + 1].value);
    mpz_set(primes[40 * 2].value, primes[30 * 2].value);
    mpz_set(primes[50 * 2].value, primes[40 * 2 + 1].value);
    mpz_set(primes[70 * 2].value, primes[60 * 2 + 1].value);
    mpz_set(primes[70 * 2 + 1].value, primes[60 * 2].value);
    std::vector<AuditedKey> keys(count);
    for (std::size_t i = 0; i < count; ++i)
        keys[i] = {.deviceId = idOf(i),
                   .source = "bench",
                   .publicDer = keyOf(primes[2 * i], primes[2 * i + 1])};
    keys.push_back({.deviceId = idOf(80), .source = "other", .publicDer = keys[81].publicDer});
    keys.push_back({.deviceId = idOf(90), .source = "other", .publicDer = Bytes(162)});
    std::printf("made %zu keys in %.1f s\n", count, secondsSince(began));

    began = std::chrono::steady_clock::now();
    const auto findings = auditKeys(keys);
    const double took = secondsSince(began);
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    std::printf("audited %zu keys in %.1f s, at most %ld MB\n", keys.size(), took,
                usage.ru_maxrss / 1024);
    for (const auto& finding : findings)
        std::printf("%.*s: %s\n", static_cast<int>(name(finding.kind).size()),
                    name(finding.kind).data(), finding.reason.c_str());
    const bool exact = findings.size() == 7 &&
                       isAbout(findings[0], AuditKind::DuplicateKey, {60, 70}) &&
                       isAbout(findings[1], AuditKind::DuplicateKey, {81, count}) &&
                       isAbout(findings[2], AuditKind::SharedPrime, {10, 20}) &&
                       isAbout(findings[3], AuditKind::SharedPrime, {30, 40, 50}) &&
                       isAbout(findings[4], AuditKind::DuplicateId, {80, count}) &&
                       isAbout(findings[5], AuditKind::DuplicateId, {90, count + 1}) &&
                       isAbout(findings[6], AuditKind::Damaged, {count + 1});
    std::puts(exact ? "exactly the planted faults" : "NOT exactly the planted faults");
    return exact ? 0 : 1;
}
