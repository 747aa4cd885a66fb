/*
 * driver -- a way to keep letters in files that others read and write, too
 *
 * From:     store/place (folders), store/folder (messages)
 * To:       maildir.c, maildir-fs.c, mbox.c: those there are
 * Touches:  what lies under a place's root, without following links a user could make
 *
 * The account's index stays the truth about uids, modseqs and history whatever the driver.  A driver
 * says what lies outside; folder.c compares it with the index and makes facts of the difference.
 * Messages are known by `name`, which stays the same while flags and places change.
 *
 * path()      where a folder's letters lie; nothing when it can have no place.
 * folders()   tells the name of every folder but INBOX.
 * fits()      whether a folder can have this name.  NULL: every name is good.
 * make()      makes a folder; 0 also when it was there.  remove() with all in it.  rename().
 * enter()     opens a folder that is to be read; leave() closes it.
 * stamp()     cheap: what would change if anybody changed the folder.  False: it cannot be read.
 * scan()      tells of every message; a uid a former owner gave, too.
 * scan_some() the same, some of it at a time: EAGAIN until all were told.  NULL: there is only scan().
 * put()       writes a message; *f->where is set.  When it returns 0 the file is whole but perhaps not
 *             durable or not yet under its name: `landing` says what the sync has to do.
 * link()      the same for a message that lies in another folder of the same driver and place.
 * stranded()  tells the names of messages that may never have come to their place, since we died before the sync that was
 *             to bring them there.  NULL: there are none.
 * apply()     flags and removals for many messages, after the facts are durable.  EINPROGRESS: folder_applied() says when
 *             it is done; until then nothing else is applied.
 * content()   a descriptor of one message as it lies there, to be closed by the caller, and its range.
 * letters()   which flags can be written outside at all: a mask of this mailbox's bits.
 */
#ifndef STORE_DRIVER_H
#define STORE_DRIVER_H

#include "store/location.h"
#include "store/store.h"

struct place;
struct folder;

/* A message of a folder.  Kept in the index (table `file`) but for `where`, at, len. */
struct file {
	char    *name;
	char    *where;                /* the driver's: how to open it            */
	uint64_t at, len;              /* the range of the message in it          */
	uint64_t message;              /* its row                                 */
	uint64_t outside;              /* flags as last seen or written there     */
	bool     plain;                /* is kept with CRLF as it stands          */
	uint8_t  cut;                  /* so many bytes at its end are not its own */
	uint64_t email;                /* what copies of it have in common        */
	bool     coming;               /* of a conversion that is under way       */
	bool     gone;                 /* expunged here, not yet removed there    */
	bool     landing;              /* being synced: not to be missed outside  */
	bool     changed;              /* waits for apply()                       */
	bool     seen;                 /* by the scan that runs                   */
	bool     over;                 /* gone from outside, too                  */
	uint64_t found;                /* flags outside, by the scan that runs    */
	uint64_t flags;                /* apply(): what is to be written          */
};
/* What was done to a message outside. */
struct applied { uint64_t message, outside; bool gone; };
struct found {
	struct bytes name, where;
	uint64_t     at, len;
	uint64_t     flags;
	int64_t      date;             /* seconds                                 */
	int32_t      zone;
	uint32_t     uid;              /* 0: nobody gave it one                   */
};
/* Bytes of a letter with CRLF. */
struct source {
	uint64_t size;
	int    (*read)(void *ctx, uint64_t at, void *out, size_t len);
	void    *ctx;
};
struct stamp { int64_t at[6]; };
/* What the thread that syncs does before the index is synced: file, then its name, then the directory. */
struct landing {
	int             file;          /* -1: only the name                       */
	int             from, to;      /* directories; from -1: no rename          */
	char           *name, *as;
	struct landing *next;
};

struct driver {
	const char *name;
	bool        levels;            /* a folder can hold both messages and folders */
	bool        sure;              /* stamp() tells all: news are nothing more */
	bool        together;          /* apply() wants all changes at once       */
	bool        dated;             /* scan() knows the dates; else they are the files' */
	void (*path)(const struct location *, const char *folder, struct buffer *out);
	int  (*open)(struct place *);
	void (*close)(struct place *);
	bool (*list_stamp)(struct place *, struct stamp *);
	int  (*folders)(struct place *, void (*each)(void *ctx, const char *name), void *ctx);
	bool (*fits)(const char *name);
	int  (*make)(struct place *, const char *name);
	int  (*remove)(struct place *, const char *name);
	int  (*rename)(struct place *, const char *from, const char *to);
	int  (*enter)(struct folder *);
	void (*leave)(struct folder *);
	bool (*stamp)(struct folder *, struct stamp *);
	int  (*scan)(struct folder *, void (*each)(void *ctx, const struct found *), void *ctx);
	int  (*scan_some)(struct folder *, void (*each)(void *ctx, const struct found *), void *ctx);
	int  (*put)(struct folder *, struct file *, const struct source *, int64_t date, struct landing **);
	int  (*link)(struct folder *from, const struct file *, struct folder *to, struct file *, struct landing **);
	void (*stranded)(struct folder *, void (*each)(void *ctx, const char *name), void *ctx);
	int  (*apply)(struct folder *, struct file **, size_t count);
	int  (*content)(struct folder *, const struct file *, uint64_t *at, uint64_t *len);
	/* What a former owner called it: uidvalidity and next uid; false: nothing is known, or not yet (EBUSY). */
	bool (*former)(struct folder *, uint32_t *uidvalidity, uint32_t *uidnext);
	uint64_t (*letters)(struct folder *);
	unsigned (*paths)(struct folder *, char out[2][1200]);    /* what to watch for news */
	bool (*ours)(struct folder *, const char *name, bool away); /* our own doing, so no news */
	void (*subscriptions)(struct place *, void (*each)(void *ctx, const char *name), void *ctx);
};
extern const struct driver maildir_driver, maildir_fs_driver, mbox_driver;

#endif
