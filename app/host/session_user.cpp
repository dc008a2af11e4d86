#include "host/session_user.h"

#include "core/text.h"

#include <pwd.h>
#include <unistd.h>

namespace provost {

std::string sessionUser()
{
    const auto* entry = ::getpwuid(::geteuid());
    const std::string name = entry != nullptr ? entry->pw_name : "";
    return name.empty() ? concat("uid ", ::geteuid()) : name;
}

} // namespace provost
