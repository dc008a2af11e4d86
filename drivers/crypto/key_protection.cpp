#include "crypto/key_protection.h"

#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/der_p.h"
#include "crypto/openssl_p.h"
#include "crypto/rsa_key.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include <sys/prctl.h>
#include <sys/resource.h>

namespace provost {

namespace {

using Text = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Container = std::unique_ptr<PKCS12, Freed<PKCS12_free>>;
using X509Certificate = std::unique_ptr<X509, Freed<X509_free>>;

constexpr std::uintmax_t kLargestKeyFileHere = std::uintmax_t{64} << 10;

std::string wholeText(const std::filesystem::path& file)
{
    std::ifstream in(file);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

/// dm-crypt calls its mappings CRYPT-…; zram never reaches a disk.
bool isSealedDevice(const std::string& device)
{
    return device.starts_with("zram") ||
           wholeText("/sys/block/" + device + "/dm/uuid").starts_with("CRYPT-");
}

bool coreDumpsAreOff()
{
    rlimit limit{};
    return getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0;
}

int noWords(char*, int, int, void*)
{
    return -1;
}

/// Private keys in DER or unencrypted PEM, of any type that an envelope can be sealed to.
EvpKey privateKeyIn(ByteView file)
{
    const Text text(BIO_new_mem_buf(file.data(), static_cast<int>(file.size())));
    EvpKey key(text ? PEM_read_bio_PrivateKey(text.get(), nullptr, noWords, nullptr) : nullptr);
    if (!key) {
        const unsigned char* at = opensslBytes(file);
        key.reset(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(file.size())));
    }
    ERR_clear_error();
    return key;
}

/// PKCS#12 (RFC 7292) without a password, in both ways of writing none.
EvpKey privateKeyInPkcs12(ByteView file)
{
    const unsigned char* at = opensslBytes(file);
    const Container container(d2i_PKCS12(nullptr, &at, static_cast<long>(file.size())));
    for (const char* const none : {"", static_cast<const char*>(nullptr)}) {
        EVP_PKEY* key = nullptr;
        if (container && PKCS12_parse(container.get(), none, &key, nullptr, nullptr) == 1)
            return EvpKey(key);
    }
    return {};
}

std::vector<std::filesystem::path> filesBelow(const std::filesystem::path& folder)
{
    constexpr int kDeepest = 6;
    constexpr std::size_t kMostFiles = 20'000;
    using Walk = std::filesystem::recursive_directory_iterator;
    std::vector<std::filesystem::path> files;
    std::error_code failed;
    Walk at(folder, std::filesystem::directory_options::skip_permission_denied, failed);
    for (; !failed && at != Walk() && files.size() < kMostFiles; at.increment(failed)) {
        if (at.depth() >= kDeepest)
            at.disable_recursion_pending();
        std::error_code ignored;
        if (at->is_regular_file(ignored))
            files.push_back(at->path());
    }
    return files;
}

bool opens(const std::filesystem::path& file, EVP_PKEY* sealedTo)
{
    std::error_code failed;
    if (!std::filesystem::is_regular_file(file, failed) ||
        std::filesystem::file_size(file, failed) > kLargestKeyFileHere || failed)
        return false;
    auto bytes = readFile(file, kLargestKeyFileHere);
    if (!bytes) // what this program cannot read it cannot open anything with
        return false;
    EvpKey key = privateKeyIn(*bytes);
    if (!key)
        key = privateKeyInPkcs12(*bytes);
    wipe(*bytes);
    const bool same = key && EVP_PKEY_eq(key.get(), sealedTo) == 1;
    ERR_clear_error();
    return same;
}

} // namespace

std::vector<SwapArea> swapAreasIn(std::string_view procSwaps,
                                  const std::function<bool(const std::string&)>& isSealed)
{
    std::vector<SwapArea> areas;
    std::istringstream lines{std::string(procSwaps)};
    std::string line;
    std::getline(lines, line); // its heading
    while (std::getline(lines, line)) {
        const std::string name = line.substr(0, line.find_first_of(" \t"));
        if (name.empty())
            continue;
        const bool device = name.starts_with("/dev/");
        areas.push_back(
            {.name = name, .sealed = device && isSealed(name.substr(name.rfind('/') + 1))});
    }
    return areas;
}

MemoryProtection protectMemory()
{
    keepMemoryPrivate();
    return {.memoryLocked = setUpSecureHeap().has_value(),
            .coreDumpsOff = coreDumpsAreOff(),
            .swap = swapAreasIn(wholeText("/proc/swaps"), isSealedDevice)};
}

std::vector<std::string> missingProtection(const MemoryProtection& protection)
{
    std::vector<std::string> missing;
    if (!protection.memoryLocked)
        missing.emplace_back("memory for keys cannot be locked: raise the limit (ulimit -l 4096)");
    if (!protection.coreDumpsOff)
        missing.emplace_back("core dumps cannot be switched off: allow RLIMIT_CORE to be set to 0");
    for (const auto& area : protection.swap)
        if (!area.sealed)
            missing.push_back(concat("swap area ", area.name,
                                     " is not encrypted: swapoff it, or put it on dm-crypt"));
    return missing;
}

Result<std::filesystem::path> keyThatOpens(ByteView certificate,
                                           std::span<const std::filesystem::path> folders)
{
    const Text text(BIO_new_mem_buf(certificate.data(), static_cast<int>(certificate.size())));
    const X509Certificate parsed(text ? PEM_read_bio_X509(text.get(), nullptr, noWords, nullptr)
                                      : nullptr);
    EVP_PKEY* sealedTo = parsed ? X509_get0_pubkey(parsed.get()) : nullptr;
    if (sealedTo == nullptr)
        return opensslFailure(Errc::InvalidData, Blame::Operator, "read the escrow certificate");
    for (const auto& folder : folders) {
        auto files = filesBelow(folder);
        std::ranges::sort(files);
        const auto found =
            std::ranges::find_if(files, [&](const auto& file) { return opens(file, sealedTo); });
        if (found != files.end())
            return *found;
    }
    return std::filesystem::path();
}

} // namespace provost
