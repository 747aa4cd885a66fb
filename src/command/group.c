/* group -- several people who have mailboxes together */

#include "command/command.h"

static int run_group(struct call *);

const struct command command_group = {
	.name = "group",
	.forms = "group add ADDRESS [--member ADDRESS...]\n"
		 "group list [ADDRESS]\n"
		 "group join ADDRESS MEMBER...\n"
		 "group leave ADDRESS MEMBER...\n"
		 "group delete ADDRESS",
	.about =
		"Adds, shows and removes groups: an address whose mailboxes belong to all of its members.",
	.more = "Nobody logs in to a group. Its members find its mailboxes in IMAP under Shared/ADDRESS/, with all rights, each "
		"with marks of their own for what they have read; mail for the address is in its INBOX there. Members are accounts "
		"of the group's own domain, and mailbox_sharing is yes. A change is seen at once.",
	.run = run_group,
};

static int
run_group(struct call *c)
{
	if (c->argc < 2)
		return command_wrong(c, "group wants a word behind it");
	return command_ask(c, "clerk", c->argc, (const char *const *)c->argv,
	                   (struct bytes){ NULL, 0 });
}
