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
 * lookup_address()  asks a list of tables for an address in Postfix's order: user+ext@domain, user@domain,
 *     user+ext, user, @domain, domain, its parents, user+ext@, user@; `forms` says which of these.  Of each key the
 *     first table that has it wins.  A table of patterns (regexp, pcre, cidr) is asked for the first form alone.
 *     What stood behind the local part's name is in *extension, with its delimiter, when a key without it
 *     matched: it is put on the result with lookup_extended().
 *         virtual(5), canonical(5)  FULL, LOCAL when the domain is this system's own, DOMAIN
 *         access(5) for addresses   FULL, BARE, AT
 *         transport(5)              FULL, BARE; then lookup_find() "*"
 * lookup_domain()   domain, then its parents as ".parent", or as such where parent_domain_matches_subdomains
 *     lists the setting.
 * lookup_match()    a list of patterns as mydestination is: domains, .domains that stand for what is below
 *     them (parents do it too with bare_parents), tables that have the name as a key, /files with patterns in
 *     them; the first that fits decides, ! before it turns it into no.
 * The domain in a key is as addresses have it (message/domain.h); a table that has nothing for it is asked with its
 *     U-labels, too, and patterns may have them.
 * lookup_split()    "user+ext" at the first of several delimiters; false when there is nothing to be split:
 *     names such as postmaster, and owner-list and list-request where - is a delimiter, stay whole.
 *
 * Bounded: LOOKUPS_MOST remote questions in one work; then TABLE_LATER.
 * See:     virtual(5), canonical(5), access(5), transport(5) of Postfix
 */
#ifndef DIRECTORY_LOOKUP_H
#define DIRECTORY_LOOKUP_H

#include "base/setting.h"
#include "directory/table.h"

enum { LOOKUPS_MOST = 1 << 20 };

struct lookup_needs {
	/* The local table of that name, NULL when it is remote. */
	struct table *(*local)(void *ctx, const char *name);
	/* Hears of every question and its answer; NULL: nobody does. */
	void (*told)(void *ctx, const char *name, struct bytes key, enum table_outcome, struct bytes value);
	/* An answer kept from before; TABLE_WAIT when there is none. */
	enum table_outcome (*kept)(void *ctx, const char *name, struct bytes key, struct arena *, struct bytes *value);
	/* The patterns in a "/file"; NULL: it is not there, which is TABLE_LATER.  May be NULL where no list has one. */
	const struct setting_list *(*file)(void *ctx, const char *path);
};
struct lookup_question { const char *table; struct bytes key; enum table_outcome outcome; struct bytes value; };  /* outcome WAIT: not answered */

struct lookups;
struct lookups *lookups_open(const struct lookup_needs *, void *ctx, struct arena *);
/* Whether it answers at once. */
bool lookup_is_here(const struct lookups *, const char *table);
enum table_outcome lookup_find(struct lookups *, const char *table, struct bytes key, struct bytes *value);

enum lookup_forms {
	LOOKUP_FULL    = 1,        /* user+ext@domain, user@domain                */
	LOOKUP_LOCAL   = 2,        /* user+ext, user                              */
	LOOKUP_DOMAIN  = 4,        /* @domain                                     */
	LOOKUP_BARE    = 8,        /* domain, and its parents as .parent          */
	LOOKUP_AT      = 16,       /* user+ext@, user@                            */
};
struct lookup_key {
	struct bytes local, domain, delimiters;        /* domain "": the local part is all there is */
	unsigned forms;
	bool bare_parents;
	bool owners_parted;                            /* owner-NAME and NAME-request are no whole names */
};
enum table_outcome lookup_address(struct lookups *, const struct setting_list *tables, const struct lookup_key *, struct bytes *value, struct bytes *extension);
enum table_outcome lookup_domain(struct lookups *, const struct setting_list *tables, struct bytes domain, bool bare_parents, struct bytes *value);
enum table_outcome lookup_match(struct lookups *, const struct setting_list *patterns, struct bytes domain, bool bare_parents);
/* A domain, or .domain, as addresses have it: what a list of settings has may be in U-labels. */
struct bytes lookup_pattern(struct lookups *, const char *pattern);
bool lookup_split(struct bytes local, struct bytes delimiters, struct bytes *name, struct bytes *extension);
/* "user@domain" and "+ext": "user+ext@domain". */
struct bytes lookup_extended(struct arena *, struct bytes address, struct bytes extension);

/* What is still to be asked: of how many; each in turn from *place = 0. */
size_t lookups_waiting(const struct lookups *);
const struct lookup_question *lookups_next(struct lookups *, size_t *place);
void lookup_answer(struct lookups *, const char *table, struct bytes key, enum table_outcome, struct bytes value);

#endif
