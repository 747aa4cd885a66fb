#include "role/pass.h"
#include "unit.h"

struct pass_row {
	const char *reason;
	uint32_t    keeper;
	uint64_t    account;
	const char *user;
	int64_t     now_ms;
	size_t      len;
	int         changed; /* which byte; -1 none */
	bool        good;
};

static const struct pass_row pass_rows[] = {
	{ "as it was written", 1, 7, "eva@example.com", 1000, PASS_SIZE, -1, true },
	{ "at its last moment", 1, 7, "eva@example.com", 5000, PASS_SIZE, -1, true },
	{ "too old", 1, 7, "eva@example.com", 5001, PASS_SIZE, -1, false },
	{ "another keeper's", 2, 7, "eva@example.com", 1000, PASS_SIZE, -1, false },
	{ "another account", 1, 8, "eva@example.com", 1000, PASS_SIZE, -1, false },
	{ "another name", 1, 7, "eve@example.com", 1000, PASS_SIZE, -1, false },
	{ "made to last longer", 1, 7, "eva@example.com", 1000, PASS_SIZE, 2, false },
	{ "another nonce", 1, 7, "eva@example.com", 1000, PASS_SIZE, 9, false },
	{ "another seal", 1, 7, "eva@example.com", 1000, PASS_SIZE, PASS_SIZE - 1, false },
	{ "cut short", 1, 7, "eva@example.com", 1000, PASS_SIZE - 1, -1, false },
	{ "none", 1, 7, "eva@example.com", 1000, 0, -1, false },
};

static void
passes(const struct pass_row *r)
{
	static const char master[PASS_KEY] = "thirty-two bytes nobody guesses";
	char              key[PASS_KEY], pass[PASS_SIZE];
	struct map       *seen = map_open();
	struct bytes      shown = { pass, r->len };

	pass_key(master, 1, key);
	pass_write(key, 7, "eva@example.com", 5000, pass);
	if (r->changed >= 0)
		pass[r->changed] ^= 1;
	pass_key(master, r->keeper, key);
	assert_int_equal(pass_is_good(key, shown, r->account, r->user, r->now_ms, seen), r->good);
	/* and once alone */
	assert_false(pass_is_good(key, shown, r->account, r->user, r->now_ms, seen));
	map_close(&seen);
}

static void
every_pass(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pass_rows); i++) {
		print_message("%s\n", pass_rows[i].reason);
		passes(&pass_rows[i]);
	}
}

UNIT(every_pass)
