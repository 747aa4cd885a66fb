/* clerk-onetime -- `mansio account one-time`: the chains of one-time passwords (rfc2289) that OTP logs in by */
#include "role/clerk.h"
#include "sasl/otp.h"
#include <string.h>

static struct bytes
word_of(const struct order *e, uint32_t at)
{
	return at < e->ask->argc ? bytes_of(e->ask->argv[at]) : (struct bytes){ NULL, 0 };
}

/* set ADDRESS ALGORITHM SEED COUNT; the pass phrase is the input */
static int
one_time_set(struct order *e)
{
	struct bytes    algorithm = word_of(e, 4), seed = word_of(e, 5);
	struct bytes    phrase = bytes_trim(e->ask->input);
	struct arena   *a = arena_open(NULL);
	struct one_time t = { .algorithm = bytes_is(algorithm, "md5") ? "md5" : "sha1" };
	uint64_t        count = 0;
	int             status = 2;

	if (!otp_algorithm_good(algorithm))
		caller_complain(e->caller, "mansio: %.*s: write md5 or sha1\n", (int)algorithm.len,
		                algorithm.at);
	else if (!otp_seed_good(seed))
		caller_complain(e->caller, "mansio: a seed has 1 to 16 letters and digits\n");
	else if (!bytes_number(word_of(e, 6), &count) || count <= OTP_SEQUENCE_LOW ||
	         count > OTP_SEQUENCE_MOST)
		caller_complain(e->caller, "mansio: how many passwords? write %d to %d\n",
		                OTP_SEQUENCE_LOW + 1, OTP_SEQUENCE_MOST);
	else if (!otp_phrase_good(phrase))
		caller_complain(e->caller, "mansio: a pass phrase has 10 to 63 characters\n");
	else {
		t.seed = arena_lower(a, seed).at;
		t.sequence = (uint32_t)count;
		(void)otp_chain(t.algorithm, seed, phrase, t.sequence, t.last);
		status = order_finish(e, directory_one_time_set(e->clerk->directory, e->second, &t),
		                      "account");
	}
	arena_close(&a);
	return status;
}

int
run_account_one_time(struct order *e)
{
	if (bytes_is(e->first, "set") && e->ask->argc == 7)
		return one_time_set(e);
	if (bytes_is(e->first, "delete") && e->ask->argc == 4)
		return order_finish(e, directory_one_time_set(e->clerk->directory, e->second, NULL),
		                    "one-time passwords of");
	caller_complain(e->caller,
	                "usage: mansio account one-time set ADDRESS md5|sha1 SEED COUNT\n"
	                "       mansio account one-time delete ADDRESS\n");
	return 2;
}
