/* What a domain says of its own hosts, and the web server it says it by. */
#include "unit.h"

#include <string.h>

#include "smtp/sender/sts.h"
#include "smtp/sender/webreply.h"

#define HEAD "version: STSv1\r\nmode: enforce\r\nmax_age: 604800\r\n"

/* clang-format off */
static const struct policy_case { const char *why, *text; int mode; const char *host; bool allowed; } policies[] = {
	{ "rfc8461:3.2 the example", HEAD "mx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\n", STS_ENFORCE, "backupmx.example.com", true },
	{ "rfc8461:4.1 a wildcard stands for a label", HEAD "mx: *.example.net", STS_ENFORCE, "mx.example.net", true },
	{ "rfc8461:4.1 for one alone", HEAD "mx: *.example.net", STS_ENFORCE, "a.mx.example.net", false },
	{ "rfc8461:4.1 not for none", HEAD "mx: *.example.net", STS_ENFORCE, "example.net", false },
	{ "names are in any letters", HEAD "mx: MAIL.Example.com", STS_ENFORCE, "mail.EXAMPLE.com", true },
	{ "rfc8461:3.2 of what is said twice the first counts", HEAD "mode: none\r\nmx: a.example\r\n", STS_ENFORCE, "a.example", true },
	{ "rfc8461:3.2 what nobody knows is passed over", HEAD "colour: red\r\nmx: a.example\r\n", STS_ENFORCE, "a.example", true },
	{ "rfc8461:3.2 lines may end with LF", "version: STSv1\nmode: testing\nmax_age: 1\nmx: a.example", STS_TESTING, "b.example", false },
	{ "rfc8461:3.2 none needs no mx", "version: STSv1\nmode: none\nmax_age: 86400\n", STS_NONE, "a.example", false },
	{ "but the others do", "version: STSv1\nmode: enforce\nmax_age: 86400\n", -1, "", false },
	{ "another version", "version: STSv2\nmode: none\nmax_age: 86400\n", -1, "", false },
	{ "no version", "mode: none\nmax_age: 86400\n", -1, "", false },
	{ "a mode there is not", "version: STSv1\nmode: strict\nmax_age: 86400\nmx: a.example\n", -1, "", false },
	{ "an age that is no number", "version: STSv1\nmode: none\nmax_age: week\n", -1, "", false },
	{ "a host that is none", HEAD "mx: a b\n", -1, "", false },
	{ "no lines of a policy", "<html>", -1, "", false },
};
static const struct record_case { const char *why, *one, *two, *id; } records[] = {
	{ "rfc8461:3.1 the example", "v=STSv1; id=20160831085700Z;", NULL, "20160831085700Z" },
	{ "without an end", "v=STSv1;id=1", NULL, "1" },
	{ "other texts stand beside it", "v=spf1 -all", "v=STSv1; id=a;", "a" },
	{ "two are none", "v=STSv1; id=a;", "v=STSv1; id=b;", NULL },
	{ "no id", "v=STSv1;", NULL, NULL },
	{ "an id with more than letters and digits", "v=STSv1; id=a-b;", NULL, NULL },
	{ "an id that is too long", "v=STSv1; id=123456789012345678901234567890123;", NULL, NULL },
	{ "another version", "v=STSv10; id=1;", NULL, NULL },
};
static const struct reply_case { const char *why, *text; bool ended; enum web_outcome wanted; const char *content; } replies[] = {
	{ "a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", false, WEB_WHOLE, "hello" },
	{ "to the end", "HTTP/1.1 200 OK\r\n\r\nhello", true, WEB_WHOLE, "hello" },
	{ "more may come", "HTTP/1.1 200 OK\r\n\r\nhello", false, WEB_MORE, "" },
	{ "rfc9112:7.1 pieces", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x\r\nlo\r\n0\r\n\r\n", false, WEB_WHOLE, "hello" },
	{ "half a piece", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nh", false, WEB_MORE, "" },
	{ "that is all there is", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nh", true, WEB_BROKEN, "" },
	{ "less than was promised", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", true, WEB_BROKEN, "" },
	{ "two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", true, WEB_BROKEN, "" },
	{ "another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", true, WEB_BROKEN, "" },
	{ "more than is wanted", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", false, WEB_BROKEN, "" },
	{ "no HTTP", "220 hello\r\n\r\n", false, WEB_BROKEN, "" },
	{ "nothing yet", "HTT", false, WEB_MORE, "" },
};
/* clang-format on */

static void
test_policies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(policies); i++) {
		const struct policy_case *c = &policies[i];
		struct arena             *a = arena_open(NULL);
		struct sts_policy         p;
		const char               *why;
		bool                      good = sts_read(bytes_of(c->text), a, &p, &why);

		if (good != (c->mode >= 0) ||
		    (good && ((int)p.mode != c->mode || sts_allows(&p, c->host) != c->allowed)))
			fail_msg("%s: %s", c->why, good ? "taken" : why);
		arena_close(&a);
	}
}

static void
test_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(records); i++) {
		const char *const    texts[] = { records[i].one, records[i].two };
		struct answer_record r[2];
		struct answer        x = { .status = ANSWER_FOUND, .record = r };
		char                 wire[2][256], id[STS_ID_MOST + 1];

		for (size_t n = 0; n < COUNT(texts) && texts[n] != NULL; n++) {
			size_t len = strlen(texts[n]);

			wire[n][0] = (char)len;
			memcpy(wire[n] + 1, texts[n], len);
			r[x.records++].data = (struct bytes){ wire[n], len + 1 };
		}
		if (sts_record(&x, id) != (records[i].id != NULL) ||
		    (records[i].id != NULL && strcmp(id, records[i].id) != 0))
			fail_msg("%s", records[i].why);
	}
}

static void
test_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(replies); i++) {
		const struct reply_case *c = &replies[i];
		struct arena            *a = arena_open(NULL);
		struct webreply          r;
		enum web_outcome         o = webreply_read(bytes_of(c->text), c->ended, 100, a, &r);

		if (o != c->wanted || (o == WEB_WHOLE && !bytes_is(r.content, c->content)))
			fail_msg("%s: %d", c->why, (int)o);
		arena_close(&a);
	}
}

/* A web server that says one byte at a time is read many times, and has no more memory for it. */
static void
test_a_reply_by_bytes(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
	struct arena     *a = arena_open(NULL);
	struct buffer     all = { 0 };
	struct webreply   r;
	size_t            before;

	(void)state;
	buffer_add_string(&all, head);
	for (int i = 0; i < 1000; i++)
		buffer_add_string(&all, "1\r\nx\r\n");
	buffer_add_string(&all, "0\r\n\r\n");
	before = arena_size(a);
	for (size_t n = 1; n + 4 < all.len; n++)
		HOLDS("not yet", webreply_read((struct bytes){ all.at, n }, false, 1000, a, &r) == WEB_MORE);
	HOLDS("nothing is kept", arena_size(a) == before);
	HOLDS("whole", webreply_read(buffer_bytes(&all), false, 1000, a, &r) == WEB_WHOLE && r.content.len == 1000 &&
	                       bytes_is(r.type, "text/plain") && r.content.at[999] == 'x');
	buffer_free(&all);
	arena_close(&a);
}

UNIT(test_policies, test_records, test_replies, test_a_reply_by_bytes)
