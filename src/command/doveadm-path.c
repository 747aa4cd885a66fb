#include "command/doveadm-path.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "command/client.h"
#include "role/wire.h"
#include "store/location.h"

/* What Dovecot keeps beside letters lies with them, but a second place for them: that there is none. */
static bool
type_known(const char *type)
{
	static const char *const known[] = { "dir", "mailbox", "control", "index",
		                             "index-private" };

	for (size_t i = 0; i < COUNT(known); i++)
		if (strcmp(type, known[i]) == 0)
			return true;
	return false;
}

/* Where its letters lie; or, behind " mail_location=" in what `account show` says, where they will: what is said of the
   account, of its domain, or for all. */
static bool
location_of(struct call *c, const struct person *who, const char *home, struct arena *arena,
            struct location *out)
{
	const char     *argv[] = { "account", "show", who->user };
	struct word_ask ask = { argv, COUNT(argv), { NULL, 0 } };
	struct buffer   said = { 0 }, whole = { 0 };
	struct bytes    rest, line;
	ptrdiff_t       at;
	bool            good = false;

	if (!client_place(c, who, &whole))
		buffer_reset(&whole);
	else if (whole.len > 0)
		good = true;
	else if (command_hear(c, "clerk", &ask, &said) == 0) {
		rest = buffer_bytes(&said);
		(void)bytes_split(&rest, '\n', &line);
		at = bytes_search(line, BYTES(" mail_location="));
		line = bytes_cut(line, at < 0 ? line.len : (size_t)at + 15, line.len);
		good = location_expand(arena_copy(arena, line), home, bytes_of(who->user), &whole);
	}
	buffer_add_char(&whole, '\0');
	good = good && location_read(whole.at, arena, out);
	buffer_free(&said);
	buffer_free(&whole);
	return good;
}

int
path_print(struct call *c, const char *who, bool many, const char *type, const char *mailbox,
           enum output_form form)
{
	static const struct output_column columns[] = { { "Username", "username", true, false },
		                                        { "path", "path", true, false } };
	struct common_settings            common;
	struct settings                  *s;
	struct people                     people;
	struct output                    *o;
	int                               status;

	if (type != NULL && strncmp(type, "alt-", 4) == 0)
		return COMMAND_DONE;
	if (type != NULL && !type_known(type))
		return PATH_WRONG_TYPE;
	if ((s = command_settings(c, &common)) == NULL)
		return COMMAND_FAILED;
	status = client_people(c, who, &people);
	o = output_open_as_doveadm(form, many ? columns : columns + 1, many ? 2 : 1);
	for (size_t i = 0; i < people.count; i++) {
		struct location l = { .kind = LOCATION_LOG };
		struct buffer   path = { 0 };

		if (!location_of(c, &people.one[i], common.mail_home, people.life, &l) ||
		    !location_folder(&l, mailbox, &path)) {
			(void)fprintf(
				stderr,
				"doveadm: the letters of %s lie in the log, or have no place of that name: "
				"no directory is this mailbox's alone; mansio message export gives them out\n",
				people.one[i].user);
			status = COMMAND_FAILED;
		} else {
			if (many)
				output_value(o, bytes_of(people.one[i].user));
			output_value(o, buffer_bytes(&path));
		}
		buffer_free(&path);
	}
	output_close(&o);
	people_close(&people);
	settings_close(&s);
	return status;
}
