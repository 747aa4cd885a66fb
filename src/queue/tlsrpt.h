/*
 * tlsrpt -- how TLS with the hosts of one domain came about on one day, and the report of it (rfc8460)
 *
 * From:     role/queue, of what senders tell
 * Touches:  nothing
 *
 * tlsrpt_add()    one session.
 * tlsrpt_pack(), tlsrpt_unpack()  as bytes, for queue.db; NULL: they are broken.
 * tlsrpt_write()  the report in JSON (rfc8460:4.4).
 *
 * Of policies TLSRPT_POLICIES_MOST and of ways to fail with each TLSRPT_FAILURES_MOST are told apart; what is more is added
 * to the totals alone.
 */
#ifndef QUEUE_TLSRPT_H
#define QUEUE_TLSRPT_H

#include "base/buffer.h"

enum { TLSRPT_POLICIES_MOST = 20, TLSRPT_FAILURES_MOST = 50 };
enum tlsrpt_policy { TLSRPT_NONE, TLSRPT_TLSA, TLSRPT_STS, TLSRPT_POLICIES };
struct tlsrpt_session {
	uint8_t     policy;            /* enum tlsrpt_policy                       */
	const char *text;              /* the policy, in lines                     */
	const char *host, *address;    /* of whom TLS was wanted                   */
	const char *local, *helo;      /* our address; what the host calls itself; "" not known */
	const char *type, *reason;     /* rfc8460:4.3; type "": it came about      */
};
struct tlsrpt_head { const char *organization, *contact, *id, *domain; int64_t day; };   /* day: its first second */
struct tlsrpt;
struct tlsrpt *tlsrpt_open(void);
void tlsrpt_close(struct tlsrpt **);
void tlsrpt_add(struct tlsrpt *, const struct tlsrpt_session *);
void tlsrpt_pack(const struct tlsrpt *, struct buffer *);
struct tlsrpt *tlsrpt_unpack(struct bytes);
void tlsrpt_write(const struct tlsrpt *, const struct tlsrpt_head *, struct buffer *json);

#endif
