#include "base/setting_inner.h"

#include <string.h>

#include "base/journal.h"

#define STEPS_MOST 10000             /* names looked up for one value */
#define VALUE_MOST ((size_t)1 << 20) /* bytes of one expanded value */

static bool
is_plain_name_char(char c)
{
	return setting_is_name_char(c) && c != '-';
}

/* The length of "{...}" or "(...)" at the front, brackets inside it counted;
   0 if it does not end. */
size_t
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

/* comparison = "{" text "}" ( "==" / "!=" / "<=" / "<" / ">=" / ">" ) [ "level" ] "{" text "}", taken off the front. */
static bool
macro_comparison(struct macro *m, struct bytes *rest)
{
	static const char *const signs[] = { "==", "!=", "<=", ">=", "<", ">" };

	if (!take_braced(rest, &m->left))
		return false;
	for (size_t i = 0; i < COUNT(signs) && m->sign == NULL; i++)
		if (bytes_starts(*rest, bytes_of(signs[i])))
			m->sign = signs[i];
	if (m->sign == NULL)
		return false;
	*rest = bytes_cut(*rest, strlen(m->sign), rest->len);
	m->levels = bytes_starts(*rest, BYTES("level"));
	*rest = bytes_cut(*rest, m->levels ? 5 : 0, rest->len);
	return take_braced(rest, &m->right);
}

static int
compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* "3.10" is behind "3.9"; what is not there is 0. */
static int
compare_levels(struct bytes left, struct bytes right)
{
	struct bytes one;
	int          order = 0;

	while (order == 0 && (left.len > 0 || right.len > 0)) {
		uint64_t a = 0, b = 0;

		if (bytes_split(&left, '.', &one))
			(void)bytes_number(one, &a);
		if (bytes_split(&right, '.', &one))
			(void)bytes_number(one, &b);
		order = compare_numbers(a, b);
	}
	return order;
}

/* As numbers where both are such, as Postfix has it. */
static int
compare(struct bytes left, struct bytes right)
{
	size_t   n = left.len < right.len ? left.len : right.len;
	uint64_t a, b;
	int      order;

	if (bytes_number(left, &a) && bytes_number(right, &b))
		return compare_numbers(a, b);
	order = n > 0 ? memcmp(left.at, right.at, n) : 0;
	return order != 0 ? order : compare_numbers(left.len, right.len);
}

bool
macro_holds(const struct macro *m, struct bytes left, struct bytes right)
{
	int  order = m->levels ? compare_levels(bytes_trim(left), bytes_trim(right))
	                       : compare(bytes_trim(left), bytes_trim(right));
	char first = m->sign[0];
	bool same = m->sign[1] == '=';

	if (first == '!')
		return order != 0;
	return (first == '<' && order < 0) || (first == '>' && order > 0) || (same && order == 0);
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
struct macro
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
		n = name_length(inside, setting_is_name_char);
		m.name = bytes_cut(inside, 0, n);
		rest = bytes_trim(bytes_cut(inside, n, inside.len));
		if (inside.len > 0 && inside.at[0] == '{') {
			n = macro_comparison(&m, &rest) ? 1 : 0;
			if (n == 0) {
				m.sign = NULL;
				m.fault = "write ${{text} == {text} ? {text} : {text}}, with "
					  "==, !=, <, <=, > or >=";
				return m;
			}
		}
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
const char *
setting_raw(struct settings *s, const char *listener, struct bytes name, struct entry **entry)
{
	struct entry         *e = NULL;
	const struct setting *row;

	if (listener != NULL) {
		struct buffer full = { 0 };
		buffer_add_string(&full, listener);
		buffer_add_char(&full, '/');
		buffer_add(&full, name);
		e = setting_entry_find(s, buffer_bytes(&full));
		buffer_free(&full);
	}
	if (e == NULL)
		e = setting_entry_find(s, name);
	*entry = e;
	if (e != NULL)
		return e->value;
	if (s->stress && bytes_equal(name, BYTES("stress")))
		return "yes";
	row = setting_row_find(s, name);
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
expand_comparison(struct expansion *x, const struct macro *m, const struct within *w)
{
	size_t before = x->out->len, middle;
	bool   holds = false;

	expand(x, m->left, w);
	middle = x->out->len;
	expand(x, m->right, w);
	if (x->fault == NULL)
		holds = macro_holds(m, bytes_cut(buffer_bytes(x->out), before, middle - before),
		                    bytes_cut(buffer_bytes(x->out), middle, SIZE_MAX));
	x->out->len = before;
	if (m->asks)
		expand(x, holds ? m->then : m->otherwise, w);
	else if (holds)
		buffer_add_string(x->out, "true");
}

static void
expand_macro(struct expansion *x, const struct macro *m, const struct within *w)
{
	struct entry *entry;
	const char   *raw = setting_raw(x->settings, x->listener, m->name, &entry);
	size_t        before = x->out->len;

	if (m->sign != NULL) {
		expand_comparison(x, m, w);
		return;
	}
	if (raw == NULL && (!m->asks || setting_is_later_name(m->name))) {
		buffer_add(x->out, m->whole); /* somebody may know it later */
		return;
	}
	if (raw != NULL)
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
	if (++x->depth > SETTING_DEPTH_MOST)
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

bool
setting_is_for_shell(const struct settings *s, struct bytes name)
{
	const struct setting *row = setting_row_find(s, name);

	return row != NULL && row->kind == SETTING_TEXT && row->choices != NULL &&
	       strcmp(row->choices, "shell") == 0;
}

/* The expanded text in *out.  NULL, or what is wrong, from the scratch. */
const char *
setting_expand(struct settings *s, const char *listener, const char *name, const char *raw,
               struct arena *scratch, struct buffer *out)
{
	struct expansion x = {
		.settings = s, .listener = listener, .out = out, .scratch = scratch
	};

	if (setting_is_for_shell(s, bytes_of(name))) {
		buffer_add_string(out, raw);
		return NULL;
	}
	expand_name(&x, raw, bytes_of(name), NULL);
	return x.fault;
}

struct later {
	bool (*know)(void *ctx, struct bytes name, struct bytes *value);
	void          *ctx;
	struct buffer *out;
	int            steps, depth;
};

static void expand_later(struct later *, struct bytes text);

static void
compare_later(struct later *x, const struct macro *m)
{
	size_t before = x->out->len, middle;
	bool   holds;

	expand_later(x, m->left);
	middle = x->out->len;
	expand_later(x, m->right);
	holds = macro_holds(m, bytes_cut(buffer_bytes(x->out), before, middle - before),
	                    bytes_cut(buffer_bytes(x->out), middle, SIZE_MAX));
	x->out->len = before;
	if (m->asks)
		expand_later(x, holds ? m->then : m->otherwise);
	else if (holds)
		buffer_add_string(x->out, "true");
}

static void
expand_later(struct later *x, struct bytes text)
{
	if (++x->depth > SETTING_DEPTH_MOST)
		text.len = 0;
	while (text.len > 0 && ++x->steps <= STEPS_MOST && x->out->len <= VALUE_MOST) {
		ptrdiff_t    n = bytes_find(text, '$');
		struct macro m;
		struct bytes value = { "", 0 };
		buffer_add(x->out, bytes_cut(text, 0, n < 0 ? text.len : (size_t)n));
		if (n < 0)
			break;
		text = bytes_cut(text, (size_t)n, text.len);
		if (bytes_starts(text, BYTES("$$"))) {
			buffer_add_char(x->out, '$');
			text = bytes_cut(text, 2, text.len);
			continue;
		}
		m = macro_of(text);
		text = bytes_cut(text, m.whole.len, text.len);
		if (m.fault != NULL) {
			buffer_add(x->out, m.whole);
			continue;
		}
		if (m.sign != NULL) {
			compare_later(x, &m);
			continue;
		}
		if (!x->know(x->ctx, m.name, &value))
			value.len = 0;
		if (m.asks)
			expand_later(x, value.len > 0 ? m.then : m.otherwise);
		else
			buffer_add(x->out, value);
	}
	x->depth--;
}

void
settings_expand_later(struct bytes text,
                      bool (*know)(void *ctx, struct bytes name, struct bytes *value), void *ctx,
                      struct buffer *out)
{
	struct later x = { .know = know, .ctx = ctx, .out = out };

	expand_later(&x, text);
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
		raw = setting_raw(s, listener, bytes_of(slash + 1), &entry);
	} else {
		raw = setting_raw(s, NULL, bytes_of(name), &entry);
	}
	if (raw == NULL) {
		arena_close(&scratch);
		return NULL;
	}
	(void)setting_expand(s, listener, slash == NULL ? name : slash + 1, raw, scratch, &out);
	value = arena_copy(s->life, buffer_bytes(&out));
	buffer_free(&out);
	arena_close(&scratch);
	(void)map_put(s->expanded, bytes_of(name), value);
	return value;
}
