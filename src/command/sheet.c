#include "command/sheet.h"
#include "base/map.h"

#include <string.h>

#include "directory/scheme.h"
#include "message/address.h"

enum { COLUMNS_MOST = 64, TARGETS_MOST = 10000 };

/* Where in a file we are, and where complaints go. */
struct reading {
	struct sheet  *sheet;
	const char    *file, *domain;
	struct buffer *errors;
	struct bytes   rest;
	uint32_t       line, next_line; /* of this row; of what follows */
	struct map    *said;            /* aliases, with the lines they stood in first */
	bool           literal;         /* a password may look like a hash */
};

static void
wrong(struct reading *r, const char *what, struct bytes which)
{
	r->sheet->wrong++;
	buffer_printf(r->errors, "%s:%u: %s%.*s\n", r->file, r->line, what,
	              (int)(which.len < 200 ? which.len : 200), which.len > 0 ? which.at : "");
}

static struct sheet *
begin(struct reading *r, struct bytes text, const char *file, const char *domain,
      struct buffer *errors)
{
	struct sheet *s = memory_take(sizeof *s);

	s->life = arena_open(NULL);
	if (bytes_starts(text, BYTES("\xef\xbb\xbf")))
		text = bytes_cut(text, 3, SIZE_MAX);
	*r = (struct reading){ s, file, domain, errors, text, 0, 1, NULL, false };
	return s;
}

static struct sheet_row *
row_new(struct reading *r)
{
	struct sheet *s = r->sheet;

	if (s->count == s->room) {
		s->room = s->room == 0 ? 64 : 2 * s->room;
		s->row = memory_resize(s->row, s->room * sizeof *s->row);
	}
	s->row[s->count] = (struct sheet_row){ .line = r->line };
	return &s->row[s->count++];
}

void
sheet_close(struct sheet **sp)
{
	struct sheet *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	arena_close(&s->life);
	memory_free(s->row);
	memory_free(s);
}

/* With its domain; empty after saying what is wrong. */
static struct bytes
address_of(struct reading *r, struct bytes text)
{
	struct address parsed;

	text = bytes_trim(text);
	if (text.len > 0 && bytes_find(text, '@') < 0 && r->domain != NULL)
		text = bytes_of(
			arena_printf(r->sheet->life, "%.*s@%s", (int)text.len, text.at, r->domain));
	if (text.len > 0 && address_parse(text, r->sheet->life, &parsed) && parsed.domain.len > 0)
		return text;
	wrong(r,
	      text.len > 0 && bytes_find(text, '@') < 0 ? "a name without domain (say --domain): "
	                                                : "not an address: ",
	      text);
	return (struct bytes){ NULL, 0 };
}

/* Addresses by blanks, and by commas outside quotes. */
static bool
addresses_of(struct reading *r, struct bytes text, const char *between, struct sheet_row *row)
{
	size_t from = 0, room = 0;
	bool   quoted = false;

	for (size_t i = 0; i <= text.len; i++) {
		if (i < text.len && text.at[i] == '"')
			quoted = !quoted;
		if (i < text.len &&
		    (quoted || text.at[i] == '\0' || strchr(between, text.at[i]) == NULL))
			continue;
		struct bytes one = bytes_trim(bytes_cut(text, from, i - from));
		from = i + 1;
		if (one.len == 0)
			continue;
		if (row->targets == room) {
			struct bytes *more;
			room = room == 0 ? 4 : 2 * room;
			more = arena_take_array(r->sheet->life, room, sizeof *more);
			if (row->targets > 0)
				memcpy(more, row->target, row->targets * sizeof *more);
			row->target = more;
		}
		if (row->targets == TARGETS_MOST) {
			wrong(r, "too many of them: ", one);
			return false;
		}
		if (strchr("|/:", one.at[0]) != NULL || bytes_starts(one, BYTES("\"|")) ||
		    bytes_starts(one, BYTES("\"/"))) {
			wrong(r, "a command, a file or a list belongs in alias_maps: ", one);
			return false;
		}
		if ((one = address_of(r, one)).len == 0)
			return false;
		row->target[row->targets++] = one;
	}
	return true;
}

/* The next line of the file, without its end; false when there is none. */
static bool
line_next(struct reading *r, struct bytes *line)
{
	if (r->rest.len == 0 || !bytes_split(&r->rest, '\n', line))
		return false;
	r->line = r->next_line++;
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* ---- passwd-file ------------------------------------------------------------------------ */

static struct bytes
extra_of(struct bytes rest, const char *name)
{
	struct bytes word, prefix = bytes_of(name);

	while (bytes_split(&rest, ' ', &word))
		if (bytes_starts(word, prefix))
			return bytes_cut(word, prefix.len, SIZE_MAX);
	return (struct bytes){ NULL, 0 };
}

/* A hash in a form that no login could be checked with. */
static bool
hash_fits(struct reading *r, struct bytes address, struct bytes hash)
{
	const char *why = hash.len > 0 ? scheme_wrong(hash, "CRYPT") : NULL;

	if (why == NULL)
		return true;
	wrong(r, "nobody could log in with this password: ",
	      bytes_of(arena_printf(r->sheet->life, "%.*s: %s",
	                            (int)(address.len < 100 ? address.len : 100), address.at,
	                            why)));
	return false;
}

/* The name between braces, of a scheme or with its encoding behind: "SHA256.HEX". */
static bool
names_scheme(struct bytes name)
{
	ptrdiff_t     dot = bytes_find(name, '.');
	unsigned long least, most;
	const char   *known;

	if (dot > 0)
		name = bytes_cut(name, 0, (size_t)dot);
	for (size_t i = 0; (known = scheme_name(i, &least, &most)) != NULL; i++)
		if (bytes_equal_nocase(name, bytes_of(known)))
			return true;
	return false;
}

/* "{SHA512-CRYPT}$6$...", "$2y$10$...": what another server keeps of a password, and nobody types. */
static bool
looks_hashed(struct bytes password)
{
	static const char *const crypts[] = { "$1$",  "$2a$",   "$2b$",    "$2x$",    "$2y$",
		                              "$5$",  "$6$",    "$7$",     "$y$",     "$gy$",
		                              "$md5", "$sha1$", "$argon2", "$pbkdf2", "$scrypt$" };
	ptrdiff_t                end = bytes_find(password, '}');

	if (bytes_starts(password, BYTES("{")) && end > 0)
		return names_scheme(bytes_cut(password, 1, (size_t)end - 1));
	for (size_t i = 0; i < COUNT(crypts); i++)
		if (bytes_starts(password, bytes_of(crypts[i])))
			return true;
	return false;
}

/* user:{SCHEME}stored:uid:gid:gecos:home:shell:extra fields */
static void
passwd_line(struct reading *r, struct bytes line)
{
	struct bytes      field[7] = { { NULL, 0 } }, address;
	struct sheet_row *row;
	size_t            n = 0;

	while (n < 7 && bytes_split(&line, ':', &field[n]))
		n++;
	if (n < 2) {
		wrong(r, "no user:password:... ", line);
		return;
	}
	if ((address = address_of(r, field[0])).len == 0)
		return;
	if (field[1].len == 0 || field[1].at[0] == '*' || field[1].at[0] == '!') {
		wrong(r, "nobody could log in with this password: ", address);
		return;
	}
	row = row_new(r);
	row->is_account = true;
	row->address = address;
	if (bytes_starts_nocase(field[1], BYTES("{PLAIN}")))
		row->password = bytes_cut(field[1], 7, SIZE_MAX);
	else if (bytes_starts_nocase(field[1], BYTES("{CLEARTEXT}")))
		row->password = bytes_cut(field[1], 11, SIZE_MAX);
	else if (field[1].at[0] == '{' || field[1].at[0] == '$')
		row->hash = field[1];
	else
		row->hash = bytes_of(arena_printf(r->sheet->life, "{CRYPT}%.*s", (int)field[1].len,
		                                  field[1].at));
	row->quota = extra_of(line, "userdb_quota_rule=*:storage=");
	if (row->password.len + row->hash.len == 0) {
		wrong(r, "no password: ", address);
		r->sheet->count--;
	} else if (!hash_fits(r, address, row->hash)) {
		r->sheet->count--;
	}
}

/* ---- CSV, rfc4180 ------------------------------------------------------------------------- */

/* One record: fields that may be quoted, "" in quotes a quote, lines in quotes too. */
static size_t
csv_record(struct reading *r, char between, struct bytes field[static COLUMNS_MOST])
{
	struct bytes  t = r->rest;
	struct buffer b = { 0 };
	size_t        i = 0, n = 0;
	bool          quoted = false;

	r->line = r->next_line;
	for (; i < t.len; i++) {
		char c = t.at[i];
		if (c == '\n')
			r->next_line++;
		if (quoted && c == '"' && i + 1 < t.len && t.at[i + 1] == '"')
			i++;
		else if (c == '"' && (quoted || b.len == 0)) {
			quoted = !quoted;
			continue;
		} else if (!quoted && (c == between || c == '\n')) {
			if (n < COLUMNS_MOST)
				field[n++] =
					arena_keep(r->sheet->life, bytes_trim(buffer_bytes(&b)));
			buffer_reset(&b);
			if (c == '\n')
				break;
			continue;
		}
		buffer_add_char(&b, c);
	}
	if (i == t.len && n < COLUMNS_MOST)
		field[n++] = arena_keep(r->sheet->life, bytes_trim(buffer_bytes(&b)));
	if (quoted)
		wrong(r, "quotes that do not end", (struct bytes){ NULL, 0 });
	r->rest = bytes_cut(t, i + 1, SIZE_MAX);
	buffer_free(&b);
	return n;
}

enum column {
	COLUMN_ADDRESS,
	COLUMN_PASSWORD,
	COLUMN_HASH,
	COLUMN_QUOTA,
	COLUMN_ALIASES,
	COLUMN_KINDS
};

static bool
csv_head(struct reading *r, const struct bytes *field, size_t n, size_t where[static COLUMN_KINDS])
{
	static const char *const names[COLUMN_KINDS][3] = {
		{ "address", "email", "user" },      { "password", "password", "password" },
		{ "hash", "password_hash", "hash" }, { "quota", "quota_storage", "quota" },
		{ "aliases", "alias", "aliases" },
	};

	for (size_t k = 0; k < COLUMN_KINDS; k++)
		where[k] = SIZE_MAX;
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;
		while (k < COLUMN_KINDS && !bytes_is(field[i], names[k][0]) &&
		       !bytes_is(field[i], names[k][1]) && !bytes_is(field[i], names[k][2]))
			k++;
		if (k < COLUMN_KINDS)
			where[k] = i;
		else
			buffer_printf(r->errors, "%s:%u: the column %.*s is not kept\n", r->file,
			              r->line, (int)field[i].len, field[i].at);
	}
	if (where[COLUMN_ADDRESS] != SIZE_MAX &&
	    (where[COLUMN_PASSWORD] != SIZE_MAX || where[COLUMN_HASH] != SIZE_MAX))
		return true;
	wrong(r, "the first line names the columns: address, password or hash, quota, aliases",
	      (struct bytes){ NULL, 0 });
	return false;
}

/* A value that stands in more columns than there are was cut where it should have been quoted. */
static bool
csv_fits(struct reading *r, const struct bytes *field, size_t n, size_t columns)
{
	for (size_t i = columns; i < n; i++)
		if (field[i].len > 0) {
			wrong(r,
			      "more values than columns; what has a comma in it stands in quotes: ",
			      field[0]);
			return false;
		}
	return true;
}

static void
csv_row(struct reading *r, const struct bytes *field, size_t n,
        const size_t where[static COLUMN_KINDS])
{
	struct bytes      got[COLUMN_KINDS], address;
	struct sheet_row *row;

	if (n == 1 && field[0].len == 0)
		return; /* an empty line */
	for (size_t k = 0; k < COLUMN_KINDS; k++)
		got[k] = where[k] < n ? field[where[k]] : (struct bytes){ NULL, 0 };
	if ((address = address_of(r, got[COLUMN_ADDRESS])).len == 0)
		return;
	if (got[COLUMN_PASSWORD].len == 0 && got[COLUMN_HASH].len == 0) {
		wrong(r, "no password: ", address);
		return;
	}
	if (got[COLUMN_HASH].len == 0 && !r->literal && looks_hashed(got[COLUMN_PASSWORD])) {
		wrong(r,
		      "in the column password stands a hash; name the column hash, or say --literal if "
		      "it is the password itself: ",
		      address);
		return;
	}
	if (!hash_fits(r, address, got[COLUMN_HASH]))
		return;
	row = row_new(r);
	row->is_account = true;
	row->address = address;
	row->password = got[COLUMN_HASH].len > 0 ? (struct bytes){ NULL, 0 } : got[COLUMN_PASSWORD];
	row->hash = got[COLUMN_HASH];
	row->quota = got[COLUMN_QUOTA];
	if (!addresses_of(r, got[COLUMN_ALIASES], " ;,|\t\n", row))
		r->sheet->count--;
}

static void
csv(struct reading *r, char between)
{
	struct bytes field[COLUMNS_MOST];
	size_t       where[COLUMN_KINDS];

	size_t columns = csv_record(r, between, field);

	if (!csv_head(r, field, columns, where))
		return;
	while (r->rest.len > 0) {
		size_t n = csv_record(r, between, field);
		if (csv_fits(r, field, n, columns))
			csv_row(r, field, n, where);
	}
}

/* ---- which of them ---------------------------------------------------------------------------- */

struct sheet *
sheet_users(struct bytes text, const char *file, const char *domain, bool literal,
            struct buffer *errors)
{
	struct reading r;
	struct sheet  *s = begin(&r, text, file, domain, errors);
	struct bytes   all = r.rest, line = { NULL, 0 };
	char           between = ',';
	bool           passwd = false;

	while (line_next(&r, &line) && (line.len == 0 || line.at[0] == '#'))
		continue;
	for (size_t i = 0; i < line.len; i++)
		if (strchr(",;\t:", line.at[i]) != NULL && line.at[i] != '\0') {
			between = line.at[i];
			passwd = between == ':';
			break;
		}
	r.rest = all;
	r.next_line = 1;
	r.literal = literal;
	if (!passwd)
		csv(&r, between);
	while (passwd && line_next(&r, &line))
		if (line.len > 0 && line.at[0] != '#')
			passwd_line(&r, line);
	return s;
}

/* As postalias has it: what stands behind a name for the second time would be overlooked. */
static bool
said_before(struct reading *r, struct bytes address)
{
	struct bytes key = arena_lower(r->sheet->life, address);
	uintptr_t    line = (uintptr_t)map_get(r->said, key);

	if (line == 0) {
		(void)map_put(r->said, key, (void *)(uintptr_t)r->line);
		return false;
	}
	r->sheet->wrong++;
	buffer_printf(r->errors,
	              "%s:%u: %.*s stands in line %u already; write all its targets there\n",
	              r->file, r->line, (int)(address.len < 200 ? address.len : 200), address.at,
	              (unsigned)line);
	return true;
}

/* "name: targets" or "address targets". */
static void
alias_line(struct reading *r, struct bytes line)
{
	size_t            end = 0;
	struct bytes      address;
	struct sheet_row *row;
	bool              quoted = false;

	while (end < line.len && (quoted || strchr(": \t", line.at[end]) == NULL)) {
		if (line.at[end] == '"')
			quoted = !quoted;
		end++;
	}
	address = bytes_cut(line, 0, end);
	while (end < line.len && strchr(": \t", line.at[end]) != NULL &&
	       !bytes_starts(bytes_cut(line, end, SIZE_MAX), BYTES(":include:")))
		end++;
	/* virtual(5): "@domain address" is for all names the domain does not have. */
	if (!bytes_starts(address, BYTES("@")) || address.len == 1)
		address = address_of(r, address);
	if (address.len == 0 || said_before(r, address))
		return;
	row = row_new(r);
	row->address = address;
	if (!addresses_of(r, bytes_cut(line, end, SIZE_MAX), ", \t", row))
		r->sheet->count--;
	else if (row->targets == 0) {
		wrong(r, "leads nowhere: ", address);
		r->sheet->count--;
	}
}

struct sheet *
sheet_aliases(struct bytes text, const char *file, const char *domain, struct buffer *errors)
{
	struct reading r;
	struct sheet  *s = begin(&r, text, file, domain, errors);
	struct buffer  whole = { 0 };
	struct bytes   line;
	uint32_t       began = 0;
	bool           more = true;

	r.said = map_open();
	while (more) {
		more = line_next(&r, &line);
		if (more && (bytes_trim(line).len == 0 || line.at[0] == '#'))
			continue;
		if (more && whole.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t')) {
			buffer_add(&whole, line);
			continue;
		}
		if (whole.len > 0) {
			uint32_t here = r.line;
			r.line = began;
			alias_line(&r, arena_keep(s->life, buffer_bytes(&whole)));
			r.line = here;
		}
		buffer_reset(&whole);
		if (more)
			buffer_add(&whole, line);
		began = r.line;
	}
	map_close(&r.said);
	buffer_free(&whole);
	return s;
}
