// Conversations of any shape: pieces of either direction, ended in any way.
#include "core/byte_io.h"
#include "fuzz/fuzz.h"
#include "protocol/handshake_explain.h"

using namespace provost;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 2)
        return 0;
    RecordedConversation conversation{.answered = (data[0] & 8) != 0,
                                      .incomplete = (data[0] & 16) != 0,
                                      .end = static_cast<RecordedEnd>((data[0] & 7) % 6)};
    ByteView rest = test::view(data + 1, size - 1);
    while (rest.size() > 1) {
        const std::size_t head = u8(rest.front());
        const std::size_t length = std::min((head & 0x7F) * 4, rest.size() - 1);
        conversation.pieces.push_back({.fromDevice = (head & 0x80) != 0,
                                       .atMs = static_cast<double>(conversation.pieces.size()),
                                       .bytes = toBytes(rest.subspan(1, length))});
        rest = rest.subspan(1 + length);
    }
    const auto explained = explainHandshake(conversation, {});
    test::demand(explained.report.passed == explained.report.cause.empty());
    test::demand(explained.report.passed || !explained.report.advice.empty());
    return 0;
}
