/* reload -- the settings anew, without a session lost */

#include "command/chains.h"
#include "command/command.h"
#include "role/tables.h"

static int run_reload(struct call *);

const struct command command_reload = {
	.name = "reload",
	.forms = "reload",
	.about = "Makes the running server read its settings and certificates again.",
	.more = "Nothing changes when the file is not as it should be: what is wrong is said with its line, and the "
		"settings from before stay. A lookup table that is not as it should be is said too, as is a certificate that cannot be shown, and the status is 1: the settings are in force, the server goes on with "
		"the last good table or certificate, and what depends on a table it never had waits. "
		"No session is dropped.",
	.run = run_reload,
};

/* The roles say so in the log alone, and go on with the last good table or certificate; whoever has just written it wants to
   know. */
static int
complain_of_files(struct call *c)
{
	struct common_settings common;
	struct settings       *s = command_settings(c, &common);
	struct buffer          errors = { 0 }, warnings = { 0 };
	int                    status = COMMAND_DONE;
	bool                   warned = false;

	if (s != NULL && !tables_check(s, &errors, &warnings)) {
		command_print(buffer_bytes(&errors), stderr);
		status = COMMAND_FAILED;
	}
	if (s != NULL && !chains_check(s, &warned))
		status = COMMAND_FAILED;
	buffer_free(&errors);
	buffer_free(&warnings);
	settings_close(&s);
	return status;
}

static int
run_reload(struct call *c)
{
	static const char *const ask[] = { "reload" };
	int                      status;

	if (c->argc > 1)
		return command_wrong(c, "reload takes no arguments");
	status = command_ask(c, "postmaster", 1, ask, (struct bytes){ NULL, 0 });
	return status == COMMAND_DONE ? complain_of_files(c) : status;
}
