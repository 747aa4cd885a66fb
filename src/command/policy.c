/* policy -- what restriction lists decided, or would */

#include <string.h>

#include "command/command.h"
#include "command/policy-simulate.h"

enum { TO = 7 }; /* of the words of explain */

static int run_policy(struct call *);

const struct command command_policy = {
	.name = "policy",
	.forms =
		"policy explain --client ADDRESS [--name NAME] [--helo NAME] --from ADDRESS --to ADDRESS ... [--auth USER] [--tls] [--ccert FINGERPRINT] "
		"[--listener NAME]\n"
		"policy simulate FILE [--save]\n"
		"policy why ID\n"
		"policy greylist list\n"
		"policy greylist delete NETWORK [SENDER [RECIPIENT]]\n"
		"policy greylist flush\n"
		"policy verify list\n"
		"policy verify delete ADDRESS\n"
		"policy verify flush",
	.about =
		"Tells why mail was refused: the id stands at the end of the refusal; what the restriction lists would say of a letter, rule by rule; and what the greylist and the rules "
		"reject_unverified_sender and reject_unverified_recipient remember.",
	.more = "Refusals are remembered for some days.  A network of the greylist is written as its list has it, 192.0.2.0/24; "
		"without a sender what the network has earned is forgotten, too.\n"
		"\n"
		"explain takes --to more than once: each recipient is asked about, and then the letter to those that are taken. --ccert is a client's certificate, or the key "
		"of one, by its fingerprint as a table has it; it is taken to lead to no authority of ours. With --tls or --ccert the session is encrypted.\n"
		"\n"
		"simulate asks again, after a change, what would be said of letters that are written down, and sends nothing. A line of FILE (- is the standard input) is a letter: "
		"client=192.0.2.1 helo=mx.example.org from=a@example.org to=b@example.com, and where it matters name=, auth=, listener= and tls; without from= it is a notice. "
		"Behind => stands what was said, as --save prints it: a whole reply, or a code for every reply with it. What is otherwise now is told with the rule that says so. "
		"Exit status: 0 all is as it was; 1 something is not; 2 it could not be asked.",
	.run = run_policy,
};

/* What would be said of such a letter; nothing is sent. */
static int
explain(struct call *c)
{
	static const char *const names[] = { "--listener", "--client", "--name", "--helo",
		                             "--from",     "--to",     "--auth" };
	const char              *argv[2 + COUNT(names) + 2] = { "policy", "explain" };
	struct buffer            to = { 0 };
	const char              *more = NULL;
	size_t                   n = 2;
	int                      status;

	for (size_t i = 0; i < COUNT(names); i++, n++) {
		argv[n] = i == 0 ? "smtp" : "";
		(void)command_option(c, names[i], &argv[n]);
	}
	argv[n++] = command_option(c, "--tls", NULL) ? "yes" : "";
	argv[n] = "";
	(void)command_option(c, "--ccert", &argv[n++]);
	buffer_add_string(&to, argv[TO]);
	while (command_option(c, "--to", &more))
		buffer_printf(&to, "\n%s", more);
	buffer_add_char(&to, '\0');
	argv[TO] = to.at;
	if (c->argc != 2 || *argv[3] == '\0' || *argv[6] == '\0' || *argv[TO] == '\0') {
		buffer_free(&to);
		return command_wrong(
			c, "policy explain wants --client, --from (<> is a notice's) and --to");
	}
	status = command_ask(c, "policy", (int)n, argv, (struct bytes){ NULL, 0 });
	buffer_free(&to);
	return status;
}

static int
simulate(struct call *c)
{
	bool save = command_option(c, "--save", NULL);

	if (c->argc != 3)
		return command_wrong(c, "policy simulate wants a file of letters");
	return policy_simulate(c, c->argv[2], save);
}

static int
run_policy(struct call *c)
{
	const char *what = c->argc > 1 ? c->argv[1] : "";

	if (strcmp(what, "explain") == 0)
		return explain(c);
	if (strcmp(what, "simulate") == 0)
		return simulate(c);
	if (c->argc < 3 || (strcmp(what, "why") != 0 && strcmp(what, "greylist") != 0 &&
	                    strcmp(what, "verify") != 0))
		return command_wrong(
			c, "policy wants why and the id of a refusal, greylist or verify");
	return command_ask(c, "policy", c->argc, (const char *const *)c->argv,
	                   (struct bytes){ NULL, 0 });
}
