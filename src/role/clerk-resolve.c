/*
 * clerk-resolve -- who gets the mail, and what is written instead of an address: RESOLVE, REWRITE and
 * `address test`.  Each is a pass over rules (directory/resolve.h); when a table that lives elsewhere must be
 * asked first, the pass is made again when it has answered.
 */
#include "role/clerk.h"
#include "role/keeper.h"
#include "role/tables.h"
#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

enum { PASSES_MOST = 50, WAITING_MOST = 4096 };

/* One question to us, until it is answered. */
struct work {
	struct house    *house;
	struct arena    *life;
	struct lookups  *lookups;
	enum role        from;
	uint32_t         index, ticket;
	struct caller   *caller; /* of `address test`; else NULL */
	struct bytes     address;
	struct buffer    said;
	size_t           open;   /* questions on their way       */
	unsigned         passes;
};

static struct clerk *
clerk_of(struct house *h)
{
	return h->mine;
}

/* ---- tables ------------------------------------------------------------------ */

static struct table *
local_table(void *ctx, const char *name)
{
	struct work *w = ctx;

	return tables_local(clerk_of(w->house)->tables, name);
}

static enum table_outcome
included(void *ctx, const char *path, struct arena *a, struct bytes *text)
{
	struct work  *w = ctx;
	struct buffer b = { 0 };
	int           why = house_resource_read(w->house, arena_printf(a, "table/%s", path), &b);

	*text = arena_keep(a, buffer_bytes(&b));
	buffer_free(&b);
	return why == 0 ? TABLE_FOUND : TABLE_LATER;
}

/* ---- RESOLVE ------------------------------------------------------------------- */

static enum resolve_class
class_of(enum directory_outcome o)
{
	switch (o) {
	case DIRECTORY_OK: return RESOLVE_LOCAL;
	case DIRECTORY_NONE:
	case DIRECTORY_BAD: return RESOLVE_UNKNOWN;
	case DIRECTORY_FOREIGN: return RESOLVE_FOREIGN;
	case DIRECTORY_LOOP: return RESOLVE_LOOP;
	case DIRECTORY_REFUSED: return RESOLVE_REFUSED;
	case DIRECTORY_DISCARDED: return RESOLVE_DISCARDED;
	default: return RESOLVE_LATER;
	}
}

/* Where a mailbox of a table lies: a path in virtual_mailbox_base. */
static void
place(struct work *w, const struct directory_target *t)
{
	(void)w;
	(void)t;
}
