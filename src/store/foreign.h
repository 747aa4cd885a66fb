/*
 * foreign -- accounts whose letters lie in files that others read and write, too
 *
 * From:     store/account, mailbox, message, store
 * To:       store/driver
 *
 * place    an account's location outside (place.c): which folders there are.
 * folder   a mailbox of such an account while it is loaded (folder.c): which file is which message, and
 *          what changed outside since it was looked at last.
 *
 * Messages of folders have ids below 2^32, which the letter log never gives.  Their files are compared with the
 * rows by name.  Flags are merged three ways: what lay outside when we looked last (`outside`), what lies
 * there now, what the row says; a change of either side is kept.  An expunge is a row `gone` until its file
 * is removed, so that nothing comes back after a crash.
 *
 * A file that is new outside becomes a message once a verifier has made its digest.
 */
#ifndef STORE_FOREIGN_H
#define STORE_FOREIGN_H

#include "store/driver.h"
#include "store/inside.h"

struct place {
	const struct driver *driver;
	struct account *account;
	struct arena   *life;
	struct location location;
	int             root;            /* directory                                */
	struct stamp    listed;          /* of the list of folders                   */
	bool            known;           /* the list was read at that stamp          */
	bool            looking;
	void           *mine;            /* the driver's                             */
};

/* A file that is no message yet. */
struct fresh {
	struct file *file;
	int64_t  date;
	int32_t  zone;
	uint32_t uid;
	bool     answered;
	int      why;
	uint64_t size;
	struct buffer digest;
};
struct inquiry { struct folder *folder; size_t which; struct inquiry *next; };
struct settling { void (*fn)(void *ctx); void *ctx; struct settling *next; };

struct folder {
	struct mailbox *mailbox;
	struct place   *place;
	struct map     *by_name;
	struct file   **file;            /* by message                               */
	size_t          count, room;
	struct stamp    stamp;
	int64_t         stamped;         /* wall clock; 0: never looked              */
	int64_t         looked;          /* when a look of many turns was over; 0: none */
	int             watch[2];        /* of inotify, -1 none                      */
	bool            stale;           /* inotify said that something is new       */
	bool            scanning;        /* a look has begun                         */
	struct looking *looking;
	int64_t         locked;          /* since when another program has it; 0: it has not */
	int             unwritten;       /* why changes could not be written, as was told; 0: they could */
	bool            retry;           /* store_later() is awaited                 */
	uint32_t        former;          /* next uid of who had it before us, until its messages are in */
	int64_t         again;           /* when what could not be read is tried again */
	struct fresh   *fresh;
	size_t          fresh_count, fresh_room, asked, entered, open;
	struct inquiry *inquiries;
	struct settling *settling;
	struct map     *strangers;       /* of a conversion that goes on: letters there that no row has, by name; or NULL */
	void           *mine;            /* the driver's                             */
};

/* place.c */
int  place_open(struct account *, const char *location);    /* a->place; 0 or errno            */
void place_close(struct account *);
int  place_make(struct account *, const char *location, struct place **);   /* not the account's yet */
void place_free(struct place *);
void place_look(struct account *);                          /* folders that came and went      */
void place_durable(struct account *);                       /* after a batch: apply changes    */
void place_forget(struct account *);                        /* the transaction was rolled back */
int  place_refuses(struct account *, const char *location, int why); /* logged, not again for a while; returns why */
uint64_t place_message(struct account *);                   /* the next id; 0: none left       */
static inline bool is_foreign(uint64_t message) { return message >> 32 == 0; }
/* Walks to a directory; follows only links that root made.  -1 with errno. */
int  place_directory(const char *path, bool make);
/* One more directory whose changes the stamp of a list of folders tells. */
void stamp_add(struct stamp *, int dir);

/* folder.c */
int  folder_open(struct mailbox *);
struct folder *folder_make(struct mailbox *, struct place *, int *why);     /* not the mailbox's yet */
void folder_free(struct folder *);
void folder_add(struct folder *, struct file *);            /* takes it; its id is the highest */
void folder_close(struct mailbox *);
void folder_renamed(struct mailbox *);                      /* it lies elsewhere now           */
int  folder_look(struct mailbox *, bool force);
void folder_look_end(struct folder *);                      /* what was begun is forgotten     */
int  folder_refresh(struct folder *);                       /* only where files lie now        */
int  folder_resume(struct folder *);                        /* the same; `seen` tells which are there, `strangers` what else is */
void folder_settled(struct folder *);                       /* whoever waited for it waits no more */
/* EBUSY came from the driver: true, store_later() will try again; false, that was waited for long enough. */
bool folder_locked(struct folder *);
bool folder_retry(struct mailbox *);                        /* true: what the account has was loaded anew */
void folder_changed(struct mailbox *, const struct uid_set *);
int  folder_gone(struct mailbox *, const struct uid_set *);
int  folder_arrive(struct mailbox *, const struct arrival *, uint32_t *uid);
int  folder_enter(struct folder *, struct file *, struct arrival *, struct bytes digest, uint32_t *uid);   /* takes the file */
int  folder_copy(struct mailbox *from, const struct uid_set *, struct mailbox *to, bool move, const struct copy_as *,
                 struct arena *, struct uid_set *source, struct uid_range *made, const struct mailbox_watch *by);
void folder_watch(struct mailbox *);
void folder_unwatch(struct folder *);
struct file *folder_file(const struct folder *, uint64_t message);
void folder_path(const struct folder *, const struct file *, struct buffer *out);   /* as an administrator finds it: no NUL behind it */
bool folder_apply(struct folder *);                         /* true: more to do                */
/* The index remembers what lies outside now; after `why` it is tried again. */
void folder_applied(struct folder *, const struct applied *, size_t count, int why);
void file_free(struct file *);
int  file_say(struct account *, enum statement, uint64_t message, uint64_t value);
/* Flags as a driver has them: bits 0 to 7, and bit KEYWORD_FIRST + n for the n-th keyword of the mailbox, of as many as
   there is room for.  Back: what there is no room for stays as it is in `before`. */
uint64_t flags_outer(const struct mailbox *, uint64_t flags);
uint64_t flags_inner(struct mailbox *, uint64_t before, uint64_t outer);
int  file_keep(struct account *, const struct mailbox *, const struct file *, uint64_t letter, struct bytes digest);

/* What is larger is no letter: a file of holes is as long as somebody likes. */
enum { LETTER_MOST = 256 << 20 };

/* content.c: a message's content with CRLF, as a descriptor; a few are kept. */
struct contents;
int  content_open(struct account *, uint64_t message, uint64_t size, uint64_t *at);   /* borrowed; -1 with errno */
/* What a file's bytes are with CRLF: a descriptor to be closed by the caller, and its range; -1 with errno. */
int  content_crlf(struct store *, int fd, bool plain, uint64_t *at, uint64_t *len);
void contents_forget(struct store *, uint64_t account, uint64_t message);             /* 0: all of it */
void contents_close(struct store *);
/* Whether LF alone can stand for CRLF in it and nothing is lost. */
int  content_is_plain(const struct source *, bool *plain);
/* Writes it, with LF unless `plain`, through `put`. */
int  content_write(const struct source *, bool plain, int fd, uint64_t *len);

/* landing.c */
void landing_add(struct landing **, int file, int from, const char *name, int to, const char *as);
int  landing_do(struct landing *);                          /* in the thread                   */
void landing_free(struct landing **, bool undo);

#endif
