/*
 * queue -- every letter that is ours and not yet delivered or returned
 *
 * From:     role/queue
 * To:       the ledger (queue.db), when a letter stays longer than a moment
 *
 * Letters live in memory.  A recipient's life is the table in queue.c: states by
 * events.  What is due is found by queue_next(), in order of time, then of arrival.
 *
 * Of those that are due the one with the highest priority is first, and then senders take turns: each recipient
 * of a letter moves its sender (and of letters to many, its mass mail alone) a little back, so that one who
 * comes with a single letter is soon served however much is there of others.  Nothing is due before
 * the time its client wants (struct handling); what is to be there by a time is looked at again then
 * (queue_past_its_time()).
 *
 * The queue is working memory, not the proof of acceptance: that is the letter log.  A letter that
 * is gone again before the next checkpoint never touches queue.db.
 *
 * Nothing here knows of processes: the role does what queue_next() says and reports
 * with queue_event().  When a letter's last recipient is done, `finished` is called and
 * the letter is forgotten.
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "base/arena.h"
#include "base/bytes.h"
#include "message/envelope.h"
#include "queue/heap.h"

enum recipient_state {
	RECIPIENT_NEW,         /* its address is not resolved yet                    */
	RECIPIENT_WAITING,     /* its time will come                                 */
	RECIPIENT_TRYING,      /* somebody is at it                                  */
	RECIPIENT_HELD,        /* an administrator said wait                         */
	RECIPIENT_DONE,        /* delivered, or its sender has been told             */
	RECIPIENT_STATES
};
enum recipient_event {
	EVENT_DUE,             /* its time has come                                  */
	EVENT_RESOLVED,        /* we know who it is                                  */
	EVENT_DELIVERED,
	EVENT_LATER,           /* try again                                          */
	EVENT_REFUSED,         /* it will never work                                 */
	EVENT_LOST,            /* who was at it died, or is not there: try soon      */
	EVENT_HOLD, EVENT_RELEASE,
	EVENT_DROP,            /* an administrator said away with it: nobody is told */
	EVENT_BOUNCE,          /* an administrator said back with it                 */
	RECIPIENT_EVENTS
};

/* Of the name of several, or of a list, its sender is told (rfc3461:5.2.7); its targets are recipients of their own.  What ended
   with a command or a host that is its last is told of as a list is: delivered, and not relayed. */
enum opened { OPENED_NOT, OPENED_NAME, OPENED_LIST };

/* The best host for its domain is ourselves: in this try it was passed on, or it is taken for local (best_mx_transport). */
enum best_here { BEST_ELSEWHERE, BEST_PASSED_ON, BEST_LOCAL };

/* It is held because a table of transports says so, and since an administrator let it go it goes past what says so. */
enum kept_by { KEPT_BY_NOBODY, KEPT_BY_TABLE, KEPT_NO_MORE };

struct queue;
struct letter;

struct recipient {
	struct heap_place place;       /* in the schedule                      */
	struct letter *letter;
	struct arena *life;            /* what its strings are in: its own where it is alone, else its letter's */
	bool        alone;             /* it may leave memory while its letter stays (queue/crowd.h) */
	bool        leaves;            /* with the next checkpoint: there is no room for it yet */
	bool        stands_in;         /* for those of its letter that are not in memory */
	struct recipient *next;        /* of the same letter                   */
	enum recipient_state state;
	uint64_t    account;           /* 0: not local                         */
	const char *original;          /* as accepted at RCPT                  */
	const char *address;           /* as resolved                          */
	const char *detail;
	const char *sender;            /* instead of the letter's; "" its own  */
	const char *through;           /* names of ours it came by: queue/through.h */
	const char *outside;           /* what other hosts see instead of these, "" nothing (SRS) */
	uint32_t    lifetime_s;        /* how long it is tried: 0 as all are, UINT32_MAX not known yet */
	const char *orcpt;
	uint8_t     notify;
	uint32_t    tries;
	int64_t     due_ms;            /* wall clock                           */
	int64_t     begun_us;          /* of this try                          */
	const char *status, *text;     /* of the last try                      */
	const char *tls;               /* of its connection, shared; NULL: nothing is known */
	bool        known;             /* was resolved: account and address say who */
	bool        refused;           /* done by returning, not by delivering */
	bool        reported;          /* delivered, which its sender wants to hear */
	bool        warned;            /* its sender knows that it takes long  */
	bool        told;              /* and the sender knows                 */
	uint8_t     opened;            /* enum opened: it stands for a name that was opened, and is there to be told of */
	uint8_t     best_here;         /* enum best_here, the role's */
	bool        returning;         /* the role's: its notice is on the way */
	bool        asked_for;         /* the role's: somebody wants it tried now */
	uint8_t     kept_by;           /* enum kept_by, the role's */
	bool        ready;             /* in the part of those that are due    */
	bool        stored, changed;   /* has a row in the ledger; differs from it */
	uint32_t    number;            /* in its letter: its row's key         */
	uint32_t    ticket;            /* the role's, while a question is open */
	int64_t     turn;              /* among those that are due; in line for a destination: queue/rota.h's */
	uint32_t    routing, routing_place; /* the role's: the question after its way that it waits for, and its place there */
	void       *line;              /* queue/line.h's, while it waits for its destination, in this order */
	struct recipient *line_next, *line_before;
};
struct letter {
	uint64_t    id;
	uint32_t    envelope_segment;
	uint64_t    envelope_at, content_len;
	uint32_t    content_segment;   /* moves with compaction; the id stays  */
	uint64_t    content_at;
	int64_t     arrived_us, heard_us;
	int64_t     leapt_ms;          /* how far the clock was set when it was heard of */
	uint32_t    flags;             /* enum envelope_flag                   */
	struct handling handling;      /* its strings in `life`                */
	const char *sender;
	struct recipient *first;       /* of those in memory                   */
	uint32_t    recipients, open;  /* in memory or not; open: not DONE     */
	uint32_t    few, alone;        /* so many are always in memory; of the others those that are now */
	struct crowd *crowd;           /* those that are not, or NULL: queue/crowd.h's */
	uint32_t    trims;             /* how often one has left               */
	uint32_t    numbers;           /* given to recipients so far           */
	bool        stored;            /* has rows in the ledger               */
	bool        unsaved;           /* differs from its rows: queue_change() */
	bool        gathered;          /* the role's: its notice waits for the other recipients */
	bool        reporting;         /* the role's: what its first tries came to is on its way to its sender */
	bool        delayed;           /* the role's: its sender is to be warned of those put off */
	struct arena *life;
	struct letter *newer, *older;  /* all letters, in order of coming      */
	struct letter *chain;          /* the queue's                          */
	struct letter *unsaved_next, **unsaved_at;
};

struct queue_needs {
	void (*finished)(void *ctx, struct letter *);
	/* The life of this recipient ended without delivery, or with one its sender wants to hear of
	   (recipient .refused, .reported); the letter is not finished before queue_told(). */
	void (*ended)(void *ctx, struct recipient *);
	/* Recipients of this letter that are not in memory are due: crowd_more(). */
	void (*more)(void *ctx, struct letter *);
};
struct queue_patience { int64_t least_ms, most_ms, lifetime_ms, notice_lifetime_ms;     /* minimal_, maximal_backoff_time, maximal_queue_lifetime, bounce_queue_lifetime */
	bool confirm_cleared; };       /* who was warned hears of the delivery, too    */

struct queue *queue_open(const struct queue_needs *, void *ctx);
void queue_close(struct queue **);
void queue_patience(struct queue *, const struct queue_patience *);
/* Of letters with more recipients than `minimum` so many at a time are in memory (queue/crowd.h). */
struct queue_limits { size_t recipients; uint32_t minimum; };
void queue_limits(struct queue *, const struct queue_limits *);
/* How long a letter is here, ms, as if nobody had set the clock meanwhile. */
int64_t queue_letter_age(const struct queue *, const struct letter *, int64_t now_ms);
/* Until when a recipient is tried, ms. */
int64_t queue_recipient_end(const struct queue *, const struct recipient *);

/* NULL when this id is in the queue already.  Memory of the strings: the letter's life. */
struct letter *queue_add(struct queue *, uint64_t id);
/* The same with memory for so many recipients and so many bytes of their strings at once. */
struct letter *queue_add_for(struct queue *, uint64_t id, uint32_t recipients, size_t strings);
/* A text that other letters have, too, until the letter is gone: its sender, what was said of a recipient. */
const char *queue_text(struct queue *, struct bytes);
/* Something of it is other than the ledger has it. */
void queue_change(struct queue *, struct letter *);
struct letter *queue_unsaved(const struct queue *, bool stored);  /* then letter->unsaved_next; by whether the ledger has rows of it */
void queue_saved(struct queue *, struct letter *);
/* Whose mail it is, when senders take turns: what is written in many ways for one list (news-17+jill=example.com@) is one; 
   its letters to many stand apart from those to few. */
uint64_t queue_party(const struct letter *, const char *sender);
struct letter *queue_find(const struct queue *, uint64_t id);
/* One more of its recipients, with a copy of the text. */
struct recipient *letter_recipient(struct queue *, struct letter *, struct bytes original);
/* It has been read: it goes on the schedule, as queue_enter() does with all. */
void queue_recipient_enter(struct queue *, struct recipient *);
/* All set: its recipients are put on the schedule.  One without any is finished at once, and gone. */
void queue_enter(struct queue *, struct letter *);
size_t queue_count(const struct queue *);
struct letter *queue_oldest(const struct queue *);               /* then letter->newer */

/* A way through all letters that takes many turns: letters that go meanwhile are passed over, those that come are at its end. */
struct queue_place { struct letter *at; struct queue *queue; struct queue_place *next, **me; };
void queue_place_begin(struct queue *, struct queue_place *);
struct letter *queue_place_next(struct queue_place *);            /* NULL: none is left        */
void queue_place_end(struct queue_place *);

/* What is due at `now_ms` and may be begun: its state goes to TRYING, or stays NEW for one that must be
   resolved.  NULL: nothing; *wait_ms is how long until something is (-1: never). */
struct recipient *queue_next(struct queue *, int64_t now_ms, int64_t *wait_ms);
/* `status` and `text` are copied (may be NULL). `now_ms` wall clock. */
void queue_event(struct queue *, struct recipient *, enum recipient_event, const char *status, const char *text, int64_t now_ms);
/* The clock was set, by so much: what waits does as long as it would have, and no letter is older for it. */
void queue_leap(struct queue *, int64_t ms);
/* DELIVERBY (rfc2852): the time its client gave is over. */
bool queue_past_its_time(const struct recipient *, int64_t now_ms);
/* A resolved recipient stands for several: one more, sharing original, orcpt, notify (but for SUCCESS). */
struct recipient *queue_fork(struct queue *, struct recipient *);
/* A recipient is opened: one more that is only there until its sender was told of that. */
void queue_opened(struct queue *, const struct recipient *, enum opened);
/* Somebody is at it, or would be if it were its turn: how it ends this time is known soon. */
bool queue_in_hand(const struct recipient *, int64_t now_ms);
/* Its sender wants to hear what the first try of each recipient comes to (ENVELOPE_REPORT), and can: all are in memory until then, and of a
   letter to more than these nobody is told. */
enum { REPORT_RECIPIENTS_MOST = 1000 };
bool queue_wants_report(const struct letter *);
/* The sender of a recipient that ended has been told (or is nobody). */
void queue_told(struct queue *, struct recipient *);

#endif
