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
	{ "inline",                            "inline:{a=b, { c = d e }, A=5}", "", TABLE_PLAIN, "c", "d e" },
	{ "inline: the last holds, folded",    "inline:{a=b, { c = d e }, A=5}", "", TABLE_PLAIN, "a", "5" },
	{ "static",                            "static:a b", "", TABLE_PLAIN, "anything", "a b" },
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

UNIT(test_answers, test_faults, test_listing, test_many)
