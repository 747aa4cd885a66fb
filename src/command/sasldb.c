/* sasldblistusers2 -- who has a password, as Cyrus SASL's command of that name prints it */
#include <getopt.h>
#include <stdio.h>

#include "base/buffer.h"
#include "command/command.h"
#include "role/wire.h"

static int run_sasldb(struct call *);

const struct command command_sasldb = {
	.name = "sasldblistusers2",
	.forms = "sasldblistusers2 [-v]",
	.about = "Lists the accounts of the directory, as Cyrus SASL's command lists a sasldb.",
	.more = "One account a line, \"jack@example.com: userPassword\". There is no file of another name to be listed: mansio "
		"account list says more of each account, and mansio import-users brings others in.",
	.run = run_sasldb,
};

/* Lines of `account list`: the address, and more about it. */
static void
print_users(struct bytes said)
{
	struct bytes line, part;

	while (bytes_split(&said, '\n', &line))
		if (bytes_split(&line, ' ', &part) && part.len > 0)
			(void)printf("%.*s: userPassword\n", (int)part.len, part.at);
}

static int
run_sasldb(struct call *c)
{
	static const char *const argv[] = { "account", "list" };
	const struct word_ask    ask = { argv, 2, { NULL, 0 } };
	struct buffer            said = { 0 };
	int                      option, status;

	optind = 0;
	while ((option = getopt(c->argc, c->argv, "+vf:")) != -1)
		if (option == 'v')
			return printf("\nMansio %s\n", MANSIO_VERSION) > 0 ? COMMAND_DONE
			                                                   : COMMAND_FAILED;
		else if (option == 'f') {
			(void)fprintf(stderr,
			              "sasldblistusers2: %s is not read: accounts are in the "
			              "directory, and without -f those are listed\n",
			              optarg);
			return COMMAND_FAILED;
		} else
			optind = c->argc + 1;
	if (optind != c->argc) {
		(void)fprintf(stderr, "sasldblistusers2: usage: sasldblistusers2 [-v]\n");
		return COMMAND_FAILED;
	}
	status = command_hear(c, "clerk", &ask, &said);
	if (status == 0)
		print_users(buffer_bytes(&said));
	else
		(void)fprintf(stderr, "listusers failed\n");
	buffer_free(&said);
	return status == 0 ? COMMAND_DONE : COMMAND_FAILED;
}
