#include "command/doveadm-user.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "command/client.h"
#include "command/doveadm-names.h"
#include "directory/credential.h"
#include "role/wire.h"
#include <pwd.h>
#include <stdio.h>
#include <string.h>

enum { USER_AWAY = 75 };

static void
print_line(enum user_form form, struct bytes name, struct bytes value)
{
	if (form == USER_TABLE)
		(void)printf("%.*s\t%.*s\n", (int)name.len, name.at, (int)value.len, value.at);
	else
		(void)printf("  %-10.*s: %.*s\n", (int)name.len, name.at, (int)value.len, value.at);
}

/* The first ones in their order, then the others in theirs. */
static void
print_fields(enum user_form form, const char *who, struct bytes all)
{
	static const char *const firsts[] = { "uid", "gid", "home", "mail" };
	struct bytes             line, name, value;

	if (credential_field(all, "user", &value) &&
	    (form != USER_TABLE || !bytes_equal(value, bytes_of(who))))
		print_line(form, BYTES("user"), value);
	for (size_t i = 0; i < COUNT(firsts) && form != USER_PASSDB; i++)
		if (credential_field(all, firsts[i], &value))
			print_line(form, bytes_of(firsts[i]), value);
	while (form != USER_PASSDB && bytes_split(&all, '\n', &line)) {
		bool first = false;

		if (!bytes_split(&line, '=', &name) || bytes_is(name, "user"))
			continue;
		for (size_t i = 0; i < COUNT(firsts); i++)
			first = first || bytes_is(name, firsts[i]);
		if (!first)
			print_line(form, name, line);
	}
}

/* Where doveadm says that nobody has such a name: among the rows, unless one field was asked for. */
static int
print_unknown(enum user_form form, const char *field, const char *who, int status)
{
	const char *db = form == USER_PASSDB ? "passdb" : "userdb";

	if (status == COMMAND_WRONG || status == USER_AWAY) {
		(void)fprintf(stderr, "%s lookup: user %s cannot be looked up now\n", db, who);
		return USER_AWAY;
	}
	if (form == USER_TABLE && field == NULL)
		(void)putchar('\n');
	(void)fprintf(field == NULL ? stdout : stderr, "%s lookup: user %s doesn't exist\n", db,
	              who);
	return COMMAND_NO_USER;
}

/* Of an account that is an operating-system user's the clerk knows the number. */
static void
add_entry(struct buffer *said)
{
	struct bytes         uid, home;
	uint64_t             number;
	const struct passwd *user;

	if (credential_field(buffer_bytes(said), "home", &home) ||
	    !credential_field(buffer_bytes(said), "system_uid", &uid) ||
	    !bytes_number(uid, &number) || (user = getpwuid((uid_t)number)) == NULL)
		return;
	buffer_printf(said, "uid=%u\ngid=%u\nhome=%s\n", (unsigned)user->pw_uid,
	              (unsigned)user->pw_gid, user->pw_dir);
}

static int
print_one(struct call *c, enum user_form form, const char *field, const char *who)
{
	const char     *argv[] = { "auth", "user", who };
	struct word_ask ask = { argv, COUNT(argv), { NULL, 0 } };
	struct buffer   said = { 0 };
	struct bytes    value;
	int             status = command_hear(c, "clerk", &ask, &said);

	if (status == 0)
		add_entry(&said);
	if (status != 0)
		status = print_unknown(form, field, who, status);
	else if (field == NULL) {
		if (form != USER_TABLE)
			(void)printf("%s: %s\n", form == USER_PASSDB ? "passdb" : "userdb", who);
		print_fields(form, who, buffer_bytes(&said));
	} else if (credential_field(buffer_bytes(&said), field, &value))
		(void)printf("%.*s\n", (int)value.len, value.at);
	buffer_free(&said);
	return status;
}

int
user_print(struct call *c, enum user_form form, const char *field, int count, char **who)
{
	int status = 0, one;

	if (form == USER_TABLE && field == NULL && strpbrk(who[0], "*?") == NULL)
		(void)puts("field\tvalue");
	for (int i = 0; i < count; i++) {
		if (form != USER_TABLE && i > 0 && field == NULL)
			(void)putchar('\n');
		one = form != USER_PASSDB && strpbrk(who[i], "*?") != NULL
		              ? names_print(c, who[i])
		              : print_one(c, form, field, who[i]);
		status = one != 0 ? one : status;
	}
	return status;
}
