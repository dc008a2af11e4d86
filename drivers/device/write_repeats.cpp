#include "device/write_repeats.h"

namespace provost {

bool mayBeRepeated(const Error& error, const OpContext& op)
{
    switch (error.code) {
    case Errc::Io:
    case Errc::InvalidData:
    case Errc::Mismatch:
    case Errc::Protected:
    case Errc::Protocol:
    case Errc::Timeout:
        return (error.blame == Blame::Unit || error.blame == Blame::Fixture) &&
               op.checkpoint().has_value();
    default:
        return false;
    }
}

bool judges(const Error& error)
{
    return error.code == Errc::Protected || error.code == Errc::Mismatch;
}

} // namespace provost
