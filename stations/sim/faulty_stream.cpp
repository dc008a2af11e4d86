#include "sim/faulty_stream_p.h"

#include "core/byte_io.h"

#include <algorithm>

namespace provost {

namespace {

// particle-devices 5.1; counted in bytes that the server has written.
constexpr std::size_t kBehindNonce = 40;
constexpr std::size_t kSealedBytes = 128;
constexpr std::size_t kSignatureBytes = 256;
constexpr std::size_t kBehindMessage3 = kBehindNonce + kSealedBytes + kSignatureBytes;
constexpr std::size_t kBehindHello = kBehindMessage3 + 18;

Unexpected hungUp()
{
    return fail(Errc::Disconnected, Blame::Cloud, "the virtual cloud hangs up");
}

class SilentStream final : public ByteStream {
public:
    explicit SilentStream(std::unique_ptr<ByteStream> line) : m_line(std::move(line)) {}
    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        return m_line->readSome(to, op);
    }
    Result<> writeAll(ByteView /*data*/, const OpContext& /*op*/) override { return {}; }
    Result<> discardInput() override { return m_line->discardInput(); }

private:
    std::unique_ptr<ByteStream> m_line;
};

class DroppingStream final : public ByteStream {
public:
    DroppingStream(std::unique_ptr<ByteStream> line, HandshakeStage stage)
        : m_line(std::move(line)), m_stage(stage)
    {
    }

    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        const bool overAfterMessage3 =
            m_stage == HandshakeStage::Credentials && m_written >= kBehindMessage3;
        const bool overAfterHello = m_stage == HandshakeStage::Session && m_written >= kBehindHello;
        if (overAfterMessage3 || overAfterHello)
            drop();
        if (!m_line)
            return hungUp();
        return m_line->readSome(to, op);
    }

    Result<> writeAll(ByteView data, const OpContext& op) override
    {
        const bool overAtOnce = m_stage == HandshakeStage::Nonce;
        const bool overAfterReply =
            m_stage == HandshakeStage::DeviceReply && m_written >= kBehindNonce;
        const bool overAfterUnitsHello =
            m_stage == HandshakeStage::Hello && m_written >= kBehindMessage3;
        if (overAtOnce || overAfterReply || overAfterUnitsHello)
            drop();
        if (!m_line)
            return hungUp();
        m_written += data.size();
        return m_line->writeAll(data, op);
    }

    Result<> discardInput() override { return m_line ? m_line->discardInput() : Result<>{}; }

private:
    void drop() { m_line.reset(); }
    std::unique_ptr<ByteStream> m_line;
    HandshakeStage m_stage;
    std::size_t m_written = 0;
};

/// Holds message 3 back until it is whole, then sends it with the other signature: what the server
/// signed is recovered from its own signature, so no credential is needed.
class OtherSignerStream final : public ByteStream {
public:
    OtherSignerStream(std::unique_ptr<ByteStream> line, const RsaPublicKey& server,
                      const RsaPrivateKey& signer)
        : m_line(std::move(line)), m_server(server), m_signer(signer)
    {
    }

    Result<std::size_t> readSome(ByteSpan to, const OpContext& op) override
    {
        return m_line->readSome(to, op);
    }

    Result<> writeAll(ByteView data, const OpContext& op) override
    {
        const std::size_t before =
            std::min(data.size(), kBehindNonce - std::min(m_written, kBehindNonce));
        if (before > 0)
            TRY(m_line->writeAll(data.first(before), op));
        const std::size_t room = kBehindMessage3 - kBehindNonce - m_message3.size();
        const std::size_t within = std::min(data.size() - before, m_replaced ? 0 : room);
        ByteWriter(m_message3).raw(data.subspan(before, within));
        m_written += before + within;
        if (!m_replaced && m_written == kBehindMessage3)
            TRY(sendMessage3(op));
        const ByteView behind = data.subspan(before + within);
        return behind.empty() ? Result<>{} : m_line->writeAll(behind, op);
    }

    Result<> discardInput() override { return m_line->discardInput(); }

private:
    Result<> sendMessage3(const OpContext& op)
    {
        const ByteView whole = m_message3;
        const Bytes signedPart = TRY(m_server.recover(whole.last(kSignatureBytes)));
        const Bytes signature = TRY(m_signer.signRaw(signedPart));
        m_replaced = true;
        TRY(m_line->writeAll(whole.first(kSealedBytes), op));
        return m_line->writeAll(signature, op);
    }

    std::unique_ptr<ByteStream> m_line;
    const RsaPublicKey& m_server;
    const RsaPrivateKey& m_signer;
    Bytes m_message3{};
    std::size_t m_written = 0;
    bool m_replaced = false;
};

} // namespace

std::unique_ptr<ByteStream> makeSilent(std::unique_ptr<ByteStream> line)
{
    return std::make_unique<SilentStream>(std::move(line));
}

std::unique_ptr<ByteStream> makeDropping(std::unique_ptr<ByteStream> line, HandshakeStage stage)
{
    return std::make_unique<DroppingStream>(std::move(line), stage);
}

std::unique_ptr<ByteStream> makeOtherSigner(std::unique_ptr<ByteStream> line,
                                            const RsaPublicKey& server, const RsaPrivateKey& signer)
{
    return std::make_unique<OtherSignerStream>(std::move(line), server, signer);
}

} // namespace provost
