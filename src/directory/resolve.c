/* directory/resolve.c -- who gets the mail for an address */
#include "base/journal.h"
#include "directory/inside.h"
#include "message/address.h"
#include <string.h>

enum { RESOLVE_DEPTH = 20, RESOLVE_TARGETS = 5000 };

/* One address to be looked at.  `open` is the alias it turned out to be (its own name, or
   that without the detail); `parent` the step whose alias led here, NOBODY for the first. */
struct step {
	struct directory_key key, open;
	struct bytes         detail;
	size_t               depth, parent;
};

/* What one resolution has found so far. */
struct finding {
	struct directory        *d;
	struct arena            *a;
	const char              *delimiters, *origin;
	struct directory_target *target;
	size_t                   count, room;
	struct step             *todo;
	size_t                   todos, todo_room;
	bool                     loop; /* an alias leads back to itself, and nobody has that name */
};

#define NOBODY SIZE_MAX

/* Room for one more of `each` bytes; most resolutions need only the first few. */
static void *
grown(struct arena *a, void *array, size_t count, size_t *room, size_t each)
{
	void *larger;

	if (count < *room)
		return array;
	*room = *room == 0 ? 2 : *room * 2;
	larger = arena_take_array(a, *room, each);
	if (count > 0)
		memcpy(larger, array, count * each);
	return larger;
}

static bool
key_equal(const struct directory_key *x, const struct directory_key *y)
{
	return bytes_equal(x->local, y->local) && bytes_equal(x->domain, y->domain);
}

/* An alias met inside itself stands for the account of that name. */
static bool
inside_itself(const struct finding *f, size_t at, const struct directory_key *k)
{
	for (at = f->todo[at].parent; at != NOBODY; at = f->todo[at].parent)
		if (key_equal(&f->todo[at].open, k))
			return true;
	return false;
}

/* Another road led to this alias already: its targets are on the list. */
static bool
opened_before(const struct finding *f, const struct directory_key *k)
{
	for (size_t i = 0; i < f->todos; i++)
		if (key_equal(&f->todo[i].open, k))
			return true;
	return false;
}

/* One copy for each account and each remote address, however many roads lead there. */
static enum directory_outcome
target_add(struct finding *f, uint64_t account, struct bytes address, struct bytes detail)
{
	for (size_t i = 0; i < f->count; i++)
		if (account != 0 ? f->target[i].account == account
		                 : f->target[i].account == 0 &&
		                           bytes_equal(f->target[i].address, address))
			return DIRECTORY_OK;
	if (f->count == RESOLVE_TARGETS)
		return DIRECTORY_LOOP;
	f->target = grown(f->a, f->target, f->count, &f->room, sizeof *f->target);
	f->target[f->count++] =
		(struct directory_target){ account, arena_keep(f->a, address), detail };
	return DIRECTORY_OK;
}

static enum directory_outcome
todo_add(struct finding *f, const struct directory_key *k, struct bytes detail, size_t parent)
{
	size_t depth = parent == NOBODY ? 0 : f->todo[parent].depth + 1;

	if (depth > RESOLVE_DEPTH || f->todos == RESOLVE_TARGETS)
		return DIRECTORY_LOOP;
	f->todo = grown(f->a, f->todo, f->todos, &f->todo_room, sizeof *f->todo);
	f->todo[f->todos++] =
		(struct step){ .key = *k, .detail = detail, .depth = depth, .parent = parent };
	return DIRECTORY_OK;
}

static enum directory_outcome
lead_to(struct finding *f, struct bytes target, struct bytes detail, size_t parent)
{
	struct directory_key k;

	if (directory_key(target, f->origin, f->a, &k))
		return todo_add(f, &k, detail, parent);
	warn_("directory: alias target \"%.*s\" is not an address", (int)target.len, target.at);
	return DIRECTORY_OK;
}

/* The alias of this very name: its targets go on the list. */
static enum directory_outcome
try_alias(struct finding *f, size_t at, const struct directory_key *k, struct bytes detail)
{
	enum directory_outcome o, found = DIRECTORY_NONE;
	sqlite3_stmt          *s;

	if (inside_itself(f, at, k))
		return DIRECTORY_NONE;
	if (opened_before(f, k))
		return DIRECTORY_OK;
	s = directory_query(f->d, ALIAS_FIND, k->local, k->domain);
	while ((o = directory_row(f->d, s)) == DIRECTORY_OK) {
		found = lead_to(f, arena_keep(f->a, directory_column(s, 0)), detail, at);
		if (found != DIRECTORY_OK)
			break;
	}
	sqlite3_reset(s);
	if (o == DIRECTORY_LATER)
		return o;
	if (found == DIRECTORY_OK)
		f->todo[at].open = *k;
	return found;
}

static enum directory_outcome
try_account(struct finding *f, const struct directory_key *k, struct bytes detail)
{
	sqlite3_stmt          *s = directory_query(f->d, ACCOUNT_WHOSE, k->local, k->domain);
	enum directory_outcome o = directory_row(f->d, s);
	struct address         address = { k->local, k->domain };

	if (o == DIRECTORY_OK)
		o = target_add(f, (uint64_t)sqlite3_column_int64(s, 0),
		               address_text(f->a, &address), detail);
	sqlite3_reset(s);
	return o;
}

static enum directory_outcome
try_both(struct finding *f, size_t at, const struct directory_key *k, struct bytes detail)
{
	enum directory_outcome o = try_alias(f, at, k, detail);

	return o == DIRECTORY_NONE ? try_account(f, k, detail) : o;
}

/* rfc5321:4.5.1: mail for postmaster is always taken. */
static enum directory_outcome
try_postmaster(struct finding *f, const struct directory_key *k)
{
	static const enum directory_query firsts[] = { ACCOUNT_FIRST_OF, ACCOUNT_FIRST };

	if (!bytes_is(k->local, "postmaster"))
		return DIRECTORY_NONE;
	for (size_t i = 0; i < COUNT(firsts); i++) {
		sqlite3_stmt          *s = directory_query(f->d, firsts[i], k->domain, BYTES(""));
		enum directory_outcome o = directory_row(f->d, s);

		if (o == DIRECTORY_OK)
			o = target_add(f, (uint64_t)sqlite3_column_int64(s, 0),
			               directory_column(s, 1), BYTES(""));
		sqlite3_reset(s);
		if (o != DIRECTORY_NONE)
			return o;
	}
	return DIRECTORY_LATER; /* a house without people yet */
}

/* The catch-all of the domain, NONE when the domain is not ours. */
static enum directory_outcome
domain_of(struct finding *f, struct bytes domain, struct bytes *catch_all)
{
	sqlite3_stmt          *s = directory_query(f->d, DOMAIN_HAS, domain, BYTES(""));
	enum directory_outcome o = directory_row(f->d, s);

	*catch_all = (struct bytes){ NULL, 0 };
	if (o == DIRECTORY_OK)
		*catch_all = arena_keep(f->a, directory_column(s, 0));
	sqlite3_reset(s);
	return o;
}

/* The name without its detail; false: there is none to take off. */
static bool
bare_of(const struct finding *f, const struct directory_key *k, struct directory_key *bare,
        struct bytes *detail)
{
	for (size_t cut = 1; cut < k->local.len; cut++)
		if (strchr(f->delimiters, k->local.at[cut]) != NULL) {
			*bare = (struct directory_key){ bytes_cut(k->local, 0, cut), k->domain,
				                        bytes_cut(k->typed, 0, cut) };
			*detail = bytes_cut(k->typed, cut + 1, SIZE_MAX);
			return true;
		}
	*bare = *k;
	return false;
}

/* One address of the list, in the order the header names. */
static enum directory_outcome
resolve_step(struct finding *f, size_t at)
{
	struct directory_key   key = f->todo[at].key, bare;
	struct bytes           catch_all, detail = f->todo[at].detail;
	enum directory_outcome o = domain_of(f, key.domain, &catch_all);

	if (o != DIRECTORY_OK)
		return o == DIRECTORY_NONE ? DIRECTORY_FOREIGN : o;
	o = try_both(f, at, &key, detail);
	if (o == DIRECTORY_NONE && bare_of(f, &key, &bare, &detail))
		o = try_both(f, at, &bare, detail);
	if (o == DIRECTORY_NONE)
		o = try_postmaster(f, &bare);
	if (o != DIRECTORY_NONE)
		return o;
	if (inside_itself(f, at, &key)) {
		f->loop = true;
		return o;
	}
	return catch_all.len > 0 ? lead_to(f, catch_all, detail, at) : o;
}

/* A target that an alias led to, and what came of it. */
static enum directory_outcome
led_to(struct finding *f, const struct step *step, struct bytes from, enum directory_outcome o)
{
	struct address there = { step->key.typed, step->key.domain };

	if (o == DIRECTORY_FOREIGN)
		return target_add(f, 0, address_text(f->a, &there), BYTES(""));
	if (o == DIRECTORY_NONE)
		warn_("directory: %.*s leads to %.*s@%.*s, %s", (int)from.len, from.at,
		      (int)there.local.len, there.local.at, (int)there.domain.len, there.domain.at,
		      f->loop ? "and back again" : "who does not exist");
	return o;
}

enum directory_outcome
directory_resolve(struct directory *d, struct bytes address, const char *delimiters,
                  const char *origin, struct arena *a, struct directory_target **targets,
                  size_t *count)
{
	struct finding         f = { .d = d, .a = a, .delimiters = delimiters, .origin = origin };
	enum directory_outcome o, first = DIRECTORY_BAD;
	struct directory_key   k;

	*count = 0;
	*targets = NULL;
	if (!directory_key(address, origin, a, &k) && !directory_key_of_stranger(address, a, &k))
		return DIRECTORY_BAD;
	(void)todo_add(&f, &k, BYTES(""), NOBODY);
	for (size_t i = 0; i < f.todos; i++) {
		o = resolve_step(&f, i);
		if (i == 0)
			first = o;
		else {
			struct step step = f.todo[i];
			o = led_to(&f, &step, address, o);
		}
		if (o == DIRECTORY_LATER || o == DIRECTORY_LOOP) {
			first = o;
			break;
		}
	}
	if (first == DIRECTORY_OK && f.count == 0)
		first = f.loop ? DIRECTORY_LOOP : DIRECTORY_NONE;
	*targets = f.target;
	*count = f.count;
	return first;
}
