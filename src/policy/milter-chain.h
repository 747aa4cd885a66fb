/*
 * milter-chain -- one session of a mail server and the filters it is shown to, one after the other
 *
 * From:     role/policy-milter, which hears of each event from a receiver
 * To:       policy/milter-line, one for each filter
 * Touches:  nothing; struct milter_needs does
 *
 * milter_chain_event()    tells the filters, each when the one before it was content; `said` follows, at once or later.
 *      One event at a time.  The strings are copied.
 * milter_chain_content()  shows them the letter: each sees what those before it made of it.  `made` follows.  The source
 *      must live until then.
 * milter_chain_abort()    the transaction is over, or there was none.
 * milter_chain_close()    the session is over.
 *
 * A filter that cannot be reached, is late, ends, or speaks nonsense is spoken to no more in this session; what its
 * default_action says is done, and the log hears of it once, until it answers again.
 */
#ifndef POLICY_MILTER_CHAIN_H
#define POLICY_MILTER_CHAIN_H

#include "policy/milter-header.h"
#include "policy/milter-line.h"

struct milter_said {
	const char *reply;             /* NULL: go on; else lines with CRLF between them, "550 5.7.1 ..." */
	bool shut;                     /* and the session ends                        */
	bool discard, hold;            /* the letter is thrown away; is kept until somebody looks at it   */
	uint32_t wants;
	const char *by;                /* the filter, "" none                         */
	const char *reason;            /* of hold, as the filter has it               */
};
struct milter_event {
	enum milter_stage stage;       /* CONNECT HELO MAIL RCPT DATA UNKNOWN         */
	const struct bytes *argument;  /* CONNECT: name, address; HELO: name; MAIL, RCPT: "<address>", parameters; UNKNOWN: the line */
	size_t arguments;
	char family;                   /* of CONNECT                                  */
	uint16_t port;
	bool refused;                  /* RCPT: it was refused                        */
	struct milter_macros macros;
};
struct milter_made {
	struct milter_said said;
	struct edits edits;            /* of the content; a new body is file_at 0 of `body` */
	void *body;                    /* a source, the hearer's; NULL: as it was     */
	struct bytes front;            /* fields before our own Received field        */
	const struct milter_envelope *envelope;
	size_t envelopes;
};
struct milter_content {
	void *source;
	uint64_t len, most;            /* most: the largest a new body may be         */
	struct bytes fields;           /* that are missing, and come behind its own   */
	struct milter_macros macros;
};

struct milter_chain;
struct milter_chain *milter_chain_open(struct milter_set *, const struct milter_needs *, void *house,
	void (*said)(void *ctx, const struct milter_said *), void (*made)(void *ctx, const struct milter_made *), void *ctx);
void milter_chain_event(struct milter_chain *, const struct milter_event *);
void milter_chain_content(struct milter_chain *, const struct milter_content *);
void milter_chain_abort(struct milter_chain *);
bool milter_chain_busy(const struct milter_chain *);
void milter_chain_close(struct milter_chain **);

#endif
