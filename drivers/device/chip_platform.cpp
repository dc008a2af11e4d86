#include "device/chip_platform.h"

#include "core/byte_io.h"

#include <array>
#include <span>

namespace provost {

namespace {

/// Where a module of a second-generation board may begin, and its header (particle-devices 2.2,
/// 2.3, 6.1).
struct HeaderPlace {
    std::uint32_t start = 0;
    std::uint32_t header = 0;
    std::uint32_t room = 0; ///< bytes that a module there may have
};
constexpr std::array kPlacesF1{HeaderPlace{0x08005000, 0x10C, 0x1B000}};
constexpr std::array kPlacesF2{HeaderPlace{0x08000000, 0x184, 0x4000},
                               HeaderPlace{0x08020000, 0x184, 0x60000}};
constexpr std::uint32_t kModuleHeaderBytes = 24;
constexpr std::uint8_t kLastFunction = 8;

std::optional<std::uint16_t> platformOfHeader(ByteView header, const HeaderPlace& place)
{
    const std::uint32_t start = readLe32(header, 0);
    const std::uint32_t end = readLe32(header, 4);
    const std::uint8_t function = u8(header[14]);
    if (start != place.start || end <= start || end - start > place.room || function == 0 ||
        function > kLastFunction)
        return std::nullopt;
    return readLe16(header, 12);
}

} // namespace

Result<std::optional<std::uint16_t>> platformInFlash(StLinkProbe& probe, Stm32Part::Family family,
                                                     const OpContext& op)
{
    const auto places = family == Stm32Part::Family::F1 ? std::span<const HeaderPlace>(kPlacesF1)
                                                        : std::span<const HeaderPlace>(kPlacesF2);
    for (const HeaderPlace& place : places) {
        const Bytes header = TRY(probe.read(place.start + place.header, kModuleHeaderBytes, op));
        if (const auto platform = platformOfHeader(header, place))
            return platform;
    }
    return std::optional<std::uint16_t>{};
}

} // namespace provost
