/* Lines of `mansio policy simulate`: what a letter was, and what was said of it. */
#include "unit.h"

#include <string.h>

#include "command/policy-simulate.h"

#define NOT NULL

static void
test_lines(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *line, *word[SIMULATION_WORDS], *said; } cases[] = {
		{ "what there must be", "client=192.0.2.1 to=b@example.com", { "smtp", "192.0.2.1", "", "", "<>", "b@example.com", "", "" }, "" },
		{ "all of it, in any order", "tls auth=u to=b@x from=a@y helo=h name=n client=::1 listener=submission",
		  { "submission", "::1", "n", "h", "a@y", "b@x", "u", "yes" }, "" },
		{ "with what was said", "client=192.0.2.1 from=a@y to=b@x => 554 5.7.1 <b@x>: Relay access denied",
		  { "smtp", "192.0.2.1", "", "", "a@y", "b@x", "", "" }, "554 5.7.1 <b@x>: Relay access denied" },
		{ "a code alone", "client=192.0.2.1 to=b@x => 250", { "smtp", "192.0.2.1", "", "", "<>", "b@x", "", "" }, "250" },
		{ "by tabs", "client=192.0.2.1\tto=b@x\tfrom=", { "smtp", "192.0.2.1", "", "", "<>", "b@x", "", "" }, "" },
		{ "the last one counts", "client=192.0.2.1 client=192.0.2.2 to=b@x", { "smtp", "192.0.2.2", "", "", "<>", "b@x", "", "" }, "" },
		{ "an address with =", "client=192.0.2.1 from=srs0=a=b@x to=b@x", { "smtp", "192.0.2.1", "", "", "srs0=a=b@x", "b@x", "", "" }, "" },
		{ "no client", "to=b@x", { NOT }, NULL }, { "no recipient", "client=192.0.2.1", { NOT }, NULL },
		{ "an empty recipient", "client=192.0.2.1 to=", { NOT }, NULL }, { "a word nobody knows", "client=192.0.2.1 to=b@x color=red", { NOT }, NULL },
		{ "a word without a value", "client=192.0.2.1 to=b@x auth", { NOT }, NULL }, { "nothing", "", { NOT }, NULL },
		{ "what was said, and of nothing", "=> 250", { NOT }, NULL },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct simulation s;
		const char       *why = NULL;
		char              line[200];

		(void)bytes_string(bytes_of(cases[i].line), line, sizeof line);
		HOLDS(cases[i].why, simulation_parse(line, &s, &why) == (cases[i].said != NULL));
		if (cases[i].said == NULL) {
			HOLDS(cases[i].why, why != NULL && *why != '\0');
			continue;
		}
		for (size_t w = 0; w < SIMULATION_WORDS; w++)
			SAME(cases[i].why, bytes_of(s.word[w]), bytes_of(cases[i].word[w]));
		SAME(cases[i].why, s.said, bytes_of(cases[i].said));
	}
}

UNIT(test_lines)
