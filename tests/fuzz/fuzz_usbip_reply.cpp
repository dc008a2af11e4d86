// What a USB/IP server answers to the two first questions.
#include "core/byte_io.h"
#include "fuzz/fuzz.h"
#include "transport/usbip_wire_p.h"

using namespace provost;

namespace {

class Scripted final : public ByteStream {
public:
    explicit Scripted(ByteView script) : m_rest(script) {}
    Result<std::size_t> readSome(ByteSpan to, const OpContext&) override
    {
        if (m_rest.empty())
            return fail(Errc::Disconnected, Blame::Fixture, "end of script");
        const std::size_t size = std::min(to.size(), m_rest.size());
        std::ranges::copy(m_rest.first(size), to.begin());
        m_rest = m_rest.subspan(size);
        return size;
    }
    Result<> writeAll(ByteView, const OpContext&) override { return {}; }
    Result<> discardInput() override { return {}; }

private:
    ByteView m_rest;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const SystemClock clock;
    const OpContext op{.clock = clock, .deadline = {clock.now() + std::chrono::seconds(60)}};
    Scripted list(test::view(data, size));
    static_cast<void>(usbip::requestList(list, op));
    Scripted import(test::view(data, size));
    static_cast<void>(usbip::requestImport(import, "1-1", op));
    return 0;
}
