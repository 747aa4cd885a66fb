/* The directory: who gets the mail for an address, and what stays on disk. */
#include "unit.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/journal.h"
#include "directory/directory.h"

static char home[64], path[128];

static struct directory *
opened(void)
{
	struct buffer     errors = { 0 };
	struct directory *d = directory_open(path, &errors);

	SAME("it opens without complaint", buffer_bytes(&errors), BYTES(""));
	HOLDS("it opens", d != NULL);
	buffer_free(&errors);
	return d;
}

static void
fresh(void)
{
	journal_open(JOURNAL_FILE, -1, false, "host");
	(void)snprintf(home, sizeof home, "/tmp/unit-directory-XXXXXX");
	HOLDS("a directory of our own", mkdtemp(home) != NULL);
	(void)snprintf(path, sizeof path, "%s/directory.db", home);
}

static void
cleared(void)
{
	static const char *const names[] = { "", "-wal", "-shm", "-journal" };
	char                     name[160];

	for (size_t i = 0; i < COUNT(names); i++) {
		(void)snprintf(name, sizeof name, "%s%s", path, names[i]);
		(void)unlink(name);
	}
	(void)rmdir(home);
}

static const struct credential any = {
	.hash = "$argon2id$x",
	.scram_iterations = 4096,
	.scram_salt = "c2FsdA==",
	.scram_stored = "aaaa",
	.scram_server = "bbbb",
};

/* ---- resolving ---- */

struct alias {
	const char *from, *to;
};

static void
people(struct directory *d)
{
	static const char *const domains[] = { "example.com", "Example.NET", "empty.example",
		                               "all.example", "one.example", "loop.example" };
	/* clang-format off */
	static const char *const accounts[] = {
		"jack@example.com", "Jill@Example.COM", "ann.o'neil@example.com", "a+b@example.com",
		"postmaster@example.net", "zoe@example.net", "first@one.example", "seized@all.example", "both@example.com",
		"caught@all.example",
	};
	/* clang-format on */
	/* clang-format off */
	static const struct alias aliases[] = {
		{ "info@example.com", "jack@example.com" },
		{ "team@example.com", "jack@example.com" }, { "team@example.com", "jill@example.com" },
		{ "team@example.com", "Out.Side@Else.Example" },
		{ "jack+special@example.com", "jill@example.com" },
		{ "a1@example.com", "a2@example.com" }, { "a2@example.com", "a3@example.com" }, { "a3@example.com", "jack@example.com" },
		{ "both@example.com", "both@example.com" }, { "both@example.com", "jill@example.com" },
		{ "round@example.com", "about@example.com" }, { "about@example.com", "round@example.com" },
		{ "self@example.com", "self@example.com" },
		{ "diamond@example.com", "left@example.com" }, { "diamond@example.com", "right@example.com" },
		{ "left@example.com", "foot@example.com" }, { "right@example.com", "foot@example.com" },
		{ "foot@example.com", "jill@example.com" },
		{ "dead@example.com", "nobody@example.com" },
		{ "half@example.com", "nobody@example.com" }, { "half@example.com", "jack@example.com" },
		{ "list@example.com", "jack+lists@example.com" },
		{ "seized@all.example", "jack@example.com" },
		{ "twice@example.com", "JACK@example.com" }, { "twice@example.com", "jack@EXAMPLE.com" },
		{ "ring@loop.example", "rang@loop.example" }, { "rang@loop.example", "ring@loop.example" },
	};
	/* clang-format on */
	uint64_t id;

	for (size_t i = 0; i < COUNT(domains); i++)
		HOLDS(domains[i], directory_domain_add(d, bytes_of(domains[i])) == DIRECTORY_OK);
	for (size_t i = 0; i < COUNT(accounts); i++)
		HOLDS(accounts[i], directory_account_add(d, bytes_of(accounts[i]), &any, false,
		                                         &id) == DIRECTORY_OK);
	for (size_t i = 0; i < COUNT(aliases); i++) {
		enum directory_outcome o =
			directory_alias_add(d, bytes_of(aliases[i].from), bytes_of(aliases[i].to));
		HOLDS(aliases[i].to,
		      o == DIRECTORY_OK || (o == DIRECTORY_EXISTS &&
		                            strcmp(aliases[i].from, "twice@example.com") == 0));
	}
	HOLDS("catch-all", directory_domain_catch_all(d, BYTES("all.example"),
	                                              BYTES("caught@all.example")) == DIRECTORY_OK);
	HOLDS("catch-all", directory_domain_catch_all(d, BYTES("loop.example"),
	                                              BYTES("jack@example.com")) == DIRECTORY_OK);
}

/* Targets in order, "address" or "address|detail", remote ones with a leading ">". */
static void
shown(const struct directory_target *t, size_t count, struct buffer *out)
{
	for (size_t i = 0; i < count; i++)
		buffer_printf(out, "%s%s%.*s%s%.*s", i > 0 ? " " : "", t[i].account == 0 ? ">" : "",
		              (int)t[i].address.len, t[i].address.at,
		              t[i].detail.len > 0 ? "|" : "", (int)t[i].detail.len, t[i].detail.at);
}

/* clang-format off */
static const struct {
	const char *why, *address;
	enum directory_outcome outcome;
	const char *targets;
} resolved[] = {
	{ "an account", "jack@example.com", DIRECTORY_OK, "jack@example.com" },
	{ "case means nothing (ours)", "JaCk@EXAMPLE.Com", DIRECTORY_OK, "jack@example.com" },
	{ "made with capitals", "jill@example.com", DIRECTORY_OK, "jill@example.com" },
	{ "an apostrophe and a dot", "Ann.O'Neil@example.com", DIRECTORY_OK, "ann.o'neil@example.com" },
	{ "no such user", "nobody@example.com", DIRECTORY_NONE, "" },
	{ "no such user with a detail", "nobody+x@example.com", DIRECTORY_NONE, "" },
	{ "not our domain", "jack@elsewhere.example", DIRECTORY_FOREIGN, "" },
	{ "a name below ours is not ours", "jack@sub.example.com", DIRECTORY_FOREIGN, "" },
	{ "an address literal is not ours", "jack@[192.0.2.1]", DIRECTORY_FOREIGN, "" },
	{ "a bare name is of the origin", "jack", DIRECTORY_OK, "jack@example.com" },
	{ "a bare unknown name", "nobody", DIRECTORY_NONE, "" },
	{ "rfc5233: the detail is off, its case kept", "jack+ToDo@example.com", DIRECTORY_OK, "jack@example.com|ToDo" },
	{ "only the first delimiter parts", "jack+a+b@example.com", DIRECTORY_OK, "jack@example.com|a+b" },
	{ "an empty detail", "jack+@example.com", DIRECTORY_OK, "jack@example.com" },
	{ "an account whose name holds the delimiter", "a+b@example.com", DIRECTORY_OK, "a+b@example.com" },
	{ "a delimiter in front parts nothing", "+jack@example.com", DIRECTORY_NONE, "" },
	{ "an alias with the detail comes first", "jack+special@example.com", DIRECTORY_OK, "jill@example.com" },
	{ "an alias", "info@example.com", DIRECTORY_OK, "jack@example.com" },
	{ "the detail goes through an alias", "info+x@example.com", DIRECTORY_OK, "jack@example.com|x" },
	{ "several targets; remote local parts keep their case (rfc5321:2.4)", "team@example.com", DIRECTORY_OK,
	  ">Out.Side@else.example jack@example.com jill@example.com" },
	{ "a chain", "a1@example.com", DIRECTORY_OK, "jack@example.com" },
	{ "an alias among its own targets is the account", "both@example.com", DIRECTORY_OK, "both@example.com jill@example.com" },
	{ "the same with a detail", "both+x@example.com", DIRECTORY_OK, "both@example.com|x jill@example.com|x" },
	{ "a circle", "round@example.com", DIRECTORY_LOOP, "" },
	{ "a circle of one", "self@example.com", DIRECTORY_LOOP, "" },
	{ "a circle is not for the catch-all", "ring@loop.example", DIRECTORY_LOOP, "" },
	{ "two roads to one alias are no circle", "diamond@example.com", DIRECTORY_OK, "jill@example.com" },
	{ "a target with a detail", "list@example.com", DIRECTORY_OK, "jack@example.com|lists" },
	{ "one account once", "twice@example.com", DIRECTORY_OK, "jack@example.com" },
	{ "an alias that leads nowhere", "dead@example.com", DIRECTORY_NONE, "" },
	{ "who exists gets it", "half@example.com", DIRECTORY_OK, "jack@example.com" },
	{ "an alias goes before the account of its name", "seized@all.example", DIRECTORY_OK, "jack@example.com" },
	{ "the catch-all", "whoever@all.example", DIRECTORY_OK, "caught@all.example" },
	{ "the catch-all with a detail", "whoever+x@all.example", DIRECTORY_OK, "caught@all.example|x" },
	{ "the catch-all takes what no account can be called", "\"odd one\"@all.example", DIRECTORY_OK, "caught@all.example" },
	{ "an account goes before the catch-all", "caught@all.example", DIRECTORY_OK, "caught@all.example" },
	{ "rfc5321:4.5.1 postmaster, an account", "Postmaster@example.net", DIRECTORY_OK, "postmaster@example.net" },
	{ "postmaster without an account: the domain's first", "postmaster@one.example", DIRECTORY_OK, "first@one.example" },
	{ "postmaster with a detail", "postmaster+x@one.example", DIRECTORY_OK, "first@one.example" },
	{ "postmaster of a domain without people: the first of all", "postmaster@empty.example", DIRECTORY_OK, "jack@example.com" },
	{ "postmaster alone", "postmaster", DIRECTORY_OK, "jack@example.com" },
	{ "postmaster before the catch-all", "postmaster@all.example", DIRECTORY_OK, "seized@all.example" },
	{ "a quoted local part is nobody of ours", "\"jack jones\"@example.com", DIRECTORY_NONE, "" },
	{ "quotes that are not needed mean nothing (rfc5321:4.1.2)", "\"jack\"@example.com", DIRECTORY_OK, "jack@example.com" },
	{ "two dots: the lenient receiver takes it, nobody has it", "ja..ck@example.com", DIRECTORY_NONE, "" },
	{ "two dots, elsewhere", "ja..ck@elsewhere.example", DIRECTORY_FOREIGN, "" },
	{ "not an address", "@", DIRECTORY_BAD, "" },
	{ "nothing", "", DIRECTORY_BAD, "" },
	{ "no domain", "jack@", DIRECTORY_BAD, "" },
};
/* clang-format on */

static void
test_resolve(void **state)
{
	struct directory *d;
	(void)state;

	fresh();
	d = opened();
	people(d);
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < COUNT(resolved); i++) {
			struct arena            *a = arena_open(NULL);
			struct directory_target *t;
			struct buffer            got = { 0 };
			size_t                   count;
			enum directory_outcome   o =
				directory_resolve(d, bytes_of(resolved[i].address), "+", "example.com",
			                          a, &t, &count);

			if (o != resolved[i].outcome)
				fail_msg("%s: %s gives %d, not %d", resolved[i].why, resolved[i].address, o,
				         resolved[i].outcome);
			if (o == DIRECTORY_OK) {
				shown(t, count, &got);
				SAME(resolved[i].why, buffer_bytes(&got), bytes_of(resolved[i].targets));
			}
			buffer_free(&got);
			arena_close(&a);
		}
		directory_close(&d); /* it is all there after a restart */
		d = opened();
	}
	directory_close(&d);
	cleared();
}

static void
test_a_name_with_a_nul_is_nobody(void **state)
{
	struct directory        *d;
	struct arena            *a = arena_open(NULL);
	struct directory_target *t;
	struct credential        c;
	size_t                   count;
	(void)state;

	fresh();
	d = opened();
	people(d);
	HOLDS("resolve", directory_resolve(d, BYTES("jack\0evil@example.com"), "+", "example.com",
	                                   a, &t, &count) == DIRECTORY_BAD);
	HOLDS("resolve, bare", directory_resolve(d, BYTES("jack\0evil"), "+", "example.com", a, &t,
	                                         &count) == DIRECTORY_BAD);
	HOLDS("log in",
	      directory_credential(d, BYTES("jack\0evil"), "example.com", a, &c) == DIRECTORY_NONE);
	arena_close(&a);
	directory_close(&d);
	cleared();
}

static void
test_delimiters(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *delimiters, *address, *targets; } rows[] = {
		{ "none", "", "jack+x@example.com", NULL },
		{ "two of them", "+-", "jack-x@example.com", "jack@example.com|x" },
		{ "the first that stands", "+-", "jack-x+y@example.com", "jack@example.com|x+y" },
	};
	/* clang-format on */
	struct directory *d;
	(void)state;

	fresh();
	d = opened();
	people(d);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena            *a = arena_open(NULL);
		struct directory_target *t;
		struct buffer            got = { 0 };
		size_t                   count;
		enum directory_outcome   o = directory_resolve(d, bytes_of(rows[i].address),
		                                               rows[i].delimiters, "", a, &t, &count);

		HOLDS(rows[i].why, (o == DIRECTORY_OK) == (rows[i].targets != NULL));
		shown(t, count, &got);
		SAME(rows[i].why, buffer_bytes(&got), bytes_of(rows[i].targets));
		buffer_free(&got);
		arena_close(&a);
	}
	directory_close(&d);
	cleared();
}

/* Nobody may make the clerk work for long: a chain, a fan and a fan of fans have an end. */
static void
test_too_deep_and_too_wide(void **state)
{
	struct directory        *d;
	struct arena            *a = arena_open(NULL);
	struct directory_target *t;
	struct bytes             wide[3000];
	char                     text[64], to[64];
	size_t                   count;
	uint64_t                 id;
	clock_t                  begun;
	(void)state;

	fresh();
	d = opened();
	(void)directory_account_add(d, BYTES("end@example.com"), &any, true, &id);
	for (int i = 0; i < 40; i++) {
		(void)snprintf(text, sizeof text, "deep%d@example.com", i);
		(void)snprintf(to, sizeof to, "deep%d@example.com", i + 1);
		HOLDS("alias", directory_alias_add(d, bytes_of(text),
		                                   i == 39 ? BYTES("end@example.com")
		                                           : bytes_of(to)) == DIRECTORY_OK);
	}
	HOLDS("the last nineteen are fine", directory_resolve(d, BYTES("deep21@example.com"), "",
	                                                      "", a, &t, &count) == DIRECTORY_OK &&
	                                            count == 1);
	HOLDS("forty are too deep", directory_resolve(d, BYTES("deep0@example.com"), "", "", a, &t,
	                                              &count) == DIRECTORY_LOOP);
	for (size_t i = 0; i < COUNT(wide); i++)
		wide[i] = bytes_of(arena_printf(a, "w%zu@remote.example", i));
	HOLDS("three thousand at once", directory_alias_put(d, BYTES("wide@example.com"), wide,
	                                                    COUNT(wide), true) == DIRECTORY_OK);
	begun = clock();
	HOLDS("are delivered", directory_resolve(d, BYTES("wide@example.com"), "", "", a, &t,
	                                         &count) == DIRECTORY_OK &&
	                               count == COUNT(wide));
	HOLDS("six thousand", directory_alias_put(d, BYTES("wide2@example.com"), wide, COUNT(wide),
	                                          true) == DIRECTORY_OK);
	for (size_t i = 0; i < COUNT(wide); i++)
		wide[i] = bytes_of(arena_printf(a, "x%zu@remote.example", i));
	HOLDS("more", directory_alias_put(d, BYTES("wide2@example.com"), wide, COUNT(wide),
	                                  false) == DIRECTORY_OK);
	HOLDS("are delivered too", directory_resolve(d, BYTES("wide2@example.com"), "", "", a, &t,
	                                             &count) == DIRECTORY_OK &&
	                                   count == 2 * COUNT(wide));
	HOLDS("and not for long", clock() - begun < 2 * CLOCKS_PER_SEC);
	arena_close(&a);
	directory_close(&d);
	cleared();
}

/* ---- changes ---- */

static void
count_one(void *ctx, const struct gone_row *r)
{
	uint64_t *sum = ctx;

	if (strcmp(r->address, "a@example.com") == 0 && r->at > 0)
		*sum += r->id;
}

static void
count_alias(void *ctx, const struct alias_row *r)
{
	buffer_printf(ctx, "%s>%s ", r->address, r->target);
}

static void
count_account(void *ctx, const struct account_row *r)
{
	buffer_printf(ctx, "%s%s ", r->address, r->enabled ? "" : "(off)");
}

static void
count_domain(void *ctx, const struct domain_row *r)
{
	buffer_printf(ctx, "%s:%d:%d:%s ", r->name, (int)r->accounts, (int)r->aliases,
	              r->catch_all);
}

static void
test_changes(void **state)
{
	struct directory *d;
	struct buffer     b = { 0 };
	struct arena     *a = arena_open(NULL);
	struct credential c;
	uint64_t          id = 0, other = 0, gone = 0;
	struct bytes      two[] = { BYTES("x@remote.example"), BYTES("not an address") };
	(void)state;

	fresh();
	d = opened();
	HOLDS("a domain", directory_domain_add(d, BYTES("Example.com")) == DIRECTORY_OK);
	HOLDS("again", directory_domain_add(d, BYTES("example.COM")) == DIRECTORY_EXISTS);
	HOLDS("not one", directory_domain_add(d, BYTES("exa mple")) == DIRECTORY_BAD);
	HOLDS("a literal", directory_domain_add(d, BYTES("[192.0.2.1]")) == DIRECTORY_BAD);
	HOLDS("an account of no domain", directory_account_add(d, BYTES("a@else.example"), &any,
	                                                       false, &id) == DIRECTORY_FOREIGN);
	HOLDS("nothing was kept of it",
	      directory_domain_each(d, BYTES("else.example"), count_domain, &b) == DIRECTORY_NONE);
	HOLDS("a name that needs quotes", directory_account_add(d, BYTES("\"a b\"@example.com"),
	                                                        &any, false, &id) == DIRECTORY_BAD);
	HOLDS("an account",
	      directory_account_add(d, BYTES("A@example.com"), &any, false, &id) == DIRECTORY_OK &&
	              id == 1);
	HOLDS("again", directory_account_add(d, BYTES("a@example.com"), &any, false, &other) ==
	                       DIRECTORY_EXISTS);
	HOLDS("with its domain", directory_account_add(d, BYTES("b@new.example"), &any, true,
	                                               &other) == DIRECTORY_OK &&
	                                 other == ((uint64_t)1 << 32) + 1);
	HOLDS("an alias of no domain",
	      directory_alias_add(d, BYTES("l@else.example"), BYTES("a@example.com")) ==
	              DIRECTORY_FOREIGN);
	HOLDS("an alias", directory_alias_add(d, BYTES("L@example.com"), BYTES("a@Example.com")) ==
	                          DIRECTORY_OK);
	HOLDS("again", directory_alias_add(d, BYTES("l@example.com"), BYTES("a@example.com")) ==
	                       DIRECTORY_EXISTS);
	HOLDS("all of the targets or none",
	      directory_alias_put(d, BYTES("l@example.com"), two, 2, true) == DIRECTORY_BAD);
	HOLDS("list",
	      directory_alias_each(d, BYTES(""), BYTES(""), count_alias, &b) == DIRECTORY_OK);
	SAME("the old target is still there", buffer_bytes(&b),
	     BYTES("l@example.com>a@example.com "));
	buffer_reset(&b);
	HOLDS("in their place",
	      directory_alias_put(d, BYTES("l@example.com"), two, 1, true) == DIRECTORY_OK);
	HOLDS("list", directory_alias_each(d, BYTES("L@example.com"), BYTES(""), count_alias, &b) ==
	                      DIRECTORY_OK);
	SAME("the new one", buffer_bytes(&b), BYTES("l@example.com>x@remote.example "));
	buffer_reset(&b);
	HOLDS("in use", directory_domain_delete(d, BYTES("example.com")) == DIRECTORY_IN_USE);
	HOLDS("off", directory_account_enable(d, BYTES("a@example.com"), false) == DIRECTORY_OK);
	HOLDS("nobody",
	      directory_account_enable(d, BYTES("z@example.com"), false) == DIRECTORY_NONE);
	HOLDS("list",
	      directory_account_each(d, BYTES(""), BYTES(""), count_account, &b) == DIRECTORY_OK);
	SAME("in order", buffer_bytes(&b), BYTES("a@example.com(off) b@new.example "));
	buffer_reset(&b);
	HOLDS("who logs in",
	      directory_credential(d, BYTES("A@EXAMPLE.com"), NULL, a, &c) == DIRECTORY_OK &&
	              !c.enabled && c.account == 1);
	HOLDS("with the origin",
	      directory_credential(d, BYTES("b"), "new.example", a, &c) == DIRECTORY_OK &&
	              c.enabled && c.account == ((uint64_t)1 << 32) + 1);
	HOLDS("without one", directory_credential(d, BYTES("b"), "", a, &c) == DIRECTORY_NONE);
	HOLDS("gone",
	      directory_account_delete(d, BYTES("a@example.com"), &id) == DIRECTORY_OK && id == 1);
	HOLDS("again", directory_account_delete(d, BYTES("a@example.com"), &id) == DIRECTORY_NONE);
	HOLDS("a new one",
	      directory_account_add(d, BYTES("a@example.com"), &any, false, &id) == DIRECTORY_OK);
	HOLDS("never has the id of another", id == 2);
	HOLDS("it is remembered",
	      directory_gone_each(d, count_one, &gone) == DIRECTORY_OK && gone == 1);
	HOLDS("alias gone", directory_alias_delete(d, BYTES("l@example.com"),
	                                           BYTES("X@remote.example")) == DIRECTORY_NONE);
	HOLDS("alias gone", directory_alias_delete(d, BYTES("l@example.com"),
	                                           BYTES("x@Remote.example")) == DIRECTORY_OK);
	HOLDS("account gone",
	      directory_account_delete(d, BYTES("a@example.com"), &id) == DIRECTORY_OK);
	HOLDS("domain gone", directory_domain_delete(d, BYTES("example.com")) == DIRECTORY_OK);
	HOLDS("list", directory_domain_each(d, BYTES(""), count_domain, &b) == DIRECTORY_OK);
	SAME("one left", buffer_bytes(&b), BYTES("new.example:1:0: "));
	buffer_free(&b);
	arena_close(&a);
	directory_close(&d);
	cleared();
}

static void
test_secret_stays(void **state)
{
	unsigned char     one[DIRECTORY_SECRET], two[DIRECTORY_SECRET], other[DIRECTORY_SECRET];
	struct directory *d;
	(void)state;

	fresh();
	d = opened();
	HOLDS("made", directory_secret(d, "salt", one) == DIRECTORY_OK);
	HOLDS("another", directory_secret(d, "pepper", other) == DIRECTORY_OK &&
	                         memcmp(one, other, sizeof one) != 0);
	directory_close(&d);
	d = opened();
	HOLDS("the same", directory_secret(d, "salt", two) == DIRECTORY_OK &&
	                          memcmp(one, two, sizeof one) == 0);
	directory_close(&d);
	cleared();
}

/* ---- what cannot be believed is refused in words ---- */

static void
refused(const char *why, const char *words)
{
	struct buffer     errors = { 0 };
	struct directory *d = directory_open(path, &errors);

	HOLDS(why, d == NULL);
	HOLDS(why, bytes_search(buffer_bytes(&errors), bytes_of(words)) >= 0);
	HOLDS(why, errors.len > 0 && errors.at[errors.len - 1] == '\n' &&
	                   bytes_find(buffer_bytes(&errors), '\n') == (ptrdiff_t)errors.len - 1);
	buffer_free(&errors);
}

static void
spoil(off_t at, const char *with, size_t len)
{
	int fd = open(path, O_RDWR);

	HOLDS("spoil", fd >= 0 && pwrite(fd, with, len, at) == (ssize_t)len);
	close(fd);
}

/* A directory as the version before this one left it. */
static void
test_an_older_one_is_brought_up(void **state)
{
	struct directory *d;
	sqlite3          *db = NULL;
	struct credential who;
	struct arena     *a = arena_open(NULL);
	uint64_t          id;
	(void)state;

	fresh();
	d = opened();
	HOLDS("somebody",
	      directory_account_add(d, BYTES("old@example.com"), &any, true, &id) == DIRECTORY_OK);
	directory_close(&d);
	HOLDS("as it was",
	      sqlite3_open(path, &db) == SQLITE_OK &&
	              sqlite3_exec(
			      db,
			      "DROP INDEX account_mute_sha256; ALTER TABLE account DROP COLUMN source; ALTER TABLE domain DROP COLUMN shadow;"
			      "PRAGMA user_version=2",
			      NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
	d = opened();
	HOLDS("who was there is",
	      directory_credential(d, BYTES("old@example.com"), "", a, &who) == DIRECTORY_OK &&
	              who.account == id);
	HOLDS("others come",
	      directory_account_add(d, BYTES("new@example.org"), &any, true, &id) == DIRECTORY_OK);
	directory_close(&d);
	d = opened();
	HOLDS("and stay",
	      directory_credential(d, BYTES("new@example.org"), "", a, &who) == DIRECTORY_OK);
	directory_close(&d);
	cleared();
	arena_close(&a);
}

static void
test_refused_in_words(void **state)
{
	struct directory *d;
	sqlite3          *db = NULL;
	char              noise[4096];
	uint64_t          id;
	char              name[64];
	(void)state;

	fresh();
	d = opened();
	directory_close(&d);
	HOLDS("raw",
	      sqlite3_open(path, &db) == SQLITE_OK &&
	              sqlite3_exec(db, "PRAGMA user_version=7", NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
	refused("another version", "format version 7; this program knows version 3");
	cleared();

	fresh();
	d = opened();
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof name, "user%d@example.com", i);
		(void)directory_account_add(d, bytes_of(name), &any, true, &id);
	}
	directory_close(&d);
	memset(noise, 0xa5, sizeof noise);
	spoil(8 * 4096, noise, sizeof noise);
	refused("a page of noise", "damaged");
	spoil(0, "This is no database at all, is it", 33);
	refused("not a database", "not a database");
	cleared();

	fresh();
	(void)snprintf(path, sizeof path, "%s/nowhere/directory.db", home);
	refused("no such directory", "cannot open the directory");
	(void)rmdir(home);
}

/* The plain secret is there where it was asked for, and goes with its password and its account. */
static void
test_plain(void **state)
{
	struct arena     *a = arena_open(NULL);
	struct directory *d;
	struct bytes      plain;
	uint64_t          id;

	(void)state;
	fresh();
	d = opened();
	HOLDS("an account",
	      directory_account_add(d, BYTES("jack@example.com"), &any, true, &id) == DIRECTORY_OK);
	HOLDS("nothing unasked",
	      directory_plain(d, BYTES("jack@example.com"), NULL, a, &plain) == DIRECTORY_NONE);
	HOLDS("kept", directory_account_keep_plain(d, BYTES("Jack@Example.com"),
	                                           BYTES("se\0cret")) == DIRECTORY_OK);
	HOLDS("for nobody", directory_account_keep_plain(d, BYTES("joe@example.com"), BYTES("x")) ==
	                            DIRECTORY_NONE);
	directory_close(&d);
	d = opened();
	HOLDS("there", directory_plain(d, BYTES("jack"), "example.com", a, &plain) == DIRECTORY_OK);
	SAME("as it was", plain, BYTES("se\0cret"));
	HOLDS("disabled",
	      directory_account_enable(d, BYTES("jack@example.com"), false) == DIRECTORY_OK);
	HOLDS("that is no new password",
	      directory_plain(d, BYTES("jack@example.com"), NULL, a, &plain) == DIRECTORY_OK);
	HOLDS("a new password",
	      directory_account_set_credential(d, BYTES("jack@example.com"), &any) == DIRECTORY_OK);
	HOLDS("forgets it",
	      directory_plain(d, BYTES("jack@example.com"), NULL, a, &plain) == DIRECTORY_NONE);
	directory_close(&d);
	arena_close(&a);
	cleared();
}

/* Somebody another source knows has an account all the same, the same one ever after. */
static void
test_shadow(void **state)
{
	struct arena            *a = arena_open(NULL);
	struct directory        *d;
	struct directory_target *target;
	struct credential        who, again;
	uint64_t                 id;
	size_t                   count;

	(void)state;
	fresh();
	d = opened();
	HOLDS("made", directory_account_for(d, BYTES("Jack"), "example.com", "passwd-file", NULL, a,
	                                    &who) == DIRECTORY_OK);
	SAME("its name", bytes_of(who.address), BYTES("jack@example.com"));
	SAME("its source", bytes_of(who.source), BYTES("passwd-file"));
	HOLDS("enabled, no password", who.enabled && strcmp(who.hash, "!") == 0);
	directory_close(&d);
	d = opened();
	HOLDS("found", directory_account_for(d, BYTES("jack@example.com"), NULL, "sql", NULL, a,
	                                     &again) == DIRECTORY_OK);
	HOLDS("the same", again.account == who.account);
	SAME("of its first source", bytes_of(again.source), BYTES("passwd-file"));
	HOLDS("the domain is not ours by that",
	      directory_resolve(d, BYTES("jack@example.com"), "", "", a, &target, &count) ==
	              DIRECTORY_FOREIGN);
	HOLDS("nobody is made there", directory_account_add(d, BYTES("eva@example.com"), &any,
	                                                    false, &id) == DIRECTORY_FOREIGN);
	HOLDS("until it is added",
	      directory_account_add(d, BYTES("eva@example.com"), &any, true, &id) == DIRECTORY_OK);
	HOLDS("the upper half is the domain's number", id >> 32 == who.account >> 32);
	HOLDS("now it is", directory_resolve(d, BYTES("jack@example.com"), "", "", a, &target,
	                                     &count) == DIRECTORY_OK);
	HOLDS("added twice", directory_domain_add(d, BYTES("example.com")) == DIRECTORY_EXISTS);
	HOLDS("a password of our own",
	      directory_account_set_credential(d, BYTES("jack@example.com"), &any) == DIRECTORY_OK);
	HOLDS("makes it ours",
	      directory_credential(d, BYTES("jack@example.com"), NULL, a, &who) == DIRECTORY_OK &&
	              *who.source == '\0' && who.account == again.account);
	HOLDS("what is no name", directory_account_for(d, BYTES("a b@example.com"), NULL, "sql",
	                                               NULL, a, &who) == DIRECTORY_BAD);
	directory_close(&d);
	arena_close(&a);
	cleared();
}

static void
count_owner(void *ctx, const struct owner_row *r)
{
	unsigned *sum = ctx;

	*sum = *sum * 10 + r->number;
}

/* Whose files the mailboxes are stands in the id, and is not changed by what is said later. */
static void
test_owners(void **state)
{
	const struct mail_owner vmail = { "5000", "5001" }, other = { "eva", "" };
	struct arena           *a = arena_open(NULL);
	struct directory       *d;
	struct credential       who, mine = any;
	struct mail_owner       is;
	uint64_t                id, again;
	unsigned                sum = 0;

	(void)state;
	fresh();
	d = opened();
	HOLDS("made", directory_account_for(d, BYTES("jack@example.com"), NULL, "sql", &vmail, a,
	                                    &who) == DIRECTORY_OK);
	HOLDS("owned", is_owned_account(who.account) && account_owner(who.account) == 1);
	id = who.account;
	HOLDS("found", directory_account_for(d, BYTES("jack@example.com"), NULL, "sql", &other, a,
	                                     &who) == DIRECTORY_OK &&
	                       who.account == id);
	HOLDS("another of his", directory_account_for(d, BYTES("jill@example.com"), NULL, "sql",
	                                              &vmail, a, &who) == DIRECTORY_OK &&
	                                who.account >> 32 == id >> 32 && who.account != id);
	mine.owner = &other;
	HOLDS("one of ours", directory_account_add(d, BYTES("eva@example.com"), &mine, true, &id) ==
	                                     DIRECTORY_OK &&
	                             account_owner(id) == 2);
	HOLDS("of nobody", directory_account_for(d, BYTES("adam@example.com"), NULL, "sql", NULL, a,
	                                         &who) == DIRECTORY_OK &&
	                           !is_owned_account(who.account));
	directory_close(&d);
	d = opened();
	HOLDS("each", directory_owner_each(d, 1, count_owner, &sum) == DIRECTORY_OK && sum == 12);
	HOLDS("one", directory_owner(d, 1, a, &is) == DIRECTORY_OK);
	SAME("uid", bytes_of(is.uid), BYTES("5000"));
	SAME("gid", bytes_of(is.gid), BYTES("5001"));
	HOLDS("none", directory_owner(d, 3, a, &is) == DIRECTORY_NONE);
	/* eva's belong to vmail from now on. */
	HOLDS("given to another",
	      directory_account_own(d, BYTES("eva@example.com"), &vmail, &again) == DIRECTORY_OK &&
	              again == id &&
	              directory_credential(d, BYTES("eva@example.com"), NULL, a, &who) ==
	                      DIRECTORY_OK &&
	              account_owner(who.account) == 1 && who.account != id);
	HOLDS("and back, under an id nobody had",
	      directory_account_own(d, BYTES("eva@example.com"), &other, &again) == DIRECTORY_OK &&
	              again == who.account &&
	              directory_credential(d, BYTES("eva@example.com"), NULL, a, &who) ==
	                      DIRECTORY_OK &&
	              account_owner(who.account) == 2 && who.account != id);
	HOLDS("the keepers' own stay theirs",
	      directory_account_own(d, BYTES("adam@example.com"), &vmail, &again) ==
	              DIRECTORY_FOREIGN);
	HOLDS("nobody's", directory_account_own(d, BYTES("nobody@example.com"), &vmail, &again) ==
	                          DIRECTORY_NONE);
	id = who.account;
	HOLDS("deleted by the id its mail is kept under",
	      directory_account_delete(d, BYTES("eva@example.com"), &again) == DIRECTORY_OK &&
	              again == id);
	HOLDS("never given twice", directory_account_add(d, BYTES("eva@example.com"), &mine, true,
	                                                 &again) == DIRECTORY_OK &&
	                                   again != id && account_owner(again) == 2);
	directory_close(&d);
	arena_close(&a);
	cleared();
}

/* Names have no case in any script; what an older directory kept as it was typed is found again, and of two that differ in case
   alone each has its own. */
static void
test_folded(void **state)
{
	struct arena     *a = arena_open(NULL);
	struct directory *d;
	struct credential who;
	sqlite3          *db = NULL;
	uint64_t          id, other;

	(void)state;
	fresh();
	d = opened();
	HOLDS("added", directory_account_add(d, BYTES("\xc3\x84rger@example.com"), &any, true,
	                                     &id) == DIRECTORY_OK);
	HOLDS("there already", directory_account_add(d, BYTES("\xc3\xa4RGER@example.com"), &any,
	                                             true, &other) == DIRECTORY_EXISTS);
	HOLDS("found", directory_credential(d, BYTES("\xc3\xa4rger@example.com"), NULL, a, &who) ==
	                               DIRECTORY_OK &&
	                       who.account == id);
	HOLDS("another", directory_account_add(d, BYTES("zoe@example.com"), &any, true, &other) ==
	                         DIRECTORY_OK);
	directory_close(&d);
	HOLDS("as it was kept",
	      sqlite3_open(path, &db) == SQLITE_OK &&
	              sqlite3_exec(db,
	                           "DELETE FROM secret WHERE name='folded';"
	                           "UPDATE account SET local='\xc3\x84rger' WHERE local='zoe'",
	                           NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
	for (int i = 0; i < 2; i++) {
		char name[64];

		d = opened();
		HOLDS("one keeps its name",
		      directory_credential(d, BYTES("\xc3\x84rger@example.com"), NULL, a, &who) ==
		                      DIRECTORY_OK &&
		              who.account == id);
		(void)snprintf(name, sizeof name, "\xc3\xa4rger-%llu@example.com",
		               (unsigned long long)other);
		HOLDS("the other has its number behind it",
		      directory_credential(d, bytes_of(name), NULL, a, &who) == DIRECTORY_OK &&
		              who.account == other);
		directory_close(&d);
	}
	arena_close(&a);
	cleared();
}

/* An account that is an operating-system user has that user's id, until it is nobody's again. */
static void
test_bound(void **state)
{
	struct arena            *a = arena_open(NULL);
	struct directory        *d;
	struct directory_target *target;
	struct credential        who;
	uint64_t                 id;
	size_t                   count;

	(void)state;
	fresh();
	d = opened();
	HOLDS("an account",
	      directory_account_add(d, BYTES("jack@example.com"), &any, true, &id) == DIRECTORY_OK);
	HOLDS("nobody",
	      directory_account_bind(d, BYTES("joe@example.com"), 1234) == DIRECTORY_NONE);
	HOLDS("bound", directory_account_bind(d, BYTES("jack@example.com"), 1234) == DIRECTORY_OK);
	HOLDS("mail", directory_resolve(d, BYTES("jack+x@example.com"), "+", NULL, a, &target,
	                                &count) == DIRECTORY_OK);
	HOLDS("is the user's", target[0].account == UINT64_C(0x7fff0000000004d2));
	HOLDS("logins",
	      directory_credential(d, BYTES("jack@example.com"), NULL, a, &who) == DIRECTORY_OK);
	HOLDS("too", who.account == system_account(SYSTEM_MAILBOX, 1234));
	HOLDS("free", directory_account_bind(d, BYTES("jack@example.com"), 0) == DIRECTORY_OK);
	HOLDS("again",
	      directory_credential(d, BYTES("jack@example.com"), NULL, a, &who) == DIRECTORY_OK &&
	              who.account == id);
	directory_close(&d);
	arena_close(&a);
	cleared();
}

/* Which SCRAM would leave somebody outside who has a password. */
static void
test_whom_scram_leaves_outside(void **state)
{
	static const char              verifier[] = "4096,c2FsdA==,aaaa,bbbb";
	static const struct credential imported = { .hash = "$6$x$y" },
				       sha1 = { .hash = "{SCRAM-SHA-1}4096,c2FsdA==,aaaa,bbbb" },
				       none = { .hash = "!" };
	/* clang-format off */
	static const struct { const char *why; char does; const struct credential *as; bool sha256, sha1; } rows[] = {
		{ "there is nobody", ' ', NULL, false, false },
		{ "one without a password", 'a', &none, false, false },
		{ "a password, its verifiers not kept yet", 's', &any, false, true },
		{ "both kept", 'v', NULL, false, false },
		{ "kept once more", 'v', NULL, false, false },
		{ "a new password forgets them", 's', &any, false, true },
		{ "of no account that is shut", 'o', NULL, false, false },
		{ "and opened again", 'i', NULL, false, true },
		{ "kept again", 'v', NULL, false, false },
		{ "a hash of others", 's', &imported, true, true },
		{ "a hash that is the one verifier", 's', &sha1, true, false },
		{ "no password", 's', &none, false, false },
		{ "as others had it", 's', &any, false, true },
		{ "when it is opened anew", 'r', NULL, false, true },
		{ "of an older directory", 'e', NULL, false, true },
		{ "kept in that", 'v', NULL, false, false },
		{ "of an older directory where all is well", 'e', NULL, false, false },
		{ "of an account that is gone", 's', &any, false, true },
		{ "of an account that is gone", 'd', NULL, false, false },
	};
	/* clang-format on */
	const struct bytes who = BYTES("jack@example.com");
	struct directory  *d;
	uint64_t           id;
	(void)state;

	fresh();
	d = opened();
	HOLDS("a domain", directory_domain_add(d, BYTES("example.com")) == DIRECTORY_OK);
	for (size_t i = 0; i < COUNT(rows); i++) {
		enum directory_outcome o = DIRECTORY_OK;
		sqlite3               *db = NULL;

		switch (rows[i].does) {
		case 'a': o = directory_account_add(d, who, rows[i].as, false, &id); break;
		case 's': o = directory_account_set_credential(d, who, rows[i].as); break;
		case 'v': o = directory_scram_sha1_set(d, who, verifier); break;
		case 'o': o = directory_account_enable(d, who, false); break;
		case 'i': o = directory_account_enable(d, who, true); break;
		case 'd': o = directory_account_delete(d, who, &id); break;
		case 'e':
		case 'r':
			directory_close(&d);
			if (rows[i].does == 'e') {
				HOLDS("as it was",
				      sqlite3_open(path, &db) == SQLITE_OK &&
				              sqlite3_exec(
						      db,
						      "DROP TRIGGER lacks_sha1_set; DROP TRIGGER lacks_sha1_put; DROP TRIGGER lacks_sha1_gone;"
						      "DROP TRIGGER lacks_sha1_new; DROP TABLE lacks_sha1;",
						      NULL, NULL, NULL) == SQLITE_OK);
				sqlite3_close(db);
			}
			d = opened();
			break;
		default: break;
		}
		HOLDS(rows[i].why, o == DIRECTORY_OK);
		HOLDS(rows[i].why, directory_mute(d, false) == rows[i].sha256);
		HOLDS(rows[i].why, directory_mute(d, true) == rows[i].sha1);
	}
	directory_close(&d);
	cleared();
}

UNIT(test_whom_scram_leaves_outside, test_plain, test_bound, test_shadow, test_owners, test_folded,
     test_resolve, test_a_name_with_a_nul_is_nobody, test_delimiters, test_too_deep_and_too_wide,
     test_changes, test_secret_stays, test_an_older_one_is_brought_up, test_refused_in_words)
