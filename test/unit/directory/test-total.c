/* What all accounts of a domain hold together, and whether more may come. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/journal.h"
#include "directory/inside.h"
#include "directory/total.h"

#define ORIGIN "host.example"

static char home[64], path[128];

static struct directory *
opened(void)
{
	struct buffer     errors = { 0 };
	struct directory *d = directory_open(path, &errors);

	SAME("no complaint", buffer_bytes(&errors), BYTES(""));
	buffer_free(&errors);
	return d;
}

static uint64_t
account(struct directory *d, const char *address)
{
	static const struct credential any = {
		.hash = "$argon2id$x", .scram_salt = "", .scram_stored = "", .scram_server = ""
	};
	uint64_t id = 0;

	HOLDS(address,
	      directory_account_add(d, bytes_of(address), &any, true, &id) == DIRECTORY_OK);
	return id;
}

static struct directory *
begin(void)
{
	journal_open(JOURNAL_FILE, -1, false, "host");
	(void)snprintf(home, sizeof home, "/tmp/unit-total-XXXXXX");
	HOLDS("a directory of our own", mkdtemp(home) != NULL);
	(void)snprintf(path, sizeof path, "%s/directory.db", home);
	return opened();
}

static void
end(struct directory **d)
{
	static const char *const names[] = { "", "-wal", "-shm" };
	char                     name[160];

	directory_close(d);
	for (size_t i = 0; i < COUNT(names); i++) {
		(void)snprintf(name, sizeof name, "%s%s", path, names[i]);
		(void)unlink(name);
	}
	(void)rmdir(home);
}

static struct total *
limited(struct totals *t, const char *domain, uint64_t bytes, uint64_t messages)
{
	HOLDS(domain, total_limit(t, bytes_of(domain), ORIGIN, &bytes, &messages) == DIRECTORY_OK);
	return total_find(t, bytes_of(domain));
}

/* ---- may it come? ---- */

struct take {
	const char      *why;
	struct total_use limit, used, held, more;
	unsigned         grace;
	int              answer;
};

static const struct take takes[] = {
	{ "there is room", { 1000, 10 }, { 100, 1 }, { 0, 0 }, { 900, 1 }, 0, 0 },
	{ "one byte too many", { 1000, 10 }, { 100, 1 }, { 0, 0 }, { 901, 1 }, 0, EDQUOT },
	{ "one message too many", { 1000, 10 }, { 100, 10 }, { 0, 0 }, { 1, 1 }, 0, EDQUOT },
	{ "the last message", { 0, 10 }, { 100, 9 }, { 0, 0 }, { 1 << 30, 1 }, 0, 0 },
	{ "bytes alone are limited", { 1000, 0 }, { 0, 1 << 30 }, { 0, 0 }, { 1000, 9 }, 0, 0 },
	{ "the last letter may be over by the grace", { 1000, 0 }, { 999, 0 }, { 0, 0 }, { 101, 1 }, 10, 0 },
	{ "and by no more", { 1000, 0 }, { 999, 0 }, { 0, 0 }, { 102, 1 }, 10, EDQUOT },
	{ "nor is grace for the one behind it", { 1000, 0 }, { 1000, 0 }, { 0, 0 }, { 1, 1 }, 10, EDQUOT },
	{ "nor for messages", { 1000, 10 }, { 0, 10 }, { 0, 0 }, { 1, 1 }, 100, EDQUOT },
	{ "what another was promised counts", { 1000, 0 }, { 100, 0 }, { 800, 1 }, { 200, 1 }, 0, EAGAIN },
	{ "the promise of the last message, too", { 0, 10 }, { 0, 9 }, { 0, 1 }, { 1, 1 }, 0, EAGAIN },
	{ "no grace behind a promise that is over", { 1000, 0 }, { 100, 0 }, { 900, 1 }, { 1, 1 }, 10, EAGAIN },
	{ "without what was promised there is no room either", { 1000, 0 }, { 1000, 0 }, { 800, 1 }, { 1, 1 }, 10, EDQUOT },
	{ "a limit below what is held", { 1000, 10 }, { 5000, 1 }, { 0, 0 }, { 1, 1 }, 10, EDQUOT },
	{ "numbers as large as can be", { 1000, 0 }, { UINT64_MAX, 0 }, { UINT64_MAX, 0 }, { UINT64_MAX, UINT64_MAX }, 100, EDQUOT },
	{ "the largest limit", { INT64_MAX, 0 }, { 1, 0 }, { 0, 0 }, { 1 << 30, 1 }, 100, 0 },
};

static void
test_take(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(takes); i++) {
		const struct take *c = &takes[i];
		struct total       one = { .limit = c->limit, .used = c->used, .held = c->held };
		struct total_use   before = one.held;
		int                got = total_take(&one, c->more, c->grace);
		if (got != c->answer)
			fail_msg("%s: %d instead of %d", c->why, got, c->answer);
		if (got == 0)
			total_put_back(&one, c->more);
		HOLDS(c->why, one.held.bytes == before.bytes && one.held.messages == before.messages);
	}
}

struct room { const char *why; struct total_use limit, used; unsigned grace; uint64_t room; };

static const struct room rooms[] = {
	{ "what is left", { 1000, 0 }, { 400, 3 }, 0, 600 },
	{ "and the grace", { 1000, 0 }, { 400, 3 }, 10, 700 },
	{ "none for a full domain, whatever the grace", { 1000, 0 }, { 1000, 3 }, 10, 0 },
	{ "none when no message fits", { 0, 3 }, { 400, 3 }, 10, 0 },
	{ "bytes are not limited", { 0, 4 }, { 400, 3 }, 10, UINT64_MAX },
	{ "more is held than may be", { 1000, 0 }, { 4000, 3 }, 10, 0 },
};

static void
test_room(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rooms); i++) {
		struct total one = { .limit = rooms[i].limit, .used = rooms[i].used };
		HOLDS(rooms[i].why, total_room(&one, rooms[i].grace) == rooms[i].room);
	}
}

/* ---- the sum ---- */

/* Who says how much it holds, in order; and what the domain holds then. */
struct told { const char *why; int who; uint64_t bytes, messages, all_bytes, all_messages; };

static const struct told tellings[] = {
	{ "the first", 0, 100, 2, 100, 2 },
	{ "another", 1, 50, 1, 150, 3 },
	{ "the same again changes nothing", 0, 100, 2, 150, 3 },
	{ "it holds more now", 0, 300, 3, 350, 4 },
	{ "it holds less now", 1, 0, 0, 300, 3 },
	{ "a third, of nothing", 2, 0, 0, 300, 3 },
	{ "and all of it again", 2, 7, 1, 307, 4 },
};

static void
test_sum(void **state)
{
	struct directory *d = begin();
	struct totals    *t = totals_open(d);
	struct total     *one;
	uint64_t          id[3] = { account(d, "a@example.com"), account(d, "b@example.com"),
		                    account(d, "c@example.com") };
	uint64_t          strange = account(d, "a@free.example");

	(void)state;
	HOLDS("nobody is limited", totals_count(t) == 0 && total_of(t, id[0], ORIGIN) == NULL);
	one = limited(t, "example.com", 1000, 10);
	HOLDS("its accounts count", one != NULL && total_of(t, id[1], ORIGIN) == one);
	HOLDS("others do not", total_of(t, strange, ORIGIN) == NULL);
	for (size_t i = 0; i < COUNT(tellings); i++) {
		const struct told *c = &tellings[i];
		struct total_use   now = { c->bytes, c->messages };
		HOLDS(c->why, total_share(t, one, id[c->who], now) == DIRECTORY_OK);
		HOLDS(c->why, one->used.bytes == c->all_bytes &&
		                      one->used.messages == c->all_messages);
	}
	HOLDS("a number that cannot be",
	      total_share(t, one, id[0], (struct total_use){ UINT64_MAX, 1 }) == DIRECTORY_BAD &&
	              one->used.bytes == 307);
	totals_close(&t);
	directory_close(&d);
	d = opened();
	t = totals_open(d);
	one = total_find(t, BYTES("example.com"));
	HOLDS("all is there when the clerk comes again",
	      one != NULL && one->used.bytes == 307 && one->used.messages == 4 &&
	              one->limit.bytes == 1000 && one->limit.messages == 10);
	total_gone(t, id[0]);
	HOLDS("an account that is gone takes its share away",
	      one->used.bytes == 7 && one->used.messages == 1);
	total_gone(t, id[0]);
	HOLDS("once", one->used.bytes == 7 && one->used.messages == 1);
	(void)limited(t, "example.com", 0, 0);
	HOLDS("no limit, no count", totals_count(t) == 0);
	one = limited(t, "example.com", 1000, 0);
	HOLDS("a new limit begins with nothing", one->used.bytes == 0);
	totals_close(&t);
	end(&d);
}

static void
test_whose(void **state)
{
	struct directory    *d = begin();
	struct totals       *t = totals_open(d);
	struct total        *one, *host;
	struct total_account at = { .account = 0 };
	struct arena        *a = arena_open(NULL);
	uint64_t             limit = 5, id = account(d, "a@example.com");
	uint64_t             user = DIRECTORY_SYSTEM_ACCOUNT(1000);

	(void)state;
	(void)account(d, "b@example.com");
	HOLDS("a domain nobody knows",
	      total_limit(t, BYTES("nowhere.example"), ORIGIN, &limit, NULL) == DIRECTORY_NONE);
	host = limited(t, ORIGIN, 10, 0);
	one = limited(t, "example.com", 10, 0);
	HOLDS("in any case, as it is kept",
	      total_limit(t, BYTES("EXAMPLE.com"), ORIGIN, NULL, &limit) == DIRECTORY_OK &&
	              one->limit.messages == 5 && one->limit.bytes == 10);
	HOLDS("a user who is bound to nothing is of the origin", total_of(t, user, ORIGIN) == host);
	HOLDS("bound", directory_account_bind(d, BYTES("a@example.com"), 1000) == DIRECTORY_OK);
	HOLDS("one who is bound is of that domain", total_of(t, user, ORIGIN) == one);
	HOLDS("told", total_share(t, host, user, (struct total_use){ 4, 1 }) == DIRECTORY_OK);
	HOLDS("moved", total_share(t, one, user, (struct total_use){ 4, 1 }) == DIRECTORY_OK);
	HOLDS("what is told of it moves along", host->used.bytes == 0 && one->used.bytes == 4);
	HOLDS("the first of all", total_next(t, BYTES("example.com"), a, &at) && at.account == user);
	SAME("its name", bytes_of(at.address), BYTES("a@example.com"));
	HOLDS("the next", total_next(t, BYTES("example.com"), a, &at) && at.account != id);
	HOLDS("that was all", !total_next(t, BYTES("example.com"), a, &at));
	arena_close(&a);
	totals_close(&t);
	end(&d);
}

/* ---- what does not go as it should ---- */

static void
fails(struct directory *d, bool yes)
{
	HOLDS("the file as it is to be",
	      sqlite3_exec(d->db, yes ? "PRAGMA query_only=ON" : "PRAGMA query_only=OFF", NULL, NULL,
	                   NULL) == SQLITE_OK);
}

static void
test_a_directory_that_fails(void **state)
{
	struct directory *d = begin();
	struct totals    *t = totals_open(d);
	uint64_t          id = account(d, "a@example.com"), none = 0, more = 9;
	uint64_t          other = account(d, "b@other.example");
	struct total     *one = limited(t, "example.com", 1000, 10);

	(void)state;
	HOLDS("told", total_share(t, one, id, (struct total_use){ 100, 1 }) == DIRECTORY_OK);
	fails(d, true);
	HOLDS("not kept", total_share(t, one, id, (struct total_use){ 300, 3 }) == DIRECTORY_LATER);
	HOLDS("counted as before", one->used.bytes == 100 && one->used.messages == 1);
	total_gone(t, id);
	HOLDS("still there", one->used.bytes == 100);
	HOLDS("the limit stays", total_limit(t, BYTES("example.com"), ORIGIN, &none, &none) ==
	                                         DIRECTORY_LATER &&
	                                 total_find(t, BYTES("example.com")) == one);
	HOLDS("as it was", total_limit(t, BYTES("example.com"), ORIGIN, &more, NULL) ==
	                                   DIRECTORY_LATER &&
	                           one->limit.bytes == 1000);
	HOLDS("none is begun", total_limit(t, BYTES("other.example"), ORIGIN, &more, NULL) ==
	                                       DIRECTORY_LATER &&
	                               total_of(t, other, ORIGIN) == NULL);
	fails(d, false);
	HOLDS("told again", total_share(t, one, id, (struct total_use){ 300, 3 }) == DIRECTORY_OK);
	HOLDS("nothing is counted twice", one->used.bytes == 300 && one->used.messages == 3);
	totals_close(&t);
	end(&d);
}

static void
test_a_domain_that_is_no_more(void **state)
{
	struct directory *d = begin();
	struct totals    *t = totals_open(d);
	uint64_t          none = 0, id = 0;

	(void)state;
	(void)account(d, "a@example.com");
	(void)limited(t, "example.com", 1000, 10);
	HOLDS("deleted", directory_account_delete(d, BYTES("a@example.com"), &id) == DIRECTORY_OK &&
	                         directory_domain_delete(d, BYTES("example.com")) == DIRECTORY_OK);
	HOLDS("its limit goes", total_limit(t, BYTES("example.com"), ORIGIN, &none, &none) ==
	                                        DIRECTORY_OK &&
	                                totals_count(t) == 0);
	totals_close(&t);
	t = totals_open(d);
	HOLDS("for good", totals_count(t) == 0);
	totals_close(&t);
	end(&d);
}

/* ---- warnings ---- */

static const struct { const char *why; uint64_t bytes; unsigned said; } uses[] = {
	{ "little", 500, 0 },         { "80 is not above 80", 800, 0 },
	{ "above it", 801, 80 },      { "once", 850, 0 },
	{ "a little less", 760, 0 },  { "not told again", 810, 0 },
	{ "above the next", 960, 95 }, { "back below it", 920, 0 },
	{ "and above: not yet", 960, 0 }, { "well below all", 700, 0 },
	{ "both at once are one", 990, 95 },
};

static void
test_warnings(void **state)
{
	static const unsigned percent[] = { 80, 95 };
	struct directory     *d = begin();
	struct totals        *t = totals_open(d);
	uint64_t              id = account(d, "a@example.com");
	struct total         *one = limited(t, "example.com", 1000, 0);

	(void)state;
	for (size_t i = 0; i < COUNT(uses); i++) {
		(void)total_share(t, one, id, (struct total_use){ uses[i].bytes, 1 });
		HOLDS(uses[i].why, total_warning(t, one, percent, 2) == uses[i].said);
		totals_close(&t); /* what was told is remembered */
		t = totals_open(d);
		one = total_find(t, BYTES("example.com"));
	}
	totals_close(&t);
	end(&d);
}

UNIT(test_take, test_room, test_sum, test_whose, test_a_directory_that_fails,
     test_a_domain_that_is_no_more, test_warnings)
