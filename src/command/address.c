/* address -- why mail for an address goes where it goes */

#include "command/command.h"

static int run_address(struct call *);

const struct command command_address = {
	.name = "address",
	.forms = "address test ADDRESS",
	.about = "Tells who would get the mail for an address, and why.",
	.more = "Every step is a line: the class of the domain, each table that was asked with its answer, where each alias leads, and in "
		"the end what a client would hear at RCPT or where the copies go. Nothing is sent. The exit status is 1 where the address would be refused or put off.",
	.run = run_address,
};

static int
run_address(struct call *c)
{
	if (c->argc != 3)
		return command_wrong(c, "address wants the word test and an address behind it");
	return command_ask(c, "clerk", c->argc, (const char *const *)c->argv,
	                   (struct bytes){ NULL, 0 });
}
