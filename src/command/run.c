/* run -- the server itself, in the foreground */

#include "command/command.h"
#include "role/postmaster.h"

static int run_run(struct call *);

const struct command command_run = {
	.name = "run",
	.forms = "run",
	.about = "Runs the server in the foreground until SIGTERM, SIGINT or the command stop.",
	.more = "SIGHUP reads the settings again, as reload does. Under systemd the unit is Type=notify: readiness, "
		"reloading, stopping and the watchdog are reported.",
	.run = run_run,
};

static int
run_run(struct call *c)
{
	if (c->argc > 1)
		return command_wrong(c, "run takes no arguments");
	return postmaster_live(c->config);
}
