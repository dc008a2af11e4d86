// refusal_timing ROUNDS: what a peer sees of a refusal before message 3, by what was wrong with its
// reply: how many bytes came, and how long behind its reply it was hung up on. All kinds dial at
// the same time, eight of each, so that what else loads the machine falls on all. Printed, never
// judged: a scheduler may delay anybody. Where the medians lie closer together than one kind's
// samples do, the time tells nothing of the reason; the exact rule is tested on virtual time
// (tests/driver/tst_handshake). The full run is `refusal_timing 20`.
#include "cloud/cloud_service.h"
#include "core/byte_io.h"
#include "core/text.h"
#include "transport/tcp_stream.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>
#include <vector>

namespace {

using namespace provost;
using namespace std::chrono_literals;

constexpr int kOfEach = 8;
constexpr auto kPatience = 10min;
constexpr std::size_t kNonceBytes = 40; // particle-devices 5.1
constexpr std::size_t kReplyBytes = 256;

struct Kind {
    const char* name = "";
    std::function<Bytes(ByteView nonce)> reply{};
    std::vector<double> ms{};
    std::size_t bytes = 0; ///< that came behind the nonce, of all
};

Bytes sealedReply(const RsaPublicKey& server, ByteView nonce, std::string_view id,
                  const RsaPublicKey& unit)
{
    return server.encrypt(handshake::replyPlaintext(nonce, fromHex(id).value(), unit.toDer()))
        .value();
}

struct Seen {
    double ms = 0;
    std::size_t bytes = 0;
};

Seen dialWith(const Kind& kind, std::uint16_t port)
{
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + kPatience}};
    const auto line = TcpStream::connect("127.0.0.1", port, op).value();
    Bytes nonce(kNonceBytes);
    for (std::size_t got = 0; got < nonce.size();)
        got += line->readSome(ByteSpan(nonce).subspan(got), op).value();
    const Bytes reply = kind.reply(nonce);
    const auto from = clock.now();
    static_cast<void>(line->writeAll(reply, op));
    Seen seen;
    Bytes rest(kReplyBytes);
    for (auto got = line->readSome(rest, op); got; got = line->readSome(rest, op))
        seen.bytes += *got;
    seen.ms = std::chrono::duration<double, std::milli>(clock.now() - from).count();
    return seen;
}

void dialAll(std::vector<Kind>& kinds, std::uint16_t port)
{
    std::vector<Seen> seen(kinds.size() * kOfEach);
    {
        std::vector<std::jthread> peers;
        for (std::size_t i = 0; i < seen.size(); ++i)
            peers.emplace_back([&, i] { seen[i] = dialWith(kinds[i % kinds.size()], port); });
    }
    for (std::size_t i = 0; i < seen.size(); ++i) {
        kinds[i % kinds.size()].ms.push_back(seen[i].ms);
        kinds[i % kinds.size()].bytes += seen[i].bytes;
    }
}

/// What can be wrong with a reply, each where the server finds it at another point.
std::vector<Kind> kindsAgainst(const CloudService& service, const RsaPublicKey& own,
                               const RsaPublicKey& other, const std::string& lockedId)
{
    const RsaPublicKey server = service.serverKey();
    const RsaPublicKey elsewhere = RsaPrivateKey::generate(2048).value().publicKey();
    const std::string nobody(24, '7');
    return {
        {"sealed to another server key",
         [=](ByteView nonce) { return sealedReply(elsewhere, nonce, lockedId, own); }},
        {"no padding inside", [](ByteView) { return Bytes(kReplyBytes, std::byte{0x11}); }},
        {"larger than the modulus", [](ByteView) { return Bytes(kReplyBytes, std::byte{0xFF}); }},
        {"too short inside", [=](ByteView) { return server.encrypt(Bytes(10)).value(); }},
        {"another nonce",
         [=](ByteView) { return sealedReply(server, Bytes(kNonceBytes), lockedId, own); }},
        {"nobody's device id",
         [=](ByteView nonce) { return sealedReply(server, nonce, nobody, own); }},
        {"another key than the locked one",
         [=](ByteView nonce) { return sealedReply(server, nonce, lockedId, other); }},
    };
}

double median(std::vector<double> values)
{
    std::ranges::sort(values);
    return values[values.size() / 2];
}

void print(const std::vector<Kind>& kinds)
{
    double earliest = 1e9;
    double latest = 0;
    double scatter = 0;
    for (const Kind& kind : kinds) {
        const auto [least, most] = std::ranges::minmax(kind.ms);
        const double middle = median(kind.ms);
        earliest = std::min(earliest, middle);
        latest = std::max(latest, middle);
        scatter = std::max(scatter, most - least);
        std::printf("%-34s %zu bytes; hung up on after %.2f ms (median of %zu; %.2f to %.2f)\n",
                    kind.name, kind.bytes, middle, kind.ms.size(), least, most);
    }
    std::printf("medians lie within %.2f ms, the samples of one kind within %.2f ms\n",
                latest - earliest, scatter);
}

} // namespace

int main(int argc, char** argv)
{
    const int rounds = argc == 2 ? std::atoi(argv[1]) : 0;
    if (rounds <= 0) {
        std::fputs("refusal_timing ROUNDS\n", stderr);
        return 64;
    }
    const SystemClock clock;
    std::string folder = (std::filesystem::temp_directory_path() / "refusal-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr)
        return 2;
    {
        const auto service = CloudService::start({.folder = folder, .rest = false}, clock).value();
        const RsaPublicKey own = RsaPrivateKey::generate(1024).value().publicKey();
        const RsaPublicKey other = RsaPrivateKey::generate(1024).value().publicKey();
        const std::string lockedId(24, '1');
        static_cast<void>(service->registry().put(lockedId, own));
        static_cast<void>(service->registry().lock(lockedId));
        auto kinds = kindsAgainst(*service, own, other, lockedId);
        for (int i = 0; i < rounds; ++i)
            dialAll(kinds, service->handshakePort());
        print(kinds);
    }
    std::filesystem::remove_all(folder);
    return 0;
}
