#include "store/location.h"

#include <string.h>

static const struct {
	const char        *name;
	enum location_kind kind;
} kinds[] = {
	{ "maildir:", LOCATION_MAILDIR },
	{ "mbox:", LOCATION_MBOX },
};

/* ---- one user's ---- */

/* A half of an address as a part of a path. */
static bool
is_safe(struct bytes part)
{
	if (part.len == 0 || part.len > 200 || part.at[0] == '.')
		return false;
	for (size_t i = 0; i < part.len; i++)
		if (part.at[i] == '/' || part.at[i] == ':' || (unsigned char)part.at[i] < 0x20)
			return false;
	return true;
}

static bool
add_lower(struct buffer *out, struct bytes part)
{
	for (size_t i = 0; i < part.len; i++)
		buffer_add_char(out, ascii_lower(part.at[i]));
	return is_safe(part);
}

/* `home` NULL: none may be asked for (we are in it already). */
static bool
expand(const char *text, const char *home, struct bytes user, struct buffer *out)
{
	ptrdiff_t    at = bytes_find_last(user, '@');
	struct bytes name = at < 0 ? user : bytes_cut(user, 0, (size_t)at);
	struct bytes domain =
		at < 0 ? (struct bytes){ NULL, 0 } : bytes_cut(user, (size_t)at + 1, user.len);

	for (const char *p = text; *p != '\0'; p++) {
		bool at_path = p == text || p[-1] == ':' || p[-1] == '=';
		if (*p == '~' && at_path && home != NULL) {
			if (!expand(home, NULL, user, out))
				return false;
		} else if (*p != '%') {
			buffer_add_char(out, *p);
		} else {
			bool good = true;
			switch (*++p) {
			case '%': buffer_add_char(out, '%'); break;
			case 'u': good = add_lower(out, user); break;
			case 'n': good = add_lower(out, name); break;
			case 'd': good = add_lower(out, domain); break;
			case 'h': good = home != NULL && expand(home, NULL, user, out); break;
			default: return false;
			}
			if (!good)
				return false;
		}
	}
	return true;
}

bool
location_expand(const char *text, const char *home, struct bytes user, struct buffer *out)
{
	return expand(text, home, user, out);
}

/* ---- taking apart ---- */

/* No path leads back or is empty. */
static bool
is_path(struct bytes path)
{
	struct bytes rest = path, part;

	if (path.len < 2 || path.len > 1000 || path.at[0] != '/')
		return false;
	while (bytes_split(&rest, '/', &part))
		if (bytes_is(part, ".") || bytes_is(part, ".."))
			return false;
	return bytes_find(path, '\0') < 0;
}

/* What stands behind the directory, as Dovecot has it. */
static bool
read_option(struct bytes part, struct arena *arena, struct location *out)
{
	bool mbox = out->kind == LOCATION_MBOX;

	if (bytes_starts(part, BYTES("INDEX=")))
		return true;
	if (bytes_is(part, "LAYOUT=maildir++"))
		return !mbox;
	if (bytes_is(part, "LAYOUT=fs")) {
		out->kind = mbox ? LOCATION_MBOX : LOCATION_MAILDIR_FS;
		return true;
	}
	if (!mbox || !bytes_starts(part, BYTES("INBOX=")))
		return false;
	part = bytes_cut(part, 6, part.len);
	if (!is_path(part))
		return false;
	out->inbox = arena_copy(arena, part);
	return true;
}

bool
location_read(const char *text, struct arena *arena, struct location *out)
{
	struct bytes rest = bytes_of(text), part;

	*out = (struct location){ LOCATION_LOG, NULL, NULL };
	if (rest.len == 0)
		return true;
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (bytes_starts(rest, bytes_of(kinds[i].name)))
			out->kind = kinds[i].kind;
	if (out->kind == LOCATION_LOG)
		return false;
	(void)bytes_split(&rest, ':', &part);
	if (!bytes_split(&rest, ':', &part) || !is_path(part))
		return false;
	while (part.len > 1 && part.at[part.len - 1] == '/')
		part.len--;
	out->root = arena_copy(arena, part);
	while (bytes_split(&rest, ':', &part))
		if (!read_option(part, arena, out))
			return false;
	return true;
}

/* ---- as an administrator wrote it ---- */

static bool
has_home(const char *text)
{
	return strchr(text, '~') != NULL || strstr(text, "%h") != NULL;
}

static const char *
wrong_percent(const char *text, struct arena *arena)
{
	for (const char *p = strchr(text, '%'); p != NULL; p = strchr(p + 2, '%'))
		if (p[1] == '\0' || strchr("%undh", p[1]) == NULL)
			return arena_printf(
				arena,
				"\"%%%.1s\" is not known; %%u is the address, %%n what stands "
				"before the @, %%d the domain, %%h the home (mail_home)",
				p + 1);
	return NULL;
}

static bool
has_layout(const char *text)
{
	size_t n = strcspn(text, ":");

	return bytes_is((struct bytes){ text, n }, "fs") ||
	       bytes_is((struct bytes){ text, n }, "maildir++");
}

const char *
location_complain(const char *text, const char *home, struct arena *arena)
{
	struct buffer   whole = { 0 };
	struct location l;
	const char     *wrong = NULL, *layout;

	if (*text == '\0')
		return NULL;
	if ((wrong = wrong_percent(text, arena)) != NULL ||
	    (wrong = wrong_percent(home, arena)) != NULL)
		return wrong;
	if (has_home(text) && *home != '/')
		return "~ and %h are the user's home: set mail_home, as mail_home = /var/vmail/%d/%n";
	if (strstr(home, "%h") != NULL)
		return "mail_home cannot be said with %h";
	if (strstr(text, "CONTROL=") != NULL)
		return "CONTROL= has no meaning here: dovecot-uidlist, dovecot-keywords and subscriptions are "
		       "read once where the letters lie; move them there, and leave it out";
	if (strncmp(text, "maildir:", 8) == 0 && strstr(text, ":INBOX=") != NULL)
		return "INBOX= is for mbox; the INBOX of a Maildir is its directory itself";
	if ((layout = strstr(text, ":LAYOUT=")) != NULL && !has_layout(layout + 8))
		return "of the layouts LAYOUT=maildir++ and LAYOUT=fs are known";
	if (!expand(text, home, BYTES("user@example.org"), &whole))
		wrong = "it cannot be made out";
	buffer_add_char(&whole, '\0');
	if (wrong == NULL && !location_read(whole.at, arena, &l))
		wrong = "this is not a place for mail; right would be maildir:/var/vmail/%d/%n, "
			"mbox:~/mail:INBOX=/var/mail/%n, or nothing for the letter log";
	buffer_free(&whole);
	return wrong;
}

bool
location_prefix(const char *text, const char *home, unsigned which, struct buffer *out)
{
	struct bytes  rest = bytes_of(text), part;
	struct buffer path = { 0 };
	ptrdiff_t     cut;

	(void)bytes_split(&rest, ':', &part);
	for (unsigned i = 0; i <= which; i++)
		do
			if (!bytes_split(&rest, ':', &part))
				return false;
		while (i > 0 && !bytes_starts(part, BYTES("INBOX=")));
	if (bytes_starts(part, BYTES("INBOX=")))
		part = bytes_cut(part, 6, part.len);
	if (bytes_starts(part, BYTES("~")) || bytes_starts(part, BYTES("%h"))) {
		buffer_add_string(&path, home);
		part = bytes_cut(part, part.at[0] == '~' ? 1 : 2, part.len);
	}
	buffer_add(&path, part);
	part = buffer_bytes(&path);
	if ((cut = bytes_find(part, '%')) >= 0 || which > 0) {
		/* The directory the varying name stands in; of a single file too. */
		part = bytes_cut(part, 0, cut >= 0 ? (size_t)cut : part.len);
		part = bytes_cut(part, 0, (size_t)(bytes_find_last(part, '/') + 1));
	}
	while (part.len > 1 && part.at[part.len - 1] == '/')
		part.len--;
	buffer_add(out, part);
	buffer_free(&path);
	return true;
}

bool
path_is_within(struct bytes path, struct bytes directory)
{
	while (directory.len > 1 && directory.at[directory.len - 1] == '/')
		directory.len--;
	return bytes_starts(path, directory) &&
	       (path.len == directory.len || path.at[directory.len] == '/');
}
