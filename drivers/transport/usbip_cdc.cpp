#include "transport/usbip_cdc_p.h"

#include "core/byte_io.h"

namespace provost::usbip {

namespace {

constexpr std::uint8_t kInterface = 4;
constexpr std::uint8_t kEndpoint = 5;
constexpr std::uint8_t kClassInterface = 0x24;
constexpr std::uint8_t kUnion = 6;
constexpr std::uint8_t kCommunication = 2;
constexpr std::uint8_t kAbstractControl = 2;
constexpr std::uint8_t kData = 10;
constexpr std::uint8_t kBulk = 2;

/// What one walk through the descriptors has found.
struct Walk {
    std::optional<std::uint8_t> control{};
    std::optional<std::uint8_t> data{}; ///< of the union descriptor, else the first of class data
    bool inControl = false;
    bool inData = false;
    CdcLayout layout{};

    void interface(ByteView descriptor)
    {
        const std::uint8_t number = u8(descriptor[2]);
        const std::uint8_t code = u8(descriptor[5]);
        inControl = !control && code == kCommunication && u8(descriptor[6]) == kAbstractControl;
        if (inControl)
            control = number;
        if (control && !data && code == kData)
            data = number;
        inData = data == number && code == kData;
    }
    void endpoint(ByteView descriptor)
    {
        const std::uint8_t address = u8(descriptor[2]);
        if (!inData || (u8(descriptor[3]) & 3) != kBulk)
            return;
        std::uint8_t& place = (address & 0x80) != 0 ? layout.in : layout.out;
        if (place == 0)
            place = address & 0x0F;
    }
};

} // namespace

std::optional<CdcLayout> findCdc(ByteView configuration)
{
    Walk walk;
    while (configuration.size() >= 2) {
        const std::size_t length = u8(configuration[0]);
        if (length < 2 || length > configuration.size())
            break;
        const ByteView descriptor = configuration.first(length);
        const std::uint8_t type = u8(descriptor[1]);
        if (type == kInterface && length >= 9)
            walk.interface(descriptor);
        else if (type == kEndpoint && length >= 7)
            walk.endpoint(descriptor);
        else if (type == kClassInterface && length >= 5 && walk.inControl &&
                 u8(descriptor[2]) == kUnion)
            walk.data = u8(descriptor[4]);
        configuration = configuration.subspan(length);
    }
    if (!walk.control || !walk.data || walk.layout.in == 0 || walk.layout.out == 0)
        return std::nullopt;
    walk.layout.control = *walk.control;
    walk.layout.data = *walk.data;
    return walk.layout;
}

} // namespace provost::usbip
