/* policy -- what restriction lists decided, or would */

#include <string.h>

#include "command/command.h"

static int run_policy(struct call *);

const struct command command_policy = {
	.name = "policy",
	.forms = "policy why ID\n"
		 "policy greylist list\n"
		 "policy greylist delete NETWORK [SENDER [RECIPIENT]]\n"
		 "policy greylist flush\n"
		 "policy verify list\n"
		 "policy verify delete ADDRESS\n"
		 "policy verify flush",
	.about =
		"Tells why mail was refused: the id stands at the end of the refusal; and what the greylist and the rules "
		"reject_unverified_sender and reject_unverified_recipient remember.",
	.more = "Refusals are remembered for some days.  A network of the greylist is written as its list has it, 192.0.2.0/24; "
		"without a sender what the network has earned is forgotten, too.",
	.run = run_policy,
};

static int
run_policy(struct call *c)
{
	const char *what = c->argc > 1 ? c->argv[1] : "";

	if (c->argc < 3 || (strcmp(what, "why") != 0 && strcmp(what, "greylist") != 0 &&
	                    strcmp(what, "verify") != 0))
		return command_wrong(
			c, "policy wants why and the id of a refusal, greylist or verify");
	return command_ask(c, "policy", c->argc, (const char *const *)c->argv,
	                   (struct bytes){ NULL, 0 });
}
