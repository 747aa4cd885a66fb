#include "unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/greylist.h"

#define DAY 86400

static const struct greylist_settings set = {
	.delay = 300000, .window = INT64_C(2000) * DAY, .max_age = INT64_C(35000) * DAY, .bits = 24, .bits6 = 64, .allow = 3, .most = 100,
};

static void
test_judgement(void **state)
{
	static const struct { const char *why; struct greylist_known known; int64_t now; enum greylist_verdict verdict; } cases[] = {
		{ "rfc6647:2.2 never seen", { 0, 0, 0, 0 }, 1000, GREYLIST_NEW },
		{ "rfc6647:5 too early", { 1000, 1000, 1, 0 }, 1299, GREYLIST_EARLY },
		{ "rfc6647:5 after the delay", { 1000, 1000, 1, 0 }, 1300, GREYLIST_PASSED },
		{ "in the last second of the window", { 1000, 1000, 1, 0 }, 1000 + 2 * DAY, GREYLIST_PASSED },
		{ "after the window it begins anew", { 1000, 1000, 1, 0 }, 1001 + 2 * DAY, GREYLIST_NEW },
		{ "an early try does not begin anew", { 1000, 1200, 2, 0 }, 1300, GREYLIST_PASSED },
		{ "let in before", { 1000, 1300, 2, 1 }, 1300 + 35 * DAY, GREYLIST_KNOWN },
		{ "too long silent", { 1000, 1300, 2, 1 }, 1301 + 35 * DAY, GREYLIST_NEW },
		{ "the clock was set back", { 9000, 9000, 1, 0 }, 1000, GREYLIST_EARLY },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct greylist_known k = cases[i].known;
		HOLDS(cases[i].why, greylist_judge(&set, &k, cases[i].now) == cases[i].verdict);
	}
}

static void
test_who(void **state)
{
	static const struct { const char *why; int family; const char *address, *network; } networks[] = {
		{ "its /24", AF_INET, "192.0.2.77", "192.0.2.0/24" },
		{ "its /64", AF_INET6, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" },
	};
	static const struct { const char *why, *sender, *counted; } senders[] = {
		{ "as it is, small", "Jack@Example.COM", "jack@example.com" },
		{ "rfc6647:5 VERP", "list-bounces+jill=example.net@example.com", "list-bounces@example.com" },
		{ "a number in each letter", "bounce-12345-x9@example.com", "bounce-#-x#@example.com" },
		{ "nobody", "", "" }, { "a domain's digits are its name", "a@3com.example", "a@3com.example" },
		{ "a plus first is no detail", "+a@example.com", "+a@example.com" },
	};
	struct arena            *a = arena_open(NULL);
	struct greylist_settings odd = set;
	char                     network[GREYLIST_NETWORK_ROOM];
	struct peer              p = { .family = AF_INET };

	(void)state;
	for (size_t i = 0; i < COUNT(networks); i++) {
		struct peer q = { .family = networks[i].family };
		assert_int_equal(inet_pton(q.family, networks[i].address, q.raw), 1);
		greylist_network(&q, &set, network);
		SAME(networks[i].why, bytes_of(network), bytes_of(networks[i].network));
	}
	odd.bits = 20;
	assert_int_equal(inet_pton(AF_INET, "192.0.255.77", p.raw), 1);
	greylist_network(&p, &odd, network);
	SAME("bits within an octet", bytes_of(network), BYTES("192.0.240.0/20"));
	for (size_t i = 0; i < COUNT(senders); i++)
		SAME(senders[i].why, greylist_sender(a, bytes_of(senders[i].sender)), bytes_of(senders[i].counted));
	arena_close(&a);
}

struct place { char dir[32], path[64]; };

static struct policydb *
open_at(const struct place *p)
{
	struct buffer    errors = { 0 };
	struct policydb *db = policydb_open(p->path, &errors);

	SAME("it opens", buffer_bytes(&errors), BYTES(""));
	assert_non_null(db);
	buffer_free(&errors);
	return db;
}

static struct policydb *
open_new(struct place *p)
{
	(void)snprintf(p->dir, sizeof p->dir, "/tmp/greylist-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	(void)snprintf(p->path, sizeof p->path, "%s/policy.db", p->dir);
	return open_at(p);
}

static void
remove_place(const struct place *p)
{
	static const char *const files[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < COUNT(files); i++) {
		char path[80];
		(void)snprintf(path, sizeof path, "%s%s", p->path, files[i]);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(p->dir), 0);
}

static struct greylist_answer
ask(struct policydb *db, const char *network, const char *sender, int64_t now)
{
	struct greylist_answer  answer;
	struct greylist_triplet t = { bytes_of(network), bytes_of(sender), BYTES("jill@example.com") };

	greylist_ask(db, &set, &t, now, &answer);
	return answer;
}

static void
test_remembers(void **state)
{
	struct place           place;
	struct policydb       *db = open_new(&place);
	struct greylist_answer a = ask(db, "192.0.2.0/24", "a", 1000);

	(void)state;
	HOLDS("new", a.verdict == GREYLIST_NEW && a.wait == 300);
	a = ask(db, "192.0.2.0/24", "a", 1100);
	HOLDS("early", a.verdict == GREYLIST_EARLY && a.wait == 200);
	policydb_close(&db);
	db = open_at(&place);
	HOLDS("after a restart", ask(db, "192.0.2.0/24", "a", 1300).verdict == GREYLIST_PASSED);
	HOLDS("known", ask(db, "192.0.2.0/24", "a", 1301).verdict == GREYLIST_KNOWN);
	HOLDS("another network", ask(db, "192.0.3.0/24", "a", 1301).verdict == GREYLIST_NEW);
	HOLDS("both", greylist_count(db) == 2);
	policydb_close(&db);
	remove_place(&place);
}

static void
test_allows_clients(void **state)
{
	struct place     place;
	struct policydb *db = open_new(&place);
	char             sender[2] = "a";

	(void)state;
	for (; sender[0] < 'h'; sender[0]++) {
		HOLDS("new", ask(db, "n", sender, 1000).verdict == GREYLIST_NEW);
		HOLDS("passed", ask(db, "n", sender, 1300).verdict == GREYLIST_PASSED);
	}
	HOLDS("many in one hour are one", ask(db, "n", "y", 1301).verdict == GREYLIST_NEW);
	HOLDS("a second in the next hour", ask(db, "n", "y", 1300 + 3600).verdict == GREYLIST_PASSED);
	HOLDS("two are not three", ask(db, "n", "x", 1301 + 3600).verdict == GREYLIST_NEW);
	HOLDS("the third", ask(db, "n", "x", 1300 + 2 * 3600).verdict == GREYLIST_PASSED);
	HOLDS("after three it is allowed", ask(db, "n", "z", 1301 + 2 * 3600).verdict == GREYLIST_CLIENT);
	HOLDS("but not another", ask(db, "m", "z", 1301).verdict == GREYLIST_NEW);
	HOLDS("and not for ever", ask(db, "n", "z", 1302 + 2 * 3600 + 35 * DAY).verdict == GREYLIST_NEW);
	policydb_close(&db);
	remove_place(&place);
}

static void
test_is_bounded(void **state)
{
	struct place     place;
	struct policydb *db = open_new(&place);
	char             sender[16];

	(void)state;
	HOLDS("let in", ask(db, "n", "kept", 1000).verdict == GREYLIST_NEW && ask(db, "n", "kept", 1300).verdict == GREYLIST_PASSED);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(sender, sizeof sender, "s%d", i);
		(void)ask(db, "m", sender, 2000 + i);
	}
	HOLDS("no more than most", greylist_count(db) <= set.most);
	HOLDS("who was let in stays", ask(db, "n", "kept", 2300).verdict == GREYLIST_KNOWN);
	HOLDS("the last stays", ask(db, "m", "s299", 2300).verdict == GREYLIST_EARLY);
	while (greylist_sweep(db, &set, 2300 + 3 * DAY))
		;
	HOLDS("who did not come back in time is forgotten", greylist_count(db) == 1);
	while (greylist_sweep(db, &set, 2301 + 35 * DAY))
		;
	HOLDS("then all", greylist_count(db) == 0);
	policydb_close(&db);
	remove_place(&place);
}

/* A hundred thousand machines, each with a sender of its own and none that comes again. */
static void
test_a_botnet(void **state)
{
	static const struct greylist_settings small = {
		.delay = 300000, .window = INT64_C(2000) * DAY, .max_age = INT64_C(35000) * DAY, .bits = 24, .bits6 = 64, .allow = 3, .most = 5000,
	};
	struct place           place;
	struct policydb       *db = open_new(&place);
	struct greylist_answer answer;
	struct stat            file = { 0 };
	char                   network[32], sender[32];

	(void)state;
	HOLDS("let in", ask(db, "n", "kept", 1000).verdict == GREYLIST_NEW && ask(db, "n", "kept", 1300).verdict == GREYLIST_PASSED);
	for (int i = 0; i < 100000; i++) {
		struct greylist_triplet t;

		(void)snprintf(network, sizeof network, "10.%d.%d.0/24", i >> 8, i & 255);
		(void)snprintf(sender, sizeof sender, "bot-%d@bot%d.example", i, i);
		t = (struct greylist_triplet){ bytes_of(network), bytes_of(sender), BYTES("jill@example.com") };
		greylist_ask(db, &small, &t, 1400 + i / 100, &answer);
		assert_int_equal(answer.verdict, GREYLIST_NEW);
		if (i % 10000 == 9999)
			policydb_commit(db);
	}
	policydb_commit(db);
	assert_int_equal(stat(place.path, &file), 0);
	HOLDS("no more than most", greylist_count(db) <= small.most);
	HOLDS("the file has room for twice as many, not for all", file.st_size > 0 && file.st_size < 10000 * 400);
	HOLDS("who was let in stays", ask(db, "n", "kept", 3000).verdict == GREYLIST_KNOWN);
	policydb_close(&db);
	remove_place(&place);
}

static void
count_one(void *ctx, const struct greylist_triplet *t, const struct greylist_known *k)
{
	struct buffer *out = ctx;

	buffer_printf(out, "%.*s %.*s %d;", (int)t->network.len, t->network.at, (int)t->sender.len, t->sender.at, (int)k->tries);
}

static void
test_lists(void **state)
{
	struct place            place;
	struct policydb        *db = open_new(&place);
	struct greylist_triplet begin = { { "", 0 }, { "", 0 }, { "", 0 } }, after = { BYTES("m"), BYTES("a"), BYTES("jill@example.com") };
	struct greylist_triplet of_m = { BYTES("m"), { "", 0 }, { "", 0 } };
	struct buffer           out = { 0 };

	(void)state;
	(void)ask(db, "n", "b", 1);
	(void)ask(db, "m", "a", 2);
	(void)ask(db, "m", "a", 3);
	assert_int_equal(greylist_list(db, &begin, 10, count_one, &out), 2);
	SAME("all in order", buffer_bytes(&out), BYTES("m a 2;n b 1;"));
	buffer_reset(&out);
	assert_int_equal(greylist_list(db, &after, 10, count_one, &out), 1);
	SAME("behind one", buffer_bytes(&out), BYTES("n b 1;"));
	assert_int_equal(greylist_delete(db, &of_m), 1);
	assert_int_equal(greylist_count(db), 1);
	assert_int_equal(greylist_flush(db), 1);
	assert_int_equal(greylist_count(db), 0);
	buffer_free(&out);
	policydb_close(&db);
	remove_place(&place);
}

UNIT(test_judgement, test_who, test_remembers, test_allows_clients, test_is_bounded, test_a_botnet, test_lists)
