#include "directory/remote.h"
#include "directory/credential-remote.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "message/casefold.h"

/*
 * The file
 */

/* ldap:accounts: what stands in main.cf as accounts_server_host and so on (role/tables.h). */
static bool
is_in_main_cf(const char *path)
{
	return *path != '/';
}

static bool
read_cf(const char *path, const char *type, const struct table_source *source, struct buffer *out,
        struct buffer *errors)
{
	struct arena *scratch = arena_open(NULL);
	int           fd = source->open(source->ctx, is_in_main_cf(path)
	                                                     ? arena_printf(scratch, "%s:%s", type, path)
	                                                     : path);
	ssize_t       n = -1;

	arena_close(&scratch);
	if (fd < 0 && is_in_main_cf(path))
		buffer_printf(
			errors,
			"%s: write the absolute path of a file, as /etc/mansio/users.cf, or what "
			"such a file says as %s_... = ... in main.cf\n",
			path, path);
	else if (fd < 0)
		buffer_printf(errors, "%s: %s\n", path, strerror(errno));
	if (fd < 0)
		return false;
	for (off_t at = 0;
	     out->len < REMOTE_CF_MOST && (n = pread(fd, buffer_room(out, 4096), 4096, at)) > 0;
	     at += n)
		buffer_took(out, (size_t)n);
	if (n != 0)
		buffer_printf(errors, "%s: %s\n", path,
		              n > 0 ? "too long for a file of settings" : strerror(errno));
	(void)close(fd);
	return n == 0;
}

/* Here a dollar is a dollar, in passwords above all. */
static void
double_dollars(struct bytes text, struct buffer *out)
{
	struct bytes part;

	for (ptrdiff_t n; (n = bytes_find(text, '$')) >= 0;
	     text = bytes_cut(text, (size_t)n + 1, text.len)) {
		part = bytes_cut(text, 0, (size_t)n + 1);
		buffer_add(out, part);
		buffer_add_char(out, '$');
	}
	buffer_add(out, text);
}

static const char main_cf[] = "main.cf";

/* "main.cf:12: server_host ..." is of accounts_server_host. */
static struct bytes
put_prefix(struct bytes line, const char *name, struct buffer *out)
{
	ptrdiff_t n = bytes_search(line, BYTES(": "));

	if (n < 0 || !bytes_starts(line, bytes_of(main_cf)))
		return line;
	buffer_add(out, bytes_cut(line, 0, (size_t)n + 2));
	buffer_printf(out, "%s_", name);
	return bytes_cut(line, (size_t)n + 2, line.len);
}

/* What the reader says of main.cf, said of this file.  A line it does not understand may be a password. */
static void
retell(struct bytes said, const char *type, const char *file, struct buffer *out)
{
	struct bytes line;
	ptrdiff_t    n;

	while (bytes_split(&said, '\n', &line)) {
		if (line.len == 0)
			continue;
		if (is_in_main_cf(file))
			line = put_prefix(line, file, out);
		if (bytes_search(line, BYTES("has no \"=\"")) >= 0 &&
		    (n = bytes_find(line, '"')) > 0) {
			buffer_add(out, bytes_cut(line, 0, (size_t)n));
			buffer_add_string(out, "a line without \"=\"; write: name = value");
		} else if ((n = bytes_search(line, BYTES("main.cf(5)"))) >= 0) {
			buffer_add(out, bytes_cut(line, 0, (size_t)n));
			buffer_printf(out, "main.cf(5), FILES OF %s", type);
		} else {
			buffer_add(out, line);
		}
		buffer_add_char(out, '\n');
	}
}

struct settings *
remote_settings(struct bytes path, const struct setting_table *rows,
                const struct table_source *source, void *into, struct buffer *errors,
                struct buffer *warnings)
{
	struct settings *s = NULL;
	struct buffer    text = { 0 }, doubled = { 0 }, said = { 0 };
	char             file[4096];

	if (path.len == 0 || path.at[0] == '.' || !bytes_string(path, file, sizeof file) ||
	    (is_in_main_cf(file) && strchr(file, '/') != NULL)) {
		buffer_printf(errors,
		              "%.*s: write the absolute path of a file, as /etc/mansio/users.cf\n",
		              (int)path.len, path.at);
		return NULL;
	}
	if (read_cf(file, rows->about, source, &text, errors)) {
		double_dollars(buffer_bytes(&text), &doubled);
		s = settings_read(buffer_bytes(&doubled), is_in_main_cf(file) ? main_cf : file,
		                  &said, warnings);
	}
	if (text.len > 0)
		explicit_bzero(text.at, text.len);
	if (doubled.len > 0)
		explicit_bzero(doubled.at, doubled.len);
	buffer_free(&text);
	buffer_free(&doubled);
	if (s != NULL) {
		settings_tables(s, rows, 1);
		if (!settings_fill(s, rows, NULL, into, &said) || settings_unknown(s, &said))
			settings_close(&s);
	}
	retell(buffer_bytes(&said), rows->about, file, errors);
	buffer_free(&said);
	return s;
}

void
remote_complain(struct settings *s, const char *path, const char *name, struct buffer *errors,
                const char *form, ...)
{
	struct setting_entry e;
	int                  line = 0;
	va_list              list;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strcmp(e.name, name) == 0)
			line = e.line;
	if (is_in_main_cf(path) && line > 0)
		buffer_printf(errors, "%s:%d: %s_%s: ", main_cf, line, path, name);
	else if (is_in_main_cf(path))
		buffer_printf(errors, "%s: %s_%s: ", main_cf, path, name);
	else if (line > 0)
		buffer_printf(errors, "%s:%d: %s: ", path, line, name);
	else
		buffer_printf(errors, "%s: %s: ", path, name);
	va_start(list, form);
	buffer_vprintf(errors, form, list);
	va_end(list);
	buffer_add_char(errors, '\n');
}

bool
remote_is_set(struct settings *s, const char *name)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strcmp(e.name, name) == 0)
			return true;
	return false;
}

/*
 * What is asked and told
 */

bool
remote_rules(struct remote_rules *r, struct settings *s, const char *path,
             const struct remote_common *common, const char *question_name, const char *question,
             enum template_quotes quotes, struct arena *life, struct buffer *errors)
{
	const char *result =
		*common->result_filter != '\0' ? common->result_filter : common->result_format;
	struct buffer why = { 0 };
	const char   *wrong;
	bool          good = true;

	r->limit = common->expansion_limit;
	wrong = template_parse(&r->question, bytes_of(question), TEMPLATE_QUESTION, quotes, life);
	if (wrong != NULL) {
		remote_complain(s, path, question_name, errors, "%s", wrong);
		good = false;
	}
	wrong = template_parse(&r->result, bytes_of(result), TEMPLATE_RESULT, QUOTES_PLAIN, life);
	if (wrong != NULL) {
		remote_complain(s, path, "result_format", errors, "%s", wrong);
		good = false;
	}
	if (common->domain.count == 0)
		return good;
	r->domains = domains_open(&common->domain, life, &why);
	if (r->domains == NULL)
		remote_complain(s, path, "domain", errors, "%.*s",
		                (int)bytes_trim(buffer_bytes(&why)).len,
		                bytes_trim(buffer_bytes(&why)).at);
	buffer_free(&why);
	return good && r->domains != NULL;
}

void
remote_rules_end(struct remote_rules *r)
{
	domains_close(&r->domains);
}

/* mysql_table(5): with `domain`, only full addresses with a local part. */
bool
remote_asks(const struct remote_rules *r, struct bytes key)
{
	ptrdiff_t    at = bytes_find_last(key, '@');
	struct bytes domain = bytes_cut(key, (size_t)(at + 1), key.len);

	if (key.len == 0 || key.len > REMOTE_KEY_MOST || memchr(key.at, '\0', key.len) != NULL)
		return false;
	return r->domains == NULL || (at > 0 && domains_have(r->domains, domain));
}

struct bytes
remote_key(const struct remote_rules *r, struct bytes key, struct arena *life)
{
	return r->keep_case ? key : casefold(life, key);
}

bool
answers_add(struct answers *a, struct bytes value)
{
	size_t before = a->out.len;

	if (before > 0)
		buffer_add_char(&a->out, ',');
	if (value.len == 0 ||
	    !template_expand(&a->rules->result, value, &a->key, NULL, NULL, &a->out)) {
		a->out.len = before;
		return true;
	}
	a->over = (a->rules->limit > 0 && ++a->count > a->rules->limit) ||
	          a->out.len > REMOTE_VALUE_MOST;
	return !a->over;
}

bool
answers_add_column(struct answers *a, const char *name, struct bytes value)
{
	if (!a->rules->columns)
		return answers_add(a, value);
	credential_column(&a->out, bytes_of(name), value);
	a->over = a->out.len > (a->rules->iterates ? REMOTE_USERS_MOST : REMOTE_VALUE_MOST);
	return !a->over;
}

void
answers_row(struct answers *a)
{
	a->row = a->rules->columns;
}

void
answers_reset(struct answers *a)
{
	a->out.len = 0;
	a->count = 0;
	a->row = a->over = a->failed = false;
}

enum table_outcome
answers_end(struct answers *a, bool asked, const struct buffer *why, struct arena *life,
            struct bytes *value)
{
	enum table_outcome is = !asked || a->over || a->failed ? TABLE_LATER
	                        : a->out.len > 0 || a->row     ? TABLE_FOUND
	                                                       : TABLE_NONE;

	*value = (struct bytes){ NULL, 0 };
	if (is == TABLE_FOUND)
		*value = arena_keep(life, buffer_bytes(&a->out));
	else if (asked && a->over)
		*value = bytes_of("there are more values than expansion_limit allows, or more "
		                  "than 1 MiB of them");
	else if (is == TABLE_LATER)
		*value = arena_keep(life, bytes_trim(buffer_bytes(why)));
	buffer_free(&a->out);
	return is;
}

bool
remote_is_utf8(struct bytes b)
{
	uint32_t rune;

	for (size_t n; b.len > 0; b = bytes_cut(b, n, b.len))
		if ((n = bytes_utf8(b, &rune)) == 0)
			return false;
	return true;
}

/*
 * Where it leads
 */

struct bytes
path_above(struct bytes path)
{
	ptrdiff_t slash = bytes_find_last(path, '/');

	return bytes_cut(path, 0, slash > 0 ? (size_t)slash : 0);
}

void
reach_path(struct reach *r, struct bytes path)
{
	struct bytes rest = buffer_bytes(&r->paths), one;

	if (path.len < 2 || path.at[0] != '/')
		return;
	while (bytes_split(&rest, '\0', &one))
		if (bytes_equal(one, path))
			return;
	buffer_add(&r->paths, path);
	buffer_add_char(&r->paths, '\0');
}

void
reach_port(struct reach *r, uint64_t port)
{
	if (port == 0 || port > UINT16_MAX)
		return;
	for (size_t i = 0; i < r->ports; i++)
		if (r->port[i] == port)
			return;
	if (r->ports == COUNT(r->port))
		r->any_port = true;
	else
		r->port[r->ports++] = (uint16_t)port;
}

void
reach_free(struct reach *r)
{
	buffer_free(&r->paths);
	*r = (struct reach){ .ports = 0 };
}
