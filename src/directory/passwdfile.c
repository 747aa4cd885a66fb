#include "directory/passwdfile.h"
#include "base/map.h"
#include "directory/credential.h"
#include "directory/renaming.h"
#include "directory/scheme.h"
#include "message/casefold.h"
#include <string.h>

enum { LINE_MOST = 64 << 10, TEXT_MOST = 256 << 20, COMPLAINTS_MOST = 20 };

struct passwdfile {
	struct map *users; /* name -> where its line begins      */
	char       *text;
	size_t      len;
};
struct reading {
	struct passwdfile *p;
	const char        *file;
	struct buffer     *errors, *warnings;
	int                line, complaints, told;
	struct arena      *scratch;
};

static void
complain(struct reading *r, const char *what)
{
	if (++r->complaints <= COMPLAINTS_MOST)
		buffer_printf(r->errors, "%s:%d: %s\n", r->file, r->line, what);
}

/* That user cannot log in, the others can; only what names its scheme is looked at, for "*" and "x" are meant so. */
static void
warn_of_hash(struct reading *r, struct bytes name, struct bytes rest)
{
	struct bytes hash;
	const char  *wrong;

	if (bytes_split(&rest, ':', &hash) && bytes_starts(hash, BYTES("{")) &&
	    (wrong = scheme_wrong(hash, "CRYPT")) != NULL && ++r->told <= COMPLAINTS_MOST)
		buffer_printf(r->warnings, "%s:%d: %.*s cannot log in: %s\n", r->file, r->line,
		              (int)name.len, name.at, wrong);
}

/* As Dovecot: nopassword stands where there is no hash, else its user is refused. */
static void
warn_of_both(struct reading *r, struct bytes name, struct bytes rest)
{
	struct bytes hash, word;
	int          fields = 1;

	if (!bytes_split(&rest, ':', &hash) || hash.len == 0)
		return;
	while (fields < 6 && bytes_split(&rest, ':', &word))
		fields++;
	while (bytes_split(&rest, ' ', &word))
		if ((bytes_is(word, "nopassword") || bytes_starts(word, BYTES("nopassword="))) &&
		    ++r->told <= COMPLAINTS_MOST)
			buffer_printf(
				r->warnings,
				"%s:%d: %.*s has a password and nopassword: the password holds; right would be nothing between the first two colons, or no nopassword\n",
				r->file, r->line, (int)name.len, name.at);
}

static void
read_line(struct reading *r, struct bytes line)
{
	struct bytes rest = line, name;

	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	if (bytes_trim(line).len == 0 || line.at[0] == '#')
		return;
	if (line.len > LINE_MOST)
		complain(
			r,
			"a line this long is no user; write one line of user:hash:uid:gid:gecos:home:shell:fields for each");
	else if (bytes_find(line, '\0') >= 0)
		complain(r, "there is a NUL in this line");
	else if (bytes_find(line, ':') <= 0)
		complain(r, "write user:{SCHEME}hash, and what else is known behind more colons");
	else if (bytes_split(&rest, ':', &name) &&
	         map_get(r->p->users, casefold(r->scratch, name)) != NULL)
		buffer_printf(r->warnings,
		              "%s:%d: %.*s stands above already; the first line holds\n", r->file,
		              r->line, (int)name.len, name.at);
	else {
		warn_of_hash(r, name, rest);
		warn_of_both(r, name, rest);
		(void)map_put(r->p->users, casefold(r->scratch, name),
		              r->p->text + (line.at - r->p->text));
	}
}

struct passwdfile *
passwdfile_open(struct bytes text, const char *file, struct buffer *errors, struct buffer *warnings)
{
	struct passwdfile *p;
	struct reading     r = { .file = file, .errors = errors, .warnings = warnings };
	struct bytes       rest, line;

	if (text.len > TEXT_MOST) {
		buffer_printf(errors, "%s: too long for a passwd-file\n", file);
		return NULL;
	}
	p = r.p = memory_take(sizeof *p);
	p->users = map_open();
	p->len = text.len;
	p->text = memory_take(text.len + 1);
	if (text.len > 0)
		memcpy(p->text, text.at, text.len);
	r.scratch = arena_open(NULL);
	for (rest = (struct bytes){ p->text, p->len }; bytes_split(&rest, '\n', &line);) {
		r.line++;
		read_line(&r, line);
	}
	arena_close(&r.scratch);
	if (r.complaints > 0)
		passwdfile_close(&p);
	return p;
}

void
passwdfile_close(struct passwdfile **pp)
{
	struct passwdfile *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	map_close(&p->users);
	explicit_bzero(p->text, p->len);
	memory_free(p->text);
	memory_free(p);
}

size_t
passwdfile_count(const struct passwdfile *p)
{
	return map_count(p->users);
}

/* "userdb_quota_rule=*:storage=1G nopassword", parted by blanks, and what may stand behind the last colon */
static void
add_extra(struct bytes extra, struct buffer *out)
{
	struct bytes word;

	while (bytes_split(&extra, ' ', &word)) {
		ptrdiff_t    is = bytes_find(word, '=');
		struct bytes name = is < 0 ? word : bytes_cut(word, 0, (size_t)is);
		struct bytes value =
			is < 0 ? BYTES("yes") : bytes_cut(word, (size_t)is + 1, SIZE_MAX);
		char text[128];

		if (bytes_starts(name, BYTES("userdb_")))
			name = bytes_cut(name, 7, SIZE_MAX);
		if (name.len > 0 && bytes_string(name, text, sizeof text))
			credential_field_add(out, text, value);
	}
}

bool
passwdfile_find(const struct passwdfile *p, struct bytes user, struct arena *a, struct bytes *hash,
                struct bytes *fields)
{
	return passwdfile_find_by(p, user, user, a, hash, fields);
}

bool
passwdfile_find_by(const struct passwdfile *p, struct bytes name, struct bytes user,
                   struct arena *a, struct bytes *hash, struct bytes *fields)
{
	static const char *const names[] = { NULL, NULL, "uid", "gid", "gecos", "home", "shell" };
	struct buffer            out = { 0 };
	const char              *at = map_get(p->users, casefold(a, name));
	struct bytes             rest, line, part;

	if (at == NULL)
		return false;
	rest = (struct bytes){ at, p->len - (size_t)(at - p->text) };
	(void)bytes_split(&rest, '\n', &line);
	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	*hash = (struct bytes){ NULL, 0 };
	for (size_t i = 0; i < COUNT(names) && bytes_split(&line, ':', &part); i++)
		if (i == 1)
			*hash = arena_keep(a, part);
		else if (names[i] != NULL && part.len > 0)
			credential_field_add(&out, names[i], part);
	/* What begins here has colons of its own. */
	add_extra(line, &out);
	*fields = renaming_fields(arena_keep(a, buffer_bytes(&out)), user, a);
	buffer_free(&out);
	return true;
}

void
passwdfile_each(const struct passwdfile *p,
                void (*each)(void *, int line, struct bytes user, struct bytes fields), void *ctx)
{
	struct bytes rest = { p->text, p->len }, line, user, hash, fields;

	for (int n = 1; bytes_split(&rest, '\n', &line); n++) {
		struct arena *scratch = arena_open(NULL);
		const char   *at = line.at;

		/* Of two lines the first holds. */
		if (bytes_split(&line, ':', &user) &&
		    map_get(p->users, casefold(scratch, user)) == at &&
		    passwdfile_find(p, user, scratch, &hash, &fields))
			each(ctx, n, user, fields);
		arena_close(&scratch);
	}
}

/* Whether the mechanism can be checked with what is stored. */
static bool
serves(struct bytes hash, const char *mechanism, struct arena *a)
{
	struct scheme_scram kept;
	struct bytes        plain;

	if (strncmp(mechanism, "SCRAM", 5) == 0)
		return scheme_scram(hash, "CRYPT", mechanism, a, &kept);
	return scheme_plain(hash, "CRYPT", a, &plain) ||
	       scheme_derived(hash, "CRYPT", mechanism, a, &plain);
}

/* "*", "!" and "x" are no hash: nobody is to come in by them. */
size_t
passwdfile_without(const struct passwdfile *p, const char *mechanism, struct arena *a,
                   const char **name, size_t *all)
{
	struct bytes first = { NULL, 0 }, hash, fields;
	size_t       n = 0;

	*all = 0;
	for (struct map_place at = { 0 }; map_next(p->users, &at);) {
		struct arena *scratch = arena_open(NULL);

		bool has = passwdfile_find(p, at.key, scratch, &hash, &fields) && hash.len > 1 &&
		           hash.at[0] != '*' && hash.at[0] != '!';

		*all += has;
		if (has && !serves(hash, mechanism, scratch)) {
			n++;
			if (first.at == NULL || bytes_compare(at.key, first) < 0)
				first = at.key;
		}
		arena_close(&scratch);
	}
	*name = arena_copy(a, first);
	return n;
}
