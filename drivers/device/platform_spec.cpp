#include "device/platform_spec.h"

#include "core/text.h"

#include <algorithm>

namespace provost {

namespace {
constexpr std::size_t kIdDigits = 24;
}

Result<Segment> PlatformSpec::segment(std::string_view wanted) const
{
    const auto found = std::ranges::find(segments, wanted, &Segment::name);
    if (found == segments.end())
        return fail(Errc::InvalidArgument, Blame::Operator,
                    concat("find segment ", wanted, ": platform ", name, " has none of that name"));
    return *found;
}

std::string PlatformSpec::deviceIdOf(std::string_view usbSerial) const
{
    if (usbSerial.size() != kIdDigits ||
        std::ranges::find(constantSerials, usbSerial) != constantSerials.end() ||
        !fromHex(usbSerial))
        return {};
    return lowerCase(usbSerial);
}

} // namespace provost
