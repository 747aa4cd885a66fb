#include "access/imap/grammar.h"

#include <string.h>

#include "message/encoding.h"

/* atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials */
bool
is_atom_char(char c)
{
	return c > ' ' && c < 127 && strchr("(){%*\"\\]", c) == NULL;
}

bool
is_astring_char(char c)
{
	return is_atom_char(c) || c == ']';
}

/* tag = 1*<any ASTRING-CHAR except "+"> */
bool
is_tag_char(char c)
{
	return is_astring_char(c) && c != '+';
}

static bool
is_list_char(char c)
{
	return is_astring_char(c) || c == '%' || c == '*';
}

void
read_space(struct scan *r)
{
	if (!scan_skip(r, ' '))
		scan_fail(r, "a space");
}

struct bytes
read_atom(struct scan *r)
{
	struct bytes atom = scan_while(r, is_atom_char);

	if (atom.len == 0)
		scan_fail(r, "an atom");
	return atom;
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE; 8-bit bytes are let through, NUL CR LF are not. */
struct bytes
read_quoted(struct scan *r, struct arena *arena)
{
	struct bytes all = r->rest;
	size_t       i = 1, n = 0;
	char        *out = NULL;

	if (!scan_ok(r) || !scan_next_is(r, '"')) {
		scan_fail(r, "a quoted string");
		return (struct bytes){ 0 };
	}
	for (; i < all.len && all.at[i] != '"'; i++, n++) {
		char c = all.at[i];
		if (c == '\\' && out == NULL) {
			out = arena_take(arena, all.len);
			memcpy(out, all.at + 1, n);
		}
		if (c == '\\' && ++i < all.len && (c = all.at[i]) != '"' && c != '\\')
			break;
		if (c == '\0' || c == '\r' || c == '\n')
			break;
		if (out != NULL)
			out[n] = c;
	}
	if (i >= all.len || all.at[i] != '"') {
		scan_fail(r, "a quoted string");
		return (struct bytes){ 0 };
	}
	(void)scan_take(r, i + 1);
	return (struct bytes){ out != NULL ? out : all.at + 1, n };
}

/* literal = "{" number ["+"] "}" CRLF *CHAR8; the NULs of rfc3501 are refused. */
struct bytes
read_literal(struct scan *r)
{
	struct bytes body;
	uint64_t     size;

	scan_expect(r, "{");
	size = scan_number(r, UINT32_MAX);
	(void)scan_skip(r, '+');
	scan_expect(r, "}\r\n");
	body = scan_take(r, size);
	if (scan_ok(r) && bytes_find(body, '\0') >= 0)
		scan_fail(r, "a literal without NUL");
	return body;
}

struct bytes
read_string(struct scan *r, struct arena *arena)
{
	if (scan_next_is(r, '{'))
		return read_literal(r);
	return read_quoted(r, arena);
}

static struct bytes
word_or_string(struct scan *r, struct arena *arena, bool (*is)(char), const char *expected)
{
	if (scan_next_is(r, '"') || scan_next_is(r, '{'))
		return read_string(r, arena);
	struct bytes word = scan_while(r, is);
	if (word.len == 0)
		scan_fail(r, expected);
	return word;
}

struct bytes
read_astring(struct scan *r, struct arena *arena)
{
	return word_or_string(r, arena, is_astring_char, "a string");
}

struct bytes
read_nstring(struct scan *r, struct arena *arena, bool *nil)
{
	*nil = !scan_next_is(r, '"') && !scan_next_is(r, '{');
	if (!*nil)
		return read_string(r, arena);
	scan_expect(r, "NIL");
	return (struct bytes){ 0 };
}

struct bytes
read_list_mailbox(struct scan *r, struct arena *arena)
{
	return word_or_string(r, arena, is_list_char, "a mailbox pattern");
}

uint32_t
read_nz_number(struct scan *r)
{
	uint64_t n = scan_number(r, UINT32_MAX);

	if (scan_ok(r) && n == 0)
		scan_fail(r, "a number above 0");
	return (uint32_t)n;
}

/* mod-sequence-valzer   rfc7162:7 */
uint64_t
read_modseq(struct scan *r)
{
	return scan_number(r, INT64_MAX);
}

/* A name people can read: no controls, however they were coded, and no line or paragraph
   separators (rfc6855:3). */
static bool
is_plain(struct bytes name)
{
	while (name.len > 0) {
		uint32_t rune;
		size_t   n = bytes_utf8(name, &rune);
		if (n == 0 || rune < ' ' || (rune >= 0x7f && rune < 0xa0) || rune == 0x2028 ||
		    rune == 0x2029)
			return false;
		name = bytes_cut(name, n, name.len);
	}
	return true;
}

static bool
name_decode(struct bytes coded, bool utf8, struct buffer *name)
{
	if (!utf8)
		return utf7_to_utf8(coded, name);
	buffer_add(name, coded);
	return true;
}

const char *
mailbox_name_of(struct bytes coded, struct arena *arena, bool utf8)
{
	struct buffer name = { 0 };
	const char   *result = NULL;

	if (bytes_is(coded, "INBOX"))
		return "INBOX";
	if (name_decode(coded, utf8, &name) && is_plain(buffer_bytes(&name))) {
		/* The first level is INBOX in any case. */
		if (name.len > 6 && name.at[5] == '/' &&
		    bytes_starts_nocase(buffer_bytes(&name), BYTES("INBOX")))
			memcpy(name.at, "INBOX", 5);
		result = arena_copy(arena, buffer_bytes(&name));
	}
	buffer_free(&name);
	return result;
}

/* mailbox = "INBOX" / astring */
const char *
read_mailbox(struct scan *r, struct arena *arena, bool utf8)
{
	struct bytes coded = read_astring(r, arena);
	const char  *name = scan_ok(r) ? mailbox_name_of(coded, arena, utf8) : NULL;

	if (name == NULL)
		scan_fail(r, utf8 ? "a mailbox name in UTF-8" : "a mailbox name in modified UTF-7");
	return name;
}

static uint32_t
seq_number(struct scan *r, bool *star)
{
	*star = scan_skip(r, '*');
	return *star ? UINT32_MAX : read_nz_number(r);
}

/* sequence-set = (seq-number / seq-range) *("," sequence-set) */
struct sequence
read_sequence(struct scan *r, struct arena *arena)
{
	struct sequence s = { 0 };
	size_t          most = 1;

	for (size_t i = 0; i < r->rest.len && r->rest.at[i] != ' ' && most <= SEQUENCE_RANGES_MOST;
	     i++)
		most += r->rest.at[i] == ',';
	if (most > SEQUENCE_RANGES_MOST)
		scan_fail(r, "fewer ranges in the sequence set");
	if (!scan_ok(r))
		return s;
	/* seq-last-command = "$"   rfc5182:5 */
	s.saved = scan_skip(r, '$');
	if (s.saved)
		return s;
	s.range = arena_take_array(arena, most, sizeof *s.range);
	do {
		struct sequence_range *one = &s.range[s.count++];
		one->first = one->last = seq_number(r, &one->first_star);
		one->last_star = one->first_star;
		if (scan_skip(r, ':'))
			one->last = seq_number(r, &one->last_star);
	} while (scan_ok(r) && scan_skip(r, ','));
	return s;
}

/* flag = "\Answered" / ... / flag-keyword; \Recent is the server's alone. */
static void
read_flag(struct scan *r, struct flag_words *out)
{
	static const struct {
		const char *word;
		uint64_t    flag;
	} known[] = {
		{ "Answered", FLAG_ANSWERED }, { "Flagged", FLAG_FLAGGED },
		{ "Deleted", FLAG_DELETED },   { "Seen", FLAG_SEEN },
		{ "Draft", FLAG_DRAFT },
	};
	bool         system = scan_skip(r, '\\');
	struct bytes word = read_atom(r);

	if (!scan_ok(r))
		return;
	if (!system) {
		if (out->keywords == FLAGS_MOST)
			scan_fail(r, "fewer flags");
		else
			out->keyword[out->keywords++] = word;
		return;
	}
	for (size_t i = 0; i < COUNT(known); i++)
		if (bytes_is(word, known[i].word)) {
			out->system |= known[i].flag;
			return;
		}
	scan_fail(r, "a flag a client may set");
}

/* flag-list = "(" [flag *(SP flag)] ")" */
struct flag_words
read_flag_list(struct scan *r, struct arena *arena)
{
	struct flag_words flags = { 0 };

	flags.keyword = arena_take_array(arena, FLAGS_MOST, sizeof *flags.keyword);
	scan_expect(r, "(");
	if (scan_skip(r, ')'))
		return flags;
	do
		read_flag(r, &flags);
	while (scan_ok(r) && scan_skip(r, ' '));
	scan_expect(r, ")");
	return flags;
}

struct flag_words
read_flags(struct scan *r, struct arena *arena)
{
	struct flag_words flags = { 0 };

	if (scan_next_is(r, '('))
		return read_flag_list(r, arena);
	flags.keyword = arena_take_array(arena, FLAGS_MOST, sizeof *flags.keyword);
	do
		read_flag(r, &flags);
	while (scan_ok(r) && scan_skip(r, ' '));
	return flags;
}

bool
literal_announced(struct bytes line, uint64_t *size, bool *waits)
{
	ptrdiff_t    open = bytes_find_last(line, '{');
	struct bytes number;

	if (open < 0 || line.at[line.len - 1] != '}')
		return false;
	number = bytes_cut(line, (size_t)open + 1, line.len - (size_t)open - 2);
	*waits = number.len == 0 || number.at[number.len - 1] != '+';
	if (!*waits)
		number.len--;
	return bytes_number(number, size);
}
