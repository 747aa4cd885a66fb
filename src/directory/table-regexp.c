/*
 * regexp and pcre: /pattern/flags result, with $1 and ${1} in the result
 *
 * Both are PCRE's, without its just-in-time compiler: the cage of a role lets nobody make code
 * at run time (role/syscalls.c).  What the one pattern may cost for one key is bounded.
 */
#include "directory/table_inner.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/journal.h"

enum {
	STEPS_MOST = 1000000, /* some ten milliseconds */
	HEAP_MOST_KIB = 20480,
	GROUPS_MOST = 99,
	LONGEST_ROOM = 4096, /* words for the search of the longest match */
};

struct expression {
	pcre2_code *code;
	uint32_t    groups;
	bool        longest; /* of several ways to match from one place */
};

struct flag {
	char     letter;
	uint32_t turns;
};
/* clang-format off */
static const struct flag pcre_flags[] = {
	{ 'i', PCRE2_CASELESS }, { 'm', PCRE2_MULTILINE }, { 's', PCRE2_DOTALL },
	{ 'x', PCRE2_EXTENDED }, { 'A', PCRE2_ANCHORED }, { 'E', PCRE2_DOLLAR_ENDONLY },
	{ 'U', PCRE2_UNGREEDY }, { 'X', 0 }, { '\0', 0 },
};
/* For regexp: the bits are our own words for what regcomp(3) would be told. */
enum { POSIX_FOLD = 1, POSIX_LINES = 2, POSIX_EXTENDED = 4 };
static const struct flag posix_flags[] = {
	{ 'i', POSIX_FOLD }, { 'm', POSIX_LINES }, { 'x', POSIX_EXTENDED }, { '\0', 0 },
};
/* clang-format on */

/*
 * Patterns
 */

/* delimiter *( "\" any / any but the delimiter ) delimiter ; -1 when the second is not there */
static ptrdiff_t
delimited(struct bytes line)
{
	for (size_t n = 1; n < line.len; n++) {
		if (line.at[n] == line.at[0])
			return (ptrdiff_t)n;
		n += line.at[n] == '\\';
	}
	return -1;
}

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

/* Takes "/pattern/flags" off the front; each flag turns what it stands for. */
static const char *
take_delimited(struct bytes *line, struct arena *arena, const struct flag *flags, uint32_t *options,
               struct bytes *pattern)
{
	ptrdiff_t end = line->len == 0 || is_alnum(line->at[0]) ? -1 : delimited(*line);
	char      shown[64];

	if (end < 0)
		return arena_printf(
			arena, "\"%s\" is no pattern between delimiters; write /pattern/ result",
			table_shown(*line, shown));
	*pattern = bytes_cut(*line, 1, (size_t)end - 1);
	*line = bytes_cut(*line, (size_t)end + 1, line->len);
	while (line->len > 0 && !table_is_blank(line->at[0])) {
		const struct flag *f = flags;
		while (f->letter != '\0' && f->letter != line->at[0])
			f++;
		if (f->letter == '\0')
			return arena_printf(
				arena,
				"\"%s\" is no flag; write a blank behind the pattern's second delimiter, "
				"and \\ before a delimiter in the pattern",
				table_shown(bytes_cut(*line, 0, 1), shown));
		*options ^= f->turns;
		*line = bytes_cut(*line, 1, line->len);
	}
	return NULL;
}

static const char *
compile(struct bytes pattern, uint32_t options, struct arena *arena, void **out)
{
	int                code;
	size_t             at;
	unsigned char      words[256];
	struct expression *e = memory_take(sizeof *e);

	e->code = pcre2_compile((PCRE2_SPTR)pattern.at, pattern.len,
	                        options | PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &at,
	                        NULL);
	if (e->code == NULL) {
		memory_free(e);
		(void)pcre2_get_error_message(code, words, sizeof words);
		return arena_printf(arena, "the pattern is wrong at its byte %zu: %s", at, words);
	}
	(void)pcre2_pattern_info(e->code, PCRE2_INFO_CAPTURECOUNT, &e->groups);
	*out = e;
	return NULL;
}

static const char *
take_pcre(struct bytes *line, struct arena *arena, void **pattern)
{
	uint32_t     options = PCRE2_CASELESS | PCRE2_DOTALL;
	struct bytes text;
	const char  *why = take_delimited(line, arena, pcre_flags, &options, &text);

	return why != NULL ? why : compile(text, options, arena, pattern);
}

static const char *
take_regexp(struct bytes *line, struct arena *arena, void **pattern)
{
	uint32_t           how = POSIX_FOLD | POSIX_EXTENDED, options;
	struct buffer      said = { 0 };
	struct bytes       text;
	struct expression *e;
	const char        *why = take_delimited(line, arena, posix_flags, &how, &text);

	if (why == NULL)
		why = table_posix(text, (how & POSIX_EXTENDED) == 0, (how & POSIX_LINES) != 0,
		                  &said);
	options = (how & POSIX_LINES) != 0 ? PCRE2_MULTILINE : PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY;
	if ((how & POSIX_FOLD) != 0)
		options |= PCRE2_CASELESS;
	if (why == NULL)
		why = compile(buffer_bytes(&said), options, arena, pattern);
	if (why == NULL) {
		e = *pattern;
		e->longest = e->groups > 0;
	}
	buffer_free(&said);
	return why;
}

static void
drop(void *pattern)
{
	struct expression *e = pattern;

	pcre2_code_free(e->code);
	memory_free(e);
}

/*
 * Results
 */

/* "$1", "${1}", "$(1)" or "$$" at the front, which begins with the dollar: its length, and the
   number (-1 for $$); 0 when it is none of these. */
static size_t
take_reference(struct bytes b, long *number)
{
	char   close = b.len > 1 && b.at[1] == '{' ? '}' : b.len > 1 && b.at[1] == '(' ? ')' : '\0';
	size_t n = close == '\0' ? 1 : 2, from = n;

	*number = -1;
	if (b.len > 1 && b.at[1] == '$')
		return 2;
	for (; n < b.len && b.at[n] >= '0' && b.at[n] <= '9' && n - from < 4; n++)
		*number = (n == from ? 0 : *number * 10) + (b.at[n] - '0');
	if (n == from || (close != '\0' && (n >= b.len || b.at[n] != close)) ||
	    (close == '\0' && n < b.len && (is_alnum(b.at[n]) || b.at[n] == '_')))
		return 0;
	return close == '\0' ? n : n + 1;
}

static const char *
check_result(const struct table_rule *rule, struct arena *arena)
{
	const struct expression *e = rule->pattern;
	struct bytes             rest = rule->result;
	ptrdiff_t                dollar;
	size_t                   n;
	long                     number;

	while ((dollar = bytes_find(rest, '$')) >= 0) {
		rest = bytes_cut(rest, (size_t)dollar, rest.len);
		if ((n = take_reference(rest, &number)) == 0)
			return "a \"$\" has no number behind it; write $1, ${1}, or $$ for the sign itself";
		if (number >= 0 && rule->negated)
			return "a pattern with ! before it matches nothing that $1 could stand for";
		if (number > (long)e->groups || number == 0 || number > GROUPS_MOST)
			return arena_printf(arena, "there is no group %ld; the pattern has %u",
			                    number, e->groups);
		rest = bytes_cut(rest, n, rest.len);
	}
	return NULL;
}

/* The matching of one key by one thread. */
struct matching {
	pcre2_match_data    *data;
	pcre2_match_context *limits;
};

static enum table_fit
fits(const struct table_rule *rule, struct bytes key, void *how)
{
	const struct expression *e = rule->pattern;
	struct matching         *m = how;
	int n = pcre2_match(e->code, (PCRE2_SPTR)key.at, key.len, 0, 0, m->data, m->limits);

	if (n < 0 && n != PCRE2_ERROR_NOMATCH)
		return TABLE_FITS_LATER;
	return (n >= 0) != rule->negated ? TABLE_FITS : TABLE_FITS_NOT;
}

/*
 * regex(7): of the matches that begin first the longest holds, and PCRE gave the first it met.  How far
 * it goes the other way of matching finds, which knows of no groups; they are of a match up to there.
 * Where that way is barred (\1, too much to keep in mind) the first match holds.
 */
static void
lengthen(const struct expression *e, struct bytes key, struct matching *m)
{
	int               space[LONGEST_ROOM];
	PCRE2_SIZE        from = pcre2_get_ovector_pointer(m->data)[0];
	PCRE2_SIZE        to = pcre2_get_ovector_pointer(m->data)[1], far;
	pcre2_match_data *other = pcre2_match_data_create(GROUPS_MOST + 1, NULL), *first = m->data;

	if (other == NULL)
		panic("out of memory for a regular expression");
	if (pcre2_dfa_match(e->code, (PCRE2_SPTR)key.at, key.len, from, PCRE2_ANCHORED, other,
	                    m->limits, space, LONGEST_ROOM) >= 0 &&
	    (far = pcre2_get_ovector_pointer(other)[1]) > to &&
	    pcre2_match(e->code, (PCRE2_SPTR)key.at, far, from,
	                PCRE2_ANCHORED | PCRE2_ENDANCHORED | (far < key.len ? PCRE2_NOTEOL : 0),
	                other, m->limits) >= 0) {
		m->data = other;
		other = first;
	}
	pcre2_match_data_free(other);
}

/* A group that took no part is empty. */
static void
add_group(struct buffer *out, const struct matching *m, struct bytes key, long number)
{
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(m->data);
	PCRE2_SIZE        from = at[2 * number], to = at[2 * number + 1];

	if (from != PCRE2_UNSET && from < to && to <= key.len)
		buffer_add(out, bytes_cut(key, from, to - from));
}

static struct bytes
filled_in(const struct table_rule *rule, const struct matching *m, struct bytes key,
          struct arena *arena)
{
	struct bytes  rest = rule->result;
	struct buffer out = { 0 };
	ptrdiff_t     dollar;
	long          number;

	if (bytes_find(rest, '$') < 0)
		return arena_keep(arena, rest);
	while ((dollar = bytes_find(rest, '$')) >= 0) {
		buffer_add(&out, bytes_cut(rest, 0, (size_t)dollar));
		rest = bytes_cut(rest, (size_t)dollar, rest.len);
		size_t n = take_reference(rest, &number);
		if (number < 0)
			buffer_add_char(&out, '$');
		else
			add_group(&out, m, key, number);
		rest = bytes_cut(rest, n, rest.len);
	}
	buffer_add(&out, rest);
	rest = arena_keep(arena, bytes_cut(buffer_bytes(&out), 0, TABLE_VALUE_MOST));
	buffer_free(&out);
	return rest;
}

/*
 * The types
 */

static const struct table_rules_kind perl = {
	.type = "pcre",
	.take = take_pcre,
	.result = check_result,
	.fits = fits,
	.drop = drop,
};
static const struct table_rules_kind posix = {
	.type = "regexp",
	.take = take_regexp,
	.result = check_result,
	.fits = fits,
	.drop = drop,
};

static void *
pcre_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
          struct buffer *errors, struct buffer *warnings)
{
	(void)grammar;
	(void)warnings;
	return table_rules_open(&perl, name, source, errors);
}

static void *
regexp_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
            struct buffer *errors, struct buffer *warnings)
{
	(void)grammar;
	(void)warnings;
	return table_rules_open(&posix, name, source, errors);
}

static enum table_outcome
find(void *own, struct bytes key, struct arena *arena, struct bytes *value)
{
	enum table_outcome       outcome = TABLE_LATER;
	const struct table_rule *rule;
	struct matching          m = { pcre2_match_data_create(GROUPS_MOST + 1, NULL),
		                       pcre2_match_context_create(NULL) };

	if (m.data == NULL || m.limits == NULL)
		panic("out of memory for a regular expression");
	(void)pcre2_set_match_limit(m.limits, STEPS_MOST);
	(void)pcre2_set_depth_limit(m.limits, STEPS_MOST);
	(void)pcre2_set_heap_limit(m.limits, HEAP_MOST_KIB);
	rule = table_rules_find(own, key, &m, &outcome, arena, value);
	if (rule != NULL && !rule->negated && bytes_find(rule->result, '$') >= 0 &&
	    ((const struct expression *)rule->pattern)->longest)
		lengthen(rule->pattern, key, &m);
	if (rule != NULL)
		*value = filled_in(rule, &m, key, arena);
	pcre2_match_data_free(m.data);
	pcre2_match_context_free(m.limits);
	return outcome;
}

static void
rules_close(void *own)
{
	table_rules_close(own);
}

/* clang-format off */
const struct table_type table_pcre = { .name = "pcre", .file = true, .pattern = true,
	.open = pcre_open, .find = find, .close = rules_close };
const struct table_type table_regexp = { .name = "regexp", .file = true, .pattern = true,
	.open = regexp_open, .find = find, .close = rules_close };
/* clang-format on */
