/*
 * queue -- what the files of the queue role share
 *
 *     queue.c            the card; letters come, are resolved, delivered, forgotten
 *     queue-resolve.c    who is it?  What the clerk says of recipients
 *     queue-log.c        lines of the log
 *     queue-spool.c      segments lent and taken back; recovery after a crash
 *     queue-notice.c     what cannot be delivered goes back to its sender
 *     queue-gather.c     when that is told: of all recipients at once
 *     queue-speech.c     in which language, and in whose words
 *     queue-compact.c    space comes back
 *     queue-user.c       deliveries to operating-system users, whose keepers see nothing of the log
 *     queue-pipe.c       what goes to commands of operating-system users
 *     queue-route.c      what goes elsewhere: by which transport, to which destination
 *     queue-destination.c  transports and destinations, and what is known of each
 *     queue-turn.c       which destination sends now
 *     queue-send.c       one transaction: told to a sender, and what became of it
 *     queue-return.c     who was put off because of a destination that has returned
 *     queue-crowd.c      recipients of letters to many come into memory
 *     queue-choice.c     which letters a command means: ids and filters
 *     queue-walk.c       a command goes through the letters, some in each turn
 *     queue-command.c    the command line: queue list|hold|..., store compact
 *     queue-show.c       the command line: what is told of letters
 */
#ifndef ROLE_QUEUE_H
#define ROLE_QUEUE_H

#include "base/map.h"
#include "directory/directory.h"
#include "message/envelope.h"
#include "queue/crowd.h"
#include "queue/ledger.h"
#include "queue/queue.h"
#include "queue/rota.h"
#include "queue/sent.h"
#include "role/mishaps.h"
#include "role/house.h"
#include "role/question.h"
#include "role/settings.h"
#include "role/transports.h"
#include "spool/spool.h"
#include "spool/writer.h"

struct queue_settings {
	const char *good, *bad;               /* feedback of concurrency */
	int64_t cohorts;
	int64_t least_ms, most_ms, lifetime_ms, notice_lifetime_ms, warning_ms, compaction_ms, bounce_size;
	struct setting_list template_file, languages, language_maps;
	bool    no_verp_bounces;              /* disable_verp_bounces */
	bool    soft_bounce;                  /* of the receivers' rows */
	bool    confirm_cleared;              /* confirm_delay_cleared */
	bool    tlsrpt;                       /* smtp_tlsrpt_enable */
	const char *tlsrpt_contact;
	const char *second_bounce_to, *delay_to, *postmaster;
	bool    original;
	struct setting_list prepend;
	int64_t processes, first_concurrency, concurrency, recipients;
	int64_t rate_ms, spacing_ms;
	struct setting_list deferred;         /* defer_transports */
	const char *best_mx;                  /* best_mx_transport: "" none */
	int64_t active;                       /* qmgr_message_active_limit */
	int64_t in_memory, minimum;           /* qmgr_message_recipient_limit, _minimum */
	struct setting_list quarantine_users, quarantine_released;
};
enum { SENDERS_MOST = 64 };
extern const struct setting_table queue_setting_table;

/* That of the letter which was sent last. */
struct queue_envelope {
	struct arena   *life;
	struct envelope envelope;
	uint64_t        letter, at;
	uint32_t        segment;
};

struct compaction;
struct away;
struct gathered;
struct queue_role {
	struct queue_settings  rows;
	struct mishap_settings notify;
	struct common_settings common;
	uint32_t         mishaps;       /* written                                                */
	struct queue    *queue;
	struct ledger   *ledger;
	struct spool    *spool;
	struct map      *resolving;        /* ticket -> recipient: questions open at the clerk       */
	struct map      *delivering;       /* ticket -> recipient: those at the keepers              */
	struct map      *for_users;        /* the same, for keepers of operating-system users: however slow what
	                                      they do with it is, it keeps nobody else from theirs     */
	struct map      *lines;            /* such a keeper's index -> struct user_line              */
	struct map      *known;            /* address -> packed RESOLVED, until DIRECTORY_NEW        */
	uint32_t         next_ticket;
	struct timer    *due, *checkpoint, *compact;
	bool             pumping, left;
	bool             loading;          /* not all that the ledger knows is there yet              */
	bool             load_hurry;       /* somebody waits for that                                 */
	struct buffer    flushes;          /* domains that were asked for meanwhile                   */
	struct timer    *loads;
	int64_t          clocks_apart;     /* the wall's from the patient one; 0: not looked at yet   */
	struct map      *lent;             /* segment -> role and index                              */
	struct map      *sealed;           /* segment -> when, patient ms                            */
	struct timer    *orphans;      /* segments whose writers have died and not let go */
	uint32_t         orphan_looks; /* still to come, for those nobody wrote down */
	bool             unread;       /* what lies in a segment could not be read, this time */
	bool             preparing;
	int64_t          began_ms;         /* segments sealed before us: not known when              */
	struct writer   *writer;           /* for notices                                            */
	struct questions questions;
	struct buffer    delayed;          /* ids of letters put off this turn, after delay_warning_time */
	struct letter  **returning;        /* letters with refused recipients, this turn             */
	size_t           returnings, returning_room;
	struct gathered *gathered;         /* of them, whose other recipients are in hand             */
	size_t           gathereds, gathered_room;
	struct timer    *gather;
	struct buffer    lingering;        /* of letters put off earlier, others of which are in hand */
	struct timer    *linger;
	struct compaction *compaction;
	size_t           destinations_most; /* more than these are swept                              */
	struct map      *destinations;     /* "smtp:example.com" -> struct destination               */
	struct map      *routes;           /* domain, or sender and address, -> packed ROUTED        */
	struct map      *routing;          /* ticket -> struct routing: asked of the clerk           */
	struct map      *routing_by_key;   /* the same, by what is asked                             */
	bool             srs;              /* senders of forwarded mail may get a name of ours       */
	bool             routes_by_domain; /* the last answer held for a domain                      */
	struct map      *sending;          /* ticket -> struct sending: at a sender                  */
	size_t           in_line;          /* recipients that wait for their destinations             */
	int64_t          slow_until_ms;    /* those are many: what else is due has its turn then      */
	struct destination *turn, **turn_last;     /* those that have something to send, in turn     */
	struct destination *put_by, **put_by_last;        /* those whose rate delay is not over            */
	struct timer    *delays;
	struct timer    *hurry;            /* of those that wait for a slot and have none            */
	bool             hurrying;
	uint32_t         at_sender[SENDERS_MOST];
	uint32_t         slots[3];         /* of senders, in use: by what is known of the destination   */
	struct rota_turns turns;           /* whose letter goes first when places are short          */
	struct rota      short_of[3];      /* those that wait for a slot at a sender, by the same    */
	struct errand    send, settle, pipe, look;
	struct transports *transports;     /* as the settings have them                              */
	struct map      *piping;           /* ticket -> struct piping: for commands                  */
	uint64_t         piping_bytes;     /* of their letters, in files of memory                   */
	struct arena    *life;             /* of names of settings                                   */
	struct away     *returned;         /* destinations that have returned, and what waits for them is looked for */
	struct map      *reports;          /* day and domain -> struct counted                  */
	struct timer    *reporting;
	struct map      *policies;         /* domain -> its policy about its own hosts          */
	size_t           policies_bytes;   /* of their texts                                    */
	struct queue_envelope envelope;
	struct sent     *sent;             /* who got a letter elsewhere since the last checkpoint   */
	int              settle_why;       /* errno of that                                          */
	bool             to_settle, settles;       /* something of it waits for its sync that no sending waits for; one is at work */
	struct sending  *unsettled, *settling;     /* heard of; being made durable               */
	struct arena    *scratch;
	struct speech   *speech;           /* the words of notices, queue-speech.c                   */
};

static inline struct queue_role *
queue_of(struct house *h)
{
	return h->mine;
}

/* It is only asked who would take it (sendmail -bv). */
static inline bool
is_verified_only(const struct letter *l)
{
	return (l->flags & ENVELOPE_VERIFY) != 0;
}

/* So many stand in line that more would only wait with them. */
static inline bool
queue_has_enough(const struct queue_role *k)
{
	return k->in_line >= (size_t)k->rows.active;
}

enum queue_service { SERVICE_QMGR, SERVICE_VIRTUAL, SERVICE_LOCAL, SERVICE_SMTP, SERVICE_BOUNCE, SERVICES };
extern char queue_services[SERVICES][64];               /* "mansio/qmgr" */
void queue_services_name(const char *syslog_name);
int64_t queue_now_ms(void);
void queue_pump(struct house *);
/* A letter of the log enters the queue; false: it is known. */
bool queue_letter_enter(struct house *, const struct word_letter *);
/* Who had a recipient in hand, and how long it took; NULL: nobody but us. */
struct queue_attempt { const char *service, *relay; int64_t said_us; uint64_t connect_us, transfer_us; const char *tls; };
/* The line of the log that says what became of a recipient. */
void queue_note(const struct recipient *, const char *how, const struct queue_attempt *);

/* queue-events.c: what the chronicle hears */
void queue_tell_entered(struct house *, const struct letter *);
void queue_tell_attempt(struct house *, const struct recipient *, const char *how, const struct queue_attempt *);
void queue_tell_removed(struct house *, const struct letter *);
/* `what` was made of it: another letter. */
void queue_tell_notice(struct house *, uint64_t of, uint64_t notice, const char *to, const char *what);
void queue_tell_order(struct house *, const struct letter *, const struct recipient *, const char *what);

/* Where a wholly heard segment stands in the ledger. */
#define SEGMENT_WHOLE ((uint64_t)INT64_MAX)
bool queue_spool_open(struct house *);
void queue_spool_recover(struct house *);
void queue_load_more(void *house);                               /* of what the ledger has    */
void queue_loaded(struct house *);                               /* all of it is there        */
void queue_flush_again(struct house *);                          /* for who asked before      */
bool hear_segment_want(struct house *, enum role, uint32_t index, struct bytes body);
bool hear_segment_done(struct house *, enum role, uint32_t index, struct bytes body);
void queue_spool_lost(struct house *, enum role, uint32_t index);
void queue_orphans_look(void *house);                            /* whose writers have died   */
/* Whether this one may speak of letters in that segment: it was lent to him, maybe by a queue before us. */
bool queue_spool_lent_to(struct house *, uint32_t segment, enum role, uint32_t index);
/* A segment for our own notices is lent, or comes back. */
void queue_spool_own(struct house *, uint32_t segment, bool ours);
/* A writer has let go of a segment. */
void queue_spool_back(struct house *, uint32_t segment, uint64_t used, int why);
void queue_prepare(struct house *);

/* A question is open, under a ticket of its own; it is over: whose it was, NULL nobody's. */
void queue_asked_add(struct queue_role *, struct map *open, struct recipient *);
struct recipient *queue_asked_drop(struct map *open, uint32_t ticket);
/* An end or a delay of a recipient: the line of the log first, since the last recipient's event ends the letter. */
void queue_conclude(struct house *, struct recipient *, enum recipient_event, const char *how, const char *status, const char *text);
void queue_conclude_by(struct house *, struct recipient *, enum recipient_event, const char *how, const char *status, const char *text, const struct queue_attempt *);
void queue_say_deliver(struct house *, const struct recipient *, uint32_t segment, uint64_t at, int fd);

/* Who it is, is known: it is handed on. */
void queue_try(struct house *, struct recipient *);

/* queue-resolve.c */
void queue_resolve(struct house *, struct recipient *);
void queue_resolve_again(struct house *);                        /* another clerk came         */
void queue_known_forget(struct queue_role *);                    /* the directory is new       */
bool hear_resolved(struct house *, uint32_t ticket, struct bytes body);
void queue_recipient_is(struct recipient *, const struct resolve_target *);
/* The envelope of this letter, kept until another's is asked for (queue-send.c).  0 or errno. */
int queue_envelope(struct queue_role *, const struct letter *, struct envelope **);
/* The letter goes there already: it had been resolved before, or two names lead to one. */
bool queue_has_target(const struct letter *, const struct resolve_target *);
/* Whether copies that go on from here say in Delivered-To from whom (prepend_delivered_header). */
bool queue_leaves_a_trace(const struct queue_role *);
/* By the name whose alias was opened, or whose .forward was read.  True: it has come by that name before, and is returned. */
bool queue_goes_in_circles(struct house *, struct recipient *);
/* The targets a user's .forward named become recipients, all in one checkpoint with the end of the one that named them. */
void queue_forward(struct house *, struct recipient *, const struct word_delivered *);
/* A letter that comes back to somebody who has forwarded it lies in the mailbox: the answer is changed so. */
void queue_forwarders(const struct recipient *, const struct word_resolved *);

/* queue-crowd.c */
void queue_more(void *house, struct letter *);                   /* some of it are due         */
/* Of those of the letter that are not in memory, some thousands from *from on, they come who are meant, and `act`, which ends
   nobody, is told each.  True: there are more behind *from. */
bool queue_absent_each(struct house *, struct letter *, uint32_t *from, bool (*meant)(void *ctx, const struct recipient *), void (*act)(void *ctx, struct recipient *), void *ctx);

/* queue-user.c: recipients that are operating-system users; they wait in `delivering` until their keeper is there */
void queue_deliver_to_user(struct house *, struct recipient *);
/* The keeper of this user is done with it, or was lost. */
void queue_user_had(struct house *, const struct recipient *);
void queue_user_line_end(struct house *, uint32_t keeper);
void queue_user_keeper_came(struct house *, uint32_t index);
bool hear_keeper_not(struct house *, struct bytes body);
bool hear_keeper_rest(struct house *, uint32_t index);

/* queue-return.c */
/* A destination is away, for this reason; it answers again; it is not cared for any more. */
void queue_away(struct away **, const char *why);
/* This letter was not delivered there, and waits. */
void queue_away_waits(const struct queue *, struct away **, uint64_t letter);
void queue_returned(struct house *, struct away **);
void queue_away_free(struct away **);
void queue_returned_letter_ends(struct queue_role *, const struct letter *);

/* queue-route.c */
void queue_route_open(struct house *);
const char *queue_sender_name(const struct recipient *);         /* whose it is                */
const char *queue_sender_outside(const struct recipient *);      /* as other hosts are told    */

/* queue-destination.c, queue-turn.c, queue-send.c (queue-send.h) */
/* It goes there when it is its turn. */
void queue_line_up(struct house *, struct recipient *, const struct transport *, const char *nexthop);
void queue_service_name(const struct queue_role *, const struct transport *, char out[static 96]);
void queue_send_open(struct house *);
void queue_transports_read(struct house *);
/* best_mx_transport has it, whose best host is ourselves.  False: there is none, or it has led back here. */
bool queue_pass_on(struct house *, struct recipient *);
void queue_send(struct house *, struct recipient *);             /* it is not ours: by which transport, to where? */
bool queue_holds_back(struct house *, struct recipient *);       /* it is to lie aside, and not where its user may take it: it is held now */
bool queue_is_filtered(const struct recipient *);                /* a content filter gets it before anybody */
bool hear_routed(struct house *, uint32_t ticket, struct bytes body);
bool hear_sent(struct house *, uint32_t index, uint32_t ticket, struct bytes body);
bool queue_route_quit(struct house *, struct recipient *);      /* false: it waits for no answer */
void queue_routes_forget(struct house *);
void queue_routes_ask(struct house *);                           /* another clerk came         */
void queue_sender_lost(struct house *, uint32_t index);
void queue_send_status(struct house *, struct buffer *);
void queue_destinations_leap(struct house *, int64_t ms);         /* the clock was set          */
void queue_destinations_free(struct house *);                    /* a flush, a reload: none waits for its time */

/* What a pipe's command did with the letter of this sending; or its keeper was lost. */
void queue_piped(struct house *, uint32_t ticket, const struct word_delivered *, int64_t transfer_us);
void queue_pipe_lost(struct house *, uint32_t ticket);

/* queue-pipe.c: for a command of an operating-system user, by that user's keeper */
struct queue_piping {
	uint32_t ticket;               /* of the sending                       */
	const char *transport, *nexthop, *sender;
	struct bytes passed;           /* queue/through.h                      */
	const struct letter *letter;
	struct recipient *const *rcpt; uint32_t rcpts;
};
void queue_pipe_open(struct house *);
void queue_pipe(struct house *, const struct queue_piping *);
bool hear_piped(struct house *, uint32_t index, uint32_t ticket, struct bytes body);
void queue_pipes_keeper(struct house *, uint32_t index);             /* it came               */
void queue_pipes_lost(struct house *, uint32_t index);
void queue_pipes_not(struct house *, uint32_t index, const char *why);      /* it will not come      */
bool queue_pipes_wait(const struct house *, uint32_t index);

/* The number of the segment such a file stands for; no segment of the log ever has it. */
#define SEGMENT_ALONE UINT32_MAX
/* A letter of the log in a file of its own, for who sees nothing of the log: copied in the thread pool.  fd -1: why. */
void queue_copy_alone(struct house *, const struct letter *, void (*done)(void *ctx, int fd, uint64_t envelope_at, int why), void *ctx);
/* queue-tls.c */
bool hear_tlsrpt_said(struct house *, uint32_t index, uint32_t ticket, struct bytes body);
void queue_tls_posted(struct house *, const char *key);         /* one of its letters is durable */
void queue_tls_keep(struct house *);                             /* what was counted, with the next checkpoint */
void queue_tls_open(struct house *);                             /* once there is a ledger     */
void queue_tls_learn(struct house *, const char *nexthop, const struct word_sent *);
void queue_tls_tell(struct house *, struct arena *, struct word_send *);

/* A letter is held for a reason the postmaster should know. */
void queue_alarm(struct house *, const struct letter *);
/* A letter to the postmaster from nobody, its bytes taken over. */
void queue_tell_postmaster(struct house *, const char *to, uint32_t flags, struct buffer *content);   /* of ENVELOPE_ besides */
/* queue-mishap.c */
bool hear_mishap(struct house *, struct bytes body);
bool hear_alert(struct house *, struct bytes body);
/* A letter of ours, its bytes taken over; queue_tls_posted(report) follows when it is durable. */
void queue_post(struct house *, const char *report, const char *from, const char *to, struct buffer *content);
void queue_notice_open(struct house *);
void queue_notice_letter_ends(struct queue_role *, const struct letter *);
void queue_notice_fewer(struct queue_role *, struct letter *);
void queue_ended(void *house, struct recipient *);
/* It was put off: perhaps its sender has not heard of that for so long, or all of its letter have been tried once. */
void queue_put_off(struct house *, struct recipient *);
/* The sender hears that it takes longer than they wished. */
void queue_delayed(struct house *, struct recipient *);
/* queue-speech.c: the languages of a notice, and their templates.  What it gives lives in the arena. */
void queue_speech_open(struct house *);
void queue_speech_reload(struct house *);
struct notice;
void queue_speech(struct house *, struct notice *, struct arena *);
/* An alias of several, or a list, was opened for somebody who wishes to hear of success (rfc3461:5.2.7). */
void queue_expanded(struct house *, struct recipient *, bool is_list);
void queue_notices(void *house);                                 /* at rest */

void queue_compact_command(struct house *, struct caller *);
void queue_compact_start(struct house *, int64_t least_age_ms);
bool hear_referred(struct house *, uint32_t index, uint32_t ticket, struct bytes body);
bool hear_moved_done(struct house *, uint32_t index, uint32_t ticket, struct bytes body);
void queue_compact_lost(struct house *);

/* What a command means: ids, or all that fit the filters; of them the recipients that fit. */
struct queue_choice {
	const char *const *id;
	uint32_t    ids;
	const char *sender, *recipient, *domain, *reason;        /* NULL: any                  */
	const char *route;                                       /* --to of reroute            */
	int64_t     age_least_s, age_most_s;
	uint64_t    size_least, size_most;
	uint32_t    states;                                      /* bits; 0 any                */
	bool        dry, filtered;
};
extern const char *const queue_state_names[RECIPIENT_STATES];
bool queue_mask_fits(struct bytes mask, struct bytes name);
/* False after complaining.  Filters and ids in any order; the strings stay those of the question. */
bool queue_choice_read(struct caller *, const struct word_ask *, struct arena *life, struct queue_choice *);
bool queue_choice_letter(const struct queue_choice *, const struct letter *);
bool queue_choice_recipient(const struct queue_choice *, const struct recipient *);

/* queue-walk.c: a command that goes through the letters.  `each`: whether anything of this letter was meant; of one that was
   named and nothing was, `missed` is complained of.  What is to be said is put into `said`. */
struct queue_walk {
	bool       (*each)(struct queue_walk *, struct letter *);
	int        (*begin)(struct queue_walk *);                /* NULL; the status, when it cannot be */
	void       (*end)(struct queue_walk *);                  /* NULL                       */
	const char  *missed;
	bool         again;                                      /* those in memory once more behind the others: some have come there meanwhile */
	bool         acts;                                       /* to its end though nobody hears; ALL is a name */
	/* Of a letter some of whose recipients are not in memory: each of these in a letter of its own, or, where the walk acts, those
	   this names, brought into memory; NULL for who does not act.  `each` is told of them up to `until`; then `after`, or NULL. */
	bool       (*wants)(struct queue_walk *, const struct recipient *);
	void       (*after)(struct queue_walk *);
	uint64_t     letter;                                     /* it is at; 0: at none       */
	uint32_t     from;
	const struct recipient *until;
	const char  *name;                                       /* as it was asked for; NULL  */
	bool         meant, headed;                              /* anything of it             */
	size_t       count;                                      /* `each` knows               */
	bool         over;                                       /* all was gone through, not all is on the disk */
	int          order;                                      /* `each` knows               */
	struct queue_choice choice;
	struct buffer said;
	size_t       letters;
	uint64_t     bytes;
	struct map  *domains;
	int          status;
	struct house *house;
	struct caller *caller;
	struct arena *life;
	struct queue_place place;
	uint32_t     named;
	struct errand go;
	struct timer *wait;
};
void queue_walk(struct house *, struct caller *, const struct word_ask *, const struct queue_walk *how);
/* What has changed goes to the disk now: 0 all of it, 1 some is left for the next time, -1 the disk does not take it. */
int queue_save(struct house *);

/* queue-show.c */
void queue_command_list(struct house *, struct caller *, const struct word_ask *);
void queue_command_rows(struct house *, struct caller *, const struct word_ask *);
void queue_command_summary(struct house *, struct caller *, const struct word_ask *);
void queue_command_show(struct house *, struct caller *, const struct word_ask *);
void queue_command_content(struct house *, struct caller *, const struct word_ask *);
bool queue_is_transport(const struct queue_role *, struct bytes name);

bool hear_flush(struct house *, uint32_t index, uint32_t ticket, struct bytes body);
void queue_command(struct house *, struct caller *, const struct word_ask *);

#endif
