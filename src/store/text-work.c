/* text-work.c -- which messages are still to be put into their account's text index (text.h) */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "store/inside.h"
#include "store/text-inside.h"

/* Ids looked at, bytes of letters asked for, at one time. */
enum { IDS_AT_ONCE = 128, BYTES_AT_ONCE = 2 << 20 };
/* A directory is read for so long, some blocks between two looks at the clock: each is two reads of a disk. */
enum { LOAD_MS = 2, BLOCKS_AT_ONCE = 4 };
/* Of a letter of more no verifier is asked. */
#define LETTER_MOST ((uint64_t)64 << 20)

void
text_wanted(struct store *s, bool yes)
{
	/* Those that are open stay so while their accounts do: somebody may be searching. */
	s->text_on = yes;
}

void
text_rest(struct store *s)
{
	for (struct account *a = s->all; a != NULL; a = a->next)
		text_close(a);
}

void
text_note(struct account *a, uint64_t message)
{
	struct text *t = text_of(a);

	if (t == NULL)
		return;
	t->behind = true;
	if (t->walked >= message)
		t->walked = message - 1;
}

static size_t
next_ids(struct account *a, uint64_t after, uint64_t id[static IDS_AT_ONCE])
{
	sqlite3_stmt *s = index_ready(a->index, MESSAGE_AFTER);
	size_t        n = 0;

	if (s == NULL)
		return 0;
	(void)sqlite3_bind_int64(s, 1, (int64_t)after);
	while (n < IDS_AT_ONCE && index_row(a->index, s) == 1)
		id[n++] = (uint64_t)sqlite3_column_int64(s, 0);
	(void)sqlite3_reset(s);
	return n;
}

/* Head and prefix as SEARCH sees them. */
static struct bytes
own_of(struct arena *arena, struct bytes head, struct bytes prefix)
{
	struct buffer own = { 0 };
	struct bytes  folded;

	buffer_add(&own, head);
	buffer_add(&own, prefix);
	folded = search_fold(arena, buffer_bytes(&own));
	buffer_reset(&own);
	buffer_add(&own, folded);
	buffer_add_char(&own, SEARCH_SEPARATOR);
	folded = arena_keep(arena, buffer_bytes(&own));
	buffer_free(&own);
	return folded;
}

/* Put the letter into the batch; false: it must wait for another one. */
static bool
batch_put(struct text *t, struct text_batch *b, uint64_t id)
{
	struct account    *a = t->account;
	struct message     m;
	struct digest      d;
	struct bytes       prefix;
	off_t              at;
	int                fd = -1;
	struct text_letter letter = { .message = id };
	struct stat        st;

	if (message_read(a, id, b->arena, &m) == 0 && m.place.content_len <= LETTER_MOST &&
	    message_digest(a, &m, b->arena, &d, &prefix) == 0)
		fd = message_content_fd(a, &m, &at);
	if (fd < 0 || fstat(fd, &st) < 0) {
		/* It stands in the index as one that must always be read. */
		text_add(t, &(struct text_entry){ .message = id, .too_long = true });
		return true;
	}
	if (b->count > 0 && (st.st_dev != b->device || st.st_ino != b->inode ||
	                     b->bytes + m.place.content_len > BYTES_AT_ONCE))
		return false;
	letter.own = own_of(b->arena, m.head, prefix);
	letter.at = (uint64_t)at;
	letter.len = m.place.content_len;
	b->letter[b->count++] = letter;
	b->device = st.st_dev;
	b->inode = st.st_ino;
	b->bytes += letter.len;
	b->fd = fd;
	return true;
}

static void
batch_fill(struct text *t, struct text_batch *b)
{
	uint64_t id[IDS_AT_ONCE];
	size_t   n = next_ids(t->account, t->walked, id);

	b->upto = b->from = t->walked;
	b->generation = t->generation;
	for (size_t i = 0; i < n && b->count < b->most; i++) {
		if (text_knows(t, id[i]) || id[i] > INT64_MAX)
			;
		else if (!batch_put(t, b, id[i]))
			break;
		b->upto = id[i];
	}
	if (b->count == 0) {
		t->walked = b->upto;
		t->behind = n > 0;
	}
}

static bool
load_some(struct text *t)
{
	int64_t end = clock_patient_ms() + LOAD_MS;

	while (!text_load(t, BLOCKS_AT_ONCE))
		if (clock_patient_ms() >= end)
			return false;
	return true;
}

bool
text_next(struct store *s, struct arena *arena, struct text_batch *b)
{
	uint32_t most = b->most;
	int      why;

	*b = (struct text_batch){ .arena = arena, .most = most > 0 ? most : TEXT_LETTERS };
	for (struct account *a = s->all; a != NULL; a = a->next) {
		struct text *t = a->refused == 0 ? text_of(a) : NULL;

		if (t == NULL || t->why != 0)
			continue;
		if (!t->behind && !text_gather(t))
			continue;
		if (!t->behind)
			return true;
		if (!load_some(t))
			return true;
		batch_fill(t, b);
		if (b->count > 0)
			b->account = account_take(s, a->id, &why);
		return true;
	}
	return false;
}

void
text_done(struct store *s, struct text_batch *b, bool done)
{
	struct text *t = text_of(b->account);

	(void)s;
	if (t != NULL && done && t->generation == b->generation && t->walked == b->from)
		t->walked = b->upto;
	account_drop(&b->account);
	b->count = 0;
}

#undef LETTER_MOST
