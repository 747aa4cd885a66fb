#include "command/doveadm-password.h"

#include <crypt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/random.h"
#include "command/command.h"
#include "command/prompt.h"
#include "directory/password.h"

enum { SALT_BYTES = 16 };

/* clang-format off */
/* With a prefix it is one of crypt(5). */
static const struct scheme {
	const char   *name, *prefix;
	unsigned long rounds, least, most;     /* 0: what libcrypt thinks right */
} schemes[] = {
	{ "CRYPT",         "$2y$", 5, 4, 17 },
	{ "BLF-CRYPT",     "$2y$", 5, 4, 17 },
	{ "SHA512-CRYPT",  "$6$",  0, 1000, 999999999 },
	{ "SHA256-CRYPT",  "$5$",  0, 1000, 999999999 },
	{ "ARGON2ID",      NULL,   0, 0, 0 },
	{ "SCRAM-SHA-256", NULL,   0, 4096, 999999 },
	{ "PLAIN",         NULL,   0, 0, 0 },
};
/* clang-format on */

static bool
make_crypt(const struct scheme *s, unsigned long rounds, const char *password, struct buffer *out)
{
	struct crypt_data data = { 0 };
	char              salt[SALT_BYTES], setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char       *made = NULL;

	random_fill(salt, sizeof salt);
	if (crypt_gensalt_rn(s->prefix, rounds, salt, sizeof salt, setting, sizeof setting) != NULL)
		made = crypt_rn(password, setting, &data, sizeof data);
	if (made != NULL)
		buffer_add_string(out, made);
	explicit_bzero(&data, sizeof data);
	return made != NULL;
}

static bool
make(const struct scheme *s, unsigned long rounds, struct bytes password, struct buffer *out)
{
	struct password_record record;
	char                   word[PASSWORD_MOST + 1], salt[SALT_BYTES];
	bool                   good = true;

	if (password.len == 0 || !bytes_string(password, word, sizeof word))
		return false;
	if (s->prefix != NULL)
		good = make_crypt(s, rounds, word, out);
	else if (strcmp(s->name, "PLAIN") == 0)
		buffer_add(out, password);
	else if (strcmp(s->name, "ARGON2ID") == 0) {
		good = password_make(password, &record);
		buffer_add_string(out, record.hash);
	} else {
		random_fill(salt, sizeof salt);
		scram_make(word, (struct bytes){ salt, sizeof salt },
		           rounds > 0 ? (uint32_t)rounds : SCRAM_ITERATIONS, &record);
		buffer_printf(out, "%u,%s,%s,%s", record.scram_iterations, record.scram_salt,
		              record.scram_stored, record.scram_server);
	}
	explicit_bzero(word, sizeof word);
	return good;
}

/* "4096,salt,StoredKey,ServerKey", all but the first in base64 */
static bool
fits_scram(struct bytes rest, const char *plain)
{
	struct password_record record;
	struct bytes           word[4];
	struct buffer          salt = { 0 };
	uint64_t               rounds;
	bool                   good = true;

	for (size_t i = 0; i < COUNT(word); i++)
		if (!bytes_split(&rest, ',', &word[i]))
			return false;
	good = bytes_number(word[0], &rounds) && rounds > 0 && rounds < 10000000 &&
	       base64_decode(&salt, word[1]);
	if (good)
		scram_make(plain, buffer_bytes(&salt), (uint32_t)rounds, &record);
	good = good && bytes_equal_secret(bytes_of(record.scram_stored), word[2]) &&
	       bytes_equal_secret(bytes_of(record.scram_server), word[3]);
	buffer_free(&salt);
	return good;
}

/* "{SCHEME}hash"; a hash of crypt(5) or argon2 may come without its scheme. */
static bool
fits(const char *test, struct bytes password)
{
	struct bytes rest = bytes_of(test), scheme = { NULL, 0 };
	ptrdiff_t    end;
	char         plain[PASSWORD_MOST + 1];
	bool         good;

	if (!bytes_string(password, plain, sizeof plain))
		return false;
	if (bytes_starts(rest, BYTES("{")) && (end = bytes_find(rest, '}')) > 0) {
		scheme = bytes_cut(rest, 1, (size_t)end - 1);
		rest = bytes_cut(rest, (size_t)end + 1, SIZE_MAX);
	}
	if (bytes_is(scheme, "PLAIN"))
		good = bytes_equal_secret(rest, password);
	else if (bytes_is(scheme, "SCRAM-SHA-256"))
		good = fits_scram(rest, plain);
	else
		good = rest.len > 0 && password_check(rest.at, password);
	explicit_bzero(plain, sizeof plain);
	return good;
}

static const struct scheme *
scheme_of(const char *name)
{
	for (size_t i = 0; i < COUNT(schemes); i++)
		if (bytes_is(bytes_of(name), schemes[i].name))
			return &schemes[i];
	(void)fprintf(stderr, "doveadm: %s is not a scheme here; -l lists those that are\n", name);
	return NULL;
}

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

static bool
rounds_of(const struct scheme *s, const char *text, unsigned long *out)
{
	uint64_t n;

	*out = s->rounds;
	if (text == NULL)
		return true;
	if (!bytes_number(bytes_of(text), &n) || s->most == 0 || n < s->least || n > s->most) {
		(void)fprintf(stderr, "doveadm: %s rounds are not for %s\n", text, s->name);
		return false;
	}
	*out = (unsigned long)n;
	return true;
}

static int
print_hash(const struct password_work *w, const struct scheme *s, unsigned long rounds,
           struct bytes password)
{
	struct buffer hash = { 0 };
	bool          good = make(s, rounds, password, &hash);

	if (!good)
		(void)fprintf(stderr, "doveadm: this password cannot be used with %s\n", s->name);
	else
		(void)printf("{%s}%.*s%s\n", s->name, (int)hash.len, hash.at,
		             w->verify ? " (verified)" : "");
	prompt_forget(&hash);
	return good ? COMMAND_DONE : COMMAND_FAILED;
}

int
password_print(const struct password_work *w)
{
	struct buffer        password = { 0 };
	const struct scheme *s = scheme_of(w->scheme != NULL ? w->scheme : "CRYPT");
	unsigned long        rounds;
	int                  status = COMMAND_FAILED;

	for (size_t i = 0; w->list && i < COUNT(schemes); i++)
		(void)printf("%s%s", schemes[i].name, i + 1 < COUNT(schemes) ? " " : "\n");
	if (w->list)
		return COMMAND_DONE;
	if (s == NULL || !rounds_of(s, w->rounds, &rounds) || !ask(w, &password))
		return COMMAND_FAILED;
	if (w->test == NULL)
		status = print_hash(w, s, rounds, buffer_bytes(&password));
	else if (fits(w->test, buffer_bytes(&password))) {
		(void)printf("%s (verified)\n", w->test);
		status = COMMAND_DONE;
	} else
		(void)fputs("doveadm: the password does not fit the hash\n", stderr);
	prompt_forget(&password);
	return status;
}
