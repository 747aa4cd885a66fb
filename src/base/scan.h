/*
 * scan -- a scanner that keeps its first fault and does nothing after it, so
 * that a parser reads like its grammar without an if for every token
 *
 * `fault` is what was expected, in words for the reply; `fault_at` where.
 * Nothing is allocated: results are views into the line.
 */
#ifndef BASE_SCAN_H
#define BASE_SCAN_H

#include "base/bytes.h"

struct scan {
	struct bytes rest;
	const char  *fault;
	const char  *fault_at;
};

struct scan  scan_of(struct bytes);
bool         scan_ok(const struct scan *);
void         scan_fail(struct scan *, const char *expected);
bool         scan_done(const struct scan *);              /* nothing left, no fault */
bool         scan_next_is(const struct scan *, char);
bool         scan_skip(struct scan *, char);              /* take it if it is there */
bool         scan_skip_word(struct scan *, const char *); /* case-blind             */
void         scan_expect(struct scan *, const char *word);/* case-blind             */
void         scan_end(struct scan *);                     /* fault unless all taken */
struct bytes scan_while(struct scan *, bool (*is)(char)); /* may be empty           */
struct bytes scan_until(struct scan *, char);             /* up to, not with; all if absent */
struct bytes scan_take(struct scan *, size_t n);          /* fault if shorter       */
uint64_t     scan_number(struct scan *, uint64_t most);   /* digits; fault if none or above most */

#endif
