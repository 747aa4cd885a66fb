#include "base/setting.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cf.h"
#include "base/journal.h"
#include "base/map.h"

#define DEPTH_MOST 64                /* names within names */
#define STEPS_MOST 10000             /* names looked up for one value */
#define VALUE_MOST ((size_t)1 << 20) /* bytes of one expanded value */
#define QUOTE_MOST 80                /* bytes of a value in a message */
#define NAME_MOST 64                 /* names that get advice */

/* One name of the file and the value that counts. */
struct entry {
	struct entry *next;  /* in the order of the file */
	const char   *name;  /* with the listener, "submission/name" */
	const char   *value; /* as written, continuations joined */
	int           line;
	bool          overruled; /* a later line set it again */
};

struct settings {
	struct arena  *life;
	const char    *file;
	struct entry  *first, **last;
	struct entry **counting; /* those not overruled */
	size_t         count;
	struct map    *entry_of; /* name -> struct entry that counts */
	struct map    *row_of;   /* name -> const struct setting */
	struct map    *expanded; /* name -> what settings_value() gave */
};

/* Names that are settled when a letter is delivered, not when the file is
   read: they stay in a value as they are written. */
/* clang-format off */
static const char *const later_names[] = {
	"client_address", "client_hostname", "client_port",
	"domain",         "extension",       "home",
	"local",          "mailbox",         "nexthop",
	"queue_id",       "original_recipient",
	"recipient",      "sasl_sender",     "sasl_username",
	"sender",         "shell",           "size",
	"user",
};
/* clang-format on */

/* A value in a message: short, and harmless to a terminal. */
static struct bytes
quoted(struct arena *scratch, struct bytes value)
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

/* "main.cf:12: what is wrong\n"; line 0: a standard of our own is to blame. */
static __attribute__((format(printf, 4, 5))) void
complain(const struct settings *s, struct buffer *to, int line, const char *form, ...)
{
	va_list list;

	if (to == NULL)
		return;
	buffer_add_string(to, s->file);
	if (line > 0)
		buffer_printf(to, ":%d", line);
	buffer_add_string(to, ": ");
	va_start(list, form);
	buffer_vprintf(to, form, list);
	va_end(list);
	buffer_add_char(to, '\n');
}

/*
 * Reading
 */

static bool
is_name_char(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       c == '_' || c == '-';
}

static bool
is_listener_char(char c)
{
	return is_name_char(c) || c == '.' || c == ':' || c == '[' || c == ']';
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
		return all_are(name, is_name_char);
	return all_are(bytes_cut(name, 0, (size_t)slash), is_listener_char) &&
	       all_are(bytes_cut(name, (size_t)slash + 1, name.len), is_name_char);
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

static struct entry *
entry_find(const struct settings *s, struct bytes name)
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
	complain(s, warnings, e->line, "%s is set here again: this line counts, line %d does not",
	         e->name, before->line);
}

/* One logical line while it is gathered. */
struct gathered {
	struct buffer joined;
	int           line; /* where it began; 0: nothing was begun */
};

/* What is wrong with the first line of it, or NULL. */
static const char *
first_line_fault(struct arena *scratch, struct bytes text)
{
	struct bytes value, name = cf_name(text, &value);
	const char  *shown = quoted(scratch, name).at;

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

static void
end_entry(struct settings *s, struct gathered *g, struct buffer *errors, struct buffer *warnings)
{
	struct bytes value, name = cf_name(buffer_bytes(&g->joined), &value);
	const char  *why = value_fault(value);

	if (g->line == 0)
		return;
	if (why != NULL) {
		complain(s, errors, g->line, "%s", why);
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
	const char   *why = first_line_fault(scratch, line->text);

	buffer_reset(&g->joined);
	g->line = line->number;
	if (why != NULL)
		complain(s, errors, line->number, "%s", why);
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
			complain(s, errors, line.number,
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

static void
know_rows(struct settings *s, const struct setting_table *table)
{
	/* A map keeps plain pointers; a row comes out of it const again. */
	for (size_t i = 0; i < table->count; i++)
		(void)map_put(s->row_of, bytes_of(table->row[i].name),
		              (void *)(uintptr_t)&table->row[i]);
}

static const struct setting *
row_find(const struct settings *s, struct bytes name)
{
	return map_get(s->row_of, name);
}

void
settings_tables(struct settings *s, const struct setting_table *table, size_t count)
{
	for (size_t i = 0; i < count; i++)
		know_rows(s, &table[i]);
}

/*
 * Expanding
 */

/* One $name, ${name}, ${name?then} or ${name:otherwise}. */
struct macro {
	struct bytes whole, name;
	bool         asks;            /* ? or : was there */
	struct bytes then, otherwise; /* what is meant by it */
	const char  *fault;
};

static bool
is_plain_name_char(char c)
{
	return is_name_char(c) && c != '-';
}

/* The length of "{...}" or "(...)" at the front, brackets inside it counted;
   0 if it does not end. */
static size_t
bracket_length(struct bytes b)
{
	char   open = b.at[0], close = open == '{' ? '}' : ')';
	size_t depth = 0;

	for (size_t i = 0; i < b.len; i++) {
		if (b.at[i] == open)
			depth++;
		else if (b.at[i] == close && --depth == 0)
			return i + 1;
	}
	return 0;
}

/* braced = "{" text "}", taken off the front; false when there is none. */
static bool
take_braced(struct bytes *rest, struct bytes *inside)
{
	struct bytes b = bytes_trim(*rest);
	size_t       n = b.len > 0 && b.at[0] == '{' ? bracket_length(b) : 0;

	if (n == 0)
		return false;
	*inside = bytes_cut(b, 1, n - 2);
	*rest = bytes_trim(bytes_cut(b, n, b.len));
	return true;
}

/* question = name "?" ( "{" text "}" [ ":" "{" text "}" ] / text )
            / name ":" ( "{" text "}" / text ) */
static void
macro_question(struct macro *m, struct bytes rest)
{
	bool         when_set = rest.at[0] == '?';
	struct bytes text = bytes_cut(rest, 1, rest.len), *answer, inside;

	m->asks = true;
	answer = when_set ? &m->then : &m->otherwise;
	*answer = text;
	if (!take_braced(&text, &inside))
		return;
	if (text.len == 0) {
		*answer = inside;
	} else if (when_set && text.at[0] == ':') {
		*answer = inside;
		text = bytes_cut(text, 1, text.len);
		if (!take_braced(&text, &m->otherwise) || text.len > 0)
			m->fault = "write ${name?{text}:{text}}";
	}
}

static size_t
name_length(struct bytes b, bool (*is)(char))
{
	size_t n = 0;

	while (n < b.len && is(b.at[n]))
		n++;
	return n;
}

/* `b` begins with the dollar. */
static struct macro
macro_of(struct bytes b)
{
	struct macro m = { .whole = bytes_cut(b, 0, 1) };
	struct bytes rest = bytes_cut(b, 1, b.len), inside;
	size_t       n;

	if (rest.len > 0 && (rest.at[0] == '{' || rest.at[0] == '(')) {
		if ((n = bracket_length(rest)) == 0) {
			m.fault = "a bracket is opened and never closed; write ${name}";
			return m;
		}
		m.whole = bytes_cut(b, 0, n + 1);
		inside = bytes_trim(bytes_cut(rest, 1, n - 2));
		n = name_length(inside, is_name_char);
		m.name = bytes_cut(inside, 0, n);
		rest = bytes_trim(bytes_cut(inside, n, inside.len));
		if (n == 0 || (rest.len > 0 && rest.at[0] != '?' && rest.at[0] != ':'))
			m.fault = "write ${name}, ${name?text} or ${name:text}";
		else if (rest.len > 0)
			macro_question(&m, rest);
		return m;
	}
	n = name_length(rest, is_plain_name_char);
	m.name = bytes_cut(rest, 0, n);
	m.whole = bytes_cut(b, 0, n + 1);
	if (n == 0)
		m.fault = "a $ stands alone; write $name, or $$ for the sign itself";
	return m;
}

/* What is being expanded within what, to notice a circle. */
struct within {
	const struct within *outer;
	struct bytes         name;
};

struct expansion {
	struct settings *settings;
	const char      *listener; /* NULL: none */
	struct buffer   *out;
	int              steps, depth;
	struct arena    *scratch;
	const char      *fault; /* the first; nothing is done after it */
};

static void expand(struct expansion *, struct bytes text, const struct within *);

/* The file's value for this listener, the file's for all, or the standard. */
static const char *
raw_value(struct settings *s, const char *listener, struct bytes name, struct entry **entry)
{
	struct entry         *e = NULL;
	const struct setting *row;

	if (listener != NULL) {
		struct buffer full = { 0 };
		buffer_add_string(&full, listener);
		buffer_add_char(&full, '/');
		buffer_add(&full, name);
		e = entry_find(s, buffer_bytes(&full));
		buffer_free(&full);
	}
	if (e == NULL)
		e = entry_find(s, name);
	*entry = e;
	if (e != NULL)
		return e->value;
	row = row_find(s, name);
	return row == NULL ? NULL : row->standard;
}

/* "a -> b -> a" */
static const char *
circle(struct arena *scratch, const struct within *w, struct bytes again)
{
	const char *road = arena_printf(scratch, "$%.*s", (int)again.len, again.at);

	for (; w != NULL; w = w->outer) {
		road = arena_printf(scratch, "$%.*s -> %s", (int)w->name.len, w->name.at, road);
		if (bytes_equal(w->name, again))
			break;
	}
	return arena_printf(scratch, "this leads back to itself: %s", road);
}

static void
expand_name(struct expansion *x, const char *raw, struct bytes name, const struct within *w)
{
	for (const struct within *o = w; o != NULL; o = o->outer)
		if (bytes_equal(o->name, name)) {
			x->fault = circle(x->scratch, w, name);
			return;
		}
	expand(x, bytes_of(raw), &(struct within){ w, name });
}

static void
expand_macro(struct expansion *x, const struct macro *m, const struct within *w)
{
	struct entry *entry;
	const char   *raw = raw_value(x->settings, x->listener, m->name, &entry);
	size_t        before = x->out->len;

	if (raw == NULL) {
		buffer_add(x->out, m->whole); /* somebody may know it later */
		return;
	}
	expand_name(x, raw, m->name, w);
	if (!m->asks || x->fault != NULL)
		return;
	bool is_set = x->out->len > before;
	x->out->len = before;
	expand(x, is_set ? m->then : m->otherwise, w);
}

static void
expand(struct expansion *x, struct bytes text, const struct within *w)
{
	if (++x->depth > DEPTH_MOST)
		x->fault = "too many names within names";
	while (x->fault == NULL && text.len > 0) {
		ptrdiff_t n = bytes_find(text, '$');
		buffer_add(x->out, bytes_cut(text, 0, n < 0 ? text.len : (size_t)n));
		if (n < 0)
			break;
		text = bytes_cut(text, (size_t)n, text.len);
		if (bytes_starts(text, BYTES("$$"))) {
			buffer_add_char(x->out, '$');
			text = bytes_cut(text, 2, text.len);
			continue;
		}
		struct macro m = macro_of(text);
		text = bytes_cut(text, m.whole.len, text.len);
		if (m.fault != NULL)
			x->fault = m.fault;
		else if (++x->steps > STEPS_MOST || x->out->len > VALUE_MOST)
			x->fault = "this expands to far too much";
		else
			expand_macro(x, &m, w);
	}
	x->depth--;
}

/* The expanded text in *out.  NULL, or what is wrong, from the scratch. */
static const char *
expand_value(struct settings *s, const char *listener, const char *name, const char *raw,
             struct arena *scratch, struct buffer *out)
{
	struct expansion x = {
		.settings = s, .listener = listener, .out = out, .scratch = scratch
	};

	expand_name(&x, raw, bytes_of(name), NULL);
	return x.fault;
}

const char *
settings_value(struct settings *s, const char *name)
{
	const char *known = map_get(s->expanded, bytes_of(name)), *slash = strchr(name, '/'), *raw;
	struct arena *scratch;
	struct buffer out = { 0 };
	struct entry *entry;
	char         *listener = NULL, *value;

	if (known != NULL)
		return known;
	scratch = arena_open(s->life);
	if (slash != NULL) {
		listener = arena_copy(scratch, (struct bytes){ name, (size_t)(slash - name) });
		raw = raw_value(s, listener, bytes_of(slash + 1), &entry);
	} else {
		raw = raw_value(s, NULL, bytes_of(name), &entry);
	}
	if (raw == NULL) {
		arena_close(&scratch);
		return NULL;
	}
	(void)expand_value(s, listener, slash == NULL ? name : slash + 1, raw, scratch, &out);
	value = arena_copy(s->life, buffer_bytes(&out));
	buffer_free(&out);
	arena_close(&scratch);
	(void)map_put(s->expanded, bytes_of(name), value);
	return value;
}

/*
 * Filling
 *
 * Each kind has a function that puts a text where the row says, or gives what
 * would be right.
 */
struct put {
	struct settings      *settings;
	const struct setting *row;
	struct arena         *scratch;
	void                 *where;
};

/* number = [ "-" ] digits ; *rest is what stands behind it */
static bool
take_number(struct bytes text, int64_t *out, struct bytes *rest)
{
	bool     minus = text.len > 0 && text.at[0] == '-';
	size_t   from = minus ? 1 : 0, n = from;
	uint64_t value;

	while (n < text.len && text.at[n] >= '0' && text.at[n] <= '9')
		n++;
	*rest = bytes_cut(text, n, text.len);
	if (!bytes_number(bytes_cut(text, from, n - from), &value) || value > INT64_MAX)
		return false;
	*out = minus ? -(int64_t)value : (int64_t)value;
	return true;
}

/* From the smallest up; the first is that of a number without one. */
struct unit {
	const char *name;
	int64_t     worth;
};
/* clang-format off */
static const struct unit sizes[] = {
	{ "",   1 },
	{ "K",  1 << 10 },
	{ "M",  1 << 20 },
	{ "G",  1 << 30 },
};
static const struct unit times[] = {
	{ "",   1000 },
	{ "ms", 1 },
	{ "s",  1000 },
	{ "m",  INT64_C(1000) * 60 },
	{ "h",  INT64_C(1000) * 3600 },
	{ "d",  INT64_C(1000) * 86400 },
	{ "w",  INT64_C(1000) * 86400 * 7 },
};
/* clang-format on */

/* A limit as a person would write it: in the largest unit that divides it. */
static const char *
written(struct put *p, int64_t n)
{
	bool               time = p->row->kind == SETTING_TIME, size = p->row->kind == SETTING_SIZE;
	const struct unit *unit = time ? times : sizes, *best = time ? &times[1] : &sizes[0];

	for (size_t i = 1; n != 0 && i < (time ? COUNT(times) : size ? COUNT(sizes) : 0); i++)
		if (n % unit[i].worth == 0)
			best = &unit[i];
	return arena_printf(p->scratch, "%lld%s", (long long)(n / best->worth),
	                    n == 0 ? "" : best->name);
}

static const char *
put_number_within(struct put *p, int64_t n)
{
	int64_t least = p->row->least, most = p->row->most;

	if (most < least || (least == 0 && most == 0))
		most = INT64_MAX;
	if (n >= least && n <= most) {
		*(int64_t *)p->where = n;
		return NULL;
	}
	if (most == INT64_MAX)
		return arena_printf(p->scratch, "write %s or more", written(p, least));
	return arena_printf(p->scratch, "write something from %s to %s", written(p, least),
	                    written(p, most));
}

static const char *
put_number(struct put *p, struct bytes text)
{
	struct bytes rest;
	int64_t      n;

	if (!take_number(text, &n, &rest) || rest.len > 0)
		return "write a whole number such as 100";
	return put_number_within(p, n);
}

static const char *
put_units(struct put *p, struct bytes text, const struct unit *units, size_t count,
          const char *right)
{
	struct bytes rest;
	int64_t      n;

	if (!take_number(text, &n, &rest))
		return right;
	for (size_t i = 0; i < count; i++)
		if (bytes_is(rest, units[i].name))
			return __builtin_mul_overflow(n, units[i].worth, &n)
			               ? "write a smaller number"
			               : put_number_within(p, n);
	return right;
}

static const char *
put_size(struct put *p, struct bytes text)
{
	return put_units(p, text, sizes, COUNT(sizes),
	                 "write a size such as 50M: a number, then K, M or G or nothing");
}

static const char *
put_time(struct put *p, struct bytes text)
{
	return put_units(p, text, times, COUNT(times),
	                 "write a time such as 5m: a number, then s, m, h, d or w");
}

static const char *
put_bool(struct put *p, struct bytes text)
{
	bool yes = bytes_is(text, "yes");

	if (!yes && !bytes_is(text, "no"))
		return "write yes or no";
	*(bool *)p->where = yes;
	return NULL;
}

static const char *
put_text(struct put *p, struct bytes text)
{
	*(const char **)p->where = arena_copy(p->settings->life, text);
	return NULL;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *
put_word(struct put *p, struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (is_blank(text.at[i]))
			return "write one word, without blanks";
	return put_text(p, text);
}

static bool
is_between_items(char c)
{
	return is_blank(c) || c == ',';
}

/* list = *( blank / "," ) [ item *( 1*( blank / "," ) item ) ], where an item
   may be braced and then holds blanks and commas.  False when a brace stays
   open. */
static bool
take_item(struct bytes *rest, struct bytes *item)
{
	size_t n = 0, braced;

	while (n < rest->len && !is_between_items(rest->at[n])) {
		if (rest->at[n] == '{') {
			braced = bracket_length(bytes_cut(*rest, n, rest->len));
			if (braced == 0)
				return false;
			n += braced;
		} else {
			n++;
		}
	}
	*item = bytes_cut(*rest, 0, n);
	while (n < rest->len && is_between_items(rest->at[n]))
		n++;
	*rest = bytes_cut(*rest, n, rest->len);
	return true;
}

static const char *
put_list(struct put *p, struct bytes text)
{
	struct setting_list *list = p->where;
	const char         **item;
	size_t               most = 1, count = 0;
	struct bytes         one;

	for (size_t i = 0; i < text.len; i++)
		most += is_between_items(text.at[i]);
	item = arena_take_array(p->settings->life, most, sizeof *item);
	while (text.len > 0) {
		if (!take_item(&text, &one))
			return "a \"{\" is opened and never closed";
		if (one.len > 0)
			item[count++] = arena_copy(p->settings->life, one);
	}
	*list = (struct setting_list){ item, count };
	return NULL;
}

static const char *
put_choice(struct put *p, struct bytes text)
{
	struct bytes rest = bytes_of(p->row->choices), word;
	const char  *among = "";

	for (int i = 0; bytes_split(&rest, ',', &word); i++) {
		word = bytes_trim(word);
		if (bytes_equal_nocase(word, text)) {
			*(int *)p->where = i;
			return NULL;
		}
		if (word.len > 0)
			among = arena_printf(p->scratch, "%s%s%.*s", among, *among ? ", " : "",
			                     (int)word.len, word.at);
		else
			among = arena_printf(p->scratch, "%snothing", *among ? ", " : "");
	}
	return arena_printf(p->scratch, "write one of: %s", among);
}

/* clang-format off */
static const char *(*const put_kind[])(struct put *, struct bytes) = {
	[SETTING_BOOL]   = put_bool,
	[SETTING_NUMBER] = put_number,
	[SETTING_SIZE]   = put_size,
	[SETTING_TIME]   = put_time,
	[SETTING_WORD]   = put_word,
	[SETTING_TEXT]   = put_text,
	[SETTING_LIST]   = put_list,
	[SETTING_CHOICE] = put_choice,
};
/* clang-format on */

/* Expand one raw value and put it in its place. */
static bool
fill_from(struct put *p, const char *listener, const char *raw, const struct entry *entry,
          struct buffer *errors)
{
	struct buffer out = { 0 };
	const char   *fault =
		expand_value(p->settings, listener, p->row->name, raw, p->scratch, &out);
	struct bytes text = bytes_trim(buffer_bytes(&out));

	if (fault == NULL)
		fault = put_kind[p->row->kind](p, text);
	else
		text = bytes_of(raw);
	if (fault != NULL)
		complain(p->settings, errors, entry == NULL ? 0 : entry->line, "%s = %s: %s",
		         entry == NULL ? p->row->name : entry->name, quoted(p->scratch, text).at,
		         fault);
	buffer_free(&out);
	return fault == NULL;
}

static bool
fill_row(struct put *p, const char *listener, struct buffer *errors)
{
	struct entry *entry;
	const char   *raw = raw_value(p->settings, listener, bytes_of(p->row->name), &entry);

	if (fill_from(p, listener, raw, entry, errors))
		return true;
	if (entry != NULL)
		(void)fill_from(p, listener, p->row->standard, NULL, NULL);
	return false;
}

bool
settings_fill(struct settings *s, const struct setting_table *table, const char *listener,
              void *into, struct buffer *errors)
{
	bool good = true;

	know_rows(s, table);
	for (size_t i = 0; i < table->count; i++) {
		struct arena *scratch = arena_open(s->life);
		struct put    p = { .settings = s,
			            .row = &table->row[i],
			            .scratch = scratch,
			            .where = (char *)into + table->row[i].where };
		if (!fill_row(&p, listener, errors))
			good = false;
		arena_close(&scratch);
	}
	return good;
}

/*
 * Unknown names
 */

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

static bool
is_later_name(struct bytes name)
{
	for (size_t i = 0; i < COUNT(later_names); i++)
		if (bytes_equal(name, bytes_of(later_names[i])))
			return true;
	return false;
}

/* All the names a value asks for, those inside ${name?...} too. */
static void
note_asked(struct map *asked, struct bytes text, struct entry *by, int depth)
{
	while (depth < DEPTH_MOST) {
		ptrdiff_t n = bytes_find(text, '$');
		if (n < 0)
			return;
		text = bytes_cut(text, (size_t)n, text.len);
		struct macro m = macro_of(text);
		if (bytes_starts(text, BYTES("$$")))
			m = (struct macro){ .whole = bytes_cut(text, 0, 2) };
		if (m.name.len > 0)
			(void)map_put(asked, m.name, by);
		note_asked(asked, m.then, by, depth + 1);
		note_asked(asked, m.otherwise, by, depth + 1);
		text = bytes_cut(text, m.whole.len, text.len);
	}
}

static void
complain_unknown(const struct settings *s, struct buffer *warnings, const struct entry *e,
                 const char *sign, struct bytes name)
{
	struct bytes near = nearest_name(s, name);

	if (near.len > 0)
		complain(s, warnings, e->line, "%s%.*s is not a setting; did you mean %s%.*s?",
		         sign, (int)name.len, name.at, sign, (int)near.len, near.at);
	else
		complain(s, warnings, e->line,
		         "%s%.*s is not a setting; those there are stand in main.cf(5)", sign,
		         (int)name.len, name.at);
}

bool
settings_unknown(struct settings *s, struct buffer *warnings)
{
	struct map *asked = map_open();
	bool        found = false;

	for (size_t i = 0; i < s->count; i++)
		note_asked(asked, bytes_of(s->counting[i]->value), s->counting[i], 0);
	for (size_t i = 0; i < s->count; i++) {
		struct bytes name = bytes_of(s->counting[i]->name);
		ptrdiff_t    slash = bytes_find(name, '/');
		name = bytes_cut(name, (size_t)(slash + 1), name.len);
		if (row_find(s, name) != NULL || map_get(asked, name) != NULL)
			continue;
		complain_unknown(s, warnings, s->counting[i], "", name);
		found = true;
	}
	for (struct map_place p = { 0 }; map_next(asked, &p);) {
		if (row_find(s, p.key) != NULL || entry_find(s, p.key) != NULL ||
		    is_later_name(p.key))
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
