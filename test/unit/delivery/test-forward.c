/* What stands in a ~/.forward, as Postfix's aliases(5) and local(8) describe it. */
#include "delivery/forward.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

struct forward_case {
	const char *why, *text, *targets; /* "kind:text;" each */
	bool        wrong;
};

static const struct forward_case cases[] = {
	{ "aliases(5): one address", "eva@example.org\n", "a:eva@example.org;", false },
	{ "aliases(5): several by comma", "eva@example.org, joe\n", "a:eva@example.org;a:joe;",
	  false },
	{ "local(8): one on a line", "eva@example.org\njoe", "a:eva@example.org;a:joe;", false },
	{ "local(8): the mailbox and another", "\\jack, eva@example.org",
	  "m:jack;a:eva@example.org;", false },
	{ "aliases(5): a command with blanks in quotes", "\"|/usr/bin/vacation -a jack\"\n",
	  "c:/usr/bin/vacation -a jack;", false },
	{ "sendmail's famous line for procmail",
	  "\"|IFS=' ' && exec /usr/bin/procmail -f- || exit 75 #jack\"\n",
	  "c:IFS=' ' && exec /usr/bin/procmail -f- || exit 75 #jack;", false },
	{ "aliases(5): a quote within", "\"|sh -c \\\"exit 0\\\"\"", "c:sh -c \"exit 0\";", false },
	{ "a command without quotes", "|/usr/bin/procmail\n", "c:/usr/bin/procmail;", false },
	{ "aliases(5): a file", "/home/jack/all\n\"/home/jack/two words\"",
	  "f:/home/jack/all;f:/home/jack/two words;", false },
	{ "aliases(5): a Maildir", "/home/jack/Maildir/", "f:/home/jack/Maildir/;", false },
	{ "aliases(5): a list in a file", ":include:/home/jack/list", "i:/home/jack/list;", false },
	{ "aliases(5): a comment", "# gone fishing\neva@example.org", "a:eva@example.org;", false },
	{ "a name before the address", "Eva Blue <eva@example.org>", "a:eva@example.org;", false },
	{ "a quoted name before it", "\"Blue, Eva\" <eva@example.org>, joe",
	  "a:eva@example.org;a:joe;", false },
	{ "lines as Windows ends them", "eva@example.org\r\njoe\r\n", "a:eva@example.org;a:joe;",
	  false },
	{ "nothing", "", "", false },
	{ "nothing but commas", " ,, ,\n", "", false },
	{ "a quote that does not end", "\"|cat\njoe\n", "a:joe;", true },
	{ "a command without a name", "|\njoe", "a:joe;", true },
	{ "two addresses without a comma", "eva@example.org joe@example.org", "", true },
	{ "an include that leads nowhere", ":include:list", "", true },
};

static void
test_targets(void **state)
{
	static const char kinds[] = { 'a', 'm', 'c', 'f', 'i' };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena         *a = arena_open(NULL);
		struct forward_target out[FORWARD_TARGETS_MOST];
		struct buffer         got = { 0 };
		bool                  wrong;
		size_t                n = forward_read(bytes_of(cases[i].text), a, out, &wrong);

		for (size_t t = 0; t < n; t++)
			buffer_printf(&got, "%c:%.*s;", kinds[out[t].kind], (int)out[t].text.len,
			              out[t].text.at);
		SAME(cases[i].why, buffer_bytes(&got), bytes_of(cases[i].targets));
		HOLDS(cases[i].why, wrong == cases[i].wrong);
		buffer_free(&got);
		arena_close(&a);
	}
}

static void
test_too_many(void **state)
{
	struct arena         *a = arena_open(NULL);
	struct forward_target out[FORWARD_TARGETS_MOST];
	struct buffer         text = { 0 };
	bool                  wrong;

	(void)state;
	for (int i = 0; i < FORWARD_TARGETS_MOST + 5; i++)
		buffer_printf(&text, "user%d\n", i);
	HOLDS("bounded", forward_read(buffer_bytes(&text), a, out, &wrong) == FORWARD_TARGETS_MOST);
	HOLDS("and said", wrong);
	buffer_free(&text);
	arena_close(&a);
}

struct path_case {
	const char *why, *form, *extension, *path; /* path NULL: none */
};

static const struct path_case paths[] = {
	{ "the usual one", "$home/.forward", "", "/home/jack/.forward" },
	{ "with an extension", "$home/.forward+${extension}", "lists",
	  "/home/jack/.forward+lists" },
	{ "a name in brackets", "/var/forward/${user}", "", "/var/forward/jack" },
	{ "local and domain", "/var/forward/$domain/$local", "", "/var/forward/example.com/j" },
	{ "an extension leads nowhere else", "$home/.forward+$extension", "../../eva/x", NULL },
	{ "what is not known", "$shell/.forward", "", NULL },
	{ "a bracket that does not end", "$home/${extension", "x", NULL },
	{ "no absolute path", ".forward", "", NULL },
};

static void
test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct forward_facts facts = { BYTES("/home/jack"), BYTES("jack"), BYTES("j"),
			                       BYTES("example.com"), bytes_of(paths[i].extension) };
		struct buffer        out = { 0 };
		bool                 got = forward_path(bytes_of(paths[i].form), &facts, &out);

		HOLDS(paths[i].why, got == (paths[i].path != NULL));
		if (paths[i].path != NULL)
			SAME(paths[i].why, buffer_bytes(&out), bytes_of(paths[i].path));
		buffer_free(&out);
	}
}

UNIT(test_targets, test_too_many, test_paths)
