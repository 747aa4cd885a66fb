/*
 * mbox -- a file for each folder: what the files of this driver know of one another
 *
 * mbox-text.c     the lines of an mbox: which begins a message, what its status fields say.  Pure.
 * mbox-letter.c   a letter in the text: from its From line to the next
 * mbox-lock.c     dotlock, fcntl, flock; in the order of the settings
 * mbox-write.c    rewriting in place, with a journal, so that no stop leaves half a file
 * mbox-read.c     which letters there are, and their bytes
 * mbox-add.c      one letter more
 * mbox-change.c   flags and removals
 * mbox.c          folders, and the table of the driver
 *
 * A message is known by a hash of its From line and its header without the status fields, and a number where two are
 * the same.  It is read without those fields, and with one '>' taken from lines that begin >From (mboxrd).
 */
#ifndef STORE_MBOX_H
#define STORE_MBOX_H

#include "store/foreign.h"
#include <sys/stat.h>

/* ---- the text ---- */
/* The lines that tell of a message's state: never shown to readers. */
enum mbox_field { MBOX_STATUS, MBOX_X_STATUS, MBOX_X_KEYWORDS, MBOX_X_UID, MBOX_X_IMAPBASE, MBOX_X_IMAP,
                  MBOX_CONTENT_LENGTH, MBOX_LINES, MBOX_FIELDS, MBOX_NO_FIELD = MBOX_FIELDS };
struct mbox_state {
	uint64_t     system;           /* FLAG_ bits                                    */
	bool         old;              /* O: somebody was told of it                    */
	bool         based;            /* X-IMAP: the letter holds the folder's data    */
	struct bytes keywords;         /* as they stand, by blanks                      */
	uint32_t     uid, uidvalidity, last;   /* 0: not said; of X-UID and X-IMAPbase  */
	int64_t      date;             /* of the From line, UTC; 0: none                */
};
/* Whether this line (without its end) begins a message: "From ", and a time of day and a year in it. */
bool mbox_is_from(struct bytes line);
int64_t mbox_from_date(struct bytes line);
enum mbox_field mbox_field_of(struct bytes line);
void mbox_field_read(enum mbox_field, struct bytes line, struct mbox_state *);
/* The status fields of a message, with blanks in the last so that they take `room` bytes if they are fewer. */
void mbox_state_write(uint64_t system, bool old, struct bytes keywords, size_t room, struct buffer *out);
/* A status field that came with a letter is the letter's: X-Kept- stands before it while it lies here. */
bool mbox_is_kept(struct bytes line, size_t *skip);
/* A >From line loses one '>' when it is read and gets one when it is written. */
bool mbox_is_quoted(struct bytes line);
bool mbox_needs_quote(struct bytes line);

/* What the status fields take when we write them, so that they can change without moving what follows. */
enum { MBOX_NAME_BYTES = 16, MBOX_STATE_ROOM = 96 };

/* ---- letters ---- */
/* The file, mapped for as long as its lock is held. */
struct mbox_text {
	const char *at;
	size_t      len;
	bool        torn;              /* what was there is not there any more          */
};
int  mbox_text_open(int fd, struct mbox_text *);           /* 0 or errno                      */
int  mbox_text_close(struct mbox_text *);                  /* EBADMSG: what was read means nothing */
/* A line with its end; false at the end of the text.  And without it. */
bool mbox_line(const struct mbox_text *, size_t at, struct bytes *line);
struct bytes mbox_bare(struct bytes line);
/* A message in the text: From line, header, body; `end` is where the next begins, `stop` before the empty line. */
struct mbox_letter {
	size_t            from, header, body, stop, end;
	struct mbox_state state;
	bool              internal;    /* made by another program to keep the folder's data: no letter */
	char              name[MBOX_NAME_BYTES * 2 + 1];
};
/* The next message at or after `at`. */
bool mbox_letter_next(const struct mbox_text *, size_t at, struct mbox_letter *);
/* As readers see it: without the status fields and the '>' of quoting. */
void mbox_letter_plain(const struct mbox_text *, const struct mbox_letter *, struct buffer *out);
/* The names of the letters we know, in the order in which they came. */
struct mbox_names {
	const char **name;
	size_t       count;
	struct map  *by_name;
};
void mbox_names_open(struct mbox_names *, const struct folder *, struct arena *);
void mbox_names_close(struct mbox_names *);
/* Which of those with one hash is which: they lie in the order in which they came. */
struct mbox_numbering {
	const struct mbox_names *names;
	struct map          *seen;     /* by hash: how many were met                    */
	struct map          *known;    /* by hash: the next we know, its place + 1      */
	size_t              *next;     /* by place: the next of the same hash, its + 1  */
};
void mbox_numbering_open(struct mbox_numbering *, const struct mbox_names *);
void mbox_numbering_close(struct mbox_numbering *);
void mbox_number_name(struct mbox_numbering *, const char *letter, struct buffer *out);     /* the name it would have */

/* ---- locks ---- */
enum mbox_lock { MBOX_DOTLOCK = 1, MBOX_FCNTL, MBOX_FLOCK, MBOX_LOCKS };
struct mbox_locked { int dir, fd; char dot[300]; bool dotted; };
/* 0, or EBUSY when somebody else has it, or errno.  EACCES of the dotlock's directory is EACCES. */
int  mbox_lock(int dir, const char *name, int fd, bool write, struct mbox_locked *);
void mbox_unlock(struct mbox_locked *);

/* ---- rewriting ---- */
struct mbox_edit { uint64_t at, remove; struct buffer insert; };
/* Where the journal lies: in the account's directory. */
struct mbox_home { int accounts; uint64_t account; };
struct mbox_home mbox_home_of(const struct folder *);
/* Under the write lock.  Edits in order of place.  For the thread, too. */
int  mbox_rewrite(const struct mbox_home *, int fd, const struct mbox_edit *, size_t count);
/* Finishes what a stop interrupted.  Under the write lock. */
int  mbox_recover(const struct mbox_home *, int fd);

/* ---- a folder ---- */
struct mbox {
	int          dir;              /* the file is NAME in it                        */
	char         name[256];
	struct stamp stamp;            /* of the file the places are of                 */
	uint32_t     uidvalidity;
	struct mbox_changing *changing;        /* being rewritten: nothing is read meanwhile */
	struct mbox_survey   *survey;          /* being read                            */
};
/* The folder is closed, the thread goes on.  NULL: there was none. */
void mbox_changing_leave(struct mbox_changing *);
void mbox_survey_leave(struct mbox_survey *);
/* The file, with its lock; -1 with errno.  ENOENT: there is none; EBUSY: another program has it locked. */
int  mbox_take(struct folder *, bool write, struct mbox_locked *);
void mbox_give(int fd, struct mbox_locked *);
int  mbox_file_make(int dir, const char *name);            /* an empty one, durable, where there is none */
void mbox_stamp_of(const struct stat *, struct stamp *out);
/* Flags by name, and names by flags. */
uint64_t mbox_keyword_bits(struct folder *, struct bytes words);
void mbox_keyword_words(const struct mailbox *, uint64_t flags, struct buffer *out);
/* The driver's (driver.h). */
bool mbox_stamp(struct folder *, struct stamp *out);
int  mbox_scan(struct folder *, void (*each)(void *ctx, const struct found *), void *ctx);
bool mbox_former(struct folder *, uint32_t *uidvalidity, uint32_t *uidnext);
int  mbox_content(struct folder *, const struct file *, uint64_t *at, uint64_t *len);
int  mbox_put(struct folder *, struct file *, const struct source *, int64_t date, struct landing **);
int  mbox_apply(struct folder *, struct file **, size_t count);

#endif
