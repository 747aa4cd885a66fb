#include "unit.h"

#include <string.h>

#include "dns/answer.h"
#include "packets.h"

#define PACKET(p) { (const char *)(p), sizeof(p) }
#define TLSA "\3\1\1\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"

/* Preference, name and data of each record. */
struct wanted { int preference; const char *name; struct bytes data; };
static const struct answer_case {
	const char *why;
	struct bytes packet;
	const char *name;
	uint16_t type;
	enum answer_status status;
	const char *whose;
	struct wanted record[3];
} cases[] = {
	{ "rfc1035:3.3.9 two exchangers, compressed", PACKET(packet_mx), "example.com", DNS_MX, ANSWER_FOUND, "example.com",
	  { { 10, "mail.example.com", { NULL, 0 } }, { 20, "mail.example.net", { NULL, 0 } } } },
	{ "asked in capitals", PACKET(packet_mx), "EXAMPLE.com", DNS_MX, ANSWER_FOUND, "example.com",
	  { { 10, "mail.example.com", { NULL, 0 } }, { 20, "mail.example.net", { NULL, 0 } } } },
	{ "rfc1034:3.6.2 behind an alias", PACKET(packet_alias), "www.example.com", DNS_A, ANSWER_FOUND, "web.example.com",
	  { { 0, "", { "\300\0\2\7", 4 } } } },
	{ "the alias itself", PACKET(packet_alias), "www.example.com", DNS_CNAME, ANSWER_FOUND, "www.example.com",
	  { { 0, "web.example.com", { NULL, 0 } } } },
	{ "rfc3596:2.2", PACKET(packet_aaaa), "web.example.com", DNS_AAAA, ANSWER_FOUND, "web.example.com",
	  { { 0, "", { "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7", 16 } } } },
	{ "rfc6698:2.1", PACKET(packet_tlsa), "_25._tcp.mail.example.com", DNS_TLSA, ANSWER_FOUND, "_25._tcp.mail.example.com",
	  { { 0, "", { TLSA, 35 } } } },
	{ "a name nobody can have", PACKET(packet_odd), "odd.example.com", DNS_PTR, ANSWER_FOUND, "odd.example.com",
	  { { 0, "a\\046b.x\\000y.example.net", { NULL, 0 } } } },
	{ "rfc2308:2.1", PACKET(packet_nxdomain), "nope.example.com", DNS_A, ANSWER_NO_NAME, "nope.example.com", { { 0, NULL, { NULL, 0 } } } },
	{ "rfc2308:2.2", PACKET(packet_no_mx), "web.example.com", DNS_MX, ANSWER_NO_RECORD, "web.example.com", { { 0, NULL, { NULL, 0 } } } },
	{ "an answer to another question is none", PACKET(packet_mx), "example.org", DNS_MX, ANSWER_NO_RECORD, "example.org", { { 0, NULL, { NULL, 0 } } } },
};

static void
test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct answer_case *c = &cases[i];
		struct arena  *life = arena_open(NULL);
		struct answer  a;

		HOLDS(c->why, answer_parse(c->packet, bytes_of(c->name), c->type, life, &a));
		HOLDS(c->why, a.status == c->status);
		SAME(c->why, a.name, bytes_of(c->whose));
		for (size_t n = 0; n < COUNT(c->record) && c->record[n].name != NULL; n++) {
			HOLDS(c->why, n < a.records && a.record[n].ttl == 3600);
			HOLDS(c->why, a.record[n].preference == c->record[n].preference);
			SAME(c->why, a.record[n].name, bytes_of(c->record[n].name));
			if (c->record[n].data.at != NULL)
				SAME(c->why, a.record[n].data, c->record[n].data);
			HOLDS(c->why, n + 1 == COUNT(c->record) || c->record[n + 1].name != NULL || a.records == n + 1);
		}
		arena_close(&life);
	}
}

static void
test_strings(void **state)
{
	struct arena        *life = arena_open(NULL);
	struct buffer        out = { 0 };
	struct answer        a;
	struct answer_record torn = { .data = BYTES("\5abc") };

	(void)state;
	HOLDS("TXT", answer_parse((struct bytes)PACKET(packet_txt), BYTES("example.com"), DNS_TXT, life, &a) && a.records == 1);
	HOLDS("TXT", answer_strings(&a.record[0], &out));
	SAME("rfc7208:3.3 strings are one", buffer_bytes(&out), BYTES("v=spf1 mx -all"));
	HOLDS("torn", !answer_strings(&torn, &out));
	buffer_free(&out);
	arena_close(&life);
}

/* Every packet cut anywhere, or with one byte turned, is understood or refused; nothing else. */
static void
test_torn(void **state)
{
	unsigned char packet[512];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t n = 0; n < cases[i].packet.len; n++) {
			struct arena *life = arena_open(NULL);
			struct answer a;
			bool          good;

			memcpy(packet, cases[i].packet.at, cases[i].packet.len);
			good = answer_parse((struct bytes){ (char *)packet, n }, bytes_of(cases[i].name), cases[i].type, life, &a);
			HOLDS("cut", good || (a.status == ANSWER_LATER && a.records == 0));
			packet[n] = (unsigned char)~packet[n];
			good = answer_parse((struct bytes){ (char *)packet, cases[i].packet.len }, bytes_of(cases[i].name), cases[i].type, life, &a);
			HOLDS("turned", good || (a.status == ANSWER_LATER && a.records == 0));
			arena_close(&life);
		}
}

#define RAW(s) { s, sizeof(s) - 1 }
#define HEAD(count) "\0\0\x84\0\0\0" count "\0\0\0\0"
#define REST "\0\5\0\1\0\0\0\0"                                 /* CNAME IN, ttl 0 */

static void
test_circles(void **state)
{
	static const struct { const char *why; struct bytes packet; } bad[] = {
		{ "a pointer to itself", RAW(HEAD("\0\1") "\300\014" REST "\0\2\300\014") },
		{ "a pointer forward", RAW(HEAD("\0\1") "\300\020" REST "\0\2\300\014") },
		{ "an alias of itself", RAW(HEAD("\0\1") "\1a\0" REST "\0\3\1a\0") },
		{ "two aliases of each other", RAW(HEAD("\0\2") "\1a\0" REST "\0\3\1b\0" "\1b\0" REST "\0\3\1a\0") },
		{ "a name longer than its record", RAW(HEAD("\0\1") "\1a\0" REST "\0\2\1b\0") },
		{ "an address of three bytes", RAW(HEAD("\0\1") "\1a\0" "\0\1\0\1\0\0\0\0" "\0\3\1\2\3") },
		{ "too many records", RAW(HEAD("\1\1")) },
		{ "SERVFAIL", RAW("\0\0\x84\2\0\0\0\0\0\0\0\0") },
		{ "nothing", RAW("") },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct arena *life = arena_open(NULL);
		struct answer a;
		HOLDS(bad[i].why, !answer_parse(bad[i].packet, BYTES("a"), DNS_A, life, &a) && a.status == ANSWER_LATER);
		arena_close(&life);
	}
}

/* Twelve hundred records of one name: of exchangers and addresses some are enough, of others one left out may be the one that counts. */
static void
test_crowds(void **state)
{
	enum { MANY = 1200 };
	static const struct { const char *why; uint16_t type; const char *data; size_t len; bool read; } rows[] = {
		{ "rfc5321:5.1 exchangers", DNS_MX, "\0\12\1b\0", 5, true },
		{ "addresses", DNS_A, "\300\0\2\1", 4, true },
		{ "addresses", DNS_AAAA, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7", 16, true },
		{ "texts", DNS_TXT, "\1x", 2, false },
		{ "certificates", DNS_TLSA, "\3\1\1x", 4, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena *life = arena_open(NULL);
		struct buffer b = { 0 };
		struct answer a;
		bool          good;

		buffer_add(&b, (struct bytes)RAW(HEAD("\4\260")));
		for (int n = 0; n < MANY; n++) {
			buffer_add(&b, (struct bytes)RAW("\1a\0"));
			buffer_add_char(&b, 0);
			buffer_add_char(&b, (char)rows[i].type);
			buffer_add(&b, (struct bytes)RAW("\0\1\0\0\0\0\0"));
			buffer_add_char(&b, (char)rows[i].len);
			buffer_add(&b, (struct bytes){ rows[i].data, rows[i].len });
		}
		good = answer_parse(buffer_bytes(&b), BYTES("a"), rows[i].type, life, &a);
		HOLDS(rows[i].why, good == rows[i].read);
		HOLDS(rows[i].why, a.records == (good ? ANSWER_CHOICE : 0));
		buffer_free(&b);
		arena_close(&life);
	}
}

UNIT(test_answers, test_strings, test_torn, test_circles, test_crowds)
