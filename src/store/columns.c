#include "store/columns.h"

#include <string.h>

#include "base/clock.h"
#include "message/encoding.h"
#include "message/search.h"
#include "message/subject.h"
#include "store/envelope-list.h"
#include "store/inside.h"

/* A longer string is left to its digest; a longer thread loses its middle. */
enum { STRING_MOST = 4096, REFERENCES_KEPT = 100 };
/* Columns hold offsets of 32 bits. */
enum { COLUMN_MOST = INT32_MAX };
/* Rows of messages that are gone are tolerated up to so many, beside as many as live. */
enum { DEAD_MOST = 1000 };
/* Nobody asked for so long: they go. */
enum { COLUMNS_IDLE_MS = 5 * 60 * 1000 };

#define SEPARATOR '\xff'
#define MEMORY_MOST ((size_t)512 << 20)

struct columns {
	struct store      *store;
	struct mailbox    *mailbox; /* NULL: it was read anew since                  */
	struct column_row *row;
	uint32_t           count, room;
	struct buffer      text[COLUMNS];
	uint64_t          *reference;
	uint32_t           references, references_room;
	struct ranking    *ranking[COLUMNS]; /* NULL: nobody sorted by it           */
	uint32_t           users;
	int64_t            used_ms;
	struct columns    *before, *next; /* of the store                             */
	struct arena      *scratch;
};

/* ---- their life ---------------------------------------------------------------- */

static size_t
size_of(const struct columns *c)
{
	size_t size =
		sizeof *c + c->room * sizeof *c->row + c->references_room * sizeof *c->reference;

	for (size_t i = 0; i < COLUMNS; i++) {
		size += c->text[i]._room;
		if (c->ranking[i] != NULL)
			size += c->ranking[i]->count * sizeof *c->ranking[i]->place;
	}
	return size;
}

static void
columns_free(struct columns *c)
{
	if (c->before != NULL)
		c->before->next = c->next;
	else
		c->store->columns = c->next;
	if (c->next != NULL)
		c->next->before = c->before;
	if (c->mailbox != NULL)
		c->mailbox->columns = NULL;
	for (size_t i = 0; i < COLUMNS; i++) {
		buffer_free(&c->text[i]);
		ranking_drop(&c->ranking[i]);
	}
	memory_free(c->row);
	memory_free(c->reference);
	arena_close(&c->scratch);
	memory_free(c);
}

static struct columns *
columns_make(struct mailbox *m)
{
	struct columns *c = memory_take(sizeof *c);

	c->store = m->account->store;
	c->mailbox = m;
	c->scratch = arena_open(NULL);
	c->next = c->store->columns;
	if (c->next != NULL)
		c->next->before = c;
	c->store->columns = c;
	m->columns = c;
	return c;
}

void
columns_detach(struct mailbox *m)
{
	struct columns *c = m->columns;

	m->columns = NULL;
	if (c == NULL)
		return;
	c->mailbox = NULL;
	if (c->users == 0)
		columns_free(c);
}

struct columns *
columns_take(struct mailbox *m)
{
	struct columns *c = m->columns;

	/* Where most rows are of messages that are gone, they are made anew. */
	if (c != NULL && c->count / 2 > m->rows.count + DEAD_MOST) {
		columns_detach(m);
		c = NULL;
	}
	if (c == NULL)
		c = columns_make(m);
	c->users++;
	return c;
}

size_t
columns_memory(const struct store *s)
{
	size_t size = 0;

	for (const struct columns *c = s->columns; c != NULL; c = c->next)
		size += size_of(c);
	return size;
}

void
columns_memory_most(struct store *s, size_t most)
{
	s->columns_most = most;
}

void
columns_sweep(struct store *s, int64_t now)
{
	size_t most = s->columns_most > 0 ? s->columns_most : MEMORY_MOST;
	size_t all = columns_memory(s);

	while (all > most) {
		struct columns *oldest = NULL;
		for (struct columns *c = s->columns; c != NULL; c = c->next)
			if (c->users == 0 && (oldest == NULL || c->used_ms < oldest->used_ms))
				oldest = c;
		if (oldest == NULL)
			break;
		all -= size_of(oldest);
		columns_free(oldest);
	}
	for (struct columns *c = s->columns, *next; c != NULL; c = next) {
		next = c->next;
		if (c->users == 0 && now - c->used_ms > COLUMNS_IDLE_MS)
			columns_free(c);
	}
}

void
columns_drop(struct columns **cp)
{
	struct columns *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	arena_clear(c->scratch);
	c->used_ms = clock_patient_ms();
	if (--c->users > 0)
		return;
	if (c->mailbox == NULL)
		columns_free(c);
	else
		columns_sweep(c->store, c->used_ms);
}

/* ---- filling -------------------------------------------------------------------- */

/* Of a string that is too long the beginning is kept; nothing, where the column has no room. */
static void
put(struct columns *c, struct column_row *r, enum column which, struct bytes folded)
{
	struct buffer *text = &c->text[which];

	if (folded.len > STRING_MOST || text->len > COLUMN_MOST - STRING_MOST)
		r->flags |= (uint32_t)ROW_LONG << which;
	if (text->len <= COLUMN_MOST - STRING_MOST)
		buffer_add(text, bytes_cut(folded, 0, STRING_MOST));
	buffer_add_char(text, SEPARATOR);
	r->end[which] = (uint32_t)text->len;
}

static void
put_folded(struct columns *c, struct column_row *r, enum column which, struct bytes text)
{
	put(c, r, which, search_fold(c->scratch, text));
}

/* To sort by.  What was in no charset we know comes after all that was (rfc5255:4.6). */
static void
put_sorted(struct columns *c, struct column_row *r, enum column which, struct bytes text)
{
	if (bytes_search(text, BYTES("\xef\xbf\xbd")) >= 0) {
		struct buffer last = { 0 };

		buffer_add(&last, BYTES("\xf4\x8f\xbf\xbf"));
		buffer_add(&last, text);
		text = arena_keep(c->scratch, buffer_bytes(&last));
		buffer_free(&last);
	}
	put_folded(c, r, which, text);
}

static void
add_reference(struct columns *c, struct bytes id)
{
	if (c->references == c->references_room) {
		c->references_room = c->references_room == 0 ? 64 : c->references_room * 2;
		c->reference =
			memory_resize(c->reference, c->references_room * sizeof *c->reference);
	}
	c->reference[c->references++] = hash_of(id) | 1;
}

/* The first half of what may be kept, and the last. */
static void
put_references(struct columns *c, struct column_row *r, struct bytes ids)
{
	size_t       many = ids.len > 0, n = 0;
	struct bytes id;

	for (size_t i = 0; i < ids.len; i++)
		many += ids.at[i] == ' ';
	while (c->references < UINT32_MAX / 2 && bytes_split(&ids, ' ', &id)) {
		if (n < REFERENCES_KEPT / 2 || n + REFERENCES_KEPT / 2 >= many)
			add_reference(c, id);
		n++;
	}
	r->references = c->references;
}

/* addr-mailbox of the first address, and how rfc5957:3 shows it. */
static void
put_address(struct columns *c, struct column_row *r, const struct envelope_address *a,
            enum column mailbox, enum column name)
{
	struct buffer shown = { 0 };

	put_sorted(c, r, mailbox, a->mailbox);
	if (name == COLUMNS)
		return;
	if (a->name.len > 0)
		words_decode(a->name, &shown);
	else {
		buffer_add(&shown, a->mailbox);
		if (a->host.len > 0) {
			buffer_add_char(&shown, '@');
			buffer_add(&shown, a->host);
		}
	}
	put_sorted(c, r, name, buffer_bytes(&shown));
	buffer_free(&shown);
}

static void
put_digest(struct columns *c, struct column_row *r, const struct digest *d)
{
	struct envelope_address first[ENVELOPE_LISTS];

	r->sent = d->sent;
	r->sent_zone = (int16_t)d->sent_zone;
	if (d->flags & DIGEST_HAS_DATE)
		r->flags |= ROW_HAS_DATE;
	if (d->message_id.len > 0)
		r->id = hash_of(d->message_id) | 1;
	if (subject_is_reply(d->subject, c->scratch))
		r->flags |= ROW_IS_REPLY;
	put_references(c, r, d->references);
	put_folded(c, r, COLUMN_SUBJECT, d->subject);
	put_folded(c, r, COLUMN_FROM, d->from);
	put_folded(c, r, COLUMN_TO, d->to);
	put_folded(c, r, COLUMN_CC, d->cc);
	put_folded(c, r, COLUMN_BCC, d->bcc);
	/* What the digest left out only the letter tells. */
	for (enum column i = COLUMN_SUBJECT; d->flags & DIGEST_CUT_SHORT && i <= COLUMN_BCC; i++)
		r->flags |= (uint32_t)ROW_LONG << i;
	put_sorted(c, r, COLUMN_BASE, d->base_subject);
	envelope_first_addresses(d->envelope, c->scratch, first);
	put_address(c, r, &first[ENVELOPE_FROM], COLUMN_MAILBOX_FROM, COLUMN_NAME_FROM);
	put_address(c, r, &first[ENVELOPE_TO], COLUMN_MAILBOX_TO, COLUMN_NAME_TO);
	put_address(c, r, &first[ENVELOPE_CC], COLUMN_MAILBOX_CC, COLUMNS);
}

static void
put_nothing(struct columns *c, struct column_row *r)
{
	r->flags = ROW_DAMAGED;
	r->references = c->references;
	for (enum column i = 0; i < COLUMNS; i++)
		put(c, r, i, (struct bytes){ 0 });
}

static void
add_row(struct columns *c, uint32_t uid, uint64_t message, uint32_t size)
{
	struct column_row *r;
	struct account    *a = c->mailbox->account;
	struct message     m;
	struct digest      d;
	struct bytes       prefix;

	if (c->count == c->room) {
		c->room = c->room == 0 ? 64 : c->room + c->room / 2;
		c->row = memory_resize(c->row, c->room * sizeof *c->row);
	}
	r = &c->row[c->count++];
	*r = (struct column_row){ .message = message, .uid = uid, .size = size };
	arena_clear(c->scratch);
	if (message_read(a, message, c->scratch, &m) != 0 ||
	    message_digest(a, &m, c->scratch, &d, &prefix) != 0) {
		put_nothing(c, r);
		return;
	}
	r->arrived = m.internal_date;
	r->zone = (int16_t)m.zone;
	put_digest(c, r, &d);
}

bool
columns_fill(struct columns *c, uint32_t most)
{
	struct mailbox *m = c->mailbox;
	uint32_t        last = c->count > 0 ? c->row[c->count - 1].uid : 0, i;

	if (m == NULL || !m->loaded)
		return true;
	if (c->count == 0 && m->rows.count > 0) {
		c->room = m->rows.count + m->rows.count / 16 + 16;
		c->row = memory_resize(c->row, c->room * sizeof *c->row);
	}
	for (i = rows_first_at_least(&m->rows, last + 1); i < m->rows.count && most > 0;
	     i++, most--) {
		mailbox_ahead(m, i);
		add_row(c, m->rows.uid[i], m->rows.message[i], m->rows.size[i]);
	}
	return i == m->rows.count;
}

bool
columns_ready(const struct mailbox *m)
{
	const struct columns *c = m->columns;
	uint32_t              last = c != NULL && c->count > 0 ? c->row[c->count - 1].uid : 0;
	uint32_t              missing = m->rows.count - rows_first_at_least(&m->rows, last + 1);

	return c != NULL && missing <= 64;
}

/* ---- asking ---------------------------------------------------------------------- */

uint32_t
columns_count(const struct columns *c)
{
	return c->count;
}

const struct column_row *
columns_row(const struct columns *c, uint32_t index)
{
	return &c->row[index];
}

const struct column_row *
columns_find(const struct columns *c, uint32_t uid, uint32_t *cursor)
{
	uint32_t low = *cursor, high = c->count;

	/* Often the next one. */
	if (low < high && c->row[low].uid < uid)
		low++;
	if (low < high && c->row[low].uid < uid) {
		while (low < high) {
			uint32_t middle = low + (high - low) / 2;
			if (c->row[middle].uid < uid)
				low = middle + 1;
			else
				high = middle;
		}
	}
	*cursor = low;
	return low < c->count && c->row[low].uid == uid ? &c->row[low] : NULL;
}

struct bytes
column_of(const struct columns *c, const struct column_row *r, enum column which)
{
	uint32_t from = r == c->row ? 0 : r[-1].end[which];

	return bytes_cut(buffer_bytes(&c->text[which]), from, r->end[which] - 1 - from);
}

/* The row whose string ends behind `at`, from `low` on. */
static uint32_t
row_at(const struct columns *c, enum column which, uint32_t low, size_t at)
{
	uint32_t high = c->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (c->row[middle].end[which] <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t
column_search(const struct columns *c, enum column which, struct bytes folded, uint32_t from,
              size_t most, uint64_t *bits)
{
	size_t   at = from == 0 ? 0 : c->row[from - 1].end[which];
	uint32_t end;

	if (from >= c->count)
		return c->count;
	end = row_at(c, which, from, at + most);
	end = end < c->count ? end + 1 : c->count;
	for (size_t stop = c->row[end - 1].end[which]; from < end;) {
		const char *start = c->text[which].at, *hit;
		hit = folded.len == 0 ? start + at
		                      : memmem(start + at, stop - at, folded.at, folded.len);
		if (hit == NULL)
			break;
		from = row_at(c, which, from, (size_t)(hit - start));
		bits[from / 64] |= (uint64_t)1 << (from % 64);
		at = c->row[from++].end[which];
	}
	return end;
}

size_t
columns_references(const struct columns *c, const struct column_row *r, const uint64_t **out)
{
	uint32_t from = r == c->row ? 0 : r[-1].references;

	*out = c->reference + from;
	return r->references - from;
}

/* ---- the order of one string ------------------------------------------------------ */

struct ranking *
ranking_take(const struct columns *c, enum column which, uint32_t rows)
{
	struct ranking *r = c->ranking[which];

	if (r == NULL || r->count < rows)
		return NULL;
	r->users++;
	return r;
}

struct ranking *
ranking_make(uint32_t count)
{
	struct ranking *r = memory_take(sizeof *r + count * sizeof r->place[0]);

	r->users = 1;
	r->count = count;
	return r;
}

void
ranking_put(struct columns *c, enum column which, struct ranking *r)
{
	if (c->ranking[which] != NULL && c->ranking[which]->count >= r->count)
		return;
	ranking_drop(&c->ranking[which]);
	c->ranking[which] = r;
	r->users++;
}

void
ranking_drop(struct ranking **rp)
{
	struct ranking *r = *rp;

	*rp = NULL;
	if (r != NULL && --r->users == 0)
		memory_free(r);
}

#undef SEPARATOR
#undef MEMORY_MOST
