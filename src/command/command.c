#include "command/command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"

#define STANDARD_CONFIG "/etc/mansio/main.cf"

static const struct command *const commands[] = {
	&command_run,          &command_status,         &command_reload,     &command_stop,
	&command_config,       &command_domain,         &command_account,    &command_alias,
	&command_address,      &command_group,          &command_queue,      &command_mailq,
	&command_postqueue,    &command_postsuper,      &command_postcat,    &command_trace,
	&command_policy,       &command_store,          &command_who,        &command_auth,
	&command_import_users, &command_import_aliases, &command_sasl,       &command_kick,
	&command_mailbox,      &command_message,        &command_quota,      &command_doveadm,
	&command_doveconf,     &command_maildirmake,    &command_setup,      &command_tls,
	&command_dns,          &command_doctor,         &command_test,       &command_debug,
	&command_postmap,      &command_postalias,      &command_newaliases, &command_postconf,
	&command_sasldb,       &command_demo,           &command_manual,     &command_help,
	&command_version,
};

const struct command *
command_at(size_t index)
{
	return index < COUNT(commands) ? commands[index] : NULL;
}

static const struct command *
command_named(const char *name)
{
	for (size_t i = 0; i < COUNT(commands); i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static void
print_forms(FILE *to, const struct command *c, const char *before)
{
	struct bytes rest = bytes_of(c->forms), form;

	while (bytes_split(&rest, '\n', &form))
		(void)fprintf(to, "%s%.*s\n", before, (int)form.len, form.at);
}

int
command_wrong(const struct call *c, const char *form, ...)
{
	va_list list;

	(void)fputs("mansio: ", stderr);
	va_start(list, form);
	(void)vfprintf(stderr, form, list);
	va_end(list);
	(void)fputs("; call it so:\n", stderr);
	print_forms(stderr, c->command, "  mansio [-c MAIN_CF] ");
	return COMMAND_WRONG;
}

/* argv[at..at+n-1] are used up. */
static void
take_out(struct call *c, int at, int n)
{
	for (int i = at; i + n <= c->argc; i++)
		c->argv[i] = c->argv[i + n];
	c->argc -= n;
}

bool
command_option(struct call *c, const char *name, const char **value)
{
	size_t n = strlen(name);

	for (int i = 1; i < c->argc && strcmp(c->argv[i], "--") != 0; i++) {
		if (value != NULL && strncmp(c->argv[i], name, n) == 0 && c->argv[i][n] == '=') {
			*value = c->argv[i] + n + 1;
			take_out(c, i, 1);
			return true;
		}
		if (strcmp(c->argv[i], name) != 0)
			continue;
		if (value == NULL) {
			take_out(c, i, 1);
			return true;
		}
		if (i + 1 >= c->argc)
			continue; /* stays, to be complained of */
		*value = c->argv[i + 1];
		take_out(c, i, 2);
		return true;
	}
	return false;
}

bool
command_read(const char *path, struct buffer *out)
{
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	int why = fd < 0 ? errno : file_read(fd, SIZE_MAX, out);

	if (why != 0)
		(void)fprintf(stderr, "mansio: %s: %s\n", path, strerror(why));
	if (fd > STDIN_FILENO)
		(void)close(fd);
	return why == 0;
}

void
command_print(struct bytes text, FILE *out)
{
	if (text.len > 0)
		(void)fwrite(text.at, 1, text.len, out);
}

struct settings *
command_settings(struct call *c, struct common_settings *common)
{
	struct buffer    text = { 0 }, errors = { 0 }, warnings = { 0 };
	struct settings *s = NULL;

	if (command_read(c->config, &text)) {
		s = house_settings_read(buffer_bytes(&text), c->config, &errors, &warnings);
		if (s != NULL && !settings_fill(s, &common_setting_table, NULL, common, &errors))
			settings_close(&s);
		command_print(buffer_bytes(&errors), stderr);
	}
	buffer_free(&text);
	buffer_free(&errors);
	buffer_free(&warnings);
	return s;
}

/* The daemon and its messages need a path that stays right. */
static const char *
absolute(const char *path)
{
	char here[PATH_MAX], *whole;

	if (path[0] == '/' || getcwd(here, sizeof here) == NULL)
		return path;
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	whole = memory_take(strlen(here) + strlen(path) + 2);
	(void)snprintf(whole, strlen(here) + strlen(path) + 2, "%s/%s", here, path);
	return whole;
}

static int
print_help(FILE *to)
{
	(void)fprintf(to,
	              "Mansio %s, a complete mail server\n\n"
	              "mansio [-c MAIN_CF] COMMAND ...        MAIN_CF: %s if not said\n\n",
	              MANSIO_VERSION, STANDARD_CONFIG);
	for (size_t i = 0; i < COUNT(commands); i++)
		(void)fprintf(to, "  %-9s %s\n", commands[i]->name, commands[i]->about);
	(void)fprintf(to, "\nmansio help COMMAND says more.\n");
	return to == stdout ? COMMAND_DONE : COMMAND_WRONG;
}

static int
print_about(const struct command *about)
{
	print_forms(stdout, about, "mansio [-c MAIN_CF] ");
	(void)printf("\n%s\n", about->about);
	if (*about->more != '\0')
		(void)printf("\n%s\n", about->more);
	return COMMAND_DONE;
}

static int
run_help(struct call *c)
{
	const struct command *about;

	if (c->argc < 2)
		return print_help(stdout);
	if ((about = command_named(c->argv[1])) == NULL)
		return command_wrong(c, "there is no command \"%s\"", c->argv[1]);
	return print_about(about);
}

const struct command command_help = {
	.name = "help",
	.forms = "help [COMMAND]",
	.about = "Says what there is, or how one command is called.",
	.more = "",
	.run = run_help,
};

static int
run_version(struct call *c)
{
	(void)c;
	(void)printf("mansio %s\n", MANSIO_VERSION);
	return COMMAND_DONE;
}

const struct command command_version = {
	.name = "version",
	.forms = "version",
	.about = "Prints the version.",
	.more = "",
	.run = run_version,
};

/* Names of other programs that we answer to when we are called by them. */
static const struct {
	const char           *name;
	const struct command *command;
} called[] = {
	{ "doveadm", &command_doveadm },         { "doveconf", &command_doveconf },
	{ "maildirmake", &command_maildirmake }, { "maildirmake.dovecot", &command_maildirmake },
	{ "postmap", &command_postmap },         { "postalias", &command_postalias },
	{ "newaliases", &command_newaliases },   { "postconf", &command_postconf },
	{ "sasldblistusers2", &command_sasldb }, { "mailq", &command_mailq },
	{ "postqueue", &command_postqueue },     { "postsuper", &command_postsuper },
	{ "postcat", &command_postcat },         { "sendmail", &command_sendmail },
};

static const struct command *
command_called(const char *program)
{
	const char *slash = strrchr(program, '/');

	for (size_t i = 0; i < COUNT(called); i++)
		if (strcmp(slash != NULL ? slash + 1 : program, called[i].name) == 0)
			return called[i].command;
	return NULL;
}

/* Those of the programs they stand for. */
static bool
has_own_status(const struct command *c)
{
	return c == &command_doveadm || c == &command_test || c == &command_mailq ||
	       c == &command_postqueue || c == &command_sendmail || c == &command_newaliases;
}

static int
run_command(struct call *c)
{
	int status;

	if (c->argc == 2 && strcmp(c->argv[1], "--help") == 0)
		return print_about(c->command);
	status = c->command->run(c);
	if (status > COMMAND_WRONG && !has_own_status(c->command))
		status = COMMAND_FAILED;
	return fflush(stdout) == 0 ? status : COMMAND_FAILED;
}

int
command_main(int argc, char **argv)
{
	struct call c = { .config = STANDARD_CONFIG };
	int         at = 1;

	if (argc > 0 && (c.command = command_called(argv[0])) != NULL) {
		c.argc = argc;
		c.argv = argv;
		return run_command(&c);
	}
	if (at + 1 < argc && strcmp(argv[at], "-c") == 0) {
		c.config = absolute(argv[at + 1]);
		at += 2;
	}
	if (at >= argc)
		return print_help(stderr);
	if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0)
		return print_help(stdout);
	if (strcmp(argv[at], "--version") == 0)
		return run_version(&c);
	c.command = command_named(argv[at]);
	c.argc = argc - at;
	c.argv = argv + at;
	if (c.command == NULL) {
		(void)fprintf(
			stderr,
			"mansio: there is no command \"%s\"; mansio help lists those there are\n",
			argv[at]);
		return COMMAND_WRONG;
	}
	return run_command(&c);
}
