// QProcess calls clone(2) in a way that ThreadSanitizer 19 takes for a thread with a slot of its
// own and stops at. Its child only prepares and executes another program: nothing to watch.
#include <sched.h>
#include <sys/types.h>

#include <cstdarg>

extern "C" int __clone(int (*run)(void*), void* stack, int flags, void* argument, ...);

extern "C" int clone(int (*run)(void*), void* stack, int flags, void* argument, ...)
{
    va_list rest;
    va_start(rest, argument);
    auto* parentId = va_arg(rest, pid_t*);
    auto* storage = va_arg(rest, void*);
    auto* childId = va_arg(rest, pid_t*);
    va_end(rest);
    return __clone(run, stack, flags, argument, parentId, storage, childId);
}
