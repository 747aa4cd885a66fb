#include "store/rows.h"

#include <string.h>

void
rows_free(struct rows *r)
{
	memory_free(r->uid);
	memory_free(r->size);
	memory_free(r->message);
	memory_free(r->flags);
	memory_free(r->modseq);
	*r = (struct rows){ 0 };
}

void
rows_make_room(struct rows *r, uint32_t more)
{
	size_t room = r->room;

	if (more <= r->room - r->count)
		return;
	while (room - r->count < more)
		room = room < 16 ? 16 : room + room / 2;
	r->uid = memory_resize(r->uid, room * sizeof *r->uid);
	r->size = memory_resize(r->size, room * sizeof *r->size);
	r->message = memory_resize(r->message, room * sizeof *r->message);
	r->flags = memory_resize(r->flags, room * sizeof *r->flags);
	r->modseq = memory_resize(r->modseq, room * sizeof *r->modseq);
	r->room = (uint32_t)room;
}

void
rows_add(struct rows *r, uint32_t uid, uint64_t message, uint32_t size, uint64_t flags,
         uint64_t modseq)
{
	rows_make_room(r, 1);
	r->uid[r->count] = uid;
	r->message[r->count] = message;
	r->size[r->count] = size;
	r->flags[r->count] = flags;
	r->modseq[r->count] = modseq;
	r->count++;
}

uint32_t
rows_first_at_least(const struct rows *r, uint32_t uid)
{
	uint32_t low = 0, high = r->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (r->uid[middle] < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- numbers ---- */

void
pack_number(struct buffer *out, uint64_t n)
{
	char  *p = buffer_room(out, 10);
	size_t len = 0;

	for (; n > 0x7f; n >>= 7)
		p[len++] = (char)(unsigned char)(n | 0x80);
	p[len++] = (char)n;
	buffer_took(out, len);
}

uint64_t
unpack_number(struct unpack *u)
{
	uint64_t n = 0;
	size_t   len = 0;

	while (!u->broken && len < u->rest.len && len < 10) {
		unsigned char c = (unsigned char)u->rest.at[len];
		if (len == 9 && c > 1)
			break;
		n |= (uint64_t)(c & 0x7f) << 7 * len++;
		if (c < 0x80) {
			u->rest.at += len;
			u->rest.len -= len;
			return n;
		}
	}
	u->broken = true;
	return 0;
}

static uint64_t
folded(uint64_t from, uint64_t to)
{
	int64_t d = (int64_t)(to - from);

	return (uint64_t)d << 1 ^ (uint64_t)(d >> 63);
}

static uint64_t
unfolded(uint64_t from, uint64_t n)
{
	return from + (n >> 1 ^ (0 - (n & 1)));
}

/* ---- columns ---- */

static void
pack_runs(const uint64_t *column, uint32_t count, bool steps, struct buffer *out)
{
	uint64_t before = 0;

	for (uint32_t i = 0; i < count;) {
		uint64_t value = steps ? folded(before, column[i]) : column[i];
		uint32_t n = 1;
		before = column[i];
		while (i + n < count &&
		       (steps ? folded(before, column[i + n]) : column[i + n]) == value)
			before = column[i + n++];
		pack_number(out, value);
		pack_number(out, n);
		i += n;
	}
}

static void
unpack_runs(struct unpack *u, uint64_t *column, uint32_t count, bool steps)
{
	uint64_t before = 0;

	for (uint32_t i = 0; i < count && !u->broken;) {
		uint64_t value = unpack_number(u);
		uint64_t n = unpack_number(u);
		if (n == 0 || n > count - i) {
			u->broken = true;
			return;
		}
		for (; n > 0; n--)
			column[i++] = before = steps ? unfolded(before, value) : value;
	}
}

static void
pack_uid_column(const uint32_t *uid, uint32_t count, struct buffer *out)
{
	uint32_t next = 0;

	for (uint32_t i = 0; i < count;) {
		uint32_t n = 1;
		while (i + n < count && uid[i + n] == uid[i] + n)
			n++;
		pack_number(out, uid[i] - next);
		pack_number(out, n);
		next = uid[i] + n;
		i += n;
	}
}

/* Uids ascend and are never 0. */
static void
unpack_uid_column(struct unpack *u, uint32_t *uid, uint32_t count)
{
	uint64_t next = 0;

	for (uint32_t i = 0; i < count && !u->broken;) {
		uint64_t gap = unpack_number(u);
		uint64_t n = unpack_number(u);
		if (n == 0 || n > count - i || gap > UINT32_MAX || next + gap == 0 ||
		    next + gap + n - 1 > UINT32_MAX - 1) {
			u->broken = true;
			return;
		}
		next += gap;
		for (; n > 0; n--)
			uid[i++] = (uint32_t)next++;
	}
}

void
rows_pack(const struct rows *r, uint32_t from, uint32_t count, struct buffer *out)
{
	uint64_t before = 0;

	pack_number(out, count);
	pack_uid_column(r->uid + from, count, out);
	for (uint32_t i = from; i < from + count; i++) {
		pack_number(out, folded(before, r->message[i]));
		before = r->message[i];
	}
	for (uint32_t i = from; i < from + count; i++)
		pack_number(out, r->size[i]);
	pack_runs(r->flags + from, count, false, out);
	pack_runs(r->modseq + from, count, true, out);
}

bool
rows_unpack(struct unpack *u, struct rows *r)
{
	uint64_t count = unpack_number(u);
	uint64_t message = 0;
	uint32_t at = r->count;

	/* Each row takes two bytes at the least. */
	if (u->broken || count > u->rest.len / 2 || count > UINT32_MAX - r->count)
		return false;
	if (count == 0)
		return true;
	rows_make_room(r, (uint32_t)count);
	unpack_uid_column(u, r->uid + at, (uint32_t)count);
	if (at > 0 && r->uid[at] <= r->uid[at - 1])
		u->broken = true;
	for (uint32_t i = 0; i < count && !u->broken; i++)
		r->message[at + i] = message = unfolded(message, unpack_number(u));
	for (uint32_t i = 0; i < count && !u->broken; i++) {
		uint64_t size = unpack_number(u);
		if (size > UINT32_MAX)
			u->broken = true;
		r->size[at + i] = (uint32_t)size;
	}
	unpack_runs(u, r->flags + at, (uint32_t)count, false);
	unpack_runs(u, r->modseq + at, (uint32_t)count, true);
	if (u->broken)
		return false;
	r->count += (uint32_t)count;
	return true;
}

/* ---- sets of uids ---- */

void
pack_uids(struct buffer *out, const struct uid_set *set)
{
	uint32_t next = 0;

	pack_number(out, set->count);
	for (size_t i = 0; i < set->count; i++) {
		pack_number(out, set->range[i].first - next);
		pack_number(out, set->range[i].last - set->range[i].first);
		next = set->range[i].last;
	}
}

bool
unpack_uids(struct unpack *u, struct arena *arena, struct uid_set *set)
{
	uint64_t          count = unpack_number(u), next = 0;
	struct uid_range *range;

	*set = (struct uid_set){ NULL, 0 };
	if (u->broken || count > u->rest.len / 2)
		return false;
	range = arena_take_array(arena, (size_t)count + 1, sizeof *range);
	for (size_t i = 0; i < count; i++) {
		uint64_t gap = unpack_number(u), width = unpack_number(u);
		if (u->broken || gap == 0 || gap > UINT32_MAX || width > UINT32_MAX ||
		    next + gap + width > UINT32_MAX)
			return false;
		range[i].first = (uint32_t)(next + gap);
		range[i].last = (uint32_t)(next + gap + width);
		next = range[i].last;
	}
	*set = (struct uid_set){ range, (size_t)count };
	return true;
}

void
uid_list_add(struct uid_list *l, uint32_t uid, bool joins)
{
	if (l->count > 0 && (joins || l->range[l->count - 1].last + 1 == uid)) {
		l->range[l->count - 1].last = uid;
		return;
	}
	if (l->count == l->room) {
		l->room = l->room ? l->room * 2 : 8;
		l->range = memory_resize(l->range, l->room * sizeof *l->range);
	}
	l->range[l->count++] = (struct uid_range){ uid, uid };
}

void
uid_list_free(struct uid_list *l)
{
	memory_free(l->range);
	*l = (struct uid_list){ 0 };
}

struct uid_set
uid_list_set(const struct uid_list *l)
{
	return (struct uid_set){ l->range, l->count };
}

struct uid_set
uid_list_keep(const struct uid_list *l, struct arena *arena)
{
	struct uid_range *range = arena_take_array(arena, l->count + 1, sizeof *range);

	if (l->count > 0)
		memcpy(range, l->range, l->count * sizeof *range);
	return (struct uid_set){ range, l->count };
}
