/* What the rows expect is what Debian's Postfix 3.7 says of the same letters (test/whole/test_checks_beside_postfix.py). */
#include "unit.h"

#include <string.h>

#include "message/inspect.h"
#include "policy/checks.h"

/* ---- the walk --------------------------------------------------------------------- */

static const struct inspect_rules usual = { .line_most = 2048, .boundary_most = 2048, .nest_most = 100 };
#define CT "Content-Type: "

static void
walk(struct bytes content, const struct inspect_rules *rules, struct buffer *out)
{
	static const char *const faults[] = { "", "nesting", "8bit header", "8bit body", "encoding" };
	struct arena            *a = arena_open(NULL);
	struct inspect           i;
	struct inspected         in;

	inspect_of(&i, content, rules, a);
	while (inspect_next(&i, &in)) {
		if (in.what == INSPECTED_FAULT)
			buffer_printf(out, "!%s|", faults[in.fault]);
		else if (in.text.len > 0)
			buffer_printf(out, "%c %.*s|", "HMNB"[in.what], (int)in.text.len, in.text.at);
	}
	inspect_end(&i);
	arena_close(&a);
}

static void
test_walk(void **state)
{
	static const struct { const char *why, *letter, *wanted; } rows[] = {
		{ "nothing", "", "" },
		{ "folds stay, as LF", "A: 1\r\n 2\r\nB:\r\n\r\nx\r\n\r\ny\r\n", "H A: 1\n 2|H B:|B x|B y|" },
		{ "no blanks before a colon", "A \t: 1\r\n\r\n", "H A: 1|" },
		{ "the first line is no field", " A: 1\r\nB: 2\r\n", "B  A: 1|B B: 2|" },
		{ "no empty line", "A: 1\r\nbody\r\nB: 2\r\n", "H A: 1|B body|B B: 2|" },
		{ "no line end at the end", "A: 1\r\n\r\nx", "H A: 1|B x|" },
		{ "a field at the end", "A: 1\r\n 2", "H A: 1\n 2|" },
		{ "parts", CT "multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\nX: 1\r\n\r\nin\r\n--b--\r\nY: 2\r\n",
		  "M " CT "multipart/mixed; boundary=b|B pre|B --b|M X: 1|B in|B --b--|B Y: 2|" },
		{ "the letter inside", CT "message/rfc822\r\n\r\nS: in\r\n\r\nb: 1\r\n", "M " CT "message/rfc822|N S: in|B b: 1|" },
		{ "an outer boundary ends the inner", CT "multipart/a; boundary=o\r\n\r\n--o\r\n" CT "multipart/b; boundary=i\r\n\r\n--i\r\n\r\n--o\r\nX: 1\r\n\r\n--i\r\nY: 2\r\n",
		  "M " CT "multipart/a; boundary=o|B --o|M " CT "multipart/b; boundary=i|B --i|B --o|M X: 1|B --i|B Y: 2|" },
		{ "a digest", CT "multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nS: x\r\n\r\nt\r\n", "M " CT "multipart/digest; boundary=b|B --b|N S: x|B t|" },
		{ "rfc2231 pieces are a boundary too", CT "multipart/x; boundary*0=a; boundary*1=b\r\n\r\n--ab\r\nX: 1\r\n",
		  "M " CT "multipart/x; boundary*0=a; boundary*1=b|B --ab|M X: 1|" },
	};
	struct buffer out = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		buffer_reset(&out);
		walk(bytes_of(rows[i].letter), &usual, &out);
		SAME(rows[i].why, buffer_bytes(&out), bytes_of(rows[i].wanted));
	}
	buffer_reset(&out);
	walk(BYTES(CT "multipart/x; boundary=b\r\n\r\n--b\r\nX: 1\r\n"), &(struct inspect_rules){ .no_mime = true }, &out);
	SAME("without MIME", buffer_bytes(&out), BYTES("H " CT "multipart/x; boundary=b|B --b|B X: 1|"));
	buffer_reset(&out);
	walk(BYTES("A: x\r\n\r\n12345678901\r\nx\0y\r\n"), &(struct inspect_rules){ .line_most = 4 }, &out);
	SAME("pieces, and what a NUL hides", buffer_bytes(&out), BYTES("H A: x|B 1234|B 5678|B 901|B x|"));
	buffer_free(&out);
}

static void
test_faults(void **state)
{
	struct inspect_rules all = { .no_8bit_header = true, .no_8bit_body = true, .strict_encoding = true, .nest_most = 0 };
	static const struct { const char *why, *letter, *wanted; } rows[] = {
		{ "8 bit in a header", "A: \xe9\r\nB: \xe9\r\n\r\n", "!8bit header|H A: \xe9|H B: \xe9|" },
		{ "8 bit in a body", "A: 1\r\n\r\n\xe9\r\n\xe9\r\n", "H A: 1|!8bit body|B \xe9|B \xe9|" },
		{ "which says so", "Content-Transfer-Encoding: 8bit\r\n\r\n\xe9\r\n", "M Content-Transfer-Encoding: 8bit|B \xe9|" },
		{ "rfc2045:6.4", CT "message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n",
		  "M " CT "message/rfc822|M Content-Transfer-Encoding: base64|!encoding|" },
		{ "too deep", CT "multipart/x; boundary=a\r\n" CT "multipart/x; boundary=b\r\n" CT "multipart/x; boundary=c\r\n\r\n",
		  "M " CT "multipart/x; boundary=a|M " CT "multipart/x; boundary=b|!nesting|M " CT "multipart/x; boundary=c|" },
	};
	struct buffer out = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		buffer_reset(&out);
		walk(bytes_of(rows[i].letter), &all, &out);
		SAME(rows[i].why, buffer_bytes(&out), bytes_of(rows[i].wanted));
	}
	buffer_free(&out);
}

/* ---- the actions ------------------------------------------------------------------- */

/* A table whose answer stands in the field: "Do: REJECT x". */
static enum check_answer
obedient(void *ctx, const char *table, struct bytes key, struct arena *life, struct bytes *value)
{
	(void)ctx;
	(void)table;
	(void)life;
	if (bytes_starts(key, BYTES("LATER")))
		return CHECK_LATER;
	if (!bytes_starts(key, BYTES("Do: ")))
		return CHECK_NOTHING;
	*value = bytes_cut(key, 4, key.len);
	return CHECK_SAYS;
}

static void
test_actions(void **state)
{
	static const struct { const char *why, *letter; uint8_t verdict; const char *reply, *left; } rows[] = {
		{ "nothing is said", "A: 1\r\n\r\nx\r\n", CHECKS_PASS, "", "A: 1\r\n\r\nx\r\n" },
		{ "refused", "Do: REJECT go away\r\n\r\n", CHECKS_REFUSE, "550 5.7.1 go away", NULL },
		{ "refused without a word", "Do: REJECT\r\n\r\n", CHECKS_REFUSE, "550 5.7.1 message content rejected", NULL },
		{ "put off", "Do: REJECT 4.2.1 x\r\n\r\n", CHECKS_REFUSE, "451 4.2.1 x", NULL },
		{ "a status of its own class", "Do: REJECT 2.1.1 x\r\n\r\n", CHECKS_REFUSE, "451 4.1.1 x", NULL },
		{ "words that only look like a status", "Do: REJECT 1.2 x\r\n\r\n", CHECKS_REFUSE, "550 5.7.1 1.2 x", NULL },
		{ "a reply is one line", "Do: REJECT a\r\n b\r\n\r\n", CHECKS_REFUSE, "550 5.7.1 a? b", NULL },
		{ "refused in the body", "A: 1\r\n\r\nDo: REJECT x\r\n", CHECKS_REFUSE, "550 5.7.1 x", NULL },
		{ "cannot tell", "A: 1\r\n\r\nLATER\r\n", CHECKS_LATER, "451 4.3.0 Error: queue file write error", NULL },
		{ "nothing more after PASS", "Do: PASS\r\nDo: REJECT\r\n\r\n", CHECKS_PASS, "", "Do: PASS\r\nDo: REJECT\r\n\r\n" },
		{ "gone", "A: 1\r\nDo: IGNORE\r\nB: 2\r\n\r\nDo: STRIP\r\nx\r\n", CHECKS_PASS, "", "A: 1\r\nB: 2\r\n\r\nx\r\n" },
		{ "before it", "A: 1\r\nDo: PREPEND X: y\r\n\r\nDo: PREPEND z\r\n", CHECKS_PASS, "",
		  "A: 1\r\nX: y\r\nDo: PREPEND X: y\r\n\r\nz\r\nDo: PREPEND z\r\n" },
		{ "no field", "Do: PREPEND x y\r\n\r\n", CHECKS_PASS, "", "Do: PREPEND x y\r\n\r\n" },
		{ "instead", "Do: REPLACE X: y\r\n\r\nDo: REPLACE z\r\n", CHECKS_PASS, "", "X: y\r\n\r\nz\r\n" },
		{ "no field can be put in behind a line end", "Do: REPLACE X: y\r\n z: 1\r\n\r\n", CHECKS_PASS, "", "X: y\r\n z: 1\r\n\r\n" },
		{ "unknown", "Do: what\r\n\r\n", CHECKS_PASS, "", "Do: what\r\n\r\n" },
	};
	static const char *const one[] = { "x" };
	struct checks_settings   set = { .body_most = 51200, .boundary_most = 2048, .nest_most = 100 };
	struct checks_needs      needs = { obedient, NULL };

	(void)state;
	for (size_t i = 0; i < CHECK_LISTS; i++)
		set.list[i] = (struct setting_list){ one, 1 };
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena      *a = arena_open(NULL);
		struct checks_said said, got;
		struct buffer      packed = { 0 }, left = { 0 };

		checks_run(&set, &needs, BYTES("Received: x\r\n"), bytes_of(rows[i].letter), a, &said);
		checks_pack(&said, &packed);
		HOLDS(rows[i].why, checks_unpack(buffer_bytes(&packed), a, &got));
		HOLDS(rows[i].why, got.verdict == rows[i].verdict);
		SAME(rows[i].why, got.reply, bytes_of(rows[i].reply));
		HOLDS(rows[i].why, !got.traced);
		if (rows[i].left != NULL) {
			edits_apply(&got.edits, bytes_of(rows[i].letter), BYTES(""), &left);
			SAME(rows[i].why, buffer_bytes(&left), bytes_of(rows[i].left));
		}
		for (size_t n = 0; n < packed.len; n++)
			HOLDS("cut short", !checks_unpack((struct bytes){ packed.at, n }, a, &got));
		buffer_free(&packed);
		buffer_free(&left);
		arena_close(&a);
	}
}

static void
test_marks(void **state)
{
	static const char *const one[] = { "x" };
	struct checks_settings   set = { .body_most = 4, .nest_most = 100 };
	struct checks_needs      needs = { obedient, NULL };
	struct arena            *a = arena_open(NULL);
	struct checks_said       said;

	(void)state;
	for (size_t i = 0; i < CHECK_LISTS; i++)
		set.list[i] = (struct setting_list){ one, 1 };
	checks_run(&set, &needs, BYTES("Do: REPLACE Received: by us\r\n"),
	           BYTES("Do: HOLD\r\nDo: HOLD again\r\nDo: FILTER a:b\r\nDo: FILTER b\r\nDo: BCC a@b.c\r\nDo: BCC d\r\n"
	                 "Do: WARN w\r\nDo: REDIRECT e@f.g\r\nDo: REJECT\r\n\r\n"),
	           a, &said);
	SAME("hold", said.hold, BYTES("held by header_checks"));
	SAME("filter", said.filter, BYTES("a:b"));
	SAME("redirect", said.redirect, BYTES("e@f.g"));
	HOLDS("one copy", said.copies == 1);
	SAME("copy", said.copy[0], BYTES("a@b.c"));
	HOLDS("notes", said.notes == 6);
	SAME("of the first", said.note[0].what, BYTES("replace: header Do: REPLACE Received: by us"));
	SAME("of the warning", said.note[4].what, BYTES("warning: header Do: WARN w"));
	SAME("its text", said.note[4].text, BYTES("w"));
	HOLDS("nothing after REDIRECT", said.verdict == CHECKS_PASS);
	SAME("our own field", said.trace, BYTES("Received: by us\r\n"));
	checks_run(&set, &needs, BYTES(""), BYTES("A: 1\r\n\r\n123\r\nDo: REJECT\r\n"), a, &said);
	HOLDS("beyond body_checks_size_limit", said.verdict == CHECKS_PASS);
	arena_close(&a);
}

UNIT(test_walk, test_faults, test_actions, test_marks)
