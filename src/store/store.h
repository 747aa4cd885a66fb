/*
 * store -- accounts, mailboxes, messages: the shelf readers read from
 *
 * From:     role/keeper, which owns its accounts alone (one writer, no locks)
 * To:       access/imap, access/pop3, delivery
 * Touches:  accounts/<id>/index.db (SQLite, one connection), the letter log read-only
 *
 * A mailbox is its history: facts with a modseq each, snapshots now and then, and in
 * memory the arrays of open mailboxes.  A message row points at pieces in the letter log.
 *
 * Every change is done in memory and in the account's open transaction at once, and is durable
 * when the next barrier ends:
 *     store_barrier(s, fn, ctx): fn(ctx, 0) once all that was changed before is on disk, or
 *     fn(ctx, errno) when it is not: then the account was reloaded from disk and every mailbox_watch of it
 *     told MAILBOX_LOST.  Answer OK (or "delivered") only in fn.
 * store_at_rest() is a loop_at_rest hook: commits dirty accounts, starts one sync for all.
 * store_barrier_later() is for deliveries, which nobody watches: the more of them share a commit the
 * better.  While store_patient() says so, store_at_rest() may be put off, for milliseconds; whoever asks a
 * barrier of the other kind, or watches a mailbox, ends the patience.
 * account_barrier() is the same for what was changed in one account: trouble with another
 * account's disk or file does not reach it.  store_barrier() hears of every account's trouble.
 *
 * errno-style returns: 0 or ENOENT, EEXIST, ENOSPC, EINVAL, EBADMSG (damaged), EDQUOT, EBUSY (locked by another program).
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "spool/letters.h"
#include "message/digest.h"
#include <sys/types.h>

struct store;
struct account;
struct mailbox;

struct quota;
struct store_needs {
	void (*job)(void *ctx, void (*run)(void *), void (*done)(void *), void *job_ctx);
	/* The same for the sync of one account (loop_job_brief); NULL: job. */
	void (*job_brief)(void *ctx, void (*run)(void *), void (*done)(void *), void *job_ctx);
	/* Before each commit that changes how much an account holds, or may; NULL: nobody asks (store/quota.h). */
	void (*quota)(void *ctx, uint64_t account, const struct quota *before, const struct quota *after);
	/* A verifier reads a letter that came from outside the house: `fd` is borrowed during the call.
	   `answered` comes once, later: why 0 and the packed digest.  NULL: there are none outside. */
	void (*digest)(void *ctx, int fd, uint64_t at, uint64_t len,
	               void (*answered)(void *who, int why, struct bytes digest), void *who);
	/* Another program has a file locked: store_later() is wanted some milliseconds from now.  NULL: nobody waits. */
	void (*later)(void *ctx);
	/* Is this account ours?  No other is opened.  NULL: all are. */
	bool (*ours)(void *ctx, uint64_t account);
};
/* `accounts` is a directory descriptor; `letters` is borrowed. */
struct store *store_open(int accounts, struct letters *letters, int64_t history_ms,
                         const struct store_needs *, void *ctx);
void store_close(struct store **);             /* commits and syncs first              */
/* Of so many bytes that are to stay free on the disk arrivals may take three quarters: who takes mail stops before. */
void store_room_keep(uint64_t free_least);
void store_parting(struct store *);            /* the last barrier comes: what is known of mailboxes goes with it */
void store_at_rest(struct store *);
void store_barrier(struct store *, void (*fn)(void *ctx, int why), void *ctx);
void store_barrier_later(struct store *, void (*fn)(void *ctx, int why), void *ctx);
bool store_patient(const struct store *);      /* something waits, and all of it can wait  */
void store_hurry(struct store *);              /* no longer                                */
void account_barrier(struct account *, void (*fn)(void *ctx, int why), void *ctx);
bool store_dirty(const struct store *);

/* What a client was shown must be so after a power cut: else a uid is another message's then, a modseq another change's.
     store_look()    somebody begins to look: from now on it is noted when a thing is looked at that is not on disk yet.
     store_looked()  LOOKED_SAFE: at none, all may be shown.  Else it is to be kept back until fn(ctx, why) was called.
                     With `why` LOOKED_DEEP must be forgotten; of LOOKED_FLAGS MAILBOX_LOST has said that they are others. */
enum looked { LOOKED_SAFE, LOOKED_FLAGS, LOOKED_DEEP };
void store_look(struct store *);
enum looked store_looked(struct store *, void (*fn)(void *ctx, int why), void *ctx);

/* ---- accounts ---------------------------------------------------------- */
/* Opened accounts stay open while used and for a while after; take and drop are pairs.
   A new account gets INBOX, Drafts, Sent, Junk, Trash, Archive with their special uses, all subscribed. */
struct account *account_take(struct store *, uint64_t id, int *why);
void account_drop(struct account **);
bool account_is_open(const struct store *, uint64_t id);
bool account_is_there(const struct store *, uint64_t id);      /* it has been made: somebody took it before */
int  account_remove(struct store *, uint64_t id);        /* and its directory; EBUSY while anybody has it */
uint64_t account_id(const struct account *);
uint64_t account_modseq(const struct account *);

/* Where its letters lie: store/location.h, expanded; "" is the letter log.  An account with mail stays where it
   is, whatever is said (a warning tells): `mansio mailbox convert` moves it. */
int  account_locate(struct account *, const char *location);
int  account_locatable(struct account *, const char *location);   /* 0, or why account_locate() would fail; keeps nothing but the directory, if it made one */
const char *account_location(const struct account *);
bool account_is_settled(struct account *);               /* it has a place outside, or mail       */

/* ---- the list of mailboxes --------------------------------------------- */
/* Names are UTF-8 with '/' between levels; INBOX in any case is "INBOX".  At most 1000 bytes, depth 20. */
enum mailbox_use { USE_NONE, USE_DRAFTS, USE_SENT, USE_JUNK, USE_TRASH, USE_ARCHIVE, USE_ALL, USE_FLAGGED, USE_IMPORTANT };
struct mailbox_info {
	uint64_t id;               /* never reused (rfc8474 MAILBOXID)      */
	const char *name;
	bool exists;               /* false: only subscribed, or only a level above others */
	bool subscribed;
	bool has_children;
	bool no_inferiors;         /* a file of messages: nothing can be below it */
	enum mailbox_use use;
	uint32_t uidvalidity;
};
/* All of them, sorted by name with INBOX first; memory from the arena. */
size_t account_list(struct account *, struct arena *, struct mailbox_info **out);
/* The same of one name alone; false: there is nothing of it.  `name` is borrowed. */
bool account_list_one(struct account *, const char *name, struct mailbox_info *out);
int account_create(struct account *, const char *name, enum mailbox_use);   /* and levels above */
int account_delete(struct account *, const char *name);     /* INBOX: EINVAL; with children: keeps the level (rfc3501:6.3.4) */
int account_rename(struct account *, const char *from, const char *to);     /* INBOX: its messages move */
int account_subscribe(struct account *, const char *name, bool);
struct mailbox_status { uint32_t messages, recent, uidnext, uidvalidity, unseen, first_unseen, deleted; uint64_t highest_modseq, size, deleted_size, id, account; };
int account_status(struct account *, const char *name, struct mailbox_status *out);
int account_use(struct account *, uint64_t mailbox, enum mailbox_use);
uint64_t account_find(struct account *, const char *name);      /* a mailbox's id; 0: there is none */
enum mailbox_use account_use_of(struct account *, const char *name);

/* News of the whole account: every change of its list and, by name alone, of what is in a mailbox.  No mailbox is
   read for it.  It comes at the moment of the change, before the barrier. */
enum account_news { ACCOUNT_ARRIVED, ACCOUNT_EXPUNGED, ACCOUNT_FLAGS, ACCOUNT_MADE, ACCOUNT_DELETED, ACCOUNT_RENAMED,
                    ACCOUNT_SUBSCRIBED, ACCOUNT_METADATA, ACCOUNT_RIGHTS };
struct account_event {
	enum account_news what;
	const char *name;              /* of the mailbox; METADATA of the account itself: "" */
	const char *before;            /* RENAMED: its name until now             */
	struct bytes entry;            /* METADATA                                */
	uint64_t reader;               /* METADATA: whose note; 0: everybody's    */
};
struct account_watch;
struct account_watch *account_watch(struct account *, void (*news)(void *ctx, const struct account_event *), void *ctx);
void account_unwatch(struct account_watch **);
/* Others may do something else with this mailbox now. */
void account_tell_rights(struct account *, const char *name);
bool account_subscribes(const struct account *, const char *name);

/* ---- one mailbox -------------------------------------------------------- */
struct mailbox *mailbox_take(struct account *, const char *name, int *why);
/* The same for who wants to know no more than mailbox_status() tells and the names of keywords, which may have been
   kept: its messages are read when somebody asks for them.  mailbox_wake() does so: 0, or errno; then it is as before and
   may be tried again, or, where not even the counts are there any more, MAILBOX_LOST was told. */
struct mailbox *mailbox_glance(struct account *, const char *name, int *why);
int  mailbox_wake(struct mailbox *);
void mailbox_drop(struct mailbox **);
const char *mailbox_name(const struct mailbox *);
uint64_t mailbox_id(const struct mailbox *);
bool mailbox_is_outside(const struct mailbox *);           /* its letters are files         */
struct account *mailbox_account(const struct mailbox *);
void mailbox_status(struct mailbox *, struct mailbox_status *out);
void mailbox_facts(struct mailbox *, struct mailbox_status *out);      /* the same without what has to be counted: unseen, deleted */
bool mailbox_gone(const struct mailbox *);                 /* deleted meanwhile            */
void mailbox_look(const struct mailbox *);                 /* at all that happened in it (store_look())  */

/* A word of flags: system flags are its bits; above them is the name of a set of keywords, which only this mailbox
   understands, and only until it changes: it is not to be kept from turn to turn. */
enum { FLAG_SEEN = 1, FLAG_ANSWERED = 2, FLAG_FLAGGED = 4, FLAG_DELETED = 8, FLAG_DRAFT = 16 };
enum { KEYWORDS_MOST = 200, KEYWORD_FIRST = 8, SYSTEM_FLAGS = 0xff };
/* The number of a keyword, KEYWORD_FIRST and up without gaps, made if `create`; -1: unknown, or no more room. */
int mailbox_keyword(struct mailbox *, struct bytes name, bool create);
const char *mailbox_keyword_name(const struct mailbox *, int keyword);    /* NULL: none         */
uint64_t mailbox_flags_with(struct mailbox *, uint64_t flags, int keyword);
bool mailbox_flags_have(const struct mailbox *, uint64_t flags, int keyword);

/* The arrays, in order of uid.  Index 0..count-1 is the place now; sessions keep their own
   sequence numbers (see mailbox_watch). */
struct entry { uint32_t uid; uint64_t flags; uint64_t message; uint64_t modseq;
               uint32_t size,          /* as RFC822.SIZE                      */
               saved; };               /* into this mailbox, seconds; 0: before that was written down */
uint32_t mailbox_count(const struct mailbox *);
struct entry mailbox_entry(struct mailbox *, uint32_t index);           /* all 0 when they cannot be read */
int64_t mailbox_find(struct mailbox *, uint32_t uid);                   /* index or -1          */
uint32_t mailbox_first_at_least(struct mailbox *, uint32_t uid);         /* index, count if none */

/* The message at this index is read, with what stands beside its letter; who goes through many finds the next ones brought
   from the disk. */
void mailbox_ahead(struct mailbox *, uint32_t index);

/* News.  `news` is called for every change by anybody (also by this session, with `by` = its watch), after it
   is in memory and before the barrier; a session tells its client when the protocol lets it. */
enum mailbox_news { MAILBOX_ARRIVED, MAILBOX_FLAGS, MAILBOX_EXPUNGED, MAILBOX_LOST, MAILBOX_RENAMED };
struct uid_range { uint32_t first, last; };
struct uid_set { const struct uid_range *range; size_t count; };         /* ascending, disjoint  */
struct mailbox_watch;
struct mailbox_watch *mailbox_watch(struct mailbox *,
	void (*news)(void *ctx, enum mailbox_news, const struct uid_set *, const struct mailbox_watch *by), void *ctx);
void mailbox_unwatch(struct mailbox_watch **);
/* What others did to files outside.  True: all that is there now is in.  False: verifiers still read some;
   `settled` is called once, later, unless mailbox_sync_drop() comes first. */
bool mailbox_sync(struct mailbox *, void (*settled)(void *ctx), void *ctx);
void mailbox_sync_drop(struct mailbox *, void *ctx);
/* After EBUSY, another program has it locked: true, `settled` comes when it may be tried again; false, it is not
   waited for any longer. */
bool mailbox_wait(struct mailbox *, void (*settled)(void *ctx), void *ctx);
void store_later(struct store *);
/* A descriptor that is readable when something changed in a watched folder: then call store_news().  -1: none. */
int  store_news_fd(struct store *);
void store_news(struct store *);
/* \Recent of rfc3501: uids at or above this were not yet told to any session; a read-write
   SELECT claims them.  Returns the first recent uid. */
uint32_t mailbox_recent(struct mailbox *, bool claim);

/* ---- changes ------------------------------------------------------------ */
enum flags_how { FLAGS_ADD, FLAGS_REMOVE, FLAGS_SET };
/* One fact whatever its width.  unchanged_since UINT64_MAX: no condition; else uids that changed later
   are left alone and appended (as uid_range, arena) to *modified (may be NULL). */
int mailbox_flags(struct mailbox *, const struct uid_set *, enum flags_how, uint64_t flags,
                  uint64_t unchanged_since, struct arena *, struct uid_set *modified, const struct mailbox_watch *by);
/* Expunges those of the set (NULL: all) that have \Deleted, or all of the set if `any`. */
int mailbox_expunge(struct mailbox *, const struct uid_set *, bool any, struct arena *, struct uid_set *gone, const struct mailbox_watch *by);
/* Uids expunged after `since` (QRESYNC, rfc7162:3.2.6).  False: the history does not reach back so far; then
   all uids of the client's that are not in the arrays are gone. */
bool mailbox_vanished(struct mailbox *, uint64_t since, struct arena *, struct uid_set *gone);
/* Uids whose rows changed or came after `since`; ranges may name uids that are not there. */
void mailbox_changed(struct mailbox *, uint64_t since, struct arena *, struct uid_set *out);
/* Copies (move: and expunges from here) in uid order; same account.  Source uids that existed and the new uid range. */
int mailbox_copy(struct mailbox *from, const struct uid_set *, struct mailbox *to, bool move, struct arena *,
                 struct uid_set *source, struct uid_range *made, const struct mailbox_watch *by);

/* The same, for somebody who may not do all: `keep`, which flags go along (bits below KEYWORD_FIRST); keywords or none;
   with whose eyes \Seen is seen (NULL: the owner's).  `to` may be of another account of this keeper, unless it is a move:
   then the rows of the messages come along, and were better brought before, some at a time: mailbox_bring() is called until
   it is not EAGAIN; *after begins with 0.
   Into files each is written: with `some` that is done to a few at a time, and `source` tells to which; ask again for the
   rest until it is empty. */
struct seen;
struct copy_as { uint64_t keep; bool keywords; const struct seen *eyes; bool some; };
extern const struct copy_as copy_all;
int mailbox_copy_as(struct mailbox *from, const struct uid_set *, struct mailbox *to, bool move, const struct copy_as *,
                    struct arena *, struct uid_set *source, struct uid_range *made, const struct mailbox_watch *by);
int mailbox_bring(struct mailbox *from, const struct uid_set *, struct mailbox *to, uint32_t *after, uint32_t most);

/* A message that lies in the letter log comes into a mailbox: delivery and APPEND.
   EEXIST (nothing changed, *uid 0): this letter came to this account before. */
struct arrival {
	uint64_t letter;
	struct letter_place place;
	struct bytes head;             /* "" for APPEND                          */
	uint32_t prefix_len;           /* of the envelope's prefix               */
	uint64_t size;                 /* head + prefix + content                */
	int64_t  internal_date;        /* seconds                                */
	int32_t  zone;                 /* minutes east                           */
	int64_t  sent_date;            /* digest's, for SORT and SENT* searches  */
	uint64_t flags;
	int64_t  saved;                /* into its mailbox, seconds; 0: now      */
	uint64_t email;                /* what copies of it have in common; 0: its own */
	uint32_t mark;                 /* and what those for one recipient have; 0: of its head */
	int64_t  arrived_us;           /* for the name of a file: the same each time it is tried; 0: now */
};
int mailbox_arrive(struct mailbox *, const struct arrival *, uint32_t *uid);

/* APPEND may say OK when the letter is durable in the log, before the account's index is: what was promised stands in
   the letter's envelope, and is done again from there if the index lost it (store/receipts.c).
   mailbox_promise()   a letter is about to be written to this segment of the log: account, mailbox, uid and modseq of
                       its receipt; false: none can be given now.
   mailbox_append()    mailbox_arrive() of a letter that lies in a segment with others, durably; `receipt` NULL: it has
                       none.  *kept: no barrier need be waited for, nobody can take back what its receipt says.
   account_refuses()   a letter with a receipt does not come after all: barrier follows, then NO. */
struct receipt;
bool mailbox_promise(struct mailbox *, uint32_t segment, struct receipt *out);
int  mailbox_append(struct mailbox *, const struct arrival *, const struct receipt *, uint32_t *uid, bool *kept);
int  account_refuses(struct account *, const struct letter_place *);

/* ---- reading messages ---------------------------------------------------- */
struct message {                       /* a row                                  */
	uint64_t id;
	uint64_t email;                /* the same for all copies of it          */
	uint32_t mark;                 /* the same for all for this recipient; 0: there is no head */
	struct letter_place place;
	struct bytes head;             /* arena                                  */
	uint32_t prefix_len;
	uint64_t size;
	int64_t  internal_date, sent_date, saved;
	int32_t  zone;
};
int message_read(struct account *, uint64_t id, struct arena *, struct message *out);
/* The digest and prefix (views in the arena).  EBADMSG: damaged, set aside: tell the reader NO. */
int message_digest(struct account *, const struct message *, struct arena *, struct digest *, struct bytes *prefix);
/* Bytes of the whole letter (head + prefix + content). */
int message_bytes(struct account *, const struct message *, struct bytes prefix, uint64_t at, void *out, size_t len);
/* Where the content lies, for stream_say_file() and the verifier's search: fd borrowed. */
int message_content_fd(struct account *, const struct message *, off_t *at);

/* ---- compaction and care -------------------------------------------------- */
/* Each living message of every account of this keeper (store_needs.ours) with a piece in `segment`. */
int store_refers(struct store *, uint32_t segment,
	void (*each)(void *ctx, uint64_t account, uint64_t letter, const struct letter_place *), void *ctx);
/* Letters were copied: rows of every account that point at the old place now point at the new.  Barrier follows. */
int store_moved(struct store *, const uint64_t *letter, const struct letter_place *to, size_t count);
/* Forget history older than history_ms, write snapshots, checkpoint, close what lies idle; one
   account at each call, and of one with large mailboxes a part; true: more to do.  Call it every few seconds while there is time. */
bool store_sweep(struct store *);
/* `mansio store check`: integrity of every account index and that each piece is in the log.  Each complaint
   one line; returns how many.  An account that a running keeper holds is named and left out: ask the
   keeper for it (store_check_account()). */
size_t store_check(int accounts, struct letters *, struct buffer *out);
size_t store_check_account(struct account *, struct buffer *out);
/* The same a little at a time, for an account that is in use.  account_check_step() appends its
   complaints; false: it has seen all.  account_check_close() returns how many there were. */
struct account_check;
struct account_check *account_check_open(struct store *, uint64_t id, int *why);
bool account_check_step(struct account_check *, struct buffer *out);
size_t account_check_close(struct account_check **);
/* Every account of this keeper (store_needs.ours).  0, errno, or what `each` returned. */
int store_each_account(struct store *, int (*each)(void *ctx, uint64_t id), void *ctx);

#endif
