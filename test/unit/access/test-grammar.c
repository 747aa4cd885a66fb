/* The productions that several IMAP commands share, and LIST patterns. */
#include "unit.h"

#include <string.h>

#include "access/imap/grammar.h"
#include "access/imap/pattern.h"
#include "access/imap/program.h"
#include "access/imap/ranges.h"
#include "access/imap/section.h"
#include "access/imap/write.h"

static struct bytes
view(const char *text, size_t len)
{
	return (struct bytes){ text, len };
}

#define TEXT(literal) { literal, sizeof(literal) - 1 }

struct string_case { const char *why; struct bytes in; const char *out; size_t rest; };
static const struct string_case astrings[] = {
	{ "rfc3501:9 atom",                     TEXT("INBOX x"),            "INBOX", 2 },
	{ "rfc3501:9 ] is an ASTRING-CHAR",     TEXT("a]b"),                "a]b",   0 },
	{ "rfc3501:9 quoted",                   TEXT("\"a b\""),            "a b",   0 },
	{ "rfc3501:9 quoted-specials",          TEXT("\"a\\\"b\\\\\" z"),   "a\"b\\", 2 },
	{ "rfc3501:9 empty quoted",             TEXT("\"\""),               "",      0 },
	{ "rfc3501:9 literal",                  TEXT("{3}\r\na\"b x"),      "a\"b",  2 },
	{ "rfc7888:4 literal+",                 TEXT("{2+}\r\n()"),         "()",    0 },
	{ "rfc3501:9 empty literal",            TEXT("{0}\r\n"),            "",      0 },
	{ "rfc3501:9 only \" and \\ escape",    TEXT("\"a\\b\""),           NULL,    0 },
	{ "rfc3501:9 quoted has an end",        TEXT("\"abc"),              NULL,    0 },
	{ "rfc3501:9 quoted ends in a \\",      TEXT("\"abc\\"),            NULL,    0 },
	{ "threats: NUL in a quoted string",    TEXT("\"a\0b\""),           NULL,    0 },
	{ "threats: NUL in a literal",          TEXT("{3}\r\na\0b"),        NULL,    0 },
	{ "rfc3501:9 no CR in quoted",          TEXT("\"a\rb\""),           NULL,    0 },
	{ "rfc3501:9 literal is whole",         TEXT("{5}\r\nabc"),         NULL,    0 },
	{ "rfc3501:9 literal number",           TEXT("{x}\r\nabc"),         NULL,    0 },
	{ "rfc3501:9 * is no ASTRING-CHAR",     TEXT("*"),                  NULL,    0 },
	{ "rfc3501:9 parentheses are not",      TEXT("(a)"),                NULL,    0 },
	{ "rfc3501:9 nothing is no astring",    TEXT(""),                   NULL,    0 },
	{ "rfc3501:9 8-bit is not in an atom",  TEXT("\303\244"),           NULL,    0 },
};

static void
test_astring(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(astrings); i++) {
		const struct string_case *c = &astrings[i];
		struct arena *arena = arena_open(NULL);
		struct scan r = scan_of(c->in);
		struct bytes got = read_astring(&r, arena);
		HOLDS(c->why, scan_ok(&r) == (c->out != NULL));
		if (c->out != NULL) {
			SAME(c->why, got, bytes_of(c->out));
			HOLDS(c->why, r.rest.len == c->rest);
		}
		arena_close(&arena);
	}
}

struct sequence_case { const char *why, *in; const char *out; };
static const struct sequence_case sequences[] = {
	{ "rfc3501:9 one",             "1",          "1:1 " },
	{ "rfc3501:9 range",           "2:4",        "2:4 " },
	{ "rfc3501:9 star",            "*",          "*:* " },
	{ "rfc3501:9 to the star",     "3:*",        "3:* " },
	{ "rfc3501:9 backwards",       "*:4,5:2",    "*:4 5:2 " },
	{ "rfc3501:9 list",            "1,3:5,*",    "1:1 3:5 *:* " },
	{ "rfc3501:9 nz-number",       "0",          NULL },
	{ "rfc3501:9 32 bits",         "4294967296", NULL },
	{ "rfc3501:9 32 bits fit",     "4294967295", "4294967295:4294967295 " },
	{ "rfc3501:9 no empty range",  "1,,2",       NULL },
	{ "rfc3501:9 no end",          "1:",         NULL },
	{ "rfc3501:9 no list end",     "1,",         NULL },
	{ "rfc3501:9 not a number",    "x",          NULL },
};

static void
test_sequence(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sequences); i++) {
		const struct sequence_case *c = &sequences[i];
		struct arena *arena = arena_open(NULL);
		struct buffer out = { 0 };
		struct scan r = scan_of(bytes_of(c->in));
		struct sequence s = read_sequence(&r, arena);
		HOLDS(c->why, scan_done(&r) == (c->out != NULL));
		for (size_t k = 0; c->out != NULL && k < s.count; k++) {
			const struct sequence_range *one = &s.range[k];
			if (one->first_star)
				buffer_add_string(&out, "*:");
			else
				buffer_printf(&out, "%u:", one->first);
			if (one->last_star)
				buffer_add_string(&out, "* ");
			else
				buffer_printf(&out, "%u ", one->last);
		}
		if (c->out != NULL)
			SAME(c->why, buffer_bytes(&out), bytes_of(c->out));
		buffer_free(&out);
		arena_close(&arena);
	}
}

static void
test_sequence_is_bounded(void **state)
{
	struct arena *arena = arena_open(NULL);
	struct buffer text = { 0 };
	struct scan r;

	(void)state;
	for (int i = 0; i < SEQUENCE_RANGES_MOST; i++)
		buffer_add_string(&text, i == 0 ? "1" : ",1");
	r = scan_of(buffer_bytes(&text));
	(void)read_sequence(&r, arena);
	HOLDS("threats: 10 000 ranges are taken", scan_done(&r));
	buffer_add_string(&text, ",1");
	r = scan_of(buffer_bytes(&text));
	(void)read_sequence(&r, arena);
	HOLDS("threats: one more is not", !scan_ok(&r));
	buffer_free(&text);
	arena_close(&arena);
}

struct name_case { const char *why, *in, *out; };
static const struct name_case mailbox_names[] = {
	{ "rfc3501:5.1 INBOX in any case",        "inBOX",          "INBOX" },
	{ "rfc3501:5.1 INBOX as the first level", "inbox/a",        "INBOX/a" },
	{ "rfc3501:5.1.3 the example",            "~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/\345\217\260\345\214\227/\346\227\245\346\234\254\350\252\236" },
	{ "rfc3501:5.1.3 &-",                     "a&-b",           "a&b" },
	{ "a line end in a name",                 "a&AA0ACg-b",     NULL },
	{ "rfc3501:5.1.3 an & alone",             "\"a&b\"",        NULL },
	{ "other names keep their case",          "Sent",           "Sent" },
};

static void
test_mailbox_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mailbox_names); i++) {
		struct arena *arena = arena_open(NULL);
		struct scan r = scan_of(bytes_of(mailbox_names[i].in));
		const char *got = read_mailbox(&r, arena, false);
		HOLDS(mailbox_names[i].why, (got != NULL) == (mailbox_names[i].out != NULL));
		if (got != NULL)
			SAME(mailbox_names[i].why, bytes_of(got), bytes_of(mailbox_names[i].out));
		arena_close(&arena);
	}
}

struct literal_case { const char *why, *line; bool there; uint64_t size; bool waits; };
static const struct literal_case literals[] = {
	{ "rfc3501:9 literal",         "a APPEND x {310}",  true,  310, true  },
	{ "rfc7888:4 literal+",        "a LOGIN {11+}",     true,  11,  false },
	{ "a quoted brace is none",    "a LOGIN \"{5}\"",   false, 0,   false },
	{ "a number is needed",        "a LOGIN {}",        false, 0,   false },
	{ "only digits",               "a LOGIN {-5}",      false, 0,   false },
	{ "too long for 64 bits",      "a {99999999999999999999}", false, 0, false },
	{ "nothing behind it",         "a {5} ",            false, 0,   false },
	{ "the empty line",            "",                  false, 0,   false },
};

static void
test_literals(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(literals); i++) {
		const struct literal_case *c = &literals[i];
		uint64_t size = 0;
		bool waits = false, there = literal_announced(bytes_of(c->line), &size, &waits);
		HOLDS(c->why, there == c->there);
		HOLDS(c->why, !there || (size == c->size && waits == c->waits));
	}
}

struct flags_case { const char *why, *in; bool good; uint64_t system; size_t keywords; };
static const struct flags_case flag_lists[] = {
	{ "rfc3501:9 flag-list",        "(\\Seen \\deleted)",  true,  FLAG_SEEN | FLAG_DELETED, 0 },
	{ "rfc3501:9 empty",            "()",                  true,  0, 0 },
	{ "rfc3501:9 without brackets", "\\Draft $Junk",       true,  FLAG_DRAFT, 1 },
	{ "rfc3501:9 keywords",         "(a b $c)",            true,  0, 3 },
	{ "rfc3501:2.3.2 \\Recent",     "(\\Recent)",          false, 0, 0 },
	{ "unknown system flag",        "(\\Foo)",             false, 0, 0 },
	{ "not closed",                 "(\\Seen",             false, 0, 0 },
	{ "nothing",                    "",                    false, 0, 0 },
};

static void
test_flags(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(flag_lists); i++) {
		const struct flags_case *c = &flag_lists[i];
		struct arena *arena = arena_open(NULL);
		struct scan r = scan_of(bytes_of(c->in));
		struct flag_words got = read_flags(&r, arena);
		HOLDS(c->why, scan_done(&r) == c->good);
		HOLDS(c->why, !c->good || (got.system == c->system && got.keywords == c->keywords));
		arena_close(&arena);
	}
}

struct section_case { const char *why, *in, *out; };
static const struct section_case sections[] = {
	{ "rfc3501:6.4.5 all",            "]",                                "[]" },
	{ "rfc3501:6.4.5 part",           "4.2.2.1]",                         "[4.2.2.1]" },
	{ "rfc3501:6.4.5 part text",      "1.HEADER]",                        "[1.HEADER]" },
	{ "rfc3501:6.4.5 MIME",           "3.mime]",                          "[3.MIME]" },
	{ "rfc3501:6.4.5 MIME alone",     "MIME]",                            NULL },
	{ "rfc3501:6.4.5 fields",         "HEADER.FIELDS (DATE \"From\")]",   "[HEADER.FIELDS (DATE From)]" },
	{ "rfc3501:6.4.5 fields not",     "2.HEADER.FIELDS.NOT (a)]",         "[2.HEADER.FIELDS.NOT (a)]" },
	{ "rfc3501:6.4.5 partial",        "]<0.2048>",                        "[]<0>" },
	{ "rfc3501:9 partial length",     "]<0.0>",                           NULL },
	{ "rfc3501:9 no part 0",          "0]",                               NULL },
	{ "rfc3501:9 a dot wants more",   "1.]",                              NULL },
	{ "rfc3501:9 fields wants names", "HEADER.FIELDS ()]",                NULL },
	{ "rfc3501:9 closed",             "TEXT",                             NULL },
	{ "threats: 32 numbers",          "1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1]", NULL },
};

static void
test_sections(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sections); i++) {
		const struct section_case *c = &sections[i];
		struct arena *arena = arena_open(NULL);
		struct buffer out = { 0 };
		struct section s = { 0 };
		struct scan r = scan_of(bytes_of(c->in));
		section_read(&r, arena, &s);
		HOLDS(c->why, scan_done(&r) == (c->out != NULL));
		section_write(&out, &s);
		if (c->out != NULL)
			SAME(c->why, buffer_bytes(&out), bytes_of(c->out));
		buffer_free(&out);
		arena_close(&arena);
	}
}

struct pattern_case { const char *why, *pattern, *name; bool matches; };
static const struct pattern_case patterns[] = {
	{ "rfc3501:6.3.8 itself",               "a/b",     "a/b",     true  },
	{ "rfc3501:6.3.8 * is anything",        "*",       "a/b/c",   true  },
	{ "rfc3501:6.3.8 * may be empty",       "a*",      "a",       true  },
	{ "rfc3501:6.3.8 % is one level",       "%",       "a/b",     false },
	{ "rfc3501:6.3.8 % of a level",         "a/%",     "a/b",     true  },
	{ "rfc3501:6.3.8 % in the middle",      "a/%/c",   "a/b/c",   true  },
	{ "rfc3501:6.3.8 % may be empty",       "a%b",     "ab",      true  },
	{ "rfc3501:5.1 INBOX in any case",      "inbox",   "INBOX",   true  },
	{ "rfc3501:5.1 in any case, level 1",   "inbox/%", "INBOX/a", true  },
	{ "rfc3501:5.1 children keep it",       "inbox/A", "INBOX/a", false },
	{ "other names keep their case",        "sent",    "Sent",    false },
	{ "a longer name",                      "a",       "ab",      false },
	{ "a longer pattern",                   "ab",      "a",       false },
	{ "the empty pattern",                  "",        "a",       false },
	{ "many stars",                         "*a*b*c*", "xxaxxbxxcxx", true },
	{ "many stars, no match",               "*a*b*c*", "xxaxxcxxbxx", false },
	{ "threats: *a*a*a...",                 "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
};

static void
test_patterns(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(patterns); i++) {
		const struct pattern_case *c = &patterns[i];
		HOLDS(c->why, pattern_matches(bytes_of(c->pattern), bytes_of(c->name)) == c->matches);
	}
}

struct program_case { const char *why, *in, *steps; };
/* L a leaf, N not, E either, A2 all of two */
static const struct program_case programs[] = {
	{ "rfc3501:6.4.4 one key",             "ALL",                              "LA1" },
	{ "rfc3501:6.4.4 the example",         "FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"", "LLLNA3" },
	{ "rfc3501:9 OR takes two",            "OR SEEN DRAFT ALL",                "LLE2LA2" },
	{ "rfc3501:9 parentheses",             "(SEEN DRAFT) ALL",                 "LLA2LA2" },
	{ "rfc3501:9 NOT of parentheses",      "NOT (OR SEEN (DRAFT NEW))",        "LLLA2E2A1NA1" },
	{ "rfc3501:9 NOT NOT",                 "NOT NOT SEEN",                     "LNNA1" },
	{ "rfc3501:9 sequence set",            "1:3,* UID 5",                      "LLA2" },
	{ "rfc3501:9 dates may be quoted",     "ON \"2-Feb-1994\"",                "LA1" },
	{ "rfc7162:3.1.5 entry names",         "MODSEQ \"/flags/\\\\draft\" all 620162338", "LA1" },
	{ "rfc5032:3",                         "YOUNGER 3600 OLDER 7",             "LLA2" },
	{ "rfc3501:9 a key must follow",       "NOT",                              NULL },
	{ "rfc3501:9 OR with one",             "OR SEEN",                          NULL },
	{ "rfc3501:9 empty parentheses",       "()",                               NULL },
	{ "rfc3501:9 not closed",              "(SEEN",                            NULL },
	{ "rfc3501:9 closed twice",            "SEEN)",                            NULL },
	{ "rfc3501:9 unknown",                 "SOMETHING",                        NULL },
	{ "rfc3501:9 two blanks",              "SEEN  DRAFT",                      NULL },
	{ "rfc3501:9 no such date",            "ON 32-Feb-1994",                   NULL },
	{ "threats: nesting 33", "((((((((((((((((((((((((((((((((( ALL)))))))))))))))))))))))))))))))))", NULL },
	{ "threats: nesting 32", "((((((((((((((((((((((((((((((((ALL))))))))))))))))))))))))))))))))",
	  "LA1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1" },
};

static void
test_programs(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(programs); i++) {
		const struct program_case *c = &programs[i];
		struct arena *arena = arena_open(NULL);
		struct buffer out = { 0 };
		struct program p = { 0 };
		struct scan r = scan_of(bytes_of(c->in));
		program_read(&r, arena, &p);
		HOLDS(c->why, scan_done(&r) == (c->steps != NULL));
		for (size_t k = 0; c->steps != NULL && k < p.steps; k++) {
			buffer_add_char(&out, "LAEN"[p.step[k].join]);
			if (p.step[k].join == JOIN_ALL || p.step[k].join == JOIN_EITHER)
				buffer_printf(&out, "%u", p.step[k].n);
		}
		if (c->steps != NULL)
			SAME(c->why, buffer_bytes(&out), bytes_of(c->steps));
		buffer_free(&out);
		arena_close(&arena);
	}
}

/* NOT, OR and all of three truths, by the tables of Kleene. */
static void
test_truths(void **state)
{
	struct arena *arena = arena_open(NULL);
	struct program p = { 0 };
	struct scan r = scan_of(BYTES("OR NOT SEEN (DRAFT NEW)"));

	(void)state;
	program_read(&r, arena, &p);
	HOLDS("parsed", scan_done(&r) && p.leaves == 3);
	HOLDS("one side settles it",   program_truth(&p, (enum truth[]){ FALSE, UNKNOWN, UNKNOWN }) == TRUE);
	HOLDS("the other is needed",   program_truth(&p, (enum truth[]){ TRUE, UNKNOWN, TRUE }) == UNKNOWN);
	HOLDS("false settles a list",  program_truth(&p, (enum truth[]){ TRUE, UNKNOWN, FALSE }) == FALSE);
	HOLDS("all of them",           program_truth(&p, (enum truth[]){ TRUE, TRUE, TRUE }) == TRUE);
	HOLDS("nothing is known",      program_truth(&p, (enum truth[]){ UNKNOWN, TRUE, FALSE }) == UNKNOWN);
	arena_close(&arena);
}

struct write_case { const char *why; struct bytes in; const char *out; };
static const struct write_case written[] = {
	{ "rfc3501:9 atom",            TEXT("Sent"),      "Sent" },
	{ "rfc3501:9 NIL is quoted",   TEXT("nil"),       "\"nil\"" },
	{ "rfc3501:9 blanks",          TEXT("a b"),       "\"a b\"" },
	{ "rfc3501:9 empty",           TEXT(""),          "\"\"" },
	{ "rfc3501:9 escapes",         TEXT("a\"\\"),     "\"a\\\"\\\\\"" },
	{ "rfc3501:9 8-bit",           TEXT("\303\244"),  "{2}\r\n\303\244" },
	{ "rfc3501:9 line ends",       TEXT("a\r\nb"),    "{4}\r\na\r\nb" },
};

static void
test_writing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(written); i++) {
		struct buffer out = { 0 };
		write_astring(&out, view(written[i].in.at, written[i].in.len));
		SAME(written[i].why, buffer_bytes(&out), bytes_of(written[i].out));
		buffer_free(&out);
	}
}

/* Ranges against a plain array of bits. */
static void
test_ranges(void **state)
{
	bool model[64];
	unsigned dice = 4711;

	(void)state;
	for (int round = 0; round < 500; round++) {
		struct ranges r = { 0 };
		uint64_t size = 0;
		memset(model, 0, sizeof model);
		for (int i = 0; i < 12; i++) {
			uint32_t a = 1 + (dice = dice * 1103515245u + 12345u) / 65536u % 60u;
			uint32_t b = a + (dice = dice * 1103515245u + 12345u) / 65536u % (63u - a);
			if (i == 9)
				ranges_clip(&r, a, b);
			else
				ranges_add(&r, a, b);
			for (uint32_t n = 0; n < 64; n++)
				model[n] = i == 9 ? model[n] && n >= a && n <= b : model[n] || (n >= a && n <= b);
		}
		for (uint32_t n = 0; n < 64; n++) {
			HOLDS("holds what was added", ranges_hold(&r, n) == model[n]);
			size += model[n];
		}
		HOLDS("as many", ranges_size(&r) == size);
		for (size_t i = 1; i < r.count; i++)
			HOLDS("ascending and apart", r.at[i].first > r.at[i - 1].last + 1);
		ranges_free(&r);
	}
}

UNIT(test_astring, test_sequence, test_sequence_is_bounded, test_mailbox_names, test_literals, test_flags,
     test_sections, test_patterns, test_programs, test_truths, test_writing, test_ranges)
