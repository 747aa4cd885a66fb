/* debug -- whose sessions are told in the log, for a while */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command/command.h"
#include "role/debug.h"

static int run_debug(struct call *);

const struct command command_debug = {
	.name = "debug",
	.forms = "debug on PEER [--for TIME]\n"
		 "debug list\n"
		 "debug off [PEER]",
	.about =
		"Has the sessions of a client or a user told in the log, line by line, for a while.",
	.more = "PEER is an address, a network as 192.0.2.0/24, the name of a host, a domain (and all below it), or a user, as "
		"jill@example.com, from the login on. Sessions of SMTP, LMTP, IMAP and POP3 that begin then are told: < what the client said, > what we "
		"did; of those of a host's name, what follows once the name is known. Passwords are never told, and neither are letters, unless "
		"debug_peer_level is 3 or more.\n"
		"\n"
		"TIME is as 90s, 10m (if not said) or 2h, a day at most; then it ends by itself. A reload does not end it, a restart does. "
		"mansio status shows what is on; debug_peer_list is for what is to stay.",
	.run = run_debug,
};

/* "90", "90s", "10m", "2h", "1d"; 0: it is none. */
static uint64_t
seconds_of(const char *text)
{
	static const struct {
		char     sign;
		uint64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	struct bytes b = bytes_of(text);
	uint64_t     n, unit = 1;

	for (size_t i = 0; i < COUNT(units) && b.len > 0; i++)
		if (b.at[b.len - 1] == units[i].sign) {
			unit = units[i].seconds;
			b.len--;
			break;
		}
	return bytes_number(b, &n) && n <= DEBUG_MOST_S && n * unit <= DEBUG_MOST_S ? n * unit : 0;
}

static int
run_debug(struct call *c)
{
	const char *time = "10m", *wrong;
	char        seconds[24];
	bool        has_time = command_option(c, "--for", &time), on;

	on = c->argc == 3 && strcmp(c->argv[1], "on") == 0;
	if (!on && (has_time || c->argc < 2 || c->argc > 3 ||
	            !((c->argc == 2 && strcmp(c->argv[1], "list") == 0) ||
	              strcmp(c->argv[1], "off") == 0)))
		return command_wrong(c, "debug wants on and a client or user, list, or off");
	if (!on)
		return command_ask(c, "postmaster", c->argc, (const char *const *)c->argv,
		                   (struct bytes){ NULL, 0 });
	if ((wrong = debug_peer_wrong(c->argv[2])) != NULL)
		return command_wrong(c, "%s: %s", c->argv[2], wrong);
	if (seconds_of(time) == 0)
		return command_wrong(c, "--for %s: write a time as 90s, 10m or 2h, a day at most",
		                     time);
	(void)snprintf(seconds, sizeof seconds, "%" PRIu64, seconds_of(time));
	const char *const argv[] = { "debug", "on", c->argv[2], seconds };
	return command_ask(c, "postmaster", COUNT(argv), argv, (struct bytes){ NULL, 0 });
}
