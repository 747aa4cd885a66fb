#include "command/doveadm-auth.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "command/auth-client.h"
#include "command/prompt.h"

/* The clerk tells all of it: whose password, and whether it is. */
static int
ask_server(const struct auth_work *w, struct bytes password)
{
	struct arena *a = arena_open(NULL);
	const char  **argv = arena_take_array(a, (size_t)w->facts + 5, sizeof *argv);
	int           argc = 0, status;

	argv[argc++] = "auth";
	argv[argc++] = "test";
	argv[argc++] = w->user;
	argv[argc++] = "--classic";
	if (w->master != NULL)
		argv[argc++] = arena_printf(a, "--master=%s", w->master);
	for (int i = 0; i < w->facts; i++)
		argv[argc++] = w->fact[i];
	status = command_ask(w->call, "clerk", argc, argv, password);
	arena_close(&a);
	return status;
}

/* What goes along with a login at a socket.  NULL after saying what would not be one fact there. */
static const char *
facts_of(const struct auth_work *w, struct arena *a)
{
	bool        service = false;
	const char *all = "";

	for (int i = 0; i < w->facts; i++) {
		if (strpbrk(w->fact[i], "\t\n\001") != NULL) {
			(void)fputs("doveadm: -x: a fact has no tab and no line end in it\n",
			            stderr);
			return NULL;
		}
		service = service || strncmp(w->fact[i], "service=", 8) == 0;
		all = arena_printf(a, "%s%s\t", all, w->fact[i]);
	}
	return service ? all : arena_printf(a, "service=doveadm\t%s", all);
}

/* "user=jack\tnologin", a line for each; what is no text is not shown. */
static void
fields_print(struct bytes words)
{
	struct bytes one;

	(void)puts("extra fields:");
	while (bytes_split(&words, '\t', &one)) {
		(void)fputs("  ", stdout);
		for (size_t i = 0; i < one.len; i++)
			(void)fputc((unsigned char)one.at[i] < ' ' ? '?' : one.at[i], stdout);
		(void)fputc('\n', stdout);
	}
}

/* By the auth socket that is named, as any other program would. */
static int
ask_socket(const struct auth_work *w, struct bytes password)
{
	struct arena         *a = arena_open(NULL);
	const char           *facts = facts_of(w, a);
	struct auth_client   *c = auth_client_open(w->socket);
	struct buffer         proof = { 0 }, words = { 0 };
	enum auth_client_said said = AUTH_CLIENT_SILENT;

	if (facts != NULL) {
		if (w->master != NULL)
			buffer_add_string(&proof, w->user);
		buffer_add_char(&proof, '\0');
		buffer_add_string(&proof, w->master != NULL ? w->master : w->user);
		buffer_add_char(&proof, '\0');
		buffer_add(&proof, password);
		said = auth_client_try(c, facts, buffer_bytes(&proof), &words);
		if (said == AUTH_CLIENT_SILENT)
			(void)fprintf(stderr, "doveadm: %s: %s\n", w->socket,
			              errno != 0 ? strerror(errno) : "nobody answers there");
	}
	if (said != AUTH_CLIENT_SILENT) {
		(void)printf("passdb: %s auth %s\n", w->user,
		             said == AUTH_CLIENT_TAKEN ? "succeeded" : "failed");
		fields_print(buffer_bytes(&words));
	}
	prompt_forget(&proof);
	buffer_free(&words);
	auth_client_close(&c);
	arena_close(&a);
	return said == AUTH_CLIENT_TAKEN ? COMMAND_DONE : COMMAND_NO_PERMISSION;
}

int
auth_print(const struct auth_work *w)
{
	struct buffer password = { 0 };
	int           status;

	if (w->plain != NULL)
		buffer_add_string(&password, w->plain);
	else if (!prompt_password(isatty(STDIN_FILENO) ? NULL : "-", "Password", &password))
		return COMMAND_FAILED;
	status = w->socket != NULL ? ask_socket(w, buffer_bytes(&password))
	                           : ask_server(w, buffer_bytes(&password));
	prompt_forget(&password);
	return status;
}
