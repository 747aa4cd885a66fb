/* policy -- what restriction lists decided, or would */

#include <string.h>

#include "command/command.h"

static int run_policy(struct call *);

const struct command command_policy = {
	.name = "policy",
	.forms = "policy why ID",
	.about = "Tells why mail was refused: the id stands at the end of the refusal.",
	.more = "Refusals are remembered for some days.",
	.run = run_policy,
};

static int
run_policy(struct call *c)
{
	if (c->argc != 3 || strcmp(c->argv[1], "why") != 0)
		return command_wrong(c, "policy wants why and the id of a refusal");
	return command_ask(c, "policy", c->argc, (const char *const *)c->argv,
	                   (struct bytes){ NULL, 0 });
}
