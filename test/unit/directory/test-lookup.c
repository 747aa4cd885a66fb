/* In which order tables are asked, and how a pass over remote ones is made again. */
#include "directory/lookup.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"

enum { TABLES_MOST = 4 };

/* Tables that are here are inline or static ones; those that are not are called remote:x. */
struct fake {
	struct table *table[TABLES_MOST];
	const char   *name[TABLES_MOST];
	size_t        count;
};

static struct table *
local(void *ctx, const char *name)
{
	struct fake  *f = ctx;
	struct buffer errors = { 0 }, warnings = { 0 };

	if (strncmp(name, "remote:", 7) == 0)
		return NULL;
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->name[i], name) == 0)
			return f->table[i];
	assert_true(f->count < TABLES_MOST);
	f->name[f->count] = name;
	f->table[f->count] = table_open(name, TABLE_PLAIN, &table_source_files, &errors, &warnings);
	SAME(name, buffer_bytes(&errors), BYTES(""));
	return f->table[f->count++];
}

static const struct lookup_needs needs = { .local = local };

static void
fake_close(struct fake *f)
{
	for (size_t i = 0; i < f->count; i++)
		table_close(&f->table[i]);
}

enum {
	VIRTUAL = LOOKUP_FULL | LOOKUP_DOMAIN,
	OWN = VIRTUAL | LOOKUP_LOCAL,
	ACCESS = LOOKUP_FULL | LOOKUP_BARE | LOOKUP_AT,
};
struct row {
	const char *why, *table, *second, *local, *domain, *delimiters;
	unsigned    forms;
	bool        parents;
	const char *value, *extension; /* value NULL: not there */
};
/* clang-format off */
static const struct row rows[] = {
	{ "virtual(5): the whole address first", "inline:{a+x@d.org=1, a@d.org=2, @d.org=3}", NULL,
	  "a+x", "d.org", "+", VIRTUAL, false, "1", "" },
	{ "virtual(5): then without extension", "inline:{a@d.org=2, @d.org=3}", NULL,
	  "a+x", "d.org", "+", VIRTUAL, false, "2", "+x" },
	{ "virtual(5): no delimiter, no extension", "inline:{a@d.org=2, @d.org=3}", NULL,
	  "a+x", "d.org", "", VIRTUAL, false, "3", "" },
	{ "virtual(5): then the domain", "inline:{@d.org=3}", NULL,
	  "a+x", "d.org", "+", VIRTUAL, false, "3", "" },
	{ "virtual(5): a bare name of our own domain", "inline:{a=4, @d.org=3}", NULL,
	  "a", "d.org", "+", OWN, false, "4", "" },
	{ "virtual(5): a bare name with its extension", "inline:{a+x=5, a=4}", NULL,
	  "a+x", "d.org", "+", OWN, false, "5", "" },
	{ "virtual(5): a bare name without it", "inline:{a=4}", NULL,
	  "a+x", "d.org", "+", OWN, false, "4", "+x" },
	{ "virtual(5): a bare name of a foreign domain is not asked for", "inline:{a=4}", NULL,
	  "a", "d.org", "+", VIRTUAL, false, NULL, "" },
	{ "recipient_delimiter: several characters", "inline:{a@d.org=2}", NULL,
	  "a-x+y", "d.org", "+-", VIRTUAL, false, "2", "-x+y" },
	{ "owner- is no name with an extension", "inline:{owner@d.org=2}", NULL,
	  "owner-list", "d.org", "-", VIRTUAL, false, NULL, "" },
	{ "nor is -request", "inline:{list@d.org=2}", NULL,
	  "list-request", "d.org", "-", VIRTUAL, false, NULL, "" },
	{ "keys of all tables before the next key", "inline:{@d.org=3}", "inline:{a@d.org=2}",
	  "a", "d.org", "+", VIRTUAL, false, "2", "" },
	{ "the first of two tables", "inline:{a@d.org=1}", "inline:{a@d.org=2}",
	  "a", "d.org", "+", VIRTUAL, false, "1", "" },
	{ "patterns are asked for the whole alone", "pcre:{{/^@d/ no}}", "inline:{@d.org=3}",
	  "a", "d.org", "+", VIRTUAL, false, "3", "" },
	{ "access(5): the domain before user@", "inline:{d.org=1, a@=2}", NULL,
	  "a", "d.org", "", ACCESS, false, "1", "" },
	{ "access(5): .parent", "inline:{.org=1, a@=2}", NULL,
	  "a", "x.d.org", "", ACCESS, false, "1", "" },
	{ "access(5): parent as such", "inline:{org=1}", NULL,
	  "a", "x.d.org", "", ACCESS, true, "1", "" },
	{ "access(5): parent as such only where it is said", "inline:{org=1, .d.org=2}", NULL,
	  "a", "x.d.org", "", ACCESS, false, "2", "" },
	{ "access(5): user@", "inline:{a@=2}", NULL, "a", "x.d.org", "", ACCESS, false, "2", "" },
	{ "a domain by its A-label", "inline:{a@xn--bcher-kva.org=1}", NULL, "a", "xn--bcher-kva.org", "+", VIRTUAL, false, "1", "" },
	{ "the same as people type it", "inline:{a@b\xc3\xbc" "cher.org=1}", NULL, "a", "xn--bcher-kva.org", "+", VIRTUAL, false, "1", "" },
	{ "the same for all of it", "inline:{@b\xc3\xbc" "cher.org=1}", NULL, "a", "xn--bcher-kva.org", "+", VIRTUAL, false, "1", "" },
	{ "the same for what is below it", "inline:{.b\xc3\xbc" "cher.org=1}", NULL, "a", "x.xn--bcher-kva.org", "+", ACCESS, false, "1", "" },
	{ "access(5): user@ without extension", "inline:{a@=2}", NULL,
	  "a+b", "x.d.org", "+", ACCESS, false, "2", "+b" },
};
/* clang-format on */

static void
test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row   *r = &rows[i];
		struct fake         f = { .count = 0 };
		struct arena       *arena = arena_open(NULL);
		struct lookups     *l = lookups_open(&needs, &f, arena);
		const char         *names[] = { r->table, r->second };
		struct setting_list list = { names, r->second == NULL ? 1 : 2 };
		struct lookup_key   key = { bytes_of(r->local), bytes_of(r->domain),
			                    bytes_of(r->delimiters), r->forms, r->parents, false };
		struct bytes        value, extension;
		enum table_outcome  outcome = lookup_address(l, &list, &key, &value, &extension);
		HOLDS(r->why, outcome == (r->value == NULL ? TABLE_NONE : TABLE_FOUND));
		SAME(r->why, value, bytes_of(r->value));
		SAME(r->why, extension, bytes_of(r->extension));
		fake_close(&f);
		arena_close(&arena);
	}
}

/* A pass stops at the first remote table that has not answered; what was answered is
   asked no more; what cannot be told now is not taken for "not there". */
static void
test_replay(void **state)
{
	struct fake         f = { .count = 0 };
	struct arena       *arena = arena_open(NULL);
	struct lookups     *l = lookups_open(&needs, &f, arena);
	const char         *names[] = { "remote:a", "inline:{a@d.org=local}" };
	struct setting_list list = { names, 2 };
	struct lookup_key   key = { BYTES("a"), BYTES("d.org"), BYTES("+"), VIRTUAL, false, false };
	struct bytes        value, extension;
	const struct lookup_question *q;
	size_t                        place = 0;

	(void)state;
	assert_int_equal(lookup_address(l, &list, &key, &value, &extension), TABLE_WAIT);
	assert_int_equal(lookups_waiting(l), 1);
	q = lookups_next(l, &place);
	assert_non_null(q);
	SAME("the key", q->key, BYTES("a@d.org"));
	assert_string_equal(q->table, "remote:a");
	assert_null(lookups_next(l, &place));
	assert_int_equal(lookup_address(l, &list, &key, &value, &extension), TABLE_WAIT);
	assert_int_equal(lookups_waiting(l), 1);
	lookup_answer(l, "remote:a", BYTES("a@d.org"), TABLE_NONE, BYTES(""));
	assert_int_equal(lookups_waiting(l), 0);
	assert_int_equal(lookup_address(l, &list, &key, &value, &extension), TABLE_FOUND);
	SAME("the next table was asked then", value, BYTES("local"));
	key.local = BYTES("b");
	assert_int_equal(lookup_address(l, &list, &key, &value, &extension), TABLE_WAIT);
	lookup_answer(l, "remote:a", BYTES("b@d.org"), TABLE_LATER, BYTES("away"));
	assert_int_equal(lookup_address(l, &list, &key, &value, &extension), TABLE_LATER);
	fake_close(&f);
	arena_close(&arena);
}

struct match {
	const char *why, *list[3], *domain;
	bool        parents, fits;
};
/* clang-format off */
static const struct match matches[] = {
	{ "a name", { "d.org" }, "D.org", false, true },
	{ "another", { "d.org" }, "e.org", false, false },
	{ "below it", { "d.org" }, "x.d.org", false, false },
	{ "below it by parent_domain_matches_subdomains", { "d.org" }, "x.d.org", true, true },
	{ "a name that only ends so", { "d.org" }, "xd.org", true, false },
	{ "below it by a dot", { ".d.org" }, "x.d.org", false, true },
	{ "a dot is not the name itself", { ".d.org" }, "d.org", false, false },
	{ "not", { "!x.d.org", ".d.org" }, "x.d.org", false, false },
	{ "not, but another", { "!x.d.org", ".d.org" }, "y.d.org", false, true },
	{ "a table", { "inline:{d.org=x}" }, "d.org", false, true },
	{ "a table, not", { "!inline:{d.org=x}", "static:all" }, "d.org", false, false },
};
/* clang-format on */

static void
test_matches(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(matches); i++) {
		const struct match *m = &matches[i];
		struct fake         f = { .count = 0 };
		struct arena       *arena = arena_open(NULL);
		struct lookups     *l = lookups_open(&needs, &f, arena);
		struct setting_list list = { m->list, m->list[1] == NULL ? 1 : 2 };
		HOLDS(m->why, lookup_match(l, &list, bytes_of(m->domain), m->parents) ==
		                      (m->fits ? TABLE_FOUND : TABLE_NONE));
		fake_close(&f);
		arena_close(&arena);
	}
}

static void
test_extended(void **state)
{
	struct arena *arena = arena_open(NULL);

	(void)state;
	SAME("behind the local part", lookup_extended(arena, BYTES("b@e.org"), BYTES("+x")),
	     BYTES("b+x@e.org"));
	SAME("of a bare name", lookup_extended(arena, BYTES("b"), BYTES("+x")), BYTES("b+x"));
	arena_close(&arena);
}

UNIT(test_addresses, test_replay, test_matches, test_extended)
