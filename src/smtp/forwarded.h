/*
 * forwarded -- what a trusted peer says of its own client: XCLIENT and XFORWARD, as Postfix's
 * XCLIENT_README and XFORWARD_README write them
 *
 * From:     smtp/receiver/verb-client
 *
 * forwarded_parse() reads attribute=value pairs parted by blanks; values are xtext (rfc3461:4).  False with the
 *     reply to give, whole but for its line end, which may lie in the arena.  Of two values of an
 *     attribute the last holds.
 *
 * An attribute is said (in `said`) with a value, or without one: [UNAVAILABLE] is in `none`, too, and a name
 * that is [TEMPUNAVAIL] in `later` as well.  Values hold no control character and can stand in a log line.
 */
#ifndef SMTP_FORWARDED_H
#define SMTP_FORWARDED_H

#include "base/arena.h"
#include "channel/peer.h"

enum forwarded_attribute {
	FORWARDED_NAME, FORWARDED_ADDR, FORWARDED_PORT, FORWARDED_PROTO, FORWARDED_HELO, FORWARDED_REVERSE_NAME,
	FORWARDED_LOGIN, FORWARDED_DESTADDR, FORWARDED_DESTPORT,   /* XCLIENT alone  */
	FORWARDED_IDENT, FORWARDED_SOURCE,                         /* XFORWARD alone */
	FORWARDED_ATTRIBUTES
};
enum forwarded_command { FORWARDED_XCLIENT, FORWARDED_XFORWARD };
struct forwarded {
	unsigned     said, none, later;               /* 1 << attribute              */
	struct bytes value[FORWARDED_ATTRIBUTES];
	struct peer  peer;                            /* of ADDR, and of PORT if that was said */
	struct peer  here;                            /* of DESTADDR and DESTPORT    */
};
bool forwarded_parse(struct bytes argument, enum forwarded_command, struct arena *, struct forwarded *, const char **reply);
static inline bool
forwarded_has(const struct forwarded *f, enum forwarded_attribute a)
{
	return (f->said & ~f->none) >> a & 1;
}
static inline bool
forwarded_says(const struct forwarded *f, enum forwarded_attribute a)
{
	return f->said >> a & 1;
}

#endif
