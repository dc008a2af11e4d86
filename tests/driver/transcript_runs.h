// The published transcripts by name, and either half run against bytes on a clock that jumps.
#pragma once

#include "core/clock.h"
#include "handshake_support.h"

#include <QTest>

namespace provost::test {

/// A server half against bytes, on a clock that jumps.
struct ServerRun {
    HandshakeReport report{};
    Bytes written{};
    std::chrono::milliseconds took{};
};
inline ServerRun serve(const Transcript& transcript, KeyDirectory& keys, Bytes script,
                       Ending ending = Ending::Silence,
                       std::vector<std::size_t> pieces = {3, 1, 64, 7})
{
    const VirtualClock clock;
    ScriptedStream stream(std::move(script), ending, std::move(pieces));
    const OpContext op{.clock = clock, .deadline = {clock.now() + std::chrono::minutes(10)}};
    const auto start = clock.now();
    ServerRun run;
    run.report = handshake::serveWith(transcript.material(), stream, transcript.serverKey(), keys,
                                      {}, op, {});
    run.written = stream.written;
    run.took = std::chrono::duration_cast<std::chrono::milliseconds>(clock.now() - start);
    return run;
}
inline ServerRun serve(const Transcript& transcript, Bytes script, Ending ending = Ending::Silence,
                       std::vector<std::size_t> pieces = {3, 1, 64, 7})
{
    OneKey keys(transcript.deviceId(), transcript.deviceKey());
    return serve(transcript, keys, std::move(script), ending, std::move(pieces));
}

inline HandshakeReport dial(const DeviceIdentity& device, Bytes script, Bytes* written = nullptr,
                            Ending ending = Ending::Silence,
                            std::vector<std::size_t> pieces = {5, 1, 40})
{
    const VirtualClock clock;
    ScriptedStream stream(std::move(script), ending, std::move(pieces));
    const OpContext op{.clock = clock, .deadline = {clock.now() + std::chrono::minutes(10)}};
    HandshakeReport report = dialHandshake(stream, device, op);
    if (written != nullptr)
        *written = stream.written;
    return report;
}

/// What the tests of the handshake begin with.
struct PublishedTranscripts {
    const QJsonArray m_transcripts = vectors()["transcripts"].toArray();
    const QJsonArray m_negatives = vectors()["negativeCases"].toArray();

    /// One row for each, with its name.
    void transcriptRows() const
    {
        QTest::addColumn<QString>("name");
        for (const QJsonValue& value : m_transcripts) {
            const QString name = value["name"].toString();
            QTest::newRow(qPrintable(name)) << name;
        }
    }
    Transcript transcript(const QString& name) const
    {
        for (const QJsonValue& value : m_transcripts)
            if (value["name"].toString() == name)
                return Transcript{value.toObject()};
        return {};
    }
    Transcript photon() const { return transcript("photon-minimal-der"); }
    static Bytes reply(const Transcript& of) { return of.bytes("deviceReply", "ciphertext"); }
    /// Reply and Hello as the transcript has them, then `messages` sealed.
    static Bytes conversation(const Transcript& of, const std::vector<Bytes>& messages)
    {
        SessionCipher cipher(of.bytes("session", "credentials"));
        Bytes script = reply(of);
        for (const Bytes& message : messages)
            ByteWriter(script).raw(cipher.seal(message).value());
        return script;
    }
};

} // namespace provost::test
