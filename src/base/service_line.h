/*
 * service_line -- a line of Postfix's master.cf, and which settings say the same
 *
 * From:     setting, which finds such a line in a main.cf; command/postconf, which is given one to keep
 * Touches:  nothing; what comes out is of the arena
 *
 * service_line_begins()  whether a first line looks like one: "submission inet n - y - - smtpd".
 * service_line_read()    the whole entry, its continuations joined by blanks.  False: it is none.
 * service_line_advice()  what to tell who wrote it into a main.cf, the settings one a line behind the first.
 *
 * Options it bears (-o NAME=VALUE, -o { NAME = VALUE }) become settings of that listener or transport alone.
 */
#ifndef BASE_SERVICE_LINE_H
#define BASE_SERVICE_LINE_H

#include "base/arena.h"
#include "base/bytes.h"

enum service_kind { SERVICE_LISTENER, SERVICE_TRANSPORT, SERVICE_INSIDE, SERVICE_PROGRAM };
struct service_pair {
	const char *name, *value;
};

struct service_line {
	enum service_kind    kind;
	struct bytes         service; /* its first word                                        */
	const char          *name;    /* what stands before the / of its settings, "" for none */
	const char          *note;    /* of one that is INSIDE or a PROGRAM: what there is here */
	bool                 named;   /* a listener that `listeners` must name                 */
	struct service_pair *pair;    /* its settings, however many                            */
	size_t               pairs, room;
};

bool        service_line_begins(struct bytes line);
bool        service_line_read(struct bytes entry, struct arena *, struct service_line *out);
const char *service_line_advice(const struct service_line *, struct arena *);

#endif
