/* auth -- who tried to log in and could not, and whom nobody lets in any more */

#include "command/command.h"

static int run_auth(struct call *);

const struct command command_auth = {
	.name = "auth",
	.forms = "auth failures [--account ADDRESS] [--network NETWORK] [--json]\n"
		 "auth bans [--json]\n"
		 "auth ban NETWORK [--for TIME] [--reason WORDS]\n"
		 "auth unban NETWORK",
	.about = "Shows failed logins, and shows, makes and lifts bans of networks.",
	.more = "failures are the last 4096 since the server started, the newest last. A network (an address, for IPv6 its "
		"/64) with auth_ban_failures of them within auth_ban_find_time is banned for auth_ban_time, twice as long each time; its "
		"connections are refused where people log in. A network from which somebody has logged in is not banned by "
		"itself. ban takes an address or a range, as 198.51.100.0/24; without --for it holds until unban.",
	.run = run_auth,
};

static int
run_auth(struct call *c)
{
	if (c->argc < 2)
		return command_wrong(c, "auth wants a word behind it");
	return command_ask(c, "clerk", c->argc, (const char *const *)c->argv,
	                   (struct bytes){ NULL, 0 });
}
