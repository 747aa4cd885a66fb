#include "command/protection.h"

#include <string.h>
#include <unistd.h>

#include "command/picture.h"
#include "command/prompt.h"
#include "role/wire.h"

bool
protection_words(const struct call *c)
{
	static const char *const words[] = { "app-password", "totp", "suspend", "resume",
		                             "one-time" };

	for (size_t i = 0; c->argc > 1 && i < COUNT(words); i++)
		if (strcmp(c->argv[1], words[i]) == 0)
			return true;
	return false;
}

/* What the clerk said of a new secret: "secret WORD", "uri WORD". */
static void
show_secret(struct bytes said)
{
	struct bytes  line, key, value;
	struct buffer uri = { 0 };

	while (bytes_split(&said, '\n', &line)) {
		value = line;
		if (!bytes_split(&value, ' ', &key))
			continue;
		if (bytes_is(key, "uri"))
			buffer_add(&uri, value);
		printf("%.*s: %.*s\n", (int)key.len, key.at, (int)value.len, value.at);
	}
	buffer_add_char(&uri, '\0');
	if (isatty(STDOUT_FILENO) && !picture_print(stdout, uri.at))
		puts("(no picture: type the secret)");
	puts("Nothing has changed yet: add it to an authenticator, then: mansio account totp confirm ADDRESS");
	prompt_forget(&uri);
}

static int
totp_enable(struct call *c)
{
	struct word_ask ask = { (const char *const *)c->argv, (uint32_t)c->argc, { NULL, 0 } };
	struct buffer   said = { 0 };
	int             status = command_talk(c, "clerk", &ask, -1, &said);

	if (status == COMMAND_DONE)
		show_secret(buffer_bytes(&said));
	prompt_forget(&said);
	return status;
}

/* A code is good for half a minute, and still no argument: a recovery code is good for ever. */
static int
totp_code(struct call *c)
{
	struct buffer code = { 0 };
	bool          got = isatty(STDIN_FILENO) ? prompt_line("Code: ", "", &code)
	                                         : prompt_password("-", "Code", &code);
	int           status = COMMAND_FAILED;

	if (got)
		status = command_ask(c, "clerk", c->argc, (const char *const *)c->argv,
		                     buffer_bytes(&code));
	prompt_forget(&code);
	if (status == COMMAND_DONE && strcmp(c->argv[2], "confirm") == 0)
		puts("These recovery codes are shown once; each is good once, where the phone is lost. From now on "
		     "the password alone opens no mailbox: make app passwords for mail programs with mansio "
		     "account app-password add");
	return status;
}

/* The pass phrase of a chain of one-time passwords: secret, and no argument. */
static int
one_time_phrase(struct call *c)
{
	struct buffer phrase = { 0 };
	int           status = COMMAND_FAILED;

	if (prompt_password(NULL, "Pass phrase", &phrase))
		status = command_ask(c, "clerk", c->argc, (const char *const *)c->argv,
		                     buffer_bytes(&phrase));
	prompt_forget(&phrase);
	return status;
}

int
protection_run(struct call *c)
{
	bool totp = strcmp(c->argv[1], "totp") == 0;

	if (totp && c->argc != 4)
		return command_wrong(c, "account totp wants a word and an address");
	if (totp && strcmp(c->argv[2], "enable") == 0)
		return totp_enable(c);
	if (totp && (strcmp(c->argv[2], "confirm") == 0 || strcmp(c->argv[2], "test") == 0))
		return totp_code(c);
	if (strcmp(c->argv[1], "one-time") == 0 && c->argc == 7)
		return one_time_phrase(c);
	return command_ask(c, "clerk", c->argc, (const char *const *)c->argv,
	                   (struct bytes){ NULL, 0 });
}
