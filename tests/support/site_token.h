// The token of a site's cloud, as tests write it.
#pragma once

#include "core/byte_io.h"
#include "crypto/secret_bytes.h"

#include <string_view>

namespace provost::test {

inline constexpr const char* kToken = "0123456789abcdef0123456789abcdef01234567";

inline SecretBytes secret(std::string_view text)
{
    return SecretBytes(viewOf(text));
}

} // namespace provost::test
