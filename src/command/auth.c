/* auth -- who tried to log in and could not, and whom nobody lets in any more */

#include "command/command.h"

#include <string.h>

#include "command/auth-bridge.h"
#include "command/prompt.h"

static int run_auth(struct call *);

const struct command command_auth = {
	.name = "auth",
	.forms = "auth test USER [--password-file FILE]\n"
		 "auth failures [--account ADDRESS] [--network NETWORK] [--json]\n"
		 "auth bans [--json]\n"
		 "auth ban NETWORK [--for TIME] [--reason WORDS]\n"
		 "auth unban NETWORK\n"
		 "auth bridge SOCKET",
	.about = "Tries a login; shows failed logins, and shows, makes and lifts bans of networks.",
	.more = "test asks for a password and says what a login with it comes to, through all of auth_backends; nobody is counted or kept "
		"waiting by it. The status is 0 when somebody would be let in.\n\n"
		"failures are the last 4096 since the server started, the newest last. A network (an address, for IPv6 its "
		"/64) with auth_ban_failures of them within auth_ban_find_time is banned for auth_ban_time, twice as long each time; its "
		"connections are refused where people log in. A network from which somebody has logged in is not banned by "
		"itself. ban, and failures --network, take an address or a range, as 198.51.100.0/24; without --for a ban holds until unban.\n\n"
		"bridge answers ejabberd's external authentication by SOCKET, one of auth_socket: auth_method: [external], "
		"extauth_program: \"mansio auth bridge /run/mansio/auth\", with auth_socket_owner = ejabberd. Who is asked about (isuser) is "
		"said to be there; only who logs in is proved.",
	.run = run_auth,
};

static int
run_test(struct call *c)
{
	const char   *file = NULL, *argv[] = { "auth", "test", NULL };
	struct buffer password = { 0 };
	int           status;

	(void)command_option(c, "--password-file", &file);
	if (c->argc != 3)
		return command_wrong(c, "auth test wants a user name");
	argv[2] = c->argv[2];
	if (!prompt_password(file, "Password", &password))
		return COMMAND_FAILED;
	status = command_ask(c, "clerk", 3, argv, buffer_bytes(&password));
	prompt_forget(&password);
	return status;
}

static int
run_auth(struct call *c)
{
	if (c->argc < 2)
		return command_wrong(c, "auth wants a word behind it");
	if (strcmp(c->argv[1], "test") == 0)
		return run_test(c);
	if (strcmp(c->argv[1], "bridge") == 0)
		return c->argc == 3 ? auth_bridge(c->argv[2])
		                    : command_wrong(c, "auth bridge wants a socket");
	return command_ask(c, "clerk", c->argc, (const char *const *)c->argv,
	                   (struct bytes){ NULL, 0 });
}
