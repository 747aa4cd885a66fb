/*
 * capability -- what we can do, in the words of the registry: one row for each extension
 *
 * A row is the word, the document, what implements it here, and the dialogue or test that
 * shows it: CAPABILITY, the greeting before login and docs/conformance-imap.md are printed
 * from the same rows.  Only what is true of every part of an extension gets a row.
 *
 * capability_write()         the words after login, by blanks.
 * capability_write_before()  the words before it; the login adds STARTTLS, AUTH= and
 *                            LOGINDISABLED, which only it knows.
 */
#ifndef ACCESS_IMAP_CAPABILITY_H
#define ACCESS_IMAP_CAPABILITY_H

#include <stdbool.h>

#include "base/buffer.h"

struct imap;
enum capability_when { BEFORE_LOGIN = 1, AFTER_LOGIN = 2, ALWAYS = 3 };
struct capability {
	const char          *word;     /* "APPENDLIMIT=" when a value follows      */
	const char          *rfc;
	enum capability_when when;
	const char          *where;    /* commands and files                       */
	const char          *shown;    /* the dialogue or test that shows it       */
	bool               (*holds)(const struct imap *);     /* NULL: in every session  */
	void               (*value)(const struct imap *, struct buffer *);   /* behind the word */
};
extern const struct capability imap_capabilities[];
extern const size_t imap_capability_count;

void capability_write(const struct imap *, struct buffer *);
void capability_write_before(struct buffer *);

#endif
