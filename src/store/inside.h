/*
 * inside -- what the files of this room know of one another; nobody outside includes it
 */
#ifndef STORE_INSIDE_H
#define STORE_INSIDE_H

#include "base/map.h"
#include "store/columns.h"
#include "store/fact.h"
#include "store/index.h"
#include "store/quota.h"
#include "store/rows.h"
#include "store/seen.h"
#include "store/text.h"

struct barrier { void (*fn)(void *ctx, int why); void *ctx; struct account *account; struct barrier *next; };
struct barriers { struct barrier *first, **last; };

struct place;
struct folder;
struct landing;
struct contents;

struct mailbox_watch {
	struct mailbox *mailbox;
	struct seen    *seen;            /* through whose eyes, NULL: the owner's  */
	void (*news)(void *ctx, enum mailbox_news, const struct uid_set *, const struct mailbox_watch *by);
	void *ctx;
	struct mailbox_watch *next;
};

struct account_watch {
	struct account *account;
	void (*news)(void *ctx, const struct account_event *);
	void *ctx;
	struct account_watch *next;
};

/* A mailbox of an open account.  Its rows are there once somebody asked for them. */
struct mailbox {
	struct account *account;
	uint64_t id;
	char    *name;
	enum mailbox_use use;
	uint32_t uidvalidity, recent;
	uint64_t made;                   /* modseq                                   */
	uint64_t forgotten;              /* facts up to this modseq are no more      */
	bool     gone;
	uint32_t users;
	bool     loaded;
	bool     glanced;                /* not loaded: `tally`, `bytes`, `uidnext` and the keywords are known */
	bool     damaged;                /* a fact could not be read                 */
	bool     swept;                  /* in the sweep that is on                  */
	uint32_t uidnext;
	uint32_t promised;               /* the highest uid promised to a letter on its way */
	uint64_t highest;                /* modseq of its newest fact                */
	uint64_t kept;                   /* all up to it is in the index on disk, or in the letter log (receipts.c) */
	struct rows rows;
	uint64_t bytes;                  /* sum of sizes                             */
	struct tally {                   /* while nothing has changed since          */
		uint64_t highest;        /* 0: not counted                           */
		uint32_t count, unseen, deleted, first_unseen;
		uint64_t deleted_size;
		uint32_t recent;         /* glanced: at or above `recent` of the mailbox */
	} tally;
	struct ahead { uint32_t last, steps, end; } ahead;       /* where somebody reads, and up to where was brought */
	uint32_t unwritten;              /* rows at the end whose fact is not yet in the table */
	uint64_t unwritten_from;         /* the mailbox they were copied from, or 0  */
	uint32_t facts;                  /* since the last snapshot, about           */
	char    *keyword[KEYWORDS_MOST];
	int      keywords;
	uint32_t sets_most;              /* keyword sets are tidied beyond               */
	struct mailbox_watch *watches, *telling;
	struct seen *seens;              /* other readers' own marks               */
	struct columns *columns;         /* what SORT and SEARCH ask, or NULL        */
	struct folder  *folder;          /* loaded, and its letters lie outside      */
	struct mailbox *next;            /* of the account                           */
};

/* Which receipts of the letter log are in the index (receipts.c). */
struct receipts {
	bool     known;                  /* those that were not are now              */
	bool     changed;                /* `segment` and `at` go to the index with what is written next */
	uint32_t wanted;                 /* the segment letters go to now            */
	uint32_t segment;                /* 0: none                                  */
	uint64_t at;                     /* all up to the envelope here              */
	uint32_t committed, durable;     /* `segment` as the index has it            */
};

struct account {
	struct store *store;
	uint64_t id;
	struct index *index;
	uint32_t users;
	int      refused;                /* why nothing can be done with it          */
	bool     dirty;                  /* its transaction has changes              */
	bool     syncing;
	bool     damaged;                /* a fact could not be read: forget nothing */
	uint64_t modseq;
	uint64_t committed, safe;        /* the modseq of the last commit; of the last that is on disk */
	uint64_t next_mailbox;
	uint32_t uidvalidity;            /* the last given out                       */
	struct usage { uint64_t bytes, messages; } usage, usage_kept;   /* kept: as last written */
	struct quota_limits limits;
	uint64_t swept, tallied;         /* the modseq at the last sweep; and of the last whose tallies were kept */
	bool     counted, usage_changed; /* not counted: an index of an older version */
	struct receipts receipts;
	uint32_t acl_changes;            /* rights may differ when this does */
	struct mailbox *mailboxes;
	struct account_watch *watches, *telling;
	struct map *by_name;
	struct text *text;               /* its text index, once somebody asked      */
	struct digests *digests;         /* once somebody asked                      */
	struct map *subscribed;
	struct place *place;             /* NULL: the letter log                     */
	struct landing *landing;         /* files to be synced with the transaction  */
	char    *location;               /* as it is kept; NULL: the letter log      */
	bool     applying;               /* a turn to write changes outside is asked */
	bool     warned;                 /* that mail_location is another            */
	int      failed;                 /* why the last one failed; until its barriers were told */
	int      lost;                   /* the same, of what is gathered now        */
	int64_t  used_ms, swept_ms;
	bool     sweeping, sweep_forgot; /* some mailboxes still wait; history went, its rows not yet */
	int64_t  rows_again_ms;          /* not before that is looked for rows nobody mentions */
	struct account *newer, *older;   /* idle ones, by last use                   */
	struct account *next;            /* of all open ones                         */
	struct account *next_dirty;
};

struct store {
	int      accounts;
	struct letters *letters;
	int64_t  history_ms;
	int64_t  begun;                  /* wall clock                               */
	struct store_needs needs;
	void    *ctx;
	struct map *open;
	struct account *all;
	struct account *idle_newest, *idle_oldest;
	uint32_t idle;
	struct account *dirty, **dirty_last;
	struct barriers gathering;
	uint32_t later;                  /* barriers gathered that can wait          */
	bool     hurry;                  /* somebody waits for what is gathered      */
	uint64_t looked;                 /* at what is not on disk of this account, 0: of none */
	bool     looked_wide;            /* and of others                            */
	enum looked looked_at;           /* at more than flags                       */
	struct batch *batch;             /* being synced                             */
	struct contents *contents;       /* of letters that lie outside              */
	int      news;                   /* of inotify, -1                           */
	struct map *watched;             /* inotify's number -> folder               */
	struct shares *shares;           /* NULL: not yet read                       */
	struct shares_watch *shares_watches, *shares_telling;
	struct columns *columns;         /* of all mailboxes                         */
	bool     text_on;                /* text indexes are wanted                  */
	uint64_t text_fields;            /* bytes that are kept of single fields     */
	size_t   columns_most;
	struct { uint64_t account; int why; int64_t until; } told[64]; /* of places, by account: place_refuses() */
	int64_t  room_ms;                /* when room was looked at last             */
	int      room_why;
};

extern uint64_t store_room_least;        /* arrivals end when less is free; a test moves it */

/* account.c */
int  account_change(struct account *);           /* before any change: begins, notes dirty. 0 or errno */
int  account_fail(struct account *, int why);    /* rolls back, reloads, tells LOST; returns why       */
int  account_flush(struct account *);            /* facts that wait in memory go to the table          */
uint64_t account_next_modseq(struct account *);
struct account *account_open(struct store *, uint64_t id, bool make, int *why);   /* make: a new one; and a broken one is put aside */
void account_close(struct account **);
int  account_reload(struct account *);
struct mailbox *account_mailbox(struct account *, const char *name);
bool account_has_children(const struct account *, const char *name);
int  account_fact(struct account *, uint64_t mailbox, uint64_t modseq, enum fact_kind, struct buffer *data);
int  account_meta_put(struct account *, const char *name, uint64_t value);
int  account_meta_get(struct account *, const char *name, uint64_t *value);    /* ENOENT: none */

int  account_adopt(struct account *, const char *name);    /* a folder that is there outside */
int  account_disown(struct account *, struct mailbox *);   /* and one that is not any more   */
int  mailbox_validity(struct mailbox *, uint32_t uidvalidity);

/* quota.c */
int  account_usage_read(struct account *);
int  account_usage_flush(struct account *);
void account_uses(struct account *, int64_t messages, int64_t bytes);          /* more, or less */

/* shares.c */
void shares_close(struct store *);

/* seen.c */
void seen_reload(struct mailbox *);

/* watch.c */
void account_tell(struct account *, const struct account_event *);

void store_looks(struct account *, enum looked); /* at what is not on disk yet (store.c) */
/* Somebody looks at a change of a mailbox. */
static inline void
look_at_change(const struct mailbox *m, uint64_t modseq, enum looked at)
{
	if (modseq > m->account->safe && modseq > m->kept)
		store_looks(m->account, at);
}

/* mailbox.c */
int  mailbox_load(struct mailbox *);
/* Its messages are there, though it was only glanced at. */
static inline int
mailbox_ready(struct mailbox *m)
{
	return m->glanced ? mailbox_load(m) : 0;
}
void mailbox_unload(struct mailbox *);
int  mailbox_flush(struct mailbox *);
void mailbox_tell(struct mailbox *, enum mailbox_news, const struct uid_set *, const struct mailbox_watch *by);
void mailbox_tell_reader(struct mailbox *, const struct seen *, const struct uid_set *, const struct mailbox_watch *by);
void mailbox_free(struct mailbox *);
int  mailbox_put_fact(struct mailbox *, uint64_t modseq, enum fact_kind, struct buffer *data);
int  mailbox_snapshot(struct mailbox *);
int  mailbox_change(struct mailbox *);           /* before a change that is no arrival */
/* Takes these uids out: `joined` is the set as the fact keeps it, `bytes` what they weigh. */
int  mailbox_remove(struct mailbox *, const struct uid_list *exact, const struct uid_list *joined, uint64_t bytes,
                    const struct mailbox_watch *by);

int  mailbox_arrive_as(struct mailbox *, const struct arrival *, uint32_t uid, uint64_t modseq);
void mailbox_pass_promises(struct mailbox *);    /* before a uid is given away: promised ones are not */

/* receipts.c */
int  receipts_replay(struct account *);          /* what the index has not yet, from the log; nothing is begun */
int  receipts_flush(struct account *);
void receipts_durable(struct account *);         /* what was committed is synced                       */
void receipts_close(struct account *);           /* all is in the index, and synced                    */

/* tally.c */
bool mailbox_glanced(struct mailbox *);          /* what was kept of it holds: it need not be loaded        */
int  tally_keep(struct mailbox *);               /* with what is begun: for the next who glances        */
void tallies_keep(struct account *);             /* all, in a transaction of their own, if none is begun */
void tallies_rest(struct account *);             /* those of an account in which nothing happened since it was asked last */

/* message.c: the row; index_changed() tells whether it was not there */
int  message_put(struct index *, const struct arrival *, bool copied);

struct bytes message_packed_digest(struct account *, const struct message *, struct arena *);
/* The same with what stands before the letter, of the letter log alone; of NULL when it cannot be read. */
struct bytes message_packed(struct account *, const struct message *, struct arena *, struct bytes *prefix);

/* keyword.c */
void mailbox_keyword_add(struct mailbox *, struct bytes name);
uint64_t flags_after(struct keysets *, uint64_t before, enum flags_how, uint64_t flags);

/* text.c, text-work.c */
void text_close(struct account *);               /* writes what waits, and forgets             */
void text_note(struct account *, uint64_t message);     /* it has come                            */

/* columns.c */
void columns_detach(struct mailbox *);           /* what it is made of is no more                      */
void columns_sweep(struct store *, int64_t now);

/* store.c */
int  store_room(struct store *);                 /* 0, or ENOSPC: nothing that grows may be begun      */
void store_note_dirty(struct account *);
void store_hold(struct account *);               /* it stays open until account_drop()                 */

/* care.c */
/* A mailbox whose history since its last snapshot is longer than this gets a new one. */
enum { FACTS_WORTH_A_SNAPSHOT = 256, FACT_BYTES_LIKE_ONE = 256 };
/* Goes on where it ended, while `sweeping` is true. */
bool account_sweep(struct account *);

#endif
