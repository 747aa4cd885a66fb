/* How many deliveries at once: what Postfix's SCHEDULER_README says of feedback, and when a destination is dead. */
#include "unit.h"

#include "queue/pace.h"

static const struct pace_rules ones = { 5, 20, { 1, 0 }, { 1, 0 }, 1 };

static void
test_feedback_words(void **state)
{
	static const struct {
		const char *why, *text;
		bool        good;
		int         thousandth, by;
	} rows[] = {
		{ "postconf(5)", "1", true, 1000, 0 },
		{ "postconf(5)", "0.5/concurrency", true, 500, 1 },
		{ "postconf(5), with blanks", "1 / sqrt_concurrency", true, 1000, 2 },
		{ "none", "0", true, 0, 0 },
		{ "through something else", "1/square", false, 0, 0 },
		{ "too much", "1.5", false, 0, 0 },
		{ "a sign", "-1", false, 0, 0 },
		{ "nothing", "", false, 0, 0 },
		{ "a dot", ".", false, 0, 0 },
		{ "words", "much", false, 0, 0 },
	};
	struct pace_feedback f;
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		bool good = pace_feedback_read(bytes_of(rows[i].text), &f);

		if (good != rows[i].good ||
		    (good && ((int)(f.amount * 1000 + 0.5) != rows[i].thousandth || f.by != rows[i].by)))
			fail_msg("%s: \"%s\"", rows[i].why, rows[i].text);
	}
}

/* After so many good answers, with every place in use. */
static uint32_t
after(const struct pace_rules *rules, int answers)
{
	struct pace p;

	pace_begin(&p, rules);
	while (answers-- > 0)
		pace_good(&p, rules, p.window);
	return p.window;
}

static void
test_growth(void **state)
{
	static const struct {
		const char       *why;
		struct pace_rules rules;
		int               answers;
		uint32_t          window;
	} rows[] = {
		{ "one for each", { 5, 20, { 1, 0 }, { 1, 0 }, 1 }, 4, 9 },
		{ "not beyond the limit", { 5, 20, { 1, 0 }, { 1, 0 }, 1 }, 100, 20 },
		{ "one for a round of them", { 5, 20, { 1, 1 }, { 1, 0 }, 1 }, 5, 6 },
		{ "four of four at their root", { 4, 20, { 1, 2 }, { 1, 0 }, 1 }, 2, 5 },
		{ "never", { 5, 20, { 0, 0 }, { 1, 0 }, 1 }, 100, 5 },
		{ "begins no higher than the limit", { 50, 20, { 1, 0 }, { 1, 0 }, 1 }, 0, 20 },
	};
	struct pace p;
	(void)state;

	for (size_t i = 0; i < COUNT(rows); i++)
		if (after(&rows[i].rules, rows[i].answers) != rows[i].window)
			fail_msg("%s: %u", rows[i].why, after(&rows[i].rules, rows[i].answers));
	pace_begin(&p, &ones);
	for (int i = 0; i < 100; i++)
		pace_good(&p, &ones, 1);
	HOLDS("what is not used does not grow on", p.window == 6);
}

static void
test_death(void **state)
{
	struct pace_rules rules = ones;
	struct pace       p;
	int               n;
	(void)state;

	pace_begin(&p, &ones);
	for (n = 1; !pace_bad(&p, &ones); n++)
		HOLDS("smaller", p.window < 5 && p.window >= 1);
	HOLDS("1/5 + 1/4 + 1/3 + 1/2", n == 4);
	pace_probe(&p);
	HOLDS("one goes to see", p.window == 1);
	HOLDS("and is enough to know", pace_bad(&p, &ones));
	pace_probe(&p);
	pace_good(&p, &ones, 1);
	HOLDS("it lives", p.window == 2);
	pace_begin(&p, &ones);
	for (n = 0; n < 100; n++) {
		HOLDS("one good answer makes good three bad ones", !pace_bad(&p, &ones) && !pace_bad(&p, &ones));
		pace_good(&p, &ones, p.window);
		pace_good(&p, &ones, p.window);
	}
	rules.cohorts = 0;
	pace_begin(&p, &rules);
	for (n = 0; n < 1000; n++)
		HOLDS("never dead", !pace_bad(&p, &rules));
	HOLDS("but never none", p.window == 1);
	rules.cohorts = 3;
	pace_begin(&p, &rules);
	for (n = 1; !pace_bad(&p, &rules); n++)
		continue;
	HOLDS("three cohorts: 1/5 + 1/4 + 1/3 + 1/2 + 1 + 1", n == 6);
}

UNIT(test_feedback_words, test_growth, test_death)
