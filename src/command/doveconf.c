/* doveconf -- the settings, by the name tutorials and scripts know for it */

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "command/command.h"
#include "command/dovecot.h"

static int run_doveconf(struct call *);

const struct command command_doveconf = {
	.name = "doveconf",
	.forms = "doveconf [-n | -a | -d] [-h] [NAME ...]",
	.about = "Shows the settings, as scripts written for Dovecot ask for them.",
	.more = "It is config show: -n those that stand in main.cf, -a all (as without options), -d the standard ones, -h the value "
		"alone. A NAME may be Dovecot's, too, where a setting of ours means the same: ssl_cert, log_path, mail_max_userip_connections.",
	.run = run_doveconf,
};

/* What clients are told of Sieve: no scripts are run here, and ManageSieve is not spoken. */
static bool
show_capability(const char *name, bool bare)
{
	if (strcmp(name, "managesieve_sieve_capability") != 0 &&
	    strcmp(name, "managesieve_notify_capability") != 0)
		return false;
	(void)printf("%s%s\n", bare ? "" : name, bare ? "" : " =");
	return true;
}

static int
run_doveconf(struct call *c)
{
	struct call show = { &command_config, c->config, 0, NULL };
	char      **argv = memory_take(((size_t)c->argc + 5) * sizeof *argv);
	const char *file = NULL;
	bool        head = command_option(c, "-n", NULL), bare;
	int         status;

	if (command_option(c, "-c", &file))
		show.config = file;
	(void)command_option(c, "-a", NULL);
	bare = command_option(c, "-h", NULL);
	argv[show.argc++] = (char *)(uintptr_t) "config";
	argv[show.argc++] = (char *)(uintptr_t) "show";
	if (head)
		argv[show.argc++] = (char *)(uintptr_t) "-n";
	if (bare)
		argv[show.argc++] = (char *)(uintptr_t) "-h";
	for (int i = 1; i < c->argc; i++)
		if (!show_capability(c->argv[i], bare))
			argv[show.argc++] = (char *)(uintptr_t)dovecot_name_here(c->argv[i]);
	if (c->argc > 1 && c->argv[c->argc - 1][0] != '-' && show.argc == 2 + head + bare) {
		memory_free(argv);
		return COMMAND_DONE;
	}
	if (head && c->argc == 1)
		(void)printf("# %s (mansio): %s\n", MANSIO_VERSION, show.config);
	show.argv = argv;
	status = command_config.run(&show);
	memory_free(argv);
	return status;
}
