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
#include <openssl/x509.h>

#include <sys/prctl.h>
#include <sys/resource.h>

namespace provost {

namespace {

using Text = std::unique_ptr<BIO, Freed<BIO_free_all>>;
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

bool opens(const std::filesystem::path& file, EVP_PKEY* sealedTo)
{
    std::error_code failed;
    if (!std::filesystem::is_regular_file(file, failed) ||
        std::filesystem::file_size(file, failed) > kLargestKeyFileHere || failed)
        return false;
    auto bytes = readFile(file, kLargestKeyFileHere);
    if (!bytes) // what this program cannot read it cannot open anything with
        return false;
    const EvpKey key = privateKeyIn(*bytes);
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
        std::error_code failed;
        std::vector<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator(folder, failed))
            files.push_back(entry.path());
        std::ranges::sort(files);
        const auto found =
            std::ranges::find_if(files, [&](const auto& file) { return opens(file, sealedTo); });
        if (found != files.end())
            return *found;
    }
    return std::filesystem::path();
}

} // namespace provost
