/* What is put into questions, what comes back, and which server is asked. */

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "directory/remote-sql.h"
#include "directory/remote.h"
#include "directory/socketmap.h"

#define B(literal)                              \
	{                                       \
		"" literal, sizeof(literal) - 1 \
	}

static const struct template_case {
	const char      *why;
	enum template_of of;
	const char      *text;
	struct bytes     value, key;
	const char      *wanted; /* NULL: not asked */
} templates[] = {
	{ "mysql_table(5): %s is the key", TEMPLATE_QUESTION, "x='%s'", B("a@b.c"), B(""),
	  "x='a@b.c'" },
	{ "%u the local part, %d the domain", TEMPLATE_QUESTION, "%u at %d", B("a@b.c"), B(""),
	  "a at b.c" },
	{ "%u of a bare key is the key", TEMPLATE_QUESTION, "%u", B("a"), B(""), "a" },
	{ "%d of a bare key: not asked", TEMPLATE_QUESTION, "%d", B("a"), B(""), NULL },
	{ "%u of @domain: not asked", TEMPLATE_QUESTION, "%u", B("@b.c"), B(""), NULL },
	{ "%d of user@: not asked", TEMPLATE_QUESTION, "%d", B("a@"), B(""), NULL },
	{ "the last @ counts", TEMPLATE_QUESTION, "%u|%d", B("a@x@b.c"), B(""), "a@x|b.c" },
	{ "%1 is the last label", TEMPLATE_QUESTION, "%1-%2", B("a@b.c"), B(""), "c-b" },
	{ "two dots are one", TEMPLATE_QUESTION, "%1-%2", B("a@b..c."), B(""), "c-b" },
	{ "too few labels: not asked", TEMPLATE_QUESTION, "%3", B("a@b.c"), B(""), NULL },
	{ "%% is one", TEMPLATE_QUESTION, "100%%", B("a"), B(""), "100%" },
	{ "in a question %S is %s", TEMPLATE_QUESTION, "%S", B("a@b.c"), B(""), "a@b.c" },
	{ "in a result %s is the value, %U of the key", TEMPLATE_RESULT, "%s/%U", B("v@w.x"),
	  B("a@b.c"), "v@w.x/a" },
	{ "%d of a value without one: not told", TEMPLATE_RESULT, "%d", B("v"), B("a@b.c"), NULL },
	{ "%D needs a key with one", TEMPLATE_RESULT, "%s@%D", B("v"), B("a"), NULL },
	{ "%u of a bare value", TEMPLATE_RESULT, "%u@%D", B("v"), B("a@b.c"), "v@b.c" },
};

static void
test_templates(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(templates); i++) {
		const struct template_case *c = &templates[i];
		struct arena               *a = arena_open(NULL);
		struct buffer               out = { 0 };
		struct template t;
		HOLDS(c->why,
		      template_parse(&t, bytes_of(c->text), c->of, QUOTES_PLAIN, a) == NULL);
		bool asked =
			template_expand(&t, c->value, c->of == TEMPLATE_RESULT ? &c->key : NULL,
		                        NULL, NULL, &out);
		HOLDS(c->why, asked == (c->wanted != NULL));
		if (asked)
			SAME(c->why, buffer_bytes(&out), bytes_of(c->wanted));
		buffer_free(&out);
		arena_close(&a);
	}
}

/* What dovecot-sql.conf.ext says in its line "connect"; the words are libpq's. */
static const struct connect_case {
	const char *why, *text, *hosts, *user, *password, *dbname; /* hosts NULL: refused */
} connects[] = {
	{ "nothing: what the other settings say", "", "before", "u", "p", "d" },
	{ "Dovecot's own example", "host=localhost dbname=mails user=mailuser password=secret",
	  "localhost", "mailuser", "secret", "mails" },
	{ "a socket's directory", "host=/var/run/postgresql dbname=x", "unix:/var/run/postgresql",
	  "u", "p", "x" },
	{ "a port", "host=db.example port=5433", "db.example:5433", "u", "p", "d" },
	{ "a port alone", "port=5433", "localhost:5433", "u", "p", "d" },
	{ "IPv6", "host=2001:db8::1 port=1", "[2001:db8::1]:1", "u", "p", "d" },
	{ "two hosts", "host=a host=b", "a b", "u", "p", "d" },
	{ "quotes", "password='a b=c' user = \"m n\"", "before", "m n", "a b=c", "d" },
	{ "an empty password", "password='' user=x", "before", "x", "", "d" },
	{ "what is not known", "host=a ssl_ca=/x", NULL, "", "", "" },
};

static void
test_connect(void **state)
{
	static const char *const before[] = { "before" };

	(void)state;
	for (size_t i = 0; i < COUNT(connects); i++) {
		const struct connect_case *c = &connects[i];
		struct arena              *a = arena_open(NULL);
		struct buffer              errors = { 0 }, hosts = { 0 };
		struct settings           *s =
			settings_read(BYTES("connect = x\n"), "/f.cf", &errors, &errors);
		struct setting_list list = { before, 1 };
		const char         *user = "u", *password = "p", *dbname = "d";
		bool                good = remote_sql_connect(c->text,
		                                              &(struct remote_server){ &list, &user, &password,
		                                                                       &dbname },
		                                              s, "/f.cf", a, &errors);
		HOLDS(c->why, good == (c->hosts != NULL));
		HOLDS(c->why, good || bytes_starts(buffer_bytes(&errors),
		                                   BYTES("/f.cf:1: connect: ssl_ca is not known")));
		for (size_t n = 0; n < list.count; n++)
			buffer_printf(&hosts, "%s%s", n > 0 ? " " : "", list.item[n]);
		if (good) {
			SAME(c->why, buffer_bytes(&hosts), bytes_of(c->hosts));
			SAME(c->why, bytes_of(user), bytes_of(c->user));
			SAME(c->why, bytes_of(password), bytes_of(c->password));
			SAME(c->why, bytes_of(dbname), bytes_of(c->dbname));
		}
		settings_close(&s);
		buffer_free(&errors);
		buffer_free(&hosts);
		arena_close(&a);
	}
}

static const struct quotes_case {
	const char          *why, *text;
	enum template_quotes quotes;
	bool                 good;
} quotes[] = {
	{ "in quotes it is data", "SELECT v FROM a WHERE k = '%s'", QUOTES_SQL, true },
	{ "without them a program", "SELECT v FROM a WHERE k = %s", QUOTES_SQL, false },
	{ "after the quotes", "SELECT 'x' FROM a WHERE k = %s", QUOTES_MYSQL, false },
	{ "a doubled quote is one inside", "SELECT 'it''s %s'", QUOTES_PGSQL, true },
	{ "double quotes are names in PostgreSQL", "SELECT \"%s\"", QUOTES_PGSQL, false },
	{ "and strings in MySQL", "SELECT \"%s\"", QUOTES_MYSQL, true },
	{ "E'...' has backslashes", "SELECT E'%s'", QUOTES_PGSQL, false },
	{ "a backslash hides a quote in MySQL", "SELECT 'a\\'b', '%s'", QUOTES_MYSQL, true },
	{ "%z is nothing", "SELECT '%z'", QUOTES_SQL, false },
	{ "nor a % at the end", "SELECT '%", QUOTES_SQL, false },
	{ "nothing is no question", "", QUOTES_PLAIN, false },
};

static void
test_quotes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(quotes); i++) {
		struct arena *a = arena_open(NULL);
		struct template t;
		HOLDS(quotes[i].why,
		      (template_parse(&t, bytes_of(quotes[i].text), TEMPLATE_QUESTION,
		                      quotes[i].quotes, a) == NULL) == quotes[i].good);
		arena_close(&a);
	}
}

static const struct reply_case {
	const char          *why;
	bool                 tcp;
	struct bytes         in;
	enum socketmap_reply is;
	struct bytes         value;
} replies[] = {
	{ "socketmap_table(5)", false, B("11:OK a@b.test,"), SOCKETMAP_OK, B("a@b.test") },
	{ "nothing found", false, B("9:NOTFOUND ,"), SOCKETMAP_NONE, B("") },
	{ "not now", false, B("8:TEMP why,"), SOCKETMAP_LATER, B("why") },
	{ "too slow", false, B("8:TIMEOUT ,"), SOCKETMAP_LATER, B("") },
	{ "never, which is not: nobody", false, B("8:PERM why,"), SOCKETMAP_LATER, B("why") },
	{ "half a netstring", false, B("11:OK a@"), SOCKETMAP_SHORT, B("") },
	{ "no length yet", false, B("1"), SOCKETMAP_SHORT, B("") },
	{ "no length at all", false, B("OK a@b.test"), SOCKETMAP_NONSENSE, B("") },
	{ "a length beyond all bounds", false, B("9999999:"), SOCKETMAP_NONSENSE, B("") },
	{ "a length that overflows", false, B("18446744073709551615:"), SOCKETMAP_NONSENSE, B("") },
	{ "no comma", false, B("4:OK a;"), SOCKETMAP_NONSENSE, B("") },
	{ "more than one reply", false, B("4:OK a,4:OK b,"), SOCKETMAP_NONSENSE, B("") },
	{ "a word nobody knows", false, B("3:YES,"), SOCKETMAP_NONSENSE, B("") },
	{ "a value of nothing", false, B("3:OK ,"), SOCKETMAP_NONSENSE, B("") },
	{ "tcp_table(5)", true, B("200 a%20b\n"), SOCKETMAP_OK, B("a b") },
	{ "not there", true, B("500 no\n"), SOCKETMAP_NONE, B("no") },
	{ "not now", true, B("400 later\n"), SOCKETMAP_LATER, B("later") },
	{ "no line yet", true, B("200 a"), SOCKETMAP_SHORT, B("") },
	{ "half a code", true, B("200 a%2\n"), SOCKETMAP_NONSENSE, B("") },
	{ "another number", true, B("250 ok\n"), SOCKETMAP_NONSENSE, B("") },
	{ "two lines", true, B("200 a\n200 b\n"), SOCKETMAP_NONSENSE, B("") },
};

static void
test_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(replies); i++) {
		struct buffer        value = { 0 };
		enum socketmap_reply is = replies[i].tcp
		                                  ? tcp_reply_read(replies[i].in, &value)
		                                  : socketmap_reply_read(replies[i].in, &value);
		HOLDS(replies[i].why, is == replies[i].is);
		if (is == SOCKETMAP_OK || is == SOCKETMAP_LATER)
			SAME(replies[i].why, buffer_bytes(&value), replies[i].value);
		buffer_free(&value);
	}
}

static void
test_questions(void **state)
{
	struct buffer out = { 0 };

	(void)state;
	socketmap_question(BYTES("virtual"), BYTES("a,b:c@d"), &out);
	SAME("socketmap_table(5): a netstring", buffer_bytes(&out), BYTES("15:virtual a,b:c@d,"));
	buffer_reset(&out);
	tcp_question(BYTES("a b\n%@d"), &out);
	SAME("tcp_table(5): one line whatever the key", buffer_bytes(&out),
	     BYTES("get a%20b%0A%25@d\n"));
	buffer_free(&out);
}

/* Servers of a test: those that are away, and how often each was connected to. */
static struct {
	bool away[3], lose;
	int  connected[3], closed, asked;
} world;

static void *
fake_connect(void *ctx, const char *server, int timeout_ms, struct buffer *why)
{
	int n = server[0] - 'a';

	(void)ctx;
	(void)timeout_ms;
	world.connected[n]++;
	if (!world.away[n])
		return &world.away[n];
	buffer_reset(why);
	buffer_printf(why, "%s is away", server);
	return NULL;
}

static void
fake_disconnect(void *ctx, void *own)
{
	(void)ctx;
	(void)own;
	world.closed++;
}

static enum pool_asked
fake_ask(void *asker, void *connection, int timeout_ms, struct buffer *why)
{
	(void)timeout_ms;
	(void)why;
	world.asked++;
	*(ptrdiff_t *)asker = (bool *)connection - world.away;
	if (!world.lose)
		return POOL_DONE;
	world.lose = false;
	return POOL_LOST;
}

static bool
asks(struct pool *p, ptrdiff_t *who)
{
	struct buffer why = { 0 };
	bool          good = pool_ask(p, fake_ask, who, &why);

	HOLDS("a failure has words", good || why.len > 0);
	buffer_free(&why);
	return good;
}

static void
test_pool(void **state)
{
	static const struct pool_ways    ways = { fake_connect, fake_disconnect };
	static const char *const         names[] = { "a", "b", "c" };
	static const struct setting_list servers = { names, 3 };
	ptrdiff_t                        who = -1;
	struct pool                     *p = pool_open(&servers, false, 1000, &ways, NULL);

	(void)state;
	HOLDS("in their order", asks(p, &who) && who == 0 && world.connected[0] == 1);
	HOLDS("a connection is used again", asks(p, &who) && world.connected[0] == 1);
	world.lose = true;
	HOLDS("one that lay about and was lost is made anew",
	      asks(p, &who) && who == 0 && world.connected[0] == 2);
	world.lose = world.away[0] = true;
	HOLDS("a server that is away: the next", asks(p, &who) && who == 1);
	world.connected[0] = 0;
	HOLDS("and is left alone", asks(p, &who) && who == 1 && world.connected[0] == 0);
	world.lose = world.away[1] = world.away[2] = true;
	HOLDS("all away", !asks(p, &who));
	world.connected[0] = world.connected[1] = world.connected[2] = 0;
	HOLDS("nobody is tried for a while: an answer at once",
	      !asks(p, &who) && world.connected[0] + world.connected[1] + world.connected[2] == 0);
	pool_close(&p);
	pool_close(&p);
}

/* mysql_table(5): idle_interval and retry_interval. */
static void
test_intervals(void **state)
{
	static const struct pool_ways    ways = { fake_connect, fake_disconnect };
	static const char *const         names[] = { "a" };
	static const struct setting_list servers = { names, 1 };
	ptrdiff_t                        who = -1;
	struct pool                     *p = pool_open(&servers, false, 1000, &ways, NULL);

	(void)state;
	memset(&world, 0, sizeof world);
	HOLDS("it answers", asks(p, &who) && world.connected[0] == 1);
	HOLDS("what was used a moment ago stays", pools_tidy() && world.closed == 0);
	pool_intervals(p, -1, 0);
	HOLDS("what lay about for longer is closed without a question",
	      !pools_tidy() && world.closed == 1);
	world.away[0] = true;
	HOLDS("it is away", !asks(p, &who) && world.connected[0] == 2);
	world.away[0] = false;
	HOLDS("with 0 it is tried by the next question", asks(p, &who) && world.connected[0] == 3);
	pool_intervals(p, 1000, 3600000);
	world.away[0] = world.lose = true;
	HOLDS("it is away again", !asks(p, &who));
	world.away[0] = false;
	HOLDS("and left alone for the hour that was said", !asks(p, &who));
	pool_close(&p);
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* mysql_table(5), domain: names, files, tables; and what changed meanwhile. */
static void
test_domains(void **state)
{
	char              list[] = "/tmp/domains-XXXXXX", text[64], table[128];
	struct arena     *life = arena_open(NULL);
	struct buffer     why = { 0 };
	struct domains   *d;
	const char *const items[] = { "!not.example", "example.com", list, table };
	const char *const remote[] = { "tcp:127.0.0.1:1" }, *const gone[] = { "/nowhere/at/all" };

	(void)state;
	assert_true(mkstemp(list) >= 0);
	(void)snprintf(text, sizeof text, "%s.text", list);
	(void)snprintf(table, sizeof table, "texthash:%s", text);
	write_file(list, "# some\none.example, two.example\n");
	write_file(text, "three.example x\nnot.example x\n");
	d = domains_open(&(struct setting_list){ items, 4 }, life, &why);
	assert_non_null(d);
	HOLDS("itself", domains_have(d, BYTES("Example.COM")));
	HOLDS("of a file", domains_have(d, BYTES("two.example")));
	HOLDS("of a table", domains_have(d, BYTES("three.example")));
	HOLDS("none of them", !domains_have(d, BYTES("some")));
	HOLDS("! stands before what follows", !domains_have(d, BYTES("not.example")));
	write_file(list, "four.example\n");
	write_file(text, "nothing that is a table's line, but for one\nfive.example x\n");
	HOLDS("the file changed",
	      domains_have(d, BYTES("four.example")) && !domains_have(d, BYTES("two.example")));
	HOLDS("the table changed", domains_have(d, BYTES("five.example")));
	domains_close(&d);
	HOLDS("a table of another server",
	      domains_open(&(struct setting_list){ remote, 1 }, life, &why) == NULL && why.len > 0);
	HOLDS("a file that is not there",
	      domains_open(&(struct setting_list){ gone, 1 }, life, &why) == NULL);
	(void)unlink(list);
	(void)unlink(text);
	buffer_free(&why);
	arena_close(&life);
}

UNIT(test_templates, test_connect, test_quotes, test_replies, test_questions, test_pool,
     test_intervals, test_domains)
