// What the tests of the cloud share: a cloud on loopback, units that dial it, and curl.
#pragma once

#include "support/patience.h"

#include "cloud/local_handshake_server.h"
#include "core/text.h"
#include "crypto/unit_key.h"
#include "sim/virtual_cloud.h"
#include "transport/tcp_stream.h"

#include <QProcess>
#include <QStringList>

#include <algorithm>

namespace provost::test {

using namespace std::chrono_literals;

constexpr const char* kUnitId = "25002a001147353230333635";
constexpr int kCurlTimeoutMs = 60000;

struct CurlAnswer {
    int status = 0;
    QByteArray headers{};
    QByteArray body{};
};

/// What curl, a client that is not ours, gets.
inline CurlAnswer curl(const QStringList& arguments, const QByteArray& input = {})
{
    QProcess process;
    QStringList all{"--silent", "--show-error", "--include", "--max-time", "50", "--path-as-is"};
    process.start("curl", all + arguments);
    process.write(input);
    process.closeWriteChannel();
    if (!process.waitForFinished(kCurlTimeoutMs))
        return {};
    const QByteArray out = process.readAllStandardOutput();
    const auto split = out.indexOf("\r\n\r\n");
    if (split < 0)
        return {};
    return {
        .status = out.mid(9, 3).toInt(), .headers = out.left(split), .body = out.mid(split + 4)};
}

inline std::string unitId(int number)
{
    const std::string digits = std::to_string(number);
    return std::string(24 - digits.size(), '0') + digits;
}

/// One board, its key, and what it believes of its cloud.
struct Unit {
    std::string id{kUnitId};
    UnitKey key = generateUnitKey().value();

    UnitIdentity identity() const { return {.deviceId = id}; }
    Bytes publicDer() const { return key.publicKey.toDer(); }
};

inline OpContext within(std::chrono::milliseconds span, std::stop_token stop = {})
{
    static const SystemClock clock;
    return {.clock = clock, .stop = std::move(stop), .deadline = {clock.now() + span}};
}

/// The device's half against a service.
inline HandshakeReport dial(const CloudService& service, const Unit& unit,
                            const std::optional<RsaPublicKey>& believedServer = {})
{
    DeviceIdentity device{.privateSlot = unit.key.privateDer.clone(),
                          .serverKeySlot =
                              (believedServer ? *believedServer : service.serverKey()).toDer()};
    std::ranges::copy(fromHex(unit.id).value(), device.deviceId.begin());
    const OpContext op = within(kHangGuard);
    auto line = TcpStream::connect(service.handshakeHost(), service.handshakePort(), op);
    if (!line)
        return {.cause = describe(line.error())};
    return dialHandshake(**line, device, op);
}

} // namespace provost::test
