#include "command/doveadm-password.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command/command.h"
#include "command/prompt.h"
#include "directory/scheme.h"

static bool
ask(const struct password_work *w, struct buffer *password)
{
	if (w->plain != NULL)
		buffer_add_string(password, w->plain);
	else if (!isatty(STDIN_FILENO))
		return prompt_password("-", "Password", password);
	else
		return w->test != NULL ? prompt_password(NULL, "Password", password)
		                       : prompt_secret("Password", password);
	return true;
}

/* Whether there is such a scheme, and how many rounds are meant; 0: as many as are right. */
static bool
rounds_of(const struct password_work *w, unsigned long *out)
{
	const char   *wanted = w->scheme != NULL ? w->scheme : "CRYPT", *name;
	unsigned long least, most;
	uint64_t      n;

	*out = 0;
	for (size_t i = 0; (name = scheme_name(i, &least, &most)) != NULL; i++) {
		if (!bytes_starts_nocase(bytes_of(wanted), bytes_of(name)) ||
		    (wanted[strlen(name)] != '\0' && wanted[strlen(name)] != '.'))
			continue;
		if (w->rounds == NULL)
			return true;
		if (bytes_number(bytes_of(w->rounds), &n) && most > 0 && n >= least && n <= most) {
			*out = (unsigned long)n;
			return true;
		}
		(void)fprintf(stderr, "doveadm: %s rounds are not for %s\n", w->rounds, name);
		return false;
	}
	(void)fprintf(stderr, "doveadm: %s is not a scheme here; -l lists those that are\n",
	              wanted);
	return false;
}

/* A hash that has the name in it, of nobody, would let nobody in. */
static bool
user_missing(const struct password_work *w)
{
	if (w->user != NULL || w->scheme == NULL ||
	    !bytes_starts_nocase(bytes_of(w->scheme), BYTES("DIGEST-MD5")))
		return false;
	(void)fputs("doveadm: DIGEST-MD5 is made of the name, too: say it with -u USER\n", stderr);
	return true;
}

static int
print_hash(const struct password_work *w, unsigned long rounds, struct bytes password)
{
	const char   *name = w->scheme != NULL ? w->scheme : "CRYPT", *why;
	struct buffer hash = { 0 };
	struct bytes  user = bytes_of(w->user);
	bool          good = scheme_make(bytes_of(name), rounds, user, password, &hash) &&
	            (!w->verify ||
	             scheme_check(buffer_bytes(&hash), "", user, password, &why) == SCHEME_RIGHT);

	if (!good)
		(void)fprintf(stderr, "doveadm: this password cannot be used with %s\n", name);
	else
		(void)printf("%.*s%s\n", (int)hash.len, hash.at, w->verify ? " (verified)" : "");
	prompt_forget(&hash);
	return good ? COMMAND_DONE : COMMAND_FAILED;
}

static int
print_test(const struct password_work *w, struct bytes password)
{
	const char *why = "";

	switch (scheme_check(bytes_of(w->test), "CRYPT", bytes_of(w->user), password, &why)) {
	case SCHEME_RIGHT: (void)printf("%s (verified)\n", w->test); return COMMAND_DONE;
	case SCHEME_WRONG:
		(void)fputs("doveadm: the password does not fit the hash\n", stderr);
		break;
	case SCHEME_BROKEN:
		(void)fprintf(stderr, "doveadm: the password does not fit the hash: %s\n", why);
		break;
	}
	return COMMAND_FAILED;
}

int
password_print(const struct password_work *w)
{
	struct buffer password = { 0 };
	const char   *name;
	unsigned long rounds, least, most;
	int           status;

	for (size_t i = 0; w->list && (name = scheme_name(i, &least, &most)) != NULL; i++)
		(void)printf("%s%s", i > 0 ? " " : "", name);
	if (w->list) {
		(void)fputc('\n', stdout);
		return COMMAND_DONE;
	}
	if (!rounds_of(w, &rounds) || user_missing(w) || !ask(w, &password))
		return COMMAND_FAILED;
	status = w->test == NULL ? print_hash(w, rounds, buffer_bytes(&password))
	                         : print_test(w, buffer_bytes(&password));
	prompt_forget(&password);
	return status;
}
