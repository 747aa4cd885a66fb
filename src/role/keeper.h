/*
 * keeper -- what the files of the keeper share
 *
 *     keeper.c          the card; deliveries and sessions
 *     keeper-append.c   a literal becomes a letter: log, verifier, envelope
 *     keeper-decode.c   a part without its transfer encoding
 *     keeper-care.c     compaction and sweeping
 *     keeper-who.c      whose an address is
 *     keeper-text.c     text indexes
 *     keeper-command.c  what the command line asks
 *     keeper-people.c   what the clerk says of limits and groups
 *     keeper-limits.c   SETQUOTA
 *     keeper-user.c     the keeper of an operating-system user, and that of an owner of virtual users' mailboxes
 *     keeper-forward.c  ~/.forward
 *     keeper-handoff.c   its letters for commands and files
 *     keeper-quota.c    what happens when an account becomes full
 *     keeper-total.c    and what a whole domain may hold
 *
 * A keeper owns the accounts that house_keeper_of() says are its own; no other process opens
 * those indexes.
 */
#ifndef ROLE_KEEPER_H
#define ROLE_KEEPER_H

#include "access/imap/imap.h"
#include "access/pop3/pop3.h"
#include "base/map.h"
#include "delivery/handoff.h"
#include "message/envelope.h"
#include "role/house.h"
#include "role/question.h"
#include "role/settings.h"
#include "spool/writer.h"
#include "store/quota.h"
#include "store/store.h"

struct keeper_settings {
	int64_t history_ms, user_idle_ms, command_ms, per_user_address, append_most, search_memory;
	int64_t mailbox_most, quota_storage, quota_messages, quota_grace;     /* grace in percent */
	const char *mailbox_command, *shell, *command_directory;
	const char *command_filter, *directory_filter;  /* characters */
	struct setting_list exported;
	bool    quota_tempfail, search_index;
	const char *quarantine;         /* a mailbox */
	struct setting_list read_locks, write_locks, quota_warning, quota_admins;
};
extern const struct setting_table keeper_setting_table;

/* A session handed over by a login, or by a command: who must hear when it is over. */
struct visit {
	uint32_t login, ticket;
	int64_t  since;          /* seconds                             */
	bool     command;
	char     caller[80];     /* account and address, as counted; "" */
};
uint32_t keeper_visit(struct house *, struct visit *);          /* its ticket */

enum { KEEPER_LATER_MS = 20 }; /* what another program has locked is tried again so often */

struct keeper {
	struct keeper_settings rows;
	struct common_settings common;
	struct letters      *letters;
	struct store        *store;
	struct writer       *writer;
	struct imap_service *imap;
	struct pop3_service *pop3;
	struct map          *sessions;       /* ticket -> struct visit           */
	struct map          *callers;        /* "account address" -> how many    */
	struct map          *passes;         /* of sessions that came (role/pass.h) */
	struct questions     questions;      /* to verifiers                     */
	struct watch        *news;           /* of files outside                 */
	struct map          *limits;         /* account or "@domain" -> what was said of it */
	struct map          *limits_asked;   /* ticket -> struct imap_limits     */
	bool                 told;           /* all of them, once                */
	struct map          *totals;         /* domains that are limited as a whole (keeper-total.c) */
	struct map          *shares;         /* account -> struct share, of those in them */
	struct map          *rooms;          /* ticket -> struct imap_room: promises */
	struct map          *letter_rooms;   /* account, letter -> the same      */
	struct map          *totals_asked;   /* ticket -> struct imap_total      */
	struct timer        *heard;          /* letters that waited for a promise are tried again */
	struct map          *full;           /* accounts with little room or none: that + 1 */
	struct map          *named;          /* account -> address, of those with a limit */
	struct map          *asked;          /* ticket -> struct imap_who        */
	uint32_t             next_asked;
	struct map          *groups;         /* account -> struct group          */
	struct map          *gone;           /* ids of accounts that were deleted */
	uint32_t             parcels;        /* deliveries that are not safe yet */
	struct buffer        early;          /* DELIVER words (ticket, length, body) that came before the clerk told */
	struct buffer        guests;         /* SESSION words whose account's place the clerk was asked for, as early */
	struct early        *early_commands; /* and commands (keeper-place.c)     */
	struct map          *places;         /* accounts without mail whose place it was asked for, or has told */
	struct buffer        places_asked;   /* their ids, in the order of its answers */
	struct buffer        locked;         /* DELIVER words for mailboxes that another program has locked */
	uint32_t             queues;         /* that were here before this one: their questions need no answer */
	bool                 small_wanted;   /* a segment, asked for and not here */
	struct buffer        own_wanted;     /* sizes of segments for large letters, in order (u64) */
	struct imap_append  *waiting, **waiting_last;    /* small letters for whom the log has no room yet */
	unsigned             waitings;
	int64_t              appended_ms;    /* when the last one was safe, by the patient clock */
	int                  refused;        /* by the queue, when last asked for a segment */
	bool                 leaving;        /* all is on disk but what the writer has in hand */
	uint32_t             next_ticket;
	struct moving_house *conversions;    /* under way (keeper-convert.c)     */
	struct inspection   *inspections;    /* checks under way (keeper-command.c) */
	struct leafing      *leafings;       /* indexes looked at (keeper-text.c) */
	struct indexing     *indexing;       /* of texts, in the background      */
	struct timer        *sweep;
	struct url_reading  *readings;       /* of URLs, for letters that are submitted */
	unsigned             reading;
	struct user_keeper  *user;           /* NULL: one of the pool; else it does not see the letter log */
	bool                 personal;       /* of an operating-system user: one account, ~/.forward, commands */
	struct pipes        *pipes;
	struct map          *handoffs;        /* the runner's, under way          */
	struct watch        *runner;
	uint32_t             next_handoff;
	struct timer        *gather;         /* deliveries that share a commit   */
	bool                 gathering;
	struct timer        *later;          /* what another program has locked is tried again */
	struct buffer        view;           /* confine_view() of the settings it was started with */
	const char          *misplaced;      /* keeper_locate(): in scratch      */
	uint32_t             memory_parts; /* of what one keeper may keep in memory this one keeps a part */
	struct arena        *scratch;
};

static inline struct keeper *
keeper_of(struct house *h)
{
	return h->mine;
}

/* keeper-place.c */
/* What the clerk says of a new account comes by another way than whoever needs it: before its first letter or reader the clerk is
   asked, and what it said before its answer has been heard.  False: not yet; keeper_deliver_early() and keeper_admit_early() come. */
bool keeper_place_known(struct house *, uint64_t account, struct bytes user);
void keeper_place_told(struct house *);                      /* its answer                   */
void keeper_place_unasked(struct keeper *);                  /* the clerk died               */
int  keeper_locate(struct keeper *, uint64_t account, struct bytes user);      /* 0 or errno; EAGAIN: not yet known where */
/* After it: k->misplaced, if not NULL, says what is wrong with the place the account belongs to.  It must not be used then:
   its mail would come into the letter log, and stay there. */
bool keeper_place_unseen(struct keeper *, const char *location);         /* it is in no directory of our cage */
void keeper_misplace(struct keeper *, struct bytes user, const char *location, int why);  /* says in ->misplaced what is wrong with it */
void keeper_place_say(struct house *, struct caller *, const struct word_ask *);
void keeper_locate_new(struct house *, struct caller *, const struct word_ask *);
void keeper_locate_again(struct house *, uint64_t account, struct bytes user);
int  keeper_locate_shared(void *house, uint64_t account, const char *address);    /* 0 or EAGAIN */
/* Sessions of commands that wait until it is known where mailboxes lie. */
void keeper_early_add(struct keeper *, struct caller *, int fd, const char *id, const char *user);
void keeper_early_over(struct house *);
void keeper_early_drop(struct keeper *);
void keeper_digest(void *house, int fd, uint64_t at, uint64_t len,
                   void (*answered)(void *who, int why, struct bytes digest), void *who);
void keeper_news_open(struct house *);
/* keeper-url.c */
bool hear_url_read(struct house *, struct bytes body, int fd);
void keeper_readings_end(struct keeper *);
/* keeper-convert.c */
void keeper_convert(struct house *, struct caller *, const struct word_ask *);
void keeper_conversions_end(struct house *);
void keeper_index(struct house *, struct caller *, const struct word_ask *);     /* keeper-text.c */
void keeper_indexes_end(struct house *);

/* keeper-user.c */
void keeper_user_open(struct house *);
void keeper_user_work(struct house *);
int  keeper_user_accounts(struct house *);                   /* the directory of its index, -1 */
/* Takes the letter's descriptor.  True: it is for the mailbox, which is ready.  False: it is for others, or cannot be had
   now: the queue is answered. */
bool keeper_user_receive(struct house *, uint32_t ticket, struct word_deliver *, int fd);
int  keeper_user_locate(struct house *, uint64_t account);   /* 0 or errno */
int  keeper_user_ready(struct house *);                       /* its one account */
int  keeper_user_settle(struct keeper *, uint64_t account);  /* the same */
const char *keeper_user_home(const struct keeper *);
/* What the clerk's tables say of this user's mail is known.  False: it is asked, and what came early is delivered then. */
bool keeper_user_knows(struct house *);
void keeper_user_forget(struct house *);
bool hear_mailbox_is(struct house *, struct bytes body);
/* Its view is another now: it ends as soon as nothing is under way that would be done again (commands, of users and of the
   administrator), and comes anew. */
bool hear_keeper_anew(struct house *);
void keeper_user_anew(struct house *);                        /* maybe now */
void keeper_user_clerk(struct house *, bool here);           /* one came, or is lost */
const char *keeper_user_text(struct house *);                /* "delivered to maildir" */
void keeper_user_want(struct house *, bool own, uint64_t size);
void keeper_user_done(struct house *, uint32_t segment);
bool keeper_segment_lent(struct house *, const struct word_segment *, int fd);     /* keeper-append.c; fd -1: refused */

/* keeper-forward.c: true: it goes elsewhere, and the queue is answered */
bool keeper_forward(struct house *, uint32_t ticket, const struct word_deliver *);
/* What Delivered-To says of this copy; "" where prepend_delivered_header lacks that ("command", "file"). */
struct bytes keeper_delivered_to(struct house *, const struct word_deliver *, const char *what);
/* keeper-handoff.c: user+detail@domain, also where an alias gave the detail on, or an older program took it off */
struct bytes keeper_whole_address(struct house *, const struct word_deliver *);
/* `kind` of enum handoff_kind; the answer goes to the queue */
void keeper_handoff(struct house *, uint32_t ticket, const struct word_deliver *, int kind, struct bytes what);
/* Which envelope it is, from whom; it goes to the runner with everything else of *e filled in.  EBADMSG and others: it does not,
   and nobody is answered. */
int  keeper_letter_envelope(struct keeper *, uint32_t segment, uint64_t at, uint64_t letter, struct envelope *, uint64_t *content_at);
bool keeper_handoff_send(struct house *, uint32_t ticket, bool pipe, struct handoff *, uint32_t segment);
const char *keeper_from_line(struct arena *, struct bytes sender);
void keeper_exported(const struct keeper *, struct buffer *environment);      /* export_environment */
void keeper_handoffs_open(struct house *);
/* keeper-pipe.c */
bool hear_pipe(struct house *, uint32_t ticket, struct bytes body, int fd);
/* It has been here before, and came back from outside: a Delivered-To field has this address. */
bool keeper_has_been_here(struct keeper *, uint32_t segment, uint64_t at, uint64_t letter, struct bytes address);    /* keeper-user.c */
void keeper_pipes_forget(struct keeper *);                    /* settings are new */
void keeper_piped(struct house *, uint32_t ticket, const struct word_delivered *);
/* keeper-deliver.c */
void keeper_delivered(struct house *, uint32_t ticket, const struct word_delivered *);
bool hear_deliver(struct house *, uint32_t ticket, struct bytes body, int fd);    /* fd: the letter in a file of its own, -1: it lies in the log */
bool keeper_deliver_again(struct house *, struct buffer *from);    /* what was put off */
void keeper_deliver_never(struct buffer *words);

/* keeper-who.c */
struct imap_who *keeper_who(void *house, const char *address, void (*found)(void *who, const struct access_facts *), void *who);
void keeper_who_drop(struct imap_who *);
bool hear_who_is(struct house *, uint32_t ticket, struct bytes body);
void keeper_who_lost(struct keeper *);
extern const struct imap_needs keeper_imap_needs;              /* keeper-append.c     */

struct imap_decode *keeper_decode(void *house, const struct imap_coded *,      /* keeper-decode.c     */
	void (*decoded)(void *who, int why, const struct imap_decoded *), void *who);
void keeper_decode_drop(struct imap_decode *);
void keeper_writer_open(struct house *);
bool hear_segment(struct house *, enum word, struct bytes body, int fd);
void keeper_queue_came(struct house *);
bool hear_refers(struct house *, uint32_t ticket, struct bytes body);
bool hear_moved(struct house *, uint32_t ticket, struct bytes body);
bool hear_segment_gone(struct house *, struct bytes body);
void keeper_care_start(struct house *);
void keeper_text_start(struct house *);
void keeper_text_stop(struct house *);
void keeper_remove_gone(struct house *);
/* keeper-people.c */
void keeper_limits_again(struct house *);
void keeper_limit(struct house *, uint64_t account, struct bytes address);      /* the store hears what holds */
/* What is said of an account's mail_location, by itself, its domain or main.cf. */
const char *keeper_location(const struct keeper *, uint64_t account, struct bytes address);
bool hear_limits(struct house *, struct bytes body);
bool hear_group(struct house *, struct bytes body);
void keeper_groups(struct house *, struct access_facts *, struct arena *);
void keeper_people_new(struct house *);                      /* sessions under way see what has changed */
void keeper_people_close(struct keeper *);
void keeper_tell_full(struct house *);                       /* to a clerk that came */
/* keeper-limits.c */
struct imap_limits *keeper_limits_ask(void *house, const struct access_facts *, const char *address, const struct quota_limits *,
                                      void (*done)(void *who, int why, uint64_t account), void *who);
void keeper_limits_drop(struct imap_limits *);
bool hear_limit_done(struct house *, uint32_t ticket, struct bytes body);
void keeper_limits_say(struct link *, uint32_t ticket, const char *address, const struct quota_limits *);
void keeper_limits_lost(struct house *);                     /* the clerk that was asked died */
bool keeper_is_quota_admin(const struct keeper *, const char *user);
/* keeper-total.c */
void keeper_total_look(struct house *, struct account *, struct bytes address);    /* it was opened: what it holds is told, if it counts */
void keeper_total_gone(struct keeper *, uint64_t account);
void keeper_total_changed(struct house *, uint64_t account, const struct quota *now);       /* before a commit */
/* Of a letter: 0, EDQUOT, or EBUSY: asked, and `heard` is set when it is answered.  Then it has come, or has not. */
int  keeper_total_room(void *house, uint64_t account, uint64_t letter, uint64_t size);
void keeper_total_letter(struct house *, uint64_t account, uint64_t letter, bool came);
struct imap_room *keeper_room_ask(void *house, const struct access_facts *, uint64_t account, uint64_t bytes, uint64_t messages,
                                  void (*done)(void *who, int why), void *who);
void keeper_room_end(struct imap_room *, bool came);
struct imap_total *keeper_total_ask(void *house, const struct access_facts *, const char *domain, const struct quota_limits *,
                                    void (*done)(void *who, int why, const struct quota *), void *who);
void keeper_total_drop(struct imap_total *);
bool hear_total(struct house *, struct bytes body);
bool hear_share_ask(struct house *, struct bytes body);
bool hear_room_said(struct house *, uint32_t ticket, struct bytes body);
bool hear_total_is(struct house *, uint32_t ticket, struct bytes body);
void keeper_total_queue_lost(struct keeper *);
void keeper_total_clerk_lost(struct keeper *);
void keeper_total_clerk_came(struct house *);
void keeper_totals_close(struct keeper *);
/* keeper-quota.c: what an account holds has changed */
void keeper_quota_look(struct house *, struct account *);    /* is it full?  The clerk hears when that is new */
void keeper_quota(void *house, uint64_t account, const struct quota *before, const struct quota *after);
void keeper_commands_end(struct house *);
void keeper_command(struct house *, struct caller *, const struct word_ask *);
void keeper_session_over(void *house, uint32_t ticket, uint64_t account);
void keeper_session_back(void *house, uint32_t ticket, int fd, struct bytes unread);

bool keeper_deliver_early(struct house *);
void keeper_admit_early(struct house *);
/* A session of a command, whose caller is answered; takes fd. */
void keeper_session_command(struct house *, struct caller *, const char *id, const char *user, int fd);

#endif
