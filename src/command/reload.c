/* reload -- the settings anew, without a session lost */

#include "command/command.h"

static int run_reload(struct call *);

const struct command command_reload = {
	.name = "reload",
	.forms = "reload",
	.about = "Makes the running server read its settings and certificates again.",
	.more = "Nothing changes when the file is not as it should be: what is wrong is said with its line, and the "
		"settings from before stay. No session is dropped.",
	.run = run_reload,
};

static int
run_reload(struct call *c)
{
	static const char *const ask[] = { "reload" };

	if (c->argc > 1)
		return command_wrong(c, "reload takes no arguments");
	return command_ask(c, "postmaster", 1, ask, (struct bytes){ NULL, 0 });
}
