/* The words are those of clamd(8) and of clamd 1.0 itself. */
#include "unit.h"

#include <string.h>

#include "policy/clamd.h"

static void
test_replies(void **state)
{
	static const struct { const char *why; struct bytes said; bool ended; enum clamd_answer answer; const char *name; } rows[] = {
		{ "nothing yet", { "", 0 }, false, CLAMD_SHORT, "" },
		{ "half of it", { "stream: O", 9 }, false, CLAMD_SHORT, "" },
		{ "clean", { "stream: OK", 11 }, false, CLAMD_CLEAN, "" },
		{ "a virus", { "stream: Eicar-Test-Signature FOUND", 35 }, false, CLAMD_INFECTED, "Eicar-Test-Signature" },
		{ "too large for it", { "INSTREAM size limit exceeded. ERROR", 36 }, false, CLAMD_FAILED, "INSTREAM size limit exceeded. ERROR" },
		{ "it could not", { "stream: Can't open file ERROR", 30 }, false, CLAMD_FAILED, "stream: Can't open file ERROR" },
		{ "gone", { "", 0 }, true, CLAMD_FAILED, "the connection ended before the answer" },
		{ "gone within it", { "stream: OK", 10 }, true, CLAMD_FAILED, "the connection ended before the answer" },
		{ "another's answer", { "PONG", 5 }, false, CLAMD_FAILED, "PONG" },
	};
	char         much[CLAMD_REPLY_MOST];
	struct bytes name;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		HOLDS(rows[i].why, clamd_reply(rows[i].said, rows[i].ended, &name) == rows[i].answer);
		SAME(rows[i].why, name, bytes_of(rows[i].name));
	}
	memset(much, 'a', sizeof much);
	HOLDS("without an end", clamd_reply((struct bytes){ much, sizeof much }, false, &name) == CLAMD_FAILED);
}

static void
test_what_is_said(void **state)
{
	struct buffer out = { 0 };

	(void)state;
	clamd_begin(&out);
	clamd_piece(BYTES("abc"), &out);
	clamd_piece(BYTES(""), &out);
	SAME("clamd(8) INSTREAM", buffer_bytes(&out), ((struct bytes){ "zINSTREAM\0\0\0\0\3abc\0\0\0\0", 21 }));
	buffer_free(&out);
}

static void
test_places(void **state)
{
	static const struct { const char *text; bool good, path; const char *host; uint16_t port; } rows[] = {
		{ "unix:/run/clamav/clamd.ctl", true, true, "/run/clamav/clamd.ctl", 0 },
		{ "inet:127.0.0.1:3310", true, false, "127.0.0.1", 3310 },
		{ "inet:[::1]:3310", true, false, "::1", 3310 },
		{ "inet:localhost:3310", true, false, "127.0.0.1", 3310 },
		{ "inet:clamd.example.com:3310", false, false, "", 0 },
		{ "inet:127.0.0.1", false, false, "", 0 },
		{ "inet:127.0.0.1:0", false, false, "", 0 },
		{ "inet:127.0.0.1:65536", false, false, "", 0 },
		{ "unix:clamd.ctl", false, false, "", 0 },
		{ "/run/clamav/clamd.ctl", false, false, "", 0 },
		{ "", false, false, "", 0 },
	};
	struct clamd_place p;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		HOLDS(rows[i].text, (clamd_place(bytes_of(rows[i].text), &p) == NULL) == rows[i].good);
		if (!rows[i].good)
			continue;
		HOLDS(rows[i].text, p.is_path == rows[i].path && p.port == rows[i].port);
		SAME(rows[i].text, p.host, bytes_of(rows[i].host));
	}
}

/* As clamd 1.0 of Debian says it. */
static void
test_signatures_have_an_age(void **state)
{
	uint64_t number = 0;
	int64_t  made = 0;

	(void)state;
	assert_true(clamd_version(BYTES("ClamAV 1.0.7/27460/Sat Nov 16 10:32:01 2024\0"), &number, &made));
	assert_int_equal(number, 27460);
	assert_int_equal(made, 1731753121);
	assert_true(clamd_version(BYTES("ClamAV 1.0.7/1/Thu Aug  1 00:00:00 2024"), &number, &made));
	assert_false(clamd_version(BYTES("ClamAV 1.0.7\0"), &number, &made));
	assert_false(clamd_version(BYTES("ClamAV 1.0.7/x/Sat Nov 16 10:32:01 2024"), &number, &made));
	assert_false(clamd_version(BYTES("ClamAV 1.0.7/1/Sat Nov 16 10:32:01 2024 and more of it"), &number, &made));
	assert_false(clamd_version(BYTES("UNKNOWN COMMAND\0"), &number, &made));
}

UNIT(test_signatures_have_an_age, test_replies, test_what_is_said, test_places)
