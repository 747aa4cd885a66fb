#include "unit.h"

#include <string.h>

#include "message/edits.h"

#define CONTENT "A: 1\r\nB: 2\r\n\r\nbody\r\n"

static void
test_there_they_stand(void **state)
{
	const struct { const char *why; struct edit edit[3]; size_t count; const char *file, *wanted; } rows[] = {
		{ "nothing", { { 0 } }, 0, "", CONTENT },
		{ "before the first byte", { { 0, 0, BYTES("X: y\r\n"), 0, 0 } }, 1, "", "X: y\r\n" CONTENT },
		{ "behind the last", { { 20, 0, BYTES("end\r\n"), 0, 0 } }, 1, "", CONTENT "end\r\n" },
		{ "gone", { { 0, 6, BYTES(""), 0, 0 } }, 1, "", "B: 2\r\n\r\nbody\r\n" },
		{ "instead", { { 6, 6, BYTES("C: 3\r\n"), 0, 0 } }, 1, "", "A: 1\r\nC: 3\r\n\r\nbody\r\n" },
		{ "all of it", { { 0, 20, BYTES("x"), 0, 0 } }, 1, "", "x" },
		{ "given in another order", { { 6, 6, BYTES(""), 0, 0 }, { 0, 0, BYTES("Y: 1\r\n"), 0, 0 } }, 2, "",
		  "Y: 1\r\nA: 1\r\n\r\nbody\r\n" },
		{ "two at one place, in their order", { { 6, 0, BYTES("1"), 0, 0 }, { 6, 0, BYTES("2"), 0, 0 } }, 2, "",
		  "A: 1\r\n12B: 2\r\n\r\nbody\r\n" },
		{ "before what goes", { { 6, 6, BYTES("C\r\n"), 0, 0 }, { 6, 0, BYTES("P\r\n"), 0, 0 } }, 2, "",
		  "A: 1\r\nP\r\nC\r\n\r\nbody\r\n" },
		{ "a new body out of a file", { { 14, 6, BYTES("+"), 2, 3 } }, 1, "..new..", "A: 1\r\nB: 2\r\n\r\n+new" },
	};
	struct arena *a = arena_open(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct edits  e = edits_in(a), got;
		struct buffer packed = { 0 }, out = { 0 };
		size_t        file = strlen(rows[i].file);

		for (size_t n = 0; n < rows[i].count; n++)
			HOLDS(rows[i].why, edits_add(&e, &rows[i].edit[n]));
		edits_pack(&e, &packed);
		HOLDS(rows[i].why, edits_unpack(buffer_bytes(&packed), a, &got));
		HOLDS(rows[i].why, edits_fit(&got, strlen(CONTENT), file));
		edits_apply(&got, BYTES(CONTENT), bytes_of(rows[i].file), &out);
		SAME(rows[i].why, buffer_bytes(&out), bytes_of(rows[i].wanted));
		HOLDS(rows[i].why, edits_size(&got, strlen(CONTENT)) == out.len);
		buffer_free(&packed);
		buffer_free(&out);
	}
	arena_close(&a);
}

static void
test_refused(void **state)
{
	const struct { const char *why; struct edit first, second; } rows[] = {
		{ "one within another", { 0, 10, BYTES(""), 0, 0 }, { 4, 0, BYTES("x"), 0, 0 } },
		{ "they overlap", { 4, 4, BYTES(""), 0, 0 }, { 2, 4, BYTES(""), 0, 0 } },
		{ "the same twice", { 4, 4, BYTES(""), 0, 0 }, { 4, 4, BYTES(""), 0, 0 } },
		{ "an end beyond all numbers", { 4, UINT64_MAX, BYTES(""), 0, 0 }, { 8, 1, BYTES(""), 0, 0 } },
	};
	const struct { const char *why; struct edit one; } beyond[] = {
		{ "begins behind the content", { 21, 0, BYTES("x"), 0, 0 } },
		{ "ends behind it", { 18, 3, BYTES("x"), 0, 0 } },
		{ "an end beyond all numbers", { 18, UINT64_MAX, BYTES("x"), 0, 0 } },
		{ "more than the file has", { 0, 0, BYTES(""), 3, 5 } },
		{ "beyond all numbers of the file", { 0, 0, BYTES(""), UINT64_MAX, 5 } },
	};
	struct arena *a = arena_open(NULL);
	struct edits  got;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct edits  e = edits_in(a);
		struct edit   both[] = { rows[i].first, rows[i].second };
		struct buffer packed = { 0 };

		HOLDS(rows[i].why, edits_add(&e, &rows[i].first));
		HOLDS(rows[i].why, !edits_add(&e, &rows[i].second));
		edits_pack(&(struct edits){ .edit = both, .count = 2 }, &packed);
		HOLDS(rows[i].why, !edits_unpack(buffer_bytes(&packed), a, &got));
		buffer_free(&packed);
	}
	for (size_t i = 0; i < COUNT(beyond); i++) {
		struct edits e = edits_in(a);

		HOLDS(beyond[i].why, edits_add(&e, &beyond[i].one));
		HOLDS(beyond[i].why, !edits_fit(&e, strlen(CONTENT), 7));
	}
	arena_close(&a);
}

static void
test_broken(void **state)
{
	struct arena *a = arena_open(NULL);
	struct edits  e = edits_in(a), got;
	struct buffer packed = { 0 };

	(void)state;
	HOLDS("one", edits_add(&e, &(struct edit){ 4, 2, BYTES("abc"), 0, 0 }));
	edits_pack(&e, &packed);
	for (size_t n = 0; n < packed.len; n++)
		HOLDS("cut short", !edits_unpack((struct bytes){ packed.at, n }, a, &got));
	memset(packed.at, 0xff, 4);
	HOLDS("a count that lies", !edits_unpack(buffer_bytes(&packed), a, &got));
	for (uint32_t i = e.count; i < EDITS_MOST; i++)
		HOLDS("as many as may be", edits_add(&e, &(struct edit){ 10 + i, 1, BYTES(""), 0, 0 }));
	HOLDS("one more", !edits_add(&e, &(struct edit){ 10 + EDITS_MOST, 1, BYTES(""), 0, 0 }));
	buffer_free(&packed);
	arena_close(&a);
}

UNIT(test_there_they_stand, test_refused, test_broken)
