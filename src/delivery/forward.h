/*
 * forward -- what stands in a ~/.forward: to whom a user's mail goes instead
 *
 * From:     role/keeper-forward
 * Pure: text in, views and copies in the arena out.
 *
 * Targets stand by line and by comma, as in aliases(5): an address, a name, \name (that mailbox, no further
 * forwarding), |command, /file, :include:/file.  What has blanks, commas or quotes in it stands in "quotes", where a
 * backslash takes the meaning from what follows.  A line that begins with # says nothing.  Of "Name <address>"
 * the address counts.  What cannot be understood is left out and told of by `wrong`.
 *
 * forward_read()    at most FORWARD_TARGETS_MOST of them; the number.
 * forward_path()    one name of forward_path with $home, $user, $local, $domain and $extension put in.  False: a name of
 *     the list that has no meaning here, or an extension that would lead elsewhere.
 */
#ifndef DELIVERY_FORWARD_H
#define DELIVERY_FORWARD_H

#include "base/arena.h"
#include "base/buffer.h"

enum { FORWARD_TARGETS_MOST = 200, FORWARD_TEXT_MOST = 64 << 10 };
enum forward_kind { FORWARD_ADDRESS, FORWARD_MAILBOX, FORWARD_COMMAND, FORWARD_FILE, FORWARD_INCLUDE };
struct forward_target { enum forward_kind kind; struct bytes text; };

size_t forward_read(struct bytes text, struct arena *, struct forward_target out[static FORWARD_TARGETS_MOST],
                    bool *wrong);
struct forward_facts { struct bytes home, user, local, domain, extension; };
bool forward_path(struct bytes form, const struct forward_facts *, struct buffer *out);

#endif
