/* sasl -- the strings of a login by hand */

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "command/command.h"
#include "command/prompt.h"

static int run_sasl(struct call *);

const struct command command_sasl = {
	.name = "sasl",
	.forms = "sasl encode USER [--password-file FILE]",
	.about = "Prints what a client sends by PLAIN and LOGIN, to log in by hand.",
	.more = "The password is asked for at the terminal, unseen; it is read from FILE if one is given, and from the standard "
		"input where that is not a terminal. What is printed is no secret kept: base64 hides nothing.\n"
		"\n"
		"The first string goes behind AUTH PLAIN (SMTP, POP3) or AUTHENTICATE PLAIN (IMAP); the other two answer the "
		"challenges of LOGIN, user first.",
	.run = run_sasl,
};

static void
print_coded(const char *what, struct bytes raw)
{
	struct buffer text = { 0 };

	base64_encode(&text, raw);
	printf("%s %.*s\n", what, (int)text.len, text.at);
	if (text.len > 0)
		explicit_bzero(text.at, text.len);
	buffer_free(&text);
}

static int
run_sasl(struct call *c)
{
	struct buffer password = { 0 }, plain = { 0 };
	const char   *file = NULL;

	(void)command_option(c, "--password-file", &file);
	if (c->argc != 3 || strcmp(c->argv[1], "encode") != 0)
		return command_wrong(
			c,
			"sasl wants encode and a user; a password is no argument, ps would show it");
	if (!prompt_password(file, "Password", &password))
		return COMMAND_FAILED;
	buffer_add_char(&plain, '\0');
	buffer_add_string(&plain, c->argv[2]);
	buffer_add_char(&plain, '\0');
	buffer_add(&plain, buffer_bytes(&password));
	print_coded("PLAIN", buffer_bytes(&plain));
	print_coded("LOGIN", bytes_of(c->argv[2]));
	print_coded("LOGIN", buffer_bytes(&password));
	prompt_forget(&plain);
	prompt_forget(&password);
	return COMMAND_DONE;
}
