/*
 * scope -- of what a setting may be said: of one listener (submission/NAME), or of the whole server alone
 *
 * From:     settings-check
 *
 * scope_check()  every setting of the file that is said of a listener, and that nobody reads of one listener. Those that belong to what
 *     all listeners share (lists in the DNS, what was learned of addresses) are errors; others, as a master.cf of Postfix's says them
 *     of a service, are warned of: they are what they are for all.  False when there was an error.
 */
#ifndef ROLE_SCOPE_H
#define ROLE_SCOPE_H

#include "role/listeners.h"

bool scope_check(struct settings *, const struct listeners *, const char *file, struct buffer *errors, struct buffer *warnings);

#endif
