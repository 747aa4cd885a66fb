/*
 * sender -- what the files of the sender role share
 *
 *     sender.c           the card
 *     sender-delivery.c  SEND is taken, hosts are found and tried one after another, SENT is said
 *     sender-answers.c   what the name service says of them
 *     sender-tls.c       how sure a connection must be, by destination, and what TLS that takes
 *     sender-host.c      where connections come from, and what a host's offers are worth
 *     sender-session.c   connections: how they come about, which are kept for a moment
 *     sender-mouth.c     what goes through them
 *     sender-past.c      what a queue that is gone has not heard
 *     sender-tables.c    what tables know of a host, and of what became of a recipient
 *     sender-reply.c     smtp_reply_filter
 */
#ifndef ROLE_SENDER_H
#define ROLE_SENDER_H

#include "base/map.h"
#include "channel/stream.h"
#include "dns/resolver.h"
#include "message/edits.h"
#include "policy/checks.h"
#include "role/mishaps.h"
#include "role/house.h"
#include "role/question.h"
#include "role/tables.h"
#include "smtp/sender/tlsa.h"
#include "smtp/sender/outgoing.h"
#include "smtp/sender/route.h"
#include "smtp/sender/security.h"
#include "smtp/sender/settings.h"
#include "smtp/sender/sts.h"
#include "smtp/sender/webreply.h"
#include "base/map.h"

struct contact;
struct sender_role {
	struct sender_settings rows;
	struct map      *rows_of;          /* the name of a transport -> its struct sender_settings */
	struct common_settings common;
	struct resolver *resolver;
	struct sender_tls *tls;            /* contexts made so far, by what they speak */
	size_t           tls_count;
	struct tables   *tables;
	struct enquiries *enquiries;
	struct inquests  *inquests;        /* for checks of letters                */
	struct questions questions;        /* at the verifiers                     */
	struct setting_list mydestination; /* for generic(5)                       */
	const char      *relayhost;
	struct map      *policies;         /* domain -> struct sts_known           */
	size_t           policies_bytes;
	struct delivery *first;
	struct contact  *contacts;
	struct map      *idle;             /* those that wait for a letter, by what makes two alike */
	uint32_t         idles;            /* so many                              */
	uint32_t         deliveries, sessions;
	uint64_t         sent;
	struct timer    *leaving;
	bool             left;
	uint32_t         queues;           /* how many are gone                    */
	struct sender_past *past;
	unsigned         notify;           /* enum fault_class the postmaster wants to hear of */
	struct mishaps mishaps;
	struct map      *chunkless;        /* relays that offer CHUNKING and know no BDAT */
	struct map      *refusals;         /* of logins, by host, user and password */
};
static inline struct sender_role *
sender_of(struct house *h)
{
	return h->mine;
}

enum { SMTPS = 465 /* rfc8314:7.3: TLS from the first byte, whatever a setting says */ };

/* What became of fetching a domain's policy. */
enum sts_failure { STS_FETCHED, STS_UNREACHED, STS_UNTRUSTED, STS_INVALID };
/* A domain and what is known of its policy. */
struct sts_known {
	char             *domain;
	struct arena     *life;                /* of text and policy; NULL: none is known */
	struct bytes      text;
	struct sts_policy policy;
	char              id[STS_ID_MOST + 1], tried[STS_ID_MOST + 1];
	int64_t           fetched_s, until_s, tried_s;
	bool              fetching, learned;   /* learned: the queue has not heard of it */
	enum sts_failure  failure;
	const char       *why;
};

/* A question about a name and its answer. */
struct asked {
	struct asked    *next;
	struct delivery *delivery;
	struct lookup    lookup;
	struct bytes     name;
	uint16_t         type;
	bool             heard, done;       /* done: it is filtered, too           */
	struct answer    answer;
};

/* A SEND on its road. */
struct delivery {
	struct delivery *next, **at;
	struct house    *house;
	struct arena    *life;
	uint32_t         ticket, policy;    /* policy: of PROBE, who asks           */
	uint32_t         queue;             /* which said it: how many were gone then */
	bool             waits_past;        /* the same is under way for a queue that is gone */
	bool             probe;
	struct word_send w;
	struct bytes     sender;            /* before smtp_generic_maps            */
	const struct sender_settings *rows; /* of its transport                    */
	int              fd;
	struct outgoing_transaction t;      /* those that have no result yet       */
	uint32_t        *which;             /* of t.rcpt in w.recipient            */
	struct sent_recipient *result;
	bool            *known;
	struct asked    *asked;
	struct refitting *refit;            /* NULL: it goes as it is              */
	struct edits     edits;             /* of the letter, for its road         */
	struct edits_walk walk;             /* where it is read                    */
	struct edits_piece piece;
	uint64_t         piece_at;          /* of the letter as it goes            */
	bool             walking;
	struct looked   *looked;            /* in tables of other servers          */
	uint32_t         asking;            /* answers that are waited for         */
	struct route     route;
	const struct route_host *here;      /* whom it is at; NULL: the route is not known */
	struct security  security;          /* what is asked of this host          */
	struct tlsa      dane;              /* with SECURITY_DANE                  */
	bool             by_sts;            /* the policy below is to be kept      */
	struct sts_known *sts, *waits_for;  /* its destination's, once it was asked for */
	enum sts_failure sts_failure;
	struct tls_result *tls_result;      /* how TLS came about, TLS_RESULTS_MOST of them */
	uint32_t         tls_results;
	const char      *local, *helo;      /* of its session: our address, what the host calls itself */
	const char      *row;               /* the word of smtp_tls_policy_maps, "" none */
	size_t           host, sessions;
	struct contact  *contact;
	bool             talked;            /* a host let us begin                 */
	bool             loops;             /* the best host is ourselves          */
	bool             clear;             /* this host once more, without TLS    */
	bool             by_data;           /* one was tried once more, without BDAT */
	bool             again;             /* a connection that had waited was gone: made anew once */
	int64_t          begun_us, ready_us;
	const char      *status, *text, *relay;      /* of the last failure        */
	const char      *tls;
	bool             ended;             /* all are known; smtp_delivery_status_filter is asked */
};

/* sender-session.c */
/* Connects to the next host of its route, or takes a connection that is there; a path where the route has no host. */
void contact_begin(struct delivery *, const struct route_host *, const char *path);
/* The delivery is over before its time. */
void contact_part(struct delivery *);
/* Others want the place of this one, if its host has not said a word yet. */
bool hear_hurry(struct house *, uint32_t ticket);
void contacts_leave(struct house *);
bool contacts_busy(const struct house *);

/* sender-tables.c */
/* The first of these tables that has the key; TABLE_WAIT: another server was asked, and delivery_heard() follows. */
enum table_outcome sender_lookup(struct delivery *, const struct setting_list *tables, struct bytes key, struct bytes *value);
/* An address as Postfix asks for one: user+ext@domain, user@domain, user+ext and user where the domain is ours, @domain. */
enum table_outcome sender_lookup_address(struct delivery *, const struct setting_list *tables, struct bytes address, struct bytes *value, struct bytes *extension);
/* What smtp_sasl_mechanism_filter says, in words alone. */
enum table_outcome sender_mechanisms(struct delivery *, struct setting_list *);
bool sender_tables_ready(struct delivery *, const char *host, const char *address);
/* smtp_delivery_status_filter: what became of each is told as that has it.  False: it is asked, and delivery_heard() follows. */
bool sender_results_filter(struct delivery *);
void sender_lookups_drop(struct delivery *);
void sender_tables_open(struct house *);                         /* settings are new */
void delivery_heard(struct delivery *);                          /* sender-delivery.c: all that was asked is here */

/* sender-reply.c: smtp_reply_filter in one session. */
struct reply_filter;
struct reply_filter *reply_filter_open(struct house *, const struct setting_list *, void (*answered)(void *ctx), void *ctx);
/* FILTERED_WAIT: `answered` follows, and the same line is to be given once more. */
enum response_filtered reply_filter_line(struct reply_filter *, struct bytes line, struct buffer *instead);
bool reply_filter_waits(const struct reply_filter *);            /* NULL: no     */
void reply_filter_close(struct reply_filter **);

/* False: the other's turn comes, and it is tried again later; or it comes back. */
void delivery_put_off(struct delivery *, const char *status, const char *text);
void delivery_refuse(struct delivery *, const char *status, const char *text);

/* sender-refit.c */
/* The envelope and the letter are as smtp_generic_maps and smtp_header_checks want them.  False: they will be, and delivery_heard()
   follows; or the delivery has ended. */
bool sender_refit(struct delivery *);
void sender_refit_seven(struct delivery *);              /* the host does not take it as it is; the same */
void sender_refit_drop(struct delivery *);
uint64_t sender_content_len(const struct delivery *);
size_t sender_content(struct delivery *, uint64_t at, char *to, size_t room);

/* sender-host.c */
/* The addresses the connections of a delivery come from, by blanks, "" any; NULL: it cannot be known now, and why; without a reason
   a table is waited for. */
const char *sender_bind_words(struct delivery *, const char **why);
/* False with errno: a connection of that family must not come about. */
bool sender_bind(const struct sender_settings *, int fd, int family, const char *words);
/* Connects to a socket; one named without a slash in front is looked for in each of the directories.  0 and *fd, or errno. */
int sender_connect_path(const char *said, const struct setting_list *in, int *fd);
/* enum supplicant_demand of these words. */
unsigned sender_demands(const struct setting_list *words);
struct outgoing_origin sender_origin(struct delivery *);         /* whom XFORWARD tells of */
/* Offers (enum outgoing_offer) of the host that are not made use of. */
enum table_outcome sender_discards(struct delivery *, const char *address, unsigned *offers);
/* What is done where a PIX firewall stands before it (enum outgoing_pix). */
enum table_outcome sender_pix(struct delivery *, const char *address, unsigned *workarounds);
/* Whose session this is, for what is told of it. */
void sender_met(struct delivery *, int fd, const struct outgoing *);
/* What the host a delivery is at goes by: behind its aliases with smtp_cname_overrides_servername, but not where it is known by what
   DANE, a policy or the letter demand. */
const char *sender_host_name(const struct delivery *);
/* A host that says our own name is known by it. */
void sender_name_own(const struct delivery *, const struct route_host *, struct arena *, struct outgoing_config *);
/* USER:PASSWORD of the first key that a table has: the sender, the host, the destination. */
enum table_outcome sender_password(struct delivery *, const char *host, struct bytes *value);

/* What a host said to this user and password (smtp_sasl_auth_cache_name); NULL: nothing that counts now. */
void sender_login_note(struct house *, const struct sender_settings *, const struct outgoing_config *, const char *words);
const char *sender_login_noted(struct house *, const struct sender_settings *, const struct outgoing_config *, struct arena *);

/* Hosts that offer CHUNKING and have shown that they know no BDAT: they are spoken to as if they did not, until this role ends. */
void sender_chunkless_note(struct house *, const char *relay);
bool sender_is_chunkless(struct house *, const char *relay);

/* sender-tls.c */
/* What is asked of the host a delivery is at (NULL: of a socket): by smtp_tls_policy_maps, the settings and what is proved of it.
   WISHES_NOT: nothing may be sent there now, and why, in d->text and d->status. */
enum wishes { WISHES_KNOWN, WISHES_WAIT, WISHES_NOT };
enum wishes sender_wishes(struct delivery *, const struct route_host *);
/* NULL: there is no such TLS, and the log has why. */
struct tls *sender_tls_for(struct house *, const struct sender_settings *, const struct security *);
void sender_tls_begin(struct house *);
void sender_tls_forget(struct house *);

/* The anchors (struct security) that a certificate is trusted by, if it is any; false: none of them can be read. */
bool sender_anchors(struct house *, const struct security *, struct arena *, struct tls_demand *);
/* With the authorities that policies are about; NULL: none are trusted. */
struct tls *sender_tls_web(struct house *);
/* Tells of TLS with the host it is at: how it failed in a word of rfc8460:4.3, "" it did not. */
void sender_tls_result(struct delivery *, const char *type, const char *reason);

/* sender-sts.c */
enum sts_outcome { STS_WAIT, STS_ABSENT, STS_FOUND };
/* The policy of a domain, in d->sts; with STS_WAIT delivery_heard() is called later. */
enum sts_outcome sender_sts(struct delivery *, const char *domain);
void sender_sts_remember(struct house *, const struct word_send *);
void sender_sts_forget(struct house *);        /* nobody waits for an answer any more */

/* sender-past.c */
void sender_past_open(struct house *);
bool sender_is_past(const struct delivery *);            /* the queue that said it is gone */
void sender_past_keep(struct delivery *);                /* it has ended */
/* Those of its recipients whose end is known have it; true: of some it will be, and delivery_start() follows. */
bool sender_past_waits(struct delivery *);

/* sender-tlsrpt.c */
bool hear_tlsrpt(struct house *, uint32_t ticket, struct bytes body);

/* sender-web.c: one request by HTTPS to a host that its certificate names; nothing is followed.  `done` is called once, later. */
enum web_trouble { WEB_GOOD, WEB_UNREACHED, WEB_UNTRUSTED, WEB_NONSENSE };
struct web_request { const char *path, *type; struct bytes content; size_t most; };  /* with content: POST */
typedef void web_done(void *ctx, enum web_trouble, const char *why, const struct webreply *);
void sender_web(struct house *, const char *host, const struct web_request *, web_done *, void *ctx);

/* sender-answers.c: an answer of the name service, NULL while there is none (route.h); ctx is the delivery. */
const struct answer *delivery_ask(void *ctx, struct bytes name, uint16_t type);
bool delivery_answers_filtered(struct delivery *);       /* all answers are here, and filtered */

/* sender-delivery.c */
bool hear_send(struct house *, uint32_t policy, uint32_t ticket, bool probe, struct bytes body, int fd);
/* Nobody waits for what is begun any more, of all or of policy; but what has gone to its last dot is gone, and is waited for. */
void deliveries_end(struct house *, bool of_policy);
/* What a host is at goes on (sender-past.c); another queue will have the rest tried again. */
void deliveries_queue_lost(struct house *);
/* Hosts are found and tried, unless every recipient has a result. */
void delivery_start(struct delivery *);
void delivery_heard(struct delivery *);
/* What a contact tells.  The relay is "mx.example.com[192.0.2.1]:25". */
/* `dsn`: the host knows what the sender wants to hear of. */
void delivery_fate(struct delivery *, uint32_t rcpt, enum outgoing_fate, const char *status, const char *words, bool dsn);
void delivery_done(struct delivery *);
/* The host it is at once more, as if it had not been there. */
void delivery_again(struct delivery *);
void delivery_failed(struct delivery *, enum outgoing_fate, const char *status, const char *words);

#endif
