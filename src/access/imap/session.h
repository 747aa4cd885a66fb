/*
 * session -- one reader's IMAP session: commands in turn, news between them
 *
 * From:     imap/service, which opens and ends it; the commands
 * To:       imap/input, which gathers commands; imap/view
 *
 * A command is a card (struct imap_command) in a file of its own:
 *
 *     parse    reads the arguments into s->work (from the command's arena) and changes
 *              nothing else.  A fault in the scanner is answered BAD.
 *     run      does some of the work and says what next (enum imap_step); it is
 *              called again until it says STEP_DONE, or STEP_BARRIER when all it
 *              changed must be durable before `safe` may answer OK.
 *     safe     says the answer; it runs once, after the barrier, and not if that failed.
 *     unsafe   says it instead when the barrier failed; without it that is NO.
 *     drop     gives back what the command holds, however it ended.
 *
 * The answer is said with imap_ok() or imap_no(); it goes out behind the news
 * the command's `effect` lets us tell.
 *
 * imap_wake()   what STEP_WAIT waited for has come.
 * imap_turn_over() the command has had its milliseconds: return STEP_AGAIN.
 * imap_out()    the output buffer; imap_full() when the client should read first:
 *               return STEP_AGAIN, the next step comes when it has.
 * imap_end()    the session ends after this step, with these words in the log.
 */
#ifndef ACCESS_IMAP_SESSION_H
#define ACCESS_IMAP_SESSION_H

#include "access/guests.h"
#include "access/hold.h"
#include "access/imap/grammar.h"
#include "access/imap/imap.h"
#include "access/imap/view.h"
#include "channel/stream.h"

struct imap;

enum imap_step {
	STEP_DONE,         /* answered                                            */
	STEP_AGAIN,        /* more to do: another turn                            */
	STEP_WAIT,         /* imap_wake() will come                               */
	STEP_BARRIER,      /* then `safe`                                         */
};
enum imap_where {              /* where a command may stand                     */
	IN_AUTHENTICATED = 1 << 0,
	IN_SELECTED      = 1 << 1,
	ANYWHERE         = IN_AUTHENTICATED | IN_SELECTED,
	NOWHERE          = 0,  /* too late for it: we know who reads          */
};
enum imap_effect {
	MAY_EXPUNGE      = 1 << 0,     /* EXPUNGE may be told with its answer (rfc3501:7.4.1) */
	HAS_UID_FORM     = 1 << 1,     /* UID before it                       */
	ONLY_UID_WITH_SET= 1 << 2,     /* EXPUNGE: arguments with UID alone (rfc4315:2.1) */
	WRITES_MAILBOX   = 1 << 3,     /* not after EXAMINE                   */
	TAKES_INPUT      = 1 << 4,     /* reads on while it runs: IDLE, APPEND */
	PATIENT          = 1 << 5,     /* silence is what it is for: IDLE     */
	NEEDS_NO_MESSAGE = 1 << 6,     /* how many there are is all it asks of the selected mailbox */
};
struct imap_command {
	const char *name, *rfc;
	unsigned    in, effect;
	void           (*parse)(struct imap *, struct scan *);
	enum imap_step (*run)(struct imap *);
	void           (*safe)(struct imap *);
	void           (*unsafe)(struct imap *);
	void           (*drop)(struct imap *);
};
extern const struct imap_command *const imap_commands[];
extern const size_t imap_command_count;

struct imap_tally { uint64_t deleted, expunged, trashed, hdr_count, hdr_bytes, body_count, body_bytes; };

struct imap_input;
struct imap_promise;
struct notify;
struct contexts;
struct imap_service;
struct imap {
	struct imap_service *service;
	struct guest   guest;                  /* of the service                */
	struct account *account;
	struct arena  *life;
	struct access_facts facts;             /* strings in `life`             */
	struct stream *stream;
	struct hold    hold;                   /* what was said and may not go out yet */
	bool           cut;                    /* that is not so: nothing more goes out */
	struct imap_input *input;
	struct view   *view;                   /* the selected mailbox          */
	struct ranges  saved;                  /* uids that "$" means (rfc5182) */
	struct contexts *contexts;             /* results kept up to date; NULL: none */
	bool           condstore;              /* rfc7162:3.1: enabled          */
	bool           qresync;                /* rfc7162:3.2.3                 */
	bool           uidonly;                /* rfc9586:3                     */
	struct notify *notify;                 /* NULL until it is used         */
	bool           acting;                 /* what changes now we do ourselves */
	bool           rev2;                   /* rfc9051:6.3.1: ENABLE IMAP4rev2 */
	bool           utf8;                   /* rfc6855:3: ENABLE UTF8=ACCEPT */
	bool           compress;               /* once this command is answered */
	bool           leaves;                 /* for a login, when answered    */
	bool           rekeyed;                /* URLs of the selected mailbox hold no more: to be told */
	uint16_t       bad, bad_in_row;        /* commands answered BAD         */
	const char    *end;                    /* why the session ends, for the log */

	/* The command under way; all of it NULL between commands. */
	const struct imap_command *command;
	struct arena  *scratch;
	struct bytes   tag;
	bool           uid;                    /* it came with UID              */
	bool           waiting, woken;
	struct mailbox *settling;              /* letters outside are being read */
	bool           barrier_over;           /* and `why` it failed           */
	int            why;
	bool           answered;               /* only news and the tagged line remain */
	bool           wrong;                  /* with BAD                      */
	void          *work;
	const char    *answer;
	struct imap_promise *promise;          /* a barrier to come             */

	struct imap_tally tally;
	int64_t        started_ms;             /* the command; silence in IDLE  */
	int64_t        progress_ms;            /* when its progress was told    */
};

/* ---- for commands ------------------------------------------------------------ */
struct buffer *imap_out(struct imap *);
bool imap_full(struct imap *);
/* All that lies in the mailbox's files is in it; false: return STEP_WAIT, and ask again when woken. */
bool imap_settled(struct imap *, struct mailbox *);
/* After EBUSY: another program has its file locked.  True: return STEP_WAIT, and try again when woken.  False: that
   was waited for long enough. */
bool imap_locked(struct imap *, struct mailbox *);
void imap_settling_end(struct imap *);
bool imap_turn_over(struct imap *);
/* A search that is at this uid goes on, or waits: STEP_WAIT or STEP_AGAIN.  When it has taken long
   the client hears how far it is (rfc9585). */
enum imap_step imap_searching(struct imap *, bool wait, uint32_t uid);
void imap_wake(struct imap *);
enum imap_step imap_ok(struct imap *, const char *form, ...) __attribute__((format(printf, 2, 3)));
enum imap_step imap_no(struct imap *, const char *form, ...) __attribute__((format(printf, 2, 3)));
enum imap_step imap_bad(struct imap *, const char *form, ...) __attribute__((format(printf, 2, 3)));
enum imap_step imap_no_errno(struct imap *, int why);      /* words and code for a store's errno */
void imap_end(struct imap *, const char *why);
void imap_bye(struct imap *, const char *words, const char *why);
void imap_unselect(struct imap *);
void imap_enable_condstore(struct imap *);
void imap_enable_qresync(struct imap *);
bool imap_read_only(struct imap *);
/* Names and quoted strings go both ways in UTF-8; else names are in modified UTF-7. */
bool imap_speaks_utf8(const struct imap *);
const char *imap_read_mailbox(struct imap *, struct scan *);        /* as the store has it */
void imap_write_mailbox(struct imap *, const char *name);
/* The messages a sequence set names, by their uids or numbers, as uids the client
   knows; memory from the command's arena.  False: a number beyond the last, the others are there. */
bool imap_resolve(struct imap *, const struct sequence *, bool by_uid, struct uid_set *out);
/* The same in another view. */
bool imap_resolve_in(struct imap *, struct view *, const struct sequence *, bool by_uid, struct uid_set *out);
/* resp-text-code =/ "URLMECH" SP "INTERNAL": said where nobody else listens (rfc4467:8). */
#define URLMECH "URLMECH INTERNAL"
#define BEYOND_LAST "A message number is beyond the last."
#define NUMBERS_ARE_PAST "[UIDREQUIRED] After ENABLE UIDONLY messages have no numbers."
/* Bits for the words; made if they are new.  0, or errno. */
int  imap_flag_bits(struct mailbox *, const struct flag_words *, bool create, uint64_t *bits);
/* "* 7 FETCH (", or "* 4711 UIDFETCH (" where numbers are past. */
void imap_fetch_begin(struct imap *, struct buffer *, uint32_t uid);
/* What happened meanwhile; false when the client must read first. */
bool imap_tell(struct imap *, bool expunges);
bool imap_tell_unasked(struct imap *);                     /* while nothing runs: NOTIFY       */
bool imap_lost(struct imap *);                             /* BYE: the mailbox is not what it was */
/* FETCH of a known message with its flags, uid and modseq as the client wants them. */
void imap_tell_flags(struct imap *, uint32_t uid);
/* FLAGS, before a message is told with a keyword that is new (rfc9051:7.3.5). */
void imap_tell_keywords(struct imap *);
/* EXPUNGE or its like is done: OK with the state the client has then (rfc7162:3.2.7). */
enum imap_step imap_ok_expunged(struct imap *, const char *words);
const struct imap_config *imap_config_of(const struct imap *);
const struct imap_needs  *imap_needs_of(const struct imap *, void **ctx);

/* Strings and groups into the arena. */
void imap_keep_facts(struct access_facts *to, const struct access_facts *, struct arena *);

/* ---- for imap/service and imap/input ------------------------------------------- */
/* Everything that can be done now.  The session may be gone when it returns. */
void imap_go(struct imap *);
void imap_begin(struct imap *, struct bytes line);         /* a whole command came */
/* BAD with the tag that begins `line`, or without when there is none; counts. */
void imap_complain(struct imap *, struct bytes line, const char *words);
void imap_queue(struct imap *);                            /* imap_go() in the next turn */
extern const struct stream_events imap_stream_events;
void imap_finish(struct imap *);                           /* gone now */

#endif
