/*
 * subject -- what threads and sorting want of a header (rfc5256)
 *
 * subject_base()  the base subject of a decoded subject, a view into it after
 *                 its blanks are made one (rfc5256:2.1).
 * subject_is_reply() whether a "re" or "fwd" was taken off for it: a reply or forward (rfc5256:3).
 * references_of() the message ids of References, or the first of In-Reply-To
 *                 when there are none there, one blank between them (rfc5256:3).
 * message_id_of() the first id of a field with its brackets; "" if none.
 *
 * An id is written in one way: <"john"@host> as <john@host>.
 */
#ifndef MESSAGE_SUBJECT_H
#define MESSAGE_SUBJECT_H

#include "base/arena.h"
#include "base/buffer.h"

struct bytes subject_base(struct bytes decoded, struct arena *);
bool         subject_is_reply(struct bytes decoded, struct arena *);
struct bytes references_of(struct bytes references, struct bytes in_reply_to, struct arena *);
struct bytes message_id_of(struct bytes field, struct arena *);

#endif
