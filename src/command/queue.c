/* queue -- the letters that wait */

#include <string.h>

#include "command/command.h"

static int run_queue(struct call *);

const struct command command_queue = {
	.name = "queue",
	.forms = "queue list\n"
		 "queue flush\n"
		 "queue hold ID ...\n"
		 "queue release ID ...\n"
		 "queue delete ID ...",
	.about =
		"Shows the letters that are not delivered yet, or tries them all now; holds letters back, lets those go on "
		"that are held, by hand, by a check or for a virus, and takes letters out for good, of which nobody is told.  ALL instead of an id means each.",
	.more = "",
	.run = run_queue,
};

static int
run_queue(struct call *c)
{
	static const struct {
		const char *verb;
		bool        ids;
	} verbs[] = { { "list", false },
		      { "flush", false },
		      { "hold", true },
		      { "release", true },
		      { "delete", true } };
	bool good = false;

	for (size_t i = 0; c->argc >= 2 && i < COUNT(verbs); i++)
		good |= strcmp(c->argv[1], verbs[i].verb) == 0 && (c->argc > 2) == verbs[i].ids;
	if (!good)
		return command_wrong(
			c,
			"queue wants list or flush behind it, or hold, release or delete and ids");
	return command_ask(c, "queue", c->argc, (const char *const *)c->argv,
	                   (struct bytes){ NULL, 0 });
}
