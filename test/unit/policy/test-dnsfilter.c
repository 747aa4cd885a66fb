/* Records of the DNS as smtpd_dns_reply_filter has them, and what is left when some are taken out. */
#include "unit.h"

#include <string.h>

#include "base/buffer.h"
#include "policy/dnsfilter.h"

#define RECORD(d, n, p, t) { .data = { (d), sizeof(d) - 1 }, .name = { (n), sizeof(n) - 1 }, .preference = (p), .ttl = (t) }

static void
test_lines(void **state)
{
	/* clang-format off */
	static const struct { const char *why; uint16_t type; struct answer_record record; const char *line; } cases[] = {
		{ "an address", DNS_A, RECORD("\300\000\002\001", "", 0, 300), "example.com. 300 IN A 192.0.2.1" },
		{ "of IPv6", DNS_AAAA, RECORD("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x44", "", 0, 1), "example.com. 1 IN AAAA 2001:db8::44" },
		{ "an exchanger", DNS_MX, RECORD("", "mx.example.com", 10, 3600), "example.com. 3600 IN MX 10 mx.example.com." },
		{ "rfc7505: none", DNS_MX, RECORD("", ".", 0, 3600), "example.com. 3600 IN MX 0 ." },
		{ "a name", DNS_PTR, RECORD("", "host.example.org", 0, 60), "example.com. 60 IN PTR host.example.org." },
		{ "a server of names", DNS_NS, RECORD("", "ns.example.org", 0, 60), "example.com. 60 IN NS ns.example.org." },
		{ "a text", DNS_TXT, RECORD("\006v=spf1", "", 0, 60), "example.com. 60 IN TXT v=spf1" },
		{ "a text of two strings is one", DNS_TXT, RECORD("\003abc\003def", "", 0, 60), "example.com. 60 IN TXT abcdef" },
	};
	/* clang-format on */
	struct buffer out = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct answer a = { .status = ANSWER_FOUND, .name = BYTES("example.com"), .record = &cases[i].record, .records = 1 };

		buffer_reset(&out);
		dnsfilter_line(&a, 0, cases[i].type, &out);
		SAME(cases[i].why, buffer_bytes(&out), bytes_of(cases[i].line));
	}
	buffer_free(&out);
}

/* What a table says: a word for lines that end so. */
struct table { const char *end, *says; bool silent; int asked; };

static enum dnsfilter_found
find(void *ctx, struct bytes line, struct arena *a, struct bytes *value)
{
	struct table *t = ctx;

	(void)a;
	t->asked++;
	if (t->silent)
		return DNSFILTER_LATER;
	if (!bytes_ends_nocase(line, bytes_of(t->end)))
		return DNSFILTER_NONE;
	*value = bytes_of(t->says);
	return DNSFILTER_FOUND;
}

static void
test_what_is_left(void **state)
{
	static const struct answer_record two[] = { RECORD("", "a.example", 10, 60), RECORD("", "b.example", 20, 60) },
					  none[] = { RECORD("", ".", 0, 60) };
	/* clang-format off */
	static const struct { const char *why; const struct answer_record *record; size_t records; struct table table; enum answer_status status; size_t left, asked; } cases[] = {
		{ "nothing is said", two, 2, { "c.example.", "IGNORE", false, 0 }, ANSWER_FOUND, 2, 2 },
		{ "one of two", two, 2, { "10 a.example.", "IGNORE", false, 0 }, ANSWER_FOUND, 1, 2 },
		{ "in any case, with blanks", two, 2, { "10 a.example.", " ignore ", false, 0 }, ANSWER_FOUND, 1, 2 },
		{ "all", two, 2, { ".example.", "IGNORE", false, 0 }, ANSWER_FOUND, 0, 2 },
		{ "another word is a mistake, and nothing is known", two, 2, { "b.example.", "DROP", false, 0 }, ANSWER_LATER, 0, 2 },
		{ "a table that cannot be asked", two, 2, { "", "", true, 0 }, ANSWER_LATER, 0, 2 },
		{ "rfc7505: the word that there is none is never asked about", none, 1, { ".", "IGNORE", false, 0 }, ANSWER_FOUND, 1, 0 },
	};
	/* clang-format on */
	struct arena *life = arena_open(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct answer in = { .status = ANSWER_FOUND, .name = BYTES("example.com"), .record = cases[i].record, .records = cases[i].records }, out;
		struct table  t = cases[i].table;

		HOLDS(cases[i].why, dnsfilter_apply("smtpd_dns_reply_filter", &in, DNS_MX, find, &t, life, &out));
		HOLDS(cases[i].why, out.status == cases[i].status);
		HOLDS(cases[i].why, out.status == ANSWER_LATER || out.records == cases[i].left);
		HOLDS(cases[i].why, (size_t)t.asked == cases[i].asked);
	}
	arena_close(&life);
}

/* Somebody is asked about each record before anything is said; then the same is asked again. */
static enum dnsfilter_found
find_later(void *ctx, struct bytes line, struct arena *a, struct bytes *value)
{
	struct table *t = ctx;

	if (t->asked < 2) {
		t->asked++;
		return DNSFILTER_WAIT;
	}
	return find(ctx, line, a, value);
}

static void
test_who_is_asked_is_waited_for(void **state)
{
	static const struct answer_record two[] = { RECORD("", "a.example", 10, 60), RECORD("", "b.example", 20, 60) };
	struct arena                     *life = arena_open(NULL);
	struct answer                     in = { .status = ANSWER_FOUND, .name = BYTES("example.com"), .record = two, .records = 2 }, out;
	struct table                      t = { "10 a.example.", "IGNORE", false, 0 };

	(void)state;
	HOLDS("not yet", !dnsfilter_apply("smtpd_dns_reply_filter", &in, DNS_MX, find_later, &t, life, &out) && t.asked == 2);
	HOLDS("now", dnsfilter_apply("smtpd_dns_reply_filter", &in, DNS_MX, find_later, &t, life, &out) && out.records == 1);
	SAME("the other is left", out.record[0].name, BYTES("b.example"));
	arena_close(&life);
}

/* What was not found has nothing to leave out, and stays what it is. */
static void
test_no_answer_is_no_record(void **state)
{
	static const enum answer_status others[] = { ANSWER_NO_RECORD, ANSWER_NO_NAME, ANSWER_LATER };
	struct arena                   *life = arena_open(NULL);
	struct table                    t = { "", "IGNORE", false, 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(others); i++) {
		struct answer in = { .status = others[i], .name = BYTES("example.com") }, out;

		HOLDS("at once", dnsfilter_apply("smtpd_dns_reply_filter", &in, DNS_A, find, &t, life, &out));
		HOLDS("as it came", out.status == others[i] && t.asked == 0);
	}
	arena_close(&life);
}

UNIT(test_lines, test_what_is_left, test_who_is_asked_is_waited_for, test_no_answer_is_no_record)
