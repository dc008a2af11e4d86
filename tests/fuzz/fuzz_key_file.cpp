// Keys from outside and what stands in a slot: what the unit's own reader takes has a public half.
#include "crypto/unit_key.h"
#include "fuzz/fuzz.h"

using namespace provost;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const ByteView bytes = test::view(data, size);
    const KeyReading reading = readAsUnit(bytes);
    test::demand(reading.readable == reading.reason.empty());
    test::demand(!reading.readable || reading.publicKey.has_value());
    static_cast<void>(judgeKeyFile(bytes));
    static_cast<void>(RsaPublicKey::fromText(bytes));
    return 0;
}
