/*
 * mbox -- a file for each folder: what the files of this driver know of one another
 *
 * mbox-text.c     the text of an mbox: where messages begin, what their status fields say.  Pure.
 * mbox-lock.c     dotlock, fcntl, flock; in the order of the settings
 * mbox-write.c    rewriting in place, with a journal, so that no stop leaves half a file
 * mbox.c          folders; reading and adding messages
 *
 * A message is known by a hash of its From line and its header without the status fields, and a number where two are
 * the same.  It is read without those fields, and with one '>' taken from lines that begin >From (mboxrd).
 */
#ifndef STORE_MBOX_H
#define STORE_MBOX_H

#include "store/foreign.h"

/* ---- the text ---- */
/* The lines that tell of a message's state: never shown to readers. */
enum mbox_field { MBOX_STATUS, MBOX_X_STATUS, MBOX_X_KEYWORDS, MBOX_X_UID, MBOX_X_IMAPBASE, MBOX_X_IMAP,
                  MBOX_CONTENT_LENGTH, MBOX_FIELDS, MBOX_NO_FIELD = MBOX_FIELDS };
struct mbox_state {
	uint64_t     system;           /* FLAG_ bits                                    */
	bool         old;              /* O: somebody was told of it                    */
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

/* ---- locks ---- */
enum mbox_lock { MBOX_DOTLOCK = 1, MBOX_FCNTL, MBOX_FLOCK, MBOX_LOCKS };
struct mbox_locked { int dir, fd; char dot[300]; bool dotted; };
/* 0, or EAGAIN when somebody else has it, or errno.  EACCES of the dotlock's directory is EACCES. */
int  mbox_lock(int dir, const char *name, int fd, bool write, struct mbox_locked *);
void mbox_unlock(struct mbox_locked *);

/* ---- rewriting ---- */
struct mbox_edit { uint64_t at, remove; struct buffer insert; };
/* Under the write lock.  Edits in order of place. */
int  mbox_rewrite(struct place *, int fd, const struct mbox_edit *, size_t count);
/* Finishes what a stop interrupted.  Under the write lock. */
int  mbox_recover(struct place *, int fd);

#endif
