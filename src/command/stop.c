/* stop -- the end of the day */

#include "command/command.h"

static int run_stop(struct call *);

const struct command command_stop = {
	.name = "stop",
	.forms = "stop",
	.about = "Stops the running server and returns when it has stopped.",
	.more = "Sessions are told and what is in hand is finished first. Letters that were accepted stay in the spool.",
	.run = run_stop,
};

static int
run_stop(struct call *c)
{
	static const char *const ask[] = { "stop" };

	if (c->argc > 1)
		return command_wrong(c, "stop takes no arguments");
	return command_ask(c, "postmaster", 1, ask, (struct bytes){ NULL, 0 });
}
