// What a unit answers to a queued control request.
#include "fuzz/fuzz.h"
#include "protocol/control_messages_p.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace provost;
    const ByteView message = test::view(data, size);
    const auto read = control::MessageReader::read(message);
    if (!read)
        return 0;
    for (unsigned field = 0; field < 16; ++field) {
        const ByteView bytes = read->bytes(field);
        test::demand(bytes.empty() || (bytes.data() >= message.data() &&
                                       bytes.data() + bytes.size() <= message.data() + size));
    }
    return 0;
}
