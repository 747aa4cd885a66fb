#include "unit.h"

#include <string.h>

#include "message/envelope.h"

static void
test_there_and_back(void **state)
{
	const struct envelope_recipient to[] = {
		{ BYTES("a@b.c"), BYTES("rfc822;a@b.c"), NOTIFY_FAILURE | NOTIFY_DELAY },
		{ BYTES("d@e.f"), BYTES(""), 0 },
	};
	struct envelope e = {
		.letter = 0x1234567890, .arrived_us = 1795311319000001, .flags = ENVELOPE_SMTPUTF8,
		.body = BODY_8BITMIME, .ret = 'H', .sender = BYTES("s@t.u"), .envid = BYTES("x"),
		.user = BYTES("eva"), .client = BYTES("h[192.0.2.1]"), .helo = BYTES("h"),
		.protocol = BYTES("ESMTPS"), .content_len = 77, .prefix = BYTES("Received: x\r\n"),
		.digest = BYTES("\0\1"),
		.handling = { 1795311320000000, 1795311319000002, 'N', true, -9, BYTES("a check says so"),
		              BYTES("smtp:[127.0.0.1]:10025"), BYTES("g@h.i"), BYTES("+=") },
		.recipient = to, .recipients = COUNT(to),
	}, got;
	struct buffer b = { 0 }, again = { 0 };
	struct arena *a = arena_open(NULL);

	(void)state;
	envelope_pack(&e, &b);
	HOLDS("whole", envelope_unpack(buffer_bytes(&b), a, &got));
	HOLDS("numbers", got.letter == e.letter && got.arrived_us == e.arrived_us && got.ret == 'H' &&
	      got.body == BODY_8BITMIME && got.flags == e.flags && got.content_len == 77);
	HOLDS("recipients", got.recipients == 2 && got.recipient[0].notify == to[0].notify);
	SAME("orcpt", got.recipient[0].orcpt, to[0].orcpt);
	HOLDS("handling", got.handling.not_before_us == e.handling.not_before_us &&
	      got.handling.by_us == e.handling.by_us && got.handling.by_mode == 'N' && got.handling.by_trace &&
	      got.handling.priority == -9);
	SAME("hold", got.handling.hold, e.handling.hold);
	SAME("filter", got.handling.filter, e.handling.filter);
	SAME("redirect", got.handling.redirect, e.handling.redirect);
	SAME("verp", got.handling.verp, e.handling.verp);
	envelope_pack(&got, &again);
	SAME("packed again", buffer_bytes(&again), buffer_bytes(&b));
	for (size_t n = 0; n < b.len; n++)
		HOLDS("cut short", !envelope_unpack((struct bytes){ b.at, n }, a, &got));
	memset(b.at + b.len - 30, 0xff, 4);
	HOLDS("a length that lies", !envelope_unpack(buffer_bytes(&b), a, &got));
	buffer_free(&b);
	buffer_free(&again);
	arena_close(&a);
}

/* docs/format.md, version 1, byte by byte: what the letter logs of 0.2 hold. */
static void
test_version_1(void **state)
{
	static const char old[] =
		"\1\0" "\x90\x78\x56\x34\x12\0\0\0" "\1\0\0\0\0\0\0\0" "\2\0\0\0" "\1" "H"
		"\5\0\0\0s@t.u" "\1\0\0\0x" "\3\0\0\0eva" "\1\0\0\0c" "\1\0\0\0h" "\5\0\0\0ESMTP"
		"\x4d\0\0\0\0\0\0\0" "\0\0\0\0" "\0\0\0\0" "\1\0\0\0" "\5\0\0\0a@b.c" "\0\0\0\0" "\4";
	struct arena   *a = arena_open(NULL);
	struct envelope e;

	(void)state;
	HOLDS("read", envelope_unpack((struct bytes){ old, sizeof old - 1 }, a, &e));
	HOLDS("numbers", e.letter == 0x1234567890 && e.arrived_us == 1 && e.flags == ENVELOPE_SUBMITTED &&
	      e.body == BODY_8BITMIME && e.ret == 'H' && e.content_len == 77 && e.recipients == 1);
	HOLDS("nothing is asked of its handling", e.handling.not_before_us == 0 && e.handling.by_mode == 0 &&
	      e.handling.priority == 0 && e.handling.hold.len == 0 && e.handling.filter.len == 0);
	SAME("recipient", e.recipient[0].address, BYTES("a@b.c"));
	HOLDS("notify", e.recipient[0].notify == NOTIFY_FAILURE);
	arena_close(&a);
}

/* What only an appended letter has. */
static void
test_receipts(void **state)
{
	struct envelope e = { .letter = 77, .flags = ENVELOPE_APPENDED, .content_len = 7,
		              .receipt = { UINT64_C(1) << 40, 3, 99, 1700000000, 5, 1, 1600000000, -90 } }, got;
	struct buffer   b = { 0 }, old = { 0 };
	struct arena   *a = arena_open(NULL);

	(void)state;
	envelope_pack(&e, &b);
	HOLDS("version 3", b.at[0] == 3 && envelope_unpack(buffer_bytes(&b), a, &got));
	HOLDS("there and back", got.receipt.account == e.receipt.account && got.receipt.mailbox == 3 && got.receipt.modseq == 99 &&
	      got.receipt.uidvalidity == 1700000000 && got.receipt.uid == 5 && got.receipt.flags == 1 &&
	      got.receipt.date == 1600000000 && got.receipt.zone == -90);
	for (size_t n = 0; n < b.len; n++)
		HOLDS("cut short", !envelope_unpack((struct bytes){ b.at, n }, a, &got));
	e.receipt.account = 0;
	envelope_pack(&e, &old);
	HOLDS("without one it is as before", old.at[0] == 2 && old.len == b.len - 52 && envelope_unpack(buffer_bytes(&old), a, &got) &&
	      got.receipt.account == 0);
	memset(b.at + b.len - 52, 0, 8);
	HOLDS("a receipt of nobody is none", !envelope_unpack(buffer_bytes(&b), a, &got));
	buffer_free(&b);
	buffer_free(&old);
	arena_close(&a);
}

/* docs/format.md, version 2, byte by byte: what the letter logs of 0.3 hold. */
static void
test_version_2(void **state)
{
	static const char old[] =
		"\2\0" "\x90\x78\x56\x34\x12\0\0\0" "\1\0\0\0\0\0\0\0" "\2\0\0\0" "\1" "H"
		"\5\0\0\0s@t.u" "\1\0\0\0x" "\3\0\0\0eva" "\1\0\0\0c" "\1\0\0\0h" "\5\0\0\0ESMTP"
		"\x4d\0\0\0\0\0\0\0" "\0\0\0\0" "\0\0\0\0"
		"\0\0\0\0\0\0\0\0" "\0\0\0\0\0\0\0\0" "\0" "\0" "\x0c" "\0\0\0\0" "\0\0\0\0" "\0\0\0\0" "\2\0\0\0+="
		"\1\0\0\0" "\5\0\0\0a@b.c" "\0\0\0\0" "\4";
	struct arena   *a = arena_open(NULL);
	struct envelope e;
	struct buffer   b = { 0 };

	(void)state;
	HOLDS("read", envelope_unpack((struct bytes){ old, sizeof old - 1 }, a, &e));
	HOLDS("numbers", e.letter == 0x1234567890 && e.flags == ENVELOPE_SUBMITTED && e.handling.priority == 3 && e.recipients == 1);
	SAME("verp", e.handling.verp, BYTES("+="));
	HOLDS("nothing more is known of who brought it", e.origin.port == 0 && e.origin.method.len == 0 &&
	      e.origin.auth_sender.len == 0 && e.origin.solicit.len == 0);
	envelope_pack(&e, &b);
	SAME("and written as it was", buffer_bytes(&b), ((struct bytes){ old, sizeof old - 1 }));
	buffer_free(&b);
	arena_close(&a);
}

/* Version 4: version 2, and at its end what the table there says. */
static void
test_origin(void **state)
{
	static const char tail[] = "\x39\x05" "\5\0\0\0PLAIN" "\5\0\0\0e+40x" "\x0f\0\0\0net.example:ADV";
	struct envelope e = { .letter = 77, .sender = BYTES("s@t.u"), .content_len = 7 }, got;
	struct buffer   plain = { 0 }, b = { 0 };
	struct arena   *a = arena_open(NULL);

	(void)state;
	envelope_pack(&e, &plain);
	e.origin = (struct origin_facts){ 1337, BYTES("PLAIN"), BYTES("e+40x"), BYTES("net.example:ADV") };
	envelope_pack(&e, &b);
	HOLDS("version 4", b.at[0] == 4 && plain.at[0] == 2);
	SAME("before it all is as in version 2", bytes_cut(buffer_bytes(&b), 2, plain.len - 2), bytes_cut(buffer_bytes(&plain), 2, SIZE_MAX));
	SAME("the end", bytes_cut(buffer_bytes(&b), plain.len, SIZE_MAX), ((struct bytes){ tail, sizeof tail - 1 }));
	HOLDS("read", envelope_unpack(buffer_bytes(&b), a, &got) && got.origin.port == 1337);
	SAME("method", got.origin.method, e.origin.method);
	SAME("AUTH=", got.origin.auth_sender, e.origin.auth_sender);
	SAME("SOLICIT=", got.origin.solicit, e.origin.solicit);
	for (size_t n = 0; n < b.len; n++)
		HOLDS("cut short", !envelope_unpack((struct bytes){ b.at, n }, a, &got));
	plain.at[0] = 4;
	buffer_add(&plain, (struct bytes){ "\0\0" "\0\0\0\0" "\0\0\0\0" "\0\0\0\0", 14 });
	HOLDS("one that says nothing is none", !envelope_unpack(buffer_bytes(&plain), a, &got));
	buffer_free(&plain);
	buffer_free(&b);
	arena_close(&a);
}

static void
test_clients(void **state)
{
	static const struct { const char *why, *client, *name, *address; } rows[] = {
		{ "as it is", "mx.example.com[192.0.2.1]", "mx.example.com", "192.0.2.1" },
		{ "smtpd_client_port_logging", "mx.example.com[192.0.2.1]:25", "mx.example.com", "192.0.2.1" },
		{ "IPv6", "unknown[2001:db8::1]", "unknown", "2001:db8::1" },
		{ "written here", "local", "", "" },
		{ "neither", "[]", "", "" },
		{ "wrong way round", "]x[", "", "" },
		{ "nothing", "", "", "" },
	};
	static const struct { const char *why, *protocol, *plain; } spoken[] = {
		{ "TLS and a login", "ESMTPSA", "ESMTP" }, { "rfc6531:4.3", "UTF8SMTPS", "ESMTP" },
		{ "HELO", "SMTP", "SMTP" }, { "rfc2033", "LMTPS", "LMTP" }, { "what somebody said", "QMQP", "QMQP" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bytes name, address;

		client_halves(bytes_of(rows[i].client), &name, &address);
		SAME(rows[i].why, name, bytes_of(rows[i].name));
		SAME(rows[i].why, address, bytes_of(rows[i].address));
	}
	for (size_t i = 0; i < COUNT(spoken); i++)
		SAME(spoken[i].why, protocol_plain(bytes_of(spoken[i].protocol)), bytes_of(spoken[i].plain));
}

static void
test_ids(void **state)
{
	static const struct { const char *why, *text; bool ok; uint64_t id; } rows[] = {
		{ "as logs have it", "1A0000F3C0", true, 0x1A0000F3C0 },
		{ "zeros in front", "0000000001", true, 1 },
		{ "the largest", "FFFFFFFFFFFFFFFF", true, UINT64_MAX },
		{ "too short", "1A", false, 0 },
		{ "too long", "1FFFFFFFFFFFFFFFF", false, 0 },
		{ "a path", "../../../etc", false, 0 },
		{ "empty", "", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t id = 0;
		char text[24];

		HOLDS(rows[i].why, letter_id_parse(bytes_of(rows[i].text), &id) == rows[i].ok);
		if (!rows[i].ok)
			continue;
		HOLDS(rows[i].why, id == rows[i].id);
		letter_id_text(id, text);
		SAME(rows[i].why, bytes_of(text), bytes_of(rows[i].text));
	}
}

UNIT(test_there_and_back, test_version_1, test_version_2, test_receipts, test_origin, test_clients, test_ids)
