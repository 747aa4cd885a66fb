#include "base/setting_inner.h"

#include "base/journal.h"
#include "base/variable.h"
#include <string.h>
#include <sys/sysinfo.h>

/*
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

/* A port may go by its name. */
static bool
take_port(const struct setting *row, struct bytes text, int64_t *n)
{
	static const struct {
		const char *name;
		int64_t     port;
	} names[] = { { "smtp", 25 },
		      { "submission", 587 },
		      { "smtps", 465 },
		      { "submissions", 465 },
		      { "lmtp", 24 } };

	for (size_t i = 0;
	     row->choices != NULL && strcmp(row->choices, "ports") == 0 && i < COUNT(names); i++)
		if (bytes_is(text, names[i].name)) {
			*n = names[i].port;
			return true;
		}
	return false;
}

static const char *
put_number(struct put *p, struct bytes text)
{
	struct bytes rest;
	int64_t      n;

	if (take_port(p->row, text, &n))
		return put_number_within(p, n);
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

/* A hundredth of the machine's memory, of which a row whose choices are "memory" may be so many. */
static int64_t
memory_hundredth(void)
{
	struct sysinfo machine;

	return sysinfo(&machine) == 0
	               ? (int64_t)((uint64_t)machine.totalram * machine.mem_unit / 100)
	               : 0;
}

static const char *
put_size(struct put *p, struct bytes text)
{
	struct bytes rest;
	int64_t      n;

	if (p->row->choices != NULL && take_number(text, &n, &rest) && bytes_is(rest, "%")) {
		if (n < 0 || n > 100)
			return "write something from 0% to 100%";
		n *= memory_hundredth();
		return put_number_within(p,
		                         p->row->most > 0 && n > p->row->most ? p->row->most : n);
	}
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
	const char *kept = arena_copy(p->settings->life, text);

	if (p->row->choices != NULL && strcmp(p->row->choices, "variables") == 0)
		kept = variable_shorten(kept, p->settings->life);
	*(const char **)p->where = kept;
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
bool
setting_item(struct bytes *rest, struct bytes *item)
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
		if (!setting_item(&text, &one))
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
	[SETTING_TABLES] = put_list,
	[SETTING_MATCHES] = put_list,
	[SETTING_RULES] = put_list,
};
/* clang-format on */

/* Expand one raw value and put it in its place. */
static bool
fill_from(struct put *p, const char *listener, const char *raw, const struct entry *entry,
          struct buffer *errors)
{
	struct buffer out = { 0 };
	const char   *fault =
		setting_expand(p->settings, listener, p->row->name, raw, p->scratch, &out);
	struct bytes text = bytes_trim(buffer_bytes(&out));

	if (fault == NULL)
		fault = put_kind[p->row->kind](p, text);
	else
		text = bytes_of(raw);
	/* A standard is wrong only by what it names, and that was complained of where it stands. */
	if (fault != NULL && (entry != NULL || (errors != NULL && errors->len == 0)))
		setting_complain(p->settings, errors, entry == NULL ? 0 : entry->line,
		                 "%s = %s: %s", entry == NULL ? p->row->name : entry->name,
		                 setting_quoted(p->scratch, text).at, fault);
	buffer_free(&out);
	return fault == NULL;
}

static bool
fill_row(struct put *p, const char *listener, struct buffer *errors)
{
	struct entry *entry;
	const char   *raw = setting_raw(p->settings, listener, bytes_of(p->row->name), &entry);

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

	setting_know_rows(s, table);
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
