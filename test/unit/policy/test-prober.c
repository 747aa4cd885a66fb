#include "unit.h"

#include "policy/prober.h"

/* What Postfix 3.7 said to another server, and took back, on 22 November 2026. */
#define NOW INT64_C(1795386000)

static void
test_names(void **state)
{
	static const struct { const char *why; struct prober as; const char *name; } cases[] = {
		{ "for ever the same", { "double-bounce@here.example", "o.example", 0 }, "double-bounce@here.example" },
		{ "a bare name is of the origin", { "double-bounce", "o.example", 0 }, "double-bounce@o.example" },
		{ "nobody", { "", "o.example", 0 }, "" },
		{ "nobody, written so", { "<>", "o.example", 0 }, "" },
		{ "nobody does not change", { "<>", "o.example", 3600 }, "" },
		{ "an hour", { "double-bounce@here.example", "o.example", 3600 }, "double-bounceJQYP@here.example" },
		{ "ninety days", { "probe@there.example", "o.example", 7776000 }, "probe7F@there.example" },
	};
	struct arena *a = arena_open(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		HOLDS(cases[i].why, bytes_equal(prober_name(&cases[i].as, NOW, a), bytes_of(cases[i].name)));
	arena_close(&a);
}

static void
test_known_again(void **state)
{
	static const struct prober still = { "probe", "here.example", 0 }, moving = { "probe@here.example", "", 3600 },
				   nobody = { "<>", "", 0 };
	static const struct { const char *why; const struct prober *as; const char *address; bool is; } cases[] = {
		{ "itself", &still, "probe@here.example", true },
		{ "in any case", &still, "PROBE@Here.Example", true },
		{ "with a number", &still, "probeJQYP@here.example", false },
		{ "of another domain", &still, "probe@there.example", false },
		{ "no domain", &still, "probe", false },
		{ "another", &still, "prob@here.example", false },
		{ "this hour", &moving, "probeJQYP@here.example", true },
		{ "this hour, in any case", &moving, "Probejqyp@here.example", true },
		{ "the hour before", &moving, "probeJQYN@here.example", true },
		{ "the next hour", &moving, "probeJQYQ@here.example", true },
		{ "two hours ago", &moving, "probeJQYM@here.example", false },
		{ "without its number", &moving, "probe@here.example", false },
		{ "nobody", &nobody, "@", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		HOLDS(cases[i].why, prober_is(cases[i].as, NOW, bytes_of(cases[i].address)) == cases[i].is);
}

UNIT(test_names, test_known_again)
