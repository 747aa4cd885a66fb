#include "directory/renaming.h"
#include "directory/credential.h"
#include <string.h>

static struct bytes
joined(struct bytes local, struct bytes domain, struct arena *a)
{
	return bytes_of(
		arena_printf(a, "%.*s@%.*s", (int)local.len, local.at, (int)domain.len, domain.at));
}

static struct bytes
by_user(struct bytes name, struct bytes value, struct arena *a)
{
	(void)name;
	(void)a;
	return value;
}

/* The domain there is stays. */
static struct bytes
by_username(struct bytes name, struct bytes value, struct arena *a)
{
	ptrdiff_t at = bytes_find(name, '@');

	if (at < 0 || value.len == 0 || bytes_find(value, '@') >= 0)
		return value;
	return joined(value, bytes_cut(name, (size_t)at + 1, SIZE_MAX), a);
}

static struct bytes
by_domain(struct bytes name, struct bytes value, struct arena *a)
{
	ptrdiff_t at = bytes_find(name, '@');

	return joined(at < 0 ? name : bytes_cut(name, 0, (size_t)at), value, a);
}

static const struct {
	const char *field;
	struct bytes (*make)(struct bytes name, struct bytes value, struct arena *);
} rows[] = {
	{ "user=", by_user },
	{ "username=", by_username },
	{ "domain=", by_domain },
};

/* The row of a line of fields; COUNT(rows): it says nothing of the name. */
static size_t
row_of(struct bytes line)
{
	size_t i = 0;

	while (i < COUNT(rows) && !bytes_starts(line, bytes_of(rows[i].field)))
		i++;
	return i;
}

struct bytes
renaming_fields(struct bytes fields, struct bytes name, struct arena *a)
{
	struct buffer rest = { 0 };
	struct bytes  all = fields, line;
	bool          renamed = false, said[COUNT(rows)] = { false };

	while (bytes_split(&all, '\n', &line)) {
		size_t i = row_of(line);

		if (i < COUNT(rows) && said[i])
			continue; /* an attribute with several values: the first is meant */
		if (i < COUNT(rows)) {
			said[i] = true;
			name = rows[i].make(name, bytes_cut(line, strlen(rows[i].field), SIZE_MAX),
			                    a);
			renamed = true;
		} else if (line.len > 0) {
			buffer_add(&rest, line);
			buffer_add_char(&rest, '\n');
		}
	}
	if (renamed) {
		credential_field_add(&rest, "user", name);
		fields = arena_keep(a, buffer_bytes(&rest));
	}
	/* There may be a password among them. */
	if (rest.len > 0)
		explicit_bzero(rest.at, rest.len);
	buffer_free(&rest);
	return fields;
}

struct bytes
renaming_user(struct bytes fields, struct bytes name)
{
	struct bytes user;

	return credential_field(fields, "user", &user) ? user : name;
}
