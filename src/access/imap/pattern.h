/*
 * pattern -- LIST patterns (rfc3501:6.3.8): "*" is anything, "%" anything but "/"
 *
 * Time grows with pattern times name, whatever the pattern: no backtracking.
 */
#ifndef ACCESS_IMAP_PATTERN_H
#define ACCESS_IMAP_PATTERN_H

#include "base/bytes.h"

enum { PATTERN_MOST = 2048 };
/* INBOX as the first level matches in any case.  Longer patterns match nothing. */
bool pattern_matches(struct bytes pattern, struct bytes name);

#endif
