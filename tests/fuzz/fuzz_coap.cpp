// Decrypted messages of a handshake session.
#include "fuzz/fuzz.h"
#include "protocol/handshake_p.h"

using namespace provost;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const ByteView bytes = test::view(data, size);
    if (const auto message = handshake::parseCoap(bytes))
        test::demand(message->payload.size() < size && message->token.size() <= 8);
    static_cast<void>(handshake::parseDeviceHello(bytes));
    return 0;
}
