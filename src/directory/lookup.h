/*
 * lookup -- questions to tables by somebody who must not wait
 *
 * From:     directory (who gets the mail), role/clerk
 *
 * A pass over some rules asks lookup_find() as it goes.  Local tables answer at once.  A
 * remote table whose answer is not here yet gives TABLE_WAIT, and the question is
 * noted; the pass goes on or ends, its result is void, and when lookup_wanted() questions
 * have been answered with lookup_answer() the pass is made again from its beginning.
 * A pass is therefore a pure function of what it was asked and of the answers.
 *
 * struct lookups lives for one such work (an address to be resolved); `lookup_needs` is how it
 * reaches tables and the cache of answers.
 *
 * lookup_address()  asks a list of tables for an address in Postfix's order: user+ext@domain,
 *     user@domain, user+ext and user when the domain is ours to complete, @domain; `how` says
 *     which of these.  The first table that has it wins.  What stood behind the delimiter is
 *     in *extension when a key without it matched, to be put on the result.
 * lookup_domain()   domain, then .parent domains (or parents as such, by parent_domain_matches_subdomains).
 *
 * Bounded: LOOKUPS_MOST remote questions in one work; then TABLE_LATER.
 */
#ifndef DIRECTORY_LOOKUP_H
#define DIRECTORY_LOOKUP_H

#include "base/setting.h"
#include "directory/table.h"

enum { LOOKUPS_MOST = 1000 };

struct lookup_needs {
	/* The local table of that name, NULL when it is remote. */
	struct table *(*local)(void *ctx, const char *name);
	/* An answer kept from before; TABLE_WAIT when there is none. */
	enum table_outcome (*kept)(void *ctx, const char *name, struct bytes key, struct arena *, struct bytes *value);
};
struct lookup_question { const char *table; struct bytes key; enum table_outcome outcome; struct bytes value; };  /* outcome WAIT: not answered */

struct lookups;
struct lookups *lookups_open(const struct lookup_needs *, void *ctx, struct arena *);
enum table_outcome lookup_find(struct lookups *, const char *table, struct bytes key, struct bytes *value);

enum lookup_forms {
	LOOKUP_FULL    = 1,        /* user+ext@domain, user@domain                */
	LOOKUP_LOCAL   = 2,        /* user+ext, user                              */
	LOOKUP_DOMAIN  = 4,        /* @domain                                     */
	LOOKUP_BARE    = 8,        /* domain, and its parents as .parent          */
};
struct lookup_key { struct bytes local, domain, delimiters; unsigned forms; };
enum table_outcome lookup_address(struct lookups *, const struct setting_list *tables, const struct lookup_key *, struct bytes *value, struct bytes *extension);
enum table_outcome lookup_domain(struct lookups *, const struct setting_list *tables, struct bytes domain, bool bare_parents, struct bytes *value);

/* What is still to be asked: of how many; each in turn from *place = 0. */
size_t lookups_waiting(const struct lookups *);
const struct lookup_question *lookups_next(const struct lookups *, size_t *place);
void lookup_answer(struct lookups *, const char *table, struct bytes key, enum table_outcome, struct bytes value);

#endif
