/* What lookup tables answer; the values are those of Postfix's postmap and postalias. */
#include "directory/table.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

/* A file whose text stands here. */
static int
open_text(void *ctx, const char *path)
{
	const char *text = ctx;
	FILE       *f = tmpfile();
	int         fd;

	(void)path;
	assert_non_null(f);
	assert_true(fwrite(text, 1, strlen(text), f) == strlen(text) && fflush(f) == 0);
	fd = dup(fileno(f));
	(void)fclose(f);
	return fd;
}

static struct table *
open_table(const char *name, enum table_grammar grammar, const char *text, struct buffer *errors,
           struct buffer *warnings)
{
	char                copy[4096];
	struct table_source source = { .open = open_text, .ctx = copy, .default_type = "hash" };

	(void)snprintf(copy, sizeof copy, "%s", text);
	return table_open(name, grammar, &source, errors, warnings);
}

static const char PLAIN[] = "# a comment\n"
			    "a  b c\n"
			    "\"x y\" z\n"
			    "KEY  V\n"
			    "cont  a\n"
			    "   b\n"
			    "# between\n"
			    "\n"
			    "  c\n"
			    "z  \tq\t\n"
			    "twice one\n"
			    "Twice two\n";
static const char ALIASES[] = "a:b,c ,  d\n"
			      "list: \"|/usr/bin/prog arg 'x'\", /var/mail/x,:include:/etc/foo\n"
			      "B : Root\n"
			      "\"q x\": user@Example.com\n"
			      "c: one two\n"
			      "e: a,\n   b\n"
			      "h: \\root\n"
			      "s: :include: /x\n"
			      "d: <foo@bar>, \"x y\"@z, Name <a@b>\n";

struct row {
	const char        *why, *table, *text;
	enum table_grammar grammar;
	const char        *key, *value; /* NULL: not there */
};
/* clang-format off */
static const struct row rows[] = {
	{ "a value has blanks inside",         "hash:/x", PLAIN, TABLE_PLAIN, "a", "b c" },
	{ "quotes belong to the key",          "hash:/x", PLAIN, TABLE_PLAIN, "\"x y\"", "z" },
	{ "and without them it is another",    "hash:/x", PLAIN, TABLE_PLAIN, "x y", NULL },
	{ "keys are folded in the file",       "btree:/x", PLAIN, TABLE_PLAIN, "key", "V" },
	{ "and in the question",               "lmdb:/x", PLAIN, TABLE_PLAIN, "kEy", "V" },
	{ "a line goes on as it stands",       "cdb:/x", PLAIN, TABLE_PLAIN, "cont", "a   b  c" },
	{ "blanks at the end are none",        "dbm:/x", PLAIN, TABLE_PLAIN, "z", "q" },
	{ "letters of any script are folded",  "hash:/x", "\u041a\u041b\u042e\u0427@x v\n", TABLE_PLAIN, "\u043a\u043b\u044e\u0447@X", "v" },
	{ "one letter that becomes two",       "hash:/x", "stra\u00dfe v\n", TABLE_PLAIN, "STRASSE", "v" },
	{ "a backslash takes the next byte",   "hash:/x", "a\\ b\\\"c d\n", TABLE_PLAIN, "a\\ b\\\"c", "d" },
	{ "every kind of blank is one",        "hash:/x", "a\vb\f\nc\td\r\n", TABLE_PLAIN, "a", "b" },
	{ "what editors put before a file",    "hash:/x", "\xef\xbb\xbf" "a b\n", TABLE_PLAIN, "a", "b" },
	{ "a carriage return ends flags",      "pcre:/x", "if /a/\r\n/b/ y\r\nendif\r\n", TABLE_PLAIN, "ab", "y" },
	{ "and a network",                     "cidr:/x", "if 10.0.0.0/8\r\n10.0.0.1 y\r\nendif\r\n", TABLE_PLAIN, "10.0.0.1", "y" },
	{ "the first of two holds",            "texthash:/x", PLAIN, TABLE_PLAIN, "twice", "one" },
	{ "no type is the standard one",       "/x", PLAIN, TABLE_PLAIN, "a", "b c" },
	{ "proxy: is passed over",             "proxy:hash:/x", PLAIN, TABLE_PLAIN, "a", "b c" },
	{ "what is not there",                 "hash:/x", PLAIN, TABLE_PLAIN, "#", NULL },
	{ "an empty key",                      "hash:/x", PLAIN, TABLE_PLAIN, "", NULL },
	{ "an empty file is a table",          "hash:/x", "", TABLE_PLAIN, "a", NULL },
	{ "aliases: targets by comma",         "hash:/x", ALIASES, TABLE_ALIASES, "a", "b, c, d" },
	{ "aliases: commands and files",       "hash:/x", ALIASES, TABLE_ALIASES, "list",
	  "\"|/usr/bin/prog arg 'x'\", /var/mail/x, :include:/etc/foo" },
	{ "aliases: blank before the colon",   "hash:/x", ALIASES, TABLE_ALIASES, "b", "Root" },
	{ "aliases: a quoted name",            "hash:/x", ALIASES, TABLE_ALIASES, "q x", "user@Example.com" },
	{ "aliases: two words",                "hash:/x", ALIASES, TABLE_ALIASES, "c", "one two" },
	{ "aliases: a line goes on",           "hash:/x", ALIASES, TABLE_ALIASES, "e", "a, b" },
	{ "aliases: a backslash",              "hash:/x", ALIASES, TABLE_ALIASES, "h", "root" },
	{ "aliases: blank behind :include:",   "hash:/x", ALIASES, TABLE_ALIASES, "s", ":include:/x" },
	{ "aliases: names and angle brackets", "hash:/x", ALIASES, TABLE_ALIASES, "d",
	  "<foo@bar>, \"x y\"@z, Name <a@b>" },
	/* What postalias(1) of Postfix 3.7 writes. */
	{ "aliases: a comment after an address", "hash:/x", "a: Some Body <b@c> (what (it) is)\n", TABLE_ALIASES, "a", "Some Body <b@c>(what (it) is)" },
	{ "aliases: no blank about an operator", "hash:/x", "a: b < c > d | e % f . g\n", TABLE_ALIASES, "a", "b <c>d|e%f.g" },
	{ "aliases: one between two words",      "hash:/x", "a: b\"c d\"[e](f)g\n", TABLE_ALIASES, "a", "b \"c d\" [e] (f) g" },
	{ "aliases: \\ before what is special",  "hash:/x", "a: b\\,\\ c\\@d, \\e\n", TABLE_ALIASES, "a", "\"b, c@d\", e" },
	{ "inline",                            "inline:{a=b, { c = d e }, A=5}", "", TABLE_PLAIN, "c", "d e" },
	{ "inline: the last holds, folded",    "inline:{a=b, { c = d e }, A=5}", "", TABLE_PLAIN, "a", "5" },
	{ "static",                            "static:a b", "", TABLE_PLAIN, "anything", "a b" },
	{ "pcre: groups, also those that took no part", "pcre:/x", "/^a(b)?(c)?$/ x$1-${2}-$(1)-$$\n", TABLE_PLAIN, "ac", "x-c--$" },
	{ "pcre: case is folded", "pcre:/x", "/^x/ y\n", TABLE_PLAIN, "X", "y" },
	{ "pcre: i turns that off", "pcre:/x", "/A/i UP\n", TABLE_PLAIN, "a", NULL },
	{ "pcre: another delimiter", "pcre:/x", "|^a/b|i UP\n", TABLE_PLAIN, "a/b", "UP" },
	{ "pcre: not", "pcre:/x", "!/^a/ no\n", TABLE_PLAIN, "b", "no" },
	{ "pcre: not not", "pcre:/x", "!/^a/ no\n", TABLE_PLAIN, "a", NULL },
	{ "pcre: inside if", "pcre:/x", "if /^a/\n/b/ B\nendif\n/c/ C\n", TABLE_PLAIN, "ab", "B" },
	{ "pcre: not inside if", "pcre:/x", "if /^a/\n/b/ B\nendif\n/c/ C\n", TABLE_PLAIN, "b", NULL },
	{ "pcre: behind if", "pcre:/x", "if /^a/\n/b/ B\nendif\n/c/ C\n", TABLE_PLAIN, "c", "C" },
	{ "pcre: if in if, not", "pcre:/x", "if !/z/\nif /q/\n/r/ R\nendif\n/s/ S\nendif\n", TABLE_PLAIN, "qr", "R" },
	{ "pcre: if in if, the outer not", "pcre:/x", "if !/z/\nif /q/\n/r/ R\nendif\n/s/ S\nendif\n", TABLE_PLAIN, "sz", NULL },
	{ "pcre: behind the inner if", "pcre:/x", "if !/z/\nif /q/\n/r/ R\nendif\n/s/ S\nendif\n", TABLE_PLAIN, "s", "S" },
	{ "pcre: a dot is a newline too", "pcre:/x", "/a.c/ N\n", TABLE_PLAIN, "a\nc", "N" },
	{ "pcre: s turns that off", "pcre:/x", "/a.c/s N\n", TABLE_PLAIN, "a\nc", NULL },
	{ "regexp: a dot is a newline too", "regexp:/x", "/a.c/ N\n", TABLE_PLAIN, "a\nc", "N" },
	{ "regexp: m turns that off", "regexp:/x", "/a.c/m N\n", TABLE_PLAIN, "a\nc", NULL },
	{ "regexp: a backslash in brackets is one", "regexp:/x", "/[\\.]/ dot\n", TABLE_PLAIN, "\\", "dot" },
	{ "regexp: \\w", "regexp:/x", "/a\\wb/ W\n", TABLE_PLAIN, "axb", "W" },
	{ "regexp: no Perl: \\d is d", "regexp:/x", "/^\\d$/ d\n", TABLE_PLAIN, "d", "d" },
	{ "regexp: without x, parentheses are themselves", "regexp:/x", "/^(a)$/x basic\n", TABLE_PLAIN, "(a)", "basic" },
	{ "regexp: a group", "regexp:/x", "/^(.*)@(.*)$/ $2=${1}$$\n", TABLE_PLAIN, "a@b", "b=a$" },
	{ "regexp: the first of two", "regexp:/x", "/a/ 1\n/b/ 2\n", TABLE_PLAIN, "ba", "1" },
	{ "cidr: a network", "cidr:/x", "10.0.0.0/8 ten\n192.168.1.1 one\n", TABLE_PLAIN, "10.1.2.3", "ten" },
	{ "cidr: one address", "cidr:/x", "10.0.0.0/8 ten\n192.168.1.1 one\n", TABLE_PLAIN, "192.168.1.1", "one" },
	{ "cidr: not", "cidr:/x", "!172.16.0.0/12 not\n", TABLE_PLAIN, "192.168.1.2", "not" },
	{ "cidr: not, of the other family", "cidr:/x", "!172.16.0.0/12 not\n", TABLE_PLAIN, "fe80::1", NULL },
	{ "cidr: IPv6, whatever its case", "cidr:/x", "2001:db8::/32 a\n", TABLE_PLAIN, "2001:DB8::5", "a" },
	{ "cidr: in brackets", "cidr:/x", "[::1] br\n", TABLE_PLAIN, "::1", "br" },
	{ "cidr: a key in brackets is none", "cidr:/x", "[::1] br\n", TABLE_PLAIN, "[::1]", NULL },
	{ "cidr: if", "cidr:/x", "if 10.0.0.0/8\n10.1.0.0/16 A\nendif\nif !10.0.0.0/8\n0.0.0.0/0 B\nendif\n", TABLE_PLAIN, "10.1.1.1", "A" },
	{ "cidr: if not", "cidr:/x", "if 10.0.0.0/8\n10.1.0.0/16 A\nendif\nif !10.0.0.0/8\n0.0.0.0/0 B\nendif\n", TABLE_PLAIN, "11.1.1.1", "B" },
	{ "cidr: inside if and nothing fits", "cidr:/x", "if 10.0.0.0/8\n10.1.0.0/16 A\nendif\nif !10.0.0.0/8\n0.0.0.0/0 B\nendif\n", TABLE_PLAIN, "10.2.2.2", NULL },
	{ "cidr: mapped addresses are IPv6", "cidr:/x", "::/0 all6\n0.0.0.0/0 all4\n", TABLE_PLAIN, "::ffff:1.2.3.4", "all6" },
	{ "cidr: a name is no address", "cidr:/x", "0.0.0.0/0 all4\n", TABLE_PLAIN, "10.0.0", NULL },
	{ "unionmap: both", "unionmap:{static:one, inline:{a=two}}", "", TABLE_PLAIN, "a", "one,two" },
	{ "unionmap: one", "unionmap:{inline:{b=1}, inline:{a=2}}", "", TABLE_PLAIN, "a", "2" },
	{ "pipemap: one after the other", "pipemap:{inline:{a=b}, inline:{b=c}}", "", TABLE_PLAIN, "a", "c" },
	{ "pipemap: the second has it not", "pipemap:{inline:{a=b}, inline:{x=c}}", "", TABLE_PLAIN, "a", NULL },
	{ "rules in the name", "pcre:{{/a/ x}, {/b/ $$}}", "", TABLE_PLAIN, "b", "$" },
	{ "static in braces",                  "static:{ a b }", "", TABLE_PLAIN, "x", "a b" },
};
/* clang-format on */

static void
test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *r = &rows[i];
		struct arena     *arena = arena_open(NULL);
		struct buffer     errors = { 0 }, warnings = { 0 };
		struct bytes      value;
		struct table     *t = open_table(r->table, r->grammar, r->text, &errors, &warnings);
		SAME(r->why, buffer_bytes(&errors), BYTES(""));
		HOLDS(r->why, t != NULL);
		HOLDS(r->why, table_find(t, bytes_of(r->key), arena, &value) ==
		                      (r->value == NULL ? TABLE_NONE : TABLE_FOUND));
		SAME(r->why, value, bytes_of(r->value));
		table_close(&t);
		arena_close(&arena);
		buffer_free(&errors);
		buffer_free(&warnings);
	}
}

struct fault {
	const char        *why, *table, *text;
	enum table_grammar grammar;
	const char        *said;
};
/* clang-format off */
static const struct fault faults[] = {
	{ "no value", "hash:/x", "a b\nonly\n", TABLE_PLAIN,
	  "/x:2: \"only\" has no value; write: key, blanks, value\n" },
	{ "a blank begins the file", "hash:/x", "\n  a b\n", TABLE_PLAIN,
	  "/x:2: the first line begins with a blank; let it begin in the first column\n" },
	{ "a quote stays open", "hash:/x", "\"a b\n", TABLE_PLAIN,
	  "/x:1: a quote in \"\"a b\" is never closed\n" },
	{ "no alias", "hash:/x", "a: b\nc d\n", TABLE_ALIASES,
	  "/x:2: \"c d\" is no alias; write: name: target, target\n" },
	{ "an alias without targets", "hash:/x", "l:\n", TABLE_ALIASES,
	  "/x:1: \"l:\" is no alias; write: name: target, target\n" },
	{ "an address as a name", "hash:/x", "k@x: b\n", TABLE_ALIASES,
	  "/x:1: \"k@x\" must be a name without a domain; an address is for virtual_alias_maps\n" },
	{ "no such type", "hush:/x", "", TABLE_PLAIN,
	  "hush:/x: there is no type of table \"hush\"; mansio postconf -m lists those there are\n" },
	{ "no name", "hash:", "", TABLE_PLAIN, "hash:: a name must stand behind \"hash:\"\n" },
	{ "inline without braces", "inline:a=b", "", TABLE_PLAIN,
	  "inline:a=b: there are no parts in braces; write inline:{key=value, {key = two words}}\n" },
	{ "pcre: no such group", "pcre:/x", "/^a(b)/ $2\n", TABLE_PLAIN,
	  "/x:1: there is no group 2; the pattern has 1\n" },
	{ "pcre: a name for a group", "pcre:/x", "/^a(b)/ $foo\n", TABLE_PLAIN,
	  "/x:1: a \"$\" has no number behind it; write $1, ${1}, or $$ for the sign itself\n" },
	{ "pcre: a group of what does not match", "pcre:/x", "!/^(a)/ no$1\n", TABLE_PLAIN,
	  "/x:1: a pattern with ! before it matches nothing that $1 could stand for\n" },
	{ "pcre: no endif", "pcre:/x", "/b/ x\nif /a/\n", TABLE_PLAIN,
	  "/x:2: there is no endif to this if; write it behind the last of its rules\n" },
	{ "pcre: no if", "pcre:/x", "/a/ x\nendif\n/b/ y\n", TABLE_PLAIN,
	  "/x:2: there is no if to this endif; remove it\n" },
	{ "pcre: a delimiter in the pattern", "pcre:/x", "/a/b/ z\n", TABLE_PLAIN,
	  "/x:1: \"b\" is no flag; write a blank behind the pattern's second delimiter, and \\ before a delimiter in the pattern\n" },
	{ "pcre: no second delimiter", "pcre:/x", "/a x\n", TABLE_PLAIN,
	  "/x:1: \"/a x\" is no pattern between delimiters; write /pattern/ result\n" },
	{ "pcre: a pattern that is none", "pcre:/x", "/(/ x\n", TABLE_PLAIN,
	  "/x:1: the pattern is wrong at its byte 1: missing closing parenthesis\n" },
	{ "pcre: no result", "pcre:/x", "/^x/\n", TABLE_PLAIN,
	  "/x:1: there is no result; write it behind the pattern\n" },
	{ "regexp: words without delimiters", "regexp:/x", "foo bar\n", TABLE_PLAIN,
	  "/x:1: \"foo bar\" is no pattern between delimiters; write /pattern/ result\n" },
	{ "regexp: Perl's words", "regexp:/x", "/(?i)a/ x\n", TABLE_PLAIN,
	  "/x:1: nothing stands before a *, + or ? that it could repeat\n" },
	{ "cidr: bits behind", "cidr:/x", "1.2.3.4/8 host\n", TABLE_PLAIN,
	  "/x:1: \"1.2.3.4/8\" has bits behind the first 8; the network has none\n" },
	{ "cidr: too many bits", "cidr:/x", "10.0.0.0/33 x\n", TABLE_PLAIN,
	  "/x:1: \"10.0.0.0/33\" is no network; write it as 192.0.2.0/24 or 2001:db8::/32\n" },
	{ "cidr: something behind endif", "cidr:/x", "if 10.0.0.0/8\n10.0.0.1 x\nendif junk\n10.0.0.2 y\n", TABLE_PLAIN,
	  "/x:3: something stands behind endif; let it stand alone\n" },
	{ "rules in the name: one not in braces", "pcre:{/a/ x}", "", TABLE_PLAIN,
	  "{/a/ x}: write each rule in braces: {{rule}, {rule}}\n" },
	{ "unionmap: nothing in it", "unionmap:{}", "", TABLE_PLAIN,
	  "{}: write the tables in braces: {type:name, type:name}\n" },
	{ "unionmap: no such type in it", "unionmap:{{inline:{a=b}}}", "", TABLE_PLAIN,
	  "{inline:{a=b}}: there is no type of table \"{inline\"; mansio postconf -m lists those there are\n" },
	{ "inline without =", "inline:{a}", "", TABLE_PLAIN,
	  "inline:{a}: a part has no \"=\"; write inline:{key=value, {key = two words}}\n" },
};
/* clang-format on */

static void
test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(faults); i++) {
		const struct fault *f = &faults[i];
		struct buffer       errors = { 0 }, warnings = { 0 };
		struct table *t = open_table(f->table, f->grammar, f->text, &errors, &warnings);
		HOLDS(f->why, t == NULL);
		SAME(f->why, buffer_bytes(&errors), bytes_of(f->said));
		buffer_free(&errors);
		buffer_free(&warnings);
	}
}

static void
count(void *ctx, struct bytes key, struct bytes value)
{
	buffer_printf(ctx, "%.*s=%.*s;", (int)key.len, key.at, (int)value.len, value.at);
}

static void
test_listing(void **state)
{
	struct buffer errors = { 0 }, warnings = { 0 }, out = { 0 };
	struct table *t = open_table("hash:/x", TABLE_PLAIN, "B 1\na 2\nb 3\n", &errors, &warnings);

	(void)state;
	assert_true(table_each(t, count, &out));
	SAME("in the order of the file, the first of two", buffer_bytes(&out), BYTES("b=1;a=2;"));
	SAME("the second is warned of", buffer_bytes(&warnings),
	     BYTES("/x:3: duplicate entry: \"b\"; the first one counts\n"));
	table_close(&t);
	buffer_free(&out);
	buffer_free(&warnings);
	t = open_table("static:a", TABLE_PLAIN, "", &errors, &warnings);
	assert_false(table_each(t, count, &out));
	table_close(&t);
}

/* Many keys, each found and nothing else. */
static void
test_many(void **state)
{
	enum { MANY = 20000 };
	struct buffer       text = { 0 }, errors = { 0 }, warnings = { 0 };
	struct arena       *arena = arena_open(NULL);
	struct table_source source = { .open = open_text, .default_type = "hash" };
	struct table       *t;
	struct bytes        value;
	char                key[64];

	(void)state;
	for (int i = 0; i < MANY; i++)
		buffer_printf(&text, "user%d@example.com\tmailbox%d\n", i, i);
	buffer_add_char(&text, '\0');
	source.ctx = text.at;
	t = table_open("hash:/x", TABLE_PLAIN, &source, &errors, &warnings);
	assert_non_null(t);
	for (int i = 0; i < MANY + 100; i++) {
		(void)snprintf(key, sizeof key, "user%d@example.com", i);
		enum table_outcome o = table_find(t, bytes_of(key), arena, &value);
		assert_true(o == (i < MANY ? TABLE_FOUND : TABLE_NONE));
		(void)snprintf(key, sizeof key, "mailbox%d", i);
		if (i < MANY)
			SAME("its own value", value, bytes_of(key));
	}
	table_close(&t);
	arena_close(&arena);
	buffer_free(&text);
}

/* A pattern that would run for years over one key gives up, and that is no "not there". */
static void
test_patience(void **state)
{
	struct buffer            errors = { 0 }, warnings = { 0 };
	struct arena            *arena = arena_open(NULL);
	struct table            *t;
	struct bytes             value;
	char                     key[64];
	static const char *const types[] = { "pcre:{{/^(a+)+$/ x}}", "regexp:{{/^(a+)+$/ x}}" };

	(void)state;
	memset(key, 'a', sizeof key);
	key[sizeof key - 1] = 'b';
	for (size_t i = 0; i < COUNT(types); i++) {
		t = open_table(types[i], TABLE_PLAIN, "", &errors, &warnings);
		assert_non_null(t);
		assert_int_equal(table_find(t, (struct bytes){ key, sizeof key }, arena, &value),
		                 TABLE_LATER);
		assert_int_equal(table_find(t, BYTES("aaa"), arena, &value), TABLE_FOUND);
		table_close(&t);
	}
	arena_close(&arena);
}

/* Keys are data, whatever they hold. */
static void
test_hostile_keys(void **state)
{
	static const char *const  tables[] = { "hash:/x",           "pcre:/y",
		                               "cidr:/z",           "inline:{a=b}",
		                               "regexp:{{/^x/ y}}", "unionmap:{inline:{a=b}}" };
	const struct bytes keys[] = {
		BYTES("a\0b"),          BYTES("\0"), BYTES("*"),    BYTES("%"),
		BYTES("'; drop table"), BYTES("\\"), BYTES("\"\""), BYTES("\xff\xfe"),
		BYTES("a)(uid=*"),      BYTES("$1"), BYTES("\n"),
	};
	static char huge[(64 << 10) + 1];

	(void)state;
	memset(huge, 'k', sizeof huge);
	for (size_t i = 0; i < COUNT(tables); i++) {
		struct buffer errors = { 0 }, warnings = { 0 };
		struct arena *arena = arena_open(NULL);
		const char *text = i == 1 ? "/^nobody$/ x\n" : i == 2 ? "10.0.0.0/8 x\n" : "a b\n";
		struct table *t = open_table(tables[i], TABLE_PLAIN, text, &errors, &warnings);
		struct bytes  value;
		assert_non_null(t);
		for (size_t k = 0; k < COUNT(keys); k++)
			assert_int_equal(table_find(t, keys[k], arena, &value), TABLE_NONE);
		assert_int_equal(table_find(t, (struct bytes){ huge, sizeof huge }, arena, &value),
		                 TABLE_NONE);
		assert_int_equal(table_find(t, (struct bytes){ huge, sizeof huge - 1 }, arena,
		                            &value),
		                 TABLE_NONE);
		table_close(&t);
		arena_close(&arena);
	}
}

static void
note_file(void *ctx, const char *path, bool remote)
{
	buffer_printf(ctx, "%s%s ", path, remote ? "!" : "");
}

static void
test_names(void **state)
{
	struct buffer files = { 0 };

	(void)state;
	table_files("unionmap:{hash:/a, pipemap:{cidr:/b, inline:{x=y}}, pcre:{{/a/ b}}}", "hash",
	            note_file, &files);
	SAME("files of nested tables", buffer_bytes(&files), BYTES("/a /b "));
	buffer_free(&files);
	assert_true(table_is_pattern("pcre:/x", "hash"));
	assert_true(table_is_pattern("unionmap:{pcre:/x, cidr:/y}", "hash"));
	assert_false(table_is_pattern("unionmap:{pcre:/x, hash:/y}", "hash"));
	assert_false(table_is_remote("unionmap:{pcre:/x, hash:/y}", "hash"));
	assert_true(table_is_name("hash:/x"));
	assert_false(table_is_name("[::1]:25"));
	assert_false(table_is_name("fe80::1"));
	assert_false(table_is_name("/etc/x:y"));
}

UNIT(test_patience, test_hostile_keys, test_names, test_answers, test_faults, test_listing,
     test_many)
