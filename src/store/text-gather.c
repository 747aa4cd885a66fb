/* text-gather.c -- a text index that holds mostly texts of messages that are gone is written anew without them */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/journal.h"
#include "base/random.h"
#include "spool/disk.h"
#include "store/inside.h"
#include "store/text-inside.h"

/* So many entries are looked up; when half of them are of messages that are gone, it is worth it. */
enum { SAMPLE = 64, ENTRIES_LEAST = 256, SAMPLE_MS = 60000 };

static bool
message_lives(struct account *a, uint64_t message)
{
	sqlite3_stmt *s = index_ready(a->index, MESSAGE_LIVES);
	bool          lives;

	/* Of what cannot be told now nothing is thrown away. */
	if (s == NULL)
		return true;
	(void)sqlite3_bind_int64(s, 1, (int64_t)message);
	lives = index_row(a->index, s) != 0;
	(void)sqlite3_reset(s);
	return lives;
}

static bool
is_worth_it(struct text *t)
{
	int64_t  now = clock_patient_ms();
	uint32_t gone = 0;

	if (t->entries < ENTRIES_LEAST || t->sampled_ms > now)
		return false;
	t->sampled_ms = now + SAMPLE_MS;
	for (uint32_t i = 0; i < SAMPLE; i++) {
		uint32_t entry = (uint32_t)random_below(t->entries);
		gone += !message_lives(t->account, t->message[entry] & ~TEXT_ID_LONG);
	}
	return gone > SAMPLE / 2;
}

static void
gather_open(struct text *t)
{
	struct text *to = memory_take(sizeof *to);
	char         path[64];

	index_path(t->account->id, "/text.new", path);
	to->account = t->account;
	to->fd = openat(t->account->store->accounts, path,
	                O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (to->fd < 0) {
		memory_free(to);
		return;
	}
	text_drop(to);
	t->gather = to;
	t->gathered = 0;
	t->gather_made = t->generation;
}

static void
gather_end(struct text *t)
{
	text_free(&t->gather);
}

/* Those entries of a text that live are put in. */
static void
keep_living(struct text *t, struct bytes text, struct bytes rows)
{
	struct unpack   u = unpack_of(rows);
	struct text_row r;

	while (u.rest.len > 0 && text_row_unpack(&u, (uint32_t)text.len, &r)) {
		size_t header = r.at + (size_t)r.own_len, body = header + r.header_len;

		if (!message_lives(t->account, r.message))
			continue;
		text_add(t->gather, &(struct text_entry){
					    .message = r.message,
					    .too_long = r.too_long,
					    .own = bytes_cut(text, r.at, r.own_len),
					    .header = bytes_cut(text, header, r.header_len),
					    .body = bytes_cut(text, body, r.body_len),
				    });
	}
}

static bool
keep_block(struct text *t, const struct text_block *b)
{
	size_t        len = b->head.entries * (size_t)TEXT_ROW;
	struct buffer text = { 0 }, rows = { 0 };
	bool right = disk_read(t->fd, buffer_room(&rows, len), len, b->at + TEXT_HEAD) == 0 &&
	             text_block_read(t, b, &text);

	if (right) {
		buffer_took(&rows, len);
		keep_living(t, buffer_bytes(&text), buffer_bytes(&rows));
	}
	buffer_free(&text);
	buffer_free(&rows);
	return right;
}

/* The new one takes the place of the old, whose places mean nothing any more. */
static void
gather_finish(struct text *t)
{
	struct text *to = t->gather;
	char         path[64], from[64];

	keep_living(t, buffer_bytes(&t->tail), buffer_bytes(&t->tail_rows));
	text_flush(to);
	index_path(t->account->id, "/text", path);
	index_path(t->account->id, "/text.new", from);
	to->walked = t->walked;
	if (to->why == 0)
		to->why = disk_rename(t->account->store->accounts, from, path);
	if (to->why == 0) {
		note("account %" PRIu64 ": its text index was written anew: %" PRIu32 " of %" PRIu32
		     " messages live",
		     t->account->id, to->entries, t->entries);
		text_swap(t, to);
	}
	gather_end(t);
}

bool
text_gather(struct text *t)
{
	if (t->gather == NULL && is_worth_it(t))
		gather_open(t);
	if (t->gather == NULL)
		return false;
	if (t->gather_made != t->generation || t->gather->why != 0)
		gather_end(t);
	else if (t->gathered == t->blocks)
		gather_finish(t);
	else if (!keep_block(t, &t->block[t->gathered]))
		text_damaged(t, "a block cannot be read");
	else
		t->gathered++;
	return true;
}
