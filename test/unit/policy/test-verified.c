#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "policy/verified.h"

#define HOUR 3600
#define DAY  86400

/* The standards of postconf(5). */
static const struct verified_settings set = {
	.positive_expire = INT64_C(31000) * DAY, .positive_refresh = INT64_C(7000) * DAY,
	.negative_expire = INT64_C(3000) * DAY, .negative_refresh = INT64_C(3000) * HOUR, .negative = true, .most = 10,
};

static void
test_judgement(void **state)
{
	static const struct { const char *why; struct verified_known known; int64_t age; enum verified_step step; } cases[] = {
		{ "nothing known", { VERIFIED_TODO, { "", 0 }, 0, 0 }, 0, VERIFIED_ASK },
		{ "being asked", { VERIFIED_TODO, { "", 0 }, 0, 1000000 }, 10, VERIFIED_WAIT },
		{ "asked long ago, and no answer", { VERIFIED_TODO, { "", 0 }, 0, 1000000 }, 1001, VERIFIED_ASK },
		{ "asked tomorrow: the clock was set back", { VERIFIED_TODO, { "", 0 }, 0, 1000000 }, -10, VERIFIED_ASK },
		{ "good", { VERIFIED_GOOD, { "", 0 }, 1000000, 0 }, 7 * DAY, VERIFIED_USE },
		{ "address_verify_positive_refresh_time", { VERIFIED_GOOD, { "", 0 }, 1000000, 0 }, 7 * DAY + 1, VERIFIED_USE_AND_ASK },
		{ "it is being refreshed", { VERIFIED_GOOD, { "", 0 }, 1000000, 1000000 + 7 * DAY }, 7 * DAY + 1, VERIFIED_USE },
		{ "address_verify_positive_expire_time", { VERIFIED_GOOD, { "", 0 }, 1000000, 0 }, 31 * DAY + 1, VERIFIED_ASK },
		{ "bad", { VERIFIED_BAD, { "", 0 }, 1000000, 0 }, 3 * HOUR, VERIFIED_USE },
		{ "address_verify_negative_refresh_time", { VERIFIED_BAD, { "", 0 }, 1000000, 0 }, 3 * HOUR + 1, VERIFIED_USE_AND_ASK },
		{ "address_verify_negative_expire_time", { VERIFIED_LATER, { "", 0 }, 1000000, 0 }, 3 * DAY + 1, VERIFIED_ASK },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		HOLDS(cases[i].why, verified_judge(&set, &cases[i].known, 1000000 + cases[i].age) == cases[i].step);
}

static void
test_keeps(void **state)
{
	char                     dir[] = "/tmp/verified-XXXXXX", path[64];
	struct arena            *a = arena_open(NULL);
	struct buffer            errors = { 0 };
	struct verified_settings no_negative = set;
	struct verified_known    k;
	struct policydb         *db;

	(void)state;
	no_negative.negative = false;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/policy.db", dir);
	db = policydb_open(path, &errors);
	assert_non_null(db);
	verified_asked(db, &set, BYTES("jack@example.com"), 1000);
	HOLDS("asked once", verified_find(db, &set, BYTES("Jack@Example.com"), 1001, a, &k) == VERIFIED_WAIT);
	verified_keep(db, &set, BYTES("jack@example.com"), VERIFIED_BAD, BYTES("550 no such user"), 1002);
	HOLDS("kept", verified_find(db, &set, BYTES("jack@example.com"), 1003, a, &k) == VERIFIED_USE && k.outcome == VERIFIED_BAD);
	SAME("with its words", k.text, BYTES("550 no such user"));
	verified_keep(db, &set, BYTES("jill@example.com"), VERIFIED_GOOD, BYTES(""), 1002);
	verified_keep(db, &set, BYTES("jill@example.com"), VERIFIED_LATER, BYTES("no answer"), 1010);
	HOLDS("a good answer outlives a silence", verified_find(db, &set, BYTES("jill@example.com"), 1011, a, &k) == VERIFIED_USE && k.outcome == VERIFIED_GOOD);
	verified_asked(db, &set, BYTES("jill@example.com"), 1012);
	verified_keep(db, &set, BYTES("jill@example.com"), VERIFIED_BAD, BYTES("550"), 1013);
	HOLDS("and a refusal, and is not asked with each letter", verified_find(db, &set, BYTES("jill@example.com"), 1002 + 7 * DAY, a, &k) == VERIFIED_USE && k.outcome == VERIFIED_GOOD);
	HOLDS("it is asked anew in time", verified_find(db, &set, BYTES("jill@example.com"), 1003 + 7 * DAY, a, &k) == VERIFIED_USE_AND_ASK);
	verified_keep(db, &set, BYTES("jill@example.com"), VERIFIED_BAD, BYTES("550"), 1003 + 31 * DAY);
	HOLDS("until it expires", verified_find(db, &set, BYTES("jill@example.com"), 1004 + 31 * DAY, a, &k) == VERIFIED_USE && k.outcome == VERIFIED_BAD);
	assert_int_equal(verified_delete(db, BYTES("jill@example.com")), 1);
	verified_keep(db, &no_negative, BYTES("joe@example.com"), VERIFIED_BAD, BYTES("550"), 1002);
	HOLDS("address_verify_negative_cache = no", verified_find(db, &set, BYTES("joe@example.com"), 1003, a, &k) == VERIFIED_ASK);
	for (int i = 0; i < 50; i++)
		verified_keep(db, &set, bytes_of(arena_printf(a, "u%d@example.com", i)), VERIFIED_GOOD, BYTES(""), 2000 + i);
	HOLDS("bounded", *policydb_rows(db, POLICYDB_VERIFIED) <= set.most);
	assert_int_equal(verified_delete(db, BYTES("U49@example.com")), 1);
	while (verified_sweep(db, &set, 3000 + 31 * DAY))
		;
	assert_int_equal(*policydb_rows(db, POLICYDB_VERIFIED), 0);
	policydb_close(&db);
	(void)unlink(path);
	assert_int_equal(rmdir(dir), 0);
	buffer_free(&errors);
	arena_close(&a);
}

UNIT(test_judgement, test_keeps)
