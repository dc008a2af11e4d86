// Streams that play a script or join two threads, and the published transcripts as objects.
#pragma once

#include "core/byte_io.h"
#include "core/text.h"
#include "protocol/handshake_p.h"

#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QString>

#include <condition_variable>
#include <deque>

namespace provost::test {

/// The published answers, as they are.
inline QJsonObject vectors()
{
    QFile file(PROVOST_TEST_DATA "/handshake-vectors.json");
    return file.open(QIODevice::ReadOnly) ? QJsonDocument::fromJson(file.readAll()).object()
                                          : QJsonObject();
}

inline Bytes hex(const QJsonValue& value)
{
    return fromHex(value.toString().toStdString()).value();
}
inline QString text(std::string_view view)
{
    return QString::fromStdString(std::string(view));
}
inline Bytes joined(std::initializer_list<ByteView> parts)
{
    Bytes all;
    for (const ByteView part : parts)
        ByteWriter(all).raw(part);
    return all;
}

enum class Ending : std::uint8_t { Close, Silence };

/// Plays one side's bytes in pieces of the given sizes, then hangs up or says nothing more.
class ScriptedStream final : public ByteStream {
public:
    ScriptedStream(Bytes script, Ending ending, std::vector<std::size_t> pieces)
        : m_script(std::move(script)), m_ending(ending), m_pieces(std::move(pieces))
    {
    }
    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        if (m_at == m_script.size()) {
            if (m_ending == Ending::Close)
                return fail(Errc::Disconnected, Blame::Unit, "end of script");
            static_cast<void>(op.clock.sleepUntil(op.deadline.at, op.stop));
            return fail(Errc::Timeout, Blame::Unit, "end of script");
        }
        const std::size_t piece = m_pieces[m_turn++ % m_pieces.size()];
        const std::size_t size = std::min({piece, to.size(), m_script.size() - m_at});
        std::copy_n(m_script.begin() + static_cast<std::ptrdiff_t>(m_at), size, to.begin());
        m_at += size;
        return size;
    }
    Result<> writeAll(ByteView data, const OpContext&) override
    {
        ByteWriter(written).raw(data);
        return {};
    }
    Result<> discardInput() override { return {}; }

    Bytes written{};

private:
    Bytes m_script;
    Ending m_ending;
    std::vector<std::size_t> m_pieces;
    std::size_t m_at = 0;
    std::size_t m_turn = 0;
};

/// One direction of a connection between two threads.
struct Channel {
    std::mutex mutex{};
    std::condition_variable_any changed{};
    std::deque<std::byte> bytes{};
    bool closed = false;

    void close()
    {
        const std::lock_guard lock(mutex);
        closed = true;
        changed.notify_all();
    }
};

class ChannelEnd final : public ByteStream {
public:
    ChannelEnd(Channel& in, Channel& out) : m_in(in), m_out(out) {}
    ~ChannelEnd() override
    {
        m_in.close();
        m_out.close();
    }
    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        std::unique_lock lock(m_in.mutex);
        m_in.changed.wait_until(lock, op.stop, op.deadline.at,
                                [&] { return !m_in.bytes.empty() || m_in.closed; });
        if (op.stop.stop_requested())
            return fail(Errc::Cancelled, Blame::Operator, "stopped");
        if (m_in.bytes.empty())
            return m_in.closed ? fail(Errc::Disconnected, Blame::Unit, "closed")
                               : fail(Errc::Timeout, Blame::Unit, "silent");
        const std::size_t size = std::min({to.size(), m_in.bytes.size(), std::size_t{13}});
        std::copy_n(m_in.bytes.begin(), size, to.begin());
        m_in.bytes.erase(m_in.bytes.begin(), m_in.bytes.begin() + static_cast<long>(size));
        return size;
    }
    Result<> writeAll(ByteView data, const OpContext&) override
    {
        const std::lock_guard lock(m_out.mutex);
        if (m_out.closed)
            return fail(Errc::Disconnected, Blame::Unit, "closed");
        m_out.bytes.insert(m_out.bytes.end(), data.begin(), data.end());
        m_out.changed.notify_all();
        return {};
    }
    Result<> discardInput() override { return {}; }

private:
    Channel& m_in;
    Channel& m_out;
};

/// Knows one device.
class OneKey final : public KeyDirectory {
public:
    OneKey(std::string id, std::optional<RsaPublicKey> key, bool refusing = false)
        : m_id(std::move(id)), m_key(std::move(key)), m_refusing(refusing)
    {
    }
    std::optional<RsaPublicKey> find(const std::string& deviceId) override
    {
        return deviceId == m_id ? m_key : std::nullopt;
    }
    bool refuses(const std::string& deviceId, const RsaPublicKey&) override
    {
        return deviceId == m_id && m_refusing;
    }

private:
    std::string m_id;
    std::optional<RsaPublicKey> m_key;
    bool m_refusing;
};

/// One transcript of the vectors, as material for both halves.
struct Transcript {
    QJsonObject json{};

    QJsonValue at(const char* group, const char* member) const
    {
        return json[QLatin1String(group)].toObject()[QLatin1String(member)];
    }
    Bytes bytes(const char* member) const { return hex(json[QLatin1String(member)]); }
    Bytes bytes(const char* group, const char* member) const { return hex(at(group, member)); }
    Bytes message(const char* list, int index, const char* member) const
    {
        return hex(json[QLatin1String(list)].toArray()[index].toObject()[QLatin1String(member)]);
    }
    MessageIdOrder order() const
    {
        return at("messageIds", "saltByteOrder").toString() == "big" ? MessageIdOrder::BigEndian
                                                                     : MessageIdOrder::LittleEndian;
    }
    std::string deviceId() const { return json["deviceId"].toString().toStdString(); }
    RsaPrivateKey serverKey() const
    {
        return RsaPrivateKey::fromBytes(bytes("serverPrivateKeyPkcs1Der")).value();
    }
    RsaPublicKey serverPublicKey() const
    {
        return RsaPublicKey::fromDer(bytes("serverPublicKeySpkiDer")).value();
    }
    RsaPublicKey deviceKey() const
    {
        return RsaPublicKey::fromDer(bytes("devicePublicKeySpkiDer")).value();
    }
    handshake::ServerMaterial material() const
    {
        return {.nonce = bytes("nonce"),
                .credentials = SecretBytes(ByteView(bytes("session", "credentials"))),
                .firstMessageId =
                    static_cast<std::uint16_t>(at("messageIds", "firstServerMessageId").toInt())};
    }
    HelloInfo hello() const
    {
        HelloInfo hello{
            .messageId =
                static_cast<std::uint16_t>(at("messageIds", "firstDeviceMessageId").toInt()),
            .productId = static_cast<std::uint16_t>(at("hello", "productId").toInt()),
            .firmwareVersion = static_cast<std::uint16_t>(at("hello", "firmwareVersion").toInt()),
            .flags = static_cast<std::uint8_t>(at("hello", "flags").toInt())};
        if (!at("hello", "platformIdSent").isNull())
            hello.platformId = static_cast<std::uint16_t>(at("hello", "platformIdSent").toInt());
        return hello;
    }
    DeviceIdentity identity() const
    {
        DeviceIdentity device{
            .privateSlot = SecretBytes(ByteView(bytes("devicePrivateKeyPkcs1Der"))),
            .serverKeySlot = bytes("serverPublicKeySpkiDer"),
            .platformId = hello().platformId.value_or(0),
            .productId = hello().productId,
            .firmwareVersion = hello().firmwareVersion,
            .idOrder = order(),
            .helloFlags = hello().flags,
            .sendsPublicKey = at("deviceReply", "plaintextLength").toInt() == 214};
        std::ranges::copy(bytes("deviceId"), device.deviceId.begin());
        return device;
    }
};

} // namespace provost::test
