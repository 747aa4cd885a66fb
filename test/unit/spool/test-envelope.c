#include "../unit.h"

#include <string.h>

#include "message/envelope.h"

static void
test_round_trip(void **state)
{
	struct envelope_recipient to[] = {
		{ .address = BYTES("eva@example.org"),
		  .orcpt = BYTES("rfc822;eva@example.org"),
		  .notify = NOTIFY_FAILURE },
		{ .address = BYTES("\"a b\"@example.net"), .notify = NOTIFY_NEVER },
	};
	struct envelope in = {
		.letter = 0x1a0000f3c0,
		.arrived_us = -5,
		.flags = ENVELOPE_SUBMITTED,
		.body = BODY_8BITMIME,
		.ret = 'H',
		.sender = BYTES("adam@example.org"),
		.envid = BYTES("QQ314159"),
		.user = BYTES("adam"),
		.client = BYTES("mail.example.org[192.0.2.1]"),
		.helo = BYTES("mail.example.org"),
		.protocol = BYTES("ESMTPSA"),
		.content_len = 12345,
		.prefix = BYTES("Received: x\r\n"),
		.digest = BYTES("\0\1\2"),
		.recipient = to,
		.recipients = 2,
	};
	struct buffer   packed = { 0 }, again = { 0 };
	struct arena   *arena = arena_open(NULL);
	struct envelope out;

	(void)state;
	envelope_pack(&in, &packed);
	assert_true(envelope_unpack(buffer_bytes(&packed), arena, &out));
	envelope_pack(&out, &again);
	SAME("packed again it is the same", buffer_bytes(&again), buffer_bytes(&packed));
	SAME("sender", out.sender, in.sender);
	SAME("second recipient", out.recipient[1].address, to[1].address);
	for (size_t n = 0; n < packed.len; n++)
		HOLDS("cut anywhere it is broken",
		      !envelope_unpack((struct bytes){ packed.at, n }, arena, &out));
	buffer_add_char(&packed, 0);
	HOLDS("with a byte too many it is broken",
	      !envelope_unpack(buffer_bytes(&packed), arena, &out));
	packed.at[0] = ENVELOPE_VERSION + 1;
	HOLDS("of another version it is refused",
	      !envelope_unpack((struct bytes){ packed.at, packed.len - 1 }, arena, &out));
	arena_close(&arena);
	buffer_free(&packed);
	buffer_free(&again);
}

static void
test_ids(void **state)
{
	static const struct {
		const char *why, *text;
		bool        right;
		uint64_t    id;
	} rows[] = {
		{ "as in logs", "1A0000F3C0", true, 0x1a0000f3c0 },
		{ "a small number has ten digits", "0100000040", true, 0x100000040 },
		{ "lower case is understood", "1a0000f3c0", true, 0x1a0000f3c0 },
		{ "too short", "1A0000F3C", false, 0 },
		{ "too long", "1A0000F3C01A0000F", false, 0 },
		{ "no digit", "1A0000F3CG", false, 0 },
		{ "nothing", "", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char     text[24];
		uint64_t id = 0;
		HOLDS(rows[i].why, letter_id_parse(bytes_of(rows[i].text), &id) == rows[i].right);
		if (!rows[i].right)
			continue;
		HOLDS(rows[i].why, id == rows[i].id);
		letter_id_text(id, text);
		HOLDS(rows[i].why, bytes_equal_nocase(bytes_of(text), bytes_of(rows[i].text)));
	}
}

UNIT(test_round_trip, test_ids)
