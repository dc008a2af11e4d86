// `provost cloud serve` and `provost handshake …`
#include "capture/tcp_recorder.h"
#include "cli/commands.h"
#include "cli/device_address.h"
#include "cli/handshake_output.h"
#include "cli/output.h"
#include "cloud/cloud_service.h"
#include "core/byte_io.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/secret_file.h"
#include "host/cloud_link.h"
#include "image/module_info.h"
#include "sim/fault_switch.h"
#include "transport/tcp_stream.h"

#include <algorithm>

namespace provost::cli {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kLargestKeyFile = 64UL * 1024;

/// Prints what connections do, one line a step. Thread-safe.
class Printer final : public CloudObserver {
public:
    explicit Printer(bool json) : m_json(json) {}
    void onMessage(const ConnectionInfo& connection, const HandshakeMessage& message) override
    {
        const MutexLock lock(m_mutex);
        if (!m_json)
            return printMessage(message);
        auto object = stepObject(message);
        object.add("connection", connection.number);
        printJson(object);
    }
    void onReport(const ConnectionInfo& connection, const HandshakeReport& report) override
    {
        const MutexLock lock(m_mutex);
        if (!m_json)
            return printVerdict(report);
        auto object = verdictObject(report);
        object.add("connection", connection.number);
        printJson(object);
    }
    void onRequest(const RestExchange& exchange) override
    {
        const MutexLock lock(m_mutex);
        if (m_json)
            printJson({{"event", "request"},
                       {"method", exchange.method},
                       {"path", exchange.path},
                       {"status", exchange.status},
                       {"ms", roundedTo(1, exchange.ms)}});
        else
            printText(concat(exchange.method, " ", exchange.path, " ", exchange.status));
    }

private:
    bool m_json;
    Mutex m_mutex;
};

void waitForStop(const StopSignal& stop, const Clock& clock)
{
    while (clock.sleepUntil(clock.now() + 1h, stop.token())) {
    }
}

Result<SecretBytes> keyPassphraseOf(const Arguments& arguments)
{
    return serverKeyPassphrase(arguments.text("key-passphrase-file"));
}

Result<> serveHandshakes(const Arguments& arguments)
{
    const auto listen = TRY(parseHostPort(arguments.text("listen")));
    CloudServiceConfig config;
    config.folder = arguments.text("registry");
    config.serverKeyFile = arguments.text("server-key");
    config.rest = false;
    config.keyPassphrase = TRY(keyPassphraseOf(arguments));
    config.handshakeHost = listen.host;
    config.handshakePort = listen.port;
    const SystemClock clock;
    const StopSignal stop;
    const auto printer = std::make_shared<Printer>(arguments.has("json"));
    const auto service = TRY(CloudService::start(std::move(config), clock, printer));
    if (arguments.has("json"))
        printJson({{"event", "listening"}, {"port", service->handshakePort()}});
    else
        printText(concat("listening on ", service->handshakeHost(), ":", service->handshakePort()));
    waitForStop(stop, clock);
    if (arguments.has("json"))
        printJson({{"event", "stopped"}});
    return {};
}

Result<VirtualCloudConfig> cloudConfigOf(const Arguments& arguments)
{
    const auto listen = TRY(parseHostPort(arguments.text("listen")));
    VirtualCloudConfig config;
    config.service.folder = arguments.text("data");
    config.service.keyPassphrase = TRY(keyPassphraseOf(arguments));
    config.service.keepSessions = true;
    config.service.restHost = listen.host;
    config.service.restPort = listen.port;
    config.service.handshakeHost = listen.host;
    config.service.handshakePort =
        static_cast<std::uint16_t>(TRY(arguments.number("handshake-port", 0)));
    if (arguments.has("token-file"))
        config.service.token = TRY(readSecretLine(arguments.text("token-file")));
    config.service.tlsCertificate = arguments.text("tls-cert");
    config.service.tlsKey = arguments.text("tls-key");
    config.trainingSwitch = arguments.has("training");
    config.retryAfter = "1";
    config.clockSpeed = static_cast<double>(TRY(arguments.number("clock-speed", 1)));
    return config;
}

Result<> serveCloud(const Arguments& arguments)
{
    auto config = TRY(cloudConfigOf(arguments));
    const auto faults = arguments.has("faults") ? TRY(parseFaultOrders(arguments.text("faults")))
                                                : std::vector<FaultOrder>{};
    const SystemClock clock;
    const StopSignal stop;
    const auto printer = std::make_shared<Printer>(arguments.has("json"));
    const auto cloud = TRY(VirtualCloud::start(std::move(config), clock, printer));
    if (!faults.empty())
        cloud->order(faults);
    const CloudService& service = cloud->service();
    if (arguments.has("json"))
        printJson({{"event", "listening"},
                   {"port", service.restPort()},
                   {"url", service.baseUrl()},
                   {"handshake_port", service.handshakePort()}});
    else
        printText(concat("REST at ", service.baseUrl(), ", handshakes at ", service.handshakeHost(),
                         ":", service.handshakePort(), ", registry in ", arguments.text("data")));
    waitForStop(stop, clock);
    if (arguments.has("json"))
        printJson({{"event", "stopped"}});
    return {};
}

/// What would stand in the unit's key slot: PEM and PKCS#8 are brought into the unit's form, DER
/// goes in as it would be burnt.
Result<SecretBytes> keySlotOf(const std::string& file)
{
    SecretBytes key = TRY(readSecretFile(file, kLargestKeyFile));
    const bool pem = !key.empty() && key.reveal()[0] == std::byte{'-'};
    const auto parsed = RsaPrivateKey::fromBytes(key.reveal());
    if (pem && !parsed)
        return Unexpected(inFrame(parsed.error(), "--device-key " + file));
    return pem ? parsed->toFullWidthDer() : std::move(key);
}

Result<MessageIdOrder> idOrderOf(const std::string& name)
{
    if (name == "big")
        return MessageIdOrder::BigEndian;
    if (name == "little")
        return MessageIdOrder::LittleEndian;
    return fail(Errc::InvalidArgument, Blame::Operator,
                concat("--id-order ", name,
                       ": big (Core, Photon and P1 up to 1.1) or little "
                       "(Electron, later firmware) is meant"));
}

Result<DeviceIdentity> identityOf(const Arguments& arguments)
{
    DeviceIdentity device;
    const std::string given = arguments.text("device-id");
    const auto id = fromHex(given);
    if (!id || id->size() != device.deviceId.size())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("--device-id ", given, ": must be 24 hexadecimal digits"));
    std::ranges::copy(*id, device.deviceId.begin());
    device.privateSlot = TRY(keySlotOf(arguments.text("device-key")));
    const std::string serverKey = arguments.text("server-key");
    auto server = RsaPublicKey::fromText(TRY(readFile(serverKey, kLargestKeyFile)));
    if (!server)
        return Unexpected(inFrame(server.error(), "--server-key " + serverKey));
    device.serverKeySlot = server->toDer();
    if (arguments.has("platform"))
        device.platformId = TRY(parsePlatform(arguments.text("platform")));
    device.productId = device.platformId;
    device.sendsPublicKey = !arguments.has("legacy-reply");
    if (!device.sendsPublicKey)
        device.idOrder = MessageIdOrder::BigEndian; // 5.3: a Core's
    if (arguments.has("id-order"))
        device.idOrder = TRY(idOrderOf(arguments.text("id-order")));
    return device;
}

/// A verdict on the way to the server; what is wrong with the command line is none.
bool isUnanswered(const Error& error)
{
    return error.code == Errc::Unavailable || error.code == Errc::Timeout;
}

Result<HandshakeReport> dialOnce(const Arguments& arguments)
{
    const auto to = TRY(parseHostPort(arguments.positionals()[0]));
    const auto device = TRY(identityOf(arguments));
    const std::string pcap = arguments.text("pcap");
    if (!pcap.empty() && std::filesystem::exists(std::filesystem::symlink_status(pcap)))
        return fail(Errc::Denied, Blame::Operator,
                    concat("--pcap ", pcap,
                           ": it exists already and is never overwritten; name another file"));
    const SystemClock clock;
    const StopSignal stop;
    const auto op = commandContext(clock, 120s, nullptr, stop);
    const auto began = clock.now();
    auto connected = TcpStream::connect(to.host, to.port, op.within(8s)); // 5.6
    if (!connected && isUnanswered(connected.error()))
        return notConnected(
            device, connected.error(),
            std::chrono::duration_cast<std::chrono::milliseconds>(clock.now() - began));
    const std::unique_ptr<TcpStream> line = TRY(std::move(connected));
    TcpRecorder recorder(*line, clock, line->peer());
    auto report = dialHandshake(recorder, device, op);
    if (!pcap.empty())
        TRY(recorder.writeFile(pcap));
    if (stop.stopped())
        return fail(Errc::Cancelled, Blame::Operator,
                    concat("dial ", arguments.positionals()[0], ": stopped"));
    return report;
}

Exit dial(const Arguments& arguments)
{
    const auto dialled = dialOnce(arguments);
    if (!dialled)
        return report(dialled.error(), arguments);
    for (const auto& message : dialled->messages) {
        if (arguments.has("json"))
            printJson(stepObject(message));
        else
            printMessage(message);
    }
    if (arguments.has("json"))
        printJson(verdictObject(*dialled));
    else
        printVerdict(*dialled);
    return dialled->passed ? Exit::Pass : Exit::Fail;
}

Option keyPassphraseOption()
{
    return {.name = "key-passphrase-file",
            .value = "FILE",
            .help = "its first line opens the server key; else the program's own credential"};
}

} // namespace

std::vector<Command> handshakeCommands()
{
    const Option listen{
        .name = "listen", .value = "HOST:PORT", .help = "port 0: any free one", .required = true};
    return {{.path = "handshake serve",
             .summary = "The server's half of the handshake for every unit in a registry",
             .options = {listen,
                         {.name = "server-key",
                          .value = "KEY.pem",
                          .help = "RSA-2048 private key",
                          .required = true},
                         {.name = "registry",
                          .value = "DIR",
                          .help = "known units: DIR/<device id>.pub.pem",
                          .required = true},
                         keyPassphraseOption()},
             .example = "provost handshake serve --listen 127.0.0.1:5683 --server-key "
                        "cloud/server-key.pem --registry cloud",
             .run = [](const Arguments& a) { return reportIfFailed(serveHandshakes(a), a); }},
            {.path = "handshake dial",
             .summary = "The device's half: what a unit with these keys would see",
             .positionals = "HOST:PORT",
             .minPositionals = 1,
             .maxPositionals = 1,
             .options =
                 {{.name = "device-id",
                   .value = "ID",
                   .help = "24 hexadecimal digits",
                   .required = true},
                  {.name = "device-key", .value = "FILE", .help = "PEM or DER", .required = true},
                  {.name = "server-key",
                   .value = "FILE",
                   .help = "public key, PEM or DER",
                   .required = true},
                  {.name = "platform", .value = "P", .help = "name or number, photon by default"},
                  {.name = "id-order",
                   .value = "ORDER",
                   .help = "of the salt in the first message id: big, or little as by default"},
                  {.name = "legacy-reply",
                   .help = "52 bytes, without public key, as a Core before 0.4.0; then big"},
                  {.name = "pcap",
                   .value = "FILE",
                   .help = "new file: what was said, for handshake explain"}},
             .example =
                 "cp unit.der.pub.pem cloud/1f002a000547343233323032.pub.pem\n"
                 "provost handshake dial 127.0.0.1:5683 --device-id 1f002a000547343233323032 "
                 "--device-key unit.der --server-key cloud/server-key.pub.pem --pcap unit.pcap",
             .run = dial}};
}

std::vector<Command> cloudCommands()
{
    return {
        {.path = "cloud serve",
         .summary = "A cloud on your own premises: provisioning REST and handshakes",
         .options =
             {{.name = "listen",
               .value = "HOST:PORT",
               .help = "of the REST service; port 0: any free one",
               .required = true},
              {.name = "data", .value = "DIR", .help = "registry and server key", .required = true},
              keyPassphraseOption(),
              {.name = "handshake-port", .value = "PORT", .help = "any free one by default"},
              {.name = "token-file",
               .value = "FILE",
               .help = "bearer token to ask for: its first line"},
              {.name = "tls-cert", .value = "FILE", .help = "PEM certificate, its chain behind it"},
              {.name = "tls-key", .value = "FILE", .help = "PEM private key of the certificate"},
              {.name = "faults",
               .value = "LIST",
               .help = "of the next requests, for training and tests: 429:3,timeout-after,…"},
              {.name = "clock-speed",
               .value = "N",
               .help = "outages pass N times as fast: 3600 makes 12 h of them 12 s"},
              {.name = "training", .help = "POST /v1/training/faults orders faults"}},
         .example = "provost cloud serve --listen 127.0.0.1:8080 --data cloud",
         .run = [](const Arguments& a) { return reportIfFailed(serveCloud(a), a); },
         .notes = "Beyond loopback a token and TLS are demanded. Faults: 429, 500, 503, refuse, "
                  "deny, timeout-before, timeout-after, duplicate, reorder, no-key-back, "
                  "no-events, keep-claim, page, ok, each with :NUMBER for several requests; "
                  "outage:12h; none."}};
}

} // namespace provost::cli
