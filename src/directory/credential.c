#include "directory/credential.h"
#include <string.h>

const char *const credential_kind_names[CREDENTIAL_KINDS] = {
	[CREDENTIAL_DIRECTORY] = "directory",
	[CREDENTIAL_PASSWD_FILE] = "passwd-file",
	[CREDENTIAL_PAM] = "pam",
	[CREDENTIAL_SQL] = "sql",
	[CREDENTIAL_LDAP] = "ldap",
	[CREDENTIAL_SASLAUTHD] = "saslauthd",
	[CREDENTIAL_DOVECOT] = "dovecot",
};

bool
credential_is_source(struct bytes source)
{
	for (size_t i = CREDENTIAL_DIRECTORY + 1; i < CREDENTIAL_KINDS; i++)
		if (bytes_is(source, credential_kind_names[i]))
			return true;
	return false;
}

static bool
service_valid(const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		      (*c >= '0' && *c <= '9') || *c == '-' || *c == '_'))
			return false;
	return *name != '\0';
}

const char *
credential_backend_parse(const char *word, struct credential_backend *out)
{
	const char  *colon = strchr(word, ':'), *all = word, *is = strchr(word, '=');
	struct bytes domain = { NULL, 0 };
	size_t       n, kind = 0;

	if (is != NULL && (colon == NULL || is < colon)) {
		domain = (struct bytes){ word, (size_t)(is - word) };
		word = is + 1;
		if (domain.len == 0)
			return "write a domain before the equals sign";
	}
	n = colon != NULL ? (size_t)(colon - word) : strlen(word);

	while (kind < CREDENTIAL_KINDS &&
	       !bytes_equal((struct bytes){ word, n }, bytes_of(credential_kind_names[kind])))
		kind++;
	if (kind == CREDENTIAL_KINDS)
		return "write directory, passwd-file:/path, pam, pam:SERVICE, sql:/path.cf, "
		       "ldap:/path.cf, saslauthd:/path/mux or dovecot:/path/auth-client";
	*out = (struct credential_backend){ (enum credential_kind)kind, all,
		                            colon != NULL ? colon + 1 : "", domain };
	if (kind == CREDENTIAL_DIRECTORY)
		return colon == NULL ? NULL : "write directory alone";
	if (kind == CREDENTIAL_PAM) {
		if (colon == NULL)
			out->argument = "mansio";
		return service_valid(out->argument)
		               ? NULL
		               : "write the name of a file in /etc/pam.d behind pam:";
	}
	return out->argument[0] == '/' ? NULL : "write an absolute path behind the colon";
}

bool
credential_names_service(const struct setting_list *backends, const char *service)
{
	struct credential_backend b;

	for (size_t i = 0; i < backends->count; i++)
		if (credential_backend_parse(backends->item[i], &b) == NULL &&
		    b.kind == CREDENTIAL_PAM && strcmp(b.argument, service) == 0)
			return true;
	return false;
}

bool
credential_backend_asks(const struct credential_backend *b, struct bytes user, const char *origin)
{
	ptrdiff_t at = bytes_find_last(user, '@');

	return b->domain.len == 0 ||
	       bytes_equal_nocase(b->domain, at < 0 ? bytes_of(origin)
	                                            : bytes_cut(user, (size_t)at + 1, SIZE_MAX));
}

bool
credential_field(struct bytes fields, const char *name, struct bytes *value)
{
	struct bytes line;
	size_t       n = strlen(name);

	*value = (struct bytes){ NULL, 0 };
	while (bytes_split(&fields, '\n', &line))
		if (line.len > n && line.at[n] == '=' && bytes_starts(line, bytes_of(name))) {
			*value = bytes_cut(line, n + 1, SIZE_MAX);
			return true;
		}
	return false;
}

void
credential_field_add(struct buffer *fields, const char *name, struct bytes value)
{
	if (bytes_find(value, '\n') >= 0 || bytes_find(value, '\0') >= 0)
		return;
	buffer_add_string(fields, name);
	buffer_add_char(fields, '=');
	buffer_add(fields, value);
	buffer_add_char(fields, '\n');
}

/* ---- names ---- */

/* What stands behind a percent sign: perhaps L or U, then u, n or d.  0: none of them. */
static size_t
expansion(const char *at, char *change, char *what)
{
	size_t n = 1;

	*change = '\0';
	if (at[n] == 'L' || at[n] == 'U')
		*change = at[n++];
	*what = at[n];
	return *what == 'u' || *what == 'n' || *what == 'd' ? n + 1 : 0;
}

const char *
credential_format_wrong(const char *format)
{
	char change, what;
	bool any = *format == '\0';

	for (const char *c = format; *c != '\0'; c++) {
		if (*c != '%')
			continue;
		if (expansion(c, &change, &what) == 0)
			return "there are %u the name, %n what stands before its @, %d the domain, and %Lu, %Uu "
			       "and the like for lower and upper case";
		any = true;
	}
	return any ? NULL : "the name itself must be in it: %u, or %n";
}

static struct bytes
part_of(struct bytes user, char what)
{
	ptrdiff_t at = bytes_find_last(user, '@');

	if (what == 'u' || (what == 'n' && at < 0))
		return user;
	if (what == 'n')
		return bytes_cut(user, 0, (size_t)at);
	return at < 0 ? BYTES("") : bytes_cut(user, (size_t)at + 1, SIZE_MAX);
}

static struct bytes
formatted(const char *format, struct bytes user, struct arena *a)
{
	struct buffer out = { 0 };
	struct bytes  all;
	char          change, what;

	for (const char *c = format; *c != '\0'; c++) {
		size_t       n = *c == '%' ? expansion(c, &change, &what) : 0;
		struct bytes part;
		if (n == 0) {
			buffer_add_char(&out, *c);
			continue;
		}
		part = part_of(user, what);
		for (size_t i = 0; i < part.len; i++)
			buffer_add_char(&out, change == 'L'   ? ascii_lower(part.at[i])
			                      : change == 'U' ? ascii_upper(part.at[i])
			                                      : part.at[i]);
		c += n - 1;
	}
	/* "%u@%d" of a name without a domain */
	if (out.len > 1 && out.at[out.len - 1] == '@')
		out.len--;
	all = arena_keep(a, buffer_bytes(&out));
	buffer_free(&out);
	return all;
}

/* Pairs: the first becomes the second, as in Dovecot's setting of that name. */
static char
translated(const char *pairs, char c)
{
	for (; pairs[0] != '\0' && pairs[1] != '\0'; pairs += 2)
		if (pairs[0] == c)
			return pairs[1];
	return c;
}

bool
credential_name(const struct credential_names *names, struct bytes user, struct arena *a,
                struct bytes *out)
{
	struct buffer b = { 0 };
	struct bytes  name;

	for (size_t i = 0; i < user.len; i++) {
		char c = translated(names->translation, user.at[i]);
		if ((unsigned char)c < ' ' || c == 0x7f ||
		    (*names->chars != '\0' && strchr(names->chars, c) == NULL)) {
			buffer_free(&b);
			return false;
		}
		buffer_add_char(&b, c);
	}
	if (*names->realm != '\0' && user.len > 0 && bytes_find(buffer_bytes(&b), '@') < 0)
		buffer_printf(&b, "@%s", names->realm);
	name = buffer_bytes(&b);
	*out = *names->format == '\0' ? arena_keep(a, name) : formatted(names->format, name, a);
	buffer_free(&b);
	return true;
}
