/*
 * sender -- what the files of the sender role share
 *
 *     sender.c           the card; SEND is taken, hosts are found and tried one after another, SENT is said
 *     sender-tls.c       how sure a connection must be, by destination, and what TLS that takes
 *     sender-host.c      where connections come from, and what a host's offers are worth
 *     sender-session.c   connections: how they come about, what goes through them, which are kept for a moment
 */
#ifndef ROLE_SENDER_H
#define ROLE_SENDER_H

#include "base/map.h"
#include "channel/stream.h"
#include "dns/resolver.h"
#include "role/house.h"
#include "role/tables.h"
#include "smtp/sender/tlsa.h"
#include "smtp/sender/outgoing.h"
#include "smtp/sender/route.h"
#include "smtp/sender/security.h"
#include "smtp/sender/settings.h"

struct contact;
struct sender_role {
	struct sender_settings rows;
	struct common_settings common;
	struct resolver *resolver;
	struct sender_tls *tls;            /* contexts made so far, by what they speak */
	size_t           tls_count;
	struct tables   *tables;
	struct delivery *first;
	struct contact  *contacts;
	struct map      *idle;             /* those that wait for a letter, by what makes two alike */
	uint32_t         deliveries, sessions;
	uint64_t         sent;
	struct timer    *leaving;
	bool             left;
};
static inline struct sender_role *
sender_of(struct house *h)
{
	return h->mine;
}

/* A question about a name and its answer. */
struct asked {
	struct asked    *next;
	struct delivery *delivery;
	struct lookup    lookup;
	struct bytes     name;
	uint16_t         type;
	bool             done;
	struct answer    answer;
};

/* A SEND on its road. */
struct delivery {
	struct delivery *next, **at;
	struct house    *house;
	struct arena    *life;
	uint32_t         ticket, policy;    /* policy: of PROBE, who asks           */
	bool             probe;
	struct word_send w;
	int              fd;
	struct outgoing_transaction t;      /* those that have no result yet       */
	uint32_t        *which;             /* of t.rcpt in w.recipient            */
	struct sent_recipient *result;
	bool            *known;
	struct asked    *asked;
	uint32_t         asking;
	struct route     route;
	const struct route_host *here;      /* whom it is at; NULL: the route is not known */
	struct security  security;          /* what is asked of this host          */
	struct tlsa      dane;              /* with SECURITY_DANE                  */
	const char      *row;               /* the word of smtp_tls_policy_maps, "" none */
	size_t           host, sessions;
	struct contact  *contact;
	bool             talked;            /* a host let us begin                 */
	bool             clear;             /* this host once more, without TLS    */
	bool             again;             /* a connection that had waited was gone: made anew once */
	int64_t          begun_us, ready_us;
	const char      *status, *text, *relay;      /* of the last failure        */
	const char      *tls;
};

/* sender-session.c */
/* Connects to the next host of its route, or takes a connection that is there; a path where the route has no host. */
void contact_begin(struct delivery *, const struct route_host *, const char *path);
/* The delivery is over before its time. */
void contact_part(struct delivery *);
void contacts_leave(struct house *);
bool contacts_busy(const struct house *);

/* sender-host.c */
/* The addresses the connections of a delivery come from, by blanks, "" any; NULL: it cannot be known now, and why. */
const char *sender_bind_words(struct house *, const struct word_send *, struct arena *, const char **why);
/* False with errno: a connection of that family must not come about. */
bool sender_bind(struct house *, int fd, int family, const char *words);
/* Offers (enum outgoing_offer) of the host that are not made use of.  False: it cannot be known now. */
bool sender_discards(struct house *, const char *address, struct arena *, unsigned *offers);

/* sender-tls.c */
/* What is asked of the host a delivery is at (NULL: of a socket): by smtp_tls_policy_maps, the settings and what is proved of it.
   WISHES_NOT: nothing may be sent there now, and why, in d->text and d->status. */
enum wishes { WISHES_KNOWN, WISHES_WAIT, WISHES_NOT };
enum wishes sender_wishes(struct delivery *, const struct route_host *);
/* NULL: there is no such TLS, and the log has why. */
struct tls *sender_tls_for(struct house *, const struct security *);
void sender_tls_begin(struct house *);
void sender_tls_forget(struct house *);

/* sender.c: an answer of the name service, NULL while there is none (route.h); ctx is the delivery. */
const struct answer *delivery_ask(void *ctx, struct bytes name, uint16_t type);
/* What a contact tells.  The relay is "mx.example.com[192.0.2.1]:25". */
/* `dsn`: the host knows what the sender wants to hear of. */
void delivery_fate(struct delivery *, uint32_t rcpt, enum outgoing_fate, const char *status, const char *words, bool dsn);
void delivery_done(struct delivery *);
void delivery_failed(struct delivery *, enum outgoing_fate, const char *status, const char *words);

#endif
