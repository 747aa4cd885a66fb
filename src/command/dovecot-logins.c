#include "command/dovecot-logins.h"

#include <string.h>

#include "store/location.h"

void
logins_begin(struct logins *l, bool users)
{
	l->users = users;
	l->master = l->deny = false;
	l->driver = l->args = (struct bytes){ 0 };
}

/* "home=/var/vmail/%d/%n mail=maildir:~/mail uid=vmail": those that have a meaning here. */
static void
take_fields(struct logins *l, struct bytes rest)
{
	const struct {
		const char   *name;
		struct bytes *kept;
	} fields[] = { { "home=", &l->home },
		       { "mail=", &l->location },
		       { "uid=", &l->uid },
		       { "gid=", &l->gid } };
	struct bytes word;

	while (bytes_split(&rest, ' ', &word))
		for (size_t i = 0; i < COUNT(fields); i++)
			if (bytes_starts(word, bytes_of(fields[i].name)))
				*fields[i].kept = bytes_cut(word, strlen(fields[i].name), word.len);
}

void
logins_take(struct logins *l, struct bytes name, struct bytes value)
{
	if (bytes_is(name, "driver"))
		l->driver = value;
	else if (bytes_is(name, "args"))
		l->args = value;
	else if (bytes_is(name, "master"))
		l->master = bytes_is(value, "yes");
	else if (bytes_is(name, "deny"))
		l->deny = bytes_is(value, "yes");
	else if (l->users &&
	         (bytes_is(name, "default_fields") || bytes_is(name, "override_fields")))
		take_fields(l, value);
}

/* ---- passdb ---- */

/* "scheme=CRYPT username_format=%u /etc/dovecot/users": the last word; an option that would be lost in *option. */
static struct bytes
last_word(struct logins *l, struct bytes *option)
{
	struct bytes rest = l->args, word, last = BYTES("");

	*option = BYTES("");
	while (bytes_split(&rest, ' ', &word)) {
		if (word.len == 0)
			continue;
		if (bytes_find(word, '=') < 0 || word.at[0] == '/')
			last = word;
		else if (!bytes_is(word, "username_format=%u") && !bytes_is(word, "scheme=CRYPT"))
			*option = word;
	}
	return last;
}

static void
add_backend(struct logins *l, const char *kind, struct bytes path)
{
	buffer_printf(&l->backends, " %s:%.*s", kind, (int)path.len, path.at);
}

/* "/etc/dovecot/%d/passwd" is a file for each domain: here a back end for each.  NULL: it is one file. */
static const char *
several_files(struct logins *l, struct bytes path)
{
	if (bytes_find(path, '%') < 0)
		return NULL;
	if (l->master)
		return "masters stand in one file: auth_master_passwd_file";
	return arena_printf(
		l->arena,
		"a file for each domain: name every one of them in auth_backends, as "
		"example.com=passwd-file:%.*s with the domain where the percent sign is",
		(int)path.len, path.at);
}

/* A back end, or the file of masters.  What is to be said of it; NULL: nothing. */
static const char *
passdb_ends(struct logins *l)
{
	static const char *const files[] = { "passwd-file", "sql", "ldap" };
	struct bytes             option, path = last_word(l, &option);
	const char              *several;

	if (l->deny)
		return "users who are shut out: mansio account suspend ADDRESS";
	if (bytes_is(l->driver, "passwd-file") && (several = several_files(l, path)) != NULL)
		return several;
	if (l->master && bytes_is(l->driver, "passwd-file")) {
		l->masters = path;
		return NULL;
	}
	if (l->master)
		return "masters stand in a passwd-file: auth_master_passwd_file";
	for (size_t i = 0; i < COUNT(files); i++)
		if (bytes_is(l->driver, files[i])) {
			if (path.len == 0 || path.at[0] != '/')
				return "it names no file";
			add_backend(l, files[i], path);
			return option.len == 0
			               ? NULL
			               : arena_printf(
						 l->arena,
						 "of its args %.*s: hashes without a scheme are read as CRYPT, and names as "
						 "auth_username_format says",
						 (int)option.len, option.at);
		}
	if (!bytes_is(l->driver, "pam"))
		return "right would be passwd-file, sql, ldap or pam";
	add_backend(l, "pam", path.len == 0 || bytes_is(path, "*") ? BYTES("dovecot") : path);
	return NULL;
}

/* ---- userdb ---- */

/* What the same table says of users is asked with its passwords; where it says a home, mail_home must. */
static const char *
userdb_ends(struct logins *l)
{
	struct bytes option, path = last_word(l, &option);

	if (bytes_is(l->driver, "static"))
		take_fields(l, l->args);
	else if (bytes_is(l->driver, "passwd"))
		l->system = true;
	else if (!bytes_is(l->driver, "prefetch") &&
	         bytes_search(buffer_bytes(&l->backends), path) < 0)
		return "the users of a table are those of its passdb";
	return NULL;
}

const char *
logins_end(struct logins *l)
{
	return l->users ? userdb_ends(l) : passdb_ends(l);
}

/* ---- all of them ---- */

/* Without the L of %Ld: names of directories are small letters here. */
static const char *
small_letters(struct logins *l, struct bytes text)
{
	struct buffer out = { 0 };
	const char   *kept;

	for (size_t i = 0; i < text.len; i++) {
		buffer_add_char(&out, text.at[i]);
		i += text.at[i] == '%' && i + 1 < text.len && text.at[i + 1] == 'L';
	}
	kept = arena_copy(l->arena, buffer_bytes(&out));
	buffer_free(&out);
	return kept;
}

/* maildir:~/Maildir and mbox:~/mail:INBOX=/var/mail/%u of operating-system users.  False: it is another. */
static bool
say_system_place(const char *location, void (*put)(void *, const char *, struct bytes), void *ctx)
{
	struct bytes place = bytes_of(location), home = BYTES("maildir:~/"),
		     inbox = BYTES(":INBOX=/");
	ptrdiff_t at = bytes_search(place, inbox), slash;
	char      directory[512];

	if (bytes_starts(place, home) &&
	    bytes_find(bytes_cut(place, home.len, place.len), ':') < 0) {
		size_t n = place.len - home.len;
		if (n == 0 || n + 2 > sizeof directory)
			return false;
		memcpy(directory, place.at + home.len, n);
		if (directory[n - 1] != '/')
			directory[n++] = '/';
		put(ctx, "home_mailbox", (struct bytes){ directory, n });
		return true;
	}
	if (!bytes_starts(place, BYTES("mbox:")) || at < 0)
		return false;
	place = bytes_cut(place, (size_t)at + inbox.len - 1, place.len);
	if ((slash = bytes_find_last(place, '/')) <= 0)
		return false;
	put(ctx, "mail_spool_directory", bytes_cut(place, 0, (size_t)slash));
	return true;
}

void
logins_say(struct logins *l, void (*put)(void *, const char *, struct bytes),
           void (*remark)(void *, const char *), void *ctx)
{
	const char *home = small_letters(l, l->home), *place = small_letters(l, l->location),
		   *wrong;

	if (l->backends.len > 0)
		put(ctx, "auth_backends",
		    bytes_of(arena_printf(l->arena, "directory%.*s", (int)l->backends.len,
		                          l->backends.at)));
	if (l->masters.len > 0) {
		put(ctx, "auth_master_passwd_file", l->masters);
		put(ctx, "auth_master_user_separator",
		    l->separator.len > 0 ? l->separator : BYTES("*"));
	} else if (l->separator.len > 0)
		remark(ctx,
		       arena_printf(l->arena,
		                    "auth_master_user_separator = %.*s (no passdb has masters)",
		                    (int)l->separator.len, l->separator.at));
	if (*place == '\0' || (l->system && *home == '\0' && say_system_place(place, put, ctx))) {
		buffer_free(&l->backends);
		return;
	}
	if (*home == '/')
		put(ctx, "mail_home", bytes_of(home));
	if (l->uid.len > 0)
		put(ctx, "mail_uid", l->uid);
	if (l->gid.len > 0)
		put(ctx, "mail_gid", l->gid);
	if ((wrong = location_complain(place, home, l->arena)) == NULL)
		put(ctx, "mail_location", bytes_of(place));
	else
		remark(ctx, arena_printf(l->arena, "mail_location = %s (%s)", place, wrong));
	buffer_free(&l->backends);
}
