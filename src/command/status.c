/* status -- who works in the house */

#include "command/command.h"

static int run_status(struct call *);

const struct command command_status = {
	.name = "status",
	.forms = "status [--json]",
	.about =
		"Shows every process of the server: role, process, uid, cage, connections, memory.",
	.more = "The exit status is 0 when every role is at work, 1 when one is being started again, and 2 when no "
		"server is running.",
	.run = run_status,
};

static int
run_status(struct call *c)
{
	bool              json = command_option(c, "--json", NULL);
	const char *const ask[] = { "status", json ? "--json" : "" };

	if (c->argc > 1)
		return command_wrong(c, "status does not know \"%s\"", c->argv[1]);
	return command_ask(c, "postmaster", 2, ask, (struct bytes){ NULL, 0 });
}
