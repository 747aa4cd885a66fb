/*
 * source -- letters as other programs keep them: mbox, Maildir, .eml
 *
 * From:     command message import, message append
 * Touches:  files, which it reads and leaves as they are
 *
 * source_each()   calls `each` for every letter under the path: a Maildir with its folders (also where the INBOX is
 *                 missing), a directory of .eml or of mboxes (each a mailbox of its name) with those below it, an mbox, a letter.
 *                 "-" is the standard input.  `each` returns false to end it.
 *                 False when something could not be read: said why.
 * letter_pass()   gives the letter's bytes as IMAP wants them: lines end with CRLF, an mbox's quotes before
 *                 "From " and the fields in which mail programs keep flags there (Status, X-Status, X-Keywords,
 *                 X-UID, X-IMAP) are taken off.  Reads in pieces; a letter is never whole in memory.
 *
 * What is known of a letter before it is passed: its size as it will be passed, its flags as IMAP has them,
 * when it came, and the fields by which it is known again (Message-ID, Date, From, Subject; as rfc3501's
 * HEADER.FIELDS gives them, without the empty line).
 */
#ifndef COMMAND_SOURCE_H
#define COMMAND_SOURCE_H

#include "base/buffer.h"

struct letter_source {
	const char   *path;            /* of the file                    */
	const char   *folder;          /* UTF-8, '/' between levels; "" the INBOX */
	uint64_t      number;          /* in an mbox, from 1             */
	int           fd;
	uint64_t      at, end;
	bool          mbox;
	int64_t       date;            /* seconds; 0 not known           */
	uint64_t      size;
	struct buffer flags, known_by;
};
typedef bool source_fn(void *ctx, struct letter_source *);
bool source_each(const char *path, source_fn *each, void *ctx);
/* False: a file that could be read before cannot be now. */
bool letter_pass(struct letter_source *, void (*put)(void *ctx, struct bytes), void *ctx);

/* ---- for tests */
bool mbox_date(struct bytes line, int64_t *seconds);           /* "From jack@example.com Sun Nov 22 01:02:03 2026" */
bool maildir_folder(const char *directory, char *out, size_t room);   /* ".Lists.debian": "Lists/debian" */

#endif
