/*
 * clerk-first -- the account of who logs in before a letter has come: it is what the first letter would have made it, its place and
 * to whom it belongs too (clerk-resolve.c); where no letter would reach it, what the back end says
 */
#include "message/casefold.h"
#include "role/clerk-login.h"
#include "role/clerk-resolve.h"
#include "role/owner.h"

static void
first_over(struct exchange *e, struct bytes name, enum directory_outcome o)
{
	e->busy = false;
	if (e->dropped)
		exchange_close(e);
	else
		chain_account(e, name, o == DIRECTORY_NONE ? DIRECTORY_BAD : o);
}

/* Whom a letter to this address would reach, if that is he himself. */
static struct directory_target *
target_of(const struct work *w, const struct resolve_answer *found)
{
	return found->count == 1 && found->target[0].shadow &&
	                       bytes_equal(casefold(w->life, found->target[0].address),
	                                   casefold(w->life, w->address))
	               ? &found->target[0]
	               : NULL;
}

static enum directory_outcome
pass_first(struct work *w)
{
	struct exchange         *e = w->exchange;
	struct clerk            *c = w->house->mine;
	struct resolving         r = resolving_of(w);
	struct resolve_answer    found = { .table = "", .reply = "", .filter = "" };
	struct directory_target  own = { .address = w->address,
		                         .shadow = true,
		                         .source = credential_kind_names[e->asked->kind] };
	struct directory_target *t = &own;
	enum directory_outcome   o = resolve_in_turns(w, &r, &found);

	if (o == DIRECTORY_MORE || (o == DIRECTORY_WAIT && !w->for_good))
		return o;
	if (o == DIRECTORY_OK && target_of(w, &found) != NULL)
		t = target_of(w, &found);
	t->fields = e->fields;
	if (o != DIRECTORY_LATER && o != DIRECTORY_WAIT) {
		o = clerk_make_account(w, t);
		if (o == DIRECTORY_WAIT && !w->for_good)
			return o;
	}
	if (o == DIRECTORY_OK)
		o = directory_credential(c->directory, t->address, c->origin, e->life, &e->who);
	first_over(e, arena_keep(e->life, w->address), o == DIRECTORY_WAIT ? DIRECTORY_LATER : o);
	return DIRECTORY_OK;
}

void
clerk_first_login(struct exchange *e, struct bytes name)
{
	struct clerk *c = e->house->mine;
	struct work  *w = work_open(e->house, CLERK, 0, 0);

	w->exchange = e;
	w->unmapped = true;
	w->address = bytes_find(name, '@') >= 0
	                     ? arena_keep(w->life, name)
	                     : bytes_of(arena_printf(w->life, "%.*s@%s", (int)name.len, name.at,
	                                             c->origin));
	w->pass = pass_first;
	e->busy = true;
	work_on(w);
}
