/* alias -- addresses that lead to others */

#include "command/command.h"

static int run_alias(struct call *);

const struct command command_alias = {
	.name = "alias",
	.forms = "alias add ADDRESS TARGET ...\n"
		 "alias list [DOMAIN] [--json]\n"
		 "alias show ADDRESS [--json]\n"
		 "alias set ADDRESS TARGET ...\n"
		 "alias delete ADDRESS [TARGET]",
	.about = "Adds, shows and removes addresses that lead to one or several others.",
	.more = "Targets may be here or elsewhere. add keeps the targets there are, set replaces them; delete takes "
		"one target away, or the alias with all of them. An alias that would lead in a circle is refused.",
	.run = run_alias,
};

static int
run_alias(struct call *c)
{
	if (c->argc < 2)
		return command_wrong(c, "alias wants a word behind it");
	return command_ask(c, "clerk", c->argc, (const char *const *)c->argv,
	                   (struct bytes){ NULL, 0 });
}
