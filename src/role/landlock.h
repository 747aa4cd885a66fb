/*
 * landlock -- what a process may still open, kept by the kernel (landlock(7))
 *
 * landlock_close()  from now on, for this thread and all it starts: nothing can
 *     be opened but what lies under these places; no TCP port bound or connected to (but to those of `ports`, or to any),
 *     no signal sent outside, no abstract socket reached, as far as this kernel knows
 *     how.  Returns the version of Landlock, 0 where there is none, -1 with errno.
 */
#ifndef ROLE_LANDLOCK_H
#define ROLE_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct landlock_place { const char *path; bool write; };
struct landlock_ports { uint16_t port[64]; size_t count; bool any; };
int landlock_close(const struct landlock_place *, size_t count, const struct landlock_ports *);

#endif
