/*
 * receiver -- what the three files of the receiver share: receiver.c (listeners, words),
 * receiver-ask.c (what sessions ask the clerk and the tally), receiver-letter.c (letters on
 * their way to the disk)
 */
#ifndef ROLE_RECEIVER_H
#define ROLE_RECEIVER_H

#include "base/map.h"
#include "channel/bans.h"
#include "channel/listener.h"
#include "channel/proxyline.h"
#include "directory/table.h"
#include "message/edits.h"
#include "policy/checks.h"
#include "policy/clamd.h"
#include "policy/tally.h"
#include "role/mishaps.h"
#include "role/inquest.h"
#include "role/question.h"
#include "smtp/receiver/connection.h"
#include "spool/writer.h"

struct author;
/* A letter on its way, in the letter's own arena. */
struct passage {
	struct question       question;      /* first: the verifier's              */
	struct house         *house;
	struct letter        *letter;
	uint64_t              story;         /* of the transaction, for the chronicle */
	struct writer_stream *stream;        /* NULL: small                        */
	bool                  opened;
	enum { PASSAGE_CHECKS, PASSAGE_DIGEST } step;    /* what the verifier is asked for */
	bool                  edited;        /* the content is not what the client sent */
	struct checks_said   *said;          /* NULL: checks had nothing to say    */
	struct inquest       *inquest;       /* NULL: they ask no table that is elsewhere */
	size_t                hooks;         /* so many have been asked            */
	uint32_t              scan;          /* ticket of SCAN                     */
	uint32_t              proxy;         /* ticket of PROXY                    */
	uint32_t              author;        /* ticket of SENDER_ASK               */
	bool                  author_asked;
	char                  refusal[16];   /* the id under which a check refused it */
	struct author        *authors, *asking; /* of From: all, and who is asked about */
	char                  no_id[24];     /* stands for the id, which is not known when they look */
	struct editing       *editing;       /* NULL: its content is not being made anew */
	struct filtering     *filtering;     /* NULL: no mail filters look at it, or they have */
	int                   new_body;      /* that they made; -1 none            */
	struct passage       *next;          /* of those that wait for a segment   */
	struct bytes          prefix, digest;
};
struct fetch;
struct door {                          /* a listening socket                       */
	struct door *next;
	struct receiver *receiver;
	struct receiver_config *config;
	struct listener *listener;
	int  fd;
	bool pickup;                   /* sendmail of this machine's users comes by it, and nobody else */
	bool wanted;                   /* still given after a reload               */
};

/* What the role knows of a session; session_held() points here. */
struct visit {
	struct question question;      /* what is its name                         */
	struct receiver *receiver;
	struct session *session;
	uint32_t ticket;               /* of RESOLVE, POLICY_ASK and AUTH_*: one is open at most */
	unsigned number;               /* of those of this process             */
	struct timer *name_by;         /* the name comes by then, or is unknown    */
	bool     resolving, authenticating, counted;
	bool     judging;              /* what restriction lists say                */
	uint8_t  moment;               /* of that: enum session_moment              */
	bool     expanding;            /* what is resolved is wanted whole: EXPN   */
	bool     flushing;             /* the queue was asked: ETRN                */
	bool     owning;               /* whose the sender is; what it is: in session  */
	int64_t  asked_at;
	struct bytes address;          /* that is being resolved                   */
	char     network[64];          /* what the tally counts it under           */
	struct comer *comer;           /* that network, in this process            */
	struct filtering *filtering;   /* what mail filters are told; NULL nothing */
	struct peer here;              /* our end                                  */
	char     transaction[24];      /* what it is called before it has a queue id */
	uint64_t transactions;         /* which of the session's that is           */
	uint64_t story;                /* for the chronicle: its transactions are this and their number */
	uint32_t connections;          /* of this client                           */
	uint64_t account;              /* of who has logged in                     */
	struct fetch *fetch;           /* what a URL names; NULL: none is read     */
	struct gathering *gathering;   /* tables that are asked; NULL: none is     */
};

/* receiver-peaks.c: what was most since it was told last */
enum peak_kind { PEAK_CONNECTION_RATE, PEAK_CONNECTIONS, PEAK_MESSAGES, PEAK_RECIPIENTS, PEAK_TLS, PEAK_AUTHS, PEAKS };
struct peak { uint32_t most; int64_t at, unit_s; char who[96], service[64]; };

struct receiver {
	struct house    *house;
	struct door     *doors;
	struct timer    *tick;
	struct tally    *tally;
	struct peak      peak[PEAKS];
	struct timer    *peaks;        /* when they are told next                  */
	bool             peaks_wait;   /* it runs                                  */
	struct bans     *bans;         /* that the clerk has told of               */
	struct proxylines *proxylines; /* sockets whose proxy is to say who it is  */
	struct map      *comers;       /* network -> comer, while it has connections */
	struct map      *visits;       /* ticket -> visit with a question open     */
	struct map      *resolved;     /* address -> what the clerk said           */
	int64_t          resolved_at;  /* the oldest of them                       */
	uint32_t         next_ticket;
	struct questions questions;    /* to verifiers                             */
	struct inquests *inquests;     /* to proxymap, for letters                 */
	struct tables   *tables;           /* of clients, in files here                */
	struct client_answers *answers; /* of proxymap, for sessions               */
	bool             asks_of_clients; /* a table of theirs is elsewhere          */
	struct writer   *writer;
	struct arena    *scratch;
	struct buffer    own_wanted;      /* sizes of segments for large letters, not yet lent (u64) */
	bool             small_wanted;    /* a segment for small ones, not yet lent                  */
	struct passage  *parked;       /* judged, waiting for a segment            */
	struct map      *rewriting;    /* ticket -> letter whose addresses the clerk looks at */
	bool             rewrites, rewrites_fields;
	unsigned         overrides[LISTENERS_MOST]; /* enum receive_override */
	bool             unfiltered[LISTENERS_MOST]; /* FILTER of a mailbox's table is not for what comes in there */
	bool             checks[LISTENERS_MOST]; /* whether letters are looked at with header or body checks */
	struct scan_settings scan[LISTENERS_MOST];
	bool             proxies[LISTENERS_MOST]; /* whether letters go through a filter before they are taken */
	struct map      *proxied;
	struct map      *scanning, *authors;   /* ticket -> passage                */
	bool             filters[LISTENERS_MOST]; /* whether there may be mail filters      */
	int              filters_default[LISTENERS_MOST]; /* enum milter_default          */
	bool             filters_aside[LISTENERS_MOST]; /* milter_quarantine = mailbox      */
	struct map      *filterings;   /* ticket -> session they are told of       */
	uint32_t         passing;      /* letters judged or being made safe        */
	int              refused;      /* why the queue lent nothing, 0            */
	int64_t          short_told;   /* when it was said that the disk is short  */
	bool             room_wanted;  /* sessions wait for it                     */
	bool             names;        /* there is a resolver                      */
	bool             gone;         /* said good-bye                            */
	struct mishaps mishaps;
	struct buffer    unsaid;       /* LETTERs for a queue that is not there    */
	struct buffer    said[2];      /* of this turn and the one before          */
};
/* Which of the house's listeners it is of; one that is no more is as its service's. */
size_t receiver_place(const struct house *, const struct receiver_config *);
static inline struct receiver *receiver_of(const struct house *h) { return h->mine; }

/* receiver-crowd.c: there is no room for one more.  True: another gives its place to this newcomer. */
bool crowd_make_way(struct receiver *, const struct receiver_config *, const struct peer *);
bool crowd_is_excepted(struct session *);
void crowd_come(struct receiver *, struct visit *);
void crowd_go(struct receiver *, struct visit *);

/* receiver-ask.c */
void ask_open(struct receiver *);
struct visit *visit_begin(struct receiver *, const struct receiver_config *, const struct peer *);
void visit_end(struct receiver *, struct visit *);
void visit_name_network(struct visit *, const struct receiver_config *, const struct peer *);
void visit_look(struct visit *, bool known);        /* role/debug.h; `known`: what the client is called */
bool hear_resolved_address(struct house *, uint32_t ticket, struct bytes body);
bool hear_looked(struct house *, uint32_t ticket, struct bytes body);
bool hear_auth_more(struct house *, uint32_t ticket, struct bytes body);
bool hear_auth_done(struct house *, uint32_t ticket, struct bytes body);
void ask_forget(struct receiver *);                /* DIRECTORY_NEW          */
void ask_lost(struct receiver *);                  /* the clerk died         */
void ask_again(struct receiver *);                 /* one came               */
void ask_judges(struct receiver *);                /* role policy came       */
void ask_tick(struct receiver *);                  /* patience has an end    */
bool need_name(void *, struct session *);
void need_resolve(void *, struct session *, struct bytes);
void need_expand(void *, struct session *, struct bytes);
void need_flush(void *, struct session *, struct bytes, bool below);
bool hear_flushed(struct house *, uint32_t ticket, struct bytes body);
void ask_queue_lost(struct receiver *);
void need_owner(void *, struct session *, struct bytes user, struct bytes address);
bool hear_sender_said(struct house *, uint32_t ticket, struct bytes body);
void need_auth_start(void *, struct session *, struct bytes, bool, struct bytes);
void need_auth_step(void *, struct session *, struct bytes);
void need_auth_drop(void *, struct session *);
bool need_count(void *, struct session *, enum counted, int64_t, uint32_t *);
void need_changed(void *, struct session *);
void need_gone(void *, struct session *);

/* receiver-policy.c: restriction lists */
bool policy_lists(struct house *, struct receiver_config *, struct buffer *errors);   /* of a listener */
bool need_policy(void *, struct session *, enum session_moment);
/* What the transaction is called until it has a queue id; the same all through it. */
const char *visit_transaction(struct visit *);
struct bytes need_remember(void *, struct session *, const struct session_refusal *);
bool need_wants_owner(void *, struct session *);
bool hear_policy_said(struct house *, uint32_t ticket, struct bytes body);
void policy_again(struct receiver *, struct visit *);   /* who judges has come */
void policy_late(struct receiver *, struct visit *);    /* it has not, for too long */

/* receiver-milter.c: mail filters */
void milter_settings_new(struct receiver *);
void need_filter(void *, struct session *, const struct filter_event *);
void need_filter_abort(void *, struct session *);
bool hear_milter_said(struct house *, uint32_t ticket, struct bytes body);
bool hear_milter_made(struct house *, uint32_t ticket, struct bytes body, int fd);
void milter_forget(struct visit *);
void milter_take(struct passage *);                /* they will see it      */
void milter_release(struct passage *);             /* they have, or will not */
bool milter_ask(struct passage *);
void milter_lost(struct receiver *);               /* role policy died      */
void milter_again(struct receiver *);              /* one came              */
void milter_tick(struct receiver *);

/* receiver-url.c */
void need_fetch(void *, struct session *, struct bytes url);
void need_fetch_more(void *, struct session *);
void need_fetch_drop(void *, struct session *);

/* receiver-rewrite.c */
void rewrite_settings(struct receiver *);
/* Whether a field has addresses that are rewritten; those of senders or of recipients. */
bool rewrite_is_field(struct bytes name, bool *sender);
/* The field with one address in the place of another. */
void rewrite_address_in(struct bytes field, struct bytes old, struct bytes new, struct buffer *out);
/* The field with many at once, in one pass: what they are has to stay while the pairs do.  What was put in is not looked at again. */
struct rewrite_pairs;
struct rewrite_pairs *rewrite_pairs_open(void);
void rewrite_pairs_add(struct rewrite_pairs *, struct bytes old, const struct bytes *instead);
void rewrite_pairs_in(const struct rewrite_pairs *, struct bytes field, struct buffer *out);
void rewrite_pairs_close(struct rewrite_pairs **);
/* True: `then` will be called, once; false: there is nothing to ask. */
bool rewrite_ask(struct house *, struct letter *, void (*then)(struct house *, struct letter *, bool good));
bool hear_rewritten(struct house *, uint32_t ticket, struct bytes body);
void rewrite_drop(struct receiver *, const struct letter *);
void rewrite_again(struct receiver *);             /* a clerk came           */

/* receiver-letter.c */
void letters_open_writer(struct house *);
void letters_unpark(struct receiver *);
void letters_look(struct receiver *);
void letters_at_rest(struct receiver *);
bool hear_segment_lent(struct house *, struct bytes body, int fd);
bool hear_segment_refused(struct house *, struct bytes body);
void letters_queue_lost(struct receiver *);
void letters_queue_came(struct receiver *);
enum spent need_spend(void *, struct session *, bool day, uint32_t recipients, int64_t limit);
bool need_pass(void *, struct session *, int64_t ms);
enum room_answer need_room(void *, struct session *, uint64_t size);
void need_stream_open(void *, struct letter *);
int  need_stream_add(void *, struct letter *, struct bytes);
uint64_t need_stream_waiting(void *, struct letter *);
void need_stream_drop(void *, struct letter *);
void need_keep(void *, struct letter *, struct bytes prefix, struct bytes digest);

struct passage *passage_of(struct house *, struct letter *);

/* receiver-events.c: what the chronicle hears */
void need_told(void *, struct session *, const struct session_told *);
uint64_t story_begin(void);                        /* of a visit             */
uint64_t story_of(const struct letter *);          /* while its session is there; 0 then none */
void tell_accepted(struct passage *, uint64_t id);
/* Who sent it heard of this id; nobody gets it. */
void tell_thrown_away(struct house *, const struct letter *, uint64_t story, const char *id);
void need_complain(void *, struct session *, const struct history *);
void need_thrown(void *, struct letter *, const char *id);
/* A check said something of the letter `id`, 0: of a letter that has none. */
void tell_checked(struct passage *, uint64_t id, struct bytes what, struct bytes text);

/* receiver-judge.c */
void need_judge(void *, struct letter *);
void passage_refuse(struct passage *, enum verdict, const char *reply);
void passage_discard(struct passage *);
/* A hook is done with it. */
void passage_go_on(struct passage *);
/* The descriptor and place of the content; -1: it is in *content. */
int  passage_content(const struct passage *, struct bytes *content, uint64_t *at, uint64_t *len);

/* All are content with it but perhaps its author's owner. */
void passage_finish(struct passage *);

/* receiver-author.c */
bool author_ask(struct passage *);
bool author_heard(struct receiver *, uint32_t ticket, struct bytes body);
void author_drop(struct passage *);
void authors_lost(struct receiver *);

/* receiver-proxy.c */
void proxy_settings_read(struct receiver *);
/* True: the letter is the filter's to answer for. */
bool proxy_ask(struct passage *);
bool hear_proxied(struct house *, uint32_t ticket, struct bytes body);
void proxy_drop(struct passage *);
void proxies_lost(struct receiver *);

/* receiver-scan.c */
void scan_settings_read(struct receiver *);
/* Fields that only we may put there are left out, too. */
void scan_hides(struct house *, const char *listener, struct arena *, struct setting_list *);
bool scan_ask(struct passage *);
void scan_answered(struct passage *, enum clamd_answer, struct bytes name);
bool hear_scanned(struct house *, uint32_t ticket, struct bytes body);
void scan_drop(struct passage *);
void scans_lost(struct receiver *);
void passage_edited(struct passage *, int why);

/* receiver-checks.c */
void checks_settings(struct receiver *);
bool checks_hold(struct passage *);
bool checks_add(struct passage *, struct bytes packed, const char **reply, bool *discard);
bool checks_obey(struct passage *, struct bytes packed);
void checks_tell(struct passage *, const char *id);
/* A check refuses it: the log hears why, and the reply gets its id. */
const char *checks_refused(struct passage *, const char *reply);
void checks_trace(struct passage *, const char *id, struct buffer *out);

/* receiver-edit.c: the content with these edits, which fit a file of this size, in the place of what it was.  Both live
   until `then` is called, once, perhaps at once; with an errno nothing has changed. */
void letter_edit(struct passage *, const struct edits *, int file, uint64_t file_len, void (*then)(struct passage *, int why));
void letter_edit_drop(struct passage *);

/* receiver-networks.c: the tables of mynetworks and its like, with one user; lists of them without "/files". */
struct network_tables *client_tables_open(struct receiver *);

/* receiver-tables.c: tables for sessions that are elsewhere */
/* What was said of it lately; LATER when nothing was. */
enum table_outcome client_answer(struct receiver *, const char *table, struct bytes key, struct arena *, struct bytes *value);
/* `enter` is called when all is known of this client, perhaps at once; the descriptor is its. */
void client_arrives(struct door *, int fd, const struct peer *, void (*enter)(struct door *, int fd, const struct peer *));
void client_arrivals_forget(struct receiver *, const struct door *);
bool need_look(void *, struct session *, const struct setting_list *tables, const struct bytes *key, size_t keys);
bool need_look_at_client(void *, struct session *);
void need_look_drop(struct visit *);
void client_answers_renew(struct receiver *);
bool hear_client_answer(struct receiver *, uint32_t ticket, struct bytes body);
void client_answers_lost(struct receiver *);
void client_answers_met(struct receiver *);
void peak_count(struct receiver *, struct session *, const char *network, enum peak_kind, uint32_t now);
void peaks_tell(void *receiver);
void client_patterns(struct house *, struct arena *, struct setting_list *);

#endif
