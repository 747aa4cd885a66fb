/*
 * returns -- RETURN (...) of SEARCH, SORT and ESEARCH, and the ESEARCH response
 *
 * returns_read()    search-return-opts of rfc4466:2.6.1 with those of rfc4731, rfc5182 (SAVE), rfc5267, rfc5465:7 and
 *                   rfc9394 (PARTIAL); the scanner stands before "RETURN (".  Without it nothing is taken.
 * returns_charset() "CHARSET" of SEARCH; false: not one we know, answer returns_bad_charset().
 * returns_program() [CHARSET and] what is looked for, of SEARCH and ESEARCH; false as of returns_charset().
 * returns_say()     the response up to where MODSEQ comes.
 * returns_save()    what "$" means from now on.
 *
 * A result is a list of numbers (or uids) in the order the client shall see: ascending ranges for SEARCH, a
 * list for SORT.
 */
#ifndef ACCESS_IMAP_RETURNS_H
#define ACCESS_IMAP_RETURNS_H

#include "access/imap/program.h"
#include "access/imap/session.h"

enum {
	RETURN_MIN = 1, RETURN_MAX = 2, RETURN_ALL = 4, RETURN_COUNT = 8, RETURN_SAVE = 16,
	RETURN_PARTIAL = 32, RETURN_UPDATE = 64, RETURN_CONTEXT = 128, RETURN_RELEVANCY = 256,
	RETURN_HINTS = RETURN_UPDATE | RETURN_CONTEXT,   /* nothing is said for them */
};
struct partial {
	bool     from_end;             /* -1:-10                                  */
	uint32_t first, last;          /* as the client said them; 0: not at all  */
};
struct returns {
	bool     extended;             /* RETURN (...) was there, or rev2 is spoken */
	unsigned give;
	struct partial partial;
	struct bytes update;           /* "(" fetch-att ... ")" of UPDATE, in the command */
	const char *mailbox;           /* of ESEARCH: which it is                 */
	uint32_t uidvalidity;
};
struct result {
	struct uid_set  set;           /* ascending; or                           */
	const uint32_t *list;          /* in this order                           */
	uint64_t        count;
	const uint8_t  *score;         /* of each, for RELEVANCY                  */
};

void returns_read(struct imap *, struct scan *, struct returns *);
/* SP partial-range   rfc9394:4; and what it leaves of a set of uids, of those the client knows. */
void partial_read(struct scan *, struct partial *);
uint64_t partial_span(const struct partial *);            /* 0: none was asked   */
struct uid_set partial_cut(struct imap *, const struct partial *, const struct uid_set *);
bool returns_charset(struct imap *, struct scan *, struct bytes *charset);
bool returns_program(struct imap *, struct scan *, const struct returns *, struct program *);
enum imap_step returns_bad_charset(struct imap *);
void returns_say(struct imap *, const struct returns *, const struct result *, struct buffer *out);
/* "MODSEQ" of what was found; `highest` is that of all of it (rfc7162:3.1.5, 3.1.10). */
void returns_say_modseq(struct imap *, const struct returns *, struct view *, const struct result *, uint64_t highest);
/* The found uids, ascending, and in the order of the result. */
void returns_save(struct imap *, const struct returns *, const struct uid_set *found, const uint32_t *order);
/* The first and the last number of a result that is not empty. */
uint32_t result_first(const struct result *);
uint32_t result_last(const struct result *);
/* Found uids as the command gives them: themselves, or their numbers; memory from the command's arena. */
struct uid_set result_numbers(struct imap *, struct view *, const struct uid_set *uids);

#endif
