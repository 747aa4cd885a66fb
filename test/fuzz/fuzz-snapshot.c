/* Snapshots and facts of a mailbox: any bytes are refused or give rows in the order of their uids.  The first byte
   chooses which; the checksum is made right, or the fuzzer would never come past it. */
#include "base/journal.h"
#include "store/fact.h"
#include "store/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect_order(const struct rows *r)
{
	for (uint32_t i = 1; i < r->count; i++)
		INSIDE(r->uid[i] > r->uid[i - 1]);
	INSIDE(r->count == 0 || r->uid[0] > 0);
}

static void
expect_disjoint(const struct uid_set *s)
{
	for (size_t i = 0; i < s->count; i++) {
		INSIDE(s->range[i].first > 0 && s->range[i].first <= s->range[i].last);
		INSIDE(i == 0 || s->range[i].first > s->range[i - 1].last);
	}
}

static void
read_snapshot(struct bytes in)
{
	struct snapshot s = { .mailbox = 1, .modseq = 2 };
	struct rows     rows = { 0 };
	struct buffer   again = { 0 };

	if (snapshot_read(in, &s, &rows)) {
		struct snapshot t = { .mailbox = 1, .modseq = 2 };
		struct rows     twice = { 0 };
		expect_order(&rows);
		snapshot_pack(&s, &rows, &again);
		INSIDE(snapshot_read(buffer_bytes(&again), &t, &twice) &&
		       twice.count == rows.count);
		rows_free(&twice);
	}
	buffer_free(&again);
	rows_free(&rows);
}

static void
read_fact(uint8_t kind, struct bytes in)
{
	struct fact_key key = {
		.mailbox = 1, .modseq = 2, .kind = (enum fact_kind)kind, .time = 3
	};
	struct arena *arena = arena_open(NULL);
	struct buffer data = { 0 };
	struct rows   rows = { 0 };
	struct fact   f;

	buffer_add(&data, in);
	fact_close(&data, &key);
	if (fact_read(&key, buffer_bytes(&data), arena, &f, &rows)) {
		expect_order(&rows);
		expect_disjoint(&f.uids);
	} else {
		INSIDE(rows.count == 0);
	}
	buffer_free(&data);
	rows_free(&rows);
	arena_close(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { (const char *)data + 1, size - 1 };

	if (size == 0)
		return 0;
	if (data[0] == 0) {
		struct buffer sealed = { 0 };
		buffer_add(&sealed, in);
		snapshot_close(&(struct snapshot){ .mailbox = 1, .modseq = 2 }, &sealed);
		read_snapshot(buffer_bytes(&sealed));
		buffer_free(&sealed);
		read_snapshot(in);
	} else {
		read_fact(data[0], in);
	}
	return 0;
}
