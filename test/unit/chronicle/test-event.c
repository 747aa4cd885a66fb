#include "unit.h"

#include <string.h>

#include "chronicle/event.h"
#include "chronicle/key.h"

static struct event
sample(void)
{
	struct event e = { .kind = LIFE_ATTEMPT, .at_us = 1795361722308000, .letter = 0x0200000040, .number = 2 };

	e.text[TEXT_RECIPIENT] = BYTES("jill@example.com");
	e.text[TEXT_REPLY] = BYTES("\xe9\x82\xae\xe7\xae\xb1\xe5\xb7\xb2\xe6\xbb\xa1");
	return e;
}

static void
test_packed(void **state)
{
	struct event  e = sample(), back;
	struct buffer b = { 0 };

	(void)state;
	event_pack(&e, &b);
	assert_true(event_unpack(buffer_bytes(&b), &back));
	assert_int_equal(back.kind, LIFE_ATTEMPT);
	assert_int_equal(back.at_us, e.at_us);
	assert_int_equal(back.letter, e.letter);
	assert_int_equal(back.number, 2);
	assert_int_equal(back.session, 0);
	SAME("a text", back.text[TEXT_RECIPIENT], e.text[TEXT_RECIPIENT]);
	SAME("a Chinese text", back.text[TEXT_REPLY], e.text[TEXT_REPLY]);
	assert_int_equal(back.text[TEXT_CLIENT].len, 0);
	for (size_t n = 0; n < b.len; n++)
		HOLDS("what is short is broken", !event_unpack(bytes_cut(buffer_bytes(&b), 0, n), &back));
	buffer_add_char(&b, 'x');
	HOLDS("and what is long", !event_unpack(buffer_bytes(&b), &back));
	buffer_free(&b);
}

/* u8 kind, i64 time, u32 what is there: by hand, from docs/format.md. */
static void
test_broken(void **state)
{
	const struct {
		const char  *why;
		struct bytes packed;
		bool         good;
	} rows[] = {
		{ "the least there is", BYTES("\x08\1\0\0\0\0\0\0\0\0\0\0\0"), true },
		{ "a kind there is not", BYTES("\x0b\1\0\0\0\0\0\0\0\0\0\0\0"), false },
		{ "a text beyond the last", BYTES("\x08\1\0\0\0\0\0\0\0\0\0\0\x80"), false },
		{ "a letter that is said to be there and is not", BYTES("\x08\1\0\0\0\0\0\0\0\1\0\0\0"), false },
		{ "a letter 0, which would not be written", BYTES("\x08\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0"), false },
		{ "an empty text, which would not be written", BYTES("\x08\1\0\0\0\0\0\0\0\x10\0\0\0\0\0"), false },
		{ "a text of one byte", BYTES("\x08\1\0\0\0\0\0\0\0\x10\0\0\0\1\0x"), true },
		{ "a text longer than what is there", BYTES("\x08\1\0\0\0\0\0\0\0\x10\0\0\0\2\0x"), false },
	};
	struct event e;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		HOLDS(rows[i].why, event_unpack(rows[i].packed, &e) == rows[i].good);
}

static void
test_long_texts(void **state)
{
	static char   much[3 * EVENT_TEXT_MOST + 1];
	struct event  e = sample(), back;
	struct buffer b = { 0 };

	(void)state;
	for (size_t i = 0; i + 3 <= sizeof much; i += 3)
		memcpy(much + i, "\xe9\x82\xae", 3);
	for (int i = 0; i < EVENT_TEXTS; i++)
		e.text[i] = (struct bytes){ much, sizeof much - 1 };
	event_pack(&e, &b);
	HOLDS("all of it is bounded", b.len <= EVENT_MOST);
	assert_true(event_unpack(buffer_bytes(&b), &back));
	for (int i = 0; i < EVENT_TEXTS; i++)
		HOLDS("cut between characters", back.text[i].len % 3 == 0 && back.text[i].len <= EVENT_TEXT_MOST);
	buffer_free(&b);
}

static void
test_keys(void **state)
{
	static const struct key_secret secret = { { 1, 2 } };
	const struct {
		const char   *why;
		enum key_kind kind;
		struct bytes  asked;
		bool          found;
	} rows[] = {
		{ "the recipient", KEY_ADDRESS, BYTES("jill@example.com"), true },
		{ "in capitals", KEY_ADDRESS, BYTES("Jill@EXAMPLE.com"), true },
		{ "one of several", KEY_ADDRESS, BYTES("jack@example.com"), true },
		{ "the sender", KEY_ADDRESS, BYTES("<eva@example.org>"), true },
		{ "somebody else", KEY_ADDRESS, BYTES("ill@example.com"), false },
		{ "the message-id with brackets", KEY_MESSAGE_ID, BYTES("<A.1@host>"), true },
		{ "and without", KEY_MESSAGE_ID, BYTES("A.1@host"), true },
		{ "which has capitals", KEY_MESSAGE_ID, BYTES("a.1@host"), false },
		{ "an address is no message-id", KEY_MESSAGE_ID, BYTES("jill@example.com"), false },
		{ "the id of a refusal", KEY_REFUSAL, BYTES("pabcdefghjk"), true },
	};
	struct event e = sample();

	(void)state;
	e.text[TEXT_RECIPIENT] = BYTES("jill@example.com\0jack@example.com");
	e.text[TEXT_SENDER] = BYTES("Eva@example.org");
	e.text[TEXT_MESSAGE_ID] = BYTES("<A.1@host>");
	e.text[TEXT_ID] = BYTES("PABCDEFGHJK");
	for (size_t i = 0; i < COUNT(rows); i++)
		HOLDS(rows[i].why, event_has_key(&secret, &e, key_of(&secret, rows[i].kind, rows[i].asked)) == rows[i].found);
	assert_true(event_has_key(&secret, &e, key_of_number(&secret, KEY_LETTER, 0x0200000040)));
	assert_false(event_has_key(&secret, &e, key_of_number(&secret, KEY_SESSION, 0x0200000040)));
}

UNIT(test_packed, test_broken, test_long_texts, test_keys)
