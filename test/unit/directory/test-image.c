/* What is kept in memory of the directory says what the database says, whatever was changed. */
#include "unit.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/journal.h"
#include "directory/image.h"
#include "directory/protection.h"

static char home[64], path[128];

static struct directory *
opened(void)
{
	struct buffer     errors = { 0 };
	struct directory *d;

	journal_open(JOURNAL_FILE, -1, false, "host");
	(void)snprintf(home, sizeof home, "/tmp/unit-image-XXXXXX");
	HOLDS("a directory of our own", mkdtemp(home) != NULL);
	(void)snprintf(path, sizeof path, "%s/directory.db", home);
	d = directory_open(path, &errors);
	SAME("it opens without complaint", buffer_bytes(&errors), BYTES(""));
	buffer_free(&errors);
	HOLDS("quick",
	      sqlite3_exec(d->db, "PRAGMA synchronous=OFF", NULL, NULL, NULL) == SQLITE_OK);
	return d;
}

static void
closed(struct directory **d)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
	char                     name[160];

	directory_close(d);
	for (size_t i = 0; i < COUNT(ends); i++) {
		(void)snprintf(name, sizeof name, "%s%s", path, ends[i]);
		(void)unlink(name);
	}
	(void)rmdir(home);
}

static uint64_t seed;

static unsigned
some(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % below);
}

static const char *const domains[] = { "example.com", "example.net", "other.example" };
static const char *const locals[] = { "jack", "jill", "\xc3\xa4nne", "a+b", "postmaster" };

static struct bytes
some_domain(void)
{
	return bytes_of(domains[some(COUNT(domains))]);
}

static struct bytes
some_address(struct arena *a)
{
	return bytes_of(arena_printf(a, "%s@%s", locals[some(COUNT(locals))],
	                             domains[some(COUNT(domains))]));
}

/* ---- every call that writes ---- */

static const struct credential any = { .hash = "$argon2id$x",
	                               .scram_iterations = 4096,
	                               .scram_salt = "c2FsdA==",
	                               .scram_stored = "aaaa",
	                               .scram_server = "bbbb" };
static const struct mail_owner owners[] = { { "5000", "5001" }, { "eva", "" } };

static void
do_domain_add(struct directory *d, struct arena *a)
{
	(void)a;
	(void)directory_domain_add(d, some_domain());
}

static void
do_domain_delete(struct directory *d, struct arena *a)
{
	(void)a;
	(void)directory_domain_delete(d, some_domain());
}

/* A domain is rarely without accounts and aliases otherwise. */
static void
do_domain_empty(struct directory *d, struct arena *a)
{
	struct bytes domain = some_domain();
	uint64_t     id;

	for (size_t i = 0; i < COUNT(locals); i++) {
		struct bytes address =
			bytes_of(arena_printf(a, "%s@%.*s", locals[i], (int)domain.len, domain.at));
		(void)directory_alias_delete(d, address, BYTES(""));
		(void)directory_account_delete(d, address, &id);
	}
	(void)directory_domain_delete(d, domain);
}

static void
do_catch_all(struct directory *d, struct arena *a)
{
	(void)directory_domain_catch_all(d, some_domain(),
	                                 some(3) == 0 ? BYTES("") : some_address(a));
}

static void
do_account_add(struct directory *d, struct arena *a)
{
	struct credential c = any;
	uint64_t          id;

	c.owner = some(3) == 0 ? &owners[some(COUNT(owners))] : NULL;
	(void)directory_account_add(d, some_address(a), &c, some(2) == 0, &id);
}

static void
do_account_delete(struct directory *d, struct arena *a)
{
	uint64_t id;

	(void)directory_account_delete(d, some_address(a), &id);
}

static void
do_account_set(struct directory *d, struct arena *a)
{
	(void)directory_account_set_credential(d, some_address(a), &any);
}

static void
do_account_enable(struct directory *d, struct arena *a)
{
	(void)directory_account_enable(d, some_address(a), some(2) == 0);
}

static void
do_account_bind(struct directory *d, struct arena *a)
{
	(void)directory_account_bind(d, some_address(a), some(3));
}

static void
do_account_for(struct directory *d, struct arena *a)
{
	static const char *const sources[] = { "passwd-file", "virtual_mailbox_maps" };
	struct credential        c;

	(void)directory_account_for(d, some_address(a), NULL, sources[some(COUNT(sources))],
	                            some(2) == 0 ? &owners[some(COUNT(owners))] : NULL, a, &c);
}

static void
do_account_own(struct directory *d, struct arena *a)
{
	uint64_t was;

	(void)directory_account_own(d, some_address(a), &owners[some(COUNT(owners))], &was);
}

static void
do_plain(struct directory *d, struct arena *a)
{
	(void)directory_account_keep_plain(d, some_address(a), BYTES("secret"));
	(void)directory_scram_sha1_set(d, some_address(a), "4096,c2FsdA==,aaaa,bbbb");
}

static void
do_limits(struct directory *d, struct arena *a)
{
	int64_t n = some(100);

	(void)directory_limits_set(d, some(2) == 0 ? some_domain() : some_address(a), &n, NULL,
	                           some(2) == 0 ? "log" : NULL);
	(void)directory_limits_say(d, some_address(a), n, n);
}

static void
do_group(struct directory *d, struct arena *a)
{
	uint64_t id;

	if (some(3) == 0)
		(void)directory_group_add(d, some_address(a), some(2) == 0 ? owners : NULL, &id);
	(void)directory_group_member(d, some_address(a), some_address(a), some(3) > 0);
}

static void
do_alias_add(struct directory *d, struct arena *a)
{
	(void)directory_alias_add(d, some_address(a),
	                          some(4) == 0 ? BYTES("Else@where.example") : some_address(a));
}

static void
do_alias_put(struct directory *d, struct arena *a)
{
	struct bytes target[4];
	size_t       count = 1 + some(COUNT(target));

	for (size_t i = 0; i < count; i++)
		target[i] = some(9) == 0 ? BYTES("not an address@") : some_address(a);
	(void)directory_alias_put(d, some_address(a), target, count, some(2) == 0);
}

/* So many that what is kept is large, or too much for one name. */
static void
do_alias_wide(struct directory *d, struct arena *a)
{
	static struct bytes target[600];
	size_t              count = some(2) == 0 ? 400 : COUNT(target);

	for (size_t i = 0; i < count; i++)
		target[i] = bytes_of(
			arena_printf(a, "member-number-%zu-%u@list.example", i, some(1000000)));
	(void)directory_alias_put(d, some_address(a), target, count, true);
}

static void
do_alias_delete(struct directory *d, struct arena *a)
{
	(void)directory_alias_delete(d, some_address(a),
	                             some(2) == 0 ? BYTES("") : some_address(a));
}

static const struct {
	const char *what;
	void (*go)(struct directory *, struct arena *);
	unsigned often;
} writers[] = {
	{ "domain add", do_domain_add, 4 },
	{ "domain delete", do_domain_delete, 2 },
	{ "all of a domain goes", do_domain_empty, 1 },
	{ "catch-all", do_catch_all, 4 },
	{ "account add", do_account_add, 8 },
	{ "account delete", do_account_delete, 3 },
	{ "password", do_account_set, 2 },
	{ "account enable", do_account_enable, 2 },
	{ "bound to a user", do_account_bind, 4 },
	{ "somebody of another source", do_account_for, 3 },
	{ "given to another owner", do_account_own, 3 },
	{ "plain password and verifier", do_plain, 1 },
	{ "limits", do_limits, 2 },
	{ "groups", do_group, 3 },
	{ "alias add", do_alias_add, 8 },
	{ "alias put", do_alias_put, 6 },
	{ "a long list", do_alias_wide, 1 },
	{ "alias delete", do_alias_delete, 3 },
};

static const char *
write_something(struct directory *d, struct arena *a)
{
	unsigned sum = 0, at;

	for (size_t i = 0; i < COUNT(writers); i++)
		sum += writers[i].often;
	at = some(sum);
	for (size_t i = 0;; i++) {
		if (at < writers[i].often) {
			writers[i].go(d, a);
			return writers[i].what;
		}
		at -= writers[i].often;
	}
}

/* ---- what both say ---- */

/* The rows of the database in the form of the image. */
static enum directory_outcome
asked(struct directory *d, enum image_kind kind, struct bytes local, struct bytes domain,
      struct buffer *out)
{
	static const enum directory_query queries[] = { DOMAIN_HAS, ACCOUNT_WHOSE, ALIAS_FIND };
	sqlite3_stmt                     *s =
		directory_query(d, queries[kind], kind == IMAGE_DOMAIN ? domain : local, domain);
	enum directory_outcome o, found = DIRECTORY_NONE;

	while ((o = directory_row(d, s)) == DIRECTORY_OK) {
		int64_t id = sqlite3_column_int64(s, 0);

		found = DIRECTORY_OK;
		if (kind == IMAGE_ACCOUNT) {
			buffer_add(out, (struct bytes){ (const char *)&id, sizeof id });
			buffer_add(out, directory_column(s, 1));
		} else {
			buffer_add(out, directory_column(s, 0));
			buffer_add_char(out, '\n');
		}
	}
	sqlite3_reset(s);
	HOLDS("the database answers", o == DIRECTORY_NONE);
	return found;
}

static bool
known(struct directory *d, enum image_kind kind, struct bytes local, struct bytes domain,
      struct arena *a, enum directory_outcome *o, struct buffer *out)
{
	struct bytes value, target;

	if (!image_knows(d->image, kind, local, domain, a, o, &value))
		return false;
	if (*o != DIRECTORY_OK)
		return true;
	if (kind == IMAGE_ALIAS) {
		while (image_target(&value, &target)) {
			buffer_add(out, target);
			buffer_add_char(out, '\n');
		}
		return true;
	}
	buffer_add(out, value);
	if (kind == IMAGE_DOMAIN)
		buffer_add_char(out, '\n');
	return true;
}

/* How many names it knew; what it says is so. */
static size_t
compare(struct directory *d, const char *why, struct arena *a)
{
	struct buffer got = { 0 }, wanted = { 0 };
	size_t        knew = 0;

	for (size_t i = 0; i < COUNT(domains) * COUNT(locals) * IMAGE_KINDS; i++) {
		enum image_kind kind = (enum image_kind)(i % IMAGE_KINDS);
		struct bytes    domain = bytes_of(domains[i / IMAGE_KINDS % COUNT(domains)]),
			     local = kind == IMAGE_DOMAIN
		                             ? BYTES("")
		                             : bytes_of(locals[i / IMAGE_KINDS / COUNT(domains)]);
		enum directory_outcome o;

		buffer_reset(&got);
		buffer_reset(&wanted);
		if (!known(d, kind, local, domain, a, &o, &got))
			continue;
		knew++;
		HOLDS(why, o == asked(d, kind, local, domain, &wanted));
		SAME(why, buffer_bytes(&got), buffer_bytes(&wanted));
	}
	buffer_free(&got);
	buffer_free(&wanted);
	return knew;
}

enum { STEPS = 6000, NAMES = 3 * 5 * IMAGE_KINDS };

/* Changes alone, several in one that is kept or taken back, while it is being read and when it is whole: it is never wrong,
   and when no change is half done it knows nearly everything. */
static void
test_always_as_the_database(void **state)
{
	struct directory *d = opened();
	struct arena     *a = arena_open(NULL);
	size_t            whole = 0, again = 0, in_changes = 0;
	bool              open = false, wanted = true;
	(void)state;

	seed = 88172645463325252u;
	for (int step = 0; step < STEPS; step++) {
		const char *what = write_something(d, a);
		size_t      knew;

		knew = compare(d, what, a);
		if (open)
			in_changes += knew > 0;
		else if (!wanted)
			HOLDS("but for long lists", knew >= NAMES * 2 / 3);
		if (open && some(6) == 0) {
			HOLDS("the end", directory_changes_end(d, some(2) == 0) || true);
			open = false;
			(void)compare(d, "when several changes have ended", a);
		} else if (!open && some(10) == 0) {
			open = directory_changes_begin(d);
		}
		HOLDS("not while a change may be taken back", !open || !directory_image_wants(d));
		if (some(5) == 0)
			directory_image_turn(d);
		if (!open && wanted && !directory_image_wants(d))
			whole++;
		if (!open && !wanted && directory_image_wants(d))
			again++;
		if (!open)
			wanted = directory_image_wants(d);
		arena_clear(a);
	}
	HOLDS("it was whole, and made anew more than once", whole > 1 && again > 0);
	HOLDS("it knows in changes what they did not touch", in_changes > 0);
	arena_close(&a);
	closed(&d);
}

/* More names than a turn reads, and some are changed before and behind what was read. */
static void
test_changed_while_it_is_read(void **state)
{
	enum { MANY = 3000 };
	struct directory *d = opened();
	struct arena     *a = arena_open(NULL);
	unsigned          turns = 0;
	uint64_t          id;
	(void)state;

	(void)directory_domain_add(d, BYTES("example.com"));
	HOLDS("one change", directory_changes_begin(d));
	for (int i = 0; i < MANY; i++) {
		struct bytes name = bytes_of(arena_printf(a, "u%d@example.com", i));
		HOLDS("alias",
		      directory_alias_add(d, name, BYTES("jack@example.com")) == DIRECTORY_OK);
	}
	HOLDS("kept", directory_changes_end(d, true));
	for (; directory_image_wants(d); turns++) {
		struct bytes early = bytes_of(arena_printf(a, "u%u@example.com", turns)),
			     late = bytes_of(arena_printf(a, "u9%u@example.com", turns)),
			     fresh = bytes_of(arena_printf(a, "a%u@example.com", turns));

		directory_image_turn(d);
		(void)directory_alias_delete(d, early, BYTES(""));
		(void)directory_alias_add(d, late, BYTES("jill@example.com"));
		(void)directory_account_add(d, fresh, &any, false, &id);
		HOLDS("it ends", turns < MANY);
	}
	HOLDS("in several turns", turns > 4);
	for (int i = 0; i < MANY; i++) {
		char                   local[32];
		struct buffer          got = { 0 }, wanted = { 0 };
		enum directory_outcome o;

		for (int f = 0; f < 2; f++)
			for (int kind = IMAGE_ACCOUNT; kind < IMAGE_KINDS; kind++) {
				(void)snprintf(local, sizeof local, f == 0 ? "u%d" : "a%d", i);
				buffer_reset(&got);
				buffer_reset(&wanted);
				HOLDS(local, known(d, (enum image_kind)kind, bytes_of(local),
				                   BYTES("example.com"), a, &o, &got));
				HOLDS(local, o == asked(d, (enum image_kind)kind, bytes_of(local),
				                        BYTES("example.com"), &wanted));
				SAME(local, buffer_bytes(&got), buffer_bytes(&wanted));
			}
		buffer_free(&got);
		buffer_free(&wanted);
	}
	arena_close(&a);
	closed(&d);
}

UNIT(test_always_as_the_database, test_changed_while_it_is_read)
