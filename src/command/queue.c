/* queue -- the letters that wait */

#include <string.h>

#include "command/command.h"

static int run_queue(struct call *);

const struct command command_queue = {
	.name = "queue",
	.forms = "queue list\n"
		 "queue flush",
	.about = "Shows the letters that are not delivered yet, or tries them all now.",
	.more = "",
	.run = run_queue,
};

static int
run_queue(struct call *c)
{
	if (c->argc != 2 || (strcmp(c->argv[1], "list") != 0 && strcmp(c->argv[1], "flush") != 0))
		return command_wrong(c, "queue wants one word behind it, list or flush");
	return command_ask(c, "queue", c->argc, (const char *const *)c->argv,
	                   (struct bytes){ NULL, 0 });
}
