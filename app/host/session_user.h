// Who is at this computer.
#pragma once

#include <string>

namespace provost {

/// The account that this program runs under, else `uid N`; never empty. It proves no person.
std::string sessionUser();

} // namespace provost
