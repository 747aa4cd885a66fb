/*
 * through -- by which names of ours a recipient's copy has come: its Delivered-To fields
 *
 * From:     role/queue, for recipients whom a local alias or somebody's ~/.forward led to
 * Touches:  nothing
 *
 * One text, kept with the recipient (struct recipient, `through`): the local name that was opened for this copy, then those
 * it came by before, newest first, each with LF behind it.  "" where there is neither, as with nearly all.
 *
 * through_entered()  the name; "" none.            through_passed()  those before it, lines.
 * through_circles()  whether a name is one of those before, whatever its case, and not the newest: what comes by it again goes in a
 *     circle.  The newest is who sent it on just now, to an alias of their own.
 * through_enter()    the same with the name, unless there is one: an alias within an alias is the first one's.
 * through_leave()    the copy goes on from here: the name, or `own` where there is none, is one of those before, in small letters.
 */
#ifndef QUEUE_THROUGH_H
#define QUEUE_THROUGH_H

#include "base/arena.h"
#include "base/bytes.h"

struct bytes through_entered(const char *through);
struct bytes through_passed(const char *through);
bool through_circles(const char *through, struct bytes name);
const char  *through_enter(const char *through, struct bytes name, struct arena *);
const char  *through_leave(const char *through, struct bytes own, struct arena *);

#endif
