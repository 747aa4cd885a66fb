#include "base/setting_inner.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cf.h"
#include "base/journal.h"
#include "base/service_line.h"

#define QUOTE_MOST 80 /* bytes of a value in a message */
#define NAME_MOST 64  /* names that get advice */

/* Names that are settled when a letter is delivered, not when the file is
   read: they stay in a value as they are written. */
/* clang-format off */
static const char *const later_names[] = {
	"client",         "client_address",  "client_hostname",
	"client_name",    "client_port",     "domain",
	"extension",      "helo_name",       "home",
	"local",          "localtime",       "mailbox",
	"nexthop",        "server_name",
	"queue_id",       "original_recipient",
	"rbl_class",      "rbl_code",        "rbl_domain",
	"rbl_reason",     "rbl_txt",         "rbl_what",
	"recipient",      "recipient_domain", "recipient_name",
	"reverse_client_name",
	"sasl_sender",    "sasl_username",   "sender",
	"sender_domain",  "sender_name",     "shell",
	"size",           "user",
};
/* clang-format on */

/* A value in a message: short, and harmless to a terminal. */
struct bytes
setting_quoted(struct arena *scratch, struct bytes value)
{
	struct buffer out = { 0 };
	struct bytes  shown;
	uint32_t      rune;
	size_t        n;

	for (; value.len > 0 && out.len < QUOTE_MOST; value = bytes_cut(value, n, value.len)) {
		n = bytes_utf8(value, &rune);
		if (n == 0 || rune < 0x20 || (rune >= 0x7f && rune < 0xa0)) {
			buffer_add_char(&out, '?');
			n = n == 0 ? 1 : n;
		} else {
			buffer_add(&out, bytes_cut(value, 0, n));
		}
	}
	if (value.len > 0)
		buffer_add_string(&out, "...");
	shown = arena_keep(scratch, buffer_bytes(&out));
	buffer_free(&out);
	return shown;
}

/* "main.cf:12: what is wrong\n"; line 0: a standard of our own is to blame.  What was said
   is not said again: a setting for every listener is read once for each. */
void
setting_complain(const struct settings *s, struct buffer *to, int line, const char *form, ...)
{
	struct buffer one = { 0 };
	va_list       list;
	ptrdiff_t     known;

	if (to == NULL)
		return;
	buffer_add_string(&one, s->file);
	if (line > 0)
		buffer_printf(&one, ":%d", line);
	buffer_add_string(&one, ": ");
	va_start(list, form);
	buffer_vprintf(&one, form, list);
	va_end(list);
	buffer_add_char(&one, '\n');
	known = bytes_search(buffer_bytes(to), buffer_bytes(&one));
	if (known < 0 || (known > 0 && to->at[known - 1] != '\n'))
		buffer_add(to, buffer_bytes(&one));
	buffer_free(&one);
}

/*
 * Reading
 */

bool
setting_is_name_char(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       c == '_' || c == '-';
}

static bool
is_listener_char(char c)
{
	return setting_is_name_char(c) || c == '.' || c == ':' || c == '[' || c == ']';
}

static bool
all_are(struct bytes b, bool (*is)(char))
{
	for (size_t i = 0; i < b.len; i++)
		if (!is(b.at[i]))
			return false;
	return b.len > 0;
}

/* name = [ listener "/" ] word */
static bool
name_valid(struct bytes name)
{
	ptrdiff_t slash = bytes_find(name, '/');

	if (slash < 0)
		return all_are(name, setting_is_name_char);
	return all_are(bytes_cut(name, 0, (size_t)slash), is_listener_char) &&
	       all_are(bytes_cut(name, (size_t)slash + 1, name.len), setting_is_name_char);
}

/* What may not stand in a value, in words, or NULL. */
static const char *
value_fault(struct bytes value)
{
	uint32_t rune;
	size_t   n;

	for (; value.len > 0; value = bytes_cut(value, n, value.len)) {
		n = bytes_utf8(value, &rune);
		if (n == 0)
			return "this is not UTF-8; save the file as UTF-8";
		if ((rune < 0x20 && rune != '\t') || rune == 0x7f)
			return "a control byte stands here; remove it";
	}
	return NULL;
}

struct entry *
setting_entry_find(const struct settings *s, struct bytes name)
{
	return map_get(s->entry_of, name);
}

static void
keep_entry(struct settings *s, struct entry *e, struct buffer *warnings)
{
	struct entry *before = map_put(s->entry_of, bytes_of(e->name), e);

	*s->last = e;
	s->last = &e->next;
	if (before == NULL) {
		s->count++;
		return;
	}
	before->overruled = true;
	setting_complain(s, warnings, e->line,
	                 "%s is set here again: this line counts, line %d does not", e->name,
	                 before->line);
}

/* One logical line while it is gathered. */
struct gathered {
	struct buffer joined;
	int           line;    /* where it began; 0: nothing was begun */
	bool          service; /* of a master.cf */
};

/* What is wrong with the first line of it, or NULL. */
static const char *
first_line_fault(struct arena *scratch, struct bytes text)
{
	struct bytes value, name = cf_name(text, &value);
	const char  *shown = setting_quoted(scratch, name).at;

	if (value.at == NULL)
		return arena_printf(scratch, "\"%s\" has no \"=\"; write: name = value", shown);
	if (name.len == 0)
		return "no name before the \"=\"; write: name = value";
	if (!name_valid(name))
		return arena_printf(scratch,
		                    "\"%s\" is not a name; a name has letters, digits, _ and -, "
		                    "perhaps with a listener before it: submission/name",
		                    shown);
	return NULL;
}

/* What stands in a master.cf is no setting; what to write instead is said. */
static void
end_service(struct settings *s, const struct gathered *g, struct buffer *errors)
{
	struct arena       *scratch = arena_open(s->life);
	struct service_line line;
	const char         *why = value_fault(buffer_bytes(&g->joined));

	if (why == NULL && service_line_read(buffer_bytes(&g->joined), scratch, &line))
		why = service_line_advice(&line, scratch);
	setting_complain(s, errors, g->line, "%s", why);
	arena_close(&scratch);
}

static void
end_entry(struct settings *s, struct gathered *g, struct buffer *errors, struct buffer *warnings)
{
	struct bytes value, name = cf_name(buffer_bytes(&g->joined), &value);
	const char  *why = value_fault(value);

	if (g->line == 0)
		return;
	if (g->service) {
		end_service(s, g, errors);
	} else if (why != NULL) {
		setting_complain(s, errors, g->line, "%s", why);
	} else if (value.at != NULL) {
		struct entry *e = arena_take(s->life, sizeof *e);
		e->name = arena_copy(s->life, name);
		e->value = arena_copy(s->life, value);
		e->line = g->line;
		keep_entry(s, e, warnings);
	}
	g->line = 0;
}

/* A faulty beginning is complained of and its continuations go with it. */
static void
begin_entry(struct settings *s, struct gathered *g, const struct cf_line *line,
            struct buffer *errors)
{
	struct arena *scratch = arena_open(s->life);
	const char   *why;

	buffer_reset(&g->joined);
	g->line = line->number;
	g->service = service_line_begins(line->text);
	why = g->service ? NULL : first_line_fault(scratch, line->text);
	if (why != NULL)
		setting_complain(s, errors, line->number, "%s", why);
	else
		buffer_add(&g->joined, line->text);
	arena_close(&scratch);
}

static void
read_lines(struct settings *s, struct bytes text, struct buffer *errors, struct buffer *warnings)
{
	struct cf_line  line = { .number = 0 };
	struct gathered g = { .line = 0 };

	while (cf_next(&text, &line)) {
		if (line.kind == CF_BEGIN) {
			end_entry(s, &g, errors, warnings);
			begin_entry(s, &g, &line, errors);
		} else if (line.kind == CF_MORE && g.line == 0) {
			setting_complain(
				s, errors, line.number,
				"a line that begins with a blank continues the one before, "
				"and there is none; let it begin in the first column");
		} else if (line.kind == CF_MORE && g.joined.len > 0) {
			buffer_add_char(&g.joined, ' ');
			buffer_add(&g.joined, line.text);
		}
	}
	end_entry(s, &g, errors, warnings);
	buffer_free(&g.joined);
}

static void
count_entries(struct settings *s)
{
	size_t n = 0;

	s->counting = arena_take_array(s->life, s->count + 1, sizeof(struct entry *));
	for (struct entry *e = s->first; e != NULL; e = e->next)
		if (!e->overruled)
			s->counting[n++] = e;
	INSIDE(n == s->count);
}

struct settings *
settings_read(struct bytes text, const char *file, struct buffer *errors, struct buffer *warnings)
{
	struct arena    *life = arena_open(NULL);
	struct settings *s = arena_take(life, sizeof *s);
	size_t           before = errors->len;

	s->life = life;
	s->file = arena_copy(life, bytes_of(file));
	s->last = &s->first;
	s->entry_of = map_open();
	s->row_of = map_open();
	s->expanded = map_open();
	read_lines(s, text, errors, warnings);
	count_entries(s);
	if (errors->len > before)
		settings_close(&s);
	return s;
}

void
settings_close(struct settings **sp)
{
	struct settings *s = *sp;
	struct arena    *life;

	*sp = NULL;
	if (s == NULL)
		return;
	life = s->life;
	map_close(&s->entry_of);
	map_close(&s->row_of);
	map_close(&s->expanded);
	arena_close(&life);
}

void
setting_know_rows(struct settings *s, const struct setting_table *table)
{
	/* A map keeps plain pointers; a row comes out of it const again.  Who fills one row of a table by a
	   copy of it takes that away again: the first that was known stays. */
	for (size_t i = 0; i < table->count; i++)
		if (setting_row_find(s, bytes_of(table->row[i].name)) == NULL)
			(void)map_put(s->row_of, bytes_of(table->row[i].name),
			              (void *)(uintptr_t)&table->row[i]);
}

void
settings_know(struct settings *s, const char *name)
{
	static const struct setting any = { .name = "", .kind = SETTING_RULES, .standard = "" };

	if (setting_row_find(s, bytes_of(name)) == NULL)
		(void)map_put(s->row_of, bytes_of(name), (void *)(uintptr_t)&any);
}

void
settings_know_row(struct settings *s, const struct setting *row)
{
	struct setting *copy;

	if (setting_row_find(s, bytes_of(row->name)) != NULL)
		return;
	copy = arena_take(s->life, sizeof *copy);
	*copy = *row;
	copy->name = arena_copy(s->life, bytes_of(row->name));
	(void)map_put(s->row_of, bytes_of(row->name), copy);
}

const struct setting *
setting_row_find(const struct settings *s, struct bytes name)
{
	return map_get(s->row_of, name);
}

void
settings_tables(struct settings *s, const struct setting_table *table, size_t count)
{
	for (size_t i = 0; i < count; i++)
		setting_know_rows(s, &table[i]);
}

/*
 * Unknown names
 */

void
settings_stress(struct settings *s, bool stress)
{
	s->stress = stress;
}

void
settings_elsewhere(struct settings *s, const struct setting_elsewhere *names, size_t count)
{
	s->elsewhere = names;
	s->elsewheres = count;
}

static const char *
instead_of(const struct settings *s, struct bytes name)
{
	for (size_t i = 0; i < s->elsewheres; i++) {
		struct bytes known = bytes_of(s->elsewhere[i].name);

		if (bytes_equal(name, known) ||
		    (known.at[known.len - 1] == '*' &&
		     bytes_starts(name, bytes_cut(known, 0, known.len - 1))))
			return s->elsewhere[i].instead;
	}
	return NULL;
}

/* How many letters must be changed, put in, taken out or swapped with their
   neighbour to make one name of the other. */
static size_t
name_distance(struct bytes a, struct bytes b)
{
	size_t row[3][NAME_MOST + 1], *before = row[0], *last = row[1], *now = row[2];

	for (size_t j = 0; j <= b.len; j++)
		last[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		now[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			bool   same = ascii_lower(a.at[i - 1]) == ascii_lower(b.at[j - 1]);
			size_t best = last[j - 1] + !same;
			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] &&
			    a.at[i - 2] == b.at[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		size_t *oldest = before;
		before = last;
		last = now;
		now = oldest;
	}
	return last[b.len];
}

/* The known name that was probably meant, or an empty one. */
static struct bytes
nearest_name(const struct settings *s, struct bytes name)
{
	struct bytes best = { "", 0 };
	size_t       least = name.len / 3 < 3 ? name.len / 3 + 1 : 4;

	if (name.len > NAME_MOST)
		return best;
	for (struct map_place p = { 0 }; map_next(s->row_of, &p);) {
		if (p.key.len > NAME_MOST)
			continue;
		size_t d = name_distance(name, p.key);
		if (d < least || (d == least && best.len > 0 && bytes_compare(p.key, best) < 0)) {
			least = d;
			best = p.key;
		}
	}
	return best;
}

bool
setting_is_later_name(struct bytes name)
{
	for (size_t i = 0; i < COUNT(later_names); i++)
		if (bytes_equal(name, bytes_of(later_names[i])))
			return true;
	return false;
}

struct asking {
	void (*each)(void *ctx, struct bytes name);
	void *ctx;
};

static void
ask_within(const struct asking *a, struct bytes text, int depth)
{
	while (depth < SETTING_DEPTH_MOST) {
		ptrdiff_t n = bytes_find(text, '$');
		if (n < 0)
			return;
		text = bytes_cut(text, (size_t)n, text.len);
		struct macro m = macro_of(text);
		if (bytes_starts(text, BYTES("$$")))
			m = (struct macro){ .whole = bytes_cut(text, 0, 2) };
		if (m.name.len > 0)
			a->each(a->ctx, m.name);
		ask_within(a, m.left, depth + 1);
		ask_within(a, m.right, depth + 1);
		ask_within(a, m.then, depth + 1);
		ask_within(a, m.otherwise, depth + 1);
		text = bytes_cut(text, m.whole.len, text.len);
	}
}

void
settings_complain(const struct settings *s, struct buffer *to, const char *name, const char *form,
                  ...)
{
	const struct entry *e = setting_entry_find(s, bytes_of(name));
	va_list             list;

	buffer_printf(to, e != NULL ? "%s:%d: " : "%s: ", s->file, e != NULL ? e->line : 0);
	va_start(list, form);
	buffer_vprintf(to, form, list);
	va_end(list);
	buffer_add_char(to, '\n');
}

void
settings_asks(struct bytes value, void (*each)(void *ctx, struct bytes name), void *ctx)
{
	ask_within(&(struct asking){ each, ctx }, value, 0);
}

bool
settings_has_row(const struct settings *s, struct bytes name)
{
	return setting_row_find(s, name) != NULL;
}

bool
setting_table_has(const struct setting_table *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->row[i].name, name) == 0)
			return true;
	return false;
}

struct asked {
	struct map   *names;
	struct entry *by;
};

static void
note_asked(void *ctx, struct bytes name)
{
	struct asked *a = ctx;

	(void)map_put(a->names, name, a->by);
}

static void
complain_unknown(const struct settings *s, struct buffer *warnings, const struct entry *e,
                 const char *sign, struct bytes name)
{
	struct bytes near = nearest_name(s, name);
	const char  *instead = instead_of(s, name);

	if (instead != NULL)
		setting_complain(s, warnings, e->line, "%s%.*s means nothing here: %s", sign,
		                 (int)name.len, name.at, instead);
	else if (near.len > 0)
		setting_complain(s, warnings, e->line,
		                 "%s%.*s is not a setting; did you mean %s%.*s?", sign,
		                 (int)name.len, name.at, sign, (int)near.len, near.at);
	else
		setting_complain(s, warnings, e->line,
		                 "%s%.*s is not a setting; those there are stand in main.cf(5)",
		                 sign, (int)name.len, name.at);
}

bool
settings_unknown(struct settings *s, struct buffer *warnings)
{
	struct map *asked = map_open();
	bool        found = false;

	for (size_t i = 0; i < s->count; i++) {
		struct bytes name = bytes_of(s->counting[i]->name);
		if (!bytes_ends_nocase(name, BYTES("/transport")) && !setting_is_for_shell(s, name))
			settings_asks(bytes_of(s->counting[i]->value), note_asked,
			              &(struct asked){ asked, s->counting[i] });
	}
	for (size_t i = 0; i < s->count; i++) {
		struct bytes name = bytes_of(s->counting[i]->name);
		ptrdiff_t    slash = bytes_find(name, '/');
		name = bytes_cut(name, (size_t)(slash + 1), name.len);
		if (setting_row_find(s, name) != NULL || map_get(asked, name) != NULL)
			continue;
		complain_unknown(s, warnings, s->counting[i], "", name);
		found = true;
	}
	for (struct map_place p = { 0 }; map_next(asked, &p);) {
		if (setting_row_find(s, p.key) != NULL || setting_entry_find(s, p.key) != NULL ||
		    setting_is_later_name(p.key))
			continue;
		complain_unknown(s, warnings, p.value, "$", p.key);
		found = true;
	}
	map_close(&asked);
	return found;
}

bool
settings_entry(const struct settings *s, size_t index, struct setting_entry *out)
{
	const struct entry *e;

	if (index >= s->count)
		return false;
	e = s->counting[index];
	*out = (struct setting_entry){ e->name, e->value, e->line };
	return true;
}

int
settings_line(const struct settings *s, const char *name)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strcmp(e.name, name) == 0)
			return e.line;
	return 0;
}

/*
 * Editing
 */

static bool
begins(const struct cf_line *line, const char *name)
{
	struct bytes value;

	return line->kind == CF_BEGIN && bytes_equal(cf_name(line->text, &value), bytes_of(name)) &&
	       value.at != NULL;
}

/* The number of the line where `name` is last set, or 0. */
static int
last_set(struct bytes text, const char *name)
{
	struct cf_line line = { .number = 0 };
	int            found = 0;

	while (cf_next(&text, &line))
		if (begins(&line, name))
			found = line.number;
	return found;
}

/* "name = value" and a newline.  Lines of the value become continuations, but
   for those that would read as remarks. */
static void
write_setting(struct buffer *out, const char *name, const char *value, const char *newline)
{
	struct bytes rest = bytes_of(value), line;
	bool         first = true;

	buffer_printf(out, "%s =", name);
	while (bytes_split(&rest, '\n', &line)) {
		line = bytes_trim(line);
		if (line.len == 0)
			continue;
		if (!first && line.at[0] != '#')
			buffer_printf(out, "%s\t", newline);
		else
			buffer_add_char(out, ' ');
		buffer_add(out, line);
		first = false;
	}
	buffer_add_string(out, newline);
}

void
settings_edit(struct bytes text, const char *name, const char *value, struct buffer *out)
{
	const char    *newline = bytes_search(text, BYTES("\r\n")) < 0 ? "\n" : "\r\n";
	struct bytes   rest = text;
	struct cf_line line = { .number = 0 };
	int            target = last_set(text, name);
	bool           dropping = false;

	while (cf_next(&rest, &line)) {
		if (line.kind == CF_BEGIN)
			dropping = value == NULL ? begins(&line, name) : line.number == target;
		if (line.kind == CF_REMARK || !dropping)
			buffer_add(out, line.whole);
		else if (line.kind == CF_BEGIN && value != NULL)
			write_setting(out, name, value, newline);
	}
	if (value == NULL || target > 0)
		return;
	if (text.len > 0 && text.at[text.len - 1] != '\n')
		buffer_add_string(out, newline);
	write_setting(out, name, value, newline);
}
