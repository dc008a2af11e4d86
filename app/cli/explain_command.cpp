// `provost handshake explain`: what a capture of a unit and its cloud means.
#include "capture/tcp_capture.h"
#include "cli/commands.h"
#include "cli/handshake_output.h"
#include "cli/output.h"
#include "core/file_io.h"
#include "core/text.h"
#include "crypto/key_file.h"
#include "crypto/secret_file.h"
#include "crypto/unit_key.h"
#include "host/cloud_link.h"

namespace provost::cli {

namespace {

constexpr std::size_t kLargestKey = 64UL * 1024;

/// Keys as the user named them; the explanation borrows them.
struct GivenKeys {
    std::optional<RsaPrivateKey> serverPrivate{};
    std::optional<RsaPublicKey> serverPublic{};
    std::optional<RsaPrivateKey> devicePrivate{};
    std::string unreadable{};

    RecordedKeys view() const
    {
        return {.serverPrivate = serverPrivate ? &*serverPrivate : nullptr,
                .serverPublic = serverPublic ? &*serverPublic : nullptr,
                .devicePrivate = devicePrivate ? &*devicePrivate : nullptr,
                .unreadable = unreadable};
    }
};

Result<GivenKeys> keysOf(const Arguments& arguments)
{
    GivenKeys keys;
    if (arguments.has("server-key")) {
        const std::string file = arguments.text("server-key");
        const SecretBytes bytes = TRY(readSecretFile(file, kLargestKey));
        auto opened = unwrapKeyFile(bytes.reveal());
        if (!opened && opened.error().code == Errc::Denied)
            opened = unwrapKeyFile(bytes.reveal(),
                                   TRY(serverKeyPassphrase(arguments.text("key-passphrase-file"))));
        if (!opened && opened.error().code == Errc::Denied)
            return Unexpected(inFrame(opened.error(), "--server-key " + file));
        if (auto own = RsaPrivateKey::fromBytes((opened ? *opened : bytes).reveal())) {
            keys.serverPublic = own->publicKey();
            keys.serverPrivate = std::move(*own);
        } else {
            auto only = RsaPublicKey::fromText(bytes.reveal());
            if (!only)
                return Unexpected(inFrame(only.error(), "--server-key " + file));
            keys.serverPublic = std::move(*only);
        }
    }
    if (arguments.has("device-key")) {
        const std::string file = arguments.text("device-key");
        const SecretBytes bytes = TRY(readSecretFile(file, kLargestKey));
        auto key = RsaPrivateKey::fromBytes(bytes.reveal());
        if (!key)
            return Unexpected(inFrame(key.error(), "--device-key " + file));
        keys.devicePrivate = std::move(*key);
        const KeyReading reading = judgeKeyFile(bytes.reveal());
        if (!reading.readable)
            keys.unreadable = reading.reason;
    }
    return keys;
}

JsonObject explainedObject(const TcpConversation& conversation, HandshakeExplanation explained)
{
    auto object = verdictObject(explained.report);
    object.add("client", conversation.client);
    object.add("server", conversation.server);
    object.add("offered_key", textOrNull(explained.report.offeredKeyFingerprint));
    return object;
}

void printExplained(const TcpConversation& conversation, const HandshakeExplanation& explained,
                    bool json)
{
    if (json) {
        for (const auto& message : explained.report.messages)
            printJson(stepObject(message));
        printJson(explainedObject(conversation, explained));
        return;
    }
    printText(concat(conversation.client, " → ", conversation.server, "  from +",
                     fixed(conversation.startSeconds, 3), " s"));
    for (const auto& message : explained.report.messages)
        printMessage(message);
    printVerdict(explained.report);
}

Exit explainCapture(const Arguments& arguments)
{
    const std::string file = arguments.positionals()[0];
    const auto keys = keysOf(arguments);
    if (!keys)
        return report(keys.error(), arguments);
    const auto conversations = readTcpCapture(file);
    if (!conversations)
        return report(conversations.error(), arguments);
    if (conversations->empty())
        return report(Error{.code = Errc::NotFound,
                            .blame = Blame::Operator,
                            .message = concat("explain ", file,
                                              ": the capture holds no TCP connection; capture on "
                                              "the network that the unit is on")},
                      arguments);
    Exit exit = Exit::Pass;
    for (const auto& conversation : *conversations) {
        const auto explained = explainHandshake(conversation.recorded, keys->view());
        printExplained(conversation, explained, arguments.has("json"));
        if (!explained.report.passed)
            exit = Exit::Fail;
    }
    return exit;
}

} // namespace

std::vector<Command> explainCommands()
{
    return {{.path = "handshake explain",
             .summary = "What a capture of a unit talking to its cloud means, message by message",
             .positionals = "FILE.pcap",
             .minPositionals = 1,
             .maxPositionals = 1,
             .options = {{.name = "server-key",
                          .value = "KEY",
                          .help = "private: opens the unit's reply; public: checks the signature"},
                         {.name = "key-passphrase-file",
                          .value = "FILE",
                          .help = "its first line opens the server key; else the program's own "
                                  "credential"},
                         {.name = "device-key",
                          .value = "KEY",
                          .help = "the unit's private key: opens the session"}},
             .example = "provost handshake explain unit.pcap --server-key cloud/server-key.pem",
             .run = explainCapture,
             .notes = "Reads pcap and pcapng of Ethernet, raw IP, Linux cooked and loopback. What "
                      "Wireshark calls a malformed CoAP packet is message 1 or 3.",
             .looksOnly = true}};
}

} // namespace provost::cli
