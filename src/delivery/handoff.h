/*
 * handoff -- a letter is given to a command, or added to a file, as the user this process is
 *
 * From:     role/keeper (packs it), role/runner (does it, in a process of its own for each: handoff_do() waits)
 * Touches:  what the user may touch; the letter, through the descriptor that comes along
 *
 * handoff_pack(), handoff_unpack()  on the way from one to the other; views point into the packed bytes.
 * handoff_do()       the whole of it.  `text` is kept in the arena.
 *     HANDOFF_COMMAND  the letter stands on the command's standard input with LF lines, behind a "From " line and
 *         the fields of delivery.  A command of plain words is executed as it is; where it has anything for a shell,
 *         /bin/sh reads it.  What its exit status means stands in sysexits(3): EX_TEMPFAIL tries again, others
 *         refuse; "4.2.1 words" or "5.x.x words" at the beginning of what it says is better than any status.
 *     HANDOFF_PIPE     the same for a pipe (delivery/pipe.h): `what` has the words of the command, each with a NUL behind,
 *         and no shell reads them.  The letter is written as the flags say.
 *     HANDOFF_FILE     the letter is added to an mbox, locked by fcntl and dotlock, or put into a Maildir when the name
 *         ends in a slash; durable when this returns.  A file that is a link, has other names, can be executed, or is
 *         no file, is refused, but for /dev/null.
 * handoff_filter()   a word from outside as a command may see it: what is none of the plain characters is an underscore.
 *
 * See: postfix local(8)
 */
#ifndef DELIVERY_HANDOFF_H
#define DELIVERY_HANDOFF_H

#include "delivery/deliver.h"
#include "delivery/pipe.h"

enum handoff_kind { HANDOFF_COMMAND, HANDOFF_FILE, HANDOFF_PIPE };
struct handoff {
	uint32_t        ticket;
	enum handoff_kind kind;
	struct bytes    what;          /* the command, the path             */
	struct bytes    home, shell;   /* where it runs if it can; shell "" /bin/sh */
	struct bytes    directory;     /* where it runs and nowhere else; "" the home */
	int64_t         limit_ms;
	struct bytes    environment;   /* "NAME=value" each with a NUL behind */
	struct bytes    from;          /* "From sender Sun Nov 22 08:00:00 2026" */
	struct bytes    head;          /* fields before the content, CRLF   */
	uint64_t        at, len;       /* of the content, CRLF              */
	int64_t         arrived_us;    /* for the name of a file            */
	uint64_t        letter;
	uint32_t        flags;         /* of a pipe: enum pipe_flag         */
	struct bytes    eol, service;  /* of a pipe                         */
	struct bytes    group;         /* of a pipe: the number of its group, "" the user's */
};
void handoff_pack(struct buffer *, const struct handoff *);
bool handoff_unpack(struct bytes, struct handoff *) __attribute__((warn_unused_result));
struct delivery_answer handoff_do(const struct handoff *, int letter, struct arena *);
void handoff_variable(struct buffer *environment, const char *name, struct bytes value);    /* our own words */
void handoff_filter(struct buffer *environment, const char *name, struct bytes value, const char *plain);   /* words of others */

/* command.c, file.c, for handoff.c */
struct delivery_answer command_do(const struct handoff *, int letter, struct arena *);
struct delivery_answer file_do(const struct handoff *, int letter, struct arena *);
/* All of the letter with LF or e->eol, as the flags (enum pipe_flag) of writing say.  0 or errno. */
int handoff_write(const struct handoff *, int letter, unsigned flags, int to);
/* What an exit status of sysexits(3) means; said: what the command said; service: the pipe's name, "" it is none. */
struct delivery_answer command_answer(int status, struct bytes command, struct bytes said, struct bytes service, struct arena *);

#endif
